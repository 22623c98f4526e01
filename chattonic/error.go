package chattonic

import (
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
)

// Cause says what kind of failure an [Error] is.
type Cause string

// The causes of failure.
const (
	// CauseStatus is an HTTP status other than 2xx.
	CauseStatus Cause = "status"
	// CauseTimeout is a deadline that passed before the answer was read.
	CauseTimeout Cause = "timeout"
	// CauseCanceled is a caller who went away.
	CauseCanceled Cause = "canceled"
	// CauseConnection is a connection that could not be made or that broke.
	CauseConnection Cause = "connection"
	// CauseTLS is a certificate or handshake that was not accepted.
	CauseTLS Cause = "tls"
	// CauseRedirect is a redirect that the access token must not follow.
	CauseRedirect Cause = "redirect"
	// CauseSize is an answer beyond the size limit.
	CauseSize Cause = "size"
	// CauseAnswer is an answer that is not what is documented.
	CauseAnswer Cause = "answer"
	// CauseRequest is a request that could not be sent, for instance because
	// the file with the access token cannot be read.
	CauseRequest Cause = "request"
)

// Error is any failure of a call. It is comparable and never holds an access
// token or a part of the answer's body.
type Error struct {
	// Endpoint is what was asked.
	Endpoint Endpoint
	// StatusCode is the HTTP status, or 0 where none was received.
	StatusCode int
	// Retryable says whether the same call may succeed when it is made again
	// soon: after HTTP 429, 502, 503 or 504, or a broken connection. It is
	// false for the NPS export, whose calls must not be repeated unasked.
	Retryable bool
	// Cause is the kind of failure.
	Cause Cause
	// Detail says what happened and, where that is known, what to do.
	Detail string
}

// Error returns the endpoint and the detail.
func (e Error) Error() string { return fmt.Sprintf("asking the %s endpoint: %s", e.Endpoint, e.Detail) }

// Is makes errors.Is tell a timeout and a caller who went away, as for the
// errors of context.
func (e Error) Is(target error) bool {
	return e.Cause == CauseTimeout && target == context.DeadlineExceeded ||
		e.Cause == CauseCanceled && target == context.Canceled
}

// errStatusFalse is an answer with "status": false.
var errStatusFalse = errors.New(`Chat-Tonic refused: "status" is false`)

// redirectError refuses a redirect.
type redirectError string

func (e redirectError) Error() string { return string(e) }

// statusAdvice tells what to do about a status.
var statusAdvice = map[int]string{
	http.StatusUnauthorized:    "the access token was not accepted: check that it is current",
	http.StatusForbidden:       "the access token may not see this team: check the token and the codename",
	http.StatusNotFound:        "nothing is there: check the base URL and the codename",
	http.StatusTooManyRequests: "too many calls: lengthen the scrape interval or set a ttl",
}

func statusError(e Endpoint, status int) Error {
	detail := fmt.Sprintf("HTTP %d", status)
	if advice := statusAdvice[status]; advice != "" {
		detail += ", " + advice
	} else if status/100 == 3 && status != http.StatusNotModified && !e.repeatable() {
		detail += ", a redirect, which an NPS export does not follow: check the base URL and that the access token is current"
	}
	retryable := false
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		retryable = e.repeatable()
	}
	return Error{Endpoint: e, StatusCode: status, Retryable: retryable, Cause: CauseStatus, Detail: detail}
}

// answerError is about a body that was read whole but is not usable.
func answerError(e Endpoint, status int, err error) Error {
	return Error{Endpoint: e, StatusCode: status, Cause: CauseAnswer, Detail: err.Error()}
}

// transportError is about a call without a whole answer. What net/http says
// can quote what the server sent, so only kinds of errors whose text is known
// to be free of that are passed on.
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
		failure.Cause, failure.Detail = CauseCanceled, "canceled before the answer was there"
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		failure.Cause, failure.Detail = CauseTimeout, "no answer in time"
	case errors.As(err, &redirect):
		failure.Cause, failure.Detail = CauseRedirect, redirect.Error()
	case tlsError(err) != nil:
		failure.Cause, failure.Detail = CauseTLS, "TLS: "+tlsError(err).Error()
	case errors.As(err, &name):
		failure.Cause, failure.Detail = CauseConnection, fmt.Sprintf("the address of host %q was not found: check the base URL and the name server", name.Name)
	case errors.As(err, &path):
		failure.Cause, failure.Detail = CauseRequest, "the request could not be made: "+path.Error()
	case errors.As(err, &network):
		failure.Cause, failure.Retryable = CauseConnection, e.repeatable()
		failure.Detail = fmt.Sprintf("the connection failed: %s: %v", network.Op, network.Err)
	case isBroken(err):
		failure.Cause, failure.Retryable = CauseConnection, e.repeatable()
		failure.Detail = "the connection broke before the answer was whole"
	default:
		failure.Cause = CauseConnection
		failure.Detail = "no usable answer from the server or a proxy before it: check the base URL and the proxy"
	}
	return failure
}

// brokenTexts begin what net/http says of broken connections in errors that
// have no public type.
var brokenTexts = []string{
	"http: server closed idle connection",
	"http2: client connection lost",
	"http2: server sent GOAWAY",
	"stream error: ",
}

func isBroken(err error) bool {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		slices.ContainsFunc(brokenTexts, func(text string) bool { return strings.HasPrefix(err.Error(), text) })
}

// tlsError returns what was wrong with a handshake, or nil where that was not
// what failed.
func tlsError(err error) error {
	var (
		verify *tls.CertificateVerificationError
		record tls.RecordHeaderError
		host   x509.HostnameError
		signer x509.UnknownAuthorityError
		// An alert of the handshake, which has no type of its own.
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

// refusal is an answer of an endpoint that answers with something else if it can.
type refusal struct {
	Status *bool `json:"status"`
}

// check returns errStatusFalse if the answer says so.
func (r *refusal) check() error {
	if r.Status != nil && !*r.Status {
		return errStatusFalse
	}
	return nil
}
