package simulator

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"chattonic_exporter/chattonic"
)

const jsonType = "application/json; charset=utf-8"

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
// parts can be combined; without Status, Body, Redirect, Endless and Handler,
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
	// Truncate has the body end in its middle, as if it were whole.
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

// isZero says whether there is no fault at all. Handlers and bodies cannot be
// compared, so the struct cannot either.
func (f *Fault) isZero() bool { return reflect.ValueOf(*f).IsZero() }

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

// FaultNames returns the names that NamedFault knows.
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

func (t *team) setFault(e chattonic.Endpoint, f Fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.isZero() {
		delete(t.faults, e)
		return
	}
	t.faults[e] = f
}

// label returns the fault's name in the table, or "custom".
func (f *Fault) label() string {
	for _, named := range namedFaults {
		if reflect.DeepEqual(named.fault, *f) {
			return named.Name
		}
	}
	return "custom"
}

// answer is what is sent, if no fault meets it on the way.
type answer struct {
	status      int
	contentType string
	header      [2]string // a further one, if named
	body        []byte
}

func (a answer) writeHeader(w http.ResponseWriter, length int) {
	w.Header().Set("Content-Type", a.contentType)
	if length >= 0 {
		w.Header().Set("Content-Length", strconv.Itoa(length))
	}
	if a.header[0] != "" {
		w.Header().Set(a.header[0], a.header[1])
	}
	w.WriteHeader(a.status)
}

func (a answer) write(w http.ResponseWriter) {
	a.writeHeader(w, len(a.body))
	_, _ = w.Write(a.body) // who does not listen is not told
}

// answer returns what a fault makes of the answer to a request.
func (s *Server) answer(r *http.Request, t *team, e chattonic.Endpoint, f Fault) (answer, error) {
	var a answer
	switch {
	case f.Body != nil || f.Endless:
		a = answer{status: http.StatusOK, contentType: jsonType, body: f.Body}
	case f.Redirect != "":
		a = answer{status: http.StatusFound, contentType: jsonType}
	case f.Status != 0:
		a = (&refusal{f.Status, "this is a simulated fault"}).answer()
	default:
		var err error
		if a, err = s.regular(r, t, e); err != nil {
			return answer{}, err
		}
	}
	if f.Status != 0 {
		a.status = f.Status
	}
	if f.ContentType != "" {
		a.contentType = f.ContentType
	}
	if f.Truncate {
		a.body = a.body[:len(a.body)/2]
	}
	return a, nil
}

// send sends an answer, and cuts or slows it as the fault has it.
func (s *Server) send(w http.ResponseWriter, r *http.Request, a answer, f Fault) {
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	if f.Redirect != "" {
		w.Header().Set("Location", f.Redirect)
	}
	switch {
	case f.Endless:
		a.writeHeader(w, -1)
		s.sendBlanks(r.Context(), w, f.Drip)
		panic(http.ErrAbortHandler)
	case f.Cut == CutInBody:
		a.writeHeader(w, len(a.body)+1)
		s.sendBody(r.Context(), w, a.body[:len(a.body)/2], f.Drip)
		panic(http.ErrAbortHandler)
	case f.Drip > 0:
		a.writeHeader(w, len(a.body))
		if !s.sendBody(r.Context(), w, a.body, f.Drip) {
			panic(http.ErrAbortHandler)
		}
	default:
		a.write(w)
	}
}

// sendBody sends a body, in pieces if they are to be apart, and says whether all
// of it was.
func (s *Server) sendBody(ctx context.Context, w http.ResponseWriter, body []byte, drip time.Duration) bool {
	flush := http.NewResponseController(w)
	_ = flush.Flush() // a writer that cannot be flushed sends all at the end
	for len(body) > 0 {
		if drip > 0 && !s.wait(ctx, drip) {
			return false
		}
		n := len(body)
		if drip > 0 {
			n = min(n, 64)
		}
		if _, err := w.Write(body[:n]); err != nil {
			return false
		}
		_ = flush.Flush()
		body = body[n:]
	}
	return true
}

func (s *Server) sendBlanks(ctx context.Context, w http.ResponseWriter, drip time.Duration) {
	blanks := []byte(strings.Repeat(" ", 4096))
	for s.wait(ctx, time.Millisecond) && s.sendBody(ctx, w, blanks, drip) {
		continue
	}
}

// wait waits, and says whether neither the client nor the server ended that.
func (s *Server) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-s.closed:
		return false
	case <-timer.C:
		return true
	}
}
