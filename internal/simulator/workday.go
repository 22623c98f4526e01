package simulator

import (
	"cmp"
	"slices"
	"sync"
)

const (
	minute = 60
	hour   = 60 * minute

	// shiftLength is the length of a shift in seconds.
	shiftLength = 9 * hour
	// giveUpAfter is how many seconds a user waits before giving up.
	giveUpAfter = 15 * minute
	// leastWait is how many seconds a user waits at least, while the bot asks
	// what the query is about.
	leastWait = 45

	gaveUpShare = 2  // of the queries, in percent
	failShare   = 5  // of the handled queries, in percent
	answerShare = 35 // of the resolved queries, in percent, whose users answer the NPS question

	// maxLoad is how many queries an operator handles at a time, at most.
	maxLoad = 2
	// paces is how many speeds of operators there are, and draws how many different
	// workdays of the same kind.
	paces, draws = 4, 2
	// breakEvery is how many seconds pass from one break to the next. Who has the
	// first one breakEvery/crewPlaces later than another operator is never on a
	// break at the same time.
	breakEvery, crewPlaces = 3 * hour, 4
	// breakTimes is how many times of the first break there are. That of a workday
	// may be breakEvery/breakTimes early, so no break may be longer than what that
	// leaves of breakEvery/crewPlaces.
	breakTimes = 16

	// never is a second after all times.
	never = int64(1) << 40
)

// outcome is how a query ends.
type outcome uint8

const (
	resolved outcome = iota // and the user does not answer the NPS question
	promoter                // resolved, like the next two
	passive
	detractor
	failed
	gaveUp  // before an operator took it
	dropped // by an operator who left; it waits again
)

// query is a conversation that the bot hands over to operators. Its times are
// seconds of the day or workday that it is in.
type query struct {
	arrived int64
	// taken is when an operator took it, or the user gave up.
	taken   int64
	ended   int64
	outcome outcome
}

// state is what an operator does.
type state uint8

const (
	offline state = iota
	online
	away
)

// step is the second from which on an operator is in a state.
type step struct {
	at    int64
	state state
}

// workday is what an operator does on a day. Before the first step the operator
// is offline, and after the last one, too.
type workday struct {
	steps   []step
	queries []query // by taken
	// total is the sum of the complete workday, if it was computed before.
	total *tally
}

// tally sums what operators did; durations are in milliseconds.
type tally struct {
	online, away, free, handled    int64
	arrived, assigned, abandoned   int64
	resolved, failed               int64
	answers, promoters, detractors int64
}

// add adds sign times the other tally.
func (t *tally) add(sign int64, other *tally) {
	t.online += sign * other.online
	t.away += sign * other.away
	t.free += sign * other.free
	t.handled += sign * other.handled
	t.arrived += sign * other.arrived
	t.assigned += sign * other.assigned
	t.abandoned += sign * other.abandoned
	t.resolved += sign * other.resolved
	t.failed += sign * other.failed
	t.answers += sign * other.answers
	t.promoters += sign * other.promoters
	t.detractors += sign * other.detractors
}

// until sums what happens from second 0 until before millisecond end.
func (w *workday) until(end int64) (t tally) {
	if w.total != nil && end > shiftLength*1000 {
		return *w.total
	}
	if end <= 0 {
		return tally{}
	}
	for i := 0; i+1 < len(w.steps); i++ {
		elapsed := min(end, w.steps[i+1].at*1000) - max(0, w.steps[i].at*1000)
		switch {
		case elapsed <= 0:
		case w.steps[i].state == online:
			t.online += elapsed
		case w.steps[i].state == away:
			t.away += elapsed
		}
	}
	busy, busyUntil := int64(0), int64(0)
	for _, q := range w.queries {
		happened := func(second int64) bool { return second >= 0 && second*1000 < end }
		if happened(q.arrived) {
			t.arrived++
		}
		if q.taken*1000 >= end {
			continue
		}
		if q.outcome == gaveUp {
			t.abandoned++
			continue
		}
		if q.taken >= 0 {
			t.assigned++
		}
		if until := min(end, q.ended*1000); until > busyUntil {
			busy += until - max(busyUntil, q.taken*1000)
			busyUntil = until
		}
		if happened(q.ended) {
			t.end(q)
		}
	}
	t.free = t.online - busy
	return t
}

// end counts a query that ended.
func (t *tally) end(q query) {
	switch q.outcome {
	case dropped:
		return
	case failed:
		t.failed++
		return
	case promoter:
		t.answers++
		t.promoters++
	case detractor:
		t.answers++
		t.detractors++
	case passive:
		t.answers++
	}
	t.resolved++
	t.handled += (q.ended - q.taken) * 1000
}

