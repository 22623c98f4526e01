package simulator

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Scenario is what goes on in a simulated team.
type Scenario string

// The scenarios.
const (
	// ScenarioNormal is the ordinary day of a contact centre.
	ScenarioNormal Scenario = "normal"
	// ScenarioBacklog has everybody offline. Queries keep arriving, and one more
	// every three seconds, at any hour; none is assigned, and those in progress
	// fail. Back to normal, all return within a minute and the queue drains over
	// some minutes.
	ScenarioBacklog Scenario = "backlog"
	// ScenarioQuiet has the bot serve all users: no query arrives, and those that
	// wait are given up at once. Operators work as ever.
	ScenarioQuiet Scenario = "quiet"
)

// scenarios is the table of them, with what they are, in a few words.
var scenarios = []struct {
	Name Scenario
	Help string
}{
	{ScenarioNormal, "an ordinary day"},
	{ScenarioBacklog, "nobody works, and queries pile up"},
	{ScenarioQuiet, "the bot serves everybody, and no query waits"},
}

// Scenarios returns the names of all scenarios.
func Scenarios() (names []Scenario) {
	for _, s := range scenarios {
		names = append(names, s.Name)
	}
	return names
}

const (
	// extraEvery is how many seconds pass between the further queries of a backlog.
	extraEvery = 3
	// backlogGiveUpAfter is giveUpAfter during a backlog.
	backlogGiveUpAfter = 2 * hour
	// returnTime is within how many seconds the operators return after a backlog.
	// It is less than leastWait, so that who takes the first new query is there.
	returnTime = 40
	// drainTime is how many seconds a queue takes to drain after a backlog, at
	// least; an operator handles a query of it in drainPace seconds.
	drainTime, drainPace = 4 * minute, 3
	// never is a second after all times.
	never = int64(1) << 40
)

// period is a time with one scenario, in seconds since 1970.
type period struct {
	scenario Scenario
	from, to int64
	// since is when the first of the queries arrived that may wait at the
	// beginning.
	since int64
	// drained is when the operators have taken the last of those, which they do in
	// a normal period after a backlog; from if there is none.
	drained int64
}

// history is all that happens in a team. It is computed for each answer anew;
// only the scenarios so far are kept.
type history struct {
	seed     uint64
	profiles []*profile // of all operators
	// able holds the operators whose accounts are in use. An operator's index in
	// it is the operator's rank.
	able     []int
	location *time.Location
	periods  []period // without a gap
}

func newHistory(seed uint64, operators int, location *time.Location) history {
	h := history{seed: seed, location: location}
	h.periods = []period{{scenario: ScenarioNormal, from: -never, to: never, drained: -never}}
	for i := range operators {
		h.profiles = append(h.profiles, newProfile(seed, uint64(i)))
		if operators < 4 || i%15 != 3 { // else an account that nobody ever used
			h.able = append(h.able, i)
		}
	}
	return h
}

// with returns the history with a scenario from the next full second on. What was
// before does not change.
func (h history) with(s Scenario, now time.Time) history {
	at := now.Add(time.Second - 1).Unix()
	// After a clock that was set back, periods may lie ahead.
	h.periods = slices.DeleteFunc(slices.Clone(h.periods), func(p period) bool { return p.from >= at })
	last := &h.periods[len(h.periods)-1]
	last.to = never
	if last.scenario == s {
		return h
	}
	last.to = at
	next := period{scenario: s, from: at, to: never, since: at, drained: at}
	switch {
	case last.scenario == ScenarioBacklog:
		next.since = max(last.since, at-backlogGiveUpAfter)
		if s == ScenarioNormal {
			next.drained = at + max(drainTime, (at-next.since)/int64(len(h.able)))
		}
	case last.drained > at:
		next.since = last.since
	case last.scenario == ScenarioNormal:
		next.since = at - giveUpAfter
	}
	h.periods = append(h.periods, next)
	return h
}

// timeline is what an operator does.
type timeline struct {
	steps   []step  // in order; after the last one the operator is offline
	queries []query // by taken, except for those that are given up
}

// draw replaces the timeline by that of an operator on the days, with the queries
// since a second.
func (t *timeline) draw(h history, rank int, days []day, since int64) {
	t.steps, t.queries = t.steps[:0], t.queries[:0]
	for _, d := range days {
		before := len(t.steps)
		t.steps = h.shift(t.steps, rank, d)
		if d.end > since {
			t.queries = h.queries(t.queries, rank, d, t.steps[before:])
		}
	}
	if len(h.periods) == 1 {
		return
	}
	t.steps = h.adjust(t.steps, rank)
	end := days[len(days)-1].end
	for _, p := range h.periods {
		first, step := p.from+int64(rank)*extraEvery, int64(len(h.able))*extraEvery
		for at := first; p.scenario == ScenarioBacklog && at < min(p.to, end); at += step {
			if at >= since {
				t.queries = append(t.queries, query{arrived: at, taken: never, ended: never})
			}
		}
	}
	for i, q := range t.queries {
		t.queries[i] = h.settle(q)
	}
	slices.SortFunc(t.queries, func(a, b query) int { return cmp.Compare(a.taken, b.taken) })
}

