package web

import (
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	kitlog "github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/simulator"
	"chattonic_exporter/internal/teams"
	"chattonic_exporter/internal/testkit"
)

const (
	// faultToken is what the teams are asked with. Faulty answers quote it
	// wherever they can.
	faultToken = "s3cr3t-token"
	// maxAnswer is the size in bytes beyond which an answer is refused.
	maxAnswer = 2 << 20
	// maxCell bounds the bytes that a cell allocates, which are more than it has
	// in use at any time: its exporter with three teams and the simulated API.
	maxCell = 16 << 20
	// quickTimeout and slowTimeout are the scrape timeouts in seconds of cells
	// that need no deadline and of those that may come to it.
	quickTimeout, slowTimeout = 60, 4
	// faultOffset is how long before its timeout a scrape is answered.
	faultOffset = 2 * time.Second
)

// fault is what can go wrong, and what is right then.
type fault struct {
	group, name string
	// meets is what the requests to the endpoint meet.
	meets func(chattonic.Endpoint) simulator.Fault
	// way is the settings of a team whose way to the API is broken, given the
	// API with and without TLS. Without meets its two endpoints would fail
	// alike, so that it is asked for one.
	way func(plain, secure *httptest.Server) string
	// cause is what the log says, as a regular expression; where it is empty,
	// the answer is read.
	cause string
	// samples are the ones that differ for having been read, without their
	// team. A value of "" is none.
	samples func(chattonic.Endpoint) samples
	// violates is the kind of fields that an answer which is read has contrary to
	// the documentation, if it has any, and violations their number.
	violates   string
	violations int
	// only is the endpoint that can meet it, or empty for both.
	only chattonic.Endpoint
	// alone faults are for one team only: they are many, or heavy, and others
	// like them are for all.
	alone bool
	// requests is how many the endpoint gets; 1 if 0. Slow ones get up to 4.
	requests int
	// allocates bounds the bytes that are allocated, where not by maxCell.
	allocates int
	// pauses faults keep the endpoint from being requested after the scrape, so that a
	// cell needs an exporter of its own.
	pauses bool
	// pausedUntil is the metric of the pause, if there is one.
	pausedUntil string
	// slow cells pause or come to their deadline, and so run in a synctest
	// bubble, or, if they need sockets, side by side.
	slow, sockets bool
}

// samples are values by metric and labels.
type samples map[string]string

// cell is a fault at an endpoint, of one team or of all.
type cell struct {
	fault    *fault
	endpoint chattonic.Endpoint
	hit      []string
}

func (c cell) String() string {
	return fmt.Sprintf("%s, %s, %s of %s", c.fault.group, c.fault.name, c.endpoint, strings.Join(c.hit, ", "))
}

// verdict collects what is wrong with a cell.
type verdict struct{ problems []string }

// Errorf notes a problem.
func (v *verdict) Errorf(format string, args ...any) {
	v.problems = append(v.problems, fmt.Sprintf(format, args...))
}

// failed notes an error, if there is one.
func (v *verdict) failed(err error) {
	if err != nil {
		v.Errorf("%v", err)
	}
}

var faultTeams = []string{"acme", "globex", "initech"}

// bench is an exporter and its API for one scrape.
type bench struct {
	api     *simulator.Server
	handler http.Handler
	logs    faultLog
	scrapes int
	close   func()
}

// faultLog is a buffer that is emptied between scrapes.
type faultLog struct {
	testkit.Buffer
	taken int
}

// take returns what was logged since it was last taken.
func (l *faultLog) take() string {
	all := l.String()
	defer func() { l.taken = len(all) }()
	return all[l.taken:]
}

// newBench starts what a cell, or without one an undisturbed scrape, needs.
func newBench(c *cell) (*bench, error) {
	b, err := newBenchAPI()
	if err != nil {
		return nil, err
	}
	now := func() time.Time { return noon }
	plain, secure := httptest.NewUnstartedServer(b.api), httptest.NewUnstartedServer(b.api)
	plain.Start()
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	if c != nil && c.fault.way != nil {
		secure.StartTLS()
	}
	own := collector.NewExporterMetrics(prometheus.NewRegistry()) // which other tests show
	f := teams.New(teams.Options{RequestTimeout: time.Minute, MaxBody: maxAnswer, MaxCalls: 100, Metrics: own, Now: now})
	b.close = func() {
		f.Close()
		b.api.Close()
		plain.Close()
		secure.Close()
	}
	if err := f.Apply(c.config(plain, secure)); err != nil {
		b.close()
		return nil, err
	}
	err = b.serve(f)
	return b, err
}

