package backfill

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/simulator"
	"chattonic_exporter/internal/teams"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// present is the time at which the tests run backfill.
var present = time.Date(2021, 12, 15, 12, 34, 56, 0, time.UTC)

const twoTeams = `
  - {codename: acme, windows: [24h, today], timezone: America/Argentina/Buenos_Aires, delay: 5m, duration_unit: minutes, thresholds: {queries_pending: 3}}
  - {codename: globex, windows: [today, 1h, yesterday], timezone: America/Argentina/Buenos_Aires, operator_names: false}
`

// simulated is a simulated API with the teams acme and globex and a settable clock.
type simulated struct {
	*simulator.Server
	url   string
	now   atomic.Pointer[time.Time]
	calls atomic.Int64
	empty atomic.Int64 // requests whose window has no length

	mu     sync.Mutex
	before func(call int, w http.ResponseWriter) (answered bool)
}

// intercept calls before for each request, with its number from 1 on.
func (s *simulated) intercept(before func(call int, w http.ResponseWriter) (answered bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

func (s *simulated) serve(w http.ResponseWriter, r *http.Request) {
	call := int(s.calls.Add(1))
	if q := r.URL.Query(); q.Get("startDate") >= q.Get("endDate") {
		s.empty.Add(1)
	}
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before == nil || !before(call, w) {
		s.ServeHTTP(w, r)
	}
}

func simulate(t *testing.T, adjust func(*simulator.Team)) *simulated {
	t.Helper()
	s := new(simulated)
	s.now.Store(&present)
	var teams []simulator.Team
	for i, codename := range []string{"acme", "globex"} {
		team := simulator.Team{Codename: codename, Token: "secret", Seed: uint64(i), Operators: 4 + i}
		if adjust != nil {
			adjust(&team)
		}
		teams = append(teams, team)
	}
	var err error
	s.Server, err = simulator.New(simulator.Options{Teams: teams, Now: func() time.Time { return *s.now.Load() }})
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	s.url = server.URL
	t.Cleanup(func() { s.Close(); server.Close() })
	return s
}

func (s *simulated) config(t *testing.T, teams string) *config.Config {
	t.Helper()
	c, err := config.Parse("teams.yml", []byte("defaults: {base_url: "+s.url+", collectors: [operators, dashboard], http_client: {authorization: {credentials: secret}}}\nteams:"+teams))
	require.NoError(t, err)
	return c
}

// options request one day of both teams in steps of two hours, in a new directory.
func (s *simulated) options(t *testing.T) Options {
	t.Helper()
	c := s.config(t, twoTeams)
	return Options{
		Start: "2021-12-01", End: "2021-12-02", Step: "2h", Output: filepath.Join(t.TempDir(), "past.om"), Rate: 1e6,
		Client: cli.Client{
			Load:           func() (*config.Config, error) { return c, nil },
			RequestTimeout: 10 * time.Second, MaxBody: 1 << 20, MaxCalls: 10,
		},
		UserAgent: "test",
		Logger:    log.NewNopLogger(), Out: io.Discard, Progress: io.Discard, Now: func() time.Time { return present },
	}
}

// callsOfAStep is the number of calls for twoTeams: two endpoints, and two and three
// windows.
const callsOfAStep = 10

const steps = 13

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// names returns the names of the files in a directory.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// uninterrupted returns the output of a run without failures.
func uninterrupted(t *testing.T, o Options) string {
	t.Helper()
	o.Output, o.Resume = filepath.Join(t.TempDir(), "uninterrupted.om"), false
	require.NoError(t, Run(t.Context(), o))
	assert.Equal(t, []string{"uninterrupted.om"}, names(t, filepath.Dir(o.Output)))
	return read(t, o.Output)
}

// scraped returns the page of a scrape at a given time, from a registry, without the
// metrics about the present.
func scraped(t *testing.T, s *simulated, at time.Time) string {
	t.Helper()
	s.now.Store(&at)
	f := teams.New(teams.Options{RequestTimeout: 10 * time.Second, MaxBody: 1 << 20, MaxCalls: 10, Metrics: collector.NewExporterMetrics(prometheus.NewRegistry())})
	require.NoError(t, f.Apply(s.config(t, twoTeams)))
	defer f.Close()
	teams, release := f.Teams()
	defer release()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector.New(t.Context(), log.NewNopLogger(), func() time.Time { return at }, teams...))
	families, err := registry.Gather()
	require.NoError(t, err)
	omitted := map[string]bool{}
	for _, m := range collector.Metrics() {
		omitted[m.Name] = m.Current
	}
	var page bytes.Buffer
	for _, family := range families {
		if !omitted[family.GetName()] {
			_, err := expfmt.MetricFamilyToOpenMetrics(&page, family)
			require.NoError(t, err)
		}
	}
	return page.String()
}

// samplesAt returns the lines of a file for a given time, without timestamps.
func samplesAt(file string, at time.Time) string {
	var page strings.Builder
	stamp := fmt.Sprintf(" %d\n", at.Unix())
	for line := range strings.Lines(file) {
		switch {
		case line == "# EOF\n":
		case line[0] == '#':
			page.WriteString(line)
		case strings.HasSuffix(line, stamp):
			page.WriteString(strings.TrimSuffix(line, stamp) + "\n")
		}
	}
	return page.String()
}

func withoutLines(page string, drop func(line string) bool) string {
	var kept strings.Builder
	for line := range strings.Lines(page) {
		if line[0] == '#' || !drop(line) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func TestFileEqualsScrapes(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	var out bytes.Buffer
	o.Out = &out
	before := goleak.IgnoreCurrent()
	require.NoError(t, Run(t.Context(), o))
	goleak.VerifyNone(t, before) // all connections are closed
	assert.EqualValues(t, steps*callsOfAStep-2*2, s.calls.Load(), "no calls for globex today at both midnights")
	assert.Zero(t, s.empty.Load())

	file := read(t, o.Output)
	assert.Equal(t, 1, strings.Count(file, "# EOF\n"))
	assert.True(t, strings.HasSuffix(file, "\n# EOF\n"))
	samples := 0
	start := time.Date(2021, 12, 1, 3, 0, 0, 0, time.UTC) // midnight in Buenos Aires
	for i := range steps {
		at := start.Add(time.Duration(i) * 2 * time.Hour)
		page := scraped(t, s, at)
		if i == 0 || i == steps-1 { // midnight: today has no length, which is the first window of globex
			page = withoutLines(page, func(line string) bool {
				return strings.Contains(line, `team="globex"`) && (strings.Contains(line, `window="today"`) || !strings.Contains(line, "window="))
			})
		}
		require.ElementsMatch(t, strings.Split(page, "\n"), strings.Split(samplesAt(file, at), "\n"), at)
		samples += strings.Count(page, "\n") - strings.Count(page, "#")
	}
	assert.Equal(t, samples, strings.Count(file, "\n")-strings.Count(file, "#"), "there are no other samples")
	assert.Equal(t, fmt.Sprintf("Wrote %d samples to %s. To create blocks for Prometheus, run promtool tsdb create-blocks-from openmetrics.\n", samples, o.Output), out.String())
	for _, want := range []string{
		`chattonic_operator_queries_resolved{operator_id="`, `,team="globex",window="yesterday"} `,
		`chattonic_window_end_timestamp_seconds{team="acme",window="24h"} 1.6383273e+09 1638327600` + "\n", // five minutes before
	} {
		assert.Contains(t, file, want)
	}
	for _, name := range presentMetrics() {
		assert.NotContains(t, file, name+"{")
	}
}

func TestOmittedMetrics(t *testing.T) {
	assert.Subset(t, presentMetrics(), []string{
		"chattonic_up", "chattonic_queries_pending_threshold", "chattonic_within_business_hours", "chattonic_queries_pending",
		"chattonic_operator_status", "chattonic_operator_queries_in_progress", "chattonic_operator_last_connection_timestamp_seconds",
		"chattonic_scrape_collector_success", "chattonic_scrape_collector_duration_seconds", "chattonic_scrape_collector_last_success_timestamp_seconds",
	})

	app := kingpin.New("test", "").Terminate(nil)
	o := new(Options)
	cmd := app.Command("backfill", "")
	o.Flags(cmd)
	var help bytes.Buffer
	app.UsageWriter(&help)
	_, err := app.Parse([]string{"backfill", "--help"})
	require.NoError(t, err)
	for _, name := range presentMetrics() {
		assert.Contains(t, help.String(), name)
	}
	_, err = app.Parse([]string{"backfill", "--team=acme", "--team=globex", "--window=1h"})
	require.NoError(t, err)
	assert.Equal(t, []string{"acme", "globex"}, o.Codenames)
	assert.Equal(t, []string{"1h"}, o.Windows)
	assert.Equal(t, "5m", o.Step)
	assert.InDelta(t, 5, o.Rate, 0)
}

func TestSelectTeamsAndWindows(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	everything := uninterrupted(t, o)
	pick := func(wanted func(line string) bool) (lines []string) {
		for line := range strings.Lines(everything) {
			if line[0] != '#' && wanted(line) {
				lines = append(lines, line)
			}
		}
		return lines
	}
	chosen := func(codenames, windows []string) (lines []string) {
		o := o
		o.Codenames, o.Windows = codenames, windows
		for line := range strings.Lines(uninterrupted(t, o)) {
			if line[0] != '#' {
				lines = append(lines, line)
			}
		}
		return lines
	}
	of := func(line, team, window string) bool {
		return strings.Contains(line, `team="`+team+`"`) && (strings.Contains(line, `window="`+window+`"`) || window == "" && !strings.Contains(line, "window="))
	}
	assert.Equal(t, pick(func(line string) bool { return strings.Contains(line, `team="globex"`) }), chosen([]string{"globex"}, nil))
	assert.Equal(t, pick(func(line string) bool { return of(line, "globex", "1h") }), chosen([]string{"globex"}, []string{"1h"}),
		"metrics without a window belong to the first window, which is not selected")
	assert.Equal(t, pick(func(line string) bool { return of(line, "globex", "today") || of(line, "globex", "") }), chosen([]string{"globex"}, []string{"today"}))
	assert.Equal(t, pick(func(line string) bool {
		return of(line, "acme", "today") || of(line, "globex", "today") || of(line, "globex", "")
	}), chosen([]string{"globex", "acme", "globex"}, []string{"today"}))
}

// A window without length is not requested, wherever it is in the list.
func TestEmptyWindows(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	c := s.config(t, `
  - {codename: acme, windows: [24h, today]}
  - {codename: globex, windows: [today, 24h]}
`)
	o.Load = func() (*config.Config, error) { return c, nil }
	o.Start, o.End, o.Step = "2021-11-30T23:50:00Z", "2021-12-01T00:10:00Z", "10m"
	file := uninterrupted(t, o)
	assert.EqualValues(t, 3*8-2*2, s.calls.Load())
	assert.Zero(t, s.empty.Load())
	count := func(at, series string) (n int) {
		moment, err := time.Parse(time.RFC3339, at)
		require.NoError(t, err)
		return strings.Count(samplesAt(file, moment), series)
	}
	for series, want := range map[string][3]int{ // before, at and after midnight
		`chattonic_window_end_timestamp_seconds{team="acme",window="24h"}`:     {1, 1, 1},
		`chattonic_window_end_timestamp_seconds{team="acme",window="today"}`:   {1, 0, 1},
		`chattonic_dashboard_users_all_time{team="acme"}`:                      {1, 1, 1},
		`chattonic_window_end_timestamp_seconds{team="globex",window="24h"}`:   {1, 1, 1},
		`chattonic_window_end_timestamp_seconds{team="globex",window="today"}`: {1, 0, 1},
		`chattonic_dashboard_users_all_time{team="globex"}`:                    {1, 0, 1},
	} {
		got := [3]int{count("2021-11-30T23:50:00Z", series), count("2021-12-01T00:00:00Z", series), count("2021-12-01T00:10:00Z", series)}
		assert.Equal(t, want, got, series)
	}

	var out bytes.Buffer
	o.Out, o.DryRun = &out, true
	s.calls.Store(0)
	require.NoError(t, Run(t.Context(), o))
	assert.Contains(t, out.String(), "3 steps from 2021-11-30T23:50:00Z to 2021-12-01T00:10:00Z, every 10m, for 2 teams.\n20 API calls,")
	assert.EqualValues(t, 8, s.calls.Load())
	out.Reset()
	o.Start = o.End // one step that has all windows
	require.NoError(t, Run(t.Context(), o))
	assert.Contains(t, out.String(), "8 API calls,")

	// All windows of a team, and then of all teams.
	o.DryRun, o.Start, o.End, o.Step = false, "2021-11-30", "2021-12-02", "1d"
	o.Windows, o.Codenames = []string{"today"}, []string{"acme"}
	s.calls.Store(0)
	require.EqualError(t, Run(t.Context(), o), "all windows are empty at each step, such as today at midnight: use another --start or --step, or other windows")
	assert.Zero(t, s.calls.Load())
	c = s.config(t, `
  - {codename: acme, windows: [today]}
  - {codename: globex, windows: [24h]}
`)
	o.Windows, o.Codenames = nil, nil
	assert.NotContains(t, uninterrupted(t, o), `team="acme"`)
	assert.EqualValues(t, 3*2, s.calls.Load())
	assert.Zero(t, s.empty.Load())
}

func TestWrongInput(t *testing.T) {
	s := simulate(t, nil)
	for _, c := range []struct {
		want   string
		adjust func(*Options)
	}{
		{"--output is required: name the file to write", func(o *Options) { o.Output = "" }},
		{"--start and --end are required", func(o *Options) { o.Start = "" }},
		{"--start and --end are required", func(o *Options) { o.End = "" }},
		{`--start "soon" is not a time: use one such as 2021-11-01 or 2021-11-01T03:00:00Z`, func(o *Options) { o.Start = "soon" }},
		{`--end "soon" is not a time: use one such as 2021-11-01 or 2021-11-01T03:00:00Z`, func(o *Options) { o.End = "soon" }},
		{"--end 2021-11-30 is before --start 2021-12-01", func(o *Options) { o.End = "2021-11-30" }},
		{"--end 2021-12-15T12:34:57Z is in the future: use a time up to now", func(o *Options) { o.End = "2021-12-15T12:34:57Z" }},
		{"--start 2021-12-01T00:00:00.5Z has a fraction of a second: use whole seconds", func(o *Options) { o.Start = "2021-12-01T00:00:00.5Z" }},
		{"--start 1969-12-31T23:59:59Z is before 1970: use a later time", func(o *Options) { o.Start = "1969-12-31T23:59:59Z" }},
		{`--step "" is not a duration in whole seconds: use one such as 5m, 1h or 1d`, func(o *Options) { o.Step = "" }},
		{`--step "0s" is not a duration in whole seconds: use one such as 5m, 1h or 1d`, func(o *Options) { o.Step = "0s" }},
		{`--step "1500ms" is not a duration in whole seconds: use one such as 5m, 1h or 1d`, func(o *Options) { o.Step = "1500ms" }},
		{`--step "-5m" is not a duration in whole seconds: use one such as 5m, 1h or 1d`, func(o *Options) { o.Step = "-5m" }},
		{"--rate 0 is too low: use 0.001 calls per second or more", func(o *Options) { o.Rate = 0 }},
		{`--team "hooli" is not configured: use acme, globex`, func(o *Options) { o.Codenames = []string{"acme", "hooli"} }},
		{`--window "7d" is not configured: use 1h, 24h, today, yesterday`, func(o *Options) { o.Windows = []string{"today", "7d"} }},
		{`--window "1h" is not configured: use 24h, today`, func(o *Options) { o.Codenames, o.Windows = []string{"acme"}, []string{"1h"} }},
		{`--window selects no window of team "acme", which has 24h, today: add one of these, or select other teams with --team`, func(o *Options) { o.Windows = []string{"1h"} }},
		{"there is no configuration", func(o *Options) {
			o.Load = func() (*config.Config, error) { return nil, fmt.Errorf("there is no configuration") }
		}},
	} {
		o := s.options(t)
		dir := filepath.Dir(o.Output)
		c.adjust(&o)
		require.EqualError(t, Run(t.Context(), o), c.want)
		assert.Empty(t, names(t, dir), c.want)
	}
	assert.Zero(t, s.calls.Load())

	o := s.options(t)
	o.Output = filepath.Join(t.TempDir(), "none", "past.om")
	require.ErrorContains(t, Run(t.Context(), o), "creating the working directory: mkdir "+o.Output+".partial: ")
	o.Output = filepath.Join(t.TempDir(), "past.om")
	require.NoError(t, os.WriteFile(o.Output, []byte("mine"), 0o600))
	for _, o.Resume = range []bool{false, true} {
		require.EqualError(t, Run(t.Context(), o), "--output "+o.Output+" exists: name another file, or remove it")
	}
	assert.Equal(t, "mine", read(t, o.Output))
	o.Output = filepath.Join(o.Output, "past.om") // whose directory is a file
	require.ErrorContains(t, Run(t.Context(), o), "--output: ")
	assert.Zero(t, s.calls.Load())
}

func TestDatesNeedOneTimeZone(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	c := s.config(t, "\n  - {codename: acme, timezone: America/Argentina/Buenos_Aires}\n  - {codename: globex, timezone: Asia/Tokyo}\n")
	o.Load = func() (*config.Config, error) { return c, nil }
	require.EqualError(t, Run(t.Context(), o), `--start 2021-12-01 is ambiguous: teams "acme" and "globex" have different time zones: `+
		"use a time such as 2021-12-01T03:00:00Z, or run once per time zone with --team")
	o.Codenames = []string{"globex"}
	p, err := o.plan(c)
	require.NoError(t, err)
	assert.Equal(t, time.Date(2021, 11, 30, 15, 0, 0, 0, time.UTC), p.at(0))
	o.Codenames, o.Start, o.End, o.Step = nil, "2021-12-01T00:00:00+01:00", "2021-12-01T00:59:59Z", "30m"
	p, err = o.plan(c)
	require.NoError(t, err)
	assert.Equal(t, 4, p.steps)
	assert.Equal(t, time.Date(2021, 12, 1, 0, 30, 0, 0, time.UTC), p.at(3))
}

func TestDryRun(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	dir := filepath.Dir(o.Output)
	var out bytes.Buffer
	o.DryRun, o.Output, o.Out, o.Rate = true, "", &out, 40
	require.NoError(t, Run(t.Context(), o))
	assert.EqualValues(t, callsOfAStep, s.calls.Load(), "of the last step with all windows")
	assert.Empty(t, names(t, dir))

	o = s.options(t)
	file := uninterrupted(t, o)
	last := 0
	size := 0
	for line := range strings.Lines(file) {
		if strings.HasSuffix(line, fmt.Sprint(" ", time.Date(2021, 12, 2, 1, 0, 0, 0, time.UTC).Unix(), "\n")) {
			last, size = last+1, size+len(line)
		}
	}
	assert.Equal(t, fmt.Sprintf(`13 steps from 2021-12-01T03:00:00Z to 2021-12-02T03:00:00Z, every 2h, for 2 teams.
126 API calls, which take at least 3s at 40 calls per second.
About %d samples and %.1f MB, and twice that disk space during the run. This estimate made 10 API calls for one step.
`, last*126/10, float64(size)*12.6/1e6), out.String())

	o.DryRun = true
	s.intercept(func(_ int, w http.ResponseWriter) bool { w.WriteHeader(http.StatusUnauthorized); return true })
	require.ErrorContains(t, Run(t.Context(), o), "the access token was not accepted")
}

func TestFailedCallEndsRun(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	var logs bytes.Buffer
	o.Logger = log.NewLogfmtLogger(log.NewSyncWriter(&logs))
	o.Codenames, o.Windows, o.Resume = []string{"acme"}, []string{"24h"}, false
	c := s.config(t, "\n  - {codename: acme, collectors: [operators]}\n")
	o.Load = func() (*config.Config, error) { return c, nil }
	status := http.StatusInternalServerError
	fails := 1
	s.intercept(func(call int, w http.ResponseWriter) bool {
		if call == fails {
			w.WriteHeader(status)
		}
		return call == fails
	})
	// A run that fails in the first step leaves no files.
	require.EqualError(t, Run(t.Context(), o), `team "acme", window 24h from 2021-11-30T00:00:00Z to 2021-12-01T00:00:00Z: requesting the operators endpoint: HTTP 500`)
	assert.Empty(t, names(t, filepath.Dir(o.Output)))

	s.calls.Store(0)
	fails = 4
	want := `team "acme", window 24h from 2021-11-30T06:00:00Z to 2021-12-01T06:00:00Z: requesting the operators endpoint: HTTP 500: 3 of 13 steps are done: --resume continues from there`
	require.EqualError(t, Run(t.Context(), o), want)
	assert.EqualValues(t, 4, s.calls.Load(), "no calls after the failure")
	assert.Equal(t, []string{"past.om.partial"}, names(t, filepath.Dir(o.Output)))
	assert.NotContains(t, logs.String(), "level=error", "an error is returned or logged, not both")

	o.Resume, o.MaxWait = true, time.Minute
	status, fails = http.StatusServiceUnavailable, 6
	require.NoError(t, Run(t.Context(), o))
	assert.EqualValues(t, 13+2, s.calls.Load())
}

func TestCallTimeout(t *testing.T) {
	s := simulate(t, nil)
	require.NoError(t, s.SetFault("globex", chattonic.EndpointDashboard, simulator.Fault{Delay: time.Hour}))
	o := s.options(t)
	// On a busy machine another call could take as long as this one may.
	c := s.config(t, "\n  - {codename: globex, windows: [1h], collectors: [dashboard]}\n")
	o.Load = func() (*config.Config, error) { return c, nil }
	o.RequestTimeout = 300 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(45*time.Second, cancel).Stop() // if the timeout does not work
	err := Run(ctx, o)
	require.ErrorContains(t, err, `team "globex", window `)
	require.ErrorContains(t, err, "requesting the dashboard endpoint: no complete answer before the timeout")
}

func TestFirstFailureEndsStep(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	o.MaxCalls = 1
	s.intercept(func(_ int, w http.ResponseWriter) bool { w.WriteHeader(http.StatusForbidden); return true })
	require.ErrorContains(t, Run(t.Context(), o), "the access token has no access to this team")
	assert.EqualValues(t, 1, s.calls.Load())
}

func TestInterrupted(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	ctx, interrupt := context.WithCancel(t.Context())
	s.intercept(func(call int, _ http.ResponseWriter) bool {
		if call == 2*callsOfAStep+5 {
			interrupt()
		}
		return false
	})
	require.EqualError(t, Run(ctx, o), "interrupted: 2 of 13 steps are done: --resume continues from there")
	s.intercept(nil)
	want := uninterrupted(t, o)
	o.Resume = true
	require.NoError(t, Run(t.Context(), o))
	assert.Equal(t, want, read(t, o.Output))
}

// copyDir copies the files of a directory.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
}

// A killed run leaves its working directory as it was at that time.
func TestKilledAtAnyTime(t *testing.T) {
	s := simulate(t, nil)
	const callsOfAStep = 2
	for _, every := range []time.Duration{time.Nanosecond, time.Hour} {
		o := s.options(t)
		o.Step, o.Codenames, o.Windows = "8h", []string{"acme"}, []string{"24h"}
		want := uninterrupted(t, o)
		o.saveEvery = every
		var kept []string
		var mu sync.Mutex
		s.calls.Store(0)
		s.intercept(func(call int, _ http.ResponseWriter) bool {
			mu.Lock()
			defer mu.Unlock()
			to := filepath.Join(filepath.Dir(o.Output), fmt.Sprintf("killed-%d.partial", call))
			copyDir(t, o.Output+".partial", to)
			for _, name := range names(t, to) {
				if strings.HasSuffix(name, segmentSuffix) { // with a half-written line
					path := filepath.Join(to, name)
					assert.NoError(t, os.WriteFile(path, []byte(read(t, path)+"chattonic_half{"), 0o600))
				}
			}
			kept = append(kept, to)
			return false
		})
		require.NoError(t, Run(t.Context(), o))
		s.intercept(nil)
		require.Len(t, kept, 4*callsOfAStep)
		o.Resume = true
		for i, dir := range kept {
			o.Output = strings.TrimSuffix(dir, ".partial")
			s.calls.Store(0)
			require.NoError(t, Run(t.Context(), o))
			require.Equal(t, want, read(t, o.Output), "killed at call %d", i+1)
			again := int64(4 * callsOfAStep)
			if every == time.Nanosecond {
				again -= int64(i / callsOfAStep * callsOfAStep)
			}
			assert.Equal(t, again, s.calls.Load(), "saved steps are not fetched again")
			assert.NoDirExists(t, dir)
		}
	}
}

func TestResumeRefuses(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	partial := o.Output + ".partial"
	o.Resume = true
	require.EqualError(t, Run(t.Context(), o), "there is no "+partial+" to resume: start without --resume")
	assert.Empty(t, names(t, filepath.Dir(o.Output)))
	o.Resume = false
	s.intercept(func(call int, w http.ResponseWriter) bool {
		if call > 2*callsOfAStep {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return call > 2*callsOfAStep
	})
	require.Error(t, Run(t.Context(), o))
	s.calls.Store(0)
	require.EqualError(t, Run(t.Context(), o), partial+" exists, from a run that did not finish: continue it with --resume, or remove it")
	o.Resume = true

	journalPath := filepath.Join(partial, journalName)
	journalText := read(t, journalPath)
	other := strings.Replace(strings.Replace(twoTeams, "delay: 5m", "delay: 6m", 1), "[24h, today]", "[today, 24h]", 1)
	const advice = ": use the same settings, or remove it and start again without --resume"
	for _, c := range []struct {
		was, is string
		adjust  func(*Options)
	}{
		{`--start "2021-12-01T03:00:00Z"`, `--start "2021-12-01T03:00:01Z"`, func(o *Options) { o.Start = "2021-12-01T03:00:01Z" }},
		{`--end "2021-12-02T03:00:00Z"`, `--end "2021-12-03T03:00:00Z"`, func(o *Options) { o.End = "2021-12-03" }},
		{`--step "2h"`, `--step "1h"`, func(o *Options) { o.Step = "1h" }},
		{`list of teams "acme, globex"`, `list of teams "acme"`, func(o *Options) { o.Codenames = []string{"acme"} }},
		{`windows of team "acme" "24h, today"`, `windows of team "acme" "today"`, func(o *Options) { o.Windows = []string{"today"} }},
		{`windows of team "acme" "24h, today"`, `windows of team "acme" "today, 24h"`, func(o *Options) {
			c := s.config(t, other)
			o.Load = func() (*config.Config, error) { return c, nil }
		}},
	} {
		o := o
		c.adjust(&o)
		require.EqualError(t, Run(t.Context(), o), partial+" was started with "+c.was+", not with "+c.is+advice)
	}
	for text, want := range map[string]string{
		"":     "reading the journal: unexpected end of JSON input",
		"{}":   partial + ` was started with  "", not with version of the exporter "`,
		"null": partial + ` was started with  "", not with version of the exporter "`,
	} {
		require.NoError(t, os.WriteFile(journalPath, []byte(text), 0o600))
		require.ErrorContains(t, Run(t.Context(), o), want)
	}
	require.NoError(t, os.Remove(journalPath))
	err := Run(t.Context(), o)
	require.ErrorContains(t, err, "reading the journal: open "+journalPath)
	require.ErrorContains(t, err, ": remove "+partial+" and start again without --resume")
	require.NoError(t, os.WriteFile(journalPath, []byte(journalText), 0o600))

	directory, err := os.Open(partial)
	require.NoError(t, err)
	defer directory.Close()
	if runtime.GOOS == "linux" {
		require.NoError(t, lock(directory))
		require.ErrorContains(t, Run(t.Context(), o), "locking "+partial+": another run may be using it: wait until it ends: ")
	}
	require.NoError(t, directory.Close())

	segment := filepath.Join(partial, "chattonic_operator_info.segment")
	text := read(t, segment)
	require.NoError(t, os.WriteFile(segment, []byte(text[1:]), 0o600))
	require.EqualError(t, Run(t.Context(), o), fmt.Sprintf("restoring the finished steps: %s has %d bytes, but %d in the journal: remove %s and start again without --resume",
		segment, len(text)-1, len(text), partial))
	require.NoError(t, os.WriteFile(segment, []byte(text), 0o600))
	assert.Zero(t, s.calls.Load(), "all errors come before the first call")

	s.intercept(nil)
	require.NoError(t, Run(t.Context(), o))
	assert.Equal(t, uninterrupted(t, o), read(t, o.Output))
}

func TestSettingsThatChangeSamples(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	described := func(team string) (text string) {
		p, err := o.plan(s.config(t, "\n  - {codename: acme"+team+"}\n"))
		require.NoError(t, err)
		return fmt.Sprint(p.settings)
	}
	base := described("")
	for _, matters := range []string{
		", base_url: 'http://other.example'", ", windows: [1h]", ", timezone: Africa/Abidjan", ", duration_unit: minutes",
		", date_format_group: '0'", ", delay: 1m", ", collectors: [operators]", ", operator_names: false",
	} {
		assert.NotEqual(t, base, described(matters), matters)
	}
	for _, doesNot := range []string{", http_client: {authorization: {credentials: other}}", ", thresholds: {queries_pending: 4}", ", ttl: {dashboard: 5m}"} {
		assert.Equal(t, base, described(doesNot), doesNot)
	}
	assert.NotContains(t, base, "secret")
	o.Windows = []string{"1h"}
	assert.NotEqual(t, described(", windows: [1h, today]"), described(", windows: [today, 1h]"), "the first window is selected or not")
}

func TestOutputCreatedDuringRunIsKept(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	s.intercept(func(int, http.ResponseWriter) bool {
		assert.NoError(t, os.WriteFile(o.Output, []byte("mine"), 0o600))
		return false
	})
	require.EqualError(t, Run(t.Context(), o), "--output "+o.Output+" was created during the run: move it away, then run again with --resume: all steps are done")
	assert.Equal(t, "mine", read(t, o.Output))
	require.NoError(t, os.Remove(o.Output))
	s.intercept(nil)
	s.calls.Store(0)
	o.Resume = true
	require.NoError(t, Run(t.Context(), o))
	assert.Zero(t, s.calls.Load(), "no step is fetched again")
	assert.Equal(t, uninterrupted(t, o), read(t, o.Output))
}

func TestLimitOfCalls(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	o.Step, o.MaxCalls = "1d", 2
	var concurrent, tooMany atomic.Int64
	s.intercept(func(int, http.ResponseWriter) bool {
		defer concurrent.Add(-1)
		if concurrent.Add(1) > 2 {
			tooMany.Add(1)
		}
		time.Sleep(20 * time.Millisecond)
		return false
	})
	require.NoError(t, Run(t.Context(), o))
	assert.EqualValues(t, 2*(callsOfAStep-2), s.calls.Load())
	assert.Zero(t, tooMany.Load())
}

// inMemory answers requests without a connection, after a delay.
type inMemory struct {
	http.Handler
	delay time.Duration
}

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(m.delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	answer := w.Result()
	answer.Request = r
	return answer, nil
}

// newTestFetcher returns a fetcher whose teams use a transport.
func newTestFetcher(t *testing.T, o Options, p *plan, transport http.RoundTripper) *fetcher {
	t.Helper()
	f, err := newFetcher(o, p)
	require.NoError(t, err)
	t.Cleanup(f.close)
	for i, team := range p.teams {
		client, err := chattonic.New("http://chat-tonic.example", team.Codename, chattonic.WithToken("secret"), chattonic.WithHTTPClient(&http.Client{Transport: transport}))
		require.NoError(t, err)
		f.teams[i] = collector.NewTeam(teams.Settings(team.Team, &api{f, team.Codename, client}))
	}
	return f
}

// The time that a call waits for the rate limit does not count towards its timeout.
func TestRateOfCalls(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	o.Rate, o.MaxCalls, o.RequestTimeout = 10, 10, 600*time.Millisecond
	c, err := o.Load()
	require.NoError(t, err)
	p, err := o.plan(c)
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		f := newTestFetcher(t, o, p, inMemory{s, 500 * time.Millisecond})
		start, calls := time.Now(), atomic.Int64{}
		f.called = func() { calls.Add(1) }
		_, err = f.fetch(t.Context(), p.at(1))
		require.NoError(t, err)
		assert.EqualValues(t, 10, calls.Load())
		assert.InDelta(t, 900*time.Millisecond+500*time.Millisecond, time.Since(start), float64(time.Microsecond), "the first call does not wait")
	})
}

func TestSeveralRowsAreLoggedOnce(t *testing.T) {
	s := simulate(t, func(team *simulator.Team) { team.Buckets = true })
	o := s.options(t)
	var logs bytes.Buffer
	o.Logger, o.Codenames = log.NewLogfmtLogger(log.NewSyncWriter(&logs)), []string{"acme"}
	require.NoError(t, Run(t.Context(), o))
	assert.Equal(t, 1, strings.Count(logs.String(), "level=warn msg=\"the dashboard's answer has several rows"), logs.String())
}

// Memory must not grow with the number of steps: a year in steps of five minutes has
// a hundred thousand.
func TestMemoryDoesNotGrow(t *testing.T) {
	var operators []string
	for i := range 200 {
		operators = append(operators, fmt.Sprintf(`{"_id": "operator-%d", "displayName": "Operator %[1]d", "onlineTime": %[1]d, "queriesResolved": %[1]d}`, i))
	}
	body := []byte(`{"status": true, "operators": [` + strings.Join(operators, ",") + `], "queryPending": 3}`)
	const between = 25 // steps from one measurement to the next
	var calls int
	var heaps []uint64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls%between == 0 { // calls are sequential
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			heaps = append(heaps, m.HeapAlloc)
		}
		_, _ = w.Write(body)
	}))
	defer server.Close()
	s := &simulated{url: server.URL}
	o := s.options(t)
	c := s.config(t, "\n  - {codename: acme, collectors: [operators]}\n")
	o.Load = func() (*config.Config, error) { return c, nil }
	o.Step = "10m"
	require.NoError(t, Run(t.Context(), o))
	require.Len(t, heaps, 145/between)
	info, err := os.Stat(o.Output)
	require.NoError(t, err)
	perMeasurement := info.Size() / int64(len(heaps))
	grown := int64(heaps[len(heaps)-1]) - int64(heaps[0])
	t.Logf("the heap grew by %d bytes in %d steps, which wrote %d bytes", grown, between*(len(heaps)-1), perMeasurement*int64(len(heaps)-1))
	assert.Less(t, grown, perMeasurement/4, "less than the output of a few steps")
}