// presence is what an operator does at a moment.
type presence struct {
	state state
	load  int // queries in progress
	// login is the second at which the operator last came, or -never.
	login int64
}

// presence returns what the operator does just before a millisecond.
func (w *workday) presence(at int64) presence {
	p := presence{login: -never}
	for _, s := range w.steps {
		if s.at*1000 >= at {
			break
		}
		if p.state == offline && s.state != offline {
			p.login = s.at
		}
		p.state = s.state
	}
	for _, q := range w.queries {
		if q.outcome != gaveUp && q.taken*1000 < at && q.ended*1000 >= at {
			p.load++
		}
	}
	return p
}

// overlay puts the operator in a state during [from, to).
func (w *workday) overlay(from, to int64, s state) {
	if from >= to {
		return
	}
	var before, after []step
	last := offline // the state at to
	for _, step := range w.steps {
		if step.at < from {
			before = append(before, step)
		}
		if step.at <= to {
			last = step.state
		} else {
			after = append(after, step)
		}
	}
	w.steps = slices.Concat(before, []step{{from, s}, {to, last}}, after)
}

// workdays holds the workdays that all teams draw from.
var workdays = sync.OnceValue(func() (all [maxLoad][paces * draws][breakTimes]*workday) {
	for load := range maxLoad {
		for kind := range paces * draws {
			for breakTime := range breakTimes {
				all[load][kind][breakTime] = newWorkday(load+1, kind, breakTime)
			}
		}
	}
	return all
})

// newWorkday draws a workday of an operator who handles up to load queries at a
// time. In the middle there is a meal, before and after it a short break; when one
// begins, all queries are done.
func newWorkday(load, kind, breakTime int) *workday {
	w := &workday{steps: []step{{0, online}}}
	first, from := int64(breakTime*breakEvery/breakTimes), int64(0)
	for i, pause := range []struct{ start, length int64 }{
		{first, 10 * minute}, {first + breakEvery, 30 * minute}, {first + 2*breakEvery, 10 * minute}, {shiftLength, 0},
	} {
		if pause.start < 40*minute || pause.start < shiftLength && pause.start > shiftLength-40*minute {
			continue // no break so soon, or so late
		}
		for lane := range load {
			k := key(forWorkday, uint64(load), uint64(kind), uint64(breakTime), uint64(i), uint64(lane))
			w.handle(k, from, pause.start, 0.8+0.4*float64(kind%paces)/(paces-1))
		}
		from = pause.start + pause.length
		w.steps = append(w.steps, step{pause.start, away}, step{from, online})
	}
	w.steps = append(w.steps[:len(w.steps)-2], step{shiftLength, offline})
	w.sortQueries()
	total := w.until(never)
	w.total = &total
	return w
}

func (w *workday) sortQueries() {
	slices.SortStableFunc(w.queries, func(a, b query) int { return cmp.Compare(a.taken, b.taken) })
}

// handle adds queries that are handled one after another from second from until
// before to, at a speed of which 1 is the mean.
func (w *workday) handle(k uint64, from, to int64, slowness float64) {
	wait := func(k uint64) int64 { return leastWait + int64(k%60) }
	for n, free := uint64(0), from; ; n++ {
		k := key(k, n)
		q := query{taken: free + 110 + int64(k%150), outcome: drawOutcome(mix(k + 1))}
		q.arrived = q.taken - wait(mix(k+2))
		if n == 0 && from > 0 { // it came during the break
			q.arrived = from - int64(mix(k+2)%(8*minute))
		}
		u := unit(mix(k + 3))
		q.ended = q.taken + int64((120+1080*u*u)*slowness)
		if q.ended >= to {
			return
		}
		w.queries = append(w.queries, q)
		if at := q.ended + giveUpAfter; mix(k+4)%100 < gaveUpShare && at < shiftLength {
			w.queries = append(w.queries, query{arrived: q.ended, taken: at, ended: at, outcome: gaveUp})
		}
		free = q.ended
	}
}

// drawOutcome draws how a handled query ends. Of the answers to the NPS question
// 57 % are promoters, 28 % passives and 15 % detractors, which makes an NPS of
// about 42.
func drawOutcome(k uint64) outcome {
	answer := mix(k) % 100
	switch {
	case k%100 < failShare:
		return failed
	case k/100%100 >= answerShare:
		return resolved
	case answer < 57:
		return promoter
	case answer < 85:
		return passive
	}
	return detractor
}
