package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/simulator"
	"chattonic_exporter/internal/testkit"
)

// startHandler is start with the handler itself, for what no HTTP client sends.
func startHandler(t *testing.T, teams string) (*fixture, http.Handler, *prometheus.Registry) {
	t.Helper()
	var o Options
	f := start(t, teams, func(_ *simulator.Team, options *Options) { o = *options })
	o.Teams = f.teams
	handler, err := New(o)
	require.NoError(t, err)
	return f, handler, o.Registry
}

// answer is what the handler answers to GET of a path with a raw query.
func answer(ctx context.Context, handler http.Handler, path, rawQuery string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody)
	r.URL.RawQuery = rawQuery
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// series are the names and labels of all that a registry holds.
func series(t *testing.T, registry *prometheus.Registry) (all []string) {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			all = append(all, fmt.Sprint(family.GetName(), m.GetLabel()))
		}
	}
	return all
}

const (
	noTarget      = "the parameter target is missing or repeated: use /probe?target=CODENAME\n"
	unknownTarget = "the target is not the codename of a configured team: use one of those that /sd lists\n"
)

func TestProbeOfWhatIsNoTeam(t *testing.T) {
	f, handler, registry := startHandler(t, allTeams)
	answer(t.Context(), handler, "/probe", "target=nobody") // the first 400 makes a series of that code
	before := series(t, registry)
	megabyte := strings.Repeat("x", 1<<20)
	targets := []string{
		"/", "//", "../acme", "acme/", "acme/..", "./acme", "acme/stats/operator", ".", "..", `\`, "%", "%2e%2e", "%61cme", "acme%00",
		"acme\n", "acme\r\n", "\nacme", "acme\x00", " acme", "acme ", "ACME", "a\u0301cme", "acme\u200b", "\xff", "acme,globex", "*", ".*", "'", `"`,
		"http://localhost/", f.apiURL, "acme@evil.example", "acme?x", "acme#x", "<script>alert(1)</script>", megabyte, "acme" + megabyte, megabyte + "acme",
	}
	for _, target := range targets {
		w := answer(t.Context(), handler, "/probe", "target="+url.QueryEscape(target))
		assert.Equal(t, http.StatusBadRequest, w.Code, "%.40q", target)
		assert.Equal(t, unknownTarget, w.Body.String(), "%.40q", target)
		assert.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	}
	for query, want := range map[string]string{
		"":                         noTarget,
		"target":                   unknownTarget,
		"target=":                  unknownTarget,
		"Target=acme":              noTarget,
		"target[]=acme":            noTarget,
		"target=acme&target=acme":  noTarget,
		"target=acme&target=":      noTarget,
		"target=acme;x=y":          noTarget,
		"target=%zz":               noTarget,
		"target=%":                 noTarget,
		"target=%00acme":           unknownTarget,
		"target=%2561cme":          unknownTarget,
		"target=" + megabyte:       unknownTarget,
		strings.Repeat("&", 1<<20): noTarget,
		megabyte + "=x":            noTarget,
	} {
		w := answer(t.Context(), handler, "/probe", query)
		assert.Equal(t, http.StatusBadRequest, w.Code, "%.40q", query)
		assert.Equal(t, want, w.Body.String(), "%.40q", query)
	}
	for _, path := range []string{"/probe/acme", "/probe/", "/probe%2Facme", "/metrics/acme"} {
		resp, _ := f.ask(t, http.MethodGet, path)
		assert.Equal(t, http.StatusNotFound, resp.StatusCode, path)
	}
	for _, codename := range []string{"acme", "globex", "initech"} {
		assert.Zero(t, f.api.Calls(codename, chattonic.EndpointOperators)+f.api.Calls(codename, chattonic.EndpointDashboard))
	}
	assert.Equal(t, before, series(t, registry), "no label value comes from who asks")
	assert.Empty(t, f.logs.String())
	assert.Equal(t, http.StatusOK, answer(t.Context(), handler, "/probe", "target=%61cme").Code, "it is the query's encoding that counts")
}

