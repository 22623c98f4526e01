package teams

import (
	"net/http"
	"sync/atomic"
)

// firstAlone is an http.RoundTripper that sends requests one at a time until one has been
// answered. That of prometheus/common for OAuth2 sets itself up in its first request, and
// concurrent ones read what it writes (version 0.73.1). It is safe for concurrent use.
type firstAlone struct {
	next     http.RoundTripper
	alone    chan struct{} // holds a value while a request may set next up
	answered atomic.Bool
}

func newFirstAlone(next http.RoundTripper) *firstAlone {
	return &firstAlone{next: next, alone: make(chan struct{}, 1)}
}

// RoundTrip sends a request. It waits for the first one no longer than its context allows.
func (f *firstAlone) RoundTrip(r *http.Request) (*http.Response, error) {
	if !f.answered.Load() {
		select {
		case f.alone <- struct{}{}:
			defer func() { <-f.alone }()
		case <-r.Context().Done():
			if r.Body != nil {
				_ = r.Body.Close() // as the interface demands; the error is that of the context
			}
			return nil, r.Context().Err()
		}
	}
	resp, err := f.next.RoundTrip(r)
	if err == nil {
		f.answered.Store(true)
	}
	return resp, err
}

// CloseIdleConnections closes the idle connections. Before the first answer there may be none.
func (f *firstAlone) CloseIdleConnections() {
	if !f.answered.Load() {
		select {
		case f.alone <- struct{}{}:
			defer func() { <-f.alone }()
		default:
			return
		}
	}
	closeIdle(f.next)
}
