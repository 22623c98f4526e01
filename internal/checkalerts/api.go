package checkalerts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	dto "github.com/prometheus/client_model/go"
)

const (
	// maxAnswer is the maximum size of an answer in bytes.
	maxAnswer = 64 << 20
	// maxQuoted is how many bytes of an error's text are quoted.
	maxQuoted = 300
)

// server is the HTTP API of Prometheus or Alertmanager.
type server struct {
	name   string
	base   *url.URL
	client *http.Client
}

// parseURL returns the base URL of a server. Its errors do not quote the URL, which
// may hold a password.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, errors.New("it needs http:// or https:// and a host")
	case u.User != nil:
		return nil, errors.New("it must not contain a user or a password, which others see in the list of processes: use --http.config.file")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("it must be a base URL, without ? and #")
	}
	return u, nil
}

// newClient returns a client with the settings of a file, or without a file one that
// sends no credentials.
func newClient(file, userAgent string) (*http.Client, error) {
	c := &promconfig.DefaultHTTPClientConfig
	if file != "" {
		var err error
		if c, _, err = promconfig.LoadHTTPConfigFile(file); err != nil {
			return nil, fmt.Errorf("reading --http.config.file: %w", err)
		}
	}
	client, err := promconfig.NewClientFromConfig(*c, "check-alerts", promconfig.WithUserAgent(userAgent))
	if err != nil {
		return nil, fmt.Errorf("using --http.config.file: %w", err)
	}
	// Credentials are for the given addresses and no others.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client, nil
}

func (s *server) String() string { return s.name + " at " + s.base.Redacted() }

// do sends a request and returns the answer to it.
func (s *server) do(ctx context.Context, method, path string, query url.Values, body any) (_ []byte, status int, err error) {
	var content io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, 0, fmt.Errorf("asking %s: %w", s, err)
		}
		content = bytes.NewReader(text)
	}
	u := s.base.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), content)
	if err != nil {
		return nil, 0, fmt.Errorf("asking %s: %w", s, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		if failure, ok := errors.AsType[*url.Error](err); ok {
			err = failure.Err // without the long URL
		}
		return nil, 0, fmt.Errorf("%s does not answer: %w", s, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("reading the answer of %s: %w", s, err)
	case len(answer) > maxAnswer:
		return nil, 0, fmt.Errorf("the answer of %s to %s is larger than %d MiB", s, path, maxAnswer>>20)
	}
	return answer, resp.StatusCode, nil
}

// get fetches a page, which must be there.
func (s *server) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	answer, status, err := s.do(ctx, http.MethodGet, path, query, nil)
	if err == nil && status != http.StatusOK {
		err = s.refused(path, status, answer)
	}
	return answer, err
}

// refused is the error about an answer that is not 200.
func (s *server) refused(path string, status int, answer []byte) error {
	advice := ""
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		advice = "; give credentials in --http.config.file"
	case http.StatusNotFound:
		advice = "; is this its base URL?"
	}
	text := strings.TrimSpace(string(answer[:min(len(answer), maxQuoted)]))
	if text != "" && !strings.HasPrefix(text, "<") { // HTML does not help
		advice = ": " + text + advice
	}
	return fmt.Errorf("%s answered %s with %d %s%s", s, path, status, http.StatusText(status), advice)
}

// getJSON decodes a page.
func (s *server) getJSON(ctx context.Context, path string, query url.Values, into any) error {
	answer, err := s.get(ctx, path, query)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s answered %s with something else than its API does: %w", s, path, err)
	}
	return nil
}

// getData decodes the data in an answer of Prometheus.
func (s *server) getData(ctx context.Context, path string, query url.Values, data any) error {
	envelope := struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   any    `json:"data"`
	}{Data: data}
	if err := s.getJSON(ctx, path, query, &envelope); err != nil {
		return err
	}
	if envelope.Status != "success" {
		return fmt.Errorf("%s answered %s without success: %s", s, path, envelope.Error)
	}
	return nil
}

// sample is a series and its value.
type sample struct {
	Metric map[string]string `json:"metric"`
	Value  pair              `json:"value"`
}

// pair is a value as Prometheus's API writes it: the time of the query and a number
// in quotes.
type pair float64

// UnmarshalJSON reads it.
func (p *pair) UnmarshalJSON(text []byte) error {
	var values [2]any
	if err := json.Unmarshal(text, &values); err != nil {
		return err
	}
	number, ok := values[1].(string)
	if !ok {
		return errors.New("a value is no text")
	}
	value, err := strconv.ParseFloat(number, 64)
	*p = pair(value)
	return err
}

// query runs an instant query whose result is a vector.
func (s *server) query(ctx context.Context, expr string) ([]sample, error) {
	var data struct {
		Result []sample `json:"result"`
	}
	err := s.getData(ctx, "api/v1/query", url.Values{"query": {expr}}, &data)
	return data.Result, err
}

// time returns the server's time, so that clocks need not agree.
func (s *server) time(ctx context.Context) (time.Time, error) {
	found, err := s.query(ctx, "vector(time())")
	if err != nil {
		return time.Time{}, err
	}
	if len(found) != 1 {
		return time.Time{}, fmt.Errorf("%s answered a query for the time with %d values", s, len(found))
	}
	return time.UnixMilli(int64(found[0].Value * 1000)), nil
}

// byTeam runs a query whose result has one value for each team.
func (s *server) byTeam(ctx context.Context, expr string) (map[string]float64, error) {
	found, err := s.query(ctx, expr)
	values := make(map[string]float64, len(found))
	for _, f := range found {
		if team := f.Metric["team"]; team != "" {
			values[team] = float64(f.Value)
		}
	}
	return values, err
}

// metrics returns the metrics of the server itself.
func (s *server) metrics(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	page, err := s.get(ctx, "metrics", nil)
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		return nil, fmt.Errorf("reading the metrics of %s: %w", s, err)
	}
	return families, nil
}
