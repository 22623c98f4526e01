package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/simulator"
	"chattonic_exporter/internal/usage"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is the current time of the tests.
var noon = time.Date(2021, 12, 1, 12, 0, 0, 0, time.UTC)

const secret = "s3cr3t_t0ken"

// fixture is a simulated Chat-Tonic with options for a check.
type fixture struct {
	*simulator.Server
	options Options
	out     bytes.Buffer
}

// start simulates teams with the documented answers and the team busy with
// active operators, and configures the given teams.
func start(t *testing.T, teams string) *fixture {
	t.Helper()
	var simulated []simulator.Team
	for _, codename := range []string{"acme", "beta", "gamma", "delta", "epsilon", "zeta"} {
		simulated = append(simulated, simulator.Team{Codename: codename, Token: secret, Documented: true})
	}
	simulated = append(simulated, simulator.Team{Codename: "busy", Token: secret, Operators: 12, Seed: 3})
	f := new(fixture)
	var err error
	f.Server, err = simulator.New(simulator.Options{Teams: simulated, Now: func() time.Time { return noon }})
	require.NoError(t, err)
	server := httptest.NewServer(f.Server)
	t.Cleanup(func() { f.Close(); server.Close() })
	text := "defaults: {base_url: " + server.URL + ", collectors: [operators, dashboard], http_client: {authorization: {credentials: " + secret + "}}}\nteams:\n" + teams
	f.options = Options{
		Output: outputJSON, ScrapeInterval: time.Minute, Servers: 1,
		Client: cli.Client{
			Load:           func() (*config.Config, error) { return config.Parse("teams.yml", []byte(text)) },
			RequestTimeout: 10 * time.Second, MaxBody: 1 << 20, MaxCalls: 100,
		},
		UserAgent: "test", Out: &f.out,
		Now: func() time.Time { return noon },
	}
	return f
}

// report runs the check and decodes its JSON strictly.
func (f *fixture) report(t *testing.T) (r Report, err error) {
	t.Helper()
	f.out.Reset()
	err = Run(t.Context(), f.options)
	decoder := json.NewDecoder(&f.out)
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&r))
	return r, err
}

func (f *fixture) setFault(t *testing.T, team string, e chattonic.Endpoint, fault simulator.Fault) {
	t.Helper()
	require.NoError(t, f.SetFault(team, e, fault))
}

// edited returns the documented answer of the operators endpoint with a
// change.
func edited(t *testing.T, old, changed string) simulator.Fault {
	t.Helper()
	text := string(simulator.OperatorsFixture())
	require.Contains(t, text, old)
	return simulator.Fault{Body: []byte(strings.Replace(text, old, changed, 1))}
}

const several = `
  - {codename: acme, windows: [24h, today], timezone: America/Argentina/Buenos_Aires, ttl: {dashboard: 5m}}
  - {codename: beta, windows: [1h, 24h], collectors: [operators]}
  - {codename: gamma, http_client: {authorization: {credentials: wrong}}}
  - {codename: delta}
  - {codename: busy, duration_unit: minutes}
`

