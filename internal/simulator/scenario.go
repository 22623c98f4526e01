package simulator

import (
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
	// every three seconds, at any hour; none is assigned. Back to normal, all
	// return within a minute and the queue drains over some minutes.
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
	// drainTime is how many seconds a queue takes to drain after a backlog, unless
	// that leaves an operator less than drainPace seconds for a query.
	drainTime = 4 * minute
	drainPace = 3
)

// period is a time with one scenario, in seconds.
type period struct {
	scenario Scenario
	from, to int64
	// queue is how many queries wait at the beginning, left from the period
	// before.
	queue int64
	// drained is when the operators have taken the last of the queue, which they
	// do in a normal period after a backlog; from if there is none.
	drained int64
}

// history is all that happens in a team. Everything in it can be computed for
// any time; only the scenarios so far are kept.
type history struct {
	*model
	// periods follow each other without a gap, in seconds since 1970.
	periods []period
}

func newHistory(m *model) history {
	return history{m, []period{{scenario: ScenarioNormal, from: -never, to: never, drained: -never}}}
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
	next := period{scenario: s, from: at, to: never, drained: at}
	ctx := context.Background()
	next.queue, _ = h.waiting(ctx, at*1000) // the context does not end
	switch {
	case s == ScenarioBacklog:
		for _, p := range h.presences(at * 1000) {
			next.queue += int64(p.load)
		}
	case s == ScenarioNormal && next.queue > 0:
		each := (next.queue + int64(len(h.able)) - 1) / int64(len(h.able))
		next.drained = at + max(drainTime, returnTime+drainPace*each)
	}
	last.to = at
	h.periods = append(h.periods, next)
	return h
}

// at returns the period just before a time in milliseconds since 1970.
func (h history) at(at int64) period {
	for _, p := range slices.Backward(h.periods) {
		if p.from*1000 < at {
			return p
		}
	}
	return h.periods[0]
}

// day is a simulated day.
type day struct {
	*model
	start, length int64 // in seconds since 1970, and in seconds
	shifts        []shift
	// periods are those that have to do with the day, in seconds of the day; nil
	// on an ordinary day.
	periods []period
}

func (h history) day(number int) *day {
	d := &day{model: h.model, start: h.dayStart(number)}
	d.length = h.dayStart(number+1) - d.start
	d.shifts = h.roster(number, d.length)
	ordinary := true
	for _, p := range h.periods {
		// A query that was taken before the end of its period may end after it.
		if p.to+drainTime < d.start || p.from >= d.start+d.length {
			continue
		}
		ordinary = ordinary && p.scenario == ScenarioNormal && p.drained <= d.start
		p.from, p.to, p.drained = p.from-d.start, p.to-d.start, p.drained-d.start
		d.periods = append(d.periods, p)
	}
	if ordinary && len(d.periods) == 1 {
		d.periods = nil
	}
	return d
}

// shift returns the shift of an operator; on a day that is not ordinary, one that
// begins with the day.
func (d *day) shift(operator int) shift {
	s := d.shifts[operator]
	if d.periods == nil {
		return s
	}
	return shift{0, d.adjusted(operator, s)}
}

// between sums what an operator does on the day in [from, to), in milliseconds
// of the day.
func (d *day) between(operator int, from, to int64) tally {
	s := d.shift(operator)
	sum, before := s.until(to-s.start*1000), s.until(from-s.start*1000)
	sum.add(-1, &before)
	return sum
}

// presence returns what an operator does just before a millisecond of the day.
func (d *day) presence(operator int, at int64) presence {
	s := d.shift(operator)
	p := s.presence(at - s.start*1000)
	p.login += s.start
	return p
}

// adjusted returns what an operator does on a day that is not ordinary, in
// seconds of the day.
func (d *day) adjusted(operator int, s shift) *workday {
	w := &workday{queries: make([]query, 0, len(s.queries))}
	for _, step := range s.steps {
		step.at += s.start
		w.steps = append(w.steps, step)
	}
	for _, q := range s.queries {
		q.arrived, q.taken, q.ended = q.arrived+s.start, q.taken+s.start, q.ended+s.start
		i := slices.IndexFunc(d.periods, func(p period) bool { return q.arrived < p.to })
		switch p := d.periods[i]; {
		case p.scenario == ScenarioQuiet: // there is no such query
			continue
		case p.scenario == ScenarioBacklog || q.taken >= p.to: // it waits
			q.taken, q.ended, q.outcome = never, never, gaveUp
		}
		w.queries = append(w.queries, d.dropped(q))
	}
	for _, p := range d.periods {
		switch {
		case p.scenario == ScenarioBacklog:
			w.overlay(p.from, p.to+d.returns(operator, p.to), offline)
		case p.drained > p.from:
			d.drain(w, operator, p)
		}
	}
	return w
}

// dropped ends a query where a backlog begins.
func (d *day) dropped(q query) query {
	for _, p := range d.periods {
		if p.scenario == ScenarioBacklog && q.taken < p.from && p.from <= q.ended {
			q.ended, q.outcome = p.from, dropped
			break
		}
	}
	return q
}

