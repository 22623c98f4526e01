package chattonic_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"chattonic_exporter/chattonic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	baseURL = "https://chat-tonic.example"
	token   = "s3cr3t-token"

	noOperators = `{"status": true, "operators": [], "queryPending": 0}`
)

// november is the documented window.
var november = chattonic.Window{
	Name:  "this_month",
	Start: time.Date(2021, 11, 1, 3, 0, 0, 0, time.UTC),
	End:   time.Date(2021, 12, 1, 2, 55, 0, 0, time.UTC),
}

// transport answers requests without a network.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) { return t(req) }

func answer(status int, body string, header ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}
	for i := 0; i < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp
}

// constant answers each request alike.
func constant(status int, body string, header ...string) transport {
	return func(*http.Request) (*http.Response, error) { return answer(status, body, header...), nil }
}

// sized answers each request with a body whose length is known.
func sized(body string) transport {
	return func(*http.Request) (*http.Response, error) {
		resp := answer(http.StatusOK, body)
		resp.ContentLength = int64(len(body))
		return resp, nil
	}
}

// failing answers each request with an error.
func failing(err error) transport {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func newClient(t testing.TB, base string, via http.RoundTripper, options ...chattonic.Option) *chattonic.Client {
	t.Helper()
	options = append([]chattonic.Option{
		chattonic.WithHTTPClient(&http.Client{Transport: via}),
		chattonic.WithToken(token),
	}, options...)
	client, err := chattonic.New(base, "acme", options...)
	require.NoError(t, err)
	return client
}

// calls holds a call of each endpoint.
var calls = map[chattonic.Endpoint]func(context.Context, *chattonic.Client) error{
	chattonic.EndpointOperators: func(ctx context.Context, c *chattonic.Client) error {
		_, err := c.Operators(ctx, november)
		return err
	},
	chattonic.EndpointDashboard: func(ctx context.Context, c *chattonic.Client) error {
		_, err := c.Dashboard(ctx, november)
		return err
	},
	chattonic.EndpointNPS: func(ctx context.Context, c *chattonic.Client) error {
		return c.ExportNPS(ctx, november, chattonic.UserTypeAll)
	},
}

// asError returns err as the Error that each failure has to be.
func asError(t testing.TB, err error) chattonic.Error {
	t.Helper()
	var failure chattonic.Error
	require.ErrorAs(t, err, &failure)
	return failure
}

func TestRequest(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[chattonic.Endpoint]struct{ path, query string }{
		chattonic.EndpointOperators: {"operator", "startDate=2021-11-01T03%3A00%3A00.000Z&endDate=2021-12-01T02%3A55%3A00.000Z"},
		chattonic.EndpointDashboard: {"bigquery", "dateFormatGroup=%25Y-%25m-%25d%20%25H&queryName=dashboard&startDate=2021-11-01T03%3A00%3A00.000Z&endDate=2021-12-01T02%3A55%3A00.000Z"},
		chattonic.EndpointNPS:       {"nps/export", "typeUser=all&startDate=2021-11-01T03%3A00%3A00.000Z&endDate=2021-12-01T02%3A55%3A00.000Z"},
	} {
		t.Run(string(endpoint), func(t *testing.T) {
			var got *http.Request
			var body []byte
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = r
				body, _ = io.ReadAll(r.Body)
			}))
			defer server.Close()
			client := newClient(t, server.URL, server.Client().Transport)
			_ = calls[endpoint](t.Context(), client) // the empty answer is not the matter here

			require.NotNil(t, got)
			assert.Equal(t, http.MethodGet, got.Method)
			assert.Equal(t, "/api/v1/acme/stats/"+want.path+"?"+want.query, got.RequestURI)
			assert.Empty(t, body)
			assert.Empty(t, got.TransferEncoding, "a GET has no body, not even an empty one in chunks")
			assert.Equal(t, http.Header{
				"Accept":          {"application/json"},
				"Accept-Encoding": {"gzip"},
				"Authorization":   {"Bearer " + token},
				"Content-Type":    {"application/json"},
				"User-Agent":      {"Go-http-client/1.1"},
			}, got.Header)
		})
	}
}

