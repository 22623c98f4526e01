package simulator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/simulator"
)

func online(operators []chattonic.Operator) (count int) {
	for _, o := range operators {
		if o.Status == "online" {
			count++
		}
	}
	return count
}

// moments are those at which a scenario begins.
var moments = map[string]time.Time{
	"noon":  noon.Add(123 * time.Millisecond),
	"night": noon.Add(14 * time.Hour),
	// The simulated day ends at 07:00 UTC.
	"at the end of the day": noon.Add(16*time.Hour - 5*time.Minute),
}

func TestABacklogGrowsAndDrains(t *testing.T) {
	t.Parallel()
	for name, now := range moments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, zones[0], now, simulator.Team{Seed: 1, Operators: 10})
			history := w.get("operator", now.Add(-24*time.Hour), now) + w.get("bigquery", now.Add(-24*time.Hour), now)
			require.NotZero(t, online(w.operators(now, now).Operators))

			require.NoError(t, w.SetScenario("acme", simulator.ScenarioBacklog))
			assert.Equal(t, history, w.get("operator", now.Add(-24*time.Hour), now)+w.get("bigquery", now.Add(-24*time.Hour), now))
			last := -1.0
			for range 10 {
				w.advance(time.Minute)
				answer := w.operators(now, w.Now())
				assert.Zero(t, online(answer.Operators))
				pending := number(t, answer.QueryPending)
				assert.GreaterOrEqual(t, pending, last+19)
				last = pending
				for _, o := range answer.Operators {
					assert.Less(t, number(t, o.OnlineTime), 1.001, "the rest of a second")
					assert.Zero(t, number(t, o.QueryInProgress))
				}
			}
			require.NoError(t, w.SetScenario("", simulator.ScenarioNormal))
			w.advance(2 * time.Second)
			assert.Less(t, online(w.operators(now, now).Operators), 5, "nobody is back at once")
			w.advance(58 * time.Second)
			assert.Equal(t, 9, online(w.operators(now, now).Operators), "all but the account never used are back")
			w.advance(9 * time.Minute)
			assert.Less(t, number(t, w.operators(now, now).QueryPending), 15.0)
			assert.Greater(t, number(t, w.row(now, w.Now()).Resolved), last/2)
			back, row := w.operators(now.Add(-24*time.Hour), now), w.row(now.Add(-24*time.Hour), now)
			assert.NotZero(t, online(back.Operators))
			assert.Zero(t, number(t, row.Pending)-number(t, w.row(now.Add(-time.Hour), now).Pending))
		})
	}
}

func TestNothingWaitsInAQuietTeam(t *testing.T) {
	t.Parallel()
	for name, now := range moments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, zones[0], now, simulator.Team{Seed: 1, Operators: 10})
			require.NoError(t, w.SetScenario("", simulator.ScenarioBacklog))
			w.advance(10 * time.Minute)
			require.GreaterOrEqual(t, number(t, w.operators(now, w.Now()).QueryPending), 190.0)
			before, quiet := w.row(now, w.Now()), w.Now()

			require.NoError(t, w.SetScenario("acme", simulator.ScenarioQuiet))
			assert.Equal(t, before, w.row(now, quiet), "what was stays as it was")
			for range 10 {
				w.advance(time.Minute)
				assert.Zero(t, number(t, w.operators(now, w.Now()).QueryPending))
				assert.NotZero(t, online(w.operators(now, w.Now()).Operators))
			}
			row := w.row(quiet.Add(time.Second), w.Now())
			assert.NotZero(t, number(t, row.MessagesReceived), "users come")
			assert.Zero(t, number(t, row.Resolved)+number(t, row.Failed)+number(t, row.Progress), "and have no queries")

			require.NoError(t, w.SetScenario("", simulator.ScenarioNormal))
			back := w.Now()
			w.advance(2 * time.Hour)
			assert.NotZero(t, number(t, w.row(back, w.Now()).Resolved))
		})
	}
}

func TestAQueueIsGoneAtOnceInAQuietTeam(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "UTC", noon, simulator.Team{Seed: 1, Operators: 10})
	queues := 0
	for range 120 {
		w.advance(time.Minute)
		if number(t, w.operators(noon, w.Now()).QueryPending) == 0 {
			continue
		}
		queues++
		require.NoError(t, w.SetScenario("", simulator.ScenarioQuiet))
		w.advance(time.Second)
		require.Zero(t, number(t, w.operators(noon, w.Now()).QueryPending))
		require.NoError(t, w.SetScenario("", simulator.ScenarioNormal))
	}
	assert.NotZero(t, queues)
}

func TestABacklogIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "UTC", noon, simulator.Team{Operators: 2})
	require.NoError(t, w.SetScenario("", simulator.ScenarioBacklog))
	w.advance(25 * time.Hour)
	pending := number(t, w.operators(noon, noon).QueryPending)
	assert.InDelta(t, 2*3600/3, pending, 100, "users give up after two hours")
	row := w.row(noon, w.Now())
	assert.Greater(t, number(t, row.Failed), 23*1200.0)
	assert.Zero(t, number(t, row.Attention))
	assert.Greater(t, number(t, row.MessagesReceived), 25*1200.0, "each query of a backlog is a message")
	assert.Greater(t, number(t, row.MessagesSent), 25*1200.0)
}

func TestABacklogInAnotherTeamChangesNothing(t *testing.T) {
	t.Parallel()
	clock := &clock{now: noon}
	server, err := simulator.New(simulator.Options{Now: clock.Now, Teams: []simulator.Team{
		{Codename: "acme", Token: token, Operators: 4}, {Codename: "globex/ä", Token: token, Operators: 4},
	}})
	require.NoError(t, err)
	transport := serve(t, server)
	acme, globex := newClient(t, transport, "acme"), newClient(t, transport, "globex/ä")
	require.NoError(t, server.SetScenario("globex/ä", simulator.ScenarioBacklog))
	clock.advance(10 * time.Minute)
	window := chattonic.Window{Start: noon, End: clock.Now()}
	one, err := acme.Operators(t.Context(), window)
	require.NoError(t, err)
	other, err := globex.Operators(t.Context(), window)
	require.NoError(t, err)
	assert.Less(t, number(t, one.QueryPending), 20.0)
	assert.GreaterOrEqual(t, number(t, other.QueryPending), 200.0)
	assert.NotEqual(t, one.Operators[0].ID, other.Operators[0].ID)
	assert.Equal(t, 1, server.Calls("acme", chattonic.EndpointOperators))
}

func TestUnknownNamesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "UTC", noon, simulator.Team{Operators: 1})
	require.ErrorContains(t, w.SetScenario("", "chaos"), "use one of normal, backlog, quiet")
	require.ErrorContains(t, w.SetScenario("nobody", simulator.ScenarioNormal), "use one of acme")
	require.ErrorContains(t, w.SetFault("nobody", "", simulator.Fault{}), "use one of acme")
	require.ErrorContains(t, w.SetFault("", "users", simulator.Fault{}), "use one of operators, dashboard, ")
	_, err := simulator.NamedFault("earthquake")
	require.ErrorContains(t, err, "none, 500, 429")
	assert.Equal(t, []simulator.Scenario{"normal", "backlog", "quiet"}, simulator.Scenarios())
	assert.Zero(t, w.Calls("nobody", chattonic.EndpointNPS))
}
