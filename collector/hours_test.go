package collector

import (
	"testing"
	"time"
	_ "time/tzdata" // time zones where the machine has none

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// open are the hours of a day from one time of the clock to another.
func open(day time.Weekday, from, to string) Interval {
	minutes := func(text string) int {
		hour, minute := int(text[0]-'0')*10+int(text[1]-'0'), int(text[3]-'0')*10+int(text[4]-'0')
		return hour*60 + minute
	}
	return Interval{Day: day, From: minutes(from), To: minutes(to)}
}

// within scrapes a team whose hours these are, as of a moment in UTC, and
// returns the samples that say whether it is within them.
func within(t *testing.T, moment string, adjust func(*Settings), zone string, hours ...Interval) []string {
	t.Helper()
	location, err := time.LoadLocation(zone)
	require.NoError(t, err)
	at, err := time.Parse("2006-01-02 15:04:05.999", moment)
	require.NoError(t, err)
	team := newTeam(t, &fakeAPI{err: errDown}, func(s *Settings) {
		s.BusinessHours = &BusinessHours{Location: location, Intervals: hours}
		if adjust != nil {
			adjust(s)
		}
	})
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(New(t.Context(), log.NewNopLogger(), func() time.Time { return at }, team)))
	return of(gathered(t, registry), "chattonic_within_business_hours")
}