func TestText(t *testing.T) {
	f := start(t, several)
	f.options.Output, f.options.Servers = outputText, 2
	load := f.options.Load
	f.options.Load = func() (*config.Config, error) { // a file is removed after it was read
		c, err := load()
		c.Teams[3].HTTPClient.TLSConfig.CAFile = "testdata/none.pem"
		return c, err
	}
	strange := edited(t, `"status": "online"`, `"status": "lunch\u001b[2J`+strings.Repeat("n", 40)+`", "shift": 1, "onlineTime2": 1, "a b": 1`)
	strange.Body = bytes.Replace(strange.Body, []byte(`"awayTime": 0,`), nil, 1)
	f.setFault(t, "beta", chattonic.EndpointOperators, strange)
	err := Run(t.Context(), f.options)
	require.EqualError(t, err, "API requests failed for these teams: gamma, delta: see the report")
	assert.Equal(t, 1, usage.ExitCode(err))
	const golden = "testdata/several.txt"
	if *update {
		require.NoError(t, os.WriteFile(golden, f.out.Bytes(), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), f.out.String(), "run go test ./internal/check -update")
	assert.NotContains(t, f.out.String(), secret)
}

func TestDocumentedAnswers(t *testing.T) {
	f := start(t, "  - {codename: acme, windows: [24h, today], timezone: America/Argentina/Buenos_Aires}\n")
	got, err := f.report(t)
	require.NoError(t, err)
	call := func(endpoint, window string, start time.Time) Call {
		return Call{
			Endpoint: endpoint, Window: window, Start: start, End: noon,
			UnknownFields: []string{}, MissingFields: []string{}, ImplausibleValues: []Implausible{},
		}
	}
	yesterday, midnight := noon.Add(-24*time.Hour), noon.Add(-9*time.Hour)
	require.Len(t, got.Teams, 1)
	for i := range got.Teams[0].Calls {
		c := &got.Teams[0].Calls[i]
		for _, at := range []time.Time{c.Start, c.End} {
			_, offset := at.Zone()
			assert.Equal(t, -3*60*60, offset, "in the team's time zone")
		}
		c.Start, c.End = c.Start.UTC(), c.End.UTC()
	}
	const series = 106
	assert.Equal(t, Report{
		ScrapeIntervalSeconds: 60, Servers: 1, CallsPerHour: 240, Series: series,
		Teams: []Team{{
			Codename: "acme", OK: true, Reachable: new(true), TokenAccepted: new(true),
			Calls: []Call{
				call("operators", "24h", yesterday), call("dashboard", "24h", yesterday),
				call("operators", "today", midnight), call("dashboard", "today", midnight),
			},
			Operators: new(2), States: []State{{"", 1}, {"online", 1}}, DashboardRows: new(1),
			DurationUnit: &DurationUnit{
				Configured: "seconds", ConfiguredPossible: true, Possible: []string{"milliseconds", "seconds", "minutes"},
				LargestField: "operators.onlineTime", LargestValue: 480, LargestWindow: "today",
			},
			Series: series, CallsPerHour: 240, CallsPerMinute: 8,
		}},
	}, got)
	for _, e := range []chattonic.Endpoint{chattonic.EndpointOperators, chattonic.EndpointDashboard} {
		assert.Equal(t, 2, f.Calls("acme", e), "once for each window")
	}
}

// everything are the names of all endpoints.
func everything() string {
	var names []string
	for _, e := range chattonic.ReadEndpoints() {
		names = append(names, string(e))
	}
	return strings.Join(names, ", ")
}

// TestSeries compares the number of series with a page of the exporter.
func TestSeries(t *testing.T) {
	page, err := os.ReadFile("../web/testdata/documented.txt")
	require.NoError(t, err)
	samples := 0
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "chattonic_") && !strings.HasPrefix(line, "chattonic_exporter_") {
			samples++
		}
	}
	require.Positive(t, samples)
	f := start(t, "  - {codename: acme, windows: [24h, this_month], collectors: ["+everything()+"], thresholds: {queries_pending: 10}, business_hours: {hours: [{days: [wednesday], from: 09:00, to: 18:00}]}}\n")
	got, err := f.report(t)
	require.NoError(t, err)
	assert.Equal(t, samples, got.Series, "with the team that the page is of")
}

func TestLinesCountsSamples(t *testing.T) {
	var l lines
	for _, part := range []string{"# HELP a A.\n# TYPE a gauge\na{b=\"#\"} 1\na{} ", "2\n", "", "#", " c\n", "b{} 1\nc{} 2\n"} {
		n, err := l.Write([]byte(part))
		require.NoError(t, err)
		assert.Equal(t, len(part), n)
	}
	assert.Equal(t, 4, l.samples)
}