func TestRequestPath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ base, codename, want string }{
		{"https://chat-tonic.example", "acme", "https://chat-tonic.example/api/v1/acme/stats/operator"},
		{"https://chat-tonic.example/", "acme", "https://chat-tonic.example/api/v1/acme/stats/operator"},
		{"http://chat-tonic.example:8080/eu/", "acme", "http://chat-tonic.example:8080/eu/api/v1/acme/stats/operator"},
		{baseURL, "a b", "https://chat-tonic.example/api/v1/a%20b/stats/operator"},
		{baseURL, "a/../b", "https://chat-tonic.example/api/v1/a%2F..%2Fb/stats/operator"},
		{baseURL, "a?b#c", "https://chat-tonic.example/api/v1/a%3Fb%23c/stats/operator"},
		{baseURL, "%2e%2e", "https://chat-tonic.example/api/v1/%252e%252e/stats/operator"},
		{baseURL, "café", "https://chat-tonic.example/api/v1/caf%C3%A9/stats/operator"},
	} {
		var got string
		via := transport(func(req *http.Request) (*http.Response, error) {
			got, _, _ = strings.Cut(req.URL.String(), "?")
			return answer(200, noOperators), nil
		})
		client, err := chattonic.New(test.base, test.codename, chattonic.WithHTTPClient(&http.Client{Transport: via}))
		require.NoError(t, err)
		_, err = client.Operators(t.Context(), november)
		require.NoError(t, err)
		assert.Equal(t, test.want, got)
	}
}

func TestRequestOptions(t *testing.T) {
	t.Parallel()
	var got *http.Request
	via := transport(func(req *http.Request) (*http.Response, error) {
		got = req
		return answer(200, `[{}]`), nil
	})
	client := newClient(t, baseURL, via, chattonic.WithToken(""), chattonic.WithDateFormatGroup("0&x=á+"))
	zone := time.FixedZone("", -3*60*60)
	window := chattonic.Window{Start: time.Date(2026, 2, 28, 23, 0, 0, 1e6, zone), End: time.Date(2026, 3, 1, 0, 0, 0, 999e6, zone)}
	_, err := client.Dashboard(t.Context(), window)
	require.NoError(t, err)
	assert.NotContains(t, got.Header, "Authorization")
	assert.Equal(t, url.Values{
		"dateFormatGroup": {"0&x=á+"},
		"queryName":       {"dashboard"},
		"startDate":       {"2026-03-01T02:00:00.001Z"},
		"endDate":         {"2026-03-01T03:00:00.999Z"},
	}, got.URL.Query())
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	const (
		unreadable = "the base URL cannot be read: use one such as https://chat-tonic.example"
		notHost    = "the base URL is not an http or https URL of a host: use one such as https://chat-tonic.example"
		user       = "a base URL must not hold a user or password"
		query      = "a base URL must not have a query or fragment"
		apiPath    = "a base URL must not have the path /api/v1, which is added to it: use one such as https://chat-tonic.example"
		control    = "the access token contains a line break or another control character: keep only the token, on one line"
	)
	for _, test := range []struct{ base, codename, token, want string }{
		{"", "acme", token, notHost},
		{"chat-tonic.example", "acme", token, notHost},
		{"admin:hunter2@chat-tonic.example", "acme", token, notHost},
		{"ftp://chat-tonic.example", "acme", token, notHost},
		{"https://", "acme", token, notHost},
		{"https://:443", "acme", token, notHost},
		{"https://chat-tonic.example:port", "acme", token, unreadable},
		{"https://admin:hunter2@chat-tonic.example", "acme", token, user},
		{"https://chat-tonic.example?token=hunter2", "acme", token, query},
		{"https://chat-tonic.example?", "acme", token, query},
		{"https://chat-tonic.example#hunter2", "acme", token, query},
		{"https://chat-tonic.example/api/v1", "acme", token, apiPath},
		{"https://chat-tonic.example/api/v1/", "acme", token, apiPath},
		{"https://chat-tonic.example/gateway/api//v1//", "acme", token, apiPath},
		{"https://chat-tonic.example/api/v1/acme/stats", "acme", token, apiPath},
		{"https://chat-tonic.example/api/v1/acme/stats/operator", "acme", token, apiPath},
		{baseURL, "", token, "the codename is empty: use the one in the API's URLs"},
		{baseURL, ".", token, `the codename cannot be ".": use the one in the API's URLs`},
		{baseURL, "..", token, `the codename cannot be "..": use the one in the API's URLs`},
		{baseURL, "a\xff", token, `the codename "a\xff" is not valid UTF-8: use the one in the API's URLs`},
		{baseURL, "acme", token + "\n", control},
		{baseURL, "acme", "\x00", control},
		{baseURL, " ", token, `the codename " " is blank: use the one in the API's URLs`},
		{baseURL, "\t\u00a0", token, `the codename "\t\u00a0" is blank: use the one in the API's URLs`},
		{baseURL, "acme ", token, `the codename "acme " begins or ends with a blank: use the one in the API's URLs`},
		{baseURL, "\u3000acme", token, `the codename "\u3000acme" begins or ends with a blank: use the one in the API's URLs`},
		{baseURL, "ac\nme", token, `the codename "ac\nme" contains a control character: use the one in the API's URLs`},
		{baseURL, "\x7f", token, `the codename "\x7f" contains a control character: use the one in the API's URLs`},
	} {
		client, err := chattonic.New(test.base, test.codename, chattonic.WithToken(test.token))
		assert.EqualError(t, err, test.want, "%q", test.base)
		assert.Nil(t, client)
	}
}

