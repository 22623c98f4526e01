package teams

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// simulated serves a simulated API with the teams acme and globex.
func simulated(t *testing.T) (api *simulator.Server, url string) {
	t.Helper()
	api, err := simulator.New(simulator.Options{Teams: []simulator.Team{
		{Codename: "acme", Token: "secret", Operators: 3},
		{Codename: "globex", Token: "secret", Operators: 3},
	}})
	require.NoError(t, err)
	server := httptest.NewServer(api)
	t.Cleanup(func() {
		api.Close()
		server.Close()
	})
	return api, server.URL
}

func parse(t *testing.T, url, teams string) *config.Config {
	t.Helper()
	c, err := config.Parse("test", []byte("defaults:\n  base_url: "+url+"\n  http_client: {authorization: {credentials: secret}}\nteams:\n"+teams))
	require.NoError(t, err)
	return c
}

func newSet(t *testing.T) (*Set, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	f := New(Options{RequestTimeout: 10 * time.Second, MaxBody: 1 << 20, MaxCalls: 10, UserAgent: "test", Metrics: collector.NewExporterMetrics(registry)})
	t.Cleanup(f.Close)
	return f, registry
}

// up scrapes the teams and returns the codenames of those that are up.
func up(t *testing.T, teams []*collector.Team) (codenames []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector.New(ctx, log.NewNopLogger(), nil, teams...))
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "chattonic_up" && m.GetGauge().GetValue() == 1 {
				codenames = append(codenames, m.GetLabel()[0].GetValue())
			}
		}
	}
	return codenames
}

func TestTeamsOfTheConfigurationAreAsked(t *testing.T) {
	api, url := simulated(t)
	f, registry := newSet(t)
	require.NoError(t, f.Apply(parse(t, url, "  - {codename: acme, thresholds: {queries_pending: 7}, business_hours: {hours: [{days: [monday], from: 09:00, to: 18:00}]}}\n  - codename: globex")))
	assert.Equal(t, []string{"acme", "globex"}, f.Codenames())
	teams, release := f.Teams()
	defer release()
	assert.Equal(t, []string{"acme", "globex"}, up(t, teams))
	assert.Equal(t, 1, api.Calls("globex", chattonic.EndpointDashboard))
	threshold, _ := teams[0].QueriesPendingThreshold.Float64()
	assert.InDelta(t, 7, threshold, 0)
	_, set := teams[1].QueriesPendingThreshold.Float64()
	assert.False(t, set)
	require.NotNil(t, teams[0].WithinBusinessHours)
	assert.True(t, teams[0].WithinBusinessHours(time.Date(2021, 11, 29, 9, 0, 0, 0, time.UTC)), "on a Monday at 09:00")
	assert.False(t, teams[0].WithinBusinessHours(time.Date(2021, 11, 29, 18, 0, 0, 0, time.UTC)))
	assert.Nil(t, teams[1].WithinBusinessHours)

	expected := `# HELP chattonic_exporter_api_requests_total HTTP requests to the API by status code; the code is none if no response was received. Source: exporter.
# TYPE chattonic_exporter_api_requests_total counter
chattonic_exporter_api_requests_total{code="200",endpoint="dashboard",team="acme"} 1
chattonic_exporter_api_requests_total{code="200",endpoint="dashboard",team="globex"} 1
chattonic_exporter_api_requests_total{code="200",endpoint="operators",team="acme"} 1
chattonic_exporter_api_requests_total{code="200",endpoint="operators",team="globex"} 1
`
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(expected), "chattonic_exporter_api_requests_total"))
}

func TestTeamIsFoundByItsCodename(t *testing.T) {
	_, url := simulated(t)
	f, _ := newSet(t)
	require.NoError(t, f.Apply(parse(t, url, "  - codename: acme\n  - codename: globex")))
	teams, release := f.Team("globex")
	defer release()
	require.Len(t, teams, 1)
	assert.Equal(t, "globex", teams[0].Codename)
	none, release := f.Team("nobody")
	defer release()
	assert.Empty(t, none)
}

