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
	for operators := 10; operators <= 40; operators += 6 {
		h := newHistory(uint64(operators), operators, location)
		for number := 2100; number < 2107; number++ {
			days := h.days(h.dayStart(number), h.dayStart(number+1)-1)
			require.Len(t, days, 1)
			var crew []timeline
			for rank := range h.able {
				var own timeline
				own.draw(h, rank, days, 0)
				crew = append(crew, own)
			}
			for at := days[0].start + 1; at < days[0].end; at += 31 * minute {
				there, atWork := 0, 0
				for _, own := range crew {
					switch own.at(at * 1000).state {
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
					require.Fail(t, "too few are there", "%d operators, day %d, second %d: %d, of whom %d at work", operators, number, at-days[0].start, there, atWork)
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
		m := newHistory(1, 1, location)
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
	first := time.Unix(newHistory(1, 1, time.UTC).dayStart(0), 0).UTC()
	assert.Equal(t, (int(first.Weekday())+6)%7, day{}.weekday())
}

// TestNoQueryIsLost follows the queries of a team through random scenarios.
func TestNoQueryIsLost(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 0))
		now := time.Date(2026, 5, 13, random.IntN(24), random.IntN(60), 0, 0, time.UTC)
		if seed%2 == 0 { // shortly before the end of a day
			now = time.Date(2026, 5, 13, dayBegins-1, 50, 0, 0, time.UTC)
		}
		h := newHistory(seed, 1+random.IntN(12), time.UTC)
		last := now.Add(-24 * time.Hour).UnixMilli()
		longest := []time.Duration{2 * time.Second, time.Minute, 10 * time.Minute, 5 * time.Hour}[seed/2%4]
		for range 16 {
			if random.IntN(2) == 0 {
				h = h.with(Scenarios()[random.IntN(3)], now)
			}
			now = now.Add(time.Duration(random.Int64N(int64(longest)))).Truncate(time.Millisecond)
			at := now.UnixMilli()
			sums := total(t, h, last, at)
			waiting, inProgress := atWork(t, h, at)
			waitingBefore, inProgressBefore := atWork(t, h, last)
			went := sums.ended.resolved() + sums.ended[failed] + sums.ended[gaveUp]
			require.Equal(t, sums.arrived-went, waiting+inProgress-waitingBefore-inProgressBefore, "seed %d, at %v, %v", seed, now, h.periods)
			require.Equal(t, sums.arrived-sums.assigned-sums.ended[gaveUp], waiting-waitingBefore, "seed %d, at %v, %v", seed, now, h.periods)
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
	h := newHistory(1, 20, time.UTC)
	midnight := time.Date(2026, 5, 13, dayBegins, 0, 0, 0, time.UTC)
	h = h.with(ScenarioBacklog, midnight.Add(-40*time.Minute))
	h = h.with(ScenarioNormal, midnight.Add(-3*time.Minute-30*time.Second))
	h = h.with(ScenarioQuiet, midnight.Add(-time.Second))
	_, inProgress := atWork(t, h, midnight.UnixMilli())
	require.Greater(t, inProgress, int64(5))
	after := total(t, h, midnight.UnixMilli(), midnight.Add(10*time.Minute).UnixMilli())
	assert.Equal(t, inProgress, after.ended.resolved()+after.ended[failed])
	assert.Zero(t, after.assigned)
}

// at returns what the operator does just before a millisecond.
func (t *timeline) at(millisecond int64) record {
	return t.record(millisecond, millisecond, millisecond)
}

// total sums what all operators do.
func total(t *testing.T, h history, from, to int64) (total record) {
	t.Helper()
	for _, r := range h.records(t.Context(), from, to, to) {
		total.online += r.online
		total.free += r.free
		total.arrived += r.arrived
		total.assigned += r.assigned
		for outcome, n := range r.ended {
			total.ended[outcome] += n
		}
	}
	return total
}

// atWork returns how many queries wait and are in progress.
func atWork(t *testing.T, h history, at int64) (waiting, inProgress int64) {
	t.Helper()
	for _, r := range h.records(t.Context(), at, at, at) {
		waiting += r.waiting
		inProgress += r.load
	}
	return waiting, inProgress
}

// TestSumsAreThoseOfTheMoments looks at what operators do in every second of a
// day, and compares the sums.
func TestSumsAreThoseOfTheMoments(t *testing.T) {
	t.Parallel()
	h := newHistory(3, 6, time.UTC)
	ordinary := h
	at := present.Add(-10 * time.Hour)
	for _, s := range []Scenario{ScenarioQuiet, ScenarioNormal, ScenarioBacklog, ScenarioNormal, ScenarioBacklog, ScenarioQuiet} {
		h = h.with(s, at)
		at = at.Add(97 * time.Minute)
	}
	days := h.days(present.Unix(), present.Unix())
	start := days[0].start + 8*60*60 // the middle of the day, to save time
	end := start + 60*60
	for _, h := range []history{ordinary, h} {
		for rank := range h.able[:1] {
			var own timeline
			own.draw(h, rank, days, 0)
			var sum record
			for second := start + 1; second < end; second++ {
				p := own.at(second * 1000)
				switch {
				case p.state == online && p.load == 0:
					sum.free += 1000
					fallthrough
				case p.state == online:
					sum.online += 1000
				case p.state == away:
					sum.away += 1000
				}
				if p.load > 0 && p.state != online {
					require.Fail(t, "who is not online handles a query", "rank %d, second %d", rank, second-start)
				}
				if second%97 > 0 {
					continue
				}
				got := own.record(start*1000, second*1000, 0)
				if got := (record{online: got.online, away: got.away, free: got.free}); got != sum {
					require.Equal(t, sum, got, "rank %d, second %d", rank, second-start)
				}
			}
		}
	}
}

func TestWorkdays(t *testing.T) {
	t.Parallel()
	h := newHistory(1, 120, time.UTC)
	days := h.days(present.Unix(), present.Unix())
	duringBreaks, longWaits := 0, 0
	for rank := range h.able {
		var own timeline
		own.draw(h, rank, days, 0)
		if len(own.steps) == 0 {
			require.Empty(t, own.queries)
			continue
		}
		require.Greater(t, len(own.queries), 20)
		start, end := own.steps[0].at, own.steps[len(own.steps)-1].at
		require.Equal(t, int64(shiftLength), end-start)
		for _, q := range own.queries {
			require.GreaterOrEqual(t, q.arrived, start)
			require.GreaterOrEqual(t, q.taken-q.arrived, int64(leastWait))
			require.LessOrEqual(t, q.taken-q.arrived, int64(giveUpAfter))
			require.Less(t, q.ended, end)
			at := own.at(q.taken*1000 + 1)
			require.LessOrEqual(t, at.load, int64(maxLoad))
			require.True(t, q.outcome == gaveUp || at.state == online)
			if own.at(q.arrived*1000).state == away {
				duringBreaks++
			}
			if q.taken-q.arrived > 2*minute {
				longWaits++
			}
		}
	}
	assert.Greater(t, duringBreaks, 300, "a queue forms during breaks")
	assert.Greater(t, longWaits, 300, "and when there are many queries")
}

func TestFaultNamesAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range namedFaults {
		assert.NotEmpty(t, f.Name)
		assert.NotContains(t, f.Name, " ")
		assert.False(t, seen[f.Name], f.Name)
		seen[f.Name] = true
		fault, err := NamedFault(f.Name)
		require.NoError(t, err)
		assert.Equal(t, f.Name, fault.label())
	}
	assert.Equal(t, "none", namedFaults[0].Name)
	assert.Equal(t, "none", Fault{}.label())
}

func TestActiveUsersAreDistinct(t *testing.T) {
	t.Parallel()
	m := newHistory(1, 10, time.UTC)
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
	team.history.operators(b.Context(), last24h, present)
	for b.Loop() {
		encode(team.history.operators(b.Context(), last24h, present))
	}
}

// BenchmarkDashboard24h answers a day's window for 10,000 operators.
func BenchmarkDashboard24h(b *testing.B) {
	team := newTestTeam(b, 10_000, present)
	team.history.dashboard(b.Context(), "", last24h, present)
	for b.Loop() {
		encode(team.history.dashboard(b.Context(), "", last24h, present))
	}
}

// BenchmarkMonth answers a month's window for 50 operators from nothing.
func BenchmarkMonth(b *testing.B) {
	for b.Loop() {
		team := newTestTeam(b, 50, present)
		encode(team.history.operators(b.Context(), chattonic.Window{Start: present.AddDate(0, -1, 0), End: present}, present))
	}
}

// BenchmarkBacklog24h answers a day's window for 10,000 operators who left a few
// hours ago.
func BenchmarkBacklog24h(b *testing.B) {
	team := newTestTeam(b, 10_000, present)
	team.history = team.history.with(ScenarioBacklog, present.Add(-5*time.Hour))
	for b.Loop() {
		encode(team.history.operators(b.Context(), last24h, present))
	}
}