func TestProbesOfWhatIsNoTeamLeaveNothingBehind(t *testing.T) {
	_, handler, _ := startHandler(t, allTeams)
	long := strings.Repeat("x", 10_000)
	ask := func(n int) uint64 {
		for i := range n {
			answer(t.Context(), handler, "/probe", fmt.Sprint("target=", i, long))
		}
		runtime.GC()
		runtime.GC() // what pools keep goes with the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := ask(100)
	assert.Less(t, ask(2000), before+1<<20, "bytes of heap after 2000 targets, which are 20 MB")
}

func TestScrapesAtATimeAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := startInMemory(t, allTeams, func(_ *simulator.Team, o *Options) {
			o.MaxScrapes, o.Reload = 2, func() error { return nil }
		})
		require.NoError(t, m.api.SetFault("", chattonic.EndpointOperators, simulator.Fault{Delay: 5 * time.Second}))
		begin := time.Now()
		var scrapes sync.WaitGroup
		for _, codename := range []string{"acme", "globex"} {
			scrapes.Go(func() {
				assert.Contains(t, m.get(t, "/probe?target="+codename), fmt.Sprintf("chattonic_up{team=%q} 1", codename))
			})
		}
		synctest.Wait()
		for _, codename := range []string{"acme", "globex"} {
			require.Equal(t, 1, m.api.Calls(codename, chattonic.EndpointOperators))
		}
		for _, path := range []string{"/metrics", "/probe?target=initech", "/probe?target=acme"} {
			w := m.ask(t.Context(), path)
			assert.Equal(t, http.StatusServiceUnavailable, w.Code, path)
			assert.Equal(t, "1", w.Header().Get("Retry-After"))
			assert.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
			assert.Equal(t, "too many concurrent scrapes, the maximum is 2: retry later, or raise --web.max-scrapes\n", w.Body.String())
		}
		for _, path := range []string{"/", "/sd", "/-/healthy", "/-/ready"} {
			m.get(t, path)
		}
		reloaded := httptest.NewRecorder()
		m.handler.ServeHTTP(reloaded, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/-/reload", http.NoBody))
		assert.Equal(t, http.StatusOK, reloaded.Code)
		assert.Zero(t, m.api.Calls("initech", chattonic.EndpointOperators), "who is refused causes no call")
		assert.Zero(t, time.Since(begin), "at once")
		scrapes.Wait()
		assert.Equal(t, 5*time.Second, time.Since(begin))
		assert.Contains(t, m.get(t, "/metrics"), `promhttp_metric_handler_requests_total{code="503"} 3`)
		assert.Contains(t, m.get(t, "/probe?target=initech"), `chattonic_up{team="initech"} 1`, "the refused have left their places free")
	})
}

func TestAwaitedAnswersAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := startInMemory(t, allTeams, func(_ *simulator.Team, o *Options) { o.MaxAwaited = 5 })
		require.NoError(t, m.api.SetFault("", chattonic.EndpointOperators, simulator.Fault{Delay: 5 * time.Second}))
		begin := time.Now()
		var scrapes sync.WaitGroup
		for _, codename := range []string{"acme", "globex"} { // two answers each
			scrapes.Go(func() {
				assert.Contains(t, m.get(t, "/probe?target="+codename), fmt.Sprintf("chattonic_up{team=%q} 1", codename))
			})
		}
		synctest.Wait()
		for _, path := range []string{"/metrics", "/probe?target=initech", "/probe?target=acme"} {
			w := m.ask(t.Context(), path)
			assert.Equal(t, http.StatusServiceUnavailable, w.Code, path)
			assert.Equal(t, "1", w.Header().Get("Retry-After"))
			assert.Equal(t, "concurrent scrapes wait for too many answers of the API, the maximum is 5: retry later, scrape less often, or look for teams whose calls hang\n", w.Body.String())
		}
		m.get(t, "/metrics?name[]=go_goroutines") // waits for no answer
		assert.Zero(t, m.api.Calls("initech", chattonic.EndpointOperators), "a refused scrape causes no call")
		assert.Zero(t, time.Since(begin), "at once")
		scrapes.Wait()
		assert.Contains(t, m.get(t, "/metrics"), `chattonic_up{team="initech"} 1`, "one scrape may need more than the maximum")
	})
}

func TestReloadCanBeSwitchedOff(t *testing.T) {
	f := start(t, allTeams, func(_ *simulator.Team, o *Options) { o.Reload = nil })
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodPut} {
		resp, _ := f.ask(t, method, "/-/reload")
		assert.Equal(t, http.StatusNotFound, resp.StatusCode, method)
	}
}

func TestOtherMethods(t *testing.T) {
	f := start(t, allTeams, func(_ *simulator.Team, o *Options) { o.Profiling = true })
	allowed := map[string]string{"/": "GET", "/metrics": "GET", "/probe?target=acme": "GET", "/sd": "GET", "/-/healthy": "GET", "/-/ready": "GET", "/-/reload": "POST", "/debug/pprof/cmdline": "GET"}
	for path, right := range allowed {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "X"} {
			if method == right {
				continue
			}
			resp, _ := f.ask(t, method, path)
			assert.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode, "%s %s", method, path)
			assert.Contains(t, resp.Header.Get("Allow"), right)
		}
	}
	assert.Zero(t, f.api.Calls("acme", chattonic.EndpointOperators))
}

