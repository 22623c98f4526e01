package simulator

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
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

var last24h = chattonic.Window{Start: present.Add(-24 * time.Hour), End: present}

func TestTheNightIsCovered(t *testing.T) {
	t.Parallel()
	location, err := time.LoadLocation("America/Santiago")
	require.NoError(t, err)
	for operators := 10; operators <= 40; operators++ {
		m := newModel(uint64(operators), operators, location)
		for number := 2100; number < 2107; number++ {
			length := m.dayStart(number+1) - m.dayStart(number)
			shifts := m.roster(number, length)
			for at := int64(1); at < length; at += 7 * minute {
				there, atWork := 0, 0
				for _, s := range shifts {
					switch s.presence((at - s.start) * 1000).state {
					case online:
						there, atWork = there+1, atWork+1
					case away:
						there++
					}
				}
				least := 1
				if operators >= 28 { // on a weekend 14 of them work
					least = 2
				}
				if there < 2 || atWork < least {
					require.Fail(t, "too few are there", "%d operators, day %d, second %d: %d, of whom %d at work", operators, number, at, there, atWork)
				}
			}
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

// TestNoQueryIsLost follows the queries of a team through random scenarios.
func TestNoQueryIsLost(t *testing.T) {
	t.Parallel()
	for seed := range uint64(24) {
		random := rand.New(rand.NewPCG(seed, 0))
		now := time.Date(2026, 5, 13, random.IntN(24), random.IntN(60), 0, 0, time.UTC)
		if seed%2 == 0 { // shortly before the end of a day
			now = time.Date(2026, 5, 13, dayBegins-1, 50, 0, 0, time.UTC)
		}
		h := newHistory(newModel(seed, 1+random.IntN(12), time.UTC))
		last := now.Add(-24 * time.Hour).UnixMilli()
		longest := []time.Duration{2 * time.Second, time.Minute, 10 * time.Minute, 5 * time.Hour}[seed/2%4]
		for range 40 {
			if random.IntN(2) == 0 {
				h = h.with(Scenarios()[random.IntN(3)], now)
			}
			now = now.Add(time.Duration(random.Int64N(int64(longest)))).Truncate(time.Millisecond)
			at := now.UnixMilli()
			sums, err := h.total(t.Context(), last, at)
			require.NoError(t, err)
			givenUp, err := h.givenUp(t.Context(), last, at)
			require.NoError(t, err)
			waiting, inProgress := atWork(t, h, at)
			waitingBefore, inProgressBefore := atWork(t, h, last)
			came, went := sums.arrived+h.extras(last, at), sums.resolved+sums.failed+sums.abandoned+givenUp
			require.Equal(t, came-went, waiting+inProgress-waitingBefore-inProgressBefore, "seed %d, at %v, %v", seed, now, h.periods)
			require.GreaterOrEqual(t, waiting, int64(0))
			require.GreaterOrEqual(t, sums.free, int64(0))
			require.GreaterOrEqual(t, sums.online, sums.free)
			if random.IntN(4) > 0 {
				last = at
			}
		}
	}
}

// TestAQueueDrainsIntoTheNextDay has a quiet scenario begin while operators
// handle the queue of a backlog, and the next day before they are done.
func TestAQueueDrainsIntoTheNextDay(t *testing.T) {
	t.Parallel()
	h := newHistory(newModel(1, 20, time.UTC))
	midnight := time.Date(2026, 5, 13, dayBegins, 0, 0, 0, time.UTC)
	h = h.with(ScenarioBacklog, midnight.Add(-4*time.Minute))
	h = h.with(ScenarioNormal, midnight.Add(-3*time.Minute-30*time.Second))
	h = h.with(ScenarioQuiet, midnight.Add(-10*time.Second))
	_, inProgress := atWork(t, h, midnight.UnixMilli())
	require.Greater(t, inProgress, int64(5))
	after, err := h.total(t.Context(), midnight.UnixMilli(), midnight.Add(10*time.Minute).UnixMilli())
	require.NoError(t, err)
	assert.Equal(t, inProgress, after.resolved+after.failed)
	assert.Zero(t, after.assigned)
}

// atWork returns how many queries wait and are in progress.
func atWork(t *testing.T, h history, at int64) (waiting, inProgress int64) {
	t.Helper()
	waiting, err := h.waiting(t.Context(), at)
	require.NoError(t, err)
	for _, p := range h.presences(at) {
		inProgress += int64(p.load)
	}
	return waiting, inProgress
}

// TestSumsAreThoseOfTheMoments looks at what operators do in every second of a
// day, and compares the sums.
func TestSumsAreThoseOfTheMoments(t *testing.T) {
	t.Parallel()
	h := newHistory(newModel(3, 6, time.UTC))
	number := h.dayOf(present.Unix())
	ordinary := h.day(number)
	at := present.Add(-10 * time.Hour)
	for _, s := range []Scenario{ScenarioQuiet, ScenarioNormal, ScenarioBacklog, ScenarioNormal, ScenarioBacklog, ScenarioQuiet} {
		h = h.with(s, at)
		at = at.Add(97 * time.Minute)
	}
	for _, d := range []*day{ordinary, h.day(number)} {
		for _, operator := range h.able[:2] {
			s := d.shift(operator)
			var sum tally
			for second := int64(1); second < d.length; second++ {
				p := s.presence((second - s.start) * 1000)
				switch {
				case p.state == online && p.load == 0:
					sum.free += 1000
					fallthrough
				case p.state == online:
					sum.online += 1000
				case p.state == away:
					sum.away += 1000
				case p.load > 0:
					require.Fail(t, "who is offline handles a query", "operator %d, second %d", operator, second)
				}
				if second%7 > 0 {
					continue
				}
				got := s.until((second - s.start) * 1000)
				if got := (tally{online: got.online, away: got.away, free: got.free}); got != sum {
					require.Equal(t, sum, got, "operator %d, second %d", operator, second)
				}
			}
		}
	}
}

func TestWorkdays(t *testing.T) {
	t.Parallel()
	duringBreaks := 0
	for load, kinds := range workdays() {
		for _, breakTimes := range kinds {
			for _, w := range breakTimes {
				require.Greater(t, len(w.queries), 20)
				for _, q := range w.queries {
					require.GreaterOrEqual(t, q.arrived, int64(0))
					require.GreaterOrEqual(t, q.taken-q.arrived, int64(leastWait))
					require.Less(t, q.ended, int64(shiftLength))
					at := w.presence(q.taken*1000 + 1)
					require.LessOrEqual(t, at.load, load+1)
					require.True(t, q.outcome == gaveUp || at.state == online)
					if w.presence(q.arrived*1000).state == away {
						duringBreaks++
					}
				}
			}
		}
	}
	assert.Greater(t, duringBreaks, 300, "a queue forms during breaks")
}

func TestActiveUsersAreDistinct(t *testing.T) {
	t.Parallel()
	m := newModel(1, 10, time.UTC)
	for visits := range int64(2000) {
		active := m.activeUsers(visits, visits/10)
		require.GreaterOrEqual(t, active, visits/10)
		require.LessOrEqual(t, active, visits)
		require.LessOrEqual(t, active, m.activeUsers(visits+1, visits/10))
	}
	assert.Less(t, m.activeUsers(20_000, 2000), int64(10_000))
}

// BenchmarkOperators24h answers a day's window for 10,000 operators.
func BenchmarkOperators24h(b *testing.B) {
	team := newTestTeam(b, 10_000, present)
	_, err := team.operators(b.Context(), last24h, present) // draws the workdays
	require.NoError(b, err)
	for b.Loop() {
		_, err := team.operators(b.Context(), last24h, present)
		require.NoError(b, err)
	}
}

// BenchmarkDashboard24h answers a day's window for 10,000 operators.
func BenchmarkDashboard24h(b *testing.B) {
	team := newTestTeam(b, 10_000, present)
	_, err := team.dashboard(b.Context(), "0", last24h, present) // draws the workdays
	require.NoError(b, err)
	for b.Loop() {
		_, err := team.dashboard(b.Context(), "0", last24h, present)
		require.NoError(b, err)
	}
}

// BenchmarkMonth answers a month's window for 50 operators from nothing.
func BenchmarkMonth(b *testing.B) {
	for b.Loop() {
		team := newTestTeam(b, 50, present)
		_, err := team.operators(b.Context(), chattonic.Window{Start: present.AddDate(0, -1, 0), End: present}, present)
		require.NoError(b, err)
	}
}

// BenchmarkBacklog24h answers a day's window for 10,000 operators who left a few
// hours ago.
func BenchmarkBacklog24h(b *testing.B) {
	team := newTestTeam(b, 10_000, present)
	team.setScenario(ScenarioBacklog, present.Add(-5*time.Hour))
	for b.Loop() {
		_, err := team.operators(b.Context(), last24h, present)
		require.NoError(b, err)
	}
}
