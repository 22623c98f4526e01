package simulator

import (
	"slices"
	"time"
)

const (
	// dayBegins is the local hour at which a simulated day begins.
	dayBegins = 4
	// smallTeam is the number of operators below which few have a day off, so
	// that the night stays covered.
	smallTeam = 14
)

// model is what of a team never changes.
type model struct {
	seed      uint64
	operators int
	// able holds the operators whose accounts are in use.
	able     []int
	location *time.Location
}

func newModel(seed uint64, operators int, location *time.Location) *model {
	m := &model{seed: seed, operators: operators, location: location}
	for i := range operators {
		if operators < 4 || i%15 != 3 { // else an account that nobody ever used
			m.able = append(m.able, i)
		}
	}
	return m
}

// dayStart returns the first second of a simulated day, counted from 2020-01-01,
// in seconds since 1970.
func (m *model) dayStart(day int) int64 {
	return time.Date(2020, time.January, 1+day, dayBegins, 0, 0, 0, m.location).Unix()
}

// origin returns the beginning of the history in milliseconds since 1970.
func (m *model) origin() int64 { return m.dayStart(0) * 1000 }

// dayOf returns the simulated day of a time in seconds since 1970.
func (m *model) dayOf(second int64) int {
	day := int((second - m.dayStart(0)) / (24 * hour))
	for m.dayStart(day) > second {
		day--
	}
	for m.dayStart(day+1) <= second {
		day++
	}
	return day
}

// weekday counts from Monday, 0. The first simulated day is a Wednesday.
func weekday(day int) int { return ((day+2)%7 + 7) % 7 }

// daysOff is how many of seven operators have the day off. Mondays are busy.
func (m *model) daysOff(day int) int {
	switch {
	case len(m.able) < smallTeam || weekday(day) == 0:
		return 1
	case weekday(day) >= 5:
		return 3
	}
	return 2
}

// shift is when an operator begins to work, in seconds of the simulated day, and
// what happens from then on.
type shift struct {
	start int64
	*workday
}

// dayOff is a workday without work.
var dayOff = &workday{}

// roster returns the shifts of all operators: an early and a night crew, and the
// operators in between. From ten operators on, two or more are there at any time.
func (m *model) roster(day int, length int64) []shift {
	shifts := slices.Repeat([]shift{{0, dayOff}}, m.operators)
	working := make([]int, 0, len(m.able))
	for j, operator := range m.able {
		if (j+weekday(day))%7 >= m.daysOff(day) {
			working = append(working, operator)
		}
	}
	count := len(working)
	crew := 0
	switch {
	case count >= 14:
		crew = max(3, count*8/100)
	case count >= 7:
		crew = 2
	case count >= 4:
		crew = 1
	}
	between := count - 2*crew
	turn := day / 7 * 3 // the shifts change hands from week to week
	for i := range count {
		operator := working[(i+turn)%count]
		var start int64
		switch {
		case i < crew:
		case i >= count-crew:
			start = length - shiftLength
		case between == 1:
			start = 5 * hour
		default:
			start = 3*hour + int64(i-crew)*6*hour/int64(between-1) +
				int64(key(m.seed, forStart, uint64(day), uint64(operator))%(10*minute))
		}
		pace := key(m.seed, forPace, uint64(operator)) % paces
		draw := key(m.seed, forDraw, uint64(day), uint64(operator)) % draws
		// Operators who come one after the other have their breaks at different times.
		place := int64(i%crewPlaces) * breakEvery / crewPlaces
		first := ((place-start)%breakEvery + breakEvery) % breakEvery
		shifts[operator] = shift{start, workdays()[operator%maxLoad][pace+paces*draw][first*breakTimes/breakEvery]}
	}
	return shifts
}
