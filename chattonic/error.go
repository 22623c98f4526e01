package chattonic

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Cause is the kind of an [Error].
type Cause string

// The causes of failure.
const (
	// CauseStatus is an HTTP status other than 2xx.
	CauseStatus Cause = "status"
	// CauseTimeout is a deadline that passed before the answer was read.
	CauseTimeout Cause = "timeout"
	// CauseCanceled is a context that was canceled by the caller.
	CauseCanceled Cause = "canceled"
	// CauseConnection is a connection that could not be opened or that broke.
	CauseConnection Cause = "connection"
	// CauseTLS is a failed TLS handshake, such as an untrusted certificate.
	CauseTLS Cause = "tls"
	// CauseRedirect is a redirect to a target that must not receive the access token,
	// or a redirect loop.
	CauseRedirect Cause = "redirect"
	// CauseSize is an answer beyond the size limit.
	CauseSize Cause = "size"
	// CauseAnswer is an answer that is invalid, or that reports a failure.
	CauseAnswer Cause = "answer"
	// CauseRequest is a request that could not be sent, for example because the
	// access token file cannot be read.
	CauseRequest Cause = "request"
)

// Error is the error of a failed call. It is comparable. It never contains an access
// token or text from the answer's body.
type Error struct {
	// Endpoint is the endpoint of the call.
	Endpoint Endpoint
	// StatusCode is the HTTP status, or 0 if none was received.
	StatusCode int
	// Retryable reports whether a retry may succeed: after HTTP 429, 502, 503 or 504,
	// or a broken connection. It is false for the NPS export, which must not be
	// retried automatically.
	Retryable bool
	// Cause is the kind of failure.
	Cause Cause
	// RetryAfter is the wait that the answer's Retry-After header asks for, or 0
	// without one.
	RetryAfter time.Duration
	// Detail says what happened and, if known, what to do.
	Detail string
}

// Error returns a message with the endpoint and the detail.
func (e Error) Error() string {
	return fmt.Sprintf("requesting the %s endpoint: %s", e.Endpoint, e.Detail)
}

// Is reports whether errors.Is(e, target) is true: for context.DeadlineExceeded after a
// timeout, and for context.Canceled after a cancellation.
func (e Error) Is(target error) bool {
	return e.Cause == CauseTimeout && target == context.DeadlineExceeded ||
		e.Cause == CauseCanceled && target == context.Canceled
}

// errHTML is the error for an answer that is an HTML page.
var errHTML = errors.New("the answer is an HTML page, such as a login page: check the base URL and the proxy")

// errStatusFalse is the error for an answer with "status": false.
var errStatusFalse = errors.New(`Chat-Tonic refused: "status" is false`)

// redirectError is the reason for refusing a redirect.
type redirectError string

func (e redirectError) Error() string { return string(e) }

// statusAdvice holds the explanation and advice for HTTP statuses.
var statusAdvice = map[int]string{
	http.StatusUnauthorized:      "the access token was not accepted: check that it is current",
	http.StatusForbidden:         "the access token has no access to this team: check the token and the codename",
	http.StatusNotFound:          "the team was not found: check the base URL and the codename",
	http.StatusProxyAuthRequired: "the proxy wants a user and password: check the URL of the proxy",
	http.StatusTooManyRequests:   "too many calls: lengthen the scrape interval or set a ttl",
}

// notFoundBelowPath is the advice for HTTP 404 if the base URL has a path.
const notFoundBelowPath = "the team was not found: check the codename and the base URL, to whose path /api/v1 is added"

func (c *Client) statusError(e Endpoint, status int) Error {
	detail := describeStatus(status)
	if status == http.StatusNotFound && c.basePath {
		detail = "HTTP 404, " + notFoundBelowPath
	}
	if status/100 == 3 && status != http.StatusNotModified && !e.repeatable() {
		detail += ", a redirect, which an NPS export does not follow: check the base URL and that the access token is current"
	}
	retryable := false
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		retryable = e.repeatable()
	}
	return Error{Endpoint: e, StatusCode: status, Retryable: retryable, Cause: CauseStatus, Detail: detail}
}

// describeStatus returns the status with its explanation and advice, if there are any.
func describeStatus(status int) string {
	text := fmt.Sprintf("HTTP %d", status)
	if advice := statusAdvice[status]; advice != "" {
		text += ", " + advice
	}
	return text
}

// answerError returns the error for a complete but invalid answer.
func answerError(e Endpoint, status int, err error) Error {
	return Error{Endpoint: e, StatusCode: status, Cause: CauseAnswer, Detail: err.Error()}
}

