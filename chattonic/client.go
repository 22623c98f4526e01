package chattonic

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// DefaultMaxBody is the default of WithMaxBody in bytes.
	DefaultMaxBody = 64 << 20
	// DefaultDateFormatGroup is the documented dateFormatGroup.
	DefaultDateFormatGroup = "%Y-%m-%d %H"

	// maxTries is the maximum number of requests of one call. It is small
	// because the next scrape makes a new call anyway.
	maxTries = 4
	// firstPause is the mean delay before the first retry.
	firstPause = 200 * time.Millisecond
	// maxBuffer is the size in bytes of the largest read buffer for a body.
	maxBuffer = 64 << 10
	// maxRedirects is the default limit of net/http.
	maxRedirects = 10
	// dateForm is the documented format of dates, which are in UTC.
	dateForm = "2006-01-02T15:04:05.000Z"
)

// Client calls the stats API for one team. It is safe for concurrent use.
type Client struct {
	base            *url.URL
	basePath        bool // the base URL has a path
	http            *http.Client
	token           string
	dateFormatGroup string
	maxBody         int64
	observe         func(Attempt)
	guard           func(Endpoint) (done func(Attempt), refusal *Error)
	now             func() time.Time
}

// Attempt is one HTTP request of a call.
type Attempt struct {
	// Endpoint is the endpoint of the call.
	Endpoint Endpoint
	// Window is the window of the call.
	Window Window
	// Retry is 0 for the first request of a call and counts up from there.
	Retry int
	// StatusCode is the HTTP status, or 0 if none was received.
	StatusCode int
	// Duration is the time from sending the request to the end of the answer's
	// body. It includes redirects.
	Duration time.Duration
	// RetryAfter is the value of the Retry-After header. It is negative if the
	// header is missing or invalid.
	RetryAfter time.Duration
	// Err is the error of the request, of the type Error, or nil if it succeeded.
	Err error
}

// Option adjusts a Client.
type Option func(*Client)

// WithHTTPClient sets the HTTP client. New copies it and restricts redirects to
// the same host. The default is http.DefaultClient.
func WithHTTPClient(client *http.Client) Option {
	return func(c *Client) {
		limited := *client
		limited.CheckRedirect = checkRedirect(client.CheckRedirect)
		c.http = &limited
	}
}

// WithToken sets the access token that each request sends as a bearer token. It is
// not needed if the HTTP client authenticates by itself.
func WithToken(token string) Option { return func(c *Client) { c.token = token } }

// WithDateFormatGroup sets the strftime-like format by which the dashboard
// groups its rows. DefaultDateFormatGroup is the documented one.
func WithDateFormatGroup(format string) Option {
	return func(c *Client) { c.dateFormatGroup = format }
}

// WithMaxBody sets the maximum size of an answer's body in bytes. A call with a
// larger answer fails with CauseSize. The default is DefaultMaxBody.
func WithMaxBody(bytes int64) Option { return func(c *Client) { c.maxBody = bytes } }

// WithObserver sets a function that is called after each HTTP request. It must be
// safe for concurrent use.
func WithObserver(observe func(Attempt)) Option { return func(c *Client) { c.observe = observe } }

// WithGuard sets a function that is called before each HTTP request, also before
// retries. If it returns a refusal, the request is not sent and the call fails: with
// the refusal, or with the error of the request that would have been retried.
// Otherwise done is called after the request, before the observer. The function must be
// safe for concurrent use.
func WithGuard(guard func(Endpoint) (done func(Attempt), refusal *Error)) Option {
	return func(c *Client) { c.guard = guard }
}

// WithClock sets the clock for ReceivedAt and for Retry-After headers with a date.
// The default is time.Now.
func WithClock(now func() time.Time) Option { return func(c *Client) { c.now = now } }