func TestCheckToken(t *testing.T) {
	t.Parallel()
	const (
		bom    = "the access token begins with a byte order mark: save the file as UTF-8 without BOM"
		quotes = "the access token begins or ends with a quotation mark: write the token without quotation marks"
		bearer = "the access token begins with the word Bearer: write only the token, because the word is added to it"
		hidden = "the access token contains an invisible character, such as a zero-width space: type it, or copy it as plain text"
		blank  = "the access token contains a blank: keep only the token"
		line   = "the access token contains a line break or another control character: keep only the token, on one line"
	)
	for text, want := range map[string]string{
		"":                        "", // an HTTP client may authenticate by itself
		"tok":                     "",
		"Bearer":                  "",
		"bearertok":               "",
		"eyJ.a-b_c~d+e/f==":       "",
		`to"k`:                    "",
		"t\u00f6k":                "",
		"\xef\xbb\xbftok":         bom,
		"\xef\xbb\xbf\"tok\"":     bom,
		"\xff\xfet\x00o\x00k\x00": bom, // UTF-16
		"\xfe\xff\x00t\x00o\x00k": bom,
		`"tok"`:                   quotes,
		`'tok'`:                   quotes,
		`"tok`:                    quotes,
		`tok'`:                    quotes,
		"`tok`":                   quotes,
		"\u201ctok\u201d":         quotes,
		"\u00abtok\u00bb":         quotes,
		`"Bearer tok"`:            quotes,
		"Bearer tok":              bearer,
		"bearer  tok":             bearer,
		"BEARER\ttok":             bearer,
		"tok\u200b":               hidden,
		"\u2060tok":               hidden,
		"to\ufeffk":               hidden,
		"to\u00adk":               hidden,
		"to k":                    blank,
		"to\u00a0k":               blank,
		"Authorization: tok":      blank,
		"tok\ntok":                line,
		"to\tk":                   line,
	} {
		err := chattonic.CheckToken(text)
		if want == "" {
			require.NoError(t, err, "%q", text)
			continue
		}
		require.EqualError(t, err, want, "%q", text)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]struct {
		detail    string
		retryable bool
	}{
		304: {"HTTP 304", false},
		400: {"HTTP 400", false},
		401: {"HTTP 401, the access token was not accepted: check that it is current", false},
		403: {"HTTP 403, the access token has no access to this team: check the token and the codename", false},
		404: {"HTTP 404, the team was not found: check the base URL and the codename", false},
		407: {"HTTP 407, the proxy wants a user and password: check the URL of the proxy", false},
		408: {"HTTP 408", false},
		429: {"HTTP 429, too many calls: lengthen the scrape interval or set a ttl", true},
		500: {"HTTP 500", false},
		501: {"HTTP 501", false},
		502: {"HTTP 502", true},
		503: {"HTTP 503", true},
		504: {"HTTP 504", true},
	} {
		for endpoint, call := range calls {
			err := call(t.Context(), newClient(t, baseURL, constant(status, `[{}]`)))
			wanted := chattonic.Error{
				Endpoint: endpoint, StatusCode: status, Cause: chattonic.CauseStatus, Detail: want.detail,
				Retryable: want.retryable && endpoint != chattonic.EndpointNPS,
			}
			assert.Equal(t, wanted, err)
			assert.ErrorIs(t, err, wanted) // which compares with ==
			assert.EqualError(t, err, "requesting the "+string(endpoint)+" endpoint: "+want.detail)
		}
	}
}

// A base URL with a path may lead to a gateway, or may be a mistake.
func TestNotFoundBelowAPath(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		baseURL:              "HTTP 404, the team was not found: check the base URL and the codename",
		baseURL + "/":        "HTTP 404, the team was not found: check the base URL and the codename",
		baseURL + "/api":     "HTTP 404, the team was not found: check the codename and the base URL, to whose path /api/v1 is added",
		baseURL + "/v1/":     "HTTP 404, the team was not found: check the codename and the base URL, to whose path /api/v1 is added",
		baseURL + "/api/v1x": "HTTP 404, the team was not found: check the codename and the base URL, to whose path /api/v1 is added",
		// the API of Kubernetes as a proxy
		baseURL + "/api/v1/namespaces/x/services/y/proxy": "HTTP 404, the team was not found: check the codename and the base URL, to whose path /api/v1 is added",
	} {
		_, err := newClient(t, base, constant(404, `{}`)).Operators(t.Context(), november)
		assert.Equal(t, chattonic.Error{Endpoint: chattonic.EndpointOperators, StatusCode: 404, Cause: chattonic.CauseStatus, Detail: want}, err, base)
	}
}

