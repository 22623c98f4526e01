package teams

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
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
	c, err := config.Parse("test", []byte("defaults:\n  base_url: "+url+"\n  collectors: [operators, dashboard]\n  http_client: {authorization: {credentials: secret}}\nteams:\n"+teams))
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

	assert.Equal(t, map[string]float64{"acme": 2, "globex": 2}, requests(t, registry))
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
	require.NotNil(t, past.Operators["24h"])
	require.NotNil(t, past.Dashboard["24h"])
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
	assert.Equal(t, len(chattonic.ReadEndpoints()), count, "nothing is counted any more for a team that is gone")
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

// TestOptionsReachTheClients holds the clock and the limits to what a team's calls
// go by.
func TestOptionsReachTheClients(t *testing.T) {
	api, url := simulated(t)
	noon := time.Date(2021, 12, 1, 12, 0, 0, 0, time.UTC)
	read := func(adjust func(*Options)) (chattonic.Answer, error) {
		o := Options{RequestTimeout: 10 * time.Second, MaxBody: 1 << 20, MaxCalls: 10, Metrics: collector.NewExporterMetrics(prometheus.NewRegistry())}
		adjust(&o)
		f := New(o)
		defer f.Close()
		require.NoError(t, f.Apply(parse(t, url, "  - codename: acme")))
		teams, release := f.Teams()
		defer release()
		return teams[0].API.Read(t.Context(), chattonic.EndpointOperators, chattonic.Window{Name: "24h", Start: noon.Add(-24 * time.Hour), End: noon})
	}
	answer, err := read(func(o *Options) { o.Now = func() time.Time { return noon } })
	require.NoError(t, err)
	assert.Equal(t, noon, answer.Meta().ReceivedAt)

	_, err = read(func(o *Options) { o.MaxBody = 10 })
	require.EqualError(t, err, "requesting the operators endpoint: the answer has more than 10 bytes: raise the size limit if this is expected")

	require.NoError(t, api.SetFault("acme", chattonic.EndpointOperators, simulator.Fault{Delay: time.Hour}))
	_, err = read(func(o *Options) { o.RequestTimeout = 50 * time.Millisecond })
	require.EqualError(t, err, "requesting the operators endpoint: no complete answer before the timeout")
}

// TestSettingsReachTheTeam holds what a team's configuration says to what its
// scrapes go by.
func TestSettingsReachTheTeam(t *testing.T) {
	c := parse(t, "http://chat-tonic.example", "  - {codename: acme, windows: [1h, today], timezone: Asia/Tokyo, delay: 7m, duration_unit: minutes, operator_names: false, collectors: [dashboard]}\n  - codename: globex")
	s := Settings(c.Teams[0], nil)
	assert.Equal(t, "acme", s.Codename)
	assert.Equal(t, []chattonic.Endpoint{chattonic.EndpointDashboard}, s.Collectors)
	assert.Equal(t, "Asia/Tokyo", s.Location.String())
	assert.Equal(t, 7*time.Minute, s.Delay)
	assert.Equal(t, time.Minute, s.DurationUnit)
	assert.True(t, s.HideOperatorNames)
	require.Len(t, s.Windows, 2)
	assert.Equal(t, []string{"1h", "today"}, []string{s.Windows[0].Name(), s.Windows[1].Name()})
	assert.False(t, Settings(c.Teams[1], nil).HideOperatorNames)
}

// TestConnectionsGoWithTheirTeam holds that a team that was removed keeps no idle
// connection to the API.
func TestConnectionsGoWithTheirTeam(t *testing.T) {
	api, err := simulator.New(simulator.Options{Teams: []simulator.Team{{Codename: "acme", Token: "secret", Operators: 1}, {Codename: "globex", Token: "secret", Operators: 1}}})
	require.NoError(t, err)
	defer api.Close()
	var open atomic.Int64
	server := httptest.NewUnstartedServer(api)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Add(-1)
		}
	}
	server.Start()
	defer server.Close()
	f, _ := newSet(t)
	require.NoError(t, f.Apply(parse(t, server.URL, "  - codename: acme")))
	teams, release := f.Teams()
	assert.Equal(t, []string{"acme"}, up(t, teams))
	release()
	assert.Positive(t, open.Load(), "they are kept while the team is")
	require.NoError(t, f.Apply(parse(t, server.URL, "  - codename: globex")))
	assert.Eventually(t, func() bool { return open.Load() == 0 }, 5*time.Second, time.Millisecond)
}

// TestConfigurationReachesTheRequests holds what a team's configuration and the
// options say to what its requests are.
func TestConfigurationReachesTheRequests(t *testing.T) {
	var requests atomic.Int64
	var refusing atomic.Bool
	var mu sync.Mutex
	busy, most := 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		mu.Lock()
		busy++
		most = max(most, busy)
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			busy--
		}()
		time.Sleep(20 * time.Millisecond)
		assert.Equal(t, "test", r.UserAgent())
		switch {
		case refusing.Load():
			w.Header().Set("Retry-After", "5")
			w.WriteHeader(http.StatusServiceUnavailable)
		case strings.HasSuffix(r.URL.Path, "/bigquery"):
			assert.Equal(t, "%Y", r.URL.Query().Get("dateFormatGroup"))
			_, _ = io.WriteString(w, `[{}]`)
		default:
			_, _ = io.WriteString(w, `{"operators": []}`)
		}
	}))
	defer server.Close()
	f := New(Options{RequestTimeout: 10 * time.Second, MaxBody: 1 << 20, MaxCalls: 2, UserAgent: "test", Metrics: collector.NewExporterMetrics(prometheus.NewRegistry())})
	defer f.Close()
	const settings = `date_format_group: "%Y"`
	require.NoError(t, f.Apply(parse(t, server.URL, "  - {codename: acme, "+settings+", ttl: {operators: 1h}}\n  - {codename: globex, "+settings+"}")))
	teams, release := f.Teams()
	defer release()
	assert.Equal(t, []string{"acme", "globex"}, up(t, teams))
	assert.EqualValues(t, 4, requests.Load())
	assert.Equal(t, 2, most, "the limit is that of all teams")
	up(t, teams)
	assert.EqualValues(t, 7, requests.Load(), "one answer serves again until its ttl")

	refusing.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := teams[1].API.Read(ctx, chattonic.EndpointOperators, chattonic.Window{Name: "24h"})
	require.ErrorContains(t, err, "; last error: HTTP 503")
}

func TestNoTeamIsActiveAfterClose(t *testing.T) {
	_, url := simulated(t)
	f, _ := newSet(t)
	require.NoError(t, f.Apply(parse(t, url, "  - codename: acme")))
	f.Close()
	assert.Empty(t, f.Codenames())
	teams, release := f.Teams()
	defer release()
	assert.Empty(t, teams)
}
