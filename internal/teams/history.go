package teams

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"chattonic_exporter/chattonic"
)

// recent is how many calls that have ended a History holds.
const recent = 20

// Call is a call to the API.
type Call struct {
	// Endpoint and Window are what was asked for.
	Endpoint chattonic.Endpoint
	Window   chattonic.Window
	// Start is when it began, which is to wait for its place among the calls of
	// all teams.
	Start time.Time
	// Duration is how long it took, or has taken so far, with all retries.
	Duration time.Duration
	// InFlight says that it has not ended.
	InFlight bool
	// Err is how it failed, or for a call in flight its last error so far. It
	// is nil where nothing went wrong.
	Err error
}

// Snapshot is what a History holds at a moment.
type Snapshot struct {
	// Calls are those in flight and the last 20 that ended, the newest first.
	Calls []Call
	// Failing are the calls that failed with none of their endpoint and window
	// since that ended well, the newest first.
	Failing []Call
	// Answers are the last good answers of the endpoints for the History's window,
	// which may be older than a failure. They must not be changed.
	Answers map[chattonic.Endpoint]chattonic.Answer
}

// History records the last calls of a team for the pages for people. No scrape is
// answered from it. It is safe for concurrent use; a nil History records nothing.
type History struct {
	window string
	now    func() time.Time

	mu       sync.Mutex
	inFlight []*Call
	ended    []Call // a ring, when it is full
	oldest   int
	failing  map[key]Call
	answers  map[chattonic.Endpoint]chattonic.Answer
}

// NewHistory returns a History that keeps the answers for the window of that name.
// now is the clock; nil means time.Now.
func NewHistory(window string, now func() time.Time) *History {
	if now == nil {
		now = time.Now
	}
	return &History{window: window, now: now, failing: make(map[key]Call), answers: make(map[chattonic.Endpoint]chattonic.Answer)}
}

// begin records a call that begins.
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

// observe records the failure of a request that the call repeats.
func (h *History) observe(c *Call, err error) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c.Err = err
}

// end records the answer of a call, or its failure.
func (h *History) end(c *Call, answer chattonic.Answer, err error) {
	if h == nil {
		return
	}
	duration := h.now().Sub(c.Start)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inFlight = slices.DeleteFunc(h.inFlight, func(f *Call) bool { return f == c })
	c.Duration, c.InFlight, c.Err = duration, false, err
	if len(h.ended) < recent {
		h.ended = append(h.ended, *c)
	} else {
		h.ended[h.oldest] = *c
		h.oldest = (h.oldest + 1) % recent
	}
	of := key{c.Endpoint, c.Window.Name}
	if err != nil {
		h.failing[of] = *c
		return
	}
	delete(h.failing, of)
	if c.Window.Name == h.window {
		h.answers[c.Endpoint] = answer
	}
}

// Snapshot returns what the History holds now.
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

// newestFirst orders calls by their start, and those of a moment by what they
// ask for.
func newestFirst(a, b Call) int {
	return cmp.Or(b.Start.Compare(a.Start), cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Window.Name, b.Window.Name))
}
