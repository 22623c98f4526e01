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

// WindowSpec describes a window relative to the current time: a rolling duration or a
// calendar period. Specs with the same name are equal.
type WindowSpec struct {
	name    string
	rolling time.Duration // 0 for a calendar period, which name identifies
}

// periods holds the calendar periods by name. They are in the time zone of now.
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

// maxRolling is the maximum duration of a rolling window. It catches typing errors.
const maxRolling = 3660 * 24 * time.Hour

var rollingPattern = regexp.MustCompile(`^(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?$`)

// ParseWindow parses the name of a window: today, yesterday, this_week,
// this_month, or a rolling duration in weeks, days (of 24 hours), hours,
// minutes and seconds, such as 7d or 1h30m. Its errors do not quote the name.
func ParseWindow(name string) (WindowSpec, error) {
	if _, ok := periods[name]; ok {
		return WindowSpec{name: name}, nil
	}
	counts := rollingPattern.FindStringSubmatch(name)
	if counts == nil {
		return WindowSpec{}, errors.New("unknown window: use a duration such as 24h or 7d, or today, yesterday, this_week or this_month")
	}
	errRange := fmt.Errorf("the window is out of range: use more than 0 and at most %d days", maxRolling/(24*time.Hour))
	var rolling time.Duration
	for i, unit := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second} {
		n, _ := strconv.Atoi(counts[i+1])       // "" is 0; the pattern allows only digits
		if time.Duration(n) > maxRolling/unit { // also prevents an overflow below
			return WindowSpec{}, errRange
		}
		rolling += time.Duration(n) * unit
	}
	if rolling <= 0 || rolling > maxRolling {
		return WindowSpec{}, errRange
	}
	return WindowSpec{name: name, rolling: rolling}, nil
}

// UnmarshalText parses the name of a window, as ParseWindow does.
func (s *WindowSpec) UnmarshalText(text []byte) (err error) {
	*s, err = ParseWindow(string(text))
	return err
}

// Name returns the name that the WindowSpec was parsed from.
func (s WindowSpec) Name() string { return s.name }

// At returns the window at the time now, with the millisecond precision of the API. Calendar
// periods are in the time zone of now.
func (s WindowSpec) At(now time.Time) chattonic.Window {
	now = now.Truncate(time.Millisecond)
	if s.rolling != 0 {
		return chattonic.Window{Name: s.name, Start: now.Add(-s.rolling), End: now}
	}
	start, end := periods[s.name](now)
	return chattonic.Window{Name: s.name, Start: start, End: end}
}

// StartOfDay returns the first instant of the day of t in its time zone. It is not 00:00 if
// the clocks go forward at midnight.
func StartOfDay(t time.Time) time.Time {
	return startOfDate(t.Year(), t.Month(), t.Day(), t.Location())
}

// startOfDate returns the first instant of a date. If the clocks go forward at midnight, the
// day starts at 01:00. If they go back over midnight, it starts at the first of two
// midnights.
func startOfDate(year int, month time.Month, day int, zone *time.Location) time.Time {
	t := time.Date(year, month, day, 12, 0, 0, 0, zone)
	for {
		change, _ := t.ZoneBounds()
		if before := change.Add(-1); sameDate(before, t) {
			t = before
			continue
		}
		timeOfDay := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute +
			time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
		midnight := t.Add(-timeOfDay) // unless the clocks changed in between
		if midnight.Before(change) {
			return change
		}
		return midnight
	}
}

func sameDate(a, b time.Time) bool { return a.Year() == b.Year() && a.YearDay() == b.YearDay() }
