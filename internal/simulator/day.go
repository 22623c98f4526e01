package simulator

import (
	"cmp"
	"slices"
)

const (
	// patience is how long in seconds a user waits before giving up.
	patience = 15 * minute
	// backlogPatience is the same while a backlog grows or drains.
	backlogPatience = 2 * hour
	// drainTime is about how many seconds a backlog takes to drain, unless it
	// is so long that drainPace forbids it.
	drainTime = 4 * minute
	// drainPace is the least mean handling time in seconds.
	drainPace = 5
	// returnTime is within how many seconds the operators come back after a
	// backlog.
	returnTime = 40

	failShare   = 5  // of the handled queries, in percent
	answerShare = 35 // of the resolved queries, in percent, who answer the NPS question
)

// query is one that waits.
type query struct {
	id uint64
	// arrived is in seconds of the simulated day, and negative for a query that
	// was left over from the day before.
	arrived int32
}

// handOver is for how many seconds the bot first asks what the query is about.
func (q query) handOver() int32 { return 5 + int32(mix(q.id)%40) }

// job is a query that an operator handles.
type job struct {
	query
	operator int32
	assigned int32
	next     int32 // of the jobs that end in the same second
	alive    bool
}

type leaving uint8

const (
	staying leaving = iota
	toBreak
	toHome
)

// worker is the state of an operator during the simulation of a day. Who leaves
// takes no further queries, and goes when the last one is done.
type worker struct {
	shift   shift
	state   state
	load    uint8
	leaving leaving
	onShift bool
	ready   bool   // is online and stays
	pause   int32  // length of the break to come
	absence uint32 // counts departures, to tell which one a return belongs to
	ticket  uint32 // counts changes of load and readiness
}

type staffEventKind uint8

const (
	shiftStart staffEventKind = iota
	shiftEnd
	breakStart
	breakEnd
	backlogEnd
)

// staffEvent is what an operator is due to do at some second.
type staffEvent struct {
	kind     staffEventKind
	operator int32
	value    int32 // the length of a break, or the absence that ends
	next     int32
}

// idle is an operator who can take a query, unless the ticket is outdated.
type idle struct {
	operator int32
	ticket   uint32
}

// fifo is a queue.
type fifo[T any] struct {
	items []T
	head  int
}

func (f *fifo[T]) len() int    { return len(f.items) - f.head }
func (f *fifo[T]) front() T    { return f.items[f.head] }
func (f *fifo[T]) rest() []T   { return f.items[f.head:] }
func (f *fifo[T]) push(x T)    { f.items = append(f.items, x) }
func (f *fifo[T]) reset(x []T) { f.items, f.head = x, 0 }

func (f *fifo[T]) pop() T {
	x := f.items[f.head]
	f.head++
	if f.head >= 1024 && f.head*2 >= len(f.items) {
		f.items = f.items[:copy(f.items, f.items[f.head:])]
		f.head = 0
	}
	return x
}

// period is an interval of seconds [from, to).
type period struct{ from, to int64 }

// simulation generates the events of one day, second by second. What happens in
// a second depends on nothing that comes later, so that a backlog which begins
// leaves what was before as it was.
type simulation struct {
	model  *model
	demand *demand
	start  int64
	length int32
	// backlogs holds when nobody works, and quiets when the bot serves all users,
	// in seconds since 1970.
	backlogs, quiets []period

	now      int32
	wake     int32
	down     bool
	draining bool
	pace     float64
	staff    []worker
	ready    int
	due      []int32 // first staffEvent of each second
	events   []staffEvent
	ending   []int32 // first job of those that end in each second
	jobs     []job
	free     []int32
	queue    fifo[query]
	idle     [3]fifo[idle] // by load

	team     teamState
	timeline []teamState
	log      []event
}

// run simulates the day, which begins with the queries in carry. It returns
// those that the day hands on to the next.
func (s *simulation) run(carry []query) []query {
	s.begin(carry)
	arrivals := s.model.arrivalTimes(s.demand, rosterOf(s.staff), s.length)
	for s.now = 0; s.now < s.length; s.now++ {
		if s.now < s.wake && arrivals[s.now] == 0 && s.due[s.now] < 0 && s.ending[s.now] < 0 {
			continue
		}
		s.switchScenario()
		for i := s.due[s.now]; i >= 0; i = s.events[i].next {
			s.staffEvent(s.events[i])
		}
		for i := s.ending[s.now]; i >= 0; {
			next := s.jobs[i].next
			s.finish(i)
			i = next
		}
		s.arrive(int64(arrivals[s.now]))
		s.giveUp()
		s.assign()
		if s.draining && s.queue.len() == 0 {
			s.endDraining()
		}
		if s.now == s.length-1 {
			carry = s.end()
		}
		s.record()
		s.wake = s.nextWake()
	}
	return carry
}