func TestFailures(t *testing.T) {
	yes, no := new(true), new(false)
	for name, c := range map[string]struct {
		fault              simulator.Fault
		reachable, accepts *bool
		want               string
	}{
		"401":      {simulator.Fault{Status: 401}, yes, no, "HTTP 401, the access token was not accepted: check that it is current"},
		"403":      {simulator.Fault{Status: 403}, yes, no, "HTTP 403, the access token has no access to this team: check the token and the codename"},
		"500":      {simulator.Fault{Status: 500, Body: []byte("the body")}, yes, nil, "HTTP 500"},
		"no JSON":  {simulator.Fault{Body: []byte("?")}, yes, nil, "the answer is not valid JSON after 0 bytes"},
		"a page":   {simulator.Fault{Body: []byte("<the body>")}, yes, nil, "the answer is an HTML page, such as a login page: check the base URL and the proxy"},
		"too long": {simulator.Fault{Body: bytes.Repeat([]byte(" "), 2<<20)}, yes, nil, "the answer has more than 1048576 bytes: raise the size limit if this is expected"},
		"timeout":  {simulator.Fault{Delay: time.Hour}, no, nil, "no complete answer before the timeout"},
		"redirect": {simulator.Fault{Redirect: "http://elsewhere.example/"}, yes, nil, "redirected to another host, port or scheme, which must not receive the access token: check the base URL"},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, "  - codename: acme\n  - codename: beta\n")
			f.options.RequestTimeout = 300 * time.Millisecond
			f.setFault(t, "beta", "", c.fault)
			got, err := f.report(t)
			require.EqualError(t, err, "API requests failed for these teams: beta: see the report")
			assert.True(t, got.Teams[0].OK, "the other team")
			team := got.Teams[1]
			assert.False(t, team.OK)
			assert.Equal(t, c.reachable, team.Reachable)
			assert.Equal(t, c.accepts, team.TokenAccepted)
			require.Len(t, team.Calls, 2)
			assert.Equal(t, "requesting the operators endpoint: "+c.want, team.Calls[0].Error)
			assert.Equal(t, "requesting the dashboard endpoint: "+c.want, team.Calls[1].Error)
			assert.Nil(t, team.Operators)
			assert.Nil(t, team.States)
			assert.Nil(t, team.DashboardRows)
			assert.Nil(t, team.DurationUnit)
			assert.Equal(t, 1+2*2+2, team.Series, "up, success and duration of each endpoint, and start and end of the window")
			assert.NotContains(t, fmt.Sprint(team), "the body")
		})
	}
}

// TestSuccessTakesPrecedence checks that a successful call sets Reachable and
// TokenAccepted, whatever the order of the calls.
func TestSuccessTakesPrecedence(t *testing.T) {
	for _, failing := range []chattonic.Endpoint{chattonic.EndpointOperators, chattonic.EndpointDashboard} {
		f := start(t, "  - codename: acme\n")
		f.setFault(t, "acme", failing, simulator.Fault{Status: 401})
		got, err := f.report(t)
		require.Error(t, err)
		assert.Equal(t, new(true), got.Teams[0].Reachable)
		assert.Equal(t, new(true), got.Teams[0].TokenAccepted)
		f.options.RequestTimeout = 200 * time.Millisecond
		f.setFault(t, "acme", failing, simulator.Fault{Delay: time.Hour})
		got, err = f.report(t)
		require.Error(t, err)
		assert.Equal(t, new(true), got.Teams[0].Reachable)
	}
}

// TestNoRequest checks a team for which no request can be made.
func TestNoRequest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(secret), 0o600))
	f := start(t, fmt.Sprintf("  - {codename: acme, http_client: {authorization: {credentials_file: %q}}}\n", file))
	_, err := f.report(t)
	require.NoError(t, err)
	load := f.options.Load
	f.options.Load = func() (*config.Config, error) {
		defer func() { assert.NoError(t, os.Remove(file)) }()
		return load()
	}
	got, err := f.report(t)
	require.Error(t, err)
	assert.Nil(t, got.Teams[0].Reachable)
	assert.Nil(t, got.Teams[0].TokenAccepted)
	assert.Contains(t, got.Teams[0].Calls[0].Error, "the request could not be sent")
}

func TestContract(t *testing.T) {
	f := start(t, "  - {codename: acme, windows: [24h, 1h]}\n  - {codename: beta}\n")
	f.setFault(t, "acme", chattonic.EndpointOperators, edited(t, `"queryPending": 0`, `"queryPending": -1, "`+secret+`": 1, "total": 2`))
	f.setFault(t, "acme", chattonic.EndpointDashboard, simulator.Fault{Body: []byte(`[{"date": "0", "resolved": -3}, {"date": "1", "resolved": -4}]`)})
	got, err := f.report(t)
	require.NoError(t, err, "it is no failure")
	acme := got.Teams[0]
	for _, c := range []Call{acme.Calls[0], acme.Calls[2]} {
		assert.Equal(t, []string{"?", "total"}, c.UnknownFields, "a quoted token is not shown")
		assert.Empty(t, c.MissingFields)
		assert.Equal(t, []Implausible{{"queryPending", "is negative", 1}}, c.ImplausibleValues)
	}
	assert.Len(t, acme.Calls[1].MissingFields, 16)
	assert.Equal(t, []Implausible{{"resolved", "is negative", 2}}, acme.Calls[1].ImplausibleValues)
	assert.Equal(t, new(2), acme.DashboardRows)
	assert.Empty(t, got.Teams[1].Calls[0].UnknownFields)
}

