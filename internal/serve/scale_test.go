package serve

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/simulator"
)

var (
	scaleProgram   = flag.String("scale", "", "the built exporter to measure with many teams; without it a few teams are scraped for a moment, and nothing is measured")
	scaleTeams     = flag.String("scale.teams", "1000", "numbers of teams to measure, such as 100,1000")
	scaleOperators = flag.String("scale.operators", "20", "numbers of operators of a team to measure")
	scaleWindows   = flag.String("scale.windows", "1", "numbers of windows of a team to measure")
	scaleMemory    = flag.String("scale.memory", "off", "GOMEMLIMIT of the exporter, such as 120MiB")
	scaleTime      = flag.Duration("scale.time", time.Minute, "how long the teams are scraped at the interval, and a sixth of that at full speed")
)

const (
	// scaleInterval is the scrape interval of Prometheus.
	scaleInterval = time.Minute
	// scaleScrapers is the number of concurrent scrapes at full speed.
	scaleScrapers = 8
	// crews is the number of teams with different answers. Further teams have the
	// same answers.
	crews = 20
	// Limits for scaleTeamsMost teams of scaleOperatorsMost operators and one
	// window at the interval: a share of a core, and bytes.
	scaleTeamsMost, scaleOperatorsMost = 1000, 20
	shareMost, memoryMost              = 0.2, 250 << 20
)

// scaleSetting is one setting of the measurement.
type scaleSetting struct {
	teams, operators, windows int
	interval, time            time.Duration
}

func (s scaleSetting) String() string {
	return fmt.Sprintf("%d teams × %d operators × %d windows", s.teams, s.operators, s.windows)
}

func scaleTeam(i int) string { return fmt.Sprintf("team%05d", i) }

// scaleAPI replays answers of a simulated API, so that it uses little CPU.
// Each team has its own token.
type scaleAPI struct {
	answers [crews]map[string][]byte // by the last element of the path
	calls   atomic.Int64
}

func newScaleAPI(t *testing.T, operators int) *scaleAPI {
	t.Helper()
	var teams []simulator.Team
	for i := range crews {
		teams = append(teams, simulator.Team{Codename: scaleTeam(i), Token: "secret", Operators: operators})
	}
	noon := time.Date(2021, 12, 1, 12, 0, 0, 0, time.UTC)
	simulated, err := simulator.New(simulator.Options{Teams: teams, Now: func() time.Time { return noon }})
	require.NoError(t, err)
	defer simulated.Close()
	a := new(scaleAPI)
	for i := range crews {
		a.answers[i] = map[string][]byte{}
		for endpoint, query := range map[string]string{"operator": "", "bigquery": "queryName=dashboard&dateFormatGroup=%25Y-%25m-%25d%20%25H&"} {
			req := httptest.NewRequest(http.MethodGet, "/api/v1/"+scaleTeam(i)+"/stats/"+endpoint+"?"+query+"startDate=2021-11-30T12:00:00.000Z&endDate=2021-12-01T12:00:00.000Z", http.NoBody)
			req.Header = http.Header{"Authorization": {"Bearer secret"}, "Accept": {"application/json"}, "Content-Type": {"application/json"}}
			w := httptest.NewRecorder()
			simulated.ServeHTTP(w, req)
			require.Equal(t, http.StatusOK, w.Code, w.Body)
			a.answers[i][endpoint] = w.Body.Bytes()
		}
	}
	return a
}

