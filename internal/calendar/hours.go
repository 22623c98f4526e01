package calendar

import (
	"slices"
	"time"
)

// BusinessHours are the hours of the week in which a team works, as the clocks
// of a time zone show them. Where clocks are put forward, an hour that they skip
// never comes; where they are put back, one that they show twice counts twice.
type BusinessHours struct {
	// Location is the time zone of the clocks.
	Location *time.Location
	// Intervals are the hours. They may overlap.
	Intervals []Interval
}

// Interval is a span of time on a weekday, which includes From and excludes To.
// One whose From is after its To goes on past midnight, and belongs to the day
// that it begins on.
type Interval struct {
	// Day is the weekday.
	Day time.Weekday
	// From and To are minutes since midnight. From is less than 24 hours, To at
	// most that, and they differ.
	From, To int
}

// Within says whether a moment is within the hours.
func (b *BusinessHours) Within(moment time.Time) bool {
	clock := moment.In(b.Location)
	today, minute := clock.Weekday(), clock.Hour()*60+clock.Minute()
	yesterday := (today + 6) % 7
	return slices.ContainsFunc(b.Intervals, func(i Interval) bool {
		begun, over := minute >= i.From, minute >= i.To
		if i.From < i.To {
			return i.Day == today && begun && !over
		}
		return i.Day == today && begun || i.Day == yesterday && !over
	})
}