// script answers with one step after the other.
type script struct {
	steps []transport
	times []time.Time
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	step := s.steps[min(len(s.times), len(s.steps)-1)]
	s.times = append(s.times, time.Now())
	return step(req)
}

func (s *script) pauses() (pauses []time.Duration) {
	for i := 1; i < len(s.times); i++ {
		pauses = append(pauses, s.times[i].Sub(s.times[i-1]))
	}
	return pauses
}

func TestRetries(t *testing.T) {
	t.Parallel()
	good, broken := constant(200, noOperators), failing(io.ErrUnexpectedEOF)
	for name, test := range map[string]struct {
		steps []transport
		want  []int // the statuses of the attempts
		fails bool
	}{
		"none":       {[]transport{good}, []int{200}, false},
		"each once":  {[]transport{constant(502, ""), constant(503, ""), constant(504, ""), good}, []int{502, 503, 504, 200}, false},
		"429":        {[]transport{constant(429, ""), good}, []int{429, 200}, false},
		"connection": {[]transport{broken, broken, good}, []int{0, 0, 200}, false},
		"gives up":   {[]transport{constant(503, "")}, []int{503, 503, 503, 503}, true},
		"then fatal": {[]transport{constant(503, ""), constant(401, "")}, []int{503, 401}, true},
		"500":        {[]transport{constant(500, "")}, []int{500}, true},
		"bad answer": {[]transport{constant(200, "{")}, []int{200}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				via := &script{steps: test.steps}
				var attempts []chattonic.Attempt
				client := newClient(t, baseURL, via, chattonic.WithObserver(func(a chattonic.Attempt) {
					assert.Equal(t, a.StatusCode != http.StatusOK || test.fails, a.Err != nil)
					a.Err = nil
					attempts = append(attempts, a)
				}))
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := client.Operators(ctx, november)
				assert.Equal(t, test.fails, err != nil, "%v", err)
				var want []chattonic.Attempt
				for i, status := range test.want {
					want = append(want, chattonic.Attempt{Endpoint: chattonic.EndpointOperators, Window: november, Retry: i, StatusCode: status, RetryAfter: -1})
				}
				assert.Equal(t, want, attempts)
				assert.Len(t, via.times, len(test.want))
				for i, pause := range via.pauses() {
					mean := 200 * time.Millisecond << i
					assert.InDelta(t, mean, pause, float64(mean)/2+1, "pause %d", i)
				}
			})
		})
	}
}

func TestRetriesNeedADeadline(t *testing.T) {
	t.Parallel()
	via := &script{steps: []transport{constant(503, "")}}
	_, err := newClient(t, baseURL, via).Operators(t.Context(), november)
	assert.True(t, asError(t, err).Retryable)
	assert.Len(t, via.times, 1)
}

func TestRetriesFitTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		via := &script{steps: []transport{constant(503, "")}}
		ctx, cancel := context.WithTimeout(t.Context(), 99*time.Millisecond) // the first pause is 100 ms at least
		defer cancel()
		_, err := newClient(t, baseURL, via).Operators(ctx, november)
		assert.Equal(t, 503, asError(t, err).StatusCode)
		assert.Len(t, via.times, 1)
		assert.NoError(t, ctx.Err(), "it waited for nothing")
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const deadline = 5 * time.Second
	date := func(in time.Duration) func() string {
		return func() string { return time.Now().Add(in).UTC().Format(http.TimeFormat) }
	}
	text := func(s string) func() string { return func() string { return s } }
	for name, test := range map[string]struct {
		header   func() string
		from, to time.Duration // of the pause
		refused  bool          // for want of time
	}{
		"seconds":        {text("2"), 2 * time.Second, 2 * time.Second, false},
		"zero":           {text("0"), 0, 0, false},
		"date":           {date(3 * time.Second), 3 * time.Second, 3 * time.Second, false},
		"past date":      {date(-time.Hour), 0, 0, false},
		"too long":       {text("6"), 0, 0, true},
		"too late":       {date(time.Minute), 0, 0, true},
		"beyond numbers": {text("99999999999999999999"), 0, 0, true},
		"absent":         {text(""), 100 * time.Millisecond, 300*time.Millisecond + 1, false},
		"negative":       {text("-1"), 100 * time.Millisecond, 300*time.Millisecond + 1, false},
		"words":          {text("soon"), 100 * time.Millisecond, 300*time.Millisecond + 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				via := &script{steps: []transport{constant(429, "", "Retry-After", test.header()), constant(200, noOperators)}}
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				start := time.Now()
				_, err := newClient(t, baseURL, via).Operators(ctx, november)
				if test.refused {
					assert.Equal(t, 429, asError(t, err).StatusCode)
					assert.Len(t, via.times, 1)
					assert.Zero(t, time.Since(start), "it comes back at once")
					return
				}
				require.NoError(t, err)
				require.Len(t, via.pauses(), 1)
				assert.GreaterOrEqual(t, via.pauses()[0], test.from)
				assert.LessOrEqual(t, via.pauses()[0], test.to)
			})
		})
	}
}

func TestObserverSeesTheFailureOfEachRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		via := &script{steps: []transport{constant(429, "", "Retry-After", "1"), failing(io.EOF), constant(200, noOperators)}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var observed []chattonic.Attempt
		_, err := newClient(t, baseURL, via, chattonic.WithObserver(func(a chattonic.Attempt) {
			assert.Len(t, via.times, len(observed)+1, "before it asks again")
			observed = append(observed, a)
		})).Operators(ctx, november)
		require.NoError(t, err)
		require.Len(t, observed, 3)
		assert.Equal(t, chattonic.Error{
			Endpoint: chattonic.EndpointOperators, StatusCode: 429, Cause: chattonic.CauseStatus, Retryable: true,
			RetryAfter: time.Second, Detail: "HTTP 429, too many calls: lengthen the scrape interval or set a ttl",
		}, observed[0].Err)
		assert.Equal(t, chattonic.CauseConnection, asError(t, observed[1].Err).Cause)
		require.NoError(t, observed[2].Err)
		for _, a := range observed {
			assert.Equal(t, november, a.Window)
		}
	})
}

func TestGuardDecidesOnEachRequest(t *testing.T) {
	t.Parallel()
	refusal := &chattonic.Error{Endpoint: chattonic.EndpointOperators, Cause: chattonic.CauseRequest, Detail: "not now"}
	for name, test := range map[string]struct {
		admitted int
		want     string
	}{
		"the first": {0, "requesting the operators endpoint: not now"},
		"a retry":   {1, "requesting the operators endpoint: HTTP 503"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				via := &script{steps: []transport{constant(503, "", "Retry-After", "7"), constant(200, noOperators)}}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var observed []string
				admitted := 0
				_, err := newClient(t, baseURL, via,
					chattonic.WithGuard(func(e chattonic.Endpoint) (func(chattonic.Attempt), *chattonic.Error) {
						assert.Equal(t, chattonic.EndpointOperators, e)
						if admitted++; admitted > test.admitted {
							return nil, refusal
						}
						return func(a chattonic.Attempt) {
							observed = append(observed, fmt.Sprintf("guard %d %s", a.StatusCode, a.RetryAfter))
						}, nil
					}),
					chattonic.WithObserver(func(chattonic.Attempt) { observed = append(observed, "observer") }),
				).Operators(ctx, november)
				require.EqualError(t, err, test.want)
				assert.Len(t, via.times, test.admitted)
				assert.Equal(t, []string{"guard 503 7s", "observer"}[:2*test.admitted], append([]string{}, observed...))
			})
		})
	}
}

func TestRetryAfterDateIsReadByTheClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := func() time.Time { return november.End }
		date := november.End.Add(2 * time.Second).Format(http.TimeFormat)
		via := &script{steps: []transport{constant(503, "", "Retry-After", date), constant(200, noOperators)}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := newClient(t, baseURL, via, chattonic.WithClock(clock)).Operators(ctx, november)
		require.NoError(t, err)
		assert.Equal(t, []time.Duration{2 * time.Second}, via.pauses())
	})
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	hang := transport(func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	})
	for endpoint, call := range calls {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			err := call(ctx, newClient(t, baseURL, hang))
			assert.Equal(t, time.Second, time.Since(start))
			assert.Equal(t, chattonic.Error{Endpoint: endpoint, Cause: chattonic.CauseTimeout, Detail: "no complete answer before the timeout"}, err)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.NotErrorIs(t, err, context.Canceled)
		})
	}
	t.Run("of the HTTP client", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			client := newClient(t, baseURL, nil, chattonic.WithHTTPClient(&http.Client{Transport: hang, Timeout: time.Second}))
			_, err := client.Operators(t.Context(), november)
			assert.Equal(t, chattonic.CauseTimeout, asError(t, err).Cause)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		})
	})
	t.Run("in the body", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				if _, err := http.ReadRequest(bufio.NewReader(far)); err == nil {
					_, _ = io.WriteString(far, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"status\"")
				}
				_, _ = io.Copy(io.Discard, far) // until the client closes it
			}()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := newClient(t, "http://chat-tonic.example", &http.Transport{
				DialContext: func(context.Context, string, string) (net.Conn, error) { return near, nil },
			}).Operators(ctx, november)
			assert.Equal(t, time.Second, time.Since(start))
			failure := asError(t, err)
			assert.Equal(t, chattonic.CauseTimeout, failure.Cause)
			assert.Equal(t, 200, failure.StatusCode)
		})
	})
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	via := transport(func(*http.Request) (*http.Response, error) {
		cancel()
		return nil, ctx.Err()
	})
	_, err := newClient(t, baseURL, via).Operators(ctx, november)
	assert.Equal(t, chattonic.Error{
		Endpoint: chattonic.EndpointOperators, Cause: chattonic.CauseCanceled, Detail: "canceled before the answer was complete",
	}, err)
	assert.ErrorIs(t, err, context.Canceled)
	assert.NotErrorIs(t, err, context.DeadlineExceeded)

	t.Run("after the answer", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		via := transport(func(*http.Request) (*http.Response, error) {
			cancel()
			return answer(401, ""), nil
		})
		_, err := newClient(t, baseURL, via).Operators(ctx, november)
		assert.Equal(t, chattonic.CauseStatus, asError(t, err).Cause, "what is known is not hidden")
	})
	t.Run("while it pauses", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			time.AfterFunc(time.Second, cancel)
			via := &script{steps: []transport{constant(503, "", "Retry-After", "10")}}
			start := time.Now()
			_, err := newClient(t, baseURL, via).Operators(ctx, november)
			assert.Equal(t, time.Second, time.Since(start))
			assert.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, 503, asError(t, err).StatusCode, "the last one there was")
			assert.False(t, asError(t, err).Retryable)
		})
	})
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	const (
		away = "redirected to another host, port or scheme, which must not receive the access token: check the base URL"
		loop = "redirected in a loop: check the base URL"
	)
	for _, test := range []struct {
		base, location string
		want           string // the failure, or "" where it is followed
	}{
		{"https://api.example", "/elsewhere", ""},
		{"https://api.example", "https://api.example/elsewhere", ""},
		{"https://api.example", "https://api.example:443/elsewhere", ""},
		{"https://api.example:8443", "https://api.example:8443/elsewhere", ""},
		{"http://api.example", "https://api.example/elsewhere", ""},
		{"http://api.example:80", "https://api.example:443/elsewhere", ""},
		{"https://api.example", "https://evil.example/elsewhere", away},
		{"https://api.example", "https://sub.api.example/elsewhere", away},
		{"https://api.example", "//evil.example/elsewhere", away},
		{"https://api.example", "http://api.example/elsewhere", away},
		{"https://api.example", "https://API.example/elsewhere", away}, // net/http would drop the token
		{"https://api.example", "https://api.example:8443/elsewhere", away},
		{"http://api.example:8080", "https://api.example/elsewhere", away},
		{"http://api.example", "https://api.example:8443/elsewhere", away},
		{"https://api.example:8443", "http://api.example:8443/elsewhere", away},
		{"http://api.example", "https://evil.example/elsewhere", away},
		{"https://api.example", "ftp://api.example/elsewhere", away},
		{"https://api.example", "/api/v1/acme/stats/operator", loop},
	} {
		t.Run(test.base+" "+test.location, func(t *testing.T) {
			t.Parallel()
			var followed []*http.Request
			var attempts []chattonic.Attempt
			via := transport(func(req *http.Request) (*http.Response, error) {
				if req.URL.Path == "/api/v1/acme/stats/operator" {
					return answer(302, "", "Location", test.location), nil
				}
				followed = append(followed, req)
				return answer(200, noOperators), nil
			})
			client := newClient(t, test.base, via, chattonic.WithObserver(func(a chattonic.Attempt) { attempts = append(attempts, a) }))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := client.Operators(ctx, november)
			require.Len(t, attempts, 1)
			if test.want != "" {
				assert.Equal(t, chattonic.Error{
					Endpoint: chattonic.EndpointOperators, StatusCode: 302, Cause: chattonic.CauseRedirect, Detail: test.want,
				}, err)
				assert.Empty(t, followed)
				assert.Equal(t, 302, attempts[0].StatusCode)
				return
			}
			require.NoError(t, err)
			require.Len(t, followed, 1)
			for header, want := range map[string]string{"Authorization": "Bearer " + token, "Accept": "application/json", "Content-Type": "application/json"} {
				assert.Equal(t, want, followed[0].Header.Get(header))
			}
			assert.Equal(t, 200, attempts[0].StatusCode)
		})
	}
}