func TestProgress(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	var logs bytes.Buffer
	o.Logger = log.NewLogfmtLogger(log.NewSyncWriter(&logs))
	synctest.Test(t, func(t *testing.T) {
		p := newProgress(&o, 10, 110)
		p.every = 0
		time.Sleep(20 * time.Second)
		p.callDone()
		p.stepDone(20)
		p.end()
		assert.Equal(t, `level=info msg="backfill progress" steps_done=10 steps_left=100 calls=1 calls_per_second=0.1 remaining=unknown
level=info msg="backfill progress" steps_done=20 steps_left=90 calls=1 calls_per_second=0.1 remaining=3m0s
`, logs.String())

		var line bytes.Buffer
		p.out = &line
		p.callDone()
		p.end()
		assert.Equal(t, strings.Repeat("\r20 of 110 steps done, 90 left, 2 calls, 0.1 per second, remaining time 3m0s\x1b[K", 2)+"\n", line.String())
	})

	logs.Reset()
	require.NoError(t, Run(t.Context(), o))
	assert.NotContains(t, logs.String(), "backfill progress", "the run was shorter than the log interval")
	assert.Equal(t, 1e9*time.Second, seconds(1e300))
}

// The journal does not list data that could not be written.
func TestDiskFailure(t *testing.T) {
	families := []family{newFamily("a", []byte("# HELP a A.\n# TYPE a gauge\na{} 1.0 60\n")), newFamily("b", []byte("# HELP b B.\n# TYPE b gauge\nb{} 1.0 60\n"))}
	settings := []setting{{"--step", "5m"}}
	output := filepath.Join(t.TempDir(), "past.om")
	s, err := openWorkDir(output, settings, false)
	require.NoError(t, err)
	require.NoError(t, s.add(families))
	require.NoError(t, s.save())
	require.NoError(t, s.segments["b"].Close())
	require.ErrorContains(t, s.add(families), "writing a segment: ")
	require.ErrorContains(t, s.save(), "saving a segment: ")
	require.ErrorContains(t, s.publish(), "assembling the output: ")
	assert.NoFileExists(t, output)
	s.close()

	s, err = openWorkDir(output, settings, true)
	require.NoError(t, err)
	assert.Equal(t, 1, s.Done)
	assert.Equal(t, 2, s.Samples)
	require.NoError(t, os.MkdirAll(filepath.Join(s.dir, journalName+".new", "file"), 0o700))
	require.ErrorContains(t, s.save(), "saving the journal: ")
	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, journalName+".new")))
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "c.segment"), 0o700))
	require.ErrorContains(t, s.add([]family{{name: "c"}}), "opening a segment: ")
	s.close()
	s, err = openWorkDir(output, settings, true)
	require.NoError(t, err, "a segment that is not in the journal is removed")
	require.NoError(t, s.publish())
	assert.Equal(t, "# HELP a A.\n# TYPE a gauge\na{} 1.0 60\n# HELP b B.\n# TYPE b gauge\nb{} 1.0 60\n# EOF\n", read(t, output))
	assert.Equal(t, []string{"a", "b"}, slices.Sorted(maps.Keys(s.sizes)))
	assert.Equal(t, []string{"past.om"}, names(t, filepath.Dir(output)))
}

func TestInvalidClient(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	c := s.config(t, twoTeams)
	c.Teams[1].HTTPClient.Authorization = nil
	c.Teams[1].HTTPClient.TLSConfig.CAFile = filepath.Join(t.TempDir(), "none")
	o.Load = func() (*config.Config, error) { return c, nil }
	require.ErrorContains(t, Run(t.Context(), o), `team "globex": http_client: `)
	assert.Zero(t, s.Calls("acme", chattonic.EndpointOperators))
	assert.Empty(t, names(t, filepath.Dir(o.Output)))
}
