package calendar_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
	_ "time/tzdata" // the zones below, also on a machine without them

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/calendar"
)

// zones are those of the platform's customers, and those whose clocks change at
// midnight, where days begin at other times.
var zones = []string{
	"America/Argentina/Buenos_Aires", "America/Santiago", "Europe/Madrid", "UTC",
	"Atlantic/Azores", "America/Havana", "Pacific/Apia", "Africa/Cairo", "America/Sao_Paulo", "Asia/Beirut",
}

func load(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	require.NoError(t, err)
	return zone
}

// windowAt is the window with the name at now.
func windowAt(t testing.TB, name string, now time.Time) chattonic.Window {
	t.Helper()
	spec, err := calendar.ParseWindow(name)
	require.NoError(t, err)
	return spec.At(now)
}

// assertFirstInstant holds start, which is in its zone, to the first instant of
// its date: none of the day before it is on that date.
func assertFirstInstant(t testing.TB, start time.Time) {
	t.Helper()
	for step := time.Millisecond; step <= 20*time.Hour; step = max(step+time.Minute, step*5/4) {
		before := start.Add(-step)
		if before.Year() == start.Year() && before.YearDay() == start.YearDay() {
			require.Fail(t, "earlier instant on the date", "%v is not the first, as there is %v", start, before)
		}
	}
}

func TestCalendarWindowsAtRandomInstants(t *testing.T) {
	t.Parallel()
	from, to := time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano(), time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	for _, name := range zones {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone := load(t, name)
			for range 500 {
				assertCalendar(t, time.Unix(0, from+rand.Int64N(to-from)).In(zone))
			}
		})
	}
}

// TestCalendarWindowsAroundClockChanges looks at each change of the clocks, which
// random instants seldom meet.
func TestCalendarWindowsAroundClockChanges(t *testing.T) {
	t.Parallel()
	for _, name := range zones {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone := load(t, name)
			_, change := time.Date(2015, 1, 1, 0, 0, 0, 0, zone).ZoneBounds()
			for !change.IsZero() && change.Year() < 2036 {
				for _, near := range []time.Duration{-24 * time.Hour, -time.Hour, -time.Millisecond, 0, time.Millisecond, time.Hour, 24 * time.Hour} {
					assertCalendar(t, change.Add(near).In(zone))
				}
				_, change = change.ZoneBounds()
			}
		})
	}
}

func assertCalendar(t *testing.T, now time.Time) {
	t.Helper()
	today, yesterday := windowAt(t, "today", now), windowAt(t, "yesterday", now)
	week, month := windowAt(t, "this_week", now), windowAt(t, "this_month", now)
	now = now.Truncate(time.Millisecond)

	for _, window := range []chattonic.Window{today, yesterday, week, month} {
		assertFirstInstant(t, window.Start)
		require.Zero(t, window.Start.UnixNano()%1e6, "%v", window)
	}
	for _, window := range []chattonic.Window{today, week, month} {
		require.True(t, window.End.Equal(now), "%v", window)
		require.False(t, window.Start.After(now), "%v", window)
	}
	require.Equal(t, now.Format(time.DateOnly), today.Start.Format(time.DateOnly))

	require.Equal(t, today.Start, yesterday.End)
	require.Equal(t, time.Date(now.Year(), now.Month(), now.Day()-1, 12, 0, 0, 0, time.UTC).Format(time.DateOnly), yesterday.Start.Format(time.DateOnly))
	require.InDelta(t, 24, yesterday.End.Sub(yesterday.Start).Hours(), 1)

	require.Equal(t, time.Monday, week.Start.Weekday())
	require.Less(t, now.Sub(week.Start), (7*24+1)*time.Hour)
	require.False(t, week.Start.After(today.Start))

	require.Equal(t, 1, month.Start.Day())
	require.Equal(t, now.Month(), month.Start.Month())
	require.Equal(t, now.Year(), month.Start.Year())
}

func TestWindowsAreMonotone(t *testing.T) {
	t.Parallel()
	for _, name := range zones {
		zone := load(t, name)
		for _, window := range []string{"today", "yesterday", "this_week", "this_month", "90m"} {
			spec, err := calendar.ParseWindow(window)
			require.NoError(t, err)
			now := time.Date(2018, 1, 1, 0, 0, 0, 0, zone)
			last := spec.At(now)
			for now.Year() < 2019 {
				step := time.Duration(1 + rand.Int64N(int64(12*time.Hour)))
				if _, change := now.ZoneBounds(); !change.IsZero() && change.Sub(now).Abs() < 12*time.Hour {
					step /= 100 // a closer look
				}
				now = now.Add(step)
				next := spec.At(now)
				if next.Start.Before(last.Start) || next.End.Before(last.End) {
					require.Fail(t, "goes back", "%s in %s: from %v to %v", window, name, last, next)
				}
				last = next
			}
		}
	}
}

