package simulator

import "math"

const (
	// visitsEach is how many users the bot serves on a usual day for each
	// operator of the team.
	visitsEach = 60
	// newShare is the share in percent of the visits by users who come for the
	// first time.
	newShare = 15
)

// hourly weighs the hours of the simulated day by the visits in them.
var hourly = [24]float64{3, 3, 4, 5, 8, 11, 13, 13, 11, 9, 10, 11, 11, 11, 10, 9, 8, 7, 5, 4, 3, 3, 3, 3}

// weekdays weighs the days from Monday on.
var weekdays = [7]float64{1.25, 1.05, 1, 1, 1, 0.6, 0.5}

// dayVisits counts the visits of a day.
func (m *model) dayVisits(day int) int64 {
	mood := 0.92 + 0.16*unit(key(m.seed, forVisits, uint64(day)))
	return int64(10 + visitsEach*float64(m.operators)*weekdays[weekday(day)]*mood)
}

// visits counts the users whom the bot serves from the beginning of the history
// until a time in milliseconds since 1970.
func (m *model) visits(until int64) (count int64) {
	if until <= m.origin() {
		return 0
	}
	number := m.dayOf(until / 1000)
	for day := range number {
		count += m.dayVisits(day)
	}
	start := m.dayStart(number)
	length := m.dayStart(number+1) - start
	passed, all := 0.0, 0.0
	hours := 24 * float64(until-start*1000) / float64(length*1000)
	for i, weight := range hourly {
		passed += weight * min(1, max(0, hours-float64(i)))
		all += weight
	}
	return count + int64(float64(m.dayVisits(number))*passed/all)
}

// userSums counts users and messages.
type userSums struct{ visits, users, received, sent int64 }

func (u *userSums) add(sign int64, other userSums) {
	u.visits += sign * other.visits
	u.users += sign * other.users
	u.received += sign * other.received
	u.sent += sign * other.sent
}

// userSums counts the users of all time until a time in milliseconds since 1970,
// and the messages between them and the bot.
func (h history) userSums(until int64) userSums {
	base := 1000*int64(h.operators) + int64(key(h.seed, forUsers)%1000) // before the history begins
	visits, extras := h.visits(until), h.extras(h.origin(), until)
	return userSums{
		visits:   visits,
		users:    base + visits*newShare/100,
		received: 12*base + visits*15/2 + extras,
		sent:     15*base + visits*19/2 + extras,
	}
}

// activeUsers returns how many users are behind visits, of which some are by new
// users. The others are by as many users as one would expect to see if each were
// by a random one of the regular users.
func (m *model) activeUsers(visits, newUsers int64) int64 {
	regulars := 3 * visitsEach * float64(m.operators)
	return newUsers + int64(math.Ceil(-regulars*math.Expm1(-float64(visits-newUsers)/regulars)))
}
