package simulator

import (
	"slices"
	"time"
)

const (
	minute = 60
	hour   = 60 * minute

	// dayBegins is the local hour at which a simulated day begins.
	dayBegins = 4
	// smallTeam is the number of operators below which one of seven has the day
	// off, on every day, so that the night stays covered.
	smallTeam = 21
	// shiftLength is the length of a shift in seconds.
	shiftLength = 9 * hour
	// maxLoad is how many queries an operator handles at a time, at most.
	maxLoad = 2
	// giveUpAfter is how many seconds a user waits before giving up.
	giveUpAfter = 15 * minute
	// leastWait is how many seconds a user waits at least, while the bot asks
	// what the query is about.
	leastWait = 45
)

// What a random number is for, so that they do not depend on each other.
const (
	forQueries uint64 = iota + 1
	forPace
	forStart
	forReturn
	forDrain
	forName
)

// mix scatters the bits of x (the output function of the SplitMix64 generator).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// key returns a random number that is always the same for the same values.
func key(values ...uint64) uint64 {
	var h uint64
	for _, value := range values {
		h = mix(h ^ value)
	}
	return h
}

// day is a simulated day, in seconds since 1970. The days are counted from
// 2020-01-01.
type day struct {
	number     int
	start, end int64
}

// dayStart returns the first second of a simulated day.
func (h history) dayStart(number int) int64 {
	return time.Date(2020, time.January, 1+number, dayBegins, 0, 0, 0, h.location).Unix()
}

// dayOf returns the number of the day of a second.
func (h history) dayOf(second int64) int {
	number := int((second-h.dayStart(0))/(24*hour)) + 1
	for h.dayStart(number) > second {
		number--
	}
	return number
}

// days returns the days of the history from one second to another.
func (h history) days(from, to int64) (days []day) {
	for number := max(0, h.dayOf(from)); h.dayStart(number) <= to; number++ {
		days = append(days, day{number, h.dayStart(number), h.dayStart(number + 1)})
	}
	return days
}

// weekday counts from Monday, 0.
func (d day) weekday() int { return (d.number + 2) % 7 }

// state is what an operator does, as the API calls it.
type state string

const (
	offline state = "offline"
	online  state = "online"
	away    state = "away"
)

// step is the second from which on an operator is in a state.
type step struct {
	at    int64
	state state
}

// shift appends the steps of an operator's shift, unless the operator has the day
// off. There are an early and a late crew, and the operators in between. Mondays
// are busy.
func (h history) shift(steps []step, rank int, d day) []step {
	count := len(h.able)
	crew, daysOff := 5+count/25, 2 // of seven operators
	switch {
	case count < smallTeam:
		crew, daysOff = min(3, count/3), 1
	case d.weekday() == 0:
		daysOff = 1
	case d.weekday() >= 5:
		daysOff = 3
	}
	place := (rank + d.number/7*(count-1)) % count // changes from week to week
	if (place+d.weekday())%7 < daysOff {
		return steps
	}
	start := d.start
	if place >= count-crew {
		start = d.end - shiftLength
	} else if place >= crew { // from 09:00 to 13:00
		start += 5*hour + int64((place-crew+1)*4*hour/(count-2*crew)) +
			int64(key(h.seed, forStart, uint64(d.number), uint64(rank))%(10*minute))
	}
	steps = append(steps, step{start, online})
	for i, length := range []int64{10 * minute, 20 * minute, 10 * minute} { // in the middle is a meal
		// Of those who begin together, no two in a row have a break at the same time.
		at := start + hour + int64(place%6*20*minute+i*3*hour)
		steps = append(steps, step{at, away}, step{at + length, online})
	}
	return append(steps, step{start + shiftLength, offline})
}

// outcome is how a query ends.
type outcome uint8

const (
	resolved outcome = iota // and the user does not answer the NPS question
	promoter                // resolved, like the next two
	passive
	detractor
	failed
	gaveUp // before an operator took it
)

// drawOutcome draws how a handled query ends. The shares make an NPS of about 42.
func drawOutcome(random uint64) outcome {
	switch percent := random % 100; {
	case percent < 5:
		return failed
	case percent < 67:
		return resolved
	case percent < 86:
		return promoter
	case percent < 95:
		return passive
	}
	return detractor
}

// query is a conversation that the bot hands over to an operator, with times in
// seconds since 1970.
type query struct {
	arrived int64
	// taken is when the operator took it, or the user gave up.
	taken   int64
	ended   int64
	outcome outcome
}

// giveUp has the user give up.
func (q *query) giveUp(at int64) { q.taken, q.ended, q.outcome = at, at, gaveUp }

// queries appends the queries that an operator has in a shift. The operator takes
// them in the order in which they came, and none that would last into a break or
// beyond the shift.
func (h history) queries(queries []query, rank int, d day, shift []step) []query {
	if len(shift) == 0 {
		return queries
	}
	pace := int64(80 + key(h.seed, forPace, uint64(rank))%41) // in percent of the usual times
	var free [maxLoad]int64                                   // when the operator has time for another query
	random := key(h.seed, forQueries, uint64(d.number), uint64(rank))
	start, end, last := shift[0].at, shift[len(shift)-1].at, int64(0)
	for arrived := start; ; {
		random = mix(random)
		gap := 250 + int64(random%400)
		if at := arrived - d.start; at >= 6*hour && at < 10*hour { // from 10:00 to 14:00
			gap = gap * 8 / 10
		}
		arrived += gap * pace / 100
		if arrived >= end-40*minute {
			return queries
		}
		share := int64(random >> 24 % 1000) // squared, so that most queries are short
		duration := (120 + 1080*share*share/1_000_000) * pace / 100
		q := query{arrived: arrived, outcome: drawOutcome(mix(random + 1))}
		q.taken = max(arrived+leastWait+int64(random>>48%60), last, slices.Min(free[:]))
		for i := 1; i+1 < len(shift); i += 2 {
			if q.taken+duration > shift[i].at && q.taken < shift[i+1].at {
				q.taken = shift[i+1].at
			}
		}
		q.ended = q.taken + duration
		if q.taken-arrived > giveUpAfter || q.ended >= end {
			q.giveUp(arrived + giveUpAfter)
		} else {
			last = q.taken
			free[slices.Index(free[:], slices.Min(free[:]))] = q.ended
		}
		queries = append(queries, q)
	}
}
