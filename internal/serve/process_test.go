package serve

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/simulator"
	"chattonic_exporter/internal/testkit"
)

// childConfig is the variable that makes the test binary run as an exporter
// with this configuration file.
const childConfig = "CHATTONIC_EXPORTER_TEST_CHILD"

// childProbed is the variable that removes the teams from /metrics of such an
// exporter.
const childProbed = "CHATTONIC_EXPORTER_TEST_CHILD_PROBED"

// childLoadTime is the variable with the duration of reading the
// configuration.
const childLoadTime = "CHATTONIC_EXPORTER_TEST_CHILD_LOAD_TIME"

// child runs the exporter in its own process and returns the exit code. It
// handles signals as the program does.
func child(path string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	logger, slogger, err := cli.NewLogger(os.Stderr, "info", "logfmt")
	if err != nil {
		panic(err)
	}
	loadTime, _ := time.ParseDuration(os.Getenv(childLoadTime))
	if err := Run(ctx, Options{
		Client: cli.Client{
			Load:           func() (*config.Config, error) { time.Sleep(loadTime); return config.Load(path) },
			RequestTimeout: 30 * time.Second, MaxBody: 1 << 20, MaxCalls: 100,
		},
		TimeoutOffset: 500 * time.Millisecond, TeamsOnMetrics: os.Getenv(childProbed) == "", EnableReload: true,
		Listen: loopback(), Logger: logger, Slogger: slogger,
	}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process is a child process.
type process struct {
	url  string
	logs *testkit.Buffer
	*exec.Cmd
}

// startProcess starts a child. The end of the test kills it if it still runs.
func startProcess(t *testing.T, config string, environment ...string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childConfig+"="+config, "GORACE=atexit_sleep_ms=0")
	cmd.Env = append(cmd.Env, environment...)
	return launch(t, cmd)
}

// launch starts the command of an exporter and waits until it serves.
func launch(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{logs: new(testkit.Buffer), Cmd: cmd}
	p.Stderr = p.logs
	require.NoError(t, p.Start())
	t.Cleanup(func() {
		_ = p.Process.Kill() // it can have ended
		_ = p.Wait()
	})
	require.Eventually(t, func() bool { return listening.MatchString(p.logs.String()) }, waitTimeout, 5*time.Millisecond, p.logs)
	p.url = "http://" + listening.FindStringSubmatch(p.logs.String())[1]
	return p
}

// startTeams serves an API with n teams. It returns the API, a configuration
// file and the codenames.
func startTeams(t *testing.T, n int) (api *simulator.Server, config string, codenames []string) {
	t.Helper()
	var teams []simulator.Team
	text := ""
	for i := range n {
		codename := fmt.Sprintf("team%02d", i)
		codenames = append(codenames, codename)
		teams = append(teams, simulator.Team{Codename: codename, Token: "secret", Documented: true})
		text += "  - codename: " + codename + "\n"
	}
	api, err := simulator.New(simulator.Options{Teams: teams})
	require.NoError(t, err)
	server := httptest.NewServer(api)
	t.Cleanup(func() {
		api.Close()
		server.Close()
	})
	config = filepath.Join(t.TempDir(), "exporter.yml")
	require.NoError(t, os.WriteFile(config, []byte("defaults:\n  base_url: "+server.URL+"\n  http_client: {authorization: {credentials: secret}}\nteams:\n"+text), 0o600))
	return api, config, codenames
}

// result is the result of a request.
type result struct {
	begin  time.Time
	took   time.Duration
	status int
	body   string
	err    error
}

// ask makes a request. It can be called in any goroutine.
func ask(client *http.Client, req *http.Request) (r result) {
	r.begin = time.Now()
	defer func() { r.took = time.Since(r.begin) }()
	resp, err := client.Do(req)
	if err != nil {
		r.err = err
		return r
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	r.status, r.body, r.err = resp.StatusCode, string(body), err
	return r
}

func request(t *testing.T, method, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	require.NoError(t, err)
	return req
}

// TestTermUnderLoad stops a process while one scrape of each team waits for
// the API, so that the API can count them, and other scrapes run.
func TestTermUnderLoad(t *testing.T) {
	t.Parallel()
	api, config, codenames := startTeams(t, 20)
	p := startProcess(t, config)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 50}}
	t.Cleanup(client.CloseIdleConnections)

	stop := make(chan struct{})
	var further sync.WaitGroup
	results := make(chan result, 100_000)
	first := request(t, http.MethodGet, p.url+"/probe?target="+codenames[0])
	for range 20 {
		further.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := ask(client, first)
				results <- r
				if r.err != nil {
					return
				}
			}
		})
	}
	waiting := codenames[1:]
	ending := make(chan struct{})
	end := sync.OnceFunc(func() { close(ending) })
	defer end()
	for endpoint, answer := range map[chattonic.Endpoint][]byte{
		chattonic.EndpointOperators: simulator.OperatorsFixture(), chattonic.EndpointDashboard: simulator.DashboardFixture(),
	} {
		for _, codename := range waiting {
			require.NoError(t, api.SetFault(codename, endpoint, simulator.Fault{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				<-ending
				_, _ = w.Write(answer)
			})}))
		}
	}
	answers := make(chan result, len(waiting))
	for _, codename := range waiting {
		req := request(t, http.MethodGet, p.url+"/probe?target="+codename)
		go func() { answers <- ask(client, req) }()
	}
	require.Eventually(t, func() bool {
		for _, codename := range waiting {
			if api.Calls(codename, chattonic.EndpointOperators) == 0 {
				return false
			}
		}
		return len(results) > 20
	}, waitTimeout, time.Millisecond)

	signalled := time.Now()
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	time.AfterFunc(300*time.Millisecond, end)
	require.NoError(t, p.Wait(), "it exits with 0: %s", p.logs)
	took := time.Since(signalled)
	assert.Less(t, took, waitTimeout)
	close(stop)
	further.Wait()
	close(results)

	for range waiting {
		r := <-answers
		require.NoError(t, r.err)
		assert.Equal(t, http.StatusOK, r.status)
		assert.Regexp(t, `(?m)^chattonic_up\{team="team\d+"\} 1$`, r.body, "the API answered")
	}
	answered := 0
	for r := range results {
		if r.err == nil {
			answered++
			assert.Equal(t, http.StatusOK, r.status)
			continue
		}
		// The request did not reach the exporter: there is no part of an answer.
		assert.Zero(t, r.status, r.err)
		assert.Greater(t, r.begin.Add(r.took), signalled, r.err)
	}
	t.Logf("%d scrapes in flight and %d others answered, end after %s", len(waiting), answered, took.Round(time.Millisecond))
}