// newBenchInMemory is newBench for a synctest bubble, where the way to the API is
// not broken.
func newBenchInMemory() (*bench, error) {
	b, err := newBenchAPI()
	if err != nil {
		return nil, err
	}
	var c *cell
	f, closeTeams, err := newMemoryTeams(c.config(&httptest.Server{URL: "http://chat-tonic.example"}, nil), b.api, faultToken, 10*time.Second, func() time.Time { return noon })
	if err != nil {
		return nil, err
	}
	b.close = func() {
		b.api.Close()
		closeTeams()
	}
	err = b.serve(f)
	return b, err
}

// newBenchAPI returns a bench with its API alone.
func newBenchAPI() (b *bench, err error) {
	b = new(bench)
	var simulated []simulator.Team
	for _, codename := range faultTeams {
		simulated = append(simulated, simulator.Team{Codename: codename, Token: faultToken, Documented: true})
	}
	b.api, err = simulator.New(simulator.Options{Teams: simulated, Now: func() time.Time { return noon }})
	return b, err
}

// serve makes the handler.
func (b *bench) serve(f TeamSet) (err error) {
	b.handler, err = New(Options{
		Teams: f, Registry: prometheus.NewRegistry(), Logger: kitlog.NewLogfmtLogger(kitlog.NewSyncWriter(&b.logs)),
		ScrapeTimeout: time.Hour, TimeoutOffset: faultOffset, TeamsOnMetrics: true, Now: func() time.Time { return noon },
	})
	return err
}

// config is the teams', of whom those that are hit may have a way of their own.
func (c *cell) config(plain, secure *httptest.Server) *config.Config {
	text := "defaults: {base_url: " + plain.URL + ", collectors: [operators, dashboard], http_client: {authorization: {credentials: " + faultToken + "}}}\nteams:\n"
	for _, codename := range faultTeams {
		text += "  - codename: " + codename + "\n"
		if c == nil || c.fault.way == nil || !slices.Contains(c.hit, codename) {
			continue
		}
		text += c.fault.way(plain, secure)
		if c.fault.meets == nil {
			text += "    collectors: [" + string(c.endpoint) + "]\n"
		}
	}
	parsed, err := config.Parse("test", []byte(text))
	if err != nil {
		panic(err)
	}
	return parsed
}

// scrape returns the samples about the teams that do not differ from run to run.
func (b *bench) scrape(v *verdict, timeout int) (found samples, text string) {
	b.scrapes++
	r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	r.Header.Set(timeoutHeader, fmt.Sprint(timeout))
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	assert.Equal(v, http.StatusOK, w.Code)
	found, text = samples{}, w.Body.String()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "chattonic_") && !strings.HasPrefix(line, "chattonic_exporter_") && !strings.Contains(line, "_duration_seconds{collector") {
			at := strings.LastIndexByte(line, ' ')
			found[line[:at]] = strings.TrimSpace(line[at:])
		}
	}
	return found, text
}

// run runs a cell on an exporter of its own and says what is wrong.
func (c cell) run(undisturbed samples) *verdict {
	b, err := newBench(&c)
	if err != nil {
		return &verdict{[]string{fmt.Sprintf("no bench: %v", err)}}
	}
	defer b.close()
	return c.runOn(b, undisturbed, quickTimeout)
}

// runInMemory runs a cell in a synctest bubble, where it may pause and come to
// its deadline. It holds when that is.
func (c cell) runInMemory(t *testing.T, undisturbed samples) (v *verdict) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, err := newBenchInMemory()
		require.NoError(t, err)
		defer b.close()
		timeout := quickTimeout
		if c.fault.cause != "" {
			timeout = slowTimeout
		}
		begin, deadline := time.Now(), time.Duration(timeout)*time.Second-faultOffset
		v = c.runOn(b, undisturbed, timeout)
		if took := time.Since(begin); c.fault.cause == tooLate {
			assert.Equal(v, deadline, took)
		} else {
			assert.LessOrEqual(v, took, deadline)
		}
	})
	return v
}