// adjust makes the steps of an operator those that the scenarios have them be.
func (h history) adjust(steps []step, rank int) []step {
	for _, p := range h.periods {
		returns := func(second int64) int64 {
			return second + 1 + int64(key(h.seed, forReturn, uint64(second), uint64(rank))%returnTime)
		}
		switch {
		case p.scenario == ScenarioBacklog:
			steps = overlay(steps, p.from, returns(p.to), offline)
		case p.drained > p.from:
			steps = overlay(steps, returns(p.from), p.drained+drainPace, online)
		}
	}
	return steps
}

// overlay puts an operator in a state during [from, to).
func overlay(steps []step, from, to int64, s state) []step {
	kept, last := []step{{from, s}}, offline // last is the state at to
	for _, step := range steps {
		if step.at <= to {
			last = step.state
		}
		if step.at < from || step.at > to {
			kept = append(kept, step)
		}
	}
	kept = append(kept, step{to, last})
	slices.SortStableFunc(kept, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	return kept
}

// settle returns what becomes of a query in the scenarios.
func (h history) settle(q query) query {
	for _, p := range h.periods {
		switch {
		case q.arrived >= p.to || q.ended <= p.from:
		case q.taken < p.from: // it is in progress
			if p.scenario == ScenarioBacklog {
				q.ended, q.outcome = p.from, failed
			}
		case p.scenario == ScenarioQuiet:
			q.giveUp(p.from)
			if q.arrived >= p.from { // there is no such query
				return query{arrived: never, taken: never, ended: never}
			}
		case p.scenario == ScenarioBacklog:
			q.giveUp(max(p.from, q.arrived+backlogGiveUpAfter))
		case q.arrived < p.from: // a queue drains in the order in which it came
			first := p.from + returnTime
			q.taken = first + (q.arrived-p.since)*(p.drained-first)/(p.from-p.since)
			q.ended = q.taken + drainPace
			q.outcome = drawOutcome(key(h.seed, forDrain, uint64(q.arrived)))
		}
	}
	return q
}

// endings counts the queries that ended, by outcome.
type endings [gaveUp + 1]int64

func (e *endings) resolved() int64 { return e[resolved] + e.answers() }
func (e *endings) answers() int64  { return e[promoter] + e[passive] + e[detractor] }
func (e *endings) nps() float64    { return percent(e[promoter]-e[detractor], e.answers()) }

// record is what an operator did in a window, and does at a moment.
type record struct {
	online, away, free, handled int64 // in the window, in milliseconds
	arrived, assigned           int64 // queries in the window
	ended                       endings
	state                       state // at the moment
	load, waiting               int64 // queries in progress and not yet taken
	login                       int64 // the second at which the operator last came, or 0
}

// record returns what is in the window [from, to), and is just before at, in
// milliseconds since 1970.
func (t *timeline) record(from, to, at int64) record {
	r := record{state: offline}
	for i, s := range t.steps {
		if s.at*1000 < at {
			if r.state == offline && s.state != offline {
				r.login = s.at
			}
			r.state = s.state
		}
		switch next := t.steps[min(i+1, len(t.steps)-1)].at; s.state {
		case online:
			r.online += max(0, min(to, next*1000)-max(from, s.at*1000))
		case away:
			r.away += max(0, min(to, next*1000)-max(from, s.at*1000))
		}
	}
	within := func(second int64) int64 {
		if from <= second*1000 && second*1000 < to {
			return 1
		}
		return 0
	}
	busy, busyUntil := int64(0), from
	for _, q := range t.queries {
		r.arrived += within(q.arrived)
		r.ended[q.outcome] += within(q.ended)
		switch {
		case q.arrived*1000 >= at:
		case q.taken*1000 >= at:
			r.waiting++
		case q.ended*1000 >= at:
			r.load++
		}
		if q.outcome == gaveUp {
			continue
		}
		r.assigned += within(q.taken)
		if start, end := max(busyUntil, q.taken*1000), min(to, q.ended*1000); start < end {
			busy += end - start
			busyUntil = end
		}
		if q.outcome != failed {
			r.handled += within(q.ended) * (q.ended - q.taken) * 1000
		}
	}
	r.free = r.online - busy
	return r
}

// records returns the records of all operators: of the window [from, to), and of
// the moment just before at, in milliseconds since 1970. Logins are those of the
// last two weeks, or of the window. It stops early where the context ends.
func (h history) records(ctx context.Context, from, to, at int64) []record {
	records := make([]record, len(h.profiles))
	// A query waits in a backlog, drains as long, and is handled.
	since := min(from, at)/1000 - 2*backlogGiveUpAfter - hour
	days := h.days(min(since, at/1000-14*24*hour), max(to, at)/1000)
	var t timeline
	for rank, operator := range h.able {
		if ctx.Err() != nil {
			break
		}
		t.draw(h, rank, days, since)
		records[operator] = t.record(from, to, at)
	}
	return records
}