func TestDurationUnits(t *testing.T) {
	all := []string{"milliseconds", "seconds", "minutes"}
	for name, c := range map[string]struct {
		settings, online string
		want             *DurationUnit
	}{
		"minutes":              {"", "1440", &DurationUnit{"seconds", true, all, "operators.onlineTime", 1440, "24h"}},
		"more than minutes":    {"", "1442", &DurationUnit{"seconds", true, all[:2], "operators.onlineTime", 1442, "24h"}},
		"wrong unit":           {"duration_unit: minutes", "1442", &DurationUnit{"minutes", false, all[:2], "operators.onlineTime", 1442, "24h"}},
		"milliseconds":         {"duration_unit: milliseconds", "86400000", &DurationUnit{"milliseconds", true, all[:1], "operators.onlineTime", 86400000, "24h"}},
		"none is possible":     {"", "86400002", &DurationUnit{"seconds", false, []string{}, "operators.onlineTime", 86400002, "24h"}},
		"the shorter window":   {"windows: [24h, 1h]", "70", &DurationUnit{"seconds", true, all[:2], "operators.onlineTime", 70, "1h"}},
		"nothing, not even 0s": {"", "null", nil},
	} {
		t.Run(name, func(t *testing.T) {
			settings := ""
			if c.settings != "" {
				settings = ", " + c.settings
			}
			f := start(t, "  - {codename: acme"+settings+"}\n")
			f.setFault(t, "acme", chattonic.EndpointOperators, simulator.Fault{Body: fmt.Appendf(nil, `{"operators": [{"_id": "a", "onlineTime": %s}, {"_id": "b"}]}`, c.online)})
			got, err := f.report(t)
			require.NoError(t, err)
			assert.Equal(t, c.want, got.Teams[0].DurationUnit)
		})
	}
	f := start(t, "  - {codename: acme}\n")
	f.setFault(t, "acme", chattonic.EndpointOperators, simulator.Fault{Body: []byte(`{"operators": [{"_id": "a", "onlineTime": 1, "awayTime": 3, "freeTime": 2}]}`)})
	got, err := f.report(t)
	require.NoError(t, err)
	assert.Equal(t, "operators.awayTime", got.Teams[0].DurationUnit.LargestField)
}

// TestWindowWithoutLength checks the window today at midnight.
func TestWindowWithoutLength(t *testing.T) {
	f := start(t, "  - {codename: acme, windows: [today]}\n")
	f.options.Now = func() time.Time { return time.Date(2021, 12, 1, 0, 0, 0, 0, time.UTC) }
	got, err := f.report(t)
	require.NoError(t, err)
	assert.Nil(t, got.Teams[0].DurationUnit)
}

func TestStates(t *testing.T) {
	f := start(t, "  - {codename: acme, windows: [24h, 1h]}\n")
	f.setFault(t, "acme", chattonic.EndpointOperators, simulator.Fault{Body: []byte(`{"operators": [
		{"_id": "a", "status": "online"}, {"_id": "b", "status": "lunch"}, {"_id": "c"}, {"_id": "d", "status": "online"}, {"_id": "a", "status": "lunch"}]}`)})
	got, err := f.report(t)
	require.NoError(t, err)
	assert.Equal(t, []State{{"online", 2}, {"", 1}, {"lunch", 1}}, got.Teams[0].States)
	assert.Equal(t, new(4), got.Teams[0].Operators, "a duplicate counts once")

	f.setFault(t, "acme", chattonic.EndpointOperators, simulator.Fault{Body: []byte(`{"operators": []}`)})
	got, err = f.report(t)
	require.NoError(t, err)
	assert.Equal(t, []State{}, got.Teams[0].States)
	assert.Equal(t, new(0), got.Teams[0].Operators)
}