// runOn runs a cell on an exporter that may have been scraped before.
func (c cell) runOn(b *bench, undisturbed samples, timeout int) *verdict {
	v := new(verdict)
	before := map[string]int{}
	for _, team := range c.hit {
		before[team] = b.api.Calls(team, c.endpoint)
	}
	if c.fault.meets != nil {
		meets := c.fault.meets(c.endpoint)
		for _, team := range c.hit {
			v.failed(b.api.SetFault(team, c.endpoint, meets))
		}
	}
	got, body := b.scrape(v, timeout)
	logged := b.logs.take()
	for _, difference := range c.want(undisturbed, b.scrapes > 1).differences(got) {
		v.Errorf("%s", difference)
	}
	assert.NotContains(v, body, faultToken)
	assert.NotContains(v, logged, faultToken)
	c.checkLog(v, logged)
	if c.fault.meets == nil {
		return v // it did not get there
	}
	for _, team := range c.hit {
		requests := b.api.Calls(team, c.endpoint) - before[team]
		if c.fault.slow {
			// Of up to four, net/http by itself repeats one on a connection
			// that turns out to be closed.
			assert.True(v, requests >= 1 && requests <= 4 || c.fault.group == "network" && requests <= 8, "%d requests", requests)
			continue
		}
		assert.Equal(v, max(1, c.fault.requests), requests, "requests")
	}
	return v
}

// checkLog wants one line for each failed API request, and otherwise only warnings about
// answers that differ from the documentation in a new way.
func (c cell) checkLog(v *verdict, text string) {
	if c.fault.violates != "" {
		warning := fmt.Sprintf(`^level=warn msg="API answer differs from the documentation.*" team=(%s) endpoint=%s fields=`, strings.Join(c.hit, "|"), c.endpoint)
		for line := range strings.Lines(text) {
			assert.Regexp(v, warning, line)
		}
		assert.LessOrEqual(v, strings.Count(text, "\n"), len(c.hit), "lines in the log: %.1000s", text)
		return
	}
	if c.fault.cause == "" {
		assert.Empty(v, text)
		return
	}
	assert.Equal(v, len(c.hit), strings.Count(text, "\n"), "lines in the log: %.1000s", text)
	for _, team := range c.hit {
		assert.Regexp(v, fmt.Sprintf(`(?m)^level=error msg="API request failed" team=%s collector=%s windows=24h err="requesting the %[2]s endpoint: .*%s`, team, c.endpoint, c.fault.cause), text)
	}
}

// checkRecovery wants one line for each endpoint that failed and succeeds again.
func (c cell) checkRecovery(v *verdict, text string) {
	if c.fault.cause == "" {
		assert.Empty(v, text)
		return
	}
	assert.Equal(v, len(c.hit), strings.Count(text, "\n"), "lines in the log: %.1000s", text)
	for _, team := range c.hit {
		assert.Contains(v, text, fmt.Sprintf("level=info msg=\"API requests succeed again\" team=%s collector=%s ", team, c.endpoint))
	}
}

// want is the samples of the undisturbed scrape with what the fault changes. An
// endpoint that answered before has a last success.
func (c cell) want(undisturbed samples, before bool) samples {
	want := maps.Clone(undisturbed)
	for _, team := range c.hit {
		other := chattonic.EndpointDashboard
		if c.endpoint == other {
			other = chattonic.EndpointOperators
		}
		if c.fault.meets == nil {
			want.drop(team, other, "last_success_timestamp_seconds", "success")
		}
		if c.fault.cause == "" {
			if c.fault.samples != nil {
				want.change(team, c.fault.samples(c.endpoint))
			}
			if c.fault.violates != "" {
				want[fmt.Sprintf(`chattonic_api_contract_violations{endpoint=%q,kind=%q,team=%q}`, c.endpoint, c.fault.violates, team)] = fmt.Sprint(c.fault.violations)
			}
			continue
		}
		if before {
			want.drop(team, c.endpoint)
		} else {
			want.drop(team, c.endpoint, "last_success_timestamp_seconds")
		}
		want[fmt.Sprintf(`chattonic_scrape_collector_success{collector=%q,team=%q,window="24h"}`, c.endpoint, team)] = "0"
		want[fmt.Sprintf(`chattonic_up{team=%q}`, team)] = "0"
		if c.fault.pausedUntil != "" {
			want[fmt.Sprintf(`chattonic_api_paused_until_timestamp_seconds{endpoint=%q,team=%q}`, c.endpoint, team)] = c.fault.pausedUntil
		}
	}
	return want
}

// drop drops what comes of an endpoint of a team, and some of what is said of it.
func (s samples) drop(team string, e chattonic.Endpoint, said ...string) {
	prefixes := map[chattonic.Endpoint][]string{
		chattonic.EndpointOperators: {"chattonic_operator_", "chattonic_queries_pending{"},
		chattonic.EndpointDashboard: {"chattonic_dashboard_"},
	}[e]
	prefixes = append(prefixes, fmt.Sprintf("chattonic_api_contract_violations{endpoint=%q", e))
	for _, name := range said {
		prefixes = append(prefixes, fmt.Sprintf("chattonic_scrape_collector_%s{collector=%q", name, e))
	}
	label := fmt.Sprintf("team=%q", team)
	maps.DeleteFunc(s, func(sample, _ string) bool {
		return strings.Contains(sample, label) &&
			slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(sample, prefix) })
	})
}