func (a *scaleAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.calls.Add(1)
	parts := strings.Split(r.URL.Path, "/") // /api/v1/{codename}/stats/{endpoint}
	number, err := strconv.Atoi(strings.TrimPrefix(parts[3], "team"))
	if err != nil || r.Header.Get("Authorization") != "Bearer token-of-"+parts[3] {
		http.Error(w, "unknown team or token", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(a.answers[number%crews][parts[5]])
}

// scaleTest is an exporter in its own process, an API and a scraper.
type scaleTest struct {
	scaleSetting
	api     *scaleAPI
	config  string
	env     []string
	process *process
	client  *http.Client

	mu   sync.Mutex
	done []time.Duration
	fail []error
	page []byte // a scraped page
	sent int    // its bytes on the wire
	own  result // the last scrape of the exporter's own metrics
}

func newScaleTest(t *testing.T, s scaleSetting) *scaleTest {
	t.Helper()
	l := &scaleTest{scaleSetting: s, api: newScaleAPI(t, s.operators), client: &http.Client{Transport: &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 1000,
	}}}
	server := httptest.NewUnstartedServer(l.api)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(func() {
		l.client.CloseIdleConnections()
		server.Close()
	})
	folder := t.TempDir()
	authority := filepath.Join(folder, "authority.pem")
	require.NoError(t, os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	l.env = append(os.Environ(), "SSL_CERT_FILE="+authority, "SSL_CERT_DIR="+folder)

	var text strings.Builder
	text.WriteString("defaults:\n  base_url: " + server.URL + "\n  collectors: [operators, dashboard]\n  windows: [1h")
	for i := 1; i < s.windows; i++ {
		fmt.Fprintf(&text, ", %dh", i+1)
	}
	text.WriteString("]\nteams:\n")
	for i := range s.teams {
		token := filepath.Join(folder, scaleTeam(i))
		require.NoError(t, os.WriteFile(token, []byte("token-of-"+scaleTeam(i)), 0o600))
		fmt.Fprintf(&text, "  - {codename: %s, http_client: {authorization: {credentials_file: %s}}}\n", scaleTeam(i), token)
	}
	l.config = filepath.Join(folder, "exporter.yml")
	require.NoError(t, os.WriteFile(l.config, []byte(text.String()), 0o600))
	return l
}

// start starts the exporter and scrapes each team once, so that all
// connections exist.
func (l *scaleTest) start(t *testing.T, env ...string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(slices.Clone(l.env), childConfig+"="+l.config, childProbed+"=1", "GORACE=atexit_sleep_ms=0")
	if *scaleProgram != "" {
		cmd = exec.CommandContext(t.Context(), *scaleProgram, "--config.file="+l.config, "--no-web.teams-on-metrics", "--web.listen-address=127.0.0.1:0")
		cmd.Env = append(append(slices.Clone(l.env), "GOMEMLIMIT="+*scaleMemory), env...)
	}
	l.process = launch(t, cmd)
	var next atomic.Int64
	l.scrapeAll(scaleScrapers, func() (team int, more bool) {
		i := int(next.Add(1)) - 1
		return i, i < l.teams
	})
}

// scrapeAll scrapes the teams that next returns, several at a time.
func (l *scaleTest) scrapeAll(scrapers int, next func() (team int, more bool)) {
	var all sync.WaitGroup
	for range scrapers {
		all.Go(func() {
			for {
				team, more := next()
				if !more {
					return
				}
				l.scrape(team)
			}
		})
	}
	all.Wait()
}

// scrape scrapes a team with the headers of Prometheus, see
// https://prometheus.io/docs/instrumenting/content_negotiation/.
func (l *scaleTest) scrape(team int) {
	begin := time.Now()
	page, sent, err := l.fetch(scaleTeam(team))
	took := time.Since(begin)
	if err == nil && !bytes.Contains(page, []byte(`chattonic_up{team="`+scaleTeam(team)+`"} 1.0`)) {
		err = fmt.Errorf("%s is not up", scaleTeam(team))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = append(l.done, took)
	l.page, l.sent = page, sent
	if err != nil {
		l.fail = append(l.fail, err)
	}
}

func (l *scaleTest) fetch(team string) (page []byte, sent int, err error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, l.process.url+"/probe?target="+team, http.NoBody)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"+
		"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2")
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "30")
	r := ask(l.client, req)
	if r.err != nil || r.status != http.StatusOK {
		return nil, 0, fmt.Errorf("%s: HTTP %d: %w", team, r.status, r.err)
	}
	plain, err := gzip.NewReader(strings.NewReader(r.body))
	if err != nil {
		return nil, 0, err
	}
	page, err = io.ReadAll(plain)
	return page, len(r.body), err
}