// New returns a Client for the team with the codename at the API's base URL,
// such as https://chat-tonic.example. It fails if ParseBaseURL, CheckCodename or
// CheckToken reports an error.
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
		basePath:        strings.Trim(base.Path, "/") != "",
		dateFormatGroup: DefaultDateFormatGroup,
		maxBody:         DefaultMaxBody,
		observe:         func(Attempt) {},
		guard:           func(Endpoint) (func(Attempt), *Error) { return func(Attempt) {}, nil },
		now:             time.Now,
	}
	WithHTTPClient(http.DefaultClient)(c)
	for _, option := range options {
		if option == nil {
			continue
		}
		option(c)
	}
	if err := CheckToken(c.token); err != nil {
		return nil, err
	}
	return c, nil
}

// apiPath matches paths that end with the API's, up to or including an endpoint.
var apiPath = regexp.MustCompile(`/api/v1(/[^/]+/stats(/.*)?)?/?$`)

// ParseBaseURL parses the API's base URL. It fails unless the URL has the scheme
// http or https and a host, and has no user, query or fragment. It fails if the path
// ends like the API's, which is added to it. Errors do not quote the URL because it may
// contain a password.
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
	case apiPath.MatchString(base.JoinPath().Path):
		return nil, errors.New("a base URL must not have the path /api/v1, which is added to it: use one such as https://chat-tonic.example")
	}
	return base, nil
}

// get makes a call: a GET request, with retries after retryable errors until the
// deadline of ctx. Without a deadline it does not retry. It passes the answer to
// decode.
func (c *Client) get(ctx context.Context, e Endpoint, path string, window Window, query [][2]string, decode func(response) error) error {
	if window.End.Before(window.Start) {
		return Error{Endpoint: e, Cause: CauseRequest, Detail: "the window ends before it begins: check its Start and End"}
	}
	query = append(query, [2]string{"startDate", formatDate(window.Start)}, [2]string{"endDate", formatDate(window.End)})
	target := *c.base.JoinPath(path)
	target.RawQuery = encodeQuery(query)

	tries := uint(maxTries)
	deadline, bounded := ctx.Deadline()
	if !bounded {
		tries = 1
	}
	attempt := Attempt{Endpoint: e, Window: window}
	var failure *Error
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		done, refusal := c.guard(e)
		if refusal != nil {
			if failure == nil {
				failure = refusal
			}
			return struct{}{}, backoff.Permanent(failure)
		}
		start := time.Now()
		status, pause, err := c.try(ctx, e, target.String(), decode)
		attempt.StatusCode, attempt.Duration, attempt.RetryAfter, attempt.Err = status, time.Since(start), pause, nil
		if failure = err; failure != nil {
			attempt.Err = *failure
		}
		done(attempt)
		c.observe(attempt)
		attempt.Retry++
		switch {
		case failure == nil:
			return struct{}{}, nil
		case !failure.Retryable:
			return struct{}{}, backoff.Permanent(failure)
		case pause >= 0:
			return struct{}{}, &backoff.RetryAfterError{Duration: pause}
		}
		return struct{}{}, failure
	},
		backoff.WithMaxTries(tries),
		backoff.WithMaxElapsedTime(time.Until(deadline)),
		backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: firstPause, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: time.Minute}),
	)
	switch {
	case err == nil:
		return nil
	case failure.Retryable && errors.Is(ctx.Err(), context.Canceled): // during the delay before a retry
		return transportError(ctx, e, failure.StatusCode, err)
	}
	return *failure
}

