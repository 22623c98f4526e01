package simulator

import (
	"context"
	"sync"
	"time"
)

const (
	// maxStates bounds how many states of operators and teams are kept. The
	// days of the largest teams have about a million.
	maxStates = 2_500_000
	// minDetailed is how many days in full are kept however many states they
	// have: a window of 24 hours touches two, yesterday's calendar day two more.
	minDetailed = 3
	// maxTallies bounds how many sums of operators over whole days are kept.
	maxTallies = 500_000
	minDays    = 35
	maxDays    = 400
)

// day is one generated day of the log.
type day struct {
	number int
	start  int64 // in seconds since 1970
	length int32 // in seconds
	demand demand

	// What is kept of days of which only the sums are asked for.
	tallies []tally
	last    teamState
	users   userSet
	logins  []int32 // second of the last login, or -1
	carry   []query

	// What parts of the day are computed from; nil until it is asked for.
	operators *operatorHistory
	timeline  []teamState
	// loginsBefore holds when each operator last came before this day, in
	// seconds since 1970, or 0.
	loginsBefore []int64

	used uint64 // when the day was last asked for
}

func (d *day) detailed() bool { return d.operators != nil }

func (d *day) states() int {
	if !d.detailed() {
		return 0
	}
	return len(d.operators.states) + len(d.timeline)
}

// end returns the end of the day in milliseconds since 1970.
func (d *day) end() int64 { return (d.start + int64(d.length)) * 1000 }

// change is a scenario that came into force, in seconds since 1970.
type change struct {
	at       int64
	scenario Scenario
}

// eventLog is the log of a team. It generates days when they are asked for, and
// keeps some of them.
type eventLog struct {
	model *model
	// maxStates and maxDays bound what is kept.
	maxStates, maxDays int

	mu      sync.Mutex
	days    map[int]*day
	uses    uint64
	changes []change
	// demands holds the demand of each day from the log's first day on, as far
	// as it was asked for, and sums the users and messages before each.
	demands []demand
	sums    []messageSums
}

// messageSums holds all-time totals.
type messageSums struct{ users, received, sent int64 }

func newEventLog(m *model) *eventLog {
	users := m.baseUsers()
	return &eventLog{
		model:     m,
		maxStates: maxStates,
		maxDays:   min(maxDays, max(minDays, maxTallies/m.operators)),
		days:      map[int]*day{},
		sums:      []messageSums{{users: users, received: users * 12, sent: users * 15}},
	}
}

// origin returns the beginning of the log in milliseconds since 1970.
func (l *eventLog) origin() int64 { return l.model.dayStart(0) * 1000 }

// setScenario puts a scenario in force from the next full second on. What was
// before does not change.
func (l *eventLog) setScenario(s Scenario, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := now.Add(time.Second - 1).Unix()
	// After a clock that was set back, changes may lie ahead.
	for len(l.changes) > 0 && l.changes[len(l.changes)-1].at >= at {
		l.changes = l.changes[:len(l.changes)-1]
	}
	if l.scenarioAt(at) != s {
		l.changes = append(l.changes, change{at, s})
	}
	from := l.model.dayOf(at)
	for number := range l.days {
		if number >= from {
			delete(l.days, number)
		}
	}
}

// scenario returns what is in force at the first full second from now on.
func (l *eventLog) scenario(now time.Time) Scenario {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.scenarioAt(now.Add(time.Second - 1).Unix())
}

func (l *eventLog) scenarioAt(second int64) Scenario {
	for i := len(l.changes) - 1; i >= 0; i-- {
		if l.changes[i].at <= second {
			return l.changes[i].scenario
		}
	}
	return ScenarioNormal
}

// periods returns when a scenario was in force, within [from, to).
func (l *eventLog) periods(s Scenario, from, to int64) (periods []period) {
	for i, c := range l.changes {
		if c.scenario != s {
			continue
		}
		p := period{max(from, c.at), to}
		if i+1 < len(l.changes) {
			p.to = min(to, l.changes[i+1].at)
		}
		if p.from < p.to {
			periods = append(periods, p)
		}
	}
	return periods
}

// totals returns the totals of all time before a day, without what backlogs
// added.
func (l *eventLog) totals(number int) messageSums {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, sums := l.before(number)
	return sums
}

// extras counts the further queries of all backlogs before a time in
// milliseconds since 1970.
func (l *eventLog) extras(at int64) (count int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.periods(ScenarioBacklog, 0, (at+999)/1000) {
		count += (p.to+extraEvery-1)/extraEvery - (p.from+extraEvery-1)/extraEvery
	}
	return count
}

// before returns the day's demand and the totals of all time before it, without
// what backlogs added.
func (l *eventLog) before(number int) (demand, messageSums) {
	for i := len(l.demands); i <= number; i++ {
		d, sums := l.model.demand(i), l.sums[i]
		d.before = sums.users
		received, sent := messagesOf(d.arrivals)
		l.demands = append(l.demands, d)
		l.sums = append(l.sums, messageSums{sums.users + d.newUsers, sums.received + received, sums.sent + sent})
	}
	return l.demands[number], l.sums[number]
}

// day returns a day of the log, in full or at least its sums.
func (l *eventLog) day(number int, detailed bool) *day {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dayLocked(number, detailed)
}

