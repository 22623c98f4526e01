package web

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/calendar"
	"chattonic_exporter/internal/simulator"
	"chattonic_exporter/internal/teams"
)

// canned answers every request with a body by the end of its path, so that a
// benchmark measures no server.
type canned map[string][]byte

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	body := c[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{}, Request: r,
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}, nil
}

// simulatedBodies returns what a simulated team of n operators answers.
func simulatedBodies(b *testing.B, n int) canned {
	b.Helper()
	api, err := simulator.New(simulator.Options{
		Teams: []simulator.Team{{Codename: "acme", Token: "secret", Operators: n}},
		Now:   func() time.Time { return noon },
	})
	require.NoError(b, err)
	defer api.Close()
	bodies := canned{}
	record := recorder{api, bodies}
	client, err := chattonic.New("http://chat-tonic.example", "acme", chattonic.WithToken("secret"), chattonic.WithHTTPClient(&http.Client{Transport: record}))
	require.NoError(b, err)
	window := chattonic.Window{Start: noon.Add(-24 * time.Hour), End: noon}
	_, err = client.Operators(b.Context(), window)
	require.NoError(b, err)
	_, err = client.Dashboard(b.Context(), window)
	require.NoError(b, err)
	return bodies
}

// recorder keeps what a handler answers.
type recorder struct {
	handler http.Handler
	bodies  canned
}

func (r recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	r.bodies[req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]] = w.Body.Bytes()
	return w.Result(), nil
}

// oneTeam is a TeamSet of a single team.
type oneTeam struct{ team *collector.Team }

func (o oneTeam) Teams() ([]*collector.Team, func()) { return []*collector.Team{o.team}, func() {} }

func (o oneTeam) Team(string) ([]*collector.Team, func()) { return o.Teams() }

func (o oneTeam) Codenames() []string { return []string{o.team.Codename} }

// discard is a ResponseWriter that counts.
type discard struct {
	header http.Header
	bytes  int
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { d.bytes += len(p); return len(p), nil }

// BenchmarkScrape measures a whole scrape of one team and window: asking
// without a network, decoding, collecting and encoding. Those by a registry
// show what it costs to use the Collector as any other.
func BenchmarkScrape(b *testing.B) {
	for _, operators := range []int{10, 100, 1000, 10000} {
		bodies := simulatedBodies(b, operators)
		for _, encoding := range []string{"identity", "gzip"} {
			b.Run(fmt.Sprintf("operators=%d/%s", operators, encoding), func(b *testing.B) {
				handler, err := New(Options{
					Teams: oneTeam{benchmarkTeam(b, bodies)}, Registry: prometheus.NewRegistry(), Logger: log.NewNopLogger(),
					ScrapeTimeout: time.Minute, TeamsOnMetrics: true,
				})
				require.NoError(b, err)
				benchmarkScrape(b, handler, operators, encoding)
			})
			b.Run(fmt.Sprintf("operators=%d/%s/registry", operators, encoding), func(b *testing.B) {
				registry := prometheus.NewRegistry()
				registry.MustRegister(collector.New(b.Context(), log.NewNopLogger(), nil, benchmarkTeam(b, bodies)))
				benchmarkScrape(b, promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}), operators, encoding)
			})
		}
	}
}

// benchmarkTeam returns a team that asks for a window of a day.
func benchmarkTeam(b *testing.B, bodies canned) *collector.Team {
	b.Helper()
	client, err := chattonic.New("http://chat-tonic.example", "acme", chattonic.WithHTTPClient(&http.Client{Transport: bodies}))
	require.NoError(b, err)
	poller := teams.NewSharedAPI(client, teams.SharedOptions{Timeout: time.Minute, Limit: semaphore.NewWeighted(10)})
	b.Cleanup(poller.Close)
	window, err := calendar.ParseWindow("24h")
	require.NoError(b, err)
	return collector.NewTeam(collector.Settings{
		Codename: "acme", API: poller, Collectors: []chattonic.Endpoint{"operators", "dashboard"},
		Windows: []collector.WindowSpec{window}, Location: time.UTC, DurationUnit: time.Second,
	})
}

func benchmarkScrape(b *testing.B, handler http.Handler, operators int, encoding string) {
	b.Helper()
	request := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	request.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	request.Header.Set("Accept-Encoding", encoding)

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for b.Loop() {
		w := &discard{header: http.Header{}, status: http.StatusOK}
		handler.ServeHTTP(w, request)
		if w.status != http.StatusOK || w.bytes < 1000 {
			b.Fatalf("status %d, %d bytes", w.status, w.bytes)
		}
	}
	runtime.ReadMemStats(&after)
	each := float64(b.N) * float64(operators)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/each, "ns/operator")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/each, "B/operator")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/each, "allocs/operator")
}
