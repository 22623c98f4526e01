package simulator

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"chattonic_exporter/chattonic"
)

// Cut is a place at which the connection is cut.
type Cut int

// The places.
const (
	// CutBeforeHeader cuts before anything was sent. The request is not served.
	CutBeforeHeader Cut = iota + 1
	// CutInBody cuts after the header and half of the body.
	CutInBody
)

// Fault is what a request meets in place of its answer, or on the way to it. Its
// fields can be combined; without Status, Body, Redirect, Endless and Handler,
// the request is checked and answered as ever.
type Fault struct {
	// Delay passes before anything else happens.
	Delay time.Duration
	// Status is the HTTP status of the answer; 200 if 0.
	Status int
	// RetryAfter is the answer's Retry-After header, if not empty.
	RetryAfter string
	// Redirect is the answer's Location, if not empty; Status is then 302 if 0.
	Redirect string
	// Body is the answer's body, if not nil.
	Body []byte
	// ContentType is the answer's; that of JSON if empty.
	ContentType string
	// Truncate has the body end in its middle, as if it were complete.
	Truncate bool
	// Cut is where the connection is cut, if not 0.
	Cut Cut
	// Drip is the pause before every 64 bytes of the body.
	Drip time.Duration
	// Endless has blanks follow the header, up to 4 MB a second, until the
	// client has gone away or the server is closed.
	Endless bool
	// Handler answers instead, after Delay, if not nil.
	Handler http.Handler
	// Times is how many requests meet the fault; all if 0.
	Times int
}

// namedFaults is the table of faults that have a name. Those with a button are
// on the control page.
var namedFaults = []struct {
	Name   string
	Button bool
	Help   string
	fault  Fault
}{
	{"none", true, "answers as ever", Fault{}},
	{"500", true, "internal server error", Fault{Status: http.StatusInternalServerError}},
	{"429", true, "too many requests, with Retry-After", Fault{Status: http.StatusTooManyRequests, RetryAfter: "1"}},
	{"hang", true, "no answer", Fault{Delay: 24 * time.Hour}},
	{"401", false, "the token is not accepted", Fault{Status: http.StatusUnauthorized}},
	{"503", false, "service unavailable", Fault{Status: http.StatusServiceUnavailable}},
	{"slow", false, "answers after three seconds", Fault{Delay: 3 * time.Second}},
	{"drip", false, "a body that comes slowly", Fault{Drip: 200 * time.Millisecond}},
	{"cut", false, "a connection cut before the header", Fault{Cut: CutBeforeHeader}},
	{"cut_body", false, "a connection cut in the body", Fault{Cut: CutInBody}},
	{"truncated", false, "JSON that ends in its middle", Fault{Truncate: true}},
	{"malformed", false, "what is no JSON", Fault{Body: []byte(`{"status":true,"operators":[{]}`)}},
	{"html", false, "an HTML page", Fault{Body: []byte("<!DOCTYPE html><title>Sign in</title><p>Sign in."), ContentType: "text/html; charset=utf-8"}},
	{"wrong_types", false, "JSON of other types", Fault{Body: []byte(`{"status":"yes","operators":"none","queryPending":{}}`)}},
	{"endless", false, "a body without an end", Fault{Endless: true}},
}

// NamedFault returns the fault with the name. It fails where there is none.
func NamedFault(name string) (Fault, error) {
	var names []string
	for _, f := range namedFaults {
		if f.Name == name {
			return f.fault, nil
		}
		names = append(names, f.Name)
	}
	return Fault{}, fmt.Errorf("unknown fault %q: use one of %s", name, strings.Join(names, ", "))
}

// label returns the fault's name in the table, or "custom".
func (f Fault) label() string {
	for _, named := range namedFaults {
		if reflect.DeepEqual(named.fault, f) {
			return named.Name
		}
	}
	return "custom"
}

// call counts a request and returns the fault that it meets.
func (s *Server) call(t *team, e chattonic.Endpoint) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.calls[e]++
	fault := t.faults[e]
	if left := fault; left.Times > 1 {
		left.Times--
		t.faults[e] = left
	} else if left.Times == 1 {
		delete(t.faults, e)
	}
	return fault
}

// answer returns what comes in place of the answer to a request, if anything does.
func (f Fault) answer() (a answer, replaced bool) {
	switch {
	case f.Body != nil || f.Endless:
		return answer{cmp.Or(f.Status, http.StatusOK), f.Body}, true
	case f.Redirect != "":
		return answer{cmp.Or(f.Status, http.StatusFound), nil}, true
	case f.Status != 0:
		return refuse(f.Status, "this is a simulated fault"), true
	}
	return a, false
}

// send sends an answer, and changes, cuts or slows it as the fault has it.
func (s *Server) send(w http.ResponseWriter, r *http.Request, a answer, f Fault) {
	header := w.Header()
	header.Set("Content-Type", cmp.Or(f.ContentType, "application/json; charset=utf-8"))
	for name, value := range map[string]string{"Retry-After": f.RetryAfter, "Location": f.Redirect} {
		if value != "" {
			header.Set(name, value)
		}
	}
	switch a.status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodGet)
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", "Bearer")
	}
	body, length, size := a.body, len(a.body), max(1, len(a.body))
	switch {
	case f.Truncate:
		body, length = body[:len(body)/2], len(body)/2
	case f.Cut == CutInBody:
		body, length = body[:len(body)/2], len(body)+1
	}
	if !f.Endless {
		header.Set("Content-Length", strconv.Itoa(length))
	}
	if f.Drip > 0 {
		size = 64
	}
	w.WriteHeader(a.status)
	if f.Drip > 0 || f.Cut == CutInBody {
		s.write(w, r, nil, 0) // sends the header
	}
	for piece := range slices.Chunk(body, size) {
		s.write(w, r, piece, f.Drip)
	}
	for f.Endless {
		s.write(w, r, bytes.Repeat([]byte(" "), 4096), max(f.Drip, time.Millisecond))
	}
	if f.Cut == CutInBody {
		panic(http.ErrAbortHandler)
	}
}

// write sends a piece of a body after a pause, or cuts the connection.
func (s *Server) write(w http.ResponseWriter, r *http.Request, piece []byte, pause time.Duration) {
	s.pause(r, pause)
	if _, err := w.Write(piece); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		panic(http.ErrAbortHandler)
	}
	_ = http.NewResponseController(w).Flush() // a writer that cannot be flushed sends all at the end
}

// pause waits, and cuts the connection where the client or the server ends that.
func (s *Server) pause(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	case <-s.closed:
		panic(http.ErrAbortHandler)
	case <-time.After(d):
	}
}