// knownDays holds windows whose bounds follow from the published changes of clocks.
var knownDays = []struct {
	zone, now, window string
	start, end        string // in UTC; end is now where it is empty
}{
	// The documented month, at its documented end.
	{"America/Argentina/Buenos_Aires", "2021-12-01T02:55:00Z", "this_month", "2021-11-01T03:00:00Z", ""},
	{"America/Argentina/Buenos_Aires", "2021-12-01T02:55:00Z", "today", "2021-11-30T03:00:00Z", ""},
	{"America/Argentina/Buenos_Aires", "2021-12-01T02:55:00Z", "yesterday", "2021-11-29T03:00:00Z", "2021-11-30T03:00:00Z"},
	{"America/Argentina/Buenos_Aires", "2021-12-01T02:55:00Z", "this_week", "2021-11-29T03:00:00Z", ""},
	{"America/Argentina/Buenos_Aires", "2021-12-01T03:00:00Z", "this_month", "2021-12-01T03:00:00Z", ""},

	// Spring at midnight: 2023-09-03 begins at 01:00 (-03:00) and has 23 hours.
	{"America/Santiago", "2023-09-03T03:59:59.999Z", "today", "2023-09-02T04:00:00Z", ""},
	{"America/Santiago", "2023-09-03T04:00:00Z", "today", "2023-09-03T04:00:00Z", ""},
	{"America/Santiago", "2023-09-04T12:00:00Z", "yesterday", "2023-09-03T04:00:00Z", "2023-09-04T03:00:00Z"},
	{"America/Santiago", "2023-09-03T12:00:00Z", "yesterday", "2023-09-02T04:00:00Z", "2023-09-03T04:00:00Z"},
	{"America/Santiago", "2023-09-03T12:00:00Z", "this_week", "2023-08-28T04:00:00Z", ""},
	{"America/Santiago", "2023-09-04T12:00:00Z", "this_week", "2023-09-04T03:00:00Z", ""},
	// Autumn at midnight: 2023-04-01 has 25 hours, its last one twice.
	{"America/Santiago", "2023-04-02T03:59:59Z", "today", "2023-04-01T03:00:00Z", ""},
	{"America/Santiago", "2023-04-02T12:00:00Z", "today", "2023-04-02T04:00:00Z", ""},
	{"America/Santiago", "2023-04-02T12:00:00Z", "yesterday", "2023-04-01T03:00:00Z", "2023-04-02T04:00:00Z"},
	{"America/Santiago", "2023-04-02T12:00:00Z", "this_month", "2023-04-01T03:00:00Z", ""},

	// 23 and 25 hours, changed at night.
	{"Europe/Madrid", "2024-03-31T12:00:00Z", "today", "2024-03-30T23:00:00Z", ""},
	{"Europe/Madrid", "2024-04-01T12:00:00Z", "yesterday", "2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z"},
	{"Europe/Madrid", "2024-10-27T12:00:00Z", "today", "2024-10-26T22:00:00Z", ""},
	{"Europe/Madrid", "2024-10-28T12:00:00Z", "yesterday", "2024-10-26T22:00:00Z", "2024-10-27T23:00:00Z"},
	{"Europe/Madrid", "2024-10-31T12:00:00Z", "this_month", "2024-09-30T22:00:00Z", ""},
	{"Europe/Madrid", "2024-03-31T12:00:00Z", "this_week", "2024-03-24T23:00:00Z", ""},

	{"UTC", "2024-03-01T00:00:00Z", "yesterday", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"},
	{"UTC", "2024-01-01T00:00:00Z", "this_week", "2024-01-01T00:00:00Z", ""},
	{"UTC", "2023-12-31T23:59:59Z", "this_week", "2023-12-25T00:00:00Z", ""},

	// Midnight twice: the first is that of the summer time.
	{"Atlantic/Azores", "2024-10-27T12:00:00Z", "today", "2024-10-27T00:00:00Z", ""},
	{"America/Havana", "2024-11-03T12:00:00Z", "today", "2024-11-03T04:00:00Z", ""},
	// A clock that went back over midnight by a minute, so that a date came twice.
	{"America/St_Johns", "2010-11-07T12:00:00Z", "today", "2010-11-07T02:30:00Z", ""},
	// A date that never was: 2011-12-30 was left out.
	{"Pacific/Apia", "2011-12-31T12:00:00+14:00", "yesterday", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"},
}

func TestCalendarWindowsOnKnownDays(t *testing.T) {
	t.Parallel()
	for _, test := range knownDays {
		t.Run(fmt.Sprintf("%s %s %s", test.zone, test.now, test.window), func(t *testing.T) {
			parse := func(text string) time.Time {
				at, err := time.Parse(time.RFC3339, text)
				require.NoError(t, err)
				return at
			}
			now := parse(test.now).In(load(t, test.zone))
			want := now
			if test.end != "" {
				want = parse(test.end)
			}
			window := windowAt(t, test.window, now)
			assert.Equal(t, test.window, window.Name)
			assert.Equal(t, parse(test.start), window.Start.UTC())
			assert.Equal(t, want.UTC(), window.End.UTC())
		})
	}
}

func TestRollingWindows(t *testing.T) {
	t.Parallel()
	now := time.Date(2024, 3, 31, 12, 0, 0, 123_999_999, load(t, "Europe/Madrid")) // a day of 23 hours
	for name, want := range map[string]time.Duration{
		"24h": 24 * time.Hour, "1d": 24 * time.Hour, "7d": 168 * time.Hour, "1w": 168 * time.Hour, "1h30m": 90 * time.Minute, "90m": 90 * time.Minute,
		"90s": 90 * time.Second, "1s": time.Second, "1w2d3h4m5s": (9*24+3)*time.Hour + 4*time.Minute + 5*time.Second, "0d1h": time.Hour, "007h": 7 * time.Hour,
		"3660d": 3660 * 24 * time.Hour, "316224000s": 3660 * 24 * time.Hour,
	} {
		spec, err := calendar.ParseWindow(name)
		require.NoError(t, err, name)
		assert.Equal(t, name, spec.Name())
		window := spec.At(now)
		assert.Equal(t, name, window.Name)
		assert.Equal(t, want, window.End.Sub(window.Start), name)
		assert.True(t, window.End.Equal(now.Truncate(time.Millisecond)), name)
	}
}

func TestParseWindowRefuses(t *testing.T) {
	t.Parallel()
	const (
		unknown = "unknown window: use a duration such as 24h or 7d, or today, yesterday, this_week or this_month"
		range10 = "the window is out of range: use more than 0 and at most 3660 days"
	)
	for name, want := range map[string]string{
		"": range10, "0h": range10, "0s": range10, "0w0d": range10,
		"3660d1s": range10, "3661d": range10, "999999w": range10, "316224001s": range10, "999999w999999d999999h999999m999999999s": range10,
		"30501w":   range10, // 2.6e14 ns in an int64, 3 days, if it overflowed
		"9999999h": unknown, "1.5h": unknown, "-1h": unknown, "+1h": unknown, "24": unknown, "h": unknown, "Today": unknown, "TODAY": unknown, "today ": unknown,
		" 24h": unknown, "24h\n": unknown, "24 h": unknown, "24H": unknown, "1h1d": unknown, "1h1h": unknown, "1y": unknown, "1ms": unknown, "last_week": unknown, "٣h": unknown,
	} {
		spec, err := calendar.ParseWindow(name)
		assert.EqualError(t, err, want, name)
		assert.Empty(t, spec)
	}
}

func FuzzParseWindow(f *testing.F) {
	for _, seed := range []string{"", "24h", "7d", "1w", "1h30m", "90s", "0h", "1.5h", "-1h", "1h1d", "30501w", "today", "yesterday", "this_week", "this_month", "Today"} {
		f.Add(seed, int64(1638327300000))
	}
	santiago := load(f, "America/Santiago")
	f.Fuzz(func(t *testing.T, name string, milliseconds int64) {
		spec, err := calendar.ParseWindow(name)
		if err != nil {
			assert.Contains(t, err.Error(), "window")
			return
		}
		assert.Equal(t, name, spec.Name())
		const fiftyYears = 50 * 365 * 24 * 3600 * 1000
		now := time.UnixMilli(milliseconds % fiftyYears).In(santiago)
		window := spec.At(now)
		assert.Equal(t, name, window.Name)
		assert.False(t, window.End.After(now))
		assert.LessOrEqual(t, window.End.Sub(window.Start), 3660*24*time.Hour)
		if window.Start.Equal(now) { // the first instant of a calendar period
			assert.Contains(t, []string{"today", "this_week", "this_month"}, name)
		} else {
			assert.True(t, window.Start.Before(window.End), "%v", window)
		}
	})
}
