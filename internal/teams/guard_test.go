package teams

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/config"
)

// reply is a response of a repliesAPI: a status, and a Retry-After header unless it is empty.
type reply struct {
	status     int
	retryAfter string
}

// repliesAPI gives replies to requests, for each path the same, and counts them.
type repliesAPI struct {
	mu       sync.Mutex
	reply    reply
	requests []string // last elements of the paths
}

func (a *repliesAPI) set(status int, retryAfter string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reply = reply{status, retryAfter}
}

func (a *repliesAPI) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.requests)
}

func (a *repliesAPI) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
	header := http.Header{}
	if a.reply.retryAfter != "" {
		header.Set("Retry-After", a.reply.retryAfter)
	}
	body := `{"operators":[]}`
	if strings.HasSuffix(r.URL.Path, "/bigquery") {
		body = `[{}]`
	}
	return &http.Response{StatusCode: a.reply.status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}, nil
}

// guarded returns a SharedAPI with a guard, which calls the API.
func guarded(t *testing.T, api http.RoundTripper, maxCalls int, files ...string) (*SharedAPI, *guard) {
	t.Helper()
	g := &guard{now: time.Now, limits: newLimits(), login: newLogin(files, nil), maxCalls: maxCalls}
	client, err := chattonic.New("http://chat-tonic.example", "acme", chattonic.WithHTTPClient(&http.Client{Transport: api}), chattonic.WithGuard(g.admit))
	require.NoError(t, err)
	return start(client, func(o *SharedOptions) { o.guard, o.History = g, NewHistory("24h", nil) }), g
}

func askWindow(t *testing.T, p *SharedAPI, e chattonic.Endpoint, window string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := p.Read(ctx, e, chattonic.Window{Name: window})
	return err
}

func TestPauseHoldsAcrossScrapesAndWindows(t *testing.T) {
	for _, test := range []struct {
		reply reply
		pause time.Duration
		text  string
	}{
		{reply{429, "600"}, 10 * time.Minute, "HTTP 429, paused until 2000-01-01 00:10:00 UTC as the API asked: lengthen the scrape interval or set a ttl"},
		{reply{429, "Sat, 01 Jan 2000 00:20:00 GMT"}, 20 * time.Minute, "HTTP 429, paused until 2000-01-01 00:20:00 UTC as the API asked: lengthen the scrape interval or set a ttl"},
		{reply{429, "7200"}, time.Hour, "HTTP 429, paused until 2000-01-01 01:00:00 UTC as the API asked: lengthen the scrape interval or set a ttl"},
		{reply{503, "600"}, 10 * time.Minute, "HTTP 503, paused until 2000-01-01 00:10:00 UTC as the API asked"},
		{reply{429, ""}, time.Minute, "HTTP 429, paused until 2000-01-01 00:01:00 UTC: lengthen the scrape interval or set a ttl"},
	} {
		t.Run(fmt.Sprint(test.reply), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin, want := time.Now(), "requesting the operators endpoint: "+test.text
				api := &repliesAPI{reply: test.reply}
				p, g := guarded(t, api, 0)
				defer p.Close()
				require.EqualError(t, askWindow(t, p, chattonic.EndpointOperators, "24h"), want)
				require.Equal(t, 1, api.count())
				assert.Equal(t, begin.Add(test.pause), g.pausedUntil(chattonic.EndpointOperators))
				for range 3 {
					for _, window := range []string{"24h", "today"} {
						before := time.Now()
						require.EqualError(t, askWindow(t, p, chattonic.EndpointOperators, window), want)
						assert.Zero(t, time.Since(before))
					}
					time.Sleep(test.pause / 4)
				}
				require.Equal(t, 1, api.count())
				assert.Len(t, p.options.History.Snapshot().Calls, 1, "a refusal is no call")
				assert.Len(t, p.options.History.Snapshot().Failing, 2)
				assert.True(t, g.pausedUntil(chattonic.EndpointDashboard).IsZero())

				api.set(200, "")
				require.NoError(t, askWindow(t, p, chattonic.EndpointDashboard, "24h"), "another endpoint")
				time.Sleep(time.Until(begin.Add(test.pause)))
				require.NoError(t, askWindow(t, p, chattonic.EndpointOperators, "24h"))
				assert.True(t, g.pausedUntil(chattonic.EndpointOperators).IsZero())
			})
		})
	}
}

func TestPauseWithoutATimeDoublesUntilASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &repliesAPI{reply: reply{429, ""}}
		p, g := guarded(t, api, 0)
		defer p.Close()
		pauses := func(n int) (pauses []float64) {
			for range n {
				var windows sync.WaitGroup
				for _, window := range []string{"24h", "today", "1h"} { // requests of the same time count once
					windows.Go(func() { assert.Error(t, askWindow(t, p, chattonic.EndpointOperators, window)) })
				}
				windows.Wait()
				until := g.pausedUntil(chattonic.EndpointOperators)
				pauses = append(pauses, time.Until(until).Round(time.Second).Minutes())
				time.Sleep(time.Until(until))
			}
			return pauses
		}
		assert.Equal(t, []float64{1, 2, 4, 8, 10, 10}, pauses(6))
		api.set(503, "")
		require.Error(t, askWindow(t, p, chattonic.EndpointOperators, "24h"))
		api.set(429, "")
		assert.Equal(t, []float64{10}, pauses(1))
		api.set(200, "")
		require.NoError(t, askWindow(t, p, chattonic.EndpointOperators, "24h"))
		api.set(429, "")
		assert.Equal(t, []float64{1, 2}, pauses(2))
	})
}

func TestShortPauseIsWaitedForWithinTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &repliesAPI{reply: reply{429, "5"}}
		p, _ := guarded(t, api, 0)
		defer p.Close()
		var waiting sync.WaitGroup
		waiting.Go(func() { assert.NoError(t, askWindow(t, p, chattonic.EndpointOperators, "24h")) })
		synctest.Wait()
		api.set(200, "")
		require.EqualError(t, askWindow(t, p, chattonic.EndpointOperators, "today"),
			"requesting the operators endpoint: HTTP 429, paused until 2000-01-01 00:00:05 UTC as the API asked: lengthen the scrape interval or set a ttl")
		waiting.Wait()
		assert.Equal(t, 2, api.count())
	})
}

func TestRejectedTokenIsTriedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "token")
		write := func(text string) {
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			require.NoError(t, os.Chtimes(path, time.Now(), time.Unix(1e9, 0)))
		}
		write("first")
		api := &repliesAPI{reply: reply{401, ""}}
		p, g := guarded(t, api, 0, path)
		defer p.Close()
		scrapes := func(n int) { // every 15 s
			for range n {
				for _, window := range []string{"24h", "today"} {
					require.ErrorContains(t, askWindow(t, p, chattonic.EndpointOperators, window), "HTTP 401, the access token was not accepted")
				}
				time.Sleep(15 * time.Second)
			}
		}
		scrapes(4)
		assert.Equal(t, 1, api.count())
		scrapes(8)
		assert.Equal(t, 3, api.count())
		require.NoError(t, os.Chtimes(path, time.Now(), time.Unix(1e9+1, 0)))
		scrapes(1)
		assert.Equal(t, 4, api.count(), "at once, as the file has changed")
		scrapes(1)
		require.EqualError(t, askWindow(t, p, chattonic.EndpointOperators, "24h"),
			"requesting the operators endpoint: HTTP 401, the access token was not accepted: check that it is current; it is tried once a minute, and at once when its file changes or the configuration is reloaded")
		assert.Equal(t, 4, api.count())
		write("other") // same size
		scrapes(1)
		assert.Equal(t, 5, api.count())
		g.login.reload()
		scrapes(1)
		assert.Equal(t, 6, api.count())
		require.NoError(t, os.Remove(path))
		api.set(200, "")
		for range 2 {
			require.NoError(t, askWindow(t, p, chattonic.EndpointOperators, "24h"))
		}
	})
}

func TestCallsBeyondTheMaximumFailAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &repliesAPI{reply: reply{200, ""}}
		p, _ := guarded(t, api, 3)
		defer p.Close()
		const want = "not requested, because the team has made its 3 calls of this minute: lengthen the scrape interval, set a ttl or raise max_calls_per_minute"
		for range 3 {
			require.NoError(t, askWindow(t, p, chattonic.EndpointOperators, "24h"))
			time.Sleep(10 * time.Second)
		}
		for _, e := range chattonic.ReadEndpoints() {
			require.EqualError(t, askWindow(t, p, e, "24h"), fmt.Sprintf("requesting the %s endpoint: %s", e, want))
		}
		time.Sleep(30*time.Second - time.Nanosecond)
		require.Error(t, askWindow(t, p, chattonic.EndpointDashboard, "24h"))
		time.Sleep(time.Nanosecond)
		require.NoError(t, askWindow(t, p, chattonic.EndpointDashboard, "24h"))
		require.Error(t, askWindow(t, p, chattonic.EndpointDashboard, "24h"), "in any minute, not on average")
		assert.Equal(t, 4, api.count())
	})
}

// pauseSet returns a Set whose clock is the returned one.
func pauseSet(t *testing.T) (*Set, *atomic.Pointer[time.Time]) {
	t.Helper()
	now := new(atomic.Pointer[time.Time])
	now.Store(new(time.Now()))
	f := New(Options{RequestTimeout: 10 * time.Second, MaxBody: 1 << 20, MaxCalls: 10, Metrics: collector.NewExporterMetrics(prometheus.NewRegistry()), Now: func() time.Time { return *now.Load() }})
	t.Cleanup(f.Close)
	return f, now
}

