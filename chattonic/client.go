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
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cenkalti/backoff/v5"
)

const (
	// DefaultMaxBody is the size in bytes beyond which an answer is refused.
	DefaultMaxBody = 64 << 20
	// DefaultDateFormatGroup is the documented dateFormatGroup.
	DefaultDateFormatGroup = "%Y-%m-%d %H"

	// maxTries bounds the requests of one call. A scrape comes again anyway.
	maxTries = 4
	// firstPause is the mean pause before the first retry.
	firstPause = 200 * time.Millisecond
	// maxBuffer is the largest buffer in bytes through which a body is read.
	maxBuffer = 64 << 10
	// maxRedirects is what net/http allows by default.
	maxRedirects = 10
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

// Attempt is one HTTP request of a call.
type Attempt struct {
	// Endpoint is the endpoint of the call.
	Endpoint Endpoint
	// Window is the window of the call.
	Window Window
	// Retry is 0 for the first request of a call and counts up from there.
	Retry int
	// StatusCode is the HTTP status, or 0 where none was received.
	StatusCode int
	// Duration is the time from the request to the end of the answer's body,
	// with any redirects that were followed between the two.
	Duration time.Duration
	// Err is why there is no answer, or nil. It is of the type Error.
	Err error
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
	if err := CheckToken(c.token); err != nil {
		return nil, err
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
// element of the request's path and a label of metrics.
func CheckCodename(codename string) error {
	switch {
	case codename == "":
		return errors.New("the codename is empty: use the one in the API's URLs")
	case codename == ".", codename == "..":
		return fmt.Errorf("the codename cannot be %q: use the one in the API's URLs", codename)
	case !utf8.ValidString(codename):
		return fmt.Errorf("the codename %q is not valid UTF-8: use the one in the API's URLs", codename)
	}
	return nil
}

// CheckToken says, without quoting it, what is wrong with an access token,
// which becomes a part of an HTTP header.
func CheckToken(token string) error {
	if strings.ContainsFunc(token, unicode.IsControl) {
		return errors.New("the access token holds a line break or another control character: keep only the token, on one line")
	}
	return nil
}

// get makes a call: a GET, repeated where that can help before the deadline of
// ctx. It passes the answer to decode.
func (c *Client) get(ctx context.Context, e Endpoint, path string, window Window, query [][2]string, decode func(response) error) error {
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
		start := time.Now()
		status, pause, err := c.try(ctx, e, target.String(), decode)
		attempt.StatusCode, attempt.Duration, attempt.Err = status, time.Since(start), nil
		if failure = err; failure != nil {
			attempt.Err = *failure
		}
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
	case failure.Retryable && errors.Is(ctx.Err(), context.Canceled): // while it paused
		return transportError(ctx, e, failure.StatusCode, err)
	}
	return *failure
}

// try makes one request and passes the answer to decode. The status is 0 without an
// answer. The pause is what Retry-After asks for, or negative.
func (c *Client) try(ctx context.Context, e Endpoint, target string, decode func(response) error) (status int, pause time.Duration, failure *Error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, once(e))
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
		if resp != nil { // a redirect that was refused, whose body is closed
			status = resp.StatusCode
		}
		return status, -1, new(transportError(ctx, e, status, err))
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return resp.StatusCode, retryAfter(resp.Header.Get("Retry-After"), c.now()), new(statusError(e, resp.StatusCode))
	}
	body := &body{Reader: http.MaxBytesReader(nil, resp.Body, c.maxBody)}
	answer := response{body: bufio.NewReaderSize(body, bufferSize(resp.ContentLength)), size: resp.ContentLength, sent: req.Header, contentType: resp.Header.Get("Content-Type")}
	if resp.Request != nil {
		answer.sent = resp.Request.Header // with what transports have added
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
			Detail: fmt.Sprintf("the answer has more than %d bytes: raise the limit if it is right", c.maxBody),
		}
	case body.err != nil:
		return resp.StatusCode, -1, new(transportError(ctx, e, resp.StatusCode, body.err))
	case err != nil:
		return resp.StatusCode, -1, new(answerError(e, resp.StatusCode, err))
	}
	return resp.StatusCode, -1, nil
}

// bufferSize returns the size of the buffer for a body of so many bytes, or of -1
// where the length is not known.
func bufferSize(length int64) int {
	if length < 0 {
		return maxBuffer
	}
	return int(min(length, maxBuffer))
}

// body is the body of an answer. It keeps the error that reading it ends with,
// which a decoder does not tell from an error of its own.
type body struct {
	io.Reader
	err error // nil at the end of the body
}

// Read fills p where the body is long enough. A decoder that gets a long string in
// small pieces takes a time that grows with the square of its length.
func (b *body) Read(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var more int
		more, err = b.Reader.Read(p[n:])
		n += more
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// once returns the body of a request to the endpoint, which is always empty.
// net/http by itself sends a GET again that was sent on a connection which then
// turned out to be closed, unless the request has a body that cannot be read
// twice. An NPS export must not be sent again.
func once(e Endpoint) io.Reader {
	if e.repeatable() {
		return nil
	}
	return struct{ io.Reader }{strings.NewReader("")}
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
// where the request goes. An NPS export follows none: each request can send an
// e-mail. before is what the HTTP client checks besides.
func checkRedirect(before func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if via[0].Body != nil { // an NPS export: see once
			return http.ErrUseLastResponse
		}
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