// TestTermDuringReloads stops a process while scrapes wait for the API, and a
// hundred slow reloads for each other.
func TestTermDuringReloads(t *testing.T) {
	t.Parallel()
	api, config, codenames := startTeams(t, 20)
	p := startProcess(t, config, childLoadTime+"=200ms")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ending := make(chan struct{})
	end := sync.OnceFunc(func() { close(ending) })
	defer end()
	require.NoError(t, api.SetFault("", chattonic.EndpointOperators, simulator.Fault{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-ending
		_, _ = w.Write(simulator.OperatorsFixture())
	})}))
	answers := make(chan result, len(codenames))
	for _, codename := range codenames {
		req := request(t, http.MethodGet, p.url+"/probe?target="+codename)
		go func() { answers <- ask(client, req) }()
	}
	require.Eventually(t, func() bool {
		for _, codename := range codenames {
			if api.Calls(codename, chattonic.EndpointOperators) == 0 {
				return false
			}
		}
		return true
	}, waitTimeout, time.Millisecond)
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, append(text, "    delay: 1m\n"...), 0o600)) // the last team is replaced
	var reloads sync.WaitGroup
	for range 100 {
		req := request(t, http.MethodPost, p.url+"/-/reload")
		reloads.Go(func() { ask(client, req) })
	}
	for range 10 {
		require.NoError(t, p.Process.Signal(syscall.SIGHUP))
		time.Sleep(10 * time.Millisecond)
	}
	signalled := time.Now()
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	time.AfterFunc(300*time.Millisecond, end)
	require.NoError(t, p.Wait(), "it exits with 0: %s", p.logs)
	assert.Less(t, time.Since(signalled), 5*time.Second)
	for range codenames {
		r := <-answers
		require.NoError(t, r.err)
		assert.Equal(t, http.StatusOK, r.status)
		assert.Regexp(t, `(?m)^chattonic_up\{team="team\d+"\} 1$`, r.body, "the API answered")
	}
	reloads.Wait()
}

func TestKillAndStart(t *testing.T) {
	t.Parallel()
	api, config, codenames := startTeams(t, 20)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for round := range 3 {
		p := startProcess(t, config)
		r := ask(client, request(t, http.MethodGet, p.url+"/metrics"))
		require.NoError(t, r.err)
		require.Equal(t, http.StatusOK, r.status)
		for _, codename := range codenames {
			assert.Contains(t, r.body, `chattonic_up{team="`+codename+`"} 1`)
			assert.Contains(t, r.body, `chattonic_dashboard_new_users{team="`+codename+`",window="24h"} 1211`)
			assert.Contains(t, r.body, `chattonic_exporter_api_requests_total{code="200",endpoint="operators",team="`+codename+`"} 1`)
			assert.Equal(t, 2*round+1, api.Calls(codename, chattonic.EndpointOperators))
		}
		assert.NotContains(t, p.logs.String(), "level=warn")
		assert.NotContains(t, p.logs.String(), "level=error")

		// Killed during scrapes.
		require.NoError(t, api.SetFault("", chattonic.EndpointDashboard, simulator.Fault{Delay: time.Hour}))
		cut := make(chan result, 1)
		req := request(t, http.MethodGet, p.url+"/metrics")
		go func() { cut <- ask(client, req) }()
		require.Eventually(t, func() bool {
			for _, codename := range codenames {
				if api.Calls(codename, chattonic.EndpointOperators) != 2*round+2 {
					return false
				}
			}
			return true
		}, waitTimeout, time.Millisecond)
		require.NoError(t, p.Process.Kill())
		require.Error(t, p.Wait())
		require.Error(t, (<-cut).err)
		require.NoError(t, api.SetFault("", chattonic.EndpointDashboard, simulator.Fault{}))
	}
}