func TestPanicsDoNotSayWhatTheyHold(t *testing.T) {
	const token = "t0k3n-in-a-panic"
	for name, test := range map[string]struct {
		fail func()
		want string
	}{
		"text":          {func() { panic("cannot use " + token) }, " panic=string "},
		"error":         {func() { panic(fmt.Errorf("asking: %w", errors.New(token))) }, " panic=*fmt.wrapError "},
		"struct":        {func() { panic(http.Header{"Authorization": {token}}) }, " panic=http.Header "},
		"runtime error": {func() { _ = make([]string, 1)[len(token)] }, ` panic="runtime error: index out of range [16] with length 1" `},
		"wrong type":    {func() { _ = any(token).(fmt.Stringer) }, ` panic="interface conversion: `},
		"aborted":       {func() { panic(http.ErrAbortHandler) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var logs testkit.Buffer
			h := &handler{Options: Options{Logger: log.NewLogfmtLogger(log.NewSyncWriter(&logs))}}
			mux := http.NewServeMux()
			mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "half an answer\n")
				test.fail()
			})
			server := httptest.NewUnstartedServer(h.protect(mux))
			server.Config.ErrorLog = stdlog.New(&logs, "", 0)
			server.Start()
			resp, err := server.Client().Get(server.URL + "/metrics")
			var body []byte
			if err == nil {
				body, err = io.ReadAll(resp.Body)
				require.NoError(t, resp.Body.Close())
			}
			require.Error(t, err, "half an answer must not pass for a whole one: %s", body)
			server.Close()
			assert.NotContains(t, logs.String()+string(body)+err.Error(), token)
			if test.want == "" {
				assert.Empty(t, logs.String())
				return
			}
			assert.Contains(t, logs.String(), test.want)
			assert.Contains(t, logs.String(), `level=error msg="HTTP handler panicked, please report this bug" request="GET /metrics"`)
			assert.Contains(t, logs.String(), "middleware_test.go", "where it was")
			assert.Equal(t, 1, strings.Count(logs.String(), "\n"))
		})
	}
}

// goneWriter is a client who went away: as in net/http, the failure to write
// cancels the request.
type goneWriter struct {
	http.ResponseWriter
	cancel context.CancelFunc
}

func (w goneWriter) Write([]byte) (int, error) {
	w.cancel()
	return 0, io.ErrClosedPipe
}

func TestClientWhoGoesAwayIsNoError(t *testing.T) {
	f, handler, registry := startHandler(t, allTeams)
	for i := range 50 {
		registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: fmt.Sprint("further_", i)}))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	handler.ServeHTTP(goneWriter{httptest.NewRecorder(), cancel}, httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", http.NoBody))
	assert.NotContains(t, f.logs.String(), "level=error")
	assert.Equal(t, 1, strings.Count(f.logs.String(), `level=debug msg="the client disconnected"`), f.logs.String())
}

func TestErrorsOfAScrapeThatIsTakenAreErrors(t *testing.T) {
	var logs strings.Builder
	l := &errorLog{ctx: t.Context(), logger: level.NewFilter(log.NewLogfmtLogger(&logs), level.AllowError())}
	l.Println("error", errors.New("one"))
	l.Println("error", errors.New("two"))
	assert.Equal(t, 2, strings.Count(logs.String(), "writing metrics failed"))
}

func TestPagesDoNotSpeakHTMLOfOthers(t *testing.T) {
	const evil = `<script>alert("1")</script>&'`
	simulated, err := simulator.New(simulator.Options{Teams: []simulator.Team{{Codename: evil, Token: "secret", Operators: 2}}})
	require.NoError(t, err)
	defer simulated.Close()
	control := answer(t.Context(), simulated.Control(), "/", "")
	require.Equal(t, http.StatusOK, control.Code)
	assert.NotContains(t, control.Body.String(), "<script")
	assert.Contains(t, control.Body.String(), "&lt;script&gt;alert(")
	assert.Contains(t, control.Header().Get("Content-Security-Policy"), "default-src 'none'")

	codename, err := json.Marshal(evil)
	require.NoError(t, err)
	f := start(t, fmt.Sprintf("  - codename: %s\n  - codename: acme\n", codename), func(_ *simulator.Team, o *Options) {
		o.Simulator, o.Profiling = http.NotFoundHandler(), true
	})
	require.NoError(t, f.api.SetFault("acme", chattonic.EndpointOperators, simulator.Fault{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{"operators": []map[string]any{{"_id": evil, "displayName": evil}}, "status": true})
		}),
	}))
	pages := map[string]string{
		"/": "text/html; charset=UTF-8", "/?x=" + url.QueryEscape(evil): "text/html; charset=UTF-8",
		"/teams/acme": "text/html; charset=UTF-8", "/teams/" + url.PathEscape(evil): "text/html; charset=UTF-8",
		"/metrics": "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", "/sd": "application/json",
		"/probe?target=" + url.QueryEscape(evil): "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
		"/debug/pprof/":                          "text/html; charset=utf-8", "/debug/pprof/" + url.PathEscape(evil): "text/plain; charset=utf-8",
		"/" + url.PathEscape(evil): "text/plain; charset=utf-8",
	}
	for path, contentType := range pages {
		resp, body := f.ask(t, http.MethodGet, path)
		assert.Equal(t, contentType, resp.Header.Get("Content-Type"), path)
		assert.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"), path)
		if strings.HasPrefix(contentType, "text/html") {
			assert.NotContains(t, body, "<script>", path)
			assert.NotContains(t, strings.ReplaceAll(body, "&lt;script&gt;alert(", ""), "alert(", path)
		}
	}
}
