package calendar

import (
	"slices"
	"time"
)

// BusinessHours are the weekly business hours of a team, in the local time of a time zone.
// When the clocks go forward, the skipped hour is left out. When they go back, the repeated
// hour counts both times.
type BusinessHours struct {
	// Location is the time zone.
	Location *time.Location
	// Intervals are the business hours. They may overlap.
	Intervals []Interval
}

// Interval is a time interval [From, To) on a weekday. If From is after To, the interval
// continues past midnight until To of the next day.
type Interval struct {
	// Day is the weekday on which the interval starts.
	Day time.Weekday
	// From and To are minutes since midnight. From is from 0 to 1439 and To from 0 to
	// 1440. They must differ.
	From, To int
}

// Within reports whether t is within the business hours.
func (b *BusinessHours) Within(t time.Time) bool {
	local := t.In(b.Location)
	today, minute := local.Weekday(), local.Hour()*60+local.Minute()
	yesterday := (today + 6) % 7
	return slices.ContainsFunc(b.Intervals, func(i Interval) bool {
		started, ended := minute >= i.From, minute >= i.To
		if i.From < i.To {
			return i.Day == today && started && !ended
		}
		return i.Day == today && started || i.Day == yesterday && !ended
	})
}

// NextChange stub.
func (b *BusinessHours) NextChange(t time.Time) (time.Time, bool) {
	for i := 1; i < 10000; i++ {
		if at := t.Truncate(time.Minute).Add(time.Duration(i) * time.Minute); b.Within(at) != b.Within(t) {
			return at, true
		}
	}
	return t, false
}
