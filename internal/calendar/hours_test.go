package calendar_test

import (
	"math/rand/v2"
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

func TestNextChange(t *testing.T) {
	week := []calendar.Interval{open(time.Monday, "09:00", "18:00"), open(time.Friday, "09:00", "18:00"), open(time.Saturday, "22:00", "02:00")}
	for name, test := range map[string]struct {
		moment, zone string
		hours        []calendar.Interval
		want         string // empty if it never changes
	}{
		"opens today":                   {"2021-11-29 11:30:00", "America/Argentina/Buenos_Aires", week, "2021-11-29 12:00:00"},
		"the last second before":        {"2021-11-29 11:59:59.5", "America/Argentina/Buenos_Aires", week, "2021-11-29 12:00:00"},
		"closes":                        {"2021-11-29 12:00:00", "America/Argentina/Buenos_Aires", week, "2021-11-29 21:00:00"},
		"opens in four days":            {"2021-11-29 21:00:00", "America/Argentina/Buenos_Aires", week, "2021-12-03 12:00:00"},
		"closes past midnight":          {"2021-12-05 02:00:00", "America/Argentina/Buenos_Aires", week, "2021-12-05 05:00:00"},
		"hours that overlap":            {"2021-12-05 09:30:00", "UTC", []calendar.Interval{open(time.Sunday, "09:00", "11:00"), open(time.Sunday, "10:00", "12:00")}, "2021-12-05 12:00:00"},
		"once a week, just closed":      {"2021-12-05 12:00:00", "UTC", []calendar.Interval{open(time.Sunday, "09:00", "12:00")}, "2021-12-12 09:00:00"},
		"the night the clocks go ahead": {"2021-03-28 00:00:00", "Europe/Madrid", []calendar.Interval{open(time.Sunday, "02:30", "04:00")}, "2021-03-28 01:00:00"}, // 02:30 does not exist, and 03:00 is within
		"zones of half an hour":         {"2021-12-06 03:00:00", "Asia/Kolkata", []calendar.Interval{open(time.Monday, "09:00", "18:00")}, "2021-12-06 03:30:00"},
		"always open": {"2021-12-05 12:00:00", "UTC", []calendar.Interval{
			open(time.Sunday, "00:00", "24:00"), open(time.Monday, "00:00", "24:00"), open(time.Tuesday, "00:00", "24:00"),
			open(time.Wednesday, "00:00", "24:00"), open(time.Thursday, "00:00", "24:00"), open(time.Friday, "00:00", "24:00"), open(time.Saturday, "00:00", "24:00"),
		}, ""},
		"never open": {"2021-12-05 12:00:00", "UTC", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			at, err := time.Parse("2006-01-02 15:04:05.999", test.moment)
			require.NoError(t, err)
			next, changes := (&calendar.BusinessHours{Location: load(t, test.zone), Intervals: test.hours}).NextChange(at)
			assert.Equal(t, test.want != "", changes)
			if changes {
				assert.Equal(t, test.want, next.UTC().Format(time.DateTime))
			}
		})
	}
}

// TestNextChangeIsTheFirst compares NextChange with a look at each minute, around changes of
// the clocks, too.
func TestNextChangeIsTheFirst(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, zone := range []string{"UTC", "Europe/Madrid", "America/Santiago", "Australia/Lord_Howe"} {
		for range 40 {
			b := &calendar.BusinessHours{Location: load(t, zone)}
			for range 1 + random.IntN(4) {
				i := calendar.Interval{Day: time.Weekday(random.IntN(7)), From: random.IntN(96) * 15, To: random.IntN(97) * 15}
				if i.From != i.To {
					b.Intervals = append(b.Intervals, i)
				}
			}
			at := time.Date(2021, []time.Month{3, 4, 9, 10, 11}[random.IntN(5)], 1+random.IntN(31), random.IntN(24), random.IntN(60), 0, 0, time.UTC)
			want := at.Add(time.Minute)
			for b.Within(want) == b.Within(at) && want.Sub(at) < 8*24*time.Hour {
				want = want.Add(time.Minute)
			}
			next, changes := b.NextChange(at)
			if b.Within(want) != b.Within(at) {
				require.True(t, changes, "%s %v %v", zone, at, b.Intervals)
				require.Equal(t, want, next.UTC(), "%s %v %v", zone, at, b.Intervals)
			} else {
				require.False(t, changes, "%s %v %v", zone, at, b.Intervals)
			}
		}
	}
}
