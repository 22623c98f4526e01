package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/simulator"
	"chattonic_exporter/internal/usage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// yesterday is a window whose answers no longer change.
var yesterday = func() chattonic.Window {
	end := time.Now().UTC().Truncate(24 * time.Hour)
	return chattonic.Window{Start: end.AddDate(0, 0, -1), End: end}
}()

// client makes each request on a connection of its own, so that none is left.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// parse returns the options that the arguments stand for, on a free port unless
// they name one.
func parse(t *testing.T, args ...string) (Options, error) {
	t.Helper()
	var o Options
	app := kingpin.New("chattonic_exporter", "")
	o.Flags(app.Command("simulate", ""))
	if !slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--listen-address") }) {
		args = append(args, "--listen-address=127.0.0.1:0")
	}
	_, err := cli.Parse(app, append([]string{"simulate"}, args...), io.Discard)
	return o, err
}

// output is a writer whose reader waits for what is written.
type output chan string

func (o output) Write(p []byte) (int, error) {
	o <- string(p)
	return len(p), nil
}

// running is the command at work.
type running struct {
	out, address string
	end          func()
	ended        chan error
}

// run runs the command until the test ends, and fails the test unless it ends
// in order.
func run(t *testing.T, args ...string) *running {
	t.Helper()
	o, err := parse(t, args...)
	require.NoError(t, err)
	out := make(output, 1)
	o.Out = out
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{end: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- Run(ctx, o) }()
	t.Cleanup(func() { r.stop(t) })
	select {
	case r.out = <-out:
	case err := <-r.ended:
		r.ended <- err
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		require.Fail(t, "the command does not say what it serves")
	}
	parts := regexp.MustCompile(`API: http://(\S+)\n`).FindStringSubmatch(r.out)
	require.NotNil(t, parts, r.out)
	r.address = parts[1]
	return r
}

// stop ends the command, and may be called again.
func (r *running) stop(t *testing.T) {
	t.Helper()
	r.end()
	select {
	case err := <-r.ended:
		r.ended <- err
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		require.Fail(t, "the command does not end")
	}
}

func (r *running) client(t *testing.T, codename, token string) *chattonic.Client {
	t.Helper()
	c, err := chattonic.New("http://"+r.address, codename, chattonic.WithToken(token), chattonic.WithHTTPClient(client))
	require.NoError(t, err)
	return c
}

// post switches something and returns the answer.
func (r *running) post(t *testing.T, path string, form url.Values) string {
	t.Helper()
	resp, err := client.PostForm("http://"+r.address+path, form)
	require.NoError(t, err)
	return read(t, resp)
}

func (r *running) get(t *testing.T, path string) string {
	t.Helper()
	resp, err := client.Get("http://" + r.address + path)
	require.NoError(t, err)
	return read(t, resp)
}

func read(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
	return string(body)
}

func TestRun(t *testing.T) {
	r := run(t, "--team=acme", "--team=beta", "--token=made-up", "--operators=3")
	assert.Equal(t, fmt.Sprintf(`Simulated Chat-Tonic API: http://%[1]s
Page to switch scenarios and faults: http://%[1]s/
Teams: acme, beta
Access token: made-up
`, r.address), r.out)

	for _, codename := range []string{"acme", "beta"} {
		api := r.client(t, codename, "made-up")
		operators, err := api.Operators(t.Context(), yesterday)
		require.NoError(t, err)
		assert.Len(t, operators.Operators, 3)
		dashboard, err := api.Dashboard(t.Context(), yesterday)
		require.NoError(t, err)
		require.Len(t, dashboard.Rows, 1)
		users, present := dashboard.Rows[0].NewUsers.Float64()
		assert.True(t, present)
		assert.Positive(t, users)
	}
	_, err := r.client(t, "acme", "another").Operators(t.Context(), yesterday)
	require.ErrorContains(t, err, "HTTP 401")
	_, err = r.client(t, "gamma", "made-up").Operators(t.Context(), yesterday)
	require.ErrorContains(t, err, "HTTP 404")

	r.stop(t)
	_, err = r.client(t, "acme", "made-up").Operators(t.Context(), yesterday)
	require.ErrorContains(t, err, "the connection failed")
}

func TestControl(t *testing.T) {
	r := run(t, "--team=acme", "--team=beta", "--operators=2")
	page := r.get(t, "/")
	assert.Contains(t, page, "All data is simulated")
	assert.Contains(t, page, `aria-label="backlog for acme: nobody works, and queries pile up" aria-pressed="false"`)

	assert.Equal(t, "team acme: fault 500 for endpoint operators is active\n",
		r.post(t, "/fault", url.Values{"team": {"acme"}, "endpoint": {"operators"}, "name": {"500"}}))
	for codename, want := range map[string]string{"acme": "requesting the operators endpoint: HTTP 500", "beta": ""} {
		api := r.client(t, codename, "simulated")
		_, err := api.Operators(t.Context(), yesterday)
		if want == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, want)
		}
		_, err = api.Dashboard(t.Context(), yesterday)
		require.NoError(t, err)
	}
	assert.Contains(t, r.get(t, "/"), "Active: operators (500)")
	assert.Equal(t, "all teams: fault none for all endpoints is active\n", r.post(t, "/fault", url.Values{"name": {"none"}}))
	_, err := r.client(t, "acme", "simulated").Operators(t.Context(), yesterday)
	require.NoError(t, err)

	assert.Equal(t, "team acme: scenario backlog is active\n", r.post(t, "/scenario", url.Values{"team": {"acme"}, "name": {"backlog"}}))
	assert.Eventually(t, func() bool {
		page := r.get(t, "/")
		return regexp.MustCompile(`backlog for acme[^>]* aria-pressed="true"`).MatchString(page) &&
			regexp.MustCompile(`backlog for beta[^>]* aria-pressed="false"`).MatchString(page)
	}, 10*time.Second, 100*time.Millisecond)
}

