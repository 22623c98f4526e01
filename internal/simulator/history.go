package simulator

import "sort"

// state is what an operator does.
type state uint8

const (
	stateOffline state = iota
	stateOnline
	stateAway
)

type eventKind uint8

const (
	eventOffline eventKind = iota
	eventOnline
	eventAway
	eventAssigned
	eventResolved
	eventFailed
	eventDropped
)

// event is what happens to an operator in a second of a day.
type event struct {
	t        int32
	operator int32
	took     int32 // how long the resolved query was handled
	kind     eventKind
	answered bool
	score    int8 // of the NPS question, if answered
}

// npsCount counts answers to the NPS question.
type npsCount struct{ answers, promoters, detractors int32 }

func (n *npsCount) add(score int8) {
	n.answers++
	switch {
	case score >= 9:
		n.promoters++
	case score <= 6:
		n.detractors++
	}
}

// operatorState is an operator's state from second t of a day on, with the sums
// over the day up to there, in seconds.
type operatorState struct {
	t                           int32
	online, away, free, handled int32
	assigned, resolved          int32
	nps                         npsCount
	state                       state
	load                        uint8
}

// after returns the state that an event leads to.
func (o operatorState) after(e event) operatorState {
	elapsed := e.t - o.t
	switch {
	case o.state == stateOnline && o.load == 0:
		o.online += elapsed
		o.free += elapsed
	case o.state == stateOnline:
		o.online += elapsed
	case o.state == stateAway:
		o.away += elapsed
	}
	o.t = e.t
	switch e.kind {
	case eventOffline:
		o.state = stateOffline
	case eventOnline:
		o.state = stateOnline
	case eventAway:
		o.state = stateAway
	case eventAssigned:
		o.assigned++
		o.load++
	case eventResolved:
		o.resolved++
		o.handled += e.took
		o.load--
		if e.answered {
			o.nps.add(e.score)
		}
	case eventFailed, eventDropped:
		o.load--
	}
	return o
}

// tally sums what an operator did; durations are in milliseconds.
type tally struct {
	online, away, free, handled                        int64
	assigned, resolved, answers, promoters, detractors int64
}

// tallyAt returns the sums up to a time in milliseconds of the day that is not
// before o.t.
func (o *operatorState) tallyAt(at int64) tally {
	sums := tally{
		online: int64(o.online) * 1000, away: int64(o.away) * 1000, free: int64(o.free) * 1000,
		handled:  int64(o.handled) * 1000,
		assigned: int64(o.assigned), resolved: int64(o.resolved),
		answers: int64(o.nps.answers), promoters: int64(o.nps.promoters), detractors: int64(o.nps.detractors),
	}
	elapsed := at - int64(o.t)*1000
	switch o.state {
	case stateOnline:
		sums.online += elapsed
		if o.load == 0 {
			sums.free += elapsed
		}
	case stateAway:
		sums.away += elapsed
	}
	return sums
}

// add adds sign times the other sums.
func (t *tally) add(sign int64, other tally) {
	t.online += sign * other.online
	t.away += sign * other.away
	t.free += sign * other.free
	t.handled += sign * other.handled
	t.assigned += sign * other.assigned
	t.resolved += sign * other.resolved
	t.answers += sign * other.answers
	t.promoters += sign * other.promoters
	t.detractors += sign * other.detractors
}

// teamState is the team's state after second t of a day, with the sums over the
// day up to there.
type teamState struct {
	t                            int32
	arrivals, extras             int32
	queries, assigned, abandoned int32
	resolved, failed             int32
	pending, progress            int32
	nps                          npsCount
}

// operatorHistory holds the states of all operators over a day.
type operatorHistory struct {
	states []operatorState
	first  []int32 // of each operator, and the end of the last
}

// newOperatorHistory sorts the events of a day, which are in order of time, by
// operator. At the same second the last state counts.
func newOperatorHistory(operators int, log []event) *operatorHistory {
	place := make([]int32, operators+1)
	for i := range log {
		place[log[i].operator+1]++
	}
	for i := range operators {
		place[i+1] += place[i]
	}
	sorted := make([]event, len(log))
	for _, e := range log {
		sorted[place[e.operator]] = e
		place[e.operator]++
	}
	h := &operatorHistory{states: make([]operatorState, 0, len(log)), first: make([]int32, operators+1)}
	i := 0
	for operator := range operators {
		h.first[operator] = int32(len(h.states))
		var o operatorState
		for ; i < int(place[operator]); i++ {
			same := o.t == sorted[i].t && len(h.states) > int(h.first[operator])
			o = o.after(sorted[i])
			if same {
				h.states[len(h.states)-1] = o
			} else {
				h.states = append(h.states, o)
			}
		}
	}
	h.first[operators] = int32(len(h.states))
	return h
}

// at returns the operator's last state before a time in milliseconds of the day.
func (h *operatorHistory) at(operator int, at int64) operatorState {
	states := h.states[h.first[operator]:h.first[operator+1]]
	i := h.before(states, at)
	if i < 0 {
		return operatorState{}
	}
	return states[i]
}

func (h *operatorHistory) before(states []operatorState, at int64) int {
	return sort.Search(len(states), func(i int) bool { return int64(states[i].t)*1000 >= at }) - 1
}

// login returns the second at which the operator last came, or -1.
func (h *operatorHistory) login(operator int, at int64) int32 {
	states := h.states[h.first[operator]:h.first[operator+1]]
	for i := h.before(states, at); i >= 0; i-- {
		if states[i].state != stateOffline && (i == 0 || states[i-1].state == stateOffline) {
			return states[i].t
		}
	}
	return -1
}

// teamAt returns the last state before a time in milliseconds of the day.
func teamAt(timeline []teamState, at int64) teamState {
	i := sort.Search(len(timeline), func(i int) bool { return int64(timeline[i].t)*1000 >= at })
	return timeline[max(0, i-1)]
}