// nextWake returns the next second in which something happens by itself, neither
// due nor an arrival. Most seconds of a small team are passed over.
func (s *simulation) nextWake() int32 {
	wake := s.length - 1
	switch {
	case s.down:
		return s.now + 1
	case s.queue.len() > 0:
		q := s.queue.front()
		wake = min(wake, q.arrived+s.patience())
		if at := q.arrived + q.handOver(); at > s.now {
			wake = min(wake, at)
		}
	}
	for _, p := range slices.Concat(s.backlogs, s.quiets) {
		if at := int32(p.from - s.start); at > s.now {
			wake = min(wake, at)
		}
	}
	return wake
}

func rosterOf(staff []worker) []shift {
	shifts := make([]shift, len(staff))
	for i := range staff {
		shifts[i] = staff[i].shift
	}
	return shifts
}

func (s *simulation) begin(carry []query) {
	s.due, s.ending = heads(s.length), heads(s.length)
	day := s.model.dayOf(s.start)
	s.staff = make([]worker, s.model.operators)
	for operator, shift := range s.model.roster(day, s.length) {
		s.staff[operator].shift = shift
		if shift.start == shift.end {
			continue
		}
		s.schedule(shift.start, staffEvent{kind: shiftStart, operator: int32(operator)})
		s.schedule(shift.end, staffEvent{kind: shiftEnd, operator: int32(operator)})
		for _, p := range s.model.pauses(day, int32(operator), shift) {
			s.schedule(p.start, staffEvent{kind: breakStart, operator: int32(operator), value: p.length})
		}
	}
	s.queue.reset(slices.Clone(carry))
	s.team = teamState{t: -1, pending: int32(len(carry))}
	s.timeline = append(s.timeline, s.team)
	s.down = s.isDown(0)
	if !s.down && len(carry) > 0 {
		s.startDraining()
	}
}

// heads returns the heads of empty lists, one for each second.
func heads(length int32) []int32 {
	return slices.Repeat([]int32{-1}, int(length))
}

func (s *simulation) isDown(second int32) bool {
	return inAny(s.backlogs, s.start+int64(second))
}

func (s *simulation) isQuiet() bool {
	return inAny(s.quiets, s.start+int64(s.now))
}

func (s *simulation) schedule(second int32, e staffEvent) {
	if second >= s.length {
		return
	}
	e.next = s.due[second]
	s.due[second] = int32(len(s.events))
	s.events = append(s.events, e)
}

func (s *simulation) switchScenario() {
	down := s.isDown(s.now)
	switch {
	case down && !s.down:
		s.down = true
		s.stopWork()
	case !down && s.down:
		s.down = false
		s.startDraining()
	}
}

// stopWork sends everybody home at once. Their queries wait again.
func (s *simulation) stopWork() {
	s.draining = false
	var again []query
	for i := range s.jobs {
		if j := &s.jobs[i]; j.alive {
			again = append(again, j.query)
			s.note(j.operator, eventDropped, 0)
		}
	}
	s.jobs, s.free, s.ending = nil, nil, heads(s.length)
	slices.SortFunc(again, func(a, b query) int {
		return cmp.Or(cmp.Compare(a.arrived, b.arrived), cmp.Compare(a.id, b.id))
	})
	s.queue.reset(append(again, s.queue.rest()...))
	s.team.progress = 0
	s.team.pending = int32(s.queue.len())
	for operator := range s.staff {
		w := &s.staff[operator]
		w.load, w.leaving = 0, staying
		if w.state != stateOffline {
			s.depart(int32(operator), stateOffline)
		}
	}
}

// startDraining calls back everybody, on a shift or not, to work at a pace that
// soon drains the queue.
func (s *simulation) startDraining() {
	s.draining = true
	s.pace = max(drainPace, drainTime*float64(s.model.slots)/float64(max(1, s.queue.len())))
	for _, operator := range s.model.able {
		after := int32(key(s.demand.key, forReturn, uint64(operator)) % returnTime)
		s.schedule(s.now+1+after, staffEvent{kind: backlogEnd, operator: operator})
	}
}

