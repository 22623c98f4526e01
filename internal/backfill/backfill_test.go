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

// present is when the tests ask for the past.
var present = time.Date(2021, 12, 15, 12, 34, 56, 0, time.UTC)

const twoTeams = `
  - {codename: acme, windows: [24h, today], timezone: America/Argentina/Buenos_Aires, delay: 5m, duration_unit: minutes, thresholds: {queries_pending: 3}}
  - {codename: globex, windows: [today, 1h, yesterday], timezone: America/Argentina/Buenos_Aires, operator_names: false}
`

// api is a simulated API with the teams acme and globex, whose clock can be set.
type simulated struct {
	*simulator.Server
	url   string
	now   atomic.Pointer[time.Time]
	calls atomic.Int64

	mu     sync.Mutex
	before func(call int, w http.ResponseWriter) (answered bool)
}

// meet has each request meet a function, with its number from 1 on.
func (s *simulated) meet(before func(call int, w http.ResponseWriter) (answered bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

func (s *simulated) serve(w http.ResponseWriter, r *http.Request) {
	call := int(s.calls.Add(1))
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

// options ask for a day of both teams in steps of two hours, into a new folder.
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

// callsOfAStep is what twoTeams take: two endpoints, and two and three windows.
const callsOfAStep = 10

const steps = 13

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// names are the names of what is in a folder.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// unbroken is the file of a run that nothing happened to.
func unbroken(t *testing.T, o Options) string {
	t.Helper()
	o.Output, o.Resume = filepath.Join(t.TempDir(), "unbroken.om"), false
	require.NoError(t, Run(t.Context(), o))
	assert.Equal(t, []string{"unbroken.om"}, names(t, filepath.Dir(o.Output)))
	return read(t, o.Output)
}

// scraped is what a scrape shows at a moment, by a registry, without what is
// about the present.
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
	left := map[string]bool{}
	for _, m := range collector.Metrics() {
		left[m.Name] = m.Current
	}
	var page bytes.Buffer
	for _, family := range families {
		if !left[family.GetName()] {
			_, err := expfmt.MetricFamilyToOpenMetrics(&page, family)
			require.NoError(t, err)
		}
	}
	return page.String()
}

// ofTime is what a file has of a time, as a page without times.
func ofTime(file string, at time.Time) string {
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

func TestFileIsWhatScrapesWouldHaveShown(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	var out bytes.Buffer
	o.Out = &out
	before := goleak.IgnoreCurrent()
	require.NoError(t, Run(t.Context(), o))
	goleak.VerifyNone(t, before) // no connection is left
	assert.EqualValues(t, steps*callsOfAStep, s.calls.Load())

	file := read(t, o.Output)
	assert.Equal(t, 1, strings.Count(file, "# EOF\n"))
	assert.True(t, strings.HasSuffix(file, "\n# EOF\n"))
	samples := 0
	start := time.Date(2021, 12, 1, 3, 0, 0, 0, time.UTC) // midnight in Buenos Aires
	for i := range steps {
		at := start.Add(time.Duration(i) * 2 * time.Hour)
		page := scraped(t, s, at)
		require.ElementsMatch(t, strings.Split(page, "\n"), strings.Split(ofTime(file, at), "\n"), at)
		samples += strings.Count(page, "\n") - strings.Count(page, "#")
	}
	assert.Equal(t, samples, strings.Count(file, "\n")-strings.Count(file, "#"), "there are no others")
	assert.Equal(t, fmt.Sprintf("%s has %d samples. promtool tsdb create-blocks-from openmetrics makes blocks of it for Prometheus.\n", o.Output, samples), out.String())
	for _, want := range []string{
		`chattonic_operator_queries_resolved{operator_id="`, `,team="globex",window="yesterday"} `,
		`chattonic_window_end_timestamp_seconds{team="acme",window="24h"} 1.6383273e+09 1638327600` + "\n", // five minutes before
	} {
		assert.Contains(t, file, want)
	}
	for _, name := range presentMetrics() {
		assert.NotContains(t, file, name+"{")
	}
	info, err := os.Stat(o.Output)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
}

func TestWhatIsLeftOut(t *testing.T) {
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

func TestTeamsAndWindowsCanBeChosen(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	everything := unbroken(t, o)
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
		for line := range strings.Lines(unbroken(t, o)) {
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
		"what has no window is of the first, which is another one")
	assert.Equal(t, pick(func(line string) bool { return of(line, "globex", "today") || of(line, "globex", "") }), chosen([]string{"globex"}, []string{"today"}))
	assert.Equal(t, pick(func(line string) bool {
		return of(line, "acme", "today") || of(line, "globex", "today") || of(line, "globex", "")
	}), chosen([]string{"globex", "acme", "globex"}, []string{"today"}))
}

func TestWrongInput(t *testing.T) {
	s := simulate(t, nil)
	for _, c := range []struct {
		want   string
		adjust func(*Options)
	}{
		{"--output is needed: the file to write", func(o *Options) { o.Output = "" }},
		{"--start and --end are needed", func(o *Options) { o.Start = "" }},
		{"--start and --end are needed", func(o *Options) { o.End = "" }},
		{`--start "soon" is not a time: use one such as 2021-11-01 or 2021-11-01T03:00:00Z`, func(o *Options) { o.Start = "soon" }},
		{`--end "soon" is not a time: use one such as 2021-11-01 or 2021-11-01T03:00:00Z`, func(o *Options) { o.End = "soon" }},
		{"--end 2021-11-30 is before --start 2021-12-01", func(o *Options) { o.End = "2021-11-30" }},
		{"--end 2021-12-15T12:34:57Z has not come yet: use a time up to now", func(o *Options) { o.End = "2021-12-15T12:34:57Z" }},
		{"--start 2021-12-01T00:00:00.5Z has a fraction of a second: use whole seconds", func(o *Options) { o.Start = "2021-12-01T00:00:00.5Z" }},
		{"--start 1969-12-31T23:59:59Z is before 1970: use a later time", func(o *Options) { o.Start = "1969-12-31T23:59:59Z" }},
		{`--step "" is no duration of whole seconds: use one such as 5m, 1h or 1d`, func(o *Options) { o.Step = "" }},
		{`--step "0s" is no duration of whole seconds: use one such as 5m, 1h or 1d`, func(o *Options) { o.Step = "0s" }},
		{`--step "1500ms" is no duration of whole seconds: use one such as 5m, 1h or 1d`, func(o *Options) { o.Step = "1500ms" }},
		{`--step "-5m" is no duration of whole seconds: use one such as 5m, 1h or 1d`, func(o *Options) { o.Step = "-5m" }},
		{"--rate 0 is too low: use 0.001 calls a second or more", func(o *Options) { o.Rate = 0 }},
		{`--team "hooli" is not configured: use acme, globex`, func(o *Options) { o.Codenames = []string{"acme", "hooli"} }},
		{`--window "7d" is not configured: use 1h, 24h, today, yesterday`, func(o *Options) { o.Windows = []string{"today", "7d"} }},
		{`--window "1h" is not configured: use 24h, today`, func(o *Options) { o.Codenames, o.Windows = []string{"acme"}, []string{"1h"} }},
		{`--window names no window of team "acme", which has 24h, today: name one, or other teams with --team`, func(o *Options) { o.Windows = []string{"1h"} }},
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
	require.ErrorContains(t, Run(t.Context(), o), "making the working directory: mkdir "+o.Output+".partial: ")
	o.Output = filepath.Join(t.TempDir(), "past.om")
	require.NoError(t, os.WriteFile(o.Output, []byte("mine"), 0o600))
	for _, o.Resume = range []bool{false, true} {
		require.EqualError(t, Run(t.Context(), o), "--output "+o.Output+" is there already: name another file, or remove it")
	}
	assert.Equal(t, "mine", read(t, o.Output))
	o.Output = filepath.Join(o.Output, "past.om") // whose folder is a file
	require.ErrorContains(t, Run(t.Context(), o), "--output: ")
	assert.Zero(t, s.calls.Load())
}

func TestDatesMeanTheSameForAllTeams(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	c := s.config(t, "\n  - {codename: acme, timezone: America/Argentina/Buenos_Aires}\n  - {codename: globex, timezone: Asia/Tokyo}\n")
	o.Load = func() (*config.Config, error) { return c, nil }
	require.EqualError(t, Run(t.Context(), o), `--start 2021-12-01 begins at another time for team "globex" than for team "acme", which has another time zone: `+
		"use a time such as 2021-12-01T03:00:00Z, or one --team after the other")
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
	assert.EqualValues(t, callsOfAStep, s.calls.Load(), "of the last step")
	assert.Empty(t, names(t, dir))

	o = s.options(t)
	file := unbroken(t, o)
	last := 0
	size := 0
	for line := range strings.Lines(file) {
		if strings.HasSuffix(line, fmt.Sprint(" ", time.Date(2021, 12, 2, 3, 0, 0, 0, time.UTC).Unix(), "\n")) {
			last, size = last+1, size+len(line)
		}
	}
	assert.Equal(t, fmt.Sprintf(`13 steps from 2021-12-01T03:00:00Z to 2021-12-02T03:00:00Z, every 2h, of 2 teams.
130 calls to the API, which at 40 in a second take 3s or more.
About %d samples, a file of %.1f MB, and room for it twice until it is whole: counted by asking for the last step, which took 10 calls.
`, last*13, float64(size)*13/1e6), out.String())

	o.DryRun = true
	s.meet(func(_ int, w http.ResponseWriter) bool { w.WriteHeader(http.StatusUnauthorized); return true })
	require.ErrorContains(t, Run(t.Context(), o), "the access token was not accepted")
}

func TestFailingCallEndsTheRun(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	var logs bytes.Buffer
	o.Logger = log.NewLogfmtLogger(log.NewSyncWriter(&logs))
	o.Codenames, o.Windows, o.Resume = []string{"acme"}, []string{"24h"}, false
	c := s.config(t, "\n  - {codename: acme, collectors: [operators]}\n")
	o.Load = func() (*config.Config, error) { return c, nil }
	status := http.StatusInternalServerError
	fails := 1
	s.meet(func(call int, w http.ResponseWriter) bool {
		if call == fails {
			w.WriteHeader(status)
		}
		return call == fails
	})
	// Nothing is done, so nothing is left.
	require.EqualError(t, Run(t.Context(), o), `team "acme", window 24h from 2021-11-30T00:00:00Z to 2021-12-01T00:00:00Z: requesting the operators endpoint: HTTP 500`)
	assert.Empty(t, names(t, filepath.Dir(o.Output)))

	s.calls.Store(0)
	fails = 4
	want := `team "acme", window 24h from 2021-11-30T06:00:00Z to 2021-12-01T06:00:00Z: requesting the operators endpoint: HTTP 500: 3 of 13 steps are done, and --resume goes on from there`
	require.EqualError(t, Run(t.Context(), o), want)
	assert.EqualValues(t, 4, s.calls.Load(), "it is at an end")
	assert.Equal(t, []string{"past.om.partial"}, names(t, filepath.Dir(o.Output)))
	assert.NotContains(t, logs.String(), "level=error", "what is returned is not logged, too")

	// What may help is tried again by the client.
	o.Resume = true
	status, fails = http.StatusServiceUnavailable, 6
	require.NoError(t, Run(t.Context(), o))
	assert.EqualValues(t, 13+2, s.calls.Load())
}

func TestCallThatHangsIsEnded(t *testing.T) {
	s := simulate(t, nil)
	require.NoError(t, s.SetFault("globex", chattonic.EndpointDashboard, simulator.Fault{Delay: time.Hour}))
	o := s.options(t)
	// On a busy machine another call could take as long as this one may.
	c := s.config(t, "\n  - {codename: globex, windows: [1h], collectors: [dashboard]}\n")
	o.Load = func() (*config.Config, error) { return c, nil }
	o.RequestTimeout = 300 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(45*time.Second, cancel).Stop() // where nothing ends the call
	err := Run(ctx, o)
	require.ErrorContains(t, err, `team "globex", window `)
	require.ErrorContains(t, err, "requesting the dashboard endpoint: no complete answer before the timeout")
}

func TestFirstFailureEndsAStep(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	o.MaxCalls = 1
	s.meet(func(_ int, w http.ResponseWriter) bool { w.WriteHeader(http.StatusForbidden); return true })
	require.ErrorContains(t, Run(t.Context(), o), "the access token has no access to this team")
	assert.EqualValues(t, 1, s.calls.Load())
}

func TestInterrupted(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	ctx, interrupt := context.WithCancel(t.Context())
	s.meet(func(call int, _ http.ResponseWriter) bool {
		if call == 2*callsOfAStep+5 {
			interrupt()
		}
		return false
	})
	require.EqualError(t, Run(ctx, o), "interrupted: 2 of 13 steps are done, and --resume goes on from there")
	s.meet(nil)
	want := unbroken(t, o)
	o.Resume = true
	require.NoError(t, Run(t.Context(), o))
	assert.Equal(t, want, read(t, o.Output))
}

// copyDir copies the files of a folder, as they are at the moment.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
}

// A run that is killed leaves its working directory as it is at that moment.
func TestKilledAtAnyMoment(t *testing.T) {
	s := simulate(t, nil)
	const callsOfAStep = 2
	for _, every := range []time.Duration{time.Nanosecond, time.Hour} {
		o := s.options(t)
		o.Step, o.Codenames, o.Windows = "8h", []string{"acme"}, []string{"24h"}
		want := unbroken(t, o)
		o.saveEvery = every
		var kept []string
		var mu sync.Mutex
		s.calls.Store(0)
		s.meet(func(call int, _ http.ResponseWriter) bool {
			mu.Lock()
			defer mu.Unlock()
			to := filepath.Join(filepath.Dir(o.Output), fmt.Sprintf("killed-%d.partial", call))
			copyDir(t, o.Output+".partial", to)
			for _, name := range names(t, to) {
				if strings.HasSuffix(name, partSuffix) { // which it was just writing
					path := filepath.Join(to, name)
					assert.NoError(t, os.WriteFile(path, []byte(read(t, path)+"chattonic_half{"), 0o600))
				}
			}
			kept = append(kept, to)
			return false
		})
		require.NoError(t, Run(t.Context(), o))
		s.meet(nil)
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
			assert.Equal(t, again, s.calls.Load(), "what was saved is not asked again")
			assert.NoDirExists(t, dir)
		}
	}
}

func TestResumeRefuses(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	partial := o.Output + ".partial"
	o.Resume = true
	require.EqualError(t, Run(t.Context(), o), "there is no "+partial+" to go on with: leave --resume out to begin")
	assert.Empty(t, names(t, filepath.Dir(o.Output)))
	o.Resume = false
	s.meet(func(call int, w http.ResponseWriter) bool {
		if call > 2*callsOfAStep {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return call > 2*callsOfAStep
	})
	require.Error(t, Run(t.Context(), o))
	s.calls.Store(0)
	require.EqualError(t, Run(t.Context(), o), partial+" is there already, from a run that was broken off: --resume goes on with it; or remove it")
	o.Resume = true

	journalPath := filepath.Join(partial, journalName)
	journalText := read(t, journalPath)
	other := strings.Replace(strings.Replace(twoTeams, "delay: 5m", "delay: 6m", 1), "[24h, today]", "[today, 24h]", 1)
	const advice = ": use what it was begun with, or remove it and begin anew without --resume"
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
		require.EqualError(t, Run(t.Context(), o), partial+" was begun with "+c.was+", and now it is "+c.is+advice)
	}
	for text, want := range map[string]string{
		"":     "reading what was done: unexpected end of JSON input",
		"{}":   partial + ` was begun with  "", and now it is version of the exporter "`,
		"null": partial + ` was begun with  "", and now it is version of the exporter "`,
	} {
		require.NoError(t, os.WriteFile(journalPath, []byte(text), 0o600))
		require.ErrorContains(t, Run(t.Context(), o), want)
	}
	require.NoError(t, os.Remove(journalPath))
	err := Run(t.Context(), o)
	require.ErrorContains(t, err, "reading what was done: open "+journalPath)
	require.ErrorContains(t, err, ": remove "+partial+" and begin anew without --resume")
	require.NoError(t, os.WriteFile(journalPath, []byte(journalText), 0o600))

	directory, err := os.Open(partial)
	require.NoError(t, err)
	defer directory.Close()
	if runtime.GOOS == "linux" {
		require.NoError(t, lock(directory))
		require.ErrorContains(t, Run(t.Context(), o), "another run seems to be at work in "+partial+": wait for its end: ")
	}
	require.NoError(t, directory.Close())

	part := filepath.Join(partial, "chattonic_operator_info.part")
	text := read(t, part)
	require.NoError(t, os.WriteFile(part, []byte(text[1:]), 0o600))
	require.EqualError(t, Run(t.Context(), o), fmt.Sprintf("going on with what was done: %s has %d bytes, and the journal says %d: remove %s and begin anew without --resume",
		part, len(text)-1, len(text), partial))
	require.NoError(t, os.WriteFile(part, []byte(text), 0o600))
	assert.Zero(t, s.calls.Load(), "all that is seen before a call is made")

	s.meet(nil)
	require.NoError(t, Run(t.Context(), o))
	assert.Equal(t, unbroken(t, o), read(t, o.Output))
}

func TestSettingsThatCanChangeThePast(t *testing.T) {
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
	assert.NotEqual(t, described(", windows: [1h, today]"), described(", windows: [today, 1h]"), "the first window is asked for, or not")
}

func TestOutputThatComesMeanwhileIsLeft(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	s.meet(func(int, http.ResponseWriter) bool {
		assert.NoError(t, os.WriteFile(o.Output, []byte("mine"), 0o600))
		return false
	})
	require.EqualError(t, Run(t.Context(), o), "--output "+o.Output+" is there already: name another file, or remove it: all steps are done, and --resume tries again")
	assert.Equal(t, "mine", read(t, o.Output))
	require.NoError(t, os.Remove(o.Output))
	s.meet(nil)
	s.calls.Store(0)
	o.Resume = true
	require.NoError(t, Run(t.Context(), o))
	assert.Zero(t, s.calls.Load(), "nothing is asked again")
	assert.Equal(t, unbroken(t, o), read(t, o.Output))
}

func TestLimitOfCalls(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	o.Step, o.MaxCalls = "1d", 2
	var atATime, tooMany atomic.Int64
	s.meet(func(int, http.ResponseWriter) bool {
		defer atATime.Add(-1)
		if atATime.Add(1) > 2 {
			tooMany.Add(1)
		}
		time.Sleep(20 * time.Millisecond)
		return false
	})
	require.NoError(t, Run(t.Context(), o))
	assert.EqualValues(t, 20, s.calls.Load())
	assert.Zero(t, tooMany.Load())
}

// inMemory answers requests without a connection, after a while.
type inMemory struct {
	http.Handler
	after time.Duration
}

func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(m.after):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	answer := w.Result()
	answer.Request = r
	return answer, nil
}

// TestRateOfCalls holds that who waits for the rate is not too late for the
// answer.
func TestRateOfCalls(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	o.Step, o.Rate, o.MaxCalls, o.RequestTimeout = "1d", 10, 10, 600*time.Millisecond
	c, err := o.Load()
	require.NoError(t, err)
	p, err := o.plan(c)
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		a, err := newAsker(o, p)
		require.NoError(t, err)
		defer a.close()
		a.teams = nil // and those who ask in memory instead
		for _, team := range p.teams {
			client, err := chattonic.New("http://chat-tonic.example", team.Codename, chattonic.WithToken("secret"), chattonic.WithHTTPClient(&http.Client{Transport: inMemory{s, 500 * time.Millisecond}}))
			require.NoError(t, err)
			a.teams = append(a.teams, collector.NewTeam(teams.Settings(team.Team, &api{a, team.Codename, client})))
		}
		began, calls := time.Now(), atomic.Int64{}
		a.called = func() { calls.Add(1) }
		_, err = a.ask(t.Context(), p.at(0))
		require.NoError(t, err)
		assert.EqualValues(t, 10, calls.Load())
		assert.InDelta(t, 900*time.Millisecond+500*time.Millisecond, time.Since(began), float64(time.Microsecond), "the first is made at once")
	})
}