func TestRedirectsInAChain(t *testing.T) {
	t.Parallel()
	for hops, follows := range map[int]bool{9: true, 10: false} {
		requests := 0
		via := transport(func(*http.Request) (*http.Response, error) {
			if requests++; requests <= hops {
				return answer(307, "", "Location", "/"+strconv.Itoa(requests)), nil
			}
			return answer(200, noOperators), nil
		})
		_, err := newClient(t, baseURL, via).Operators(t.Context(), november)
		assert.Equal(t, follows, err == nil, "%d redirects: %v", hops, err)
	}
}

// A loop is refused before an address gets a second request.
func TestRedirectsInALoop(t *testing.T) {
	t.Parallel()
	for endpoint, call := range calls {
		if endpoint == chattonic.EndpointNPS {
			continue // it follows no redirect
		}
		first := ""
		requests := 0
		via := transport(func(req *http.Request) (*http.Response, error) {
			if requests++; requests == 1 {
				first = req.URL.String()
				return answer(302, "", "Location", "/elsewhere"), nil
			}
			return answer(302, "", "Location", first), nil
		})
		err := call(t.Context(), newClient(t, baseURL, via))
		assert.Equal(t, chattonic.Error{
			Endpoint: endpoint, StatusCode: 302, Cause: chattonic.CauseRedirect, Detail: "redirected in a loop: check the base URL",
		}, err)
		assert.Equal(t, 2, requests)
	}
}

// oneByOne is a body that comes in reads of a size, and breaks after some.
type oneByOne struct {
	io.Reader
	size int
	err  error
}

func (o *oneByOne) Read(p []byte) (int, error) {
	n, err := o.Reader.Read(p[:min(o.size, len(p))])
	if errors.Is(err, io.EOF) && o.err != nil {
		err = o.err
	}
	return n, err
}

// Bodies are read in parts. Whatever their sizes, none is lost or doubled, and a
// body that breaks is not taken for one that ends.
func TestBodiesInParts(t *testing.T) {
	t.Parallel()
	for _, length := range []int{len(noOperators), 32<<10 - 1, 32 << 10, 32<<10 + 1, 96 << 10, 96<<10 + 1, 3 << 20} {
		for _, known := range []bool{true, false} {
			for _, broken := range []error{nil, io.ErrUnexpectedEOF} {
				body := noOperators[:len(noOperators)-1] + strings.Repeat(" ", length-len(noOperators)) + "}"
				via := transport(func(*http.Request) (*http.Response, error) {
					resp, sent := answer(200, ""), body
					if broken != nil {
						sent = body[:length-1]
					}
					resp.Body = io.NopCloser(&oneByOne{strings.NewReader(sent), max(1000, length/64), broken})
					if known {
						resp.ContentLength = int64(length)
					}
					return resp, nil
				})
				_, err := newClient(t, baseURL, via, chattonic.WithMaxBody(int64(length))).Operators(t.Context(), november)
				if broken != nil {
					assert.Equal(t, chattonic.CauseConnection, asError(t, err).Cause, "%d bytes", length)
					continue
				}
				require.NoError(t, err, "%d bytes", length)
				_, err = newClient(t, baseURL, via, chattonic.WithMaxBody(int64(length)-1)).Operators(t.Context(), november)
				assert.Equal(t, chattonic.CauseSize, asError(t, err).Cause, "%d bytes", length)
			}
		}
	}
}

func TestRedirectsAreAlsoCheckedByTheHTTPClient(t *testing.T) {
	t.Parallel()
	own := &http.Client{
		Transport:     constant(302, "", "Location", "/elsewhere"),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	_, err := newClient(t, baseURL, nil, chattonic.WithHTTPClient(own)).Operators(t.Context(), november)
	assert.Equal(t, chattonic.Error{Endpoint: chattonic.EndpointOperators, StatusCode: 302, Cause: chattonic.CauseStatus, Detail: "HTTP 302"}, err)

	own.Transport = constant(302, "", "Location", "https://evil.example/")
	_, err = newClient(t, baseURL, nil, chattonic.WithHTTPClient(own)).Operators(t.Context(), november)
	assert.Equal(t, chattonic.CauseRedirect, asError(t, err).Cause, "its leave cannot send the token away")
}

// closing counts how often a body is closed.
type closing struct {
	io.Reader
	closed *int
}

func (c closing) Close() error {
	*c.closed++
	return nil
}

// A body that is not closed holds its connection for ever.
func TestBodiesAreClosed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		length int64
	}{
		"read whole":         {200, noOperators, -1},
		"no JSON":            {200, "{", -1},
		"beyond the limit":   {200, strings.Repeat(" ", 2000), -1},
		"known to be beyond": {200, noOperators, 2000},
		"another status":     {503, "busy", -1},
	} {
		for endpoint, call := range calls {
			closed := 0
			via := transport(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: test.status, Header: http.Header{}, Body: closing{strings.NewReader(test.body), &closed}, ContentLength: test.length}, nil
			})
			_ = call(t.Context(), newClient(t, baseURL, via, chattonic.WithMaxBody(1000))) // whose error is not the matter here
			assert.Positive(t, closed, "%s: %s", endpoint, name)
		}
	}
}