// TestCallsPerHour compares the formula with simulated scrapes. Each makes a
// call unless an answer is younger than the ttl.
func TestCallsPerHour(t *testing.T) {
	for _, c := range []struct {
		interval, ttl time.Duration
		servers       int
		want          float64
	}{
		{time.Minute, 0, 1, 60},
		{time.Minute, 0, 3, 180},
		{15 * time.Second, 0, 1, 240},
		{time.Minute, 30 * time.Second, 1, 60},
		{time.Minute, time.Minute, 1, 60},
		{time.Minute, 61 * time.Second, 1, 30},
		{time.Minute, 5 * time.Minute, 1, 12},
		{time.Minute, 5 * time.Minute, 2, 12},
		{time.Minute, 90 * time.Second, 2, 40},
		{time.Minute, 30 * time.Second, 4, 120},
		{2 * time.Hour, 0, 1, 0.5},
	} {
		o := Options{ScrapeInterval: c.interval, Servers: c.servers}
		assert.InDelta(t, c.want, o.callsPerHour(c.ttl), 1e-9, "%+v", c)
		// The maximum over all offsets between the servers.
		const step = 5 * time.Second
		most := 0
		for shift := time.Duration(0); shift < c.interval && c.servers <= 2 && c.interval <= time.Minute; shift += step {
			calls, last := 0, -24*time.Hour
			for at := time.Duration(0); at < 100*time.Hour; at += time.Second {
				first, second := at%c.interval == 0, c.servers == 2 && at%c.interval == shift
				for _, scrapes := range []bool{first, second} {
					if scrapes && (c.ttl == 0 || at-last >= c.ttl) {
						calls, last = calls+1, at
					}
				}
			}
			most = max(most, calls)
		}
		assert.LessOrEqual(t, float64(most), 100*c.want+1, "%+v", c)
	}
}

func TestCallsPerHourOfATeam(t *testing.T) {
	f := start(t, "  - {codename: acme, windows: [24h, 1h], ttl: {operators: 2m, dashboard: 10m}}\n  - {codename: beta, collectors: [dashboard]}\n")
	f.options.Servers, f.options.ScrapeInterval = 2, 30*time.Second
	got, err := f.report(t)
	require.NoError(t, err)
	assert.InDelta(t, 2*30+2*6, got.Teams[0].CallsPerHour, 1e-9)
	assert.InDelta(t, 240, got.Teams[1].CallsPerHour, 1e-9)
	assert.InDelta(t, 72+240, got.CallsPerHour, 1e-9)
	assert.InDelta(t, 30, got.ScrapeIntervalSeconds, 0)
	assert.Equal(t, 2, got.Servers)
}

// TestCallsPerMinute compares the formula with the scrapes of one server, and has examples
// of several.
func TestCallsPerMinute(t *testing.T) {
	for _, c := range []struct {
		interval, ttl time.Duration
		servers, want int
	}{
		{time.Minute, 0, 1, 2}, // a scrape may be a little early
		{61 * time.Second, 0, 1, 1},
		{15 * time.Second, 0, 1, 5},
		{25 * time.Second, 0, 1, 3},
		{15 * time.Second, 20 * time.Second, 1, 3},
		{15 * time.Second, 30 * time.Second, 1, 3},
		{time.Minute, 5 * time.Minute, 1, 1},
		{time.Minute, 0, 3, 6},
		{time.Minute, 90 * time.Second, 2, 1},
		{10 * time.Second, 30 * time.Second, 4, 3},
	} {
		o := Options{ScrapeInterval: c.interval, Servers: c.servers}
		assert.Equal(t, c.want, o.callsPerMinute(c.ttl), "%+v", c)
		var calls []time.Duration
		for at := time.Duration(0); at < time.Hour; at += c.interval {
			if len(calls) == 0 || at-calls[len(calls)-1] >= c.ttl {
				calls = append(calls, at)
			}
		}
		most := 0
		for i, first := range calls {
			within := 0
			for _, at := range calls[i:] {
				if at-first <= time.Minute {
					within++
				}
			}
			most = max(most, within)
		}
		if c.servers == 1 {
			assert.Equal(t, c.want, most, "%+v", c)
		}
	}
}

