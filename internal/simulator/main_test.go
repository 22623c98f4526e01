package simulator_test

import (
	"context"
	"net"
	"net/http"
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

// network connects clients to a server in memory, so that also what waits for it
// can be tested under synctest.
type network chan net.Conn

func (n network) Accept() (net.Conn, error) {
	conn, open := <-n
	if !open {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (n network) Close() error {
	close(n)
	return nil
}

func (n network) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (n network) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	n <- server
	return client, nil
}

const baseURL = "http://simulator.example"

// world is a simulation with a clock and a client of its only team.
type world struct {
	*simulator.Server
	*clock
	transport http.RoundTripper
	client    *chattonic.Client
	t         testing.TB
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
	w.transport = serve(t, w.Server)
	w.client = newClient(t, w.transport, team.Codename)
	return w
}

// serve starts an HTTP server until the end of the test, and returns the way to it.
func serve(t testing.TB, handler *simulator.Server) http.RoundTripper {
	t.Helper()
	connections := make(network)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(connections) }()
	t.Cleanup(func() {
		handler.Close()
		_ = server.Close()
		<-served
	})
	// net/http sends a GET again when a kept connection turns out to be closed.
	return &http.Transport{DialContext: connections.dial, DisableKeepAlives: true}
}

func newClient(t testing.TB, transport http.RoundTripper, codename string, options ...chattonic.Option) *chattonic.Client {
	t.Helper()
	options = append([]chattonic.Option{
		chattonic.WithToken(token), chattonic.WithHTTPClient(&http.Client{Transport: transport}),
	}, options...)
	client, err := chattonic.New(baseURL, codename, options...)
	require.NoError(t, err)
	return client
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