func TestScenario(t *testing.T) {
	r := run(t, "--scenario=backlog", "--operators=2")
	assert.Eventually(t, func() bool {
		return regexp.MustCompile(`backlog for acme[^>]* aria-pressed="true"`).MatchString(r.get(t, "/"))
	}, 10*time.Second, 100*time.Millisecond)
}

func TestDocumented(t *testing.T) {
	r := run(t, "--documented")
	for path, want := range map[string][]byte{
		"operator?startDate=2021-11-01T03:00:00.000Z&endDate=2021-12-01T02:55:00.000Z":                                                           simulator.OperatorsFixture(),
		"bigquery?queryName=dashboard&dateFormatGroup=%25Y-%25m-%25d%20%25H&startDate=2021-11-01T03:00:00.000Z&endDate=2021-12-01T02:55:00.000Z": simulator.DashboardFixture(),
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.address+"/api/v1/acme/stats/"+path, http.NoBody)
		require.NoError(t, err)
		for name, value := range map[string]string{"Authorization": "Bearer simulated", "Accept": "application/json", "Content-Type": "application/json"} {
			req.Header.Set(name, value)
		}
		resp, err := client.Do(req)
		require.NoError(t, err)
		assert.Equal(t, string(want), read(t, resp))
	}
}

func TestSeedAndZone(t *testing.T) {
	users := func(args ...string) string {
		r := run(t, append(args, "--team=acme", "--team=beta", "--operators=5")...)
		var all string
		for _, codename := range []string{"acme", "beta"} {
			d, err := r.client(t, codename, "simulated").Dashboard(t.Context(), yesterday)
			require.NoError(t, err)
			all += fmt.Sprint(d.Rows)
		}
		return all
	}
	first := users("--seed=7")
	assert.Equal(t, first, users("--seed=7"))
	assert.NotEqual(t, first, users("--seed=8"))
	assert.NotEqual(t, first, users("--seed=7", "--timezone=Asia/Tokyo"))
}

func TestBuckets(t *testing.T) {
	r := run(t, "--buckets", "--operators=2")
	dashboard, err := r.client(t, "acme", "simulated").Dashboard(t.Context(), yesterday)
	require.NoError(t, err)
	assert.Greater(t, len(dashboard.Rows), 1)
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ arg, want string }{
		{"--timezone=Mars/Olympus", `--timezone "Mars/Olympus" is unknown: use an IANA name such as Europe/Madrid`},
		{"--operators=0", `team "acme" cannot be simulated: it has 0 operators: use 1 to 20000`},
		{"--operators=20001", `team "acme" cannot be simulated: it has 20001 operators: use 1 to 20000`},
		{"--team=..", `team ".." cannot be simulated: the codename cannot be "..": use the one in the API's URLs`},
		{"--token=", `team "acme" cannot be simulated: the token is empty`},
	} {
		t.Run(c.arg, func(t *testing.T) {
			o, err := parse(t, c.arg)
			require.NoError(t, err)
			var out bytes.Buffer
			o.Out = &out
			err = Run(t.Context(), o)
			require.EqualError(t, err, c.want)
			assert.Equal(t, 2, usage.ExitCode(err))
			assert.Empty(t, out.String())
		})
	}
	const see = ": see chattonic_exporter simulate --help"
	_, err := parse(t, "--scenario=calm")
	require.EqualError(t, err, `--scenario "calm" is unknown: use one of normal, backlog, quiet`+see)
	_, err = parse(t, "--listen-address=nowhere")
	require.EqualError(t, err, `--listen-address "nowhere": address nowhere: missing port in address: use a value such as 127.0.0.1:10043`+see)

	o, err := parse(t)
	require.NoError(t, err)
	o.Scenario = "calm"
	require.EqualError(t, Run(t.Context(), o), `unknown scenario "calm": use one of normal, backlog, quiet`)
}

func TestAddressInUse(t *testing.T) {
	r := run(t, "--operators=1")
	o, err := parse(t, "--listen-address="+r.address)
	require.NoError(t, err)
	require.EqualError(t, Run(t.Context(), o), "serving the simulated API: listen tcp "+r.address+": bind: address already in use")
}