// resources holds the resources that a load used.
type resources struct {
	wall, cpu float64 // seconds
	scrapes   []time.Duration
	calls     int64
	memory    float64 // maximum MiB since the process started
}

// measure runs a load and returns the resources that it used. Every scrape
// must succeed, and make its own calls unless another scrape of its team runs.
func (l *scaleTest) measure(t *testing.T, load func()) resources {
	t.Helper()
	require.Empty(t, l.fail)
	l.done = nil
	before, cpu, begin := l.api.calls.Load(), l.cpu(t), time.Now()
	load()
	u := resources{wall: time.Since(begin).Seconds(), scrapes: l.done}
	u.cpu, u.calls = l.cpu(t)-cpu, l.api.calls.Load()-before
	require.Empty(t, l.fail)
	each := int64(2 * l.windows)
	require.LessOrEqual(t, u.calls, each*int64(len(l.done)))
	require.GreaterOrEqual(t, u.calls, each*int64(min(l.teams, len(l.done))))
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.process.Process.Pid))
	require.NoError(t, err)
	parts := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(t, parts)
	kibibytes, err := strconv.ParseFloat(string(parts[1]), 64)
	require.NoError(t, err)
	u.memory = kibibytes / 1024
	return u
}

// cpu returns the CPU seconds of the exporter. It scrapes the exporter's own
// metrics, as Prometheus does at each interval.
func (l *scaleTest) cpu(t *testing.T) float64 {
	t.Helper()
	l.own = ask(l.client, request(t, http.MethodGet, l.process.url+"/metrics"))
	require.NoError(t, l.own.err)
	return value(t, l.own.body, "process_cpu_seconds_total")
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

// paced is a load that scrapes each team once in the interval, one after the
// other.
func (l *scaleTest) paced() {
	var all sync.WaitGroup
	begin := time.Now()
	for i := 0; ; i++ {
		at := time.Duration(i) * l.interval / time.Duration(l.teams)
		if at >= l.time {
			break
		}
		time.Sleep(time.Until(begin.Add(at)))
		all.Go(func() { l.scrape(i % l.teams) })
	}
	all.Wait()
	time.Sleep(time.Until(begin.Add(l.time)))
}

// fullSpeed is a load that scrapes without pauses, several teams at a time.
func (l *scaleTest) fullSpeed() {
	begin := time.Now()
	var next atomic.Int64
	l.scrapeAll(scaleScrapers, func() (team int, more bool) {
		return int(next.Add(1)-1) % l.teams, time.Since(begin) < l.time/6
	})
}

// report logs one line for the interval and one for full speed.
func (l *scaleTest) report(t *testing.T, at, fast resources) {
	t.Helper()
	samples := func(page string) int { return len(regexp.MustCompile(`(?m)^[^#]`).FindAllString(page, -1)) }
	n, m := float64(len(at.scrapes)), float64(len(fast.scrapes))
	t.Logf("%s, each every %s, GOMEMLIMIT=%s: %.0f scrapes, p50 %s, p99 %s, %d calls, none failed; %.2f %% of a core, %.2f ms of it a scrape; %.0f MiB at most",
		l.scaleSetting, l.interval, *scaleMemory, n, percentile(at.scrapes, 50), percentile(at.scrapes, 99), at.calls, 100*at.cpu/at.wall, 1000*at.cpu/n, at.memory)
	t.Logf("  at full speed %.0f scrapes/s, p50 %s, p99 %s, %.2f ms of a core a scrape: %.0f teams for one core; %.0f MiB at most",
		m/fast.wall, percentile(fast.scrapes, 50), percentile(fast.scrapes, 99), 1000*fast.cpu/m, l.interval.Seconds()*m/fast.cpu, fast.memory)
	t.Logf("  a page has %d samples in %d bytes, %d compressed, from %d bytes of operators; the exporter's own has %d in %d, after %s",
		samples(string(l.page)), len(l.page), l.sent, len(l.api.answers[0]["operator"]), samples(l.own.body), len(l.own.body), l.own.took.Round(time.Millisecond))
}

// numbers parses numbers separated by commas.
func numbers(t *testing.T, text string) (all []int) {
	t.Helper()
	for _, part := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		require.NoError(t, err, "%q: give numbers with commas between them", text)
		require.Positive(t, n, "%q", text)
		all = append(all, n)
	}
	return all
}