func (s *simulation) endDraining() {
	s.draining = false
	for operator := range s.staff {
		if w := &s.staff[operator]; w.state != stateOffline && !w.onShift {
			s.leave(int32(operator), toHome)
		}
	}
}

func (s *simulation) staffEvent(e staffEvent) {
	w := &s.staff[e.operator]
	switch e.kind {
	case shiftStart:
		w.onShift = true
		if !s.down {
			s.attend(e.operator)
		}
	case shiftEnd:
		w.onShift = false
		if !s.draining {
			s.leave(e.operator, toHome)
		}
	case breakStart:
		if w.ready && !s.draining && s.covered() {
			w.pause = e.value
			s.leave(e.operator, toBreak)
		}
	case breakEnd:
		if w.state == stateAway && w.absence == uint32(e.value) {
			s.attend(e.operator)
		}
	case backlogEnd:
		if !s.down && (s.draining || w.onShift) {
			s.attend(e.operator)
		}
	}
}

// covered says whether enough operators stay for a while when one takes a break.
// Small teams do not cover the night anyway.
func (s *simulation) covered() bool {
	if len(s.model.able) < 9 {
		return true
	}
	stay := 0
	for i := range s.staff {
		if s.staff[i].ready && s.staff[i].shift.end > s.now+80*minute {
			if stay++; stay > quorum {
				return true
			}
		}
	}
	return false
}

// attend has an operator come online, or stay.
func (s *simulation) attend(operator int32) {
	w := &s.staff[operator]
	w.leaving = staying
	if w.state != stateOnline {
		w.state = stateOnline
		s.note(operator, eventOnline, 0)
	}
	s.offer(operator)
}

// leave has an operator go home or take a break once the last query is done.
func (s *simulation) leave(operator int32, where leaving) {
	w := &s.staff[operator]
	switch {
	case w.state == stateOffline:
	case w.load > 0:
		w.leaving = where
		s.offer(operator)
	case where == toBreak:
		s.depart(operator, stateAway)
		s.schedule(s.now+w.pause, staffEvent{kind: breakEnd, operator: operator, value: int32(w.absence)})
	default:
		s.depart(operator, stateOffline)
	}
}

func (s *simulation) depart(operator int32, to state) {
	w := &s.staff[operator]
	w.state, w.leaving = to, staying
	w.absence++
	if to == stateAway {
		s.note(operator, eventAway, 0)
	} else {
		s.note(operator, eventOffline, 0)
	}
	s.offer(operator)
}

// offer brings up to date whether the operator can take a query.
func (s *simulation) offer(operator int32) {
	w := &s.staff[operator]
	ready := w.state == stateOnline && w.leaving == staying
	switch {
	case ready && !w.ready:
		s.ready++
	case !ready && w.ready:
		s.ready--
	}
	w.ready = ready
	w.ticket++
	if ready && w.load < s.model.limits[operator] {
		s.idle[w.load].push(idle{operator, w.ticket})
	}
}

// pick returns who has the fewest queries and has been so for longest.
func (s *simulation) pick() (operator int32, ok bool) {
	for load := range s.idle {
		for s.idle[load].len() > 0 {
			i := s.idle[load].pop()
			if s.staff[i.operator].ticket == i.ticket {
				return i.operator, true
			}
		}
	}
	return 0, false
}

func (s *simulation) arrive(count int64) {
	taken := !s.isQuiet() && (s.down || s.ready > 0)
	for range count {
		id, is := s.demand.query(int64(s.team.arrivals))
		s.team.arrivals++
		if is && taken {
			s.enqueue(id)
		}
	}
	if at := s.start + int64(s.now); s.down && at%extraEvery == 0 {
		s.team.extras++
		s.enqueue(key(s.demand.key, forExtra, uint64(at)))
	}
}

func (s *simulation) enqueue(id uint64) {
	s.queue.push(query{id: id, arrived: s.now})
	s.team.queries++
	s.team.pending++
}

// patience returns for how many seconds a user waits.
func (s *simulation) patience() int32 {
	switch {
	case s.isQuiet():
		return 0
	case s.down || s.draining:
		return backlogPatience
	}
	return patience
}