func TestLimitOfCalls(t *testing.T) {
	f := start(t, "  - {codename: acme, max_calls_per_minute: 3}\n  - {codename: beta, max_calls_per_minute: 4}\n  - {codename: delta}\n")
	got, err := f.report(t)
	require.NoError(t, err)
	for i, limit := range []int{3, 4, 0} {
		assert.Equal(t, []int{4, limit}, []int{got.Teams[i].CallsPerMinute, got.Teams[i].MaxCallsPerMinute})
	}
	f.options.Output = outputText
	require.NoError(t, Run(t.Context(), f.options))
	assert.Equal(t, []string{
		"  API calls per minute  at most 4, and max_calls_per_minute is 3: TOO FEW, so raise it or set a ttl",
		"  API calls per minute  at most 4, and max_calls_per_minute is 4",
	}, regexp.MustCompile(`(?m)^ {2}API calls per minute.*$`).FindAllString(f.out.String(), -1))
}

// TestLatency checks the latency of a slow endpoint with the clock of the
// check.
func TestLatency(t *testing.T) {
	f := start(t, "  - codename: acme\n")
	var passed atomic.Int64 // nanoseconds
	f.options.MaxCalls = 1  // no other call runs while time passes
	f.options.Now = func() time.Time { return noon.Add(time.Duration(passed.Load())) }
	f.setFault(t, "acme", chattonic.EndpointDashboard, simulator.Fault{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		passed.Add(int64(1500 * time.Millisecond))
		_, _ = w.Write(simulator.DashboardFixture())
	})})
	got, err := f.report(t)
	require.NoError(t, err)
	assert.InDelta(t, 1.5, got.Teams[0].Calls[1].LatencySeconds, 0)
	assert.Zero(t, got.Teams[0].Calls[0].LatencySeconds)
}

// TestLatencyByTheRealClock checks the default clock.
func TestLatencyByTheRealClock(t *testing.T) {
	f := start(t, "  - codename: acme\n")
	f.options.Now = nil
	f.setFault(t, "acme", chattonic.EndpointDashboard, simulator.Fault{Delay: 50 * time.Millisecond})
	got, err := f.report(t)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, got.Teams[0].Calls[1].LatencySeconds, 0.05)
	assert.Positive(t, got.Teams[0].Calls[0].LatencySeconds)
}

// TestConcurrency counts the concurrent teams, and the concurrent calls if
// their limit is lower.
func TestConcurrency(t *testing.T) {
	for maxCalls, want := range map[int64]int64{100: maxTeams, 2: 2} {
		f := start(t, "  - codename: acme\n  - codename: beta\n  - codename: gamma\n  - codename: delta\n  - codename: epsilon\n  - codename: zeta\n")
		f.options.MaxCalls = maxCalls
		load := f.options.Load
		f.options.Load = func() (*config.Config, error) {
			c, err := load()
			for i := range c.Teams {
				c.Teams[i].Collectors = []chattonic.Endpoint{"dashboard"}
			}
			return c, err
		}
		var flying, most atomic.Int64
		release := make(chan struct{})
		reached := sync.OnceFunc(func() { // leaves time for excess calls
			time.AfterFunc(100*time.Millisecond, func() { close(release) })
		})
		f.setFault(t, "", chattonic.EndpointDashboard, simulator.Fault{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			now := flying.Add(1)
			for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
				continue
			}
			if now >= want {
				reached()
			}
			<-release
			flying.Add(-1)
			_, _ = w.Write(simulator.DashboardFixture())
		})})
		got, err := f.report(t)
		require.NoError(t, err)
		assert.Len(t, got.Teams, 6)
		assert.Equal(t, want, most.Load())
	}
}

func TestContextEndsTheCheck(t *testing.T) {
	f := start(t, "  - codename: acme\n  - codename: beta\n  - codename: gamma\n  - codename: delta\n  - codename: epsilon\n")
	f.options.RequestTimeout = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	f.setFault(t, "", "", simulator.Fault{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})})
	err := Run(ctx, f.options)
	require.EqualError(t, err, "checking the teams: context canceled before all had answered")
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1, usage.ExitCode(err))
	assert.Empty(t, f.out.String(), "no partial report")
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "teams.yml")
	require.NoError(t, os.WriteFile(file, []byte("teams: [{codename: acme, base_url: 'http://x.example', http_client: {authorization: {credentials: a}}}]\n"), 0o600))
	var out bytes.Buffer
	require.NoError(t, Config(file, &out))
	assert.Equal(t, file+" is valid, teams: 1\n", out.String())
	require.ErrorContains(t, Config(file+"x", &out), "reading the configuration file")
}