// settings returns all combinations of the flags.
func settings(t *testing.T) (all []scaleSetting) {
	t.Helper()
	if *scaleProgram == "" {
		return []scaleSetting{{teams: 5, operators: 3, windows: 2, interval: 200 * time.Millisecond, time: 600 * time.Millisecond}}
	}
	for _, teams := range numbers(t, *scaleTeams) {
		for _, operators := range numbers(t, *scaleOperators) {
			for _, windows := range numbers(t, *scaleWindows) {
				all = append(all, scaleSetting{teams, operators, windows, scaleInterval, *scaleTime})
			}
		}
	}
	return all
}

// TestScale scrapes many teams by /probe, at an interval and then as fast as
// one core allows. Without the flag -scale it only checks that this works.
func TestScale(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the kernel's figures of a process are read from /proc")
	}
	t.Parallel()
	for _, s := range settings(t) {
		t.Run(s.String(), func(t *testing.T) {
			l := newScaleTest(t, s)
			l.start(t)
			at := l.measure(t, l.paced)
			require.Len(t, at.scrapes, int(int64(s.teams)*int64(s.time)/int64(s.interval)))
			require.NoError(t, l.process.Process.Kill())
			l.start(t, "GOMAXPROCS=1")
			l.report(t, at, l.measure(t, l.fullSpeed))
			if *scaleProgram != "" && s.teams <= scaleTeamsMost && s.operators <= scaleOperatorsMost && s.windows == 1 {
				assert.Less(t, at.cpu/at.wall, shareMost, "share of a core")
				assert.Less(t, at.memory, float64(memoryMost>>20), "MiB")
			}
		})
	}
}

// seriesOf returns the number of series of a metric that a label causes, for
// one team, operator and window.
var seriesOf = map[string]int{
	"team": 1, "window": 1, "operator_id": 1, "operator": 1, "profile": 1, "origins": 1,
	"status": 4, "state": 4, "collector": len(chattonic.ReadEndpoints()), "endpoint": len(chattonic.ReadEndpoints()), "kind": 3,
}

// TestSeriesOfATeamAreAsDescribed checks the guide against the tables of
// metrics.
func TestSeriesOfATeamAreAsDescribed(t *testing.T) {
	var team, operator [2]int // without and with a window
	for _, m := range collector.Metrics() {
		if strings.HasPrefix(m.Name, "chattonic_exporter_") {
			continue
		}
		series, windowed := 1, 0
		for _, label := range m.Labels {
			require.Contains(t, seriesOf, label, "%s: say how many values it has", m.Name)
			series *= seriesOf[label]
			if label == "window" {
				windowed = 1
			}
		}
		if slices.Contains(m.Labels, "operator_id") {
			operator[windowed] += series
		} else {
			team[windowed] += series
		}
	}
	guide, err := os.ReadFile(filepath.Join("..", "..", "deploy", "SCALING.md"))
	require.NoError(t, err)
	assert.Contains(t, string(guide), fmt.Sprintf("%d + %d × windows + operators × (%d + %d × windows)", team[0], team[1], operator[0], operator[1]))
}