// returns is how many seconds after the end of a backlog an operator comes back.
func (d *day) returns(operator int, end int64) int64 {
	return 1 + int64(key(d.seed, forReturn, uint64(d.start+end), uint64(operator))%returnTime)
}

// drain adds what an operator, on a shift or not, does for the queue that a
// backlog has left.
func (d *day) drain(w *workday, operator int, p period) {
	rank, able := slices.BinarySearch(d.able, operator)
	if !able {
		return
	}
	count := (p.queue + int64(len(d.able)-1-rank)) / int64(len(d.able))
	from, to := p.from+d.returns(operator, p.from), min(p.drained, p.to)
	length := p.drained - from
	for n := range count {
		q := query{arrived: -never, taken: from + n*length/count, ended: from + (n+1)*length/count}
		if q.taken >= p.to {
			break
		}
		q.outcome = drawOutcome(key(d.seed, forDrain, uint64(d.start+from), uint64(operator), uint64(n)))
		q = d.dropped(q)
		w.queries = append(w.queries, q)
		to = max(to, q.ended)
	}
	w.overlay(from, to, online)
	w.sortQueries()
}

// sums returns what each operator does in [from, to), in milliseconds since 1970.
func (h history) sums(ctx context.Context, from, to int64) ([]tally, error) {
	sums := make([]tally, h.operators)
	for from < to {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d := h.day(h.dayOf(from / 1000))
		end := min(to, (d.start+d.length)*1000)
		for _, i := range h.able {
			sum := d.between(i, from-d.start*1000, end-d.start*1000)
			sums[i].add(1, &sum)
		}
		from = end
	}
	return sums, nil
}

// total returns what all operators do in [from, to), in milliseconds since 1970.
func (h history) total(ctx context.Context, from, to int64) (total tally, err error) {
	sums, err := h.sums(ctx, from, to)
	for i := range sums {
		total.add(1, &sums[i])
	}
	return total, err
}

// arrived counts the queries that arrive in [from, to), within one backlog.
func (h history) arrived(ctx context.Context, from, to int64) (int64, error) {
	if from >= to {
		return 0, nil
	}
	total, err := h.total(ctx, from, to)
	return total.arrived + h.extras(from, to), err
}

// extras counts the further queries of all backlogs in [from, to), in
// milliseconds since 1970.
func (h history) extras(from, to int64) (count int64) {
	before := func(at int64) int64 { return (at + extraEvery*1000 - 1) / (extraEvery * 1000) }
	for _, p := range h.periods {
		if p.scenario == ScenarioBacklog {
			count += max(0, before(min(to, p.to*1000))-before(max(from, p.from*1000)))
		}
	}
	return count
}

// waiting counts the queries that wait just before a time in milliseconds since
// 1970.
func (h history) waiting(ctx context.Context, at int64) (int64, error) {
	if at <= h.origin() {
		return 0, nil
	}
	p := h.at(at)
	from, queue := p.from*1000, p.queue
	switch p.scenario {
	case ScenarioQuiet:
		return 0, nil
	case ScenarioBacklog:
		if earliest := at - backlogGiveUpAfter*1000; earliest > from {
			from, queue = earliest, 0
		}
		arrived, err := h.arrived(ctx, from, at)
		return queue + arrived, err
	}
	if start := h.dayStart(h.dayOf((at - 1) / 1000)); start >= p.drained {
		from, queue = start*1000, 0 // all that came before is done
	}
	total, err := h.total(ctx, from, at)
	return queue + total.arrived - total.assigned - total.abandoned, err
}

// givenUp counts the queries in [from, to), in milliseconds since 1970, whose
// users give up because of a scenario.
func (h history) givenUp(ctx context.Context, from, to int64) (count int64, err error) {
	for _, p := range h.periods {
		begin := p.from * 1000
		switch p.scenario {
		case ScenarioQuiet:
			if from <= begin && begin < to {
				count += p.queue
			}
		case ScenarioBacklog: // of those that came that long ago
			first := max(from, begin) - backlogGiveUpAfter*1000
			last := min(to, p.to*1000) - backlogGiveUpAfter*1000
			if first <= begin && begin < last {
				count += p.queue
			}
			arrived, err := h.arrived(ctx, max(first, begin), last)
			if err != nil {
				return 0, err
			}
			count += arrived
		}
	}
	return count, nil
}

// presences returns what each operator does just before a time in milliseconds
// since 1970. Logins are in seconds since 1970, or 0 where there was none in the
// last two weeks.
func (h history) presences(at int64) []presence {
	all := make([]presence, h.operators)
	if at <= h.origin() {
		return all
	}
	latest := h.dayOf((at - 1) / 1000)
	missing := h.able
	for number := latest; number >= max(0, latest-14) && len(missing) > 0; number-- {
		d := h.day(number)
		var without []int
		for _, i := range missing {
			p := d.presence(i, at-d.start*1000)
			if number == latest {
				all[i] = presence{state: p.state, load: p.load}
			}
			if p.login > -never/2 {
				all[i].login = d.start + p.login
			} else {
				without = append(without, i)
			}
		}
		missing = without
	}
	return all
}
