package serve

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/simulator"
	"chattonic_exporter/internal/testkit"
)

// waitTimeout is how long a test waits for an event, also on a busy machine. It
// does not measure anything.
const waitTimeout = 45 * time.Second

func TestMain(m *testing.M) {
	if config := os.Getenv(childConfig); config != "" {
		os.Exit(child(config))
	}
	goleak.VerifyTestMain(m)
}

// fixture holds options for a simulated API with the teams acme and globex, and
// the configuration that Load returns.
type fixture struct {
	Options
	api  *simulator.Server
	url  string
	logs *testkit.Buffer
	file atomic.Pointer[string] // the teams in the configuration file
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	api, err := simulator.New(simulator.Options{Teams: []simulator.Team{
		{Codename: "acme", Token: "secret", Documented: true},
		{Codename: "globex", Token: "secret", Documented: true},
	}})
	require.NoError(t, err)
	upstream := httptest.NewServer(api)
	t.Cleanup(func() {
		api.Close()
		upstream.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	f := &fixture{api: api, url: upstream.URL, logs: new(testkit.Buffer)}
	f.configure("  - codename: acme\n  - codename: globex\n")
	logger, slogger, err := cli.NewLogger(f.logs, "info", "logfmt")
	require.NoError(t, err)
	f.Options = Options{
		Client:        cli.Client{Load: f.load, RequestTimeout: waitTimeout, MaxBody: 1 << 20, MaxCalls: 10},
		TimeoutOffset: 100 * time.Millisecond, TeamsOnMetrics: true, EnableReload: true,
		Listen: loopback(), Logger: logger, Slogger: slogger,
	}
	return f
}

// loopback listens on a free port of the loopback interface.
func loopback() *toolkit.FlagConfig {
	addresses, webConfig, systemd := []string{"127.0.0.1:0"}, "", false
	return &toolkit.FlagConfig{WebListenAddresses: &addresses, WebConfigFile: &webConfig, WebSystemdSocket: &systemd}
}

func (f *fixture) configure(teams string) { f.file.Store(&teams) }

func (f *fixture) load() (*config.Config, error) {
	return config.Parse("exporter.yml", []byte("defaults:\n  base_url: "+f.url+"\n  http_client: {authorization: {credentials: secret}}\nteams:\n"+*f.file.Load()))
}

var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// run runs the exporter. It returns the URL, and a function that ends it.
func (f *fixture) run(t *testing.T) (url string, end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, f.Options) }()
	var once sync.Once
	var err error
	end = func() error {
		once.Do(func() {
			cancel()
			err = <-ended
		})
		return err
	}
	t.Cleanup(func() { _ = end() })
	require.Eventually(t, func() bool { return listening.MatchString(f.logs.String()) }, waitTimeout, 10*time.Millisecond)
	return "http://" + listening.FindStringSubmatch(f.logs.String())[1], end
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
	return string(body)
}

func TestRunServesUntilItsContextEnds(t *testing.T) {
	f := newFixture(t)
	url, end := f.run(t)
	body := get(t, url+"/metrics")
	for _, want := range []string{
		`chattonic_up{team="acme"} 1`, `chattonic_up{team="globex"} 1`, "\ngo_goroutines ", "\nprocess_cpu_seconds_total ",
		"chattonic_exporter_build_info{", "chattonic_exporter_config_last_reload_successful 1",
	} {
		assert.Contains(t, body, want)
	}
	http.DefaultClient.CloseIdleConnections()
	require.NoError(t, end())
	_, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.NotContains(t, f.logs.String(), "secret")
}

func TestShutdownAnswersScrapesInFlight(t *testing.T) {
	t.Parallel()
	for name, delay := range map[string]time.Duration{"soon": 300 * time.Millisecond, "after the shutdown timeout": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			require.NoError(t, f.api.SetFault("globex", chattonic.EndpointOperators, simulator.Fault{Delay: delay}))
			url, end := f.run(t)
			answered := make(chan string, 1)
			go func() {
				resp, err := http.Get(url + "/metrics")
				if err != nil {
					answered <- err.Error()
					return
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					answered <- err.Error()
					return
				}
				answered <- string(body)
			}()
			require.Eventually(t, func() bool { return f.api.Calls("globex", chattonic.EndpointOperators) == 1 }, waitTimeout, 5*time.Millisecond)
			require.NoError(t, end(), "all scrapes are answered")
			body := <-answered
			assert.Contains(t, body, `chattonic_up{team="acme"} 1`)
			want := `chattonic_up{team="globex"} 1`
			if delay > scrapeShutdownTimeout {
				want = `chattonic_up{team="globex"} 0`
			}
			assert.Contains(t, body, want)
		})
	}
}

