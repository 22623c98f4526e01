package teams

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
)

const (
	// maxEnded is the number of completed calls that a History keeps.
	maxEnded = 20
	// TrendSpan is how long a History keeps points.
	TrendSpan = 3 * time.Hour
	// pointSpacing limits the number of points: of three that are closer the middle one
	// is dropped.
	pointSpacing = 5 * time.Second
	// minInterval is the least scrape interval to reckon with, because the pages are updated
	// every 10 s.
	minInterval = 10 * time.Second
	// defaultInterval is the scrape interval before two scrapes were observed: that of
	// Prometheus.
	defaultInterval = time.Minute
	// maxScrapes is the number of scrapes whose times a History keeps.
	maxScrapes = 10
)

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
	// Operators holds the last successful answer of the operators endpoint for each
	// window name. It may be older than a failed call. It must not be changed.
	Operators map[string]*chattonic.Operators
	// Dashboard is like Operators, for the dashboard endpoint.
	Dashboard map[string]*chattonic.Dashboard
	// Trend holds what the answers of the last 3 hours said about the present, oldest
	// first.
	Trend []Point
	// Assigned holds the number of queries assigned today according to the answers of
	// the last 3 hours, oldest first. It is empty unless the window today is collected.
	Assigned []Count
	// Since holds for each operator id since when all answers had its current state.
	Since map[chattonic.Text]time.Time
	// ScrapeInterval is the observed time between two scrapes.
	ScrapeInterval time.Duration
}

// Point is what an answer of the operators endpoint says about the present.
type Point struct {
	// At is when the answer was received.
	At time.Time
	// Waiting and InProgress count queries. Either may be absent.
	Waiting, InProgress chattonic.Number
	// AtWork counts the operators at work, and Free those of them without a query in
	// progress.
	AtWork, Free int
}

// Count is a number at a time.
type Count struct {
	At    time.Time
	Value float64
}

// History records the last calls of a team for the status pages. Scrapes do not use it. It
// is safe for concurrent use. A nil History records nothing.
type History struct {
	window string
	atWork []string
	now    func() time.Time

	mu        sync.Mutex
	inFlight  []*Call
	ended     []Call // a ring buffer once it is full
	oldest    int
	failing   map[key]Call
	operators map[string]*chattonic.Operators
	dashboard map[string]*chattonic.Dashboard
	trend     []Point
	assigned  []Count
	states    map[chattonic.Text]operatorState
	scrapes   []time.Time
}

// operatorState is the state of an operator and when it was first seen.
type operatorState struct {
	state chattonic.Text
	since time.Time
}

// NewHistory returns a History of a team whose first window has the given name and whose
// operators are at work in the given states. now is the clock; nil means time.Now.
func NewHistory(window string, now func() time.Time, atWork ...string) *History {
	if now == nil {
		now = time.Now
	}
	return &History{
		window: window, atWork: atWork, now: now, failing: make(map[key]Call),
		operators: make(map[string]*chattonic.Operators), dashboard: make(map[string]*chattonic.Dashboard), states: make(map[chattonic.Text]operatorState),
	}
}

// scraped records that a scrape needs an answer.
func (h *History) scraped(endpoint chattonic.Endpoint, window string) {
	if h == nil || endpoint != chattonic.EndpointOperators || window != h.window {
		return
	}
	at := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.scrapes = append(h.scrapes, at); len(h.scrapes) > maxScrapes {
		h.scrapes = slices.Delete(h.scrapes, 0, 1)
	}
}

// interval returns the third quartile of the times between the last scrapes. Two Prometheus
// servers scrape at uneven intervals, and an outage is one long interval.
func (h *History) interval() time.Duration {
	if len(h.scrapes) < 2 {
		return defaultInterval
	}
	intervals := make([]time.Duration, len(h.scrapes)-1)
	for i := range intervals {
		intervals[i] = h.scrapes[i+1].Sub(h.scrapes[i])
	}
	slices.Sort(intervals)
	return max(intervals[len(intervals)*3/4], minInterval)
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
	switch a := answer.(type) {
	case *chattonic.Operators:
		h.operators[c.Window.Name] = a
		if c.Window.Name == h.window {
			h.addPoint(a)
		}
		if c.Window.Name == "today" {
			h.addAssigned(a)
		}
	case *chattonic.Dashboard:
		h.dashboard[c.Window.Name] = a
	}
}

// addPoint records what an answer says about the present.
func (h *History) addPoint(a *chattonic.Operators) {
	p := Point{At: a.ReceivedAt, Waiting: a.QueryPending}
	states := make(map[chattonic.Text]operatorState, len(h.states))
	inProgress, present := 0.0, false
	for _, o := range collector.Unique(a.Operators) {
		n, ok := o.QueryInProgress.Float64()
		inProgress, present = inProgress+n, present || ok
		if collector.IsAtWork(h.atWork, o.Status.String()) {
			p.AtWork++
			if ok && n == 0 {
				p.Free++
			}
		}
		state, known := h.states[o.ID]
		if !known || state.state != o.Status {
			state = operatorState{o.Status, a.ReceivedAt}
		}
		states[o.ID] = state
	}
	if present {
		p.InProgress = chattonic.NumberOf(inProgress)
	}
	h.states = states
	h.trend = appendRecent(h.trend, p, func(p Point) time.Time { return p.At })
}

// addAssigned records how many queries were assigned today.
func (h *History) addAssigned(a *chattonic.Operators) {
	c := Count{At: a.ReceivedAt}
	for _, o := range collector.Unique(a.Operators) {
		n, _ := o.QueriesAssigned.Float64()
		c.Value += n
	}
	h.assigned = appendRecent(h.assigned, c, func(c Count) time.Time { return c.At })
}

// appendRecent appends an item to a list that is sorted by time, and removes those that are
// too old or too close to it. The list starts again if the clock was set back.
func appendRecent[T any](list []T, item T, at func(T) time.Time) []T {
	now := at(item)
	list = slices.DeleteFunc(list, func(t T) bool { return now.Sub(at(t)) > TrendSpan || at(t).After(now) })
	if last := len(list) - 1; last > 0 && now.Sub(at(list[last-1])) < pointSpacing {
		list = list[:last]
	}
	return append(list, item)
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
	s := Snapshot{
		Operators: maps.Clone(h.operators), Dashboard: maps.Clone(h.dashboard),
		Trend: slices.Clone(h.trend), Assigned: slices.Clone(h.assigned), Since: make(map[chattonic.Text]time.Time, len(h.states)), ScrapeInterval: h.interval(),
	}
	for id, state := range h.states {
		s.Since[id] = state.since
	}
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
