package simulator

import (
	"math/bits"
	"sort"
)

const (
	// meanHandling is the mean time in seconds that a query is handled.
	meanHandling = 480
	// utilisation is the share of a large staff's slots that demand would fill.
	utilisation = 0.72
	// queryShare is the share in percent of users whom the bot cannot serve.
	queryShare = 50
	// newShare is the share in percent of users who come for the first time.
	newShare = 15
	// extraEvery is the pause in seconds between the further queries that
	// arrive during a backlog.
	extraEvery = 3
	// ratePeriod is how long, in seconds, the rate of arrivals keeps to one mood.
	ratePeriod = 10 * minute
)

// messages holds how many messages the n-th user of a day receives and sends,
// modulo its length, as sums over the users before. That the sums of a day have
// a closed form lets all-time totals do without generating all days.
var messages = func() (sums struct{ received, sent [65]int64 }) {
	for n := range 64 {
		in := int64(2 + mix(uint64(n))%12)
		sums.received[n+1] = sums.received[n] + in
		sums.sent[n+1] = sums.sent[n] + in + int64(1+mix(uint64(n)+64)%4)
	}
	return sums
}()

// messagesOf returns how many messages the first n users of a day sent to the
// team, and how many were sent to them.
func messagesOf(n int64) (received, sent int64) {
	cycles, rest := n/64, n%64
	return cycles*messages.received[64] + messages.received[rest], cycles*messages.sent[64] + messages.sent[rest]
}

// demand is how many users arrive on a day, and who they are. Users are numbered
// in the order of their first arrival. A further visit of one on the same day
// counts as one more arrival.
type demand struct {
	key uint64
	// arrivals counts the visits of the day.
	arrivals int64
	// newUsers counts the visits that are a user's first.
	newUsers int64
	// before counts the users of all time before the day.
	before int64
	// pool is how many of the latest users may come again.
	pool int64
}

// demand returns the day's demand without the number of users before.
func (m *model) demand(day int) demand {
	k := key(m.seed, forDemand, uint64(day))
	able := float64(len(m.able))
	slots := float64(m.workers(day)) * float64(m.slots) / able
	slots *= able / (able + 1.5) // or the queues of the smallest teams would be long
	mean := slots * shiftLength * utilisation / meanHandling * 100 / queryShare
	arrivals := 20 + int64(mean*(0.92+0.16*unit(k)))
	return demand{
		key:      k,
		arrivals: arrivals,
		newUsers: arrivals * newShare / 100,
		pool:     min(3*arrivals, m.baseUsers()),
	}
}

// baseUsers counts the users of all time before the log begins.
func (m *model) baseUsers() int64 {
	return 1000*int64(m.operators) + int64(key(m.seed, forBase)%1000)
}

// newBefore counts the new users among the first n arrivals.
func (d *demand) newBefore(n int64) int64 { return n * d.newUsers / d.arrivals }

// user returns the number of the user who arrives as the n-th of the day.
func (d *demand) user(n int64) int64 {
	if nth := d.newBefore(n); d.newBefore(n+1) > nth {
		return d.before + nth
	}
	return d.recent(forUser, n)
}

// extraUser returns the number of the user behind the n-th further query of the
// day.
func (d *demand) extraUser(n int64) int64 { return d.recent(forExtraUser, n) }

func (d *demand) recent(purpose uint64, n int64) int64 {
	u := unit(mix(d.key ^ purpose<<48 ^ uint64(n)))
	return d.before - 1 - int64(float64(d.pool)*u*u)
}

// query says whether the bot cannot serve the n-th user of the day, and returns
// the key of the query.
func (d *demand) query(n int64) (id uint64, is bool) {
	id = mix(d.key ^ forQuery<<48 ^ uint64(n))
	return id, id%100 < queryShare
}

// arrivalTimes returns how many users arrive in each second of the day.
func (m *model) arrivalTimes(d *demand, shifts []shift, length int32) []uint16 {
	minutes := int(length+minute-1) / minute
	weights := make([]float64, minutes+1)
	for operator, s := range shifts {
		if s.start < s.end {
			weights[s.start/minute] += float64(m.limits[operator])
			weights[min(minutes, int(s.end/minute))] -= float64(m.limits[operator])
		}
	}
	// A few users come while nobody is on duty; the bot serves them.
	floor := 0.02 * float64(m.slots)
	slots, sum := 0.0, 0.0
	for i := range minutes {
		slots += weights[i]
		mood := 0.75 + 0.5*unit(mix(d.key^forRate<<48^uint64(i*minute/ratePeriod)))
		sum += (slots + floor) * mood
		weights[i] = sum
	}
	times := make([]uint16, length)
	for n := range d.arrivals {
		k := mix(d.key ^ forArrival<<48 ^ uint64(n))
		at := sort.SearchFloat64s(weights[:minutes-1], unit(k)*sum)
		times[min(int(length)-1, at*minute+int(mix(k)%minute))]++
	}
	return times
}

// userSet is a set of user numbers.
type userSet struct {
	first int64 // a multiple of 64
	words []uint64
}

// reserve makes room for the numbers in [from, to).
func (s *userSet) reserve(from, to int64) {
	from, to = from&^63, (to+63)&^63
	if len(s.words) == 0 {
		*s = userSet{first: from, words: make([]uint64, (to-from)/64)}
		return
	}
	end := s.first + int64(len(s.words))*64
	if from >= s.first && to <= end {
		return
	}
	first, last := min(from, s.first), max(to, end)
	words := make([]uint64, (last-first)/64)
	copy(words[(s.first-first)/64:], s.words)
	*s = userSet{first: first, words: words}
}

func (s *userSet) add(user int64) { s.words[(user-s.first)/64] |= 1 << (user & 63) }

func (s *userSet) addAll(other userSet) {
	s.reserve(other.first, other.first+int64(len(other.words))*64)
	offset := (other.first - s.first) / 64
	for i, word := range other.words {
		s.words[offset+int64(i)] |= word
	}
}

// addArrivals adds the users who arrive as those in [from, to) of the day, and
// those behind the further queries in [extraFrom, extraTo).
func (s *userSet) addArrivals(d *demand, from, to, extraFrom, extraTo int64) {
	s.reserve(d.before-d.pool, d.before+d.newUsers)
	for n := from; n < to; n++ {
		s.add(d.user(n))
	}
	for n := extraFrom; n < extraTo; n++ {
		s.add(d.extraUser(n))
	}
}

func (s *userSet) len() (n int64) {
	for _, word := range s.words {
		n += int64(bits.OnesCount64(word))
	}
	return n
}
