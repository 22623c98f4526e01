package web

import (
	"time"

	"chattonic_exporter/internal/teams"
)

// state is the state of a team's queue. A smaller one is more urgent.
type state int

const (
	// unattended means that queries wait and nobody is at work.
	unattended state = iota
	// aboveLimit means that more queries wait than the limit.
	aboveLimit
	// unknown means that there is no data, the API fails, or the data is very old.
	unknown
	// old means that the data is old.
	old
	// near means that more than 80 % of the limit wait, or that an alarm would begin if the
	// next answer said the same.
	near
	// well is everything else.
	well
	// notCollected means that the team's configuration does not collect its queue.
	notCollected
	// closed means that it is outside the team's business hours.
	closed
)

// String returns the name of the state in the attributes of the pages.
func (s state) String() string {
	return [...]string{"unattended", "above", "unknown", "old", "near", "well", "off", "closed"}[s]
}

// Sign returns the sign of the state, which tells it apart without its colour.
func (s state) Sign() string {
	return [...]string{"▲", "▲", "?", "◌", "●", "✓", "–", "☾"}[s]
}

const (
	// defaultLimit is the limit of waiting queries for teams without a threshold, as in the
	// alerts.
	defaultLimit = 10
	// nearShare is the share of the limit above which a queue is near it. An alarm ends
	// below it.
	nearShare = 0.8
	// oldAfter and veryOldAfter are numbers of scrape intervals, in addition to the TTL.
	oldAfter, veryOldAfter = 3, 5
)

// queueState returns the state of a queue that is open and was last seen in the last of the
// points. An alarm begins with the second point in a row, so that the wall does not flicker.
// That of a queue above its limit ends below 80 % of it.
func queueState(trend []teams.Point, limit float64) state {
	alone, over := 0, 0 // points in a row
	alarm := false      // the queue is above the limit, or was and is not yet below 80 %
	last, share := 0.0, nearShare*limit
	for _, p := range trend {
		waiting, present := p.Waiting.Float64()
		if !present {
			alone, over, alarm = 0, 0, false
			continue
		}
		last = waiting
		alone, over = count(alone, waiting > 0 && p.AtWork == 0), count(over, waiting > limit)
		alarm = over > 1 || alarm && waiting >= share && waiting > 0
	}
	switch {
	case alone > 1:
		return unattended
	case alarm:
		return aboveLimit
	case alone > 0, last > share:
		return near
	default:
		return well
	}
}

// count returns the number of points in a row for which a condition holds.
func count(before int, holds bool) int {
	if holds {
		return before + 1
	}
	return 0
}

// ages returns the ages from which data of an endpoint is old and very old.
func ages(ttl, interval time.Duration) (oldAge, veryOldAge time.Duration) {
	return ttl + oldAfter*interval, ttl + veryOldAfter*interval
}
