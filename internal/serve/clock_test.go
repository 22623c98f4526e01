package serve

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/fleet"
	"chattonic_exporter/internal/simulator"
	"chattonic_exporter/internal/web"
)

// clock is set by the test, and is the same for the exporter and the API.
type clock struct{ now atomic.Pointer[time.Time] }

func (c *clock) set(now time.Time)      { c.now.Store(&now) }
func (c *clock) add(jump time.Duration) { c.set(c.Now().Add(jump)) }
func (c *clock) Now() time.Time         { return *c.now.Load() }

// runClocked serves the team acme of a simulated API by a clock of its own.
func runClocked(t *testing.T, team string) (c *clock, api *simulator.Server, url string) {
	t.Helper()
	c = new(clock)
	c.set(time.Date(2021, 12, 1, 12, 0, 0, 0, time.UTC))
	api, err := simulator.New(simulator.Options{Teams: []simulator.Team{{Codename: "acme", Token: "secret", Documented: true}}, Now: c.Now})
	require.NoError(t, err)
	upstream := httptest.NewServer(api)
	configured, err := config.Parse("test", []byte("teams:\n  - {codename: acme, base_url: "+upstream.URL+", http_client: {authorization: {credentials: secret}}, "+team+"}\n"))
	require.NoError(t, err)

	registry := prometheus.NewRegistry()
	teams := fleet.New(fleet.Options{RequestTimeout: 10 * time.Second, MaxBody: 1 << 20, MaxCalls: 10, Own: collector.NewOwn(registry), Now: c.Now})
	require.NoError(t, teams.Apply(configured))
	handler, err := web.New(web.Options{
		Fleet: teams, Registry: registry, Logger: log.NewNopLogger(), ScrapeTimeout: 10 * time.Second, TeamsOnMetrics: true, Now: c.Now,
	})
	require.NoError(t, err)
	exporter := httptest.NewServer(handler)
	t.Cleanup(func() {
		exporter.Close()
		teams.Close()
		api.Close()
		upstream.Close()
	})
	return c, api, exporter.URL
}

// value returns the value of a series.
func value(t *testing.T, body, series string) float64 {
	t.Helper()
	parts := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(body)
	require.NotNil(t, parts, "%s in\n%s", series, body)
	v, err := strconv.ParseFloat(parts[1], 64)
	require.NoError(t, err)
	return v
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// assertWindows checks that a scrape was about the windows that end then.
func assertWindows(t *testing.T, body string, end time.Time, what string) {
	t.Helper()
	require.Contains(t, body, `chattonic_up{team="acme"} 1`, what)
	const start, last = "chattonic_window_start_timestamp_seconds", "chattonic_window_end_timestamp_seconds"
	for window, begin := range map[string]time.Time{"24h": end.Add(-24 * time.Hour), "today": end.Truncate(24 * time.Hour)} {
		labels := `{team="acme",window="` + window + `"}`
		assert.InDelta(t, seconds(begin), value(t, body, start+labels), 0, what)
		assert.InDelta(t, seconds(end), value(t, body, last+labels), 0, what)
		assert.InDelta(t, seconds(end), value(t, body, `chattonic_scrape_collector_last_success_timestamp_seconds{collector="operators",team="acme",window="`+window+`"}`), 0, what)
	}
}

func TestWindowsFollowAClockThatJumps(t *testing.T) {
	t.Parallel()
	for name, ttl := range map[string]string{"every scrape asks": "0s", "answers are kept": "5m"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, api, url := runClocked(t, "windows: [24h, today], ttl: {operators: "+ttl+", dashboard: "+ttl+"}")
			calls := 0
			for _, jump := range []time.Duration{0, -time.Hour, 24 * time.Hour, 12*time.Hour - time.Minute, -366 * 24 * time.Hour} {
				c.add(jump)
				assertWindows(t, get(t, url+"/metrics"), c.Now(), jump.String())
				calls += 2
				assert.Equal(t, calls, api.Calls("acme", chattonic.EndpointOperators), jump.String())
				asked := c.Now()
				c.add(time.Minute)
				body := get(t, url+"/metrics")
				if ttl == "0s" {
					calls += 2
					asked = c.Now()
				}
				assertWindows(t, body, asked, "a minute after "+jump.String())
				assert.Equal(t, calls, api.Calls("acme", chattonic.EndpointOperators), jump.String())
			}
		})
	}
}

func TestLateAnswerWhenTheClockJumps(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		jump   time.Duration
		served bool
	}{
		"not at all":         {0, true},
		"on a little":        {4 * time.Minute, true},
		"back a millisecond": {-time.Millisecond, false},
		"back an hour":       {-time.Hour, false},
		"forward a day":      {24 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, api, url := runClocked(t, "windows: [24h, today], collectors: [operators]")
			began := c.Now()
			release := make(chan struct{})
			served := make(chan struct{}, 2)
			require.NoError(t, api.SetFault("", chattonic.EndpointOperators, simulator.Fault{Times: 2, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				<-release
				_, _ = w.Write(simulator.OperatorsFixture())
				served <- struct{}{}
			})}))
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", http.NoBody)
			require.NoError(t, err)
			req.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "0.1")
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			close(release)
			<-served
			<-served
			time.Sleep(200 * time.Millisecond) // until the answers are read
			c.add(test.jump)
			want, calls := began, 2
			if !test.served {
				want, calls = c.Now(), 4
			}
			body := get(t, url+"/metrics")
			assert.InDelta(t, seconds(want), value(t, body, `chattonic_window_end_timestamp_seconds{team="acme",window="today"}`), 0)
			assert.Equal(t, calls, api.Calls("acme", chattonic.EndpointOperators))
			assertWindows(t, get(t, url+"/metrics"), c.Now(), "nothing is stuck")
		})
	}
}