func TestSeveralRowsAreWarnedOfOnce(t *testing.T) {
	s := simulate(t, func(team *simulator.Team) { team.Buckets = true })
	o := s.options(t)
	var logs bytes.Buffer
	o.Logger, o.Codenames = log.NewLogfmtLogger(log.NewSyncWriter(&logs)), []string{"acme"}
	require.NoError(t, Run(t.Context(), o))
	assert.Equal(t, 1, strings.Count(logs.String(), "level=warn msg=\"the dashboard's answer has several rows"), logs.String())
}

// Memory must not grow with the number of steps, of which there can be a hundred
// thousand.
func TestMemoryDoesNotGrow(t *testing.T) {
	var operators []string
	for i := range 200 {
		operators = append(operators, fmt.Sprintf(`{"_id": "operator-%d", "displayName": "Operator %[1]d", "onlineTime": %[1]d, "queriesResolved": %[1]d}`, i))
	}
	body := []byte(`{"status": true, "operators": [` + strings.Join(operators, ",") + `], "queryPending": 3}`)
	const between = 25 // steps from one look to the next
	var calls int
	var heaps []uint64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls%between == 0 { // there is one call at a time
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
	perLook := info.Size() / int64(len(heaps))
	grown := int64(heaps[len(heaps)-1]) - int64(heaps[0])
	t.Logf("%d bytes of heap more after %d steps, in which %d bytes were written", grown, between*(len(heaps)-1), perLook*int64(len(heaps)-1))
	assert.Less(t, grown, perLook/4, "a small part of what a few steps write")
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
		p.called()
		p.stepped(20)
		p.end()
		assert.Equal(t, `level=info msg="asking for the past" done=10 left=100 calls=1 calls_per_second=0.1 to_go=unknown
level=info msg="asking for the past" done=20 left=90 calls=1 calls_per_second=0.1 to_go=3m0s
`, logs.String())

		var line bytes.Buffer
		p.out = &line
		p.called()
		p.end()
		assert.Equal(t, strings.Repeat("\r20 of 110 steps done, 90 left, 2 calls, 0.1 a second, 3m0s to go\x1b[K", 2)+"\n", line.String())
	})

	logs.Reset()
	require.NoError(t, Run(t.Context(), o))
	assert.NotContains(t, logs.String(), "asking for the past", "it has not taken half a minute")
	assert.Equal(t, 1e9*time.Second, seconds(1e300))
}

