package chattonic

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/cenkalti/backoff/v5"
)

// Endpoint names one of the API's endpoints.
type Endpoint string

// The documented endpoints.
const (
	// EndpointOperators is /stats/operator.
	EndpointOperators Endpoint = "operators"
	// EndpointDashboard is /stats/bigquery with the query "dashboard".
	EndpointDashboard Endpoint = "dashboard"
	// EndpointNPS is /stats/nps/export.
	EndpointNPS Endpoint = "nps_export"
)

var endpointPaths = map[Endpoint]string{
	EndpointOperators: "operator",
	EndpointDashboard: "bigquery",
	EndpointNPS:       "nps/export",
}

const (
	// DefaultMaxBody is the size in bytes beyond which an answer is refused.
	DefaultMaxBody = 64 << 20
	// DefaultDateFormatGroup is the documented dateFormatGroup.
	DefaultDateFormatGroup = "%Y-%m-%d %H"

	// maxTries bounds the requests of one call. A scrape comes again anyway.
	maxTries = 4
	// firstPause is the mean pause before the first retry.
	firstPause = 200 * time.Millisecond
	// maxRedirects is what net/http allows by default.
	maxRedirects = 10
	// firstPart and maxPart are the sizes in bytes of the parts in which a body
	// is read whose length is not known.
	firstPart, maxPart = 32 << 10, 1 << 20
	// dateForm is the documented form of dates, which are in UTC.
	dateForm = "2006-01-02T15:04:05.000Z"
)

// Client asks the stats API for one team. It is safe for concurrent use.
type Client struct {
	base            *url.URL
	http            *http.Client
	token           string
	dateFormatGroup string
	maxBody         int64
	observe         func(Attempt)
	now             func() time.Time
}

// Attempt is one HTTP request of a call, for who counts and times them.
type Attempt struct {
	// Endpoint is what was asked.
	Endpoint Endpoint
	// Retry is 0 for the first request of a call and counts up from there.
	Retry int
	// StatusCode is the HTTP status, or 0 where none was received.
	StatusCode int
	// Duration is the time from the request to the end of the answer's body,
	// with any redirects that were followed between the two.
	Duration time.Duration
}

// Option adjusts a Client.
type Option func(*Client)

// WithHTTPClient has requests made by a copy of client, which follows redirects
// on the same host only.
func WithHTTPClient(client *http.Client) Option {
	return func(c *Client) {
		limited := *client
		limited.CheckRedirect = checkRedirect(client.CheckRedirect)
		c.http = &limited
	}
}

// WithToken has each request carry the access token. It is for clients whose
// HTTP client does not authenticate by itself.
func WithToken(token string) Option { return func(c *Client) { c.token = token } }

// WithDateFormatGroup sets the strftime-like format by which the dashboard
// groups its rows. DefaultDateFormatGroup is the documented one.
func WithDateFormatGroup(format string) Option {
	return func(c *Client) { c.dateFormatGroup = format }
}

// WithMaxBody sets the size in bytes beyond which an answer is refused instead
// of DefaultMaxBody.
func WithMaxBody(bytes int64) Option { return func(c *Client) { c.maxBody = bytes } }

// WithObserver has observe called after each HTTP request, also from several
// goroutines at once.
func WithObserver(observe func(Attempt)) Option { return func(c *Client) { c.observe = observe } }

// WithClock has ReceivedAt, and the pause that a Retry-After date asks for, taken
// from now instead of time.Now.
func WithClock(now func() time.Time) Option { return func(c *Client) { c.now = now } }

// retryNotice is the key of what WithRetryNotice adds to a context.
type retryNotice struct{}

// WithRetryNotice returns a context in which a call tells notice of each failure
// after which it will ask again. Who waits less long than the call may take
// learns in no other way what keeps it.
func WithRetryNotice(ctx context.Context, notice func(Error)) context.Context {
	return context.WithValue(ctx, retryNotice{}, notice)
}

// New returns a Client for the team with the codename at the API's base URL,
// such as https://chat-tonic.example. It fails where either, or the token of
// WithToken, cannot be used.
func New(baseURL, codename string, options ...Option) (*Client, error) {
	base, err := ParseBaseURL(baseURL)
	if err != nil {
		return nil, err
	}
	if err := CheckCodename(codename); err != nil {
		return nil, err
	}
	c := &Client{
		base:            base.JoinPath("api/v1", url.PathEscape(codename), "stats"),
		dateFormatGroup: DefaultDateFormatGroup,
		maxBody:         DefaultMaxBody,
		observe:         func(Attempt) {},
		now:             time.Now,
	}
	WithHTTPClient(http.DefaultClient)(c)
	for _, option := range options {
		option(c)
	}
	if strings.ContainsFunc(c.token, unicode.IsControl) {
		return nil, errors.New("the access token holds a line break or another control character: remove it")
	}
	return c, nil
}