func (s *simulation) giveUp() {
	for s.queue.len() > 0 && s.now-s.queue.front().arrived >= s.patience() {
		s.abandon()
	}
}

func (s *simulation) abandon() {
	s.queue.pop()
	s.team.pending--
	s.team.abandoned++
	s.team.failed++
}

func (s *simulation) assign() {
	for s.queue.len() > 0 && !s.down {
		q := s.queue.front()
		if s.now-q.arrived < q.handOver() {
			return
		}
		operator, ok := s.pick()
		if !ok {
			return
		}
		s.queue.pop()
		s.handle(q, operator)
	}
}

func (s *simulation) handle(q query, operator int32) {
	s.team.pending--
	s.team.progress++
	s.team.assigned++
	s.staff[operator].load++
	s.note(operator, eventAssigned, 0)
	s.offer(operator)

	u := unit(mix(q.id + 1))
	takes := (120 + 1080*u*u) * (0.8 + 0.4*unit(key(s.model.seed, forSpeed, uint64(operator))))
	if s.draining {
		takes = min(takes, s.pace*(0.5+u))
	}
	j := job{query: q, operator: operator, assigned: s.now, next: -1, alive: true}
	at := s.now + max(1, int32(takes))
	i := int32(len(s.jobs))
	if n := len(s.free); n > 0 {
		i, s.free = s.free[n-1], s.free[:n-1]
	} else {
		s.jobs = append(s.jobs, job{})
	}
	if at < s.length {
		j.next, s.ending[at] = s.ending[at], i
	}
	s.jobs[i] = j
}

// finish ends a job: the query fails or is resolved, and then the user may
// answer the NPS question, with a score from 0 to 10.
func (s *simulation) finish(i int32) {
	j := &s.jobs[i]
	j.alive = false
	s.free = append(s.free, i)
	s.team.progress--
	took := s.now - j.assigned
	switch {
	case mix(j.id+2)%100 < failShare:
		s.team.failed++
		s.note(j.operator, eventFailed, 0)
	case mix(j.id+3)%100 >= answerShare:
		s.team.resolved++
		s.note(j.operator, eventResolved, took)
	default:
		answer := score(mix(j.id + 4))
		s.team.resolved++
		s.team.nps.add(answer)
		s.log = append(s.log, event{t: s.now, operator: j.operator, kind: eventResolved, took: took, answered: true, score: answer})
	}
	w := &s.staff[j.operator]
	w.load--
	if w.load == 0 && w.leaving != staying {
		s.leave(j.operator, w.leaving)
		return
	}
	s.offer(j.operator)
}

// score draws an answer to the NPS question: 57 % promoters, 28 % passives and
// 15 % detractors, which makes an NPS of about 42.
func score(key uint64) int8 {
	r := int(key % 100)
	switch {
	case r < 33:
		return 10
	case r < 57:
		return 9
	case r < 75:
		return 8
	case r < 85:
		return 7
	}
	return int8(mix(key) % 7)
}

// end completes the day. What waits fails, unless there was a backlog.
func (s *simulation) end() (carry []query) {
	for i := range s.jobs {
		if s.jobs[i].alive {
			s.finish(int32(i))
		}
	}
	if s.backlogged() {
		for _, q := range s.queue.rest() {
			carry = append(carry, query{id: q.id, arrived: q.arrived - s.length})
		}
		return carry
	}
	for s.queue.len() > 0 {
		s.abandon()
	}
	return nil
}

func (s *simulation) backlogged() bool {
	return overlaps(s.backlogs, s.start, s.start+int64(s.length))
}

// record keeps the state of the team at the end of a second that changed it.
func (s *simulation) record() {
	last := s.timeline[len(s.timeline)-1]
	s.team.t = last.t
	if s.team != last {
		s.team.t = s.now
		s.timeline = append(s.timeline, s.team)
	}
}

func (s *simulation) note(operator int32, kind eventKind, took int32) {
	s.log = append(s.log, event{t: s.now, operator: operator, kind: kind, took: took})
}

// inAny says whether a second is in one of the periods.
func inAny(periods []period, second int64) bool {
	return overlaps(periods, second, second+1)
}

// overlaps says whether a second of [from, to) is in one of the periods.
func overlaps(periods []period, from, to int64) bool {
	return slices.ContainsFunc(periods, func(p period) bool { return p.from < to && p.to > from })
}