// The redirects of requests that others make with the same HTTP client are none of
// the Client's business.
func TestHTTPClientStaysAsItIs(t *testing.T) {
	t.Parallel()
	own := &http.Client{Transport: constant(200, noOperators)}
	_, err := chattonic.New(baseURL, "acme", chattonic.WithHTTPClient(own))
	require.NoError(t, err)
	assert.Nil(t, own.CheckRedirect)
	_, err = chattonic.New(baseURL, "acme")
	require.NoError(t, err)
	assert.Nil(t, http.DefaultClient.CheckRedirect)
}

func TestMaxBody(t *testing.T) {
	t.Parallel()
	body := noOperators + strings.Repeat(" ", 100_000)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := io.WriteString(w, body)
	require.NoError(t, err)
	require.NoError(t, w.Close())

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/known"):
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		case strings.HasPrefix(r.URL.Path, "/zipped"):
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(zipped.Bytes())
			return
		}
		_, _ = io.WriteString(w, body)
	}))
	defer server.Close()
	for _, path := range []string{"/known", "/chunked", "/zipped"} {
		client := newClient(t, server.URL+path, server.Client().Transport, chattonic.WithMaxBody(int64(len(body))))
		_, err := client.Operators(t.Context(), november)
		require.NoError(t, err, path)

		client = newClient(t, server.URL+path, server.Client().Transport, chattonic.WithMaxBody(int64(len(body))-1))
		_, err = client.Operators(t.Context(), november)
		assert.Equal(t, chattonic.Error{
			Endpoint: chattonic.EndpointOperators, StatusCode: 200, Cause: chattonic.CauseSize,
			Detail: fmt.Sprintf("the answer has more than %d bytes: raise the size limit if this is expected", len(body)-1),
		}, err, path)
	}
}

var blanks = bytes.Repeat([]byte(" "), 1<<20)

// endless is a body of blanks that never ends.
type endless struct{ read int64 }

func (z *endless) Read(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		rest = rest[copy(rest, blanks):]
	}
	z.read += int64(len(p))
	return len(p), nil
}

func (z *endless) Close() error { return nil }

func TestDefaultMaxBody(t *testing.T) {
	t.Parallel()
	body := new(endless)
	via := transport(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: body, ContentLength: -1}, nil
	})
	_, err := newClient(t, baseURL, via).Operators(t.Context(), november)
	assert.Equal(t, chattonic.CauseSize, asError(t, err).Cause)
	assert.Equal(t, int64(64<<20+1), body.read)

	body = new(endless)
	via = func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: body, ContentLength: 64<<20 + 1}, nil
	}
	_, err = newClient(t, baseURL, via).Operators(t.Context(), november)
	assert.Equal(t, chattonic.CauseSize, asError(t, err).Cause)
	assert.Zero(t, body.read, "what is known to be too large is not read")
}

func TestClientIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/bigquery") {
			_, _ = io.WriteString(w, `[{}]`)
			return
		}
		_, _ = io.WriteString(w, noOperators)
	}))
	defer server.Close()
	var mu sync.Mutex
	seen := map[chattonic.Endpoint]int{}
	client := newClient(t, server.URL, server.Client().Transport, chattonic.WithObserver(func(a chattonic.Attempt) {
		mu.Lock()
		defer mu.Unlock()
		seen[a.Endpoint]++
		assert.Positive(t, a.Duration)
	}))
	var all sync.WaitGroup
	for range 8 {
		for _, call := range calls {
			all.Go(func() { assert.NoError(t, call(t.Context(), client)) })
		}
	}
	all.Wait()
	assert.Equal(t, map[chattonic.Endpoint]int{
		chattonic.EndpointOperators: 8, chattonic.EndpointDashboard: 8, chattonic.EndpointNPS: 8,
	}, seen)
}

func TestRequestThatCannotBeMade(t *testing.T) {
	t.Parallel()
	missing := fmt.Errorf("reading the token: %w", &fs.PathError{Op: "open", Path: "/run/secrets/acme", Err: fs.ErrNotExist})
	_, err := newClient(t, baseURL, failing(missing)).Operators(t.Context(), november)
	assert.Equal(t, chattonic.Error{
		Endpoint: chattonic.EndpointOperators, Cause: chattonic.CauseRequest,
		Detail: "the request could not be sent: open /run/secrets/acme: file does not exist",
	}, err)
	assert.NotErrorIs(t, err, fs.ErrNotExist, "an Error holds no other error, or it would not be comparable")
}
