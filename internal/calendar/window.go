// Package calendar computes the time windows and the business hours of a team
// in its time zone.
package calendar

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"chattonic_exporter/chattonic"
)

// WindowSpec is a kind of window, from which the one that ends at a given
// moment follows: a rolling duration or a calendar period. Specs of the same
// name are equal.
type WindowSpec struct {
	name    string
	rolling time.Duration // 0 for a calendar period, which the name says
}

// periods holds the calendar periods. now is in the time zone of the calendar.
// Weeks begin on Monday, as in ISO 8601.
var periods = map[string]func(now time.Time) (start, end time.Time){
	"today": func(now time.Time) (start, end time.Time) {
		return StartOfDay(now), now
	},
	"yesterday": func(now time.Time) (start, end time.Time) {
		end = StartOfDay(now)
		return StartOfDay(end.Add(-1)), end
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
// minutes and seconds, such as 7d or 1h30m. Its errors do not quote the name.
func ParseWindow(name string) (WindowSpec, error) {
	if _, ok := periods[name]; ok {
		return WindowSpec{name: name}, nil
	}
	counts := rollingForm.FindStringSubmatch(name)
	if counts == nil {
		return WindowSpec{}, errors.New("unknown window: use a duration such as 24h or 7d, or today, yesterday, this_week or this_month")
	}
	outOfRange := fmt.Errorf("the window is out of range: use more than 0 and at most %d days", maxRolling/(24*time.Hour))
	var rolling time.Duration
	for i, unit := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second} {
		n, _ := strconv.Atoi(counts[i+1])       // "" is 0, and the form leaves only digits
		if time.Duration(n) > maxRolling/unit { // also before the product overflows
			return WindowSpec{}, outOfRange
		}
		rolling += time.Duration(n) * unit
	}
	if rolling <= 0 || rolling > maxRolling {
		return WindowSpec{}, outOfRange
	}
	return WindowSpec{name: name, rolling: rolling}, nil
}

// UnmarshalText reads the name of a window, as ParseWindow does.
func (s *WindowSpec) UnmarshalText(text []byte) (err error) {
	*s, err = ParseWindow(string(text))
	return err
}

// Name returns the name that the kind of window was parsed from.
func (s WindowSpec) Name() string { return s.name }

// At returns the window as it is at now, to the millisecond, which is what the
// API takes. The time zone of now is that of the calendar periods.
func (s WindowSpec) At(now time.Time) chattonic.Window {
	now = now.Truncate(time.Millisecond)
	if s.rolling != 0 {
		return chattonic.Window{Name: s.name, Start: now.Add(-s.rolling), End: now}
	}
	start, end := periods[s.name](now)
	return chattonic.Window{Name: s.name, Start: start, End: end}
}

// StartOfDay returns the first instant of the day of t in its time zone, which
// is not 00:00 where clocks change at midnight.
func StartOfDay(t time.Time) time.Time {
	return startOfDate(t.Year(), t.Month(), t.Day(), t.Location())
}

// startOfDate returns the first instant of a date. That is not always midnight:
// where clocks go forward at midnight the day begins at 01:00, and where they
// go back over midnight there are two of them.
func startOfDate(year int, month time.Month, day int, zone *time.Location) time.Time {
	on := time.Date(year, month, day, 12, 0, 0, 0, zone)
	for {
		change, _ := on.ZoneBounds()
		if before := change.Add(-1); sameDate(before, on) {
			on = before
			continue
		}
		clock := time.Duration(on.Hour())*time.Hour + time.Duration(on.Minute())*time.Minute +
			time.Duration(on.Second())*time.Second + time.Duration(on.Nanosecond())
		midnight := on.Add(-clock) // if the clock was not changed since
		if midnight.Before(change) {
			return change
		}
		return midnight
	}
}

func sameDate(a, b time.Time) bool { return a.Year() == b.Year() && a.YearDay() == b.YearDay() }