func (l *eventLog) dayLocked(number int, detailed bool) *day {
	d := l.days[number]
	if d == nil || detailed && !d.detailed() {
		d = l.generate(number, detailed)
		l.days[number] = d
		if detailed {
			d.loginsBefore = l.loginsBefore(number)
		}
		l.evict(d)
	}
	l.uses++
	d.used = l.uses
	return d
}

func (l *eventLog) generate(number int, detailed bool) *day {
	demand, _ := l.before(number)
	d := &day{number: number, start: l.model.dayStart(number), demand: demand}
	end := l.model.dayStart(number + 1)
	d.length = int32(end - d.start)

	var carry []query
	if number > 0 && len(l.periods(ScenarioBacklog, l.model.dayStart(number-1), d.start)) > 0 {
		carry = l.dayLocked(number-1, false).carry
	}
	s := simulation{
		model: l.model, demand: &d.demand, start: d.start, length: d.length,
		backlogs: l.periods(ScenarioBacklog, d.start, end), quiets: l.periods(ScenarioQuiet, d.start, end),
	}
	d.carry = s.run(carry)
	history := newOperatorHistory(l.model.operators, s.log)
	d.last = s.team
	d.users.addArrivals(&d.demand, 0, int64(s.team.arrivals), 0, int64(s.team.extras))
	d.tallies = make([]tally, l.model.operators)
	d.logins = make([]int32, l.model.operators)
	length := int64(d.length) * 1000
	for i := range d.tallies {
		o := history.at(i, length)
		d.tallies[i] = o.tallyAt(length)
		d.logins[i] = history.login(i, length)
	}
	if detailed {
		d.operators, d.timeline = history, s.timeline
	}
	return d
}

// loginsBefore looks back for when each operator last came before a day. The
// roster tells it, save where a backlog kept people away.
func (l *eventLog) loginsBefore(number int) []int64 {
	logins := make([]int64, l.model.operators)
	missing := len(l.model.able)
	for back := number - 1; back >= max(0, number-14) && missing > 0; back-- {
		start := l.model.dayStart(back)
		var seconds func(operator int32) int32
		if len(l.periods(ScenarioBacklog, l.model.dayStart(max(0, back-1)), l.model.dayStart(back+1))) > 0 {
			came := l.dayLocked(back, false).logins
			seconds = func(operator int32) int32 { return came[operator] }
		} else {
			shifts := l.model.roster(back, int32(l.model.dayStart(back+1)-start))
			seconds = func(operator int32) int32 {
				if s := shifts[operator]; s.start < s.end {
					return s.start
				}
				return -1
			}
		}
		for _, operator := range l.model.able {
			if second := seconds(operator); second >= 0 && logins[operator] == 0 {
				logins[operator] = start + int64(second)
				missing--
			}
		}
	}
	return logins
}

// evict drops what was asked for longest ago, except the day that is asked for
// now: first what days hold besides their sums, then whole days.
func (l *eventLog) evict(keep *day) {
	for {
		states, detailed := 0, 0
		var oldest, oldestDetailed *day
		for _, d := range l.days {
			if d == keep {
				states += d.states()
				continue
			}
			if oldest == nil || d.used < oldest.used {
				oldest = d
			}
			if d.detailed() {
				states += d.states()
				detailed++
				if oldestDetailed == nil || d.used < oldestDetailed.used {
					oldestDetailed = d
				}
			}
		}
		switch {
		case states > l.maxStates && detailed >= minDetailed:
			light := *oldestDetailed // others may be reading the day
			light.operators, light.timeline, light.loginsBefore = nil, nil, nil
			l.days[light.number] = &light
		case len(l.days) > l.maxDays:
			delete(l.days, oldest.number)
		default:
			return
		}
	}
}

// span is an interval [from, to) in milliseconds since 1970.
type span struct{ from, to int64 }

// part is what a span covers of a day, in milliseconds of the day.
type part struct {
	*day
	from, to int64
	whole    bool
}

// parts calls visit for each day that the span touches, until ctx ends.
func (l *eventLog) parts(ctx context.Context, s span, visit func(part)) error {
	for from := s.from; from < s.to; {
		if err := ctx.Err(); err != nil {
			return err
		}
		number := l.model.dayOf(from / 1000)
		start, end := l.model.dayStart(number)*1000, l.model.dayStart(number+1)*1000
		to := min(s.to, end)
		whole := from == start && to == end
		visit(part{day: l.day(number, !whole), from: from - start, to: to - start, whole: whole})
		from = to
	}
	return nil
}

// clamp moves the ends of a window into what has happened by now.
func (l *eventLog) clamp(start, end, now time.Time) span {
	latest := max(l.origin(), now.UnixMilli())
	inside := func(t time.Time) int64 { return min(latest, max(l.origin(), t.UnixMilli())) }
	return span{inside(start), inside(end)}
}

// lastDay returns the day that holds the latest events before a time, and the
// time in milliseconds of that day. It is nil at the beginning of the log.
func (l *eventLog) lastDay(at int64) (*day, int64) {
	if at <= l.origin() {
		return nil, 0
	}
	d := l.day(l.model.dayOf((at-1)/1000), true)
	return d, at - d.start*1000
}
