package web

import (
	"net/http"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/simulator"
)

// clock is set by the test, and is the same for the exporter and the API.
type clock struct{ now atomic.Pointer[time.Time] }

func (c *clock) set(now time.Time)      { c.now.Store(&now) }
func (c *clock) add(jump time.Duration) { c.set(c.Now().Add(jump)) }
func (c *clock) Now() time.Time         { return *c.now.Load() }

// startClocked starts the team acme by a clock of its own.
func startClocked(t *testing.T, team string) (*clock, *memory) {
	t.Helper()
	c := new(clock)
	c.set(noon)
	m := startInMemory(t, "  - {codename: acme, "+team+"}\n", func(simulated *simulator.Team, o *Options) {
		simulated.Documented, o.Now = true, c.Now
	})
	return c, m
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
	for name, ttl := range map[string]string{"every scrape asks": "0s", "answers are kept": "5m"} {
		synctest.Test(t, func(t *testing.T) {
			c, m := startClocked(t, "windows: [24h, today], ttl: {operators: "+ttl+", dashboard: "+ttl+"}")
			calls := 0
			for _, jump := range []time.Duration{0, -time.Hour, 24 * time.Hour, 12*time.Hour - time.Minute, -366 * 24 * time.Hour} {
				c.add(jump)
				assertWindows(t, m.get(t, "/metrics"), c.Now(), name+", "+jump.String())
				calls += 2
				assert.Equal(t, calls, m.api.Calls("acme", chattonic.EndpointOperators), "%s, %s", name, jump)
				asked := c.Now()
				c.add(time.Minute)
				body := m.get(t, "/metrics")
				if ttl == "0s" {
					calls += 2
					asked = c.Now()
				}
				assertWindows(t, body, asked, name+", a minute after "+jump.String())
				assert.Equal(t, calls, m.api.Calls("acme", chattonic.EndpointOperators), "%s, %s", name, jump)
			}
		})
	}
}

func TestLateAnswerWhenTheClockJumps(t *testing.T) {
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
		synctest.Test(t, func(t *testing.T) {
			c, m := startClocked(t, "windows: [24h, today], collectors: [operators]")
			began := c.Now()
			require.NoError(t, m.api.SetFault("", chattonic.EndpointOperators, simulator.Fault{Times: 4, Delay: time.Second}))
			scrape := func() string {
				w := m.ask(t.Context(), "/metrics", timeoutHeader, "0.1")
				assert.Equal(t, http.StatusOK, w.Code)
				time.Sleep(time.Second) // until both answers have been read
				return w.Body.String()
			}
			scrape()
			c.add(test.jump)
			want, up := began, 1.0
			if !test.served {
				want, up = c.Now(), 0
			}
			body := scrape()
			assert.InDelta(t, up, value(t, body, `chattonic_up{team="acme"}`), 0, name)
			assert.InDelta(t, seconds(want), value(t, body, `chattonic_window_end_timestamp_seconds{team="acme",window="today"}`), 0, name)
			assert.Equal(t, 4, m.api.Calls("acme", chattonic.EndpointOperators), name)
			assertWindows(t, m.get(t, "/metrics"), c.Now(), name+": nothing is stuck")
		})
	}
}