// change changes samples of a team.
func (s samples) change(team string, changes samples) {
	for sample, value := range changes {
		sample = strings.Replace(sample, "TEAM", team, 1)
		if value == "" {
			delete(s, sample)
			continue
		}
		s[sample] = value
	}
}

// differences says what got has otherwise.
func (s samples) differences(got samples) (differences []string) {
	for sample, value := range s {
		if got[sample] != value {
			differences = append(differences, fmt.Sprintf("%s is %q and should be %q", sample, got[sample], value))
		}
	}
	for sample, value := range got {
		if _, wanted := s[sample]; !wanted {
			differences = append(differences, fmt.Sprintf("%.300s is %q and should not be there", sample, value))
		}
	}
	slices.Sort(differences)
	return differences
}

// allocated returns the bytes that were ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// cells returns the cells of the faults, by how they are run.
func cells(faults []fault) (one, apart, aside, slow []cell) {
	for i := range faults {
		for _, e := range []chattonic.Endpoint{chattonic.EndpointOperators, chattonic.EndpointDashboard} {
			if faults[i].only != "" && faults[i].only != e {
				continue
			}
			hits := [][]string{{"globex"}, faultTeams}
			if faults[i].alone {
				hits = hits[:1]
			}
			for _, hit := range hits {
				c := cell{&faults[i], e, hit}
				switch {
				case c.fault.slow && c.fault.sockets:
					aside = append(aside, c)
				case c.fault.slow:
					slow = append(slow, c)
				case c.fault.group == "network", c.fault.way != nil, c.fault.pauses:
					apart = append(apart, c)
				default:
					one = append(one, c)
				}
			}
		}
	}
	return one, apart, aside, slow
}

// runApart runs cells one after the other, each on an exporter of its own.
func runApart(t *testing.T, all []cell, undisturbed samples) (verdicts []*verdict) {
	t.Helper()
	most := uint64(0)
	for _, c := range all {
		others, before := goleak.IgnoreCurrent(), allocated()
		v := c.run(undisturbed)
		most = max(most, c.checkMemory(v, before))
		v.failed(goleak.Find(others))
		verdicts = append(verdicts, v)
	}
	t.Logf("a cell of its own allocates %d KiB at most", most>>10)
	return verdicts
}

// runOnOne runs cells one after the other on one exporter, which so shows that
// it recovers.
func runOnOne(t *testing.T, all []cell, undisturbed samples) (verdicts []*verdict) {
	t.Helper()
	// Each endpoint of each team may have two connections, as one may be there
	// again before another that was begun in its place. A connection has two
	// goroutines of the exporter and one of the API, which has another for all.
	goroutines := runtime.NumGoroutine() + 2*2*3*len(faultTeams) + 1
	others, most := goleak.IgnoreCurrent(), uint64(0)
	b, err := newBench(nil)
	require.NoError(t, err)
	b.scrape(new(verdict), quickTimeout)
	for _, c := range all {
		before := allocated()
		v := c.runOn(b, undisturbed, quickTimeout)
		v.failed(b.api.SetFault("", "", simulator.Fault{}))
		most = max(most, c.checkMemory(v, before))
		b.scrape(v, quickTimeout)
		c.checkRecovery(v, b.logs.take())
		for begin := time.Now(); runtime.NumGoroutine() > goroutines && time.Since(begin) < 45*time.Second; {
			time.Sleep(time.Millisecond)
		}
		require.LessOrEqual(t, runtime.NumGoroutine(), goroutines, "goroutines after: %s", c)
		verdicts = append(verdicts, v)
	}
	b.close()
	require.NoError(t, goleak.Find(others))
	t.Logf("a cell on an exporter of all allocates %d KiB at most", most>>10)
	return verdicts
}

// checkMemory checks and returns the bytes that were allocated.
func (c cell) checkMemory(v *verdict, before uint64) uint64 {
	used := allocated() - before
	assert.LessOrEqual(v, used, uint64(max(maxCell, c.fault.allocates)), "bytes allocated")
	return used
}

