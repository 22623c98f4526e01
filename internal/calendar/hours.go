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

// NextChange returns the first time after t at which Within changes, and false if it never
// does.
func (b *BusinessHours) NextChange(t time.Time) (time.Time, bool) {
	within, local := b.Within(t), t.In(b.Location)
	_, shift := local.ZoneBounds() // when the clocks change next, or zero
	var skipped time.Duration
	if !shift.IsZero() {
		_, before := shift.Add(-1).Zone()
		_, after := shift.Zone()
		skipped = time.Duration(after-before) * time.Second
	}
	// After a week all hours have been, and a day more covers a change of the clocks.
	for day := range 9 {
		candidates := []time.Time{shift}
		for _, i := range b.Intervals {
			for _, minute := range []int{i.From, i.To} {
				at := time.Date(local.Year(), local.Month(), local.Day()+day, 0, minute, 0, 0, b.Location)
				candidates = append(candidates, at, at.Add(skipped), at.Add(-skipped)) // a time of the clock can come twice
			}
		}
		midnight := time.Date(local.Year(), local.Month(), local.Day()+day+1, 0, 0, 0, 0, b.Location)
		candidates = append(candidates, midnight)
		slices.SortFunc(candidates, time.Time.Compare)
		for _, at := range candidates {
			if at.After(t) && !at.After(midnight) && b.Within(at) != within {
				return at, true
			}
		}
	}
	return time.Time{}, false
}