func TestPauseAndCallsOutliveAChangeOfSettings(t *testing.T) {
	api := &repliesAPI{reply: reply{429, "600"}}
	server := httptest.NewServer(serveReplies(api))
	defer server.Close()
	f, now := pauseSet(t)
	require.NoError(t, f.Apply(parse(t, server.URL, "  - {codename: acme, max_calls_per_minute: 3}")))
	scrapeAll := func() {
		teams, release := f.Teams()
		defer release()
		up(t, teams)
	}
	scrapeAll()
	require.Equal(t, 2, api.count(), "one for each endpoint")
	require.NoError(t, f.Apply(parse(t, server.URL, "  - {codename: acme, max_calls_per_minute: 3, windows: [1h, today]}")))
	scrapeAll()
	assert.Equal(t, 2, api.count())
	require.NoError(t, f.Apply(parse(t, server.URL, "  - codename: globex")))
	require.NoError(t, f.Apply(parse(t, server.URL, "  - {codename: acme, max_calls_per_minute: 3, windows: [1h, today]}")))
	scrapeAll()
	assert.Equal(t, 2, api.count(), "nor if the team was removed meanwhile")
	assert.Len(t, f.limits, 1, "globex is not paused")
	now.Store(new(now.Load().Add(10*time.Minute + time.Second)))
	api.set(200, "")
	scrapeAll()
	assert.Equal(t, 5, api.count())
	require.NoError(t, f.Apply(parse(t, server.URL, "  - {codename: acme, max_calls_per_minute: 4, windows: [1h]}")))
	scrapeAll()
	assert.Equal(t, 6, api.count(), "the calls of this minute still count")
	now.Store(new(now.Load().Add(time.Minute)))
	require.NoError(t, f.Apply(parse(t, server.URL, "  - codename: globex")))
	assert.Len(t, f.limits, 1, "acme is forgotten")
}

func serveReplies(api *repliesAPI) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		response, _ := api.RoundTrip(r)
		defer response.Body.Close()
		for name, values := range response.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
	}
}

// oauth2API is an API with an OAuth2 server whose tokens have no expires_in.
type oauth2API struct {
	mu       sync.Mutex
	issued   int
	valid    string // accepted token
	requests int
}

func (a *oauth2API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/token" {
		a.issued++
		a.valid = fmt.Sprintf("token-%d", a.issued)
		_ = json.NewEncoder(w).Encode(map[string]string{"access_token": a.valid, "token_type": "Bearer"})
		return
	}
	a.requests++
	if a.valid == "" || r.Header.Get("Authorization") != "Bearer "+a.valid {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, _ = io.WriteString(w, `{"operators":[]}`)
}

func (a *oauth2API) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.valid = ""
}

func TestExpiredOAuth2TokenIsReplaced(t *testing.T) {
	api := new(oauth2API)
	server := httptest.NewServer(api)
	defer server.Close()
	f, _ := pauseSet(t)
	c, err := config.Parse("test", []byte("teams:\n  - {codename: acme, base_url: "+server.URL+", collectors: [operators], http_client: {oauth2: {client_id: a, client_secret: b, token_url: "+server.URL+"/token}}}\n"))
	require.NoError(t, err)
	require.NoError(t, f.Apply(c))
	for i := range 3 {
		isUp, logs := scrape(t, f)
		assert.True(t, isUp, logs)
		assert.Equal(t, i+1, api.issued)
		api.expire()
	}
	assert.Equal(t, 5, api.requests)

	// A reload gets a new token.
	require.NoError(t, f.Apply(c))
	isUp, logs := scrape(t, f)
	assert.True(t, isUp, logs)
	assert.Equal(t, 4, api.issued)
	assert.Equal(t, 6, api.requests)
}

func TestOAuth2TokenThatIsNeverAcceptedIsTriedOnceAMinute(t *testing.T) {
	var requests, tokens atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			tokens.Add(1)
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token": "x", "token_type": "Bearer"}`)
			return
		}
		requests.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	f, now := pauseSet(t)
	c, err := config.Parse("test", []byte("teams:\n  - {codename: acme, base_url: "+server.URL+", http_client: {oauth2: {client_id: a, client_secret: b, token_url: "+server.URL+"/token}}}\n"))
	require.NoError(t, err)
	require.NoError(t, f.Apply(c))
	for range 8 { // two minutes
		isUp, _ := scrape(t, f)
		assert.False(t, isUp)
		now.Store(new(now.Load().Add(15 * time.Second)))
	}
	assert.EqualValues(t, 4, requests.Load(), "two endpoints, twice")
	assert.LessOrEqual(t, tokens.Load(), int64(4))
}

func TestReloadTriesARejectedTokenAtOnce(t *testing.T) {
	api := &repliesAPI{reply: reply{401, ""}}
	server := httptest.NewServer(serveReplies(api))
	defer server.Close()
	f, _ := pauseSet(t)
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	for _, authorization := range []string{"credentials: x", "credentials_file: " + path} {
		c, err := config.Parse("test", []byte("teams:\n  - {codename: acme, base_url: "+server.URL+", collectors: [operators], http_client: {authorization: {"+authorization+"}}}\n"))
		require.NoError(t, err)
		before := api.count()
		for range 3 {
			require.NoError(t, f.Apply(c))
			scrape(t, f)
			scrape(t, f)
		}
		assert.Equal(t, before+3, api.count())
	}
}
