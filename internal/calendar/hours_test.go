package calendar_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/internal/calendar"
)

// open are the hours of a day from one time of the clock to another.
func open(day time.Weekday, from, to string) calendar.Interval {
	minutes := func(text string) int {
		hour, minute := int(text[0]-'0')*10+int(text[1]-'0'), int(text[3]-'0')*10+int(text[4]-'0')
		return hour*60 + minute
	}
	return calendar.Interval{Day: day, From: minutes(from), To: minutes(to)}
}

// within says whether a moment in UTC is within hours of the time zone.
func within(t *testing.T, moment, zone string, hours ...calendar.Interval) bool {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04:05.999", moment)
	require.NoError(t, err)
	return (&calendar.BusinessHours{Location: load(t, zone), Intervals: hours}).Within(at)
}

func TestWithinBusinessHours(t *testing.T) {
	buenosAires := "America/Argentina/Buenos_Aires" // 3 hours behind UTC, all year
	week := []calendar.Interval{open(time.Monday, "09:00", "18:00"), open(time.Friday, "09:00", "18:00"), open(time.Saturday, "22:00", "02:00")}
	for name, test := range map[string]struct {
		moment, zone string
		hours        []calendar.Interval
		want         bool
	}{
		"before they begin":                 {"2021-11-29 11:59:59.999", buenosAires, week, false}, // a Monday
		"when they begin":                   {"2021-11-29 12:00:00", buenosAires, week, true},
		"their last moment":                 {"2021-11-29 20:59:59.999", buenosAires, week, true},
		"when they end":                     {"2021-11-29 21:00:00", buenosAires, week, false},
		"another day":                       {"2021-11-30 15:00:00", buenosAires, week, false},
		"a day that UTC has not yet":        {"2021-12-03 00:30:00", "Pacific/Kiritimati", week, true}, // Friday 14:30, 14 hours ahead
		"Saturday before its night":         {"2021-12-05 00:59:00", buenosAires, week, false},
		"Saturday night":                    {"2021-12-05 01:00:00", buenosAires, week, true},
		"Saturday's hours, on Sunday":       {"2021-12-05 04:59:59", buenosAires, week, true},
		"the end of Saturday's hours":       {"2021-12-05 05:00:00", buenosAires, week, false},
		"Friday's small hours are not open": {"2021-12-04 04:00:00", buenosAires, week, false}, // Saturday 01:00
		"Saturday's small hours, of no one": {"2021-12-04 06:00:00", buenosAires, week, false},
		"a whole day's first moment":        {"2021-12-05 00:00:00", "UTC", []calendar.Interval{open(time.Sunday, "00:00", "24:00")}, true},
		"a whole day's last moment":         {"2021-12-05 23:59:59.999", "UTC", []calendar.Interval{open(time.Sunday, "00:00", "24:00")}, true},
		"after a whole day":                 {"2021-12-06 00:00:00", "UTC", []calendar.Interval{open(time.Sunday, "00:00", "24:00")}, false},
		"until midnight as a beginning":     {"2021-12-05 00:00:00", "UTC", []calendar.Interval{open(time.Saturday, "18:00", "00:00")}, false},
		"in both of two that overlap":       {"2021-12-05 10:30:00", "UTC", []calendar.Interval{open(time.Sunday, "09:00", "11:00"), open(time.Sunday, "10:00", "12:00")}, true},
		"in the second of two that overlap": {"2021-12-05 11:30:00", "UTC", []calendar.Interval{open(time.Sunday, "09:00", "11:00"), open(time.Sunday, "10:00", "12:00")}, true},
		"no hours":                          {"2021-12-05 11:30:00", "UTC", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, within(t, test.moment, test.zone, test.hours...))
		})
	}
}

// TestBusinessHoursWhenClocksChange has the hours follow the clock on the wall.
func TestBusinessHoursWhenClocksChange(t *testing.T) {
	// Clocks went from 02:00 to 03:00 at 01:00 UTC of March 28th, a Sunday, and
	// from 03:00 to 02:00 at 01:00 UTC of October 31st, a Sunday.
	const madrid = "Europe/Madrid"
	// Clocks went from 24:00 of Saturday to 23:00 at 02:00 UTC of February 18th.
	const saoPaulo = "America/Sao_Paulo"
	day := open(time.Sunday, "09:00", "17:00")
	skipped, half := open(time.Sunday, "02:00", "03:00"), open(time.Sunday, "02:30", "04:00")
	for name, test := range map[string]struct {
		moment, zone string
		hours        calendar.Interval
		want         bool
	}{
		"opening in winter":                  {"2021-03-21 08:00:00", madrid, day, true},
		"before opening in winter":           {"2021-03-21 07:59:59", madrid, day, false},
		"opening in summer":                  {"2021-03-28 07:00:00", madrid, day, true},
		"before opening in summer":           {"2021-03-28 06:59:59", madrid, day, false},
		"closing in summer":                  {"2021-03-28 15:00:00", madrid, day, false},
		"opening in winter again":            {"2021-10-31 08:00:00", madrid, day, true},
		"before opening in winter again":     {"2021-10-31 07:59:59", madrid, day, false},
		"before the hour that is skipped":    {"2021-03-28 00:59:59", madrid, skipped, false}, // 01:59:59
		"after the hour that is skipped":     {"2021-03-28 01:00:00", madrid, skipped, false}, // 03:00
		"from within the skipped hour":       {"2021-03-28 01:00:00", madrid, half, true},     // 03:00
		"not before the skipped hour":        {"2021-03-28 00:59:59", madrid, half, false},
		"the end after the skipped hour":     {"2021-03-28 02:00:00", madrid, half, false}, // 04:00
		"a night over the skipped hour":      {"2021-03-28 01:30:00", madrid, open(time.Saturday, "22:00", "04:00"), true},
		"the hour that comes twice, first":   {"2021-10-31 00:30:00", madrid, skipped, true}, // 02:30 of summer
		"the hour that comes twice, again":   {"2021-10-31 01:30:00", madrid, skipped, true}, // 02:30 of winter
		"before the hour that comes twice":   {"2021-10-30 23:59:59", madrid, skipped, false},
		"after the hour that comes twice":    {"2021-10-31 02:00:00", madrid, skipped, false},
		"half of it, at first not":           {"2021-10-31 00:29:59", madrid, half, false},
		"half of it, the first time":         {"2021-10-31 00:30:00", madrid, half, true},
		"half of it, not again":              {"2021-10-31 01:29:59", madrid, half, false}, // 02:29:59 again
		"half of it, the second time":        {"2021-10-31 01:30:00", madrid, half, true},
		"the evening that comes twice":       {"2018-02-18 01:30:00", saoPaulo, open(time.Saturday, "23:00", "24:00"), true},
		"the evening that comes twice again": {"2018-02-18 02:30:00", saoPaulo, open(time.Saturday, "23:00", "24:00"), true},
		"midnight is put off":                {"2018-02-18 02:30:00", saoPaulo, open(time.Sunday, "00:00", "24:00"), false},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, within(t, test.moment, test.zone, test.hours))
		})
	}
}
