package simulator

import "time"

const (
	minute = 60
	hour   = 60 * minute

	// dayBegins is the local hour at which a simulated day begins.
	dayBegins = 4
	// shiftLength is the planned length of a shift in seconds.
	shiftLength = 9 * hour
	// nightBegins is when the night shift comes, in seconds of the simulated day.
	nightBegins = 15 * hour
	// smallTeam is the number of operators below which few have a day off, so
	// that the night stays covered.
	smallTeam = 14
	// quorum is how many operators of a team that covers the night stay while
	// another takes a break.
	quorum = 2
)

// model is what of a team never changes.
type model struct {
	seed      uint64
	operators int
	// able holds the operators whose accounts are in use.
	able []int32
	// limits holds the number of queries an operator handles at a time.
	limits []uint8
	// slots is the sum of limits over the able.
	slots    int
	location *time.Location
}

func newModel(seed uint64, operators int, location *time.Location) *model {
	m := &model{seed: seed, operators: operators, limits: make([]uint8, operators), location: location}
	for i := range operators {
		m.limits[i] = [...]uint8{2, 1, 3}[i%3]
		if operators >= 4 && i%15 == 3 {
			continue // an account that nobody ever used
		}
		m.able = append(m.able, int32(i))
		m.slots += int(m.limits[i])
	}
	return m
}

// dayStart returns the first second of a simulated day, counted from 2020-01-01,
// in seconds since 1970.
func (m *model) dayStart(day int) int64 {
	return time.Date(2020, time.January, 1+day, dayBegins, 0, 0, 0, m.location).Unix()
}

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

// daysOff is how many of seven operators have the day off.
func (m *model) daysOff(day int) int {
	switch {
	case len(m.able) < smallTeam:
		return 1
	case weekday(day) >= 5:
		return 3
	}
	return 2
}

// workers counts the operators who have a shift on the day.
func (m *model) workers(day int) int {
	n, off := len(m.able), m.daysOff(day)
	count := n / 7 * (7 - off)
	for j := n - n%7; j < n; j++ {
		if (j+weekday(day))%7 >= off {
			count++
		}
	}
	return count
}

// shift is when an operator is on duty, in seconds of the simulated day; it is
// empty on a day off.
type shift struct{ start, end int32 }

// roster returns the shifts of all operators: an early and a night crew, and the
// others in between. From ten operators on, two or more are there at any time.
func (m *model) roster(day int, length int32) []shift {
	shifts := make([]shift, m.operators)
	working := make([]int32, 0, len(m.able))
	for j, operator := range m.able {
		if (j+weekday(day))%7 >= m.daysOff(day) {
			working = append(working, operator)
		}
	}
	w := len(working)
	if w == 0 {
		return shifts
	}
	crew := 0
	switch {
	case w >= 7:
		crew = max(2, w*8/100)
	case w >= 4:
		crew = 1
	}
	turn := day / 7 * 3 // the shifts change hands from week to week
	for i := range w {
		operator := working[(i+turn)%w]
		lead := int32(key(m.seed, forLead, uint64(day), uint64(operator)) % (10 * minute))
		switch {
		case i < crew:
			shifts[operator] = shift{0, shiftLength + lead}
		case i >= w-crew:
			shifts[operator] = shift{nightBegins - lead, length}
		default:
			start := int32(5 * hour)
			if between := w - 2*crew; between > 1 {
				start = 3*hour + int32((i-crew)*6*hour/(between-1))
			}
			shifts[operator] = shift{start - lead, start + shiftLength + lead}
		}
	}
	return shifts
}

// pause is a planned break: from when, in seconds of the simulated day, and for
// how many seconds.
type pause struct{ start, length int32 }

// pauses returns the breaks of a shift: a meal, and a short one on either side.
func (m *model) pauses(day int, operator int32, s shift) [3]pause {
	k := key(m.seed, forBreak, uint64(day), uint64(operator))
	// Crews that came together should not leave together.
	within := func(part uint64, minutes int32) int32 { return int32(mix(k+part) % uint64(minutes*minute)) }
	return [3]pause{
		{s.start + hour + within(0, 80), 10 * minute},
		{s.start + 160*minute + within(1, 160), 30*minute + within(2, 20)},
		{s.start + 380*minute + within(3, 100), 10 * minute},
	}
}