// try sends one request and passes the answer to decode. The status is 0 if none was
// received. The pause is the value of Retry-After, or negative without one.
func (c *Client) try(ctx context.Context, e Endpoint, target string, decode func(response) error) (status int, pause time.Duration, failure *Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, emptyBody(e))
	if err != nil {
		return 0, -1, new(transportError(ctx, e, 0, err))
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if resp != nil { // checkRedirect refused a redirect; the body is already closed
			status = resp.StatusCode
		}
		return status, -1, new(transportError(ctx, e, status, err))
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		pause, failure := retryAfter(resp.Header.Get("Retry-After"), c.now()), c.statusError(e, resp.StatusCode)
		failure.RetryAfter = max(0, pause)
		return resp.StatusCode, pause, &failure
	}
	body := &body{Reader: http.MaxBytesReader(nil, resp.Body, c.maxBody)}
	answer := response{body: bufio.NewReaderSize(body, bufferSize(resp.ContentLength)), size: resp.ContentLength, sent: req.Header, contentType: resp.Header.Get("Content-Type")}
	if resp.Request != nil {
		answer.sent = resp.Request.Header // includes headers that transports added
	}
	if resp.ContentLength > c.maxBody {
		body.err = &http.MaxBytesError{Limit: c.maxBody}
	} else {
		err = decode(answer)
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(body.err, &tooLarge):
		return resp.StatusCode, -1, &Error{
			Endpoint: e, StatusCode: resp.StatusCode, Cause: CauseSize,
			Detail: fmt.Sprintf("the answer has more than %d bytes: raise the size limit if this is expected", c.maxBody),
		}
	case body.err != nil:
		return resp.StatusCode, -1, new(transportError(ctx, e, resp.StatusCode, body.err))
	case err != nil:
		return resp.StatusCode, -1, new(answerError(e, resp.StatusCode, err))
	}
	return resp.StatusCode, -1, nil
}

// bufferSize returns the size of the read buffer for a body with the given length in
// bytes, which is -1 if it is unknown.
func bufferSize(length int64) int {
	if length < 0 {
		return maxBuffer
	}
	return int(min(length, maxBuffer))
}

// body is the body of an answer. It keeps the read error, because a decoder does not
// distinguish read errors from its decoding errors.
type body struct {
	io.Reader
	err error // nil if the body was read to its end
}

// Read reads from the body.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// emptyBody returns the empty body of a request to the endpoint. net/http resends a
// GET request if the connection turns out to be closed, unless the request has a
// body that cannot be read twice. An NPS export must not be resent, so it gets such
// a body.
func emptyBody(e Endpoint) io.Reader {
	if e.repeatable() {
		return nil
	}
	return struct{ io.Reader }{strings.NewReader("")}
}

// retryAfter parses a Retry-After header, which holds seconds or a date. It returns a
// negative duration if the header is missing or invalid.
func retryAfter(header string, now time.Time) time.Duration {
	seconds, err := strconv.ParseUint(header, 10, 31)
	if err == nil || errors.Is(err, strconv.ErrRange) { // ParseUint returns the maximum then
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(header); err == nil {
		return max(0, date.Sub(now))
	}
	return -1
}

// checkRedirect lets a redirect stay on its host, because the access token goes
// where the request goes. An NPS export follows none: each request can send an
// e-mail. next is the
// CheckRedirect function of the original HTTP client, or nil.
func checkRedirect(next func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if via[0].Body != nil { // an NPS export: see once
			return http.ErrUseLastResponse
		}
		from, to := via[len(via)-1].URL, req.URL
		loop := slices.ContainsFunc(via, func(earlier *http.Request) bool { return earlier.URL.String() == to.String() })
		switch {
		case len(via) >= maxRedirects, loop:
			return redirectError("redirected in a loop: check the base URL")
		case !tokenMayFollow(from, to):
			return redirectError("redirected to another host, port or scheme, which must not receive the access token: check the base URL")
		}
		// net/http drops this header after 301, 302 and 303.
		req.Header.Set("Content-Type", via[0].Header.Get("Content-Type"))
		if next == nil {
			return nil
		}
		return next(req, via)
	}
}

// tokenMayFollow reports whether the target of a redirect may receive the access
// token: it must have the same scheme, host and port, except that http on port 80 may
// become https on port 443.
func tokenMayFollow(from, to *url.URL) bool {
	upgrade := from.Scheme == "http" && to.Scheme == "https" && port(from) == "80" && port(to) == "443"
	return from.Hostname() == to.Hostname() &&
		(from.Scheme == to.Scheme && port(from) == port(to) || upgrade)
}

func port(u *url.URL) string {
	return cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
}

func formatDate(t time.Time) string { return t.UTC().Format(dateForm) }

// encodeQuery encodes a query string. Unlike url.Values, it encodes a space as %20,
// because some servers do not decode a plus sign as a space.
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