// ParseBaseURL reads the API's base URL. It fails, without quoting the URL, which
// may hold a password, unless that is an http or https URL of a host without a
// query.
func ParseBaseURL(text string) (*url.URL, error) {
	base, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("the base URL cannot be read: use one such as https://chat-tonic.example")
	case base.Scheme != "http" && base.Scheme != "https" || base.Hostname() == "":
		return nil, errors.New("the base URL is not an http or https URL of a host: use one such as https://chat-tonic.example")
	case base.User != nil:
		return nil, errors.New("a base URL must not hold a user or password")
	case base.RawQuery != "" || base.ForceQuery || base.Fragment != "":
		return nil, errors.New("a base URL must not have a query or fragment")
	}
	return base, nil
}

// CheckCodename says what is wrong with a team's codename, which becomes an
// element of the request's path.
func CheckCodename(codename string) error {
	switch codename {
	case "":
		return errors.New("the codename is empty")
	case ".", "..":
		return fmt.Errorf("the codename cannot be %q", codename)
	}
	return nil
}

// get makes a call: a GET, again where that can help before the deadline of
// ctx, and decodes the answer.
func (c *Client) get(ctx context.Context, e Endpoint, window Window, query [][2]string, decode func(reply) error) error {
	query = append(query, [2]string{"startDate", formatDate(window.Start)}, [2]string{"endDate", formatDate(window.End)})
	target := *c.base.JoinPath(endpointPaths[e])
	target.RawQuery = encodeQuery(query)

	tries := uint(maxTries)
	deadline, bounded := ctx.Deadline()
	if !bounded {
		tries = 1
	}
	notice, noticed := ctx.Value(retryNotice{}).(func(Error))
	var failure *Error
	buffer, _ := bodies[e].Get().(*[]byte)
	defer bodies[e].Put(buffer)
	retry := 0
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		start := time.Now()
		answer, status, pause, err := c.try(ctx, e, target.String(), buffer)
		c.observe(Attempt{Endpoint: e, Retry: retry, StatusCode: status, Duration: time.Since(start)})
		retry++
		if err == nil {
			if err := decode(answer); err != nil {
				failure = new(answerError(e, status, err))
				return struct{}{}, backoff.Permanent(failure)
			}
			return struct{}{}, nil
		}
		failure = err
		switch {
		case !failure.Retryable:
			return struct{}{}, backoff.Permanent(failure)
		case pause >= 0:
			return struct{}{}, &backoff.RetryAfterError{Duration: pause}
		}
		return struct{}{}, failure
	},
		backoff.WithMaxTries(tries),
		backoff.WithMaxElapsedTime(time.Until(deadline)),
		backoff.WithNotify(func(error, time.Duration) {
			if noticed {
				notice(*failure)
			}
		}),
		backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: firstPause, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: time.Minute}),
	)
	switch {
	case err == nil:
		return nil
	case failure.Retryable && errors.Is(ctx.Err(), context.Canceled): // while it paused
		return transportError(ctx, e, failure.StatusCode, err)
	}
	return *failure
}

// bodies are buffers of the answers of each endpoint, which differ much in size.
// When an answer has been decoded nothing refers to its buffer.
var bodies = map[Endpoint]*sync.Pool{EndpointOperators: buffers(), EndpointDashboard: buffers(), EndpointNPS: buffers()}

func buffers() *sync.Pool { return &sync.Pool{New: func() any { return new([]byte) }} }

// try makes one request. The body is in the buffer, which grows where it must.
// The pause is what Retry-After asks for, or negative.
func (c *Client) try(ctx context.Context, e Endpoint, target string, buffer *[]byte) (answer reply, status int, pause time.Duration, failure *Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, once(e))
	if err != nil {
		return answer, 0, -1, new(transportError(ctx, e, 0, err))
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if resp != nil { // a redirect that was refused, whose body is closed
			status = resp.StatusCode
		}
		return answer, status, -1, new(transportError(ctx, e, status, err))
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return answer, resp.StatusCode, retryAfter(resp.Header.Get("Retry-After"), c.now()), new(statusError(e, resp.StatusCode))
	}
	if answer.sent = req.Header; resp.Request != nil {
		answer.sent = resp.Request.Header // with what transports have added
	}
	answer.body, err = readBody(resp, c.maxBody, buffer)
	switch {
	case errors.Is(err, errTooLarge):
		failure = &Error{
			Endpoint: e, StatusCode: resp.StatusCode, Cause: CauseSize,
			Detail: fmt.Sprintf("the answer has more than %d bytes: raise the limit if it is right", c.maxBody),
		}
	case err != nil:
		failure = new(transportError(ctx, e, resp.StatusCode, err))
	}
	return answer, resp.StatusCode, -1, failure
}