// What cannot be written is not spoken of in the journal.
func TestDiskThatFails(t *testing.T) {
	families := []family{newFamily("a", []byte("# HELP a A.\n# TYPE a gauge\na{} 1.0 60\n")), newFamily("b", []byte("# HELP b B.\n# TYPE b gauge\nb{} 1.0 60\n"))}
	settings := []setting{{"--step", "5m"}}
	output := filepath.Join(t.TempDir(), "past.om")
	s, err := openStore(output, settings, false)
	require.NoError(t, err)
	require.NoError(t, s.add(families))
	require.NoError(t, s.save())
	require.NoError(t, s.parts["b"].Close())
	require.ErrorContains(t, s.add(families), "writing a part of the output: ")
	require.ErrorContains(t, s.save(), "saving a part of the output: ")
	require.ErrorContains(t, s.publish(), "putting the output together: ")
	assert.NoFileExists(t, output)
	s.close()

	s, err = openStore(output, settings, true)
	require.NoError(t, err)
	assert.Equal(t, 1, s.Done)
	assert.Equal(t, 2, s.Samples)
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, journalName+".new"), 0o700))
	require.ErrorContains(t, s.save(), "saving what was done: ")
	require.NoError(t, os.Remove(filepath.Join(s.dir, journalName+".new")))
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "c.part"), 0o700))
	require.ErrorContains(t, s.add([]family{{name: "c"}}), "opening a part of the output: ")
	s.close()
	s, err = openStore(output, settings, true)
	require.NoError(t, err, "a part that the journal does not know is removed")
	require.NoError(t, s.publish())
	assert.Equal(t, "# HELP a A.\n# TYPE a gauge\na{} 1.0 60\n# HELP b B.\n# TYPE b gauge\nb{} 1.0 60\n# EOF\n", read(t, output))
	assert.Equal(t, []string{"a", "b"}, slices.Sorted(maps.Keys(s.sizes)))
	assert.Equal(t, []string{"past.om"}, names(t, filepath.Dir(output)))
}

func TestClientThatCannotBeMade(t *testing.T) {
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
