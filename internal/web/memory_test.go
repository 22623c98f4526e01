package web

import (
	"context"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/simulator"
	"chattonic_exporter/internal/teams"
	"chattonic_exporter/internal/testkit"
)

// serve has a server answer who connects, until closeServer is called, which
// waits for its handlers.
func serve(listener net.Listener, handler http.Handler) (closeServer func()) {
	var all sync.WaitGroup
	server := &http.Server{ErrorLog: stdlog.New(io.Discard, "", 0), ReadHeaderTimeout: time.Hour}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all.Add(1)
		defer all.Done()
		handler.ServeHTTP(w, r)
	})
	all.Go(func() { _ = server.Serve(listener) }) // which fails when it is closed
	return func() {
		_ = server.Close()
		all.Wait()
	}
}

// memoryTeams are teams that ask an API through pipes.
type memoryTeams struct {
	all      []*collector.Team
	recorded []teams.Status
}

func (f memoryTeams) Teams() (all []*collector.Team, release func()) { return f.all, func() {} }

func (f memoryTeams) Team(codename string) (found []*collector.Team, release func()) {
	for _, team := range f.all {
		if team.Codename == codename {
			found = append(found, team)
		}
	}
	return found, func() {}
}

func (f memoryTeams) Codenames() (codenames []string) {
	for _, team := range f.all {
		codenames = append(codenames, team.Codename)
	}
	return codenames
}

func (f memoryTeams) status() []teams.Status { return f.recorded }

// newMemoryTeams returns the teams of a configuration, who ask api with the token
// until close is called.
func newMemoryTeams(c *config.Config, api http.Handler, token string, timeout time.Duration, now func() time.Time) (f memoryTeams, closeTeams func(), err error) {
	listener := testkit.NewPipes()
	closeServer := serve(listener, api)
	transport := &http.Transport{DialContext: listener.Dial}
	var apis []*teams.SharedAPI
	closeTeams = func() {
		for _, p := range apis {
			p.Close()
		}
		transport.CloseIdleConnections()
		closeServer()
	}
	limit := semaphore.NewWeighted(100)
	for _, team := range c.Teams {
		var p *teams.SharedAPI
		client, err := chattonic.New(team.BaseURL, team.Codename, chattonic.WithToken(token), chattonic.WithMaxBody(maxAnswer),
			chattonic.WithClock(now), chattonic.WithObserver(func(a chattonic.Attempt) { p.Observe(a) }), chattonic.WithHTTPClient(&http.Client{Transport: transport}))
		if err != nil {
			closeTeams()
			return memoryTeams{}, nil, err
		}
		history := teams.NewHistory(team.Windows[0].Name(), now)
		p = teams.NewSharedAPI(client, teams.SharedOptions{Timeout: timeout, TTL: team.TTL, Limit: limit, Now: now, History: history})
		apis = append(apis, p)
		scraped := collector.NewTeam(teams.Settings(team, p))
		f.all, f.recorded = append(f.all, scraped), append(f.recorded, teams.Status{Team: scraped, History: history})
	}
	return f, closeTeams, nil
}

// memory is an exporter with the teams acme, globex and initech on a simulated
// API, for tests in a synctest bubble.
type memory struct {
	api     *simulator.Server
	teams   memoryTeams
	handler http.Handler
	logs    *testkit.Buffer
}

// startInMemory starts an exporter of the configured teams. adjust may be nil.
func startInMemory(t *testing.T, configured string, adjust func(*simulator.Team, *Options)) *memory {
	t.Helper()
	m := &memory{logs: new(testkit.Buffer)}
	registry := prometheus.NewRegistry()
	collector.NewExporterMetrics(registry)
	o := Options{
		Registry: registry, Logger: log.NewLogfmtLogger(log.NewSyncWriter(m.logs)), ScrapeTimeout: 10 * time.Second,
		TimeoutOffset: 500 * time.Millisecond, TeamsOnMetrics: true, Now: func() time.Time { return noon },
	}
	each := simulator.Team{Token: "secret", Operators: 4}
	if adjust != nil {
		adjust(&each, &o)
	}
	var simulated []simulator.Team
	for i, codename := range []string{"acme", "globex", "initech"} {
		team := each
		team.Codename, team.Seed = codename, uint64(i)
		simulated = append(simulated, team)
	}
	var err error
	m.api, err = simulator.New(simulator.Options{Teams: simulated, Now: o.Now})
	require.NoError(t, err)
	c, err := config.Parse("test", []byte("defaults:\n  base_url: http://chat-tonic.example\n  http_client: {authorization: {credentials: secret}}\nteams:\n"+configured))
	require.NoError(t, err)
	var closeTeams func()
	m.teams, closeTeams, err = newMemoryTeams(c, m.api, "secret", o.ScrapeTimeout, o.Now)
	require.NoError(t, err)
	t.Cleanup(func() {
		m.api.Close()
		closeTeams()
	})
	o.Teams, o.Status = m.teams, m.teams.status
	m.handler, err = New(o)
	require.NoError(t, err)
	return m
}

// ask makes a GET request, with headers as name and value by turns.
func (m *memory) ask(ctx context.Context, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	m.handler.ServeHTTP(w, r)
	return w
}

// get is ask for what has to be there.
func (m *memory) get(t *testing.T, path string, headers ...string) string {
	t.Helper()
	w := m.ask(t.Context(), path, headers...)
	assert.Equal(t, http.StatusOK, w.Code, w.Body.String())
	return w.Body.String()
}