// once returns the body of a request to the endpoint, which is always empty.
// net/http by itself sends a GET again that was sent on a connection which then
// turned out to be closed, unless the request has a body that cannot be read
// twice. An NPS export must not be sent again.
func once(e Endpoint) io.Reader {
	if e == EndpointNPS {
		return struct{ io.Reader }{strings.NewReader("")}
	}
	return nil
}

var errTooLarge = errors.New("too large")

// readBody reads a body of up to limit bytes, into the buffer if that is large
// enough. One without a known length comes in parts otherwise, so that what turns
// out to be too large takes no more than the limit: a buffer that grows would
// take three times as much.
func readBody(resp *http.Response, limit int64, buffer *[]byte) ([]byte, error) {
	if resp.ContentLength > limit {
		return nil, errTooLarge
	}
	size := min(max(int64(cap(*buffer)), firstPart), limit+1)
	if resp.ContentLength >= 0 {
		size = resp.ContentLength + 1 // with room to see that it ends there
	}
	if int64(cap(*buffer)) < size {
		*buffer = make([]byte, size)
	}
	part := (*buffer)[:size]
	var parts [][]byte
	for total := int64(0); ; {
		n, ended, err := fill(part, resp.Body)
		total += int64(n)
		parts = append(parts, part[:n])
		switch {
		case err != nil:
			return nil, err
		case total > limit:
			return nil, errTooLarge
		case ended && len(parts) > 1:
			*buffer = bytes.Join(parts, nil)
			return *buffer, nil
		case ended:
			return parts[0], nil
		}
		part = make([]byte, min(2*int64(len(part)), maxPart, limit+1-total))
	}
}

// fill reads until the part is full or the body has ended, which io.ReadFull
// does not tell from a body that breaks off.
func fill(part []byte, body io.Reader) (n int, ended bool, err error) {
	for n < len(part) {
		m, err := body.Read(part[n:])
		n += m
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}

// retryAfter reads a Retry-After header, in seconds or as a date. Without a
// usable one it is negative.
func retryAfter(header string, now time.Time) time.Duration {
	seconds, err := strconv.ParseUint(header, 10, 31)
	if err == nil || errors.Is(err, strconv.ErrRange) { // then it is the largest
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return -1
}

// checkRedirect lets a redirect stay on its host, because the access token goes
// where the request goes. before is what the HTTP client checks besides.
func checkRedirect(before func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		from, to := via[len(via)-1].URL, req.URL
		again := slices.ContainsFunc(via, func(earlier *http.Request) bool { return earlier.URL.String() == to.String() })
		switch {
		case len(via) >= maxRedirects, again:
			return redirectError("redirected in a loop: check the base URL")
		case !tokenMayFollow(from, to):
			return redirectError("redirected to another host, port or scheme, where the access token must not go: check the base URL")
		}
		// After 301, 302 and 303 net/http leaves it out, as a GET has no body.
		req.Header.Set("Content-Type", via[0].Header.Get("Content-Type"))
		if via[0].Body != nil { // see once
			req.Body = io.NopCloser(once(EndpointNPS))
		}
		if before == nil {
			return nil
		}
		return before(req, via)
	}
}

// tokenMayFollow says whether a redirect stays where the access token was sent:
// on one host and port, except that http may become https on the usual ports.
func tokenMayFollow(from, to *url.URL) bool {
	upgrade := from.Scheme == "http" && to.Scheme == "https" && port(from) == "80" && port(to) == "443"
	return from.Hostname() == to.Hostname() &&
		(from.Scheme == to.Scheme && port(from) == port(to) || upgrade)
}

func port(u *url.URL) string {
	return cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
}

func formatDate(t time.Time) string { return t.UTC().Format(dateForm) }

// encodeQuery encodes spaces as %20, which every server reads as a space; not
// every one does so with the plus sign of url.Values.
func encodeQuery(query [][2]string) string {
	var b strings.Builder
	for i, parameter := range query {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(parameter[0])
		b.WriteByte('=')
		b.WriteString(strings.ReplaceAll(url.QueryEscape(parameter[1]), "+", "%20"))
	}
	return b.String()
}