// TestVariables holds that each flag is a variable, too, and that none is that of
// the exporter's real token, which must not be printed.
func TestVariables(t *testing.T) {
	t.Setenv("CHATTONIC_EXPORTER_TOKEN", "a-real-one")
	t.Setenv("CHATTONIC_EXPORTER_SIMULATE_OPERATORS", "4")
	t.Setenv("CHATTONIC_EXPORTER_SIMULATE_SEED", "9")
	o, err := parse(t)
	require.NoError(t, err)
	assert.Equal(t, Options{
		Listen: "127.0.0.1:0", Codenames: []string{"acme"}, Token: "simulated", Operators: 4, Seed: 9, Timezone: "UTC", Scenario: "normal",
	}, o)
}

type brokenPipe struct{ written string }

var errPipe = errors.New("broken pipe")

func (b *brokenPipe) Write(p []byte) (int, error) {
	b.written = string(p)
	return 0, errPipe
}

func TestNobodyToTell(t *testing.T) {
	o, err := parse(t, "--operators=1")
	require.NoError(t, err)
	var out brokenPipe
	o.Out = &out
	require.ErrorIs(t, Run(t.Context(), o), errPipe)
	_, err = client.Get(regexp.MustCompile(`http://\S+`).FindString(out.written))
	require.ErrorContains(t, err, "connection refused")
}

// TestEnd ends the server while a request hangs on purpose.
func TestEnd(t *testing.T) {
	simulated, err := simulator.New(simulator.Options{Teams: demoTeams})
	require.NoError(t, err)
	require.NoError(t, simulated.SetFault("", "", simulator.Fault{Delay: time.Hour}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	listener, err := listen(ctx, "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, listener, simulated) }()
	api, err := chattonic.New("http://"+listener.Addr().String(), "sales", chattonic.WithToken(demoToken), chattonic.WithHTTPClient(client))
	require.NoError(t, err)
	hung := make(chan error, 1)
	go func() {
		_, err := api.Operators(context.WithoutCancel(ctx), yesterday)
		hung <- err
	}()
	require.Eventually(t, func() bool { return simulated.Calls("sales", chattonic.EndpointOperators) == 1 }, 5*time.Second, 5*time.Millisecond)

	begin := time.Now()
	cancel()
	require.NoError(t, <-ended)
	assert.Less(t, time.Since(begin), shutdown)
	require.ErrorContains(t, <-hung, "the connection broke before the answer was complete")
}

// TestEndOfSilentConnection ends the command while a client has connected and
// says nothing, for which it does not wait long.
func TestEndOfSilentConnection(t *testing.T) {
	r := run(t, "--operators=1")
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", r.address)
	require.NoError(t, err)
	defer conn.Close()
	r.get(t, "/") // comes after the connection, so that is accepted by now
	start := time.Now()
	r.stop(t)
	assert.Less(t, time.Since(start), shutdown+2*time.Second)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err)
	var network net.Error
	assert.False(t, errors.As(err, &network) && network.Timeout(), "the connection is still there")
}

// TestServerFails has the server end by itself, as when no more connections can
// be accepted.
func TestServerFails(t *testing.T) {
	simulated, err := simulator.New(simulator.Options{Teams: demoTeams})
	require.NoError(t, err)
	listener, err := listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	require.ErrorIs(t, serve(t.Context(), listener, simulated), net.ErrClosed)
}

func TestDemo(t *testing.T) {
	var logged bytes.Buffer
	demo, err := StartDemo(t.Context(), log.NewLogfmtLogger(&logged))
	require.NoError(t, err)
	address := demo.address
	assert.Equal(t, "level=warn msg=\"DEMO: all data is simulated, no real Chat-Tonic is asked\" switch=/simulator/\n", logged.String())
	control := httptest.NewRecorder()
	demo.Control.ServeHTTP(control, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	assert.Contains(t, control.Body.String(), "Simulated Chat-Tonic")
	assert.Regexp(t, `^127\.0\.0\.1:`, address, "the demo is for this machine alone")

	c, err := demo.Load()
	require.NoError(t, err)
	thresholds := map[string]float64{}
	for _, team := range c.Teams {
		thresholds[team.Codename] = *team.Thresholds.QueriesPending
		api, err := chattonic.New(team.BaseURL, team.Codename, chattonic.WithToken(string(team.HTTPClient.Authorization.Credentials)), chattonic.WithHTTPClient(client))
		require.NoError(t, err)
		operators, err := api.Operators(t.Context(), yesterday)
		require.NoError(t, err)
		assert.Len(t, operators.Operators, int(2**team.Thresholds.QueriesPending))
		_, err = api.Dashboard(t.Context(), yesterday)
		require.NoError(t, err)
		assert.Equal(t, []string{"24h", "1h", "today"}, windowNames(team))
	}
	assert.Equal(t, map[string]float64{"sales": 6, "support": 15, "billing": 5}, thresholds)

	demo.Close(t.Context())
	_, err = client.Get("http://" + address)
	require.ErrorContains(t, err, "connection refused")
}

func windowNames(t config.Team) (names []string) {
	for _, w := range t.Windows {
		names = append(names, w.Name())
	}
	return names
}
