package simulator

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"chattonic_exporter/chattonic"
)

// Cut is a place at which the connection is cut.
type Cut int

// The places.
const (
	// CutNowhere leaves the connection alone.
	CutNowhere Cut = iota
	// CutBeforeHeader cuts before anything was sent. The request is not served.
	CutBeforeHeader
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
	// Cut is where the connection is cut.
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

// FaultNames returns the names that NamedFault accepts.
func FaultNames() (names []string) {
	for _, f := range namedFaults {
		names = append(names, f.Name)
	}
	return names
}

// NamedFault returns the fault with the name. It fails where there is none.
func NamedFault(name string) (Fault, error) {
	for _, f := range namedFaults {
		if f.Name == name {
			return f.fault, nil
		}
	}
	return Fault{}, fmt.Errorf("unknown fault %q: use one of %s", name, strings.Join(FaultNames(), ", "))
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

// setFault replaces the fault of an endpoint, by none if it is the zero Fault.
func (t *team) setFault(e chattonic.Endpoint, f Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.faults, e)
	if !reflect.ValueOf(f).IsZero() {
		t.faults[e] = f
	}
}

// call counts a request and returns the fault that it meets.
func (t *team) call(e chattonic.Endpoint) Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls[e]++
	fault := t.faults[e]
	switch {
	case fault.Times == 1:
		delete(t.faults, e)
	case fault.Times > 1:
		fault.Times--
		t.faults[e] = fault
	}
	return fault
}

// answer returns what the fault makes of the answer to a request. It fails where
// the client has gone away.
func (f Fault) answer(regular func() (answer, error)) (a answer, err error) {
	switch {
	case f.Body != nil || f.Endless:
		a = newAnswer(http.StatusOK, f.Body)
	case f.Redirect != "":
		a = newAnswer(http.StatusFound, nil)
	case f.Status != 0:
		a = refuse(f.Status, "this is a simulated fault")
	default:
		if a, err = regular(); err != nil {
			return answer{}, err
		}
	}
	if f.Status != 0 {
		a.status = f.Status
	}
	for name, value := range map[string]string{"Content-Type": f.ContentType, "Retry-After": f.RetryAfter, "Location": f.Redirect} {
		if value != "" {
			a.header.Set(name, value)
		}
	}
	if f.Truncate {
		a.body = a.body[:len(a.body)/2]
	}
	return a, nil
}

// send sends an answer, and cuts or slows it as the fault has it.
func (s *Server) send(w http.ResponseWriter, r *http.Request, a answer, f Fault) {
	body, cut := a.body, f.Cut == CutInBody
	if cut {
		body = body[:len(body)/2]
		a.header.Set("Content-Length", strconv.Itoa(len(a.body)+1))
	} else if !f.Endless {
		a.header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	if f.Drip == 0 && !f.Endless && !cut {
		_, _ = w.Write(body) // the client may have disconnected
		return
	}
	sent := s.sendBody(r.Context(), w, body, f.Drip)
	blanks := []byte(strings.Repeat(" ", 4096))
	for f.Endless && s.wait(r.Context(), time.Millisecond) && s.sendBody(r.Context(), w, blanks, f.Drip) {
		continue
	}
	if !sent || f.Endless || cut {
		panic(http.ErrAbortHandler)
	}
}

// sendBody sends a body, in pieces if there is a pause between them, and says
// whether all of it was sent.
func (s *Server) sendBody(ctx context.Context, w http.ResponseWriter, body []byte, drip time.Duration) bool {
	piece := len(body)
	if drip > 0 {
		piece = 64
	}
	flush := http.NewResponseController(w)
	_ = flush.Flush() // a writer that cannot be flushed sends all at the end
	for len(body) > 0 {
		if drip > 0 && !s.wait(ctx, drip) {
			return false
		}
		n := min(piece, len(body))
		if _, err := w.Write(body[:n]); err != nil {
			return false
		}
		_ = flush.Flush()
		body = body[n:]
	}
	return true
}

// wait waits, and says whether neither the client nor the server ended that.
func (s *Server) wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-s.closed:
		return false
	case <-time.After(d):
		return true
	}
}
