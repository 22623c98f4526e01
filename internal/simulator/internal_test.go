package simulator

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newTestTeam(t testing.TB, operators int, now time.Time) *team {
	t.Helper()
	s, err := New(Options{
		Teams: []Team{{Codename: "acme", Token: "t", Seed: 1, Operators: operators}},
		Now:   func() time.Time { return now },
	})
	require.NoError(t, err)
	return s.teams[0]
}

var present = time.Date(2026, 5, 13, 15, 0, 0, 0, time.UTC)

func TestActiveUsersAreDistinct(t *testing.T) {
	t.Parallel()
	team := newTestTeam(t, 4, present)
	team.log.setScenario(ScenarioBacklog, present.Add(-30*time.Hour))
	team.log.setScenario(ScenarioNormal, present.Add(-29*time.Hour))
	for _, hours := range []int{1, 13, 31, 60} {
		window := team.log.clamp(present.Add(-time.Duration(hours)*time.Hour), present, present)
		users := map[int64]bool{}
		for at := window.from; at < window.to; {
			d := team.log.day(team.log.model.dayOf(at/1000), true)
			to := min(window.to, d.end())
			first, last := teamAt(d.timeline, at-d.start*1000), teamAt(d.timeline, to-d.start*1000)
			for n := first.arrivals; n < last.arrivals; n++ {
				users[d.demand.user(int64(n))] = true
			}
			for n := first.extras; n < last.extras; n++ {
				users[d.demand.extraUser(int64(n))] = true
			}
			at = to
		}
		r, err := team.row(t.Context(), bucket{spans: []span{window}})
		require.NoError(t, err)
		assert.Equal(t, int64(len(users)), r.activeUsers)
		assert.LessOrEqual(t, r.activeUsers, r.arrivals)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	t.Parallel()
	free, bounded := newTestTeam(t, 5, present), newTestTeam(t, 5, present)
	bounded.log.maxDays, bounded.log.maxStates = 4, 1
	for _, days := range []int{6, 1, 3, 6} {
		start := present.Add(-time.Duration(days)*24*time.Hour + 1234*time.Millisecond)
		want, err := free.operators(t.Context(), start, present, present)
		require.NoError(t, err)
		got, err := bounded.operators(t.Context(), start, present, present)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got))
		want, err = free.dashboard(t.Context(), "0", start, present, present)
		require.NoError(t, err)
		got, err = bounded.dashboard(t.Context(), "0", start, present, present)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got))
		detailed := 0
		for _, d := range bounded.log.days {
			if d.detailed() {
				detailed++
			}
		}
		assert.LessOrEqual(t, detailed, minDetailed)
		assert.LessOrEqual(t, len(bounded.log.days), 4)
	}
	assert.Len(t, free.log.days, 7)
	bounded.log.maxDays = 6
	for back := range 6 { // an hour of each of the days
		end := present.AddDate(0, 0, -back)
		_, err := bounded.operators(t.Context(), end.Add(-time.Hour), end, present)
		require.NoError(t, err)
	}
	detailed := 0
	for _, d := range bounded.log.days {
		if d.detailed() {
			detailed++
		}
	}
	assert.Equal(t, minDetailed, detailed)
	assert.Len(t, bounded.log.days, 6)
}

func TestTheNightIsCovered(t *testing.T) {
	t.Parallel()
	location, err := time.LoadLocation("America/Santiago")
	require.NoError(t, err)
	for operators := 10; operators <= 40; operators++ {
		m := newModel(uint64(operators), operators, location)
		for number := 2100; number < 2121; number++ {
			length := int32(m.dayStart(number+1) - m.dayStart(number))
			shifts, workers := m.roster(number, length), 0
			for _, s := range shifts {
				if s.start < s.end {
					workers++
				}
			}
			require.Equal(t, m.workers(number), workers)
			fewest := operators
			for at := int32(0); at < length; at += 10 * minute {
				there := 0
				for _, s := range shifts {
					if s.start <= at && at < s.end {
						there++
					}
				}
				fewest = min(fewest, there)
			}
			require.GreaterOrEqual(t, fewest, quorum, "%d operators, day %d", operators, number)
		}
	}
}

func TestDaysFollowEachOther(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"America/Santiago", "Europe/Madrid", "Pacific/Apia"} {
		location, err := time.LoadLocation(zone)
		require.NoError(t, err)
		m := newModel(1, 1, location)
		lengths := map[int64]bool{}
		for number := range 800 {
			start, end := m.dayStart(number), m.dayStart(number+1)
			lengths[end-start] = true
			for _, second := range []int64{start, start + 1, end - 1} {
				require.Equal(t, number, m.dayOf(second))
			}
		}
		assert.Contains(t, lengths, int64(23*hour))
		assert.Contains(t, lengths, int64(25*hour))
		assert.Equal(t, -1, m.dayOf(m.dayStart(0)-1))
	}
	first := time.Unix(newModel(1, 1, time.UTC).dayStart(0), 0).UTC()
	assert.Equal(t, (int(first.Weekday())+6)%7, weekday(0))
}

// BenchmarkOperators24h answers a day's window for 10,000 operators.
func BenchmarkOperators24h(b *testing.B) {
	team := newTestTeam(b, 10_000, present)
	_, err := team.operators(b.Context(), present.Add(-24*time.Hour), present, present) // generates the days
	require.NoError(b, err)
	for b.Loop() {
		_, err := team.operators(b.Context(), present.Add(-24*time.Hour), present, present)
		require.NoError(b, err)
	}
}

// BenchmarkDashboard24h answers a day's window for 10,000 operators.
func BenchmarkDashboard24h(b *testing.B) {
	team := newTestTeam(b, 10_000, present)
	_, err := team.dashboard(b.Context(), "0", present.Add(-24*time.Hour), present, present) // generates the days
	require.NoError(b, err)
	for b.Loop() {
		_, err := team.dashboard(b.Context(), "0", present.Add(-24*time.Hour), present, present)
		require.NoError(b, err)
	}
}

// BenchmarkGenerateDay generates a day of 10,000 operators.
func BenchmarkGenerateDay(b *testing.B) {
	log := newTestTeam(b, 10_000, present).log
	number := log.model.dayOf(present.Unix())
	for b.Loop() {
		log.generate(number, true)
	}
}

// BenchmarkMonth answers a month's window for 50 operators from nothing.
func BenchmarkMonth(b *testing.B) {
	for b.Loop() {
		team := newTestTeam(b, 50, present)
		_, err := team.operators(b.Context(), present.AddDate(0, -1, 0), present, present)
		require.NoError(b, err)
	}
}