func TestWithinBusinessHours(t *testing.T) {
	buenosAires := "America/Argentina/Buenos_Aires" // 3 hours behind UTC, all year
	week := []Interval{open(time.Monday, "09:00", "18:00"), open(time.Friday, "09:00", "18:00"), open(time.Saturday, "22:00", "02:00")}
	for name, test := range map[string]struct {
		moment, zone string
		hours        []Interval
		want         string
	}{
		"before they begin":                 {"2021-11-29 11:59:59.999", buenosAires, week, "0"}, // a Monday
		"when they begin":                   {"2021-11-29 12:00:00", buenosAires, week, "1"},
		"their last moment":                 {"2021-11-29 20:59:59.999", buenosAires, week, "1"},
		"when they end":                     {"2021-11-29 21:00:00", buenosAires, week, "0"},
		"another day":                       {"2021-11-30 15:00:00", buenosAires, week, "0"},
		"a day that UTC has not yet":        {"2021-12-03 00:30:00", "Pacific/Kiritimati", week, "1"}, // Friday 14:30, 14 hours ahead
		"Saturday before its night":         {"2021-12-05 00:59:00", buenosAires, week, "0"},
		"Saturday night":                    {"2021-12-05 01:00:00", buenosAires, week, "1"},
		"Saturday's hours, on Sunday":       {"2021-12-05 04:59:59", buenosAires, week, "1"},
		"the end of Saturday's hours":       {"2021-12-05 05:00:00", buenosAires, week, "0"},
		"Friday's small hours are not open": {"2021-12-04 04:00:00", buenosAires, week, "0"}, // Saturday 01:00
		"Saturday's small hours, of no one": {"2021-12-04 06:00:00", buenosAires, week, "0"},
		"a whole day's first moment":        {"2021-12-05 00:00:00", "UTC", []Interval{open(time.Sunday, "00:00", "24:00")}, "1"},
		"a whole day's last moment":         {"2021-12-05 23:59:59.999", "UTC", []Interval{open(time.Sunday, "00:00", "24:00")}, "1"},
		"after a whole day":                 {"2021-12-06 00:00:00", "UTC", []Interval{open(time.Sunday, "00:00", "24:00")}, "0"},
		"until midnight as a beginning":     {"2021-12-05 00:00:00", "UTC", []Interval{open(time.Saturday, "18:00", "00:00")}, "0"},
		"in both of two that overlap":       {"2021-12-05 10:30:00", "UTC", []Interval{open(time.Sunday, "09:00", "11:00"), open(time.Sunday, "10:00", "12:00")}, "1"},
		"in the second of two that overlap": {"2021-12-05 11:30:00", "UTC", []Interval{open(time.Sunday, "09:00", "11:00"), open(time.Sunday, "10:00", "12:00")}, "1"},
		"no hours":                          {"2021-12-05 11:30:00", "UTC", nil, "0"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, []string{`chattonic_within_business_hours{team="acme"} ` + test.want}, within(t, test.moment, nil, test.zone, test.hours...))
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
		hours        Interval
		want         string
	}{
		"opening in winter":                  {"2021-03-21 08:00:00", madrid, day, "1"},
		"before opening in winter":           {"2021-03-21 07:59:59", madrid, day, "0"},
		"opening in summer":                  {"2021-03-28 07:00:00", madrid, day, "1"},
		"before opening in summer":           {"2021-03-28 06:59:59", madrid, day, "0"},
		"closing in summer":                  {"2021-03-28 15:00:00", madrid, day, "0"},
		"opening in winter again":            {"2021-10-31 08:00:00", madrid, day, "1"},
		"before opening in winter again":     {"2021-10-31 07:59:59", madrid, day, "0"},
		"before the hour that is skipped":    {"2021-03-28 00:59:59", madrid, skipped, "0"}, // 01:59:59
		"after the hour that is skipped":     {"2021-03-28 01:00:00", madrid, skipped, "0"}, // 03:00
		"from within the skipped hour":       {"2021-03-28 01:00:00", madrid, half, "1"},    // 03:00
		"not before the skipped hour":        {"2021-03-28 00:59:59", madrid, half, "0"},
		"the end after the skipped hour":     {"2021-03-28 02:00:00", madrid, half, "0"}, // 04:00
		"a night over the skipped hour":      {"2021-03-28 01:30:00", madrid, open(time.Saturday, "22:00", "04:00"), "1"},
		"the hour that comes twice, first":   {"2021-10-31 00:30:00", madrid, skipped, "1"}, // 02:30 of summer
		"the hour that comes twice, again":   {"2021-10-31 01:30:00", madrid, skipped, "1"}, // 02:30 of winter
		"before the hour that comes twice":   {"2021-10-30 23:59:59", madrid, skipped, "0"},
		"after the hour that comes twice":    {"2021-10-31 02:00:00", madrid, skipped, "0"},
		"half of it, at first not":           {"2021-10-31 00:29:59", madrid, half, "0"},
		"half of it, the first time":         {"2021-10-31 00:30:00", madrid, half, "1"},
		"half of it, not again":              {"2021-10-31 01:29:59", madrid, half, "0"}, // 02:29:59 again
		"half of it, the second time":        {"2021-10-31 01:30:00", madrid, half, "1"},
		"the evening that comes twice":       {"2018-02-18 01:30:00", saoPaulo, open(time.Saturday, "23:00", "24:00"), "1"},
		"the evening that comes twice again": {"2018-02-18 02:30:00", saoPaulo, open(time.Saturday, "23:00", "24:00"), "1"},
		"midnight is put off":                {"2018-02-18 02:30:00", saoPaulo, open(time.Sunday, "00:00", "24:00"), "0"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, []string{`chattonic_within_business_hours{team="acme"} ` + test.want}, within(t, test.moment, nil, test.zone, test.hours))
		})
	}
}

func TestBusinessHoursAreOfTheScrapeAndOfTheirOwnZone(t *testing.T) {
	kiritimati, err := time.LoadLocation("Pacific/Kiritimati")
	require.NoError(t, err)
	assert.Equal(t, []string{`chattonic_within_business_hours{team="acme"} 1`}, within(t, "2021-12-05 09:00:00", func(s *Settings) {
		s.Delay, s.Location = time.Hour, kiritimati
	}, "UTC", open(time.Sunday, "09:00", "18:00")), "neither of the end of the windows nor by their calendar")
}

func TestNothingIsSaidWithoutBusinessHours(t *testing.T) {
	samples, _ := scrape(t, newTeam(t, &fakeAPI{err: errDown}, nil))
	assert.Empty(t, of(samples, "chattonic_within"))
	assert.NotEmpty(t, samples)
}