func TestTeamThatStaysTheSameGoesOn(t *testing.T) {
	_, url := simulated(t)
	f, _ := newSet(t)
	const settings = "{codename: acme, windows: [today, 24h], timezone: America/Santiago, thresholds: {queries_pending: 1}, " +
		"business_hours: {hours: [{days: [monday], from: 09:00, to: 18:00}]}}"
	require.NoError(t, f.Apply(parse(t, url, "  - "+settings+"\n  - codename: globex")))
	before, release := f.Teams()
	release()
	require.NoError(t, f.Apply(parse(t, url, "  - {codename: globex, windows: [1h]}\n  - "+settings)))
	after, release := f.Teams()
	defer release()
	assert.Same(t, before[0], after[1], "it keeps what it remembers")
	assert.NotSame(t, before[1], after[0])
	assert.Equal(t, []string{"acme", "globex"}, up(t, after))
}

func TestWhatIsRememberedGoesWithItsTeam(t *testing.T) {
	_, url := simulated(t)
	f := New(Options{RequestTimeout: 10 * time.Second, MaxBody: 1 << 20, MaxCalls: 10, Metrics: collector.NewExporterMetrics(prometheus.NewRegistry()), History: true})
	defer f.Close()
	require.NoError(t, f.Apply(parse(t, url, "  - {codename: globex, windows: [today, 24h]}\n  - codename: acme")))
	teams, release := f.Team("globex")
	up(t, teams)
	release()
	before := f.Status()
	require.Len(t, before, 2)
	assert.Equal(t, []string{"globex", "acme"}, []string{before[0].Team.Codename, before[1].Team.Codename})
	past := before[0].History.Snapshot()
	assert.Len(t, past.Calls, 4)
	require.NotNil(t, past.Answers[chattonic.EndpointOperators])
	assert.Equal(t, "today", past.Answers[chattonic.EndpointOperators].Meta().Window.Name, "the first window")
	assert.Empty(t, before[1].History.Snapshot().Calls, "of each team its own")

	require.NoError(t, f.Apply(parse(t, url, "  - codename: acme\n  - {codename: globex, windows: [today]}")))
	after := f.Status()
	assert.Same(t, before[1].History, after[0].History, "the team stays")
	assert.Empty(t, after[1].History.Snapshot().Calls, "the team of other settings is another")

	unasked, _ := newSet(t)
	require.NoError(t, unasked.Apply(parse(t, url, "  - codename: acme")))
	assert.Nil(t, unasked.Status()[0].History)
}

func TestScrapeKeepsItsTeamsWhileTheyAreReplaced(t *testing.T) {
	_, url := simulated(t)
	f, registry := newSet(t)
	require.NoError(t, f.Apply(parse(t, url, "  - codename: acme")))
	teams, release := f.Teams()
	again, releaseAgain := f.Team("acme")
	require.NoError(t, f.Apply(parse(t, url, "  - codename: globex")))
	assert.Equal(t, []string{"globex"}, f.Codenames())
	assert.Equal(t, []string{"acme"}, up(t, teams))
	release()
	assert.Equal(t, []string{"acme"}, up(t, again), "it is in use by another scrape still")
	releaseAgain()
	assert.Empty(t, up(t, teams), "its calls have ended with its last use")

	require.NoError(t, f.Apply(parse(t, url, "  - codename: globex\n  - codename: acme")))
	require.NoError(t, f.Apply(parse(t, url, "  - codename: globex")))
	count, err := testutil.GatherAndCount(registry, "chattonic_exporter_api_retries_total")
	require.NoError(t, err)
	assert.Equal(t, 2, count, "nothing is counted any more for a team that is gone")
}

func TestConfigurationThatCannotBeAppliedChangesNothing(t *testing.T) {
	_, url := simulated(t)
	f, _ := newSet(t)
	require.NoError(t, f.Apply(parse(t, url, "  - codename: acme")))
	bad := parse(t, url, "  - codename: globex\n  - codename: initech")
	bad.Teams[1].HTTPClient.TLSConfig.CAFile = "missing.pem" // as when it goes away after the file was read
	require.EqualError(t, f.Apply(bad), `team "initech": http_client: unable to read CA cert: unable to read file missing.pem: open missing.pem: no such file or directory`)
	assert.Equal(t, []string{"acme"}, f.Codenames())
	bad.Teams[1] = bad.Teams[0]
	bad.Teams[1].Codename = ".."
	require.EqualError(t, f.Apply(bad), `team "..": the codename cannot be "..": use the one in the API's URLs`)
	teams, release := f.Teams()
	defer release()
	assert.Equal(t, []string{"acme"}, up(t, teams))
}
