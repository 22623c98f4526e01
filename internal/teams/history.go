package teams

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"chattonic_exporter/chattonic"
)

// maxEnded is the number of completed calls that a History keeps.
const maxEnded = 20

// Call is a call to the API.
type Call struct {
	// Endpoint and Window are the parameters of the call.
	Endpoint chattonic.Endpoint
	Window   chattonic.Window
	// Start is when the call started. It includes the time in which the call waits
	// because of the limit for concurrent calls.
	Start time.Time
	// Duration is the duration of the call including all retries, until now if it is in
	// flight.
	Duration time.Duration
	// InFlight means that the call has not ended.
	InFlight bool
	// Err is the error of the call. For a call in flight it is the error of its last
	// failed request. It is nil if there was no error.
	Err error
}

// Snapshot is the content of a History at one point in time.
type Snapshot struct {
	// Calls holds the calls in flight and the last 20 completed calls, newest first.
	Calls []Call
	// Failing holds the last call of each endpoint and window whose last call failed,
	// newest first.
	Failing []Call
	// Answers holds the last successful answer of each endpoint for the History's
	// window. It may be older than a failed call. It must not be changed.
	Answers map[chattonic.Endpoint]chattonic.Answer
}

// History records the last calls of a team for the status pages. Scrapes do not use it. It
// is safe for concurrent use. A nil History records nothing.
type History struct {
	window string
	now    func() time.Time

	mu       sync.Mutex
	inFlight []*Call
	ended    []Call // a ring buffer once it is full
	oldest   int
	failing  map[key]Call
	answers  map[chattonic.Endpoint]chattonic.Answer
}

// NewHistory returns a History that keeps the answers for the window with the given name.
// now is the clock; nil means time.Now.
func NewHistory(window string, now func() time.Time) *History {
	if now == nil {
		now = time.Now
	}
	return &History{window: window, now: now, failing: make(map[key]Call), answers: make(map[chattonic.Endpoint]chattonic.Answer)}
}

// begin records the start of a call.
func (h *History) begin(endpoint chattonic.Endpoint, window chattonic.Window) *Call {
	if h == nil {
		return nil
	}
	c := &Call{Endpoint: endpoint, Window: window, Start: h.now(), InFlight: true}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inFlight = append(h.inFlight, c)
	return c
}

// observe records the error of a failed request of a call in flight.
func (h *History) observe(c *Call, err error) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c.Err = err
}

// end records the result of a call.
func (h *History) end(c *Call, answer chattonic.Answer, err error) {
	if h == nil {
		return
	}
	duration := h.now().Sub(c.Start)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inFlight = slices.DeleteFunc(h.inFlight, func(f *Call) bool { return f == c })
	c.Duration, c.InFlight, c.Err = duration, false, err
	if len(h.ended) < maxEnded {
		h.ended = append(h.ended, *c)
	} else {
		h.ended[h.oldest] = *c
		h.oldest = (h.oldest + 1) % maxEnded
	}
	k := key{c.Endpoint, c.Window.Name}
	if err != nil {
		h.failing[k] = *c
		return
	}
	delete(h.failing, k)
	if c.Window.Name == h.window {
		h.answers[c.Endpoint] = answer
	}
}

// refuse records that a call failed without a request. That is no call, but the endpoint and
// window do not succeed.
func (h *History) refuse(endpoint chattonic.Endpoint, window chattonic.Window, err error) {
	if h == nil {
		return
	}
	start := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failing[key{endpoint, window.Name}] = Call{Endpoint: endpoint, Window: window, Start: start, Err: err}
}

// Snapshot returns the current content of the History.
func (h *History) Snapshot() Snapshot {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Snapshot{Answers: maps.Clone(h.answers)}
	for _, c := range h.inFlight {
		call := *c
		call.Duration = now.Sub(c.Start)
		s.Calls = append(s.Calls, call)
	}
	s.Calls = append(s.Calls, h.ended...)
	for _, c := range h.failing {
		s.Failing = append(s.Failing, c)
	}
	slices.SortFunc(s.Calls, newestFirst)
	slices.SortFunc(s.Failing, newestFirst)
	return s
}

// newestFirst sorts calls by descending start time, then by endpoint and window.
func newestFirst(a, b Call) int {
	return cmp.Or(b.Start.Compare(a.Start), cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Window.Name, b.Window.Name))
}
