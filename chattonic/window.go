package chattonic

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Window is the interval of time [Start, End) that an answer is about.
type Window struct {
	// Name is what the window is called in a configuration, such as "24h" or
	// "today". The API does not see it.
	Name string
	// Start is the first instant of the window.
	Start time.Time
	// End is the first instant after the window.
	End time.Time
}

// WindowSpec is a kind of window, from which the one that ends at a given
// moment follows: a rolling duration or a calendar period.
type WindowSpec struct {
	name    string
	rolling time.Duration                              // 0 for a calendar period
	period  func(now time.Time) (start, end time.Time) // nil for a rolling duration
}

// calendar holds the calendar periods. now is in the time zone of the calendar.
// Weeks begin on Monday, as in ISO 8601.
var calendar = map[string]func(now time.Time) (start, end time.Time){
	"today": func(now time.Time) (start, end time.Time) {
		return startOfDay(now), now
	},
	"yesterday": func(now time.Time) (start, end time.Time) {
		end = startOfDay(now)
		return startOfDay(end.Add(-1)), end
	},
	"this_week": func(now time.Time) (start, end time.Time) {
		sinceMonday := (int(now.Weekday()) + 6) % 7
		return startOfDate(now.Year(), now.Month(), now.Day()-sinceMonday, now.Location()), now
	},
	"this_month": func(now time.Time) (start, end time.Time) {
		return startOfDate(now.Year(), now.Month(), 1, now.Location()), now
	},
}

// maxRolling keeps a mistyped duration from asking for centuries.
const maxRolling = 3660 * 24 * time.Hour

var rollingForm = regexp.MustCompile(`^(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?$`)

// ParseWindow reads the name of a window: today, yesterday, this_week,
// this_month, or a rolling duration in weeks, days (of 24 hours), hours,
// minutes and seconds, such as 7d or 1h30m.
func ParseWindow(name string) (WindowSpec, error) {
	if period, ok := calendar[name]; ok {
		return WindowSpec{name: name, period: period}, nil
	}
	parts := rollingForm.FindStringSubmatch(name)
	if parts == nil {
		return WindowSpec{}, fmt.Errorf("unknown window %q: use a duration such as 24h or 7d, or today, yesterday, this_week or this_month", name)
	}
	var rolling time.Duration
	for i, unit := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second} {
		n, _ := strconv.Atoi(parts[i+1]) // "" is 0, and the form leaves only digits
		rolling += time.Duration(n) * unit
	}
	if rolling <= 0 || rolling > maxRolling {
		return WindowSpec{}, fmt.Errorf("window %q is out of range: use more than 0 and at most %d days", name, maxRolling/(24*time.Hour))
	}
	return WindowSpec{name: name, rolling: rolling}, nil
}

// Name returns the name that the kind of window was parsed from.
func (s WindowSpec) Name() string { return s.name }

// At returns the window as it is at now, to the millisecond, which is what the
// API takes. The time zone of now is that of the calendar periods.
func (s WindowSpec) At(now time.Time) Window {
	now = now.Truncate(time.Millisecond)
	if s.period == nil {
		return Window{Name: s.name, Start: now.Add(-s.rolling), End: now}
	}
	start, end := s.period(now)
	return Window{Name: s.name, Start: start, End: end}
}

func startOfDay(t time.Time) time.Time {
	return startOfDate(t.Year(), t.Month(), t.Day(), t.Location())
}

// startOfDate returns the first instant of a date. That is not always midnight:
// where clocks go forward at midnight the day begins at 01:00, and where they
// go back to midnight there are two of them.
func startOfDate(year int, month time.Month, day int, zone *time.Location) time.Time {
	noon := time.Date(year, month, day, 12, 0, 0, 0, zone)
	midnight := time.Date(year, month, day, 0, 0, 0, 0, zone)
	onDate := func(t time.Time) bool {
		t = t.In(zone)
		return t.Year() == noon.Year() && t.YearDay() == noon.YearDay()
	}
	change, next := midnight.ZoneBounds()
	switch {
	case !onDate(midnight): // skipped, and taken for the last hour of the day before
		return next
	case onDate(change.Add(-1)): // the second of two
		_, before := change.Add(-1).In(zone).Zone()
		_, after := midnight.Zone()
		return midnight.Add(time.Duration(after-before) * time.Second)
	case onDate(change): // skipped, and taken for the first hour after it
		return change
	default:
		return midnight
	}
}
