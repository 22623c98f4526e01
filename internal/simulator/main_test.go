package simulator_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "opensesame"

// clock is a clock that stands still unless it is set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func (c *clock) advance(d time.Duration) { c.set(c.Now().Add(d)) }

// noon is a Wednesday's in Buenos Aires.
var noon = time.Date(2026, 5, 13, 15, 0, 0, 0, time.UTC)

// world is a simulation with a clock and a client of its only team.
type world struct {
	*simulator.Server
	*clock
	url    string
	client *chattonic.Client
	t      testing.TB
}

func newWorld(t testing.TB, zone string, now time.Time, team simulator.Team) *world {
	t.Helper()
	location, err := time.LoadLocation(zone)
	require.NoError(t, err)
	w := &world{clock: &clock{now: now}, t: t}
	if team.Codename == "" {
		team.Codename = "acme"
	}
	team.Token = token
	w.Server, err = simulator.New(simulator.Options{Teams: []simulator.Team{team}, Now: w.Now, Location: location})
	require.NoError(t, err)
	w.url, w.client = serve(t, w.Server, team.Codename)
	return w
}

// serve starts an HTTP server until the end of the test.
func serve(t testing.TB, handler *simulator.Server, codename string, options ...chattonic.Option) (url string, _ *chattonic.Client) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	t.Cleanup(handler.Close)
	// net/http sends a GET again when a kept connection turns out to be closed.
	transport := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	options = append([]chattonic.Option{
		chattonic.WithToken(token), chattonic.WithHTTPClient(&http.Client{Transport: transport}),
	}, options...)
	client, err := chattonic.New(server.URL, codename, options...)
	require.NoError(t, err)
	return server.URL, client
}

func (w *world) operators(start, end time.Time) *chattonic.Operators {
	w.t.Helper()
	answer, err := w.client.Operators(context.Background(), chattonic.Window{Start: start, End: end})
	require.NoError(w.t, err)
	return answer
}

func (w *world) rows(start, end time.Time) []chattonic.DashboardRow {
	w.t.Helper()
	answer, err := w.client.Dashboard(context.Background(), chattonic.Window{Start: start, End: end})
	require.NoError(w.t, err)
	return answer.Rows
}

func (w *world) row(start, end time.Time) chattonic.DashboardRow {
	w.t.Helper()
	rows := w.rows(start, end)
	require.Len(w.t, rows, 1)
	return rows[0]
}

// number returns a number that has to be there.
func number(t testing.TB, n chattonic.Number) float64 {
	t.Helper()
	value, present := n.Float64()
	require.True(t, present)
	return value
}