func TestCallThatOutlivesItsScrapeEndsWithTheExporter(t *testing.T) {
	f := newFixture(t)
	ended := make(chan struct{})
	require.NoError(t, f.api.SetFault("globex", chattonic.EndpointOperators, simulator.Fault{
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			close(ended)
		}),
	}))
	url, end := f.run(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "0.3")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Eventually(t, func() bool { return f.api.Calls("globex", chattonic.EndpointOperators) == 1 }, waitTimeout, 5*time.Millisecond)
	select {
	case <-ended:
		assert.Fail(t, "the call ended with its scrape")
	default:
	}
	require.NoError(t, end())
	select {
	case <-ended:
	case <-time.After(waitTimeout):
		assert.Fail(t, "the call still runs")
	}
}

func TestReload(t *testing.T) {
	f := newFixture(t)
	f.configure("  - codename: acme\n")
	url, _ := f.run(t)
	hangUp := func() {
		require.NoError(t, syscall.Kill(syscall.Getpid(), syscall.SIGHUP))
	}
	metric := func(want string) func() bool {
		return func() bool { return strings.Contains(get(t, url+"/metrics"), want) }
	}
	require.Eventually(t, metric(`chattonic_up{team="acme"} 1`), waitTimeout, 20*time.Millisecond)

	f.configure("  - codename: acme\n  - codename: globex\n")
	hangUp()
	require.Eventually(t, metric(`chattonic_up{team="globex"} 1`), waitTimeout, 20*time.Millisecond)
	assert.Contains(t, f.logs.String(), `msg="the configuration was reloaded" teams=2`)

	f.configure("  - codenam: initech\n")
	hangUp()
	require.Eventually(t, metric("chattonic_exporter_config_last_reload_successful 0"), waitTimeout, 20*time.Millisecond)
	assert.True(t, metric(`chattonic_up{team="globex"} 1`)(), "the last good configuration stays")
	assert.Contains(t, f.logs.String(), "exporter.yml:5: ")

	f.configure("  - codename: globex\n")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/-/reload", http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	body := get(t, url+"/metrics")
	assert.Contains(t, body, "chattonic_exporter_config_last_reload_successful 1")
	assert.NotContains(t, body, `team="acme"`)
}

func TestConfigurationThatCannotBeReadIsAnError(t *testing.T) {
	f := newFixture(t)
	broken := errors.New("exporter.yml:1: broken")
	f.Load = func() (*config.Config, error) { return nil, broken }
	require.ErrorIs(t, Run(t.Context(), f.Options), broken)
	require.ErrorIs(t, Once(t.Context(), f.Options, io.Discard), broken)

	f.Load = func() (*config.Config, error) {
		c, err := f.load()
		c.Teams[1].HTTPClient.TLSConfig.CAFile = "missing.pem" // removed after the configuration was read
		return c, err
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it would return at once
	require.ErrorContains(t, Run(ctx, f.Options), `team "globex": http_client: `)
}

func TestAddressInUseIsAnError(t *testing.T) {
	f := newFixture(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	(*f.Listen.WebListenAddresses)[0] = listener.Addr().String()
	require.EqualError(t, Run(t.Context(), f.Options), "serving HTTP: listen tcp "+listener.Addr().String()+": bind: address already in use")
}

func TestOncePrintsAScrape(t *testing.T) {
	f := newFixture(t)
	var out bytes.Buffer
	require.NoError(t, Once(t.Context(), f.Options, &out))
	assert.Contains(t, out.String(), "# TYPE chattonic_up gauge\nchattonic_up{team=\"acme\"} 1\nchattonic_up{team=\"globex\"} 1\n")
	assert.NotContains(t, out.String(), "go_goroutines")

	require.NoError(t, f.api.SetFault("globex", chattonic.EndpointDashboard, simulator.Fault{Status: http.StatusForbidden}))
	out.Reset()
	require.EqualError(t, Once(t.Context(), f.Options, &out), "API requests failed for these teams: globex: see the log")
	assert.Contains(t, out.String(), `chattonic_queries_pending{team="globex"}`)
	assert.Contains(t, f.logs.String(), "HTTP 403")
}

// full is a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestOnceReturnsWriteErrors(t *testing.T) {
	f := newFixture(t)
	require.ErrorIs(t, Once(t.Context(), f.Options, full{}), syscall.ENOSPC)
}