func TestAnswer(t *testing.T) {
	assert.Equal(t, []string{"yes", "no", "not known"}, []string{answer(new(true)), answer(new(false)), answer(nil)})
}

// TestTextOfFailure checks the text for a team without answers.
func TestTextOfFailure(t *testing.T) {
	f := start(t, "  - codename: acme\n")
	f.options.Output = outputText
	f.setFault(t, "acme", "", simulator.Fault{Status: 500})
	require.Error(t, Run(t.Context(), f.options))
	text := f.out.String()
	assert.Contains(t, text, "token accepted      not known\n")
	assert.NotContains(t, text, "as documented")
	assert.Contains(t, text, "All API requests succeeded for 0 of 1 teams.")

	f.setFault(t, "acme", "", simulator.Fault{})
	f.setFault(t, "acme", chattonic.EndpointOperators, simulator.Fault{Body: []byte(`{"status": true, "operators": [], "queryPending": 0}`)})
	f.out.Reset()
	require.NoError(t, Run(t.Context(), f.options))
	assert.Contains(t, f.out.String(), "  operators           0\n")
}

func TestCannotWrite(t *testing.T) {
	for _, output := range []string{outputText, outputJSON} {
		f := start(t, "  - codename: acme\n")
		f.options.Output, f.options.Out = output, brokenWriter{}
		require.EqualError(t, Run(t.Context(), f.options), "writing the report: broken pipe")
	}
}

func TestUsage(t *testing.T) {
	parse := func(args ...string) (o Options, err error) {
		app := kingpin.New("test", "")
		app.Command("serve", "").Default()
		o.Flags(app.Command("check", "").Command("teams", ""))
		_, err = cli.Parse(app, args, io.Discard)
		return o, err
	}
	limits := cli.Client{RequestTimeout: 30 * time.Second, MaxBody: 64 << 20, MaxCalls: 100}
	o, err := parse("check", "teams")
	require.NoError(t, err)
	assert.Equal(t, Options{Client: limits, Output: outputText, ScrapeInterval: time.Minute, Servers: 1}, o)
	o, err = parse("check", "teams", "--output=json", "--scrape-interval=15s", "--servers=2")
	require.NoError(t, err)
	assert.Equal(t, Options{Client: limits, Output: outputJSON, ScrapeInterval: 15 * time.Second, Servers: 2}, o)

	for _, args := range []string{
		"check teams --bogus", "check teams extra", "check teams --output=xml", "check teams --servers=many", "check teams --scrape-interval=often",
		"check teams --output", "check", "chek", "serve check", "--bogus", "serve --bogus",
	} {
		_, err := parse(strings.Fields(args)...)
		require.Error(t, err)
		assert.Equal(t, 2, usage.ExitCode(err), args)
	}
	for want, change := range map[string]func(*Options){
		"--scrape-interval must be more than 0": func(o *Options) { o.ScrapeInterval = 0 },
		"--servers must be 1 or more":           func(o *Options) { o.Servers = 0 },
	} {
		f := start(t, "  - codename: acme\n")
		change(&f.options)
		err := Run(t.Context(), f.options)
		require.EqualError(t, err, want)
		assert.Equal(t, 2, usage.ExitCode(err))
		assert.Zero(t, f.Calls("acme", chattonic.EndpointOperators))
	}
	f := start(t, "  - codenam: acme\n")
	err = Run(t.Context(), f.options)
	require.ErrorContains(t, err, "teams.yml:3: ")
	assert.Equal(t, 1, usage.ExitCode(err))
}

// TestJSONKeys checks that all keys are in lower snake case.
func TestJSONKeys(t *testing.T) {
	f := start(t, several)
	f.setFault(t, "beta", chattonic.EndpointOperators, edited(t, `"queryPending": 0`, `"queryPending": -1`))
	require.Error(t, Run(t.Context(), f.options))
	keys := regexp.MustCompile(`"([^"]+)":`).FindAllStringSubmatch(f.out.String(), -1)
	assert.Greater(t, len(keys), 100)
	for _, key := range keys {
		assert.Regexp(t, `^[a-z]+(_[a-z]+)*$`, key[1])
	}
	assert.NotContains(t, f.out.String(), secret)
}