// transportError returns the error for a request without a complete answer. Errors of
// net/http may quote data from the server, so only the text of errors that never do is
// kept.
func transportError(ctx context.Context, e Endpoint, status int, err error) Error {
	failure := Error{Endpoint: e, StatusCode: status}
	var (
		redirect redirectError
		network  *net.OpError
		name     *net.DNSError
		path     *fs.PathError
		timeout  net.Error
	)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		failure.Cause, failure.Detail = CauseCanceled, "canceled before the answer was complete"
	case errors.As(err, &path): // before timeouts, because a file may be what took the time
		failure.Cause, failure.Detail = CauseRequest, "the request could not be sent: "+path.Error()
		if ctx.Err() != nil {
			failure.Cause = CauseTimeout
		}
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		failure.Cause, failure.Detail = CauseTimeout, "no complete answer before the timeout"
	case errors.As(err, &redirect):
		failure.Cause, failure.Detail = CauseRedirect, redirect.Error()
	case tlsError(err) != nil:
		failure.Cause, failure.Detail = CauseTLS, "TLS: "+tlsError(err).Error()
	case errors.As(err, &name):
		failure.Cause, failure.Detail = CauseConnection, fmt.Sprintf("the host name %q cannot be resolved: check the base URL and the DNS server", name.Name)
	case errors.As(err, &network):
		failure.Cause, failure.Retryable = CauseConnection, e.repeatable()
		failure.Detail = fmt.Sprintf("the connection failed: %s: %v", network.Op, network.Err)
	case isBroken(err):
		failure.Cause, failure.Retryable = CauseConnection, e.repeatable()
		failure.Detail = "the connection broke before the answer was complete"
	case refusedConnect(err) != 0:
		failure.Cause = CauseConnection
		failure.Detail = "the proxy did not connect to the host: " + describeConnect(refusedConnect(err))
	default:
		failure.Cause = CauseConnection
		failure.Detail = "invalid HTTP response from the server or a proxy: check the base URL and the proxy"
	}
	return failure
}

// brokenTexts are prefixes of net/http errors about broken connections that have no
// public type.
var brokenTexts = []string{
	"http: server closed idle connection",
	"http2: client connection lost",
	"http2: server sent GOAWAY",
	"stream error: ",
}

// refusedConnect returns the HTTP status with which a proxy refused to connect to an https
// host, or 0. net/http returns the status line's text as the error, which the proxy is
// free to choose, so only the standard texts are recognized.
func refusedConnect(err error) int {
	text := withoutURL(err).Error()
	for status := http.StatusBadRequest; status < 600; status++ {
		if standard := http.StatusText(status); standard != "" && strings.EqualFold(text, standard) {
			return status
		}
	}
	return 0
}

// describeConnect returns the description of the status with which a proxy refused to
// connect. Other advice for statuses is about those of the API.
func describeConnect(status int) string {
	if status == http.StatusProxyAuthRequired {
		return describeStatus(status)
	}
	return fmt.Sprintf("HTTP %d: check the proxy and its rules", status)
}

// withoutURL returns the cause of an error of an HTTP client.
func withoutURL(err error) error {
	if request, ok := errors.AsType[*url.Error](err); ok {
		return request.Err
	}
	return err
}

func isBroken(err error) bool {
	err = withoutURL(err)
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		slices.ContainsFunc(brokenTexts, func(text string) bool { return strings.HasPrefix(err.Error(), text) })
}

// tlsError returns the error of the TLS handshake in err, or nil if there is none.
func tlsError(err error) error {
	var (
		verify *tls.CertificateVerificationError
		record tls.RecordHeaderError
		host   x509.HostnameError
		signer x509.UnknownAuthorityError
		// for TLS alerts, which have no public type
		network *net.OpError
	)
	switch {
	case errors.As(err, &host):
		return host
	case errors.As(err, &signer):
		return signer
	case errors.As(err, &verify):
		return verify
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return errors.New("the server does not speak TLS on this port")
	case errors.As(err, &network) && (network.Op == "remote error" || network.Op == "local error"):
		return network.Err
	}
	return nil
}

// statusField is the field with which an answer reports success or failure.
type statusField struct {
	Status *bool `json:"status"`
}

// check returns errStatusFalse if status is false. A missing status is not an error.
func (r *statusField) check() error {
	if r.Status != nil && !*r.Status {
		return errStatusFalse
	}
	return nil
}

// fieldError is an error about a valid JSON value that is not as documented. It never
// contains the value.
type fieldError struct {
	path    string // such as operators.nps; empty for the answer itself
	problem string
}

func (e *fieldError) Error() string { return cmp.Or(e.path, "the answer") + " " + e.problem }

// prefixField prepends the name of a field to the path of a fieldError.
func prefixField(name string, err error) error {
	var e *fieldError
	if !errors.As(err, &e) {
		return err
	}
	if e.path != "" {
		name += "." + e.path
	}
	return &fieldError{name, e.problem}
}