// runSlow runs cells each in a synctest bubble, one after the other, and at the
// same time those side by side that need sockets. It measures all together.
func runSlow(t *testing.T, aside, bubbles []cell, undisturbed samples) []*verdict {
	t.Helper()
	verdicts, inBubbles := make([]*verdict, len(aside)), make([]*verdict, len(bubbles))
	others, before := goleak.IgnoreCurrent(), allocated()
	var running sync.WaitGroup
	for i, c := range aside {
		running.Go(func() { verdicts[i] = c.run(undisturbed) })
	}
	for i, c := range bubbles {
		inBubbles[i] = c.runInMemory(t, undisturbed)
	}
	running.Wait()
	each := (allocated() - before) / uint64(len(aside)+len(bubbles))
	assert.LessOrEqual(t, each, uint64(maxCell), "bytes allocated for each slow cell")
	require.NoError(t, goleak.Find(others))
	t.Logf("a slow cell allocates %d KiB on average", each>>10)
	return slices.Concat(verdicts, inBubbles)
}

// TestFaults holds what the exporter does about every fault of the API and of
// the way there, at each endpoint that is scraped, of one team and of all.
func TestFaults(t *testing.T) {
	v := new(verdict)
	b, err := newBench(nil)
	require.NoError(t, err)
	undisturbed, _ := b.scrape(v, quickTimeout)
	b.close()
	require.Empty(t, v.problems)
	require.Empty(t, b.logs.String())
	for _, team := range faultTeams {
		require.Equal(t, "1", undisturbed[fmt.Sprintf(`chattonic_up{team=%q}`, team)])
	}

	one, apart, aside, slow := cells(slices.Concat(statusFaults(), networkFaults(), bodyFaults(), fieldFaults(undisturbed), redirectFaults()))
	all := slices.Concat(one, apart, aside, slow)
	verdicts := slices.Concat(runOnOne(t, one, undisturbed), runApart(t, apart, undisturbed), runSlow(t, aside, slow, undisturbed))
	type count struct{ cells, failed int }
	counts, groups := map[string]*count{}, []string(nil)
	failed := 0
	for i, c := range all {
		group := c.fault.group
		if counts[group] == nil {
			counts[group], groups = new(count), append(groups, group)
		}
		counts[group].cells++
		if problems := verdicts[i].problems; len(problems) > 0 {
			counts[group].failed++
			failed++
			t.Errorf("%s:\n\t%s", c, strings.Join(problems, "\n\t"))
		}
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nfaults\tcells\tfailures\n")
	for _, group := range groups {
		fmt.Fprintf(w, "%s\t%d\t%d\n", group, counts[group].cells, counts[group].failed)
	}
	fmt.Fprintf(w, "all\t%d\t%d\n", len(verdicts), failed)
	require.NoError(t, w.Flush())
	t.Log(table.String())
}

// TestFaultsMakeOneExport holds that an NPS export is asked for once, whatever
// it meets: each request may send an e-mail.
func TestFaultsMakeOneExport(t *testing.T) {
	faults := slices.DeleteFunc(slices.Concat(statusFaults(), networkFaults(), bodyFaults(), redirectFaults()), func(f fault) bool {
		// Without a cause, a redirect to the same host is followed, as the API
		// wants it.
		return f.meets == nil || f.way != nil || f.only == chattonic.EndpointDashboard || f.group == "redirect" && f.cause == ""
	})
	var simulated []simulator.Team
	for i := range faults {
		simulated = append(simulated, simulator.Team{Codename: fmt.Sprint("team-", i), Token: faultToken, Documented: true})
	}
	window := chattonic.Window{Start: noon.Add(-time.Hour), End: noon}

	synctest.Test(t, func(t *testing.T) {
		api, err := simulator.New(simulator.Options{Teams: simulated})
		require.NoError(t, err)
		listener := testkit.NewPipes()
		closeServer := serve(listener, api)
		transport := &http.Transport{DialContext: listener.Dial}

		var running sync.WaitGroup
		for i, f := range faults {
			require.NoError(t, api.SetFault(simulated[i].Codename, chattonic.EndpointNPS, f.meets(chattonic.EndpointOperators)))
			client, err := chattonic.New("http://chat-tonic.example", simulated[i].Codename, chattonic.WithToken(faultToken), chattonic.WithHTTPClient(&http.Client{Transport: transport}), chattonic.WithMaxBody(maxAnswer))
			require.NoError(t, err)
			running.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // which leaves time for all retries
				defer cancel()
				err := client.ExportNPS(ctx, window, chattonic.UserTypeAll)
				assert.Equal(t, 1, api.Calls(simulated[i].Codename, chattonic.EndpointNPS), "%s, %s", f.group, f.name)
				if err != nil {
					assert.NotContains(t, err.Error(), faultToken)
					assert.Contains(t, err.Error(), "requesting the nps_export endpoint: ")
				}
			})
		}
		running.Wait()
		transport.CloseIdleConnections()
		api.Close()
		closeServer()
	})
}
