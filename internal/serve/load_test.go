package serve

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/internal/simulator"
)

var loadTime = flag.Duration("load", 800*time.Millisecond, "duration of each load test")

// scrapers returns the number of scrapers: 200, or fewer in a short run, so
// that it is fast with the race detector.
func scrapers() int {
	if *loadTime < 10*time.Second {
		return 12
	}
	return 200
}

// deadline returns the default scrape timeout of Prometheus. A short run
// measures nothing and can be on a busy machine.
func deadline() time.Duration {
	if *loadTime < 10*time.Second {
		return waitTimeout
	}
	return 10 * time.Second
}

const (
	loadTeams = 20
	// stableTeams is the number of teams that no reload changes.
	stableTeams = 10
	// callTime is the minimum duration of an API call.
	callTime = 50 * time.Millisecond
	// pause is the time between two scrapes of a scraper.
	pause = 20 * time.Millisecond
	// liveTolerance limits the growth of the bytes in use from the first to the
	// last quarter of the time. Both are measured without scrapes and after a
	// garbage collection. It allows for bounded growth, such as the buckets of
	// native histograms (0.6 MiB were measured). In half a minute, 200 bytes for
	// each scrape would exceed it.
	liveTolerance = 2 << 20
	// spanTolerance limits the growth of the memory spans of these bytes, as a
	// factor: 1.25 was measured.
	spanTolerance = 1.5
)

// key identifies calls of which at most one is in flight.
type key struct{ team, endpoint, window string }

// upstream counts the calls that reach a simulated API.
type upstream struct {
	api http.Handler

	mu              sync.Mutex
	flying, highest map[key]int // concurrently
	calls           map[key]int
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/") // /api/v1/{codename}/stats/{endpoint}
	begin, _ := time.Parse(time.RFC3339, r.URL.Query().Get("startDate"))
	end, _ := time.Parse(time.RFC3339, r.URL.Query().Get("endDate"))
	k := key{parts[3], parts[5], end.Sub(begin).String()}
	u.mu.Lock()
	u.calls[k]++
	u.flying[k]++
	u.highest[k] = max(u.highest[k], u.flying[k])
	u.mu.Unlock()
	landed := sync.OnceFunc(func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.flying[k]--
	})
	defer landed()
	u.api.ServeHTTP(answering{w, landed}, r)
}

// answering is a ResponseWriter that reports when the answer begins. The
// exporter can receive all of it, and make another call, before the handler
// returns.
type answering struct {
	http.ResponseWriter
	begins func()
}

func (a answering) WriteHeader(status int) {
	a.begins()
	a.ResponseWriter.WriteHeader(status)
}

func (a answering) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a answering) Write(p []byte) (int, error) {
	a.begins()
	return a.ResponseWriter.Write(p)
}

// interval is the time of a scrape, since the start of the test.
type interval struct{ begin, end time.Duration }

// scraper scrapes one URL repeatedly.
type scraper struct {
	request *http.Request
	team    int // -1 for all
	done    []interval
	fails   []error
}

// loadTest is an exporter under load.
type loadTest struct {
	*fixture
	upstream  *upstream
	url       string
	end       func() error
	client    *http.Client
	begin     time.Time
	gate      sync.RWMutex // scrapes hold it for reading
	reloading sync.RWMutex // reloads hold it for reading
	scrapers  []*scraper
	started   sync.WaitGroup // scrapers before their first scrape
	alone     int            // goroutines without load
}

func codename(i int) string { return fmt.Sprintf("team%02d", i) }

// ttl and windows differ from team to team.
func loadTTL(i int) time.Duration { return time.Duration(i%4/3) * 500 * time.Millisecond }

func loadWindows(i int) []string { return []string{"24h0m0s", "1h0m0s"}[:1+i%2] }

// loadConfig returns a configuration. Odd generations contain half of the
// changing teams. The settings of the other teams change with each generation.
func loadConfig(generation int) string {
	var b strings.Builder
	for i := range loadTeams {
		delay := 0
		switch {
		case i < stableTeams:
		case i < 15 && generation%2 == 1:
			continue
		case i >= 15:
			delay = generation
		}
		names := []string{"24h", "1h"}[:1+i%2]
		fmt.Fprintf(&b, "  - {codename: %s, windows: [%s], delay: %dms, ttl: {operators: %[4]dms, dashboard: %[4]dms}}\n",
			codename(i), strings.Join(names, ", "), delay, loadTTL(i).Milliseconds())
	}
	return b.String()
}

func newLoadTest(t *testing.T) *loadTest {
	t.Helper()
	var teams []simulator.Team
	for i := range loadTeams {
		teams = append(teams, simulator.Team{Codename: codename(i), Token: "secret", Documented: true})
	}
	api, err := simulator.New(simulator.Options{Teams: teams})
	require.NoError(t, err)
	require.NoError(t, api.SetFault("", "", simulator.Fault{Delay: callTime}))
	l := &loadTest{
		fixture: newFixture(t), upstream: &upstream{api: api, flying: map[key]int{}, highest: map[key]int{}, calls: map[key]int{}},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: scrapers()}},
	}
	server := httptest.NewServer(l.upstream)
	l.fixture.url = server.URL // of the API that the configuration names
	l.configure(loadConfig(0))
	l.MaxCalls, l.TimeoutOffset = 100, 500*time.Millisecond
	l.url, l.end = l.run(t)
	t.Cleanup(func() { // before the cleanup of run ends the exporter
		l.client.CloseIdleConnections()
		assert.NoError(t, l.end())
		server.Close()
	})
	for i := range scrapers() {
		s := &scraper{team: -1, done: make([]interval, 0, *loadTime/pause+2)}
		path := "/metrics"
		if i >= scrapers()/10 { // the others scrape all teams
			s.team = i % loadTeams
			path = "/probe?target=" + codename(s.team)
		}
		s.request = request(t, http.MethodGet, l.url+path)
		s.request.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", fmt.Sprint(deadline().Seconds()))
		l.scrapers = append(l.scrapers, s)
	}
	return l
}

// work scrapes until the time is over, at least twice.
func (l *loadTest) work(s *scraper) {
	for len(s.done) < 2 || time.Since(l.begin) < *loadTime {
		l.gate.RLock()
		begin := time.Since(l.begin)
		err := l.scrape(s)
		s.done = append(s.done, interval{begin, time.Since(l.begin)})
		if len(s.done) == 1 {
			l.started.Done()
		}
		l.gate.RUnlock()
		if err != nil {
			s.fails = append(s.fails, fmt.Errorf("%s: %w", s.request.URL, err))
		}
		time.Sleep(pause)
	}
}

// scrape fails the test unless all expected teams are up.
func (l *loadTest) scrape(s *scraper) error {
	r := ask(l.client, s.request)
	mayBeGone := s.team >= stableTeams && s.team < 15
	switch {
	case r.err != nil:
		return r.err
	case r.status == http.StatusBadRequest && mayBeGone:
		return nil
	case r.status != http.StatusOK:
		return fmt.Errorf("HTTP %d", r.status)
	}
	_, rest, found := strings.Cut(r.body, "# TYPE chattonic_up gauge\n")
	states, _, whole := strings.Cut(rest, "# ")
	if !found || !whole || strings.Contains(states, "} 0\n") {
		return errors.New("not all is up: " + states)
	}
	for i := range loadTeams {
		wanted := s.team == i || s.team < 0 && (i < stableTeams || i >= 15)
		if wanted && !up(states, codename(i)) {
			return fmt.Errorf("%s is not there", codename(i))
		}
	}
	return nil
}

// footprint is the memory and the goroutines of the process while no scrape
// runs.
type footprint struct {
	live, spans uint64 // bytes in use, and bytes of their memory spans
	goroutines  int
}

func (f footprint) String() string {
	return fmt.Sprintf("%.2f MiB in use in %.2f MiB of spans, %d goroutines", float64(f.live)/(1<<20), float64(f.spans)/(1<<20), f.goroutines)
}

// mostGoroutines returns the maximum number of goroutines while no scrape
// runs. A scraper and its connection have four, and a connection to the API
// has three at both ends. Each endpoint and window of a team can have two
// connections, because one can become free after another was opened in its
// place.
func (l *loadTest) mostGoroutines() int {
	most := l.alone + 4*scrapers()
	for i := range loadTeams {
		most += 3 * 2 * 2 * len(loadWindows(i))
	}
	return most
}

func (l *loadTest) measure() footprint {
	l.reloading.Lock()
	defer l.reloading.Unlock()
	time.Sleep(*loadTime / 50) // so that scrapes open again the connections that a reload closed
	l.gate.Lock()
	defer l.gate.Unlock()
	for begin := time.Now(); runtime.NumGoroutine() > l.mostGoroutines() && time.Since(begin) < waitTimeout; {
		time.Sleep(time.Millisecond) // until closed connections have ended
	}
	runtime.GC()
	runtime.GC() // pools are empty after the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{m.HeapAlloc, m.HeapInuse, runtime.NumGoroutine()}
}

// apply runs all scrapers at once. It takes footprints in the first and in the
// last quarter of the time, the smallest of three each.
func (l *loadTest) apply(t *testing.T) (first, last footprint) {
	t.Helper()
	l.alone = runtime.NumGoroutine()
	l.started.Add(len(l.scrapers))
	l.begin = time.Now()
	var all sync.WaitGroup
	for _, s := range l.scrapers {
		all.Go(func() { l.work(s) })
	}
	l.started.Wait() // so that the first quarter has all connections, too
	quarter := func(from float64) footprint {
		least := footprint{1 << 62, 1 << 62, 1 << 30}
		for i := range 3 {
			at := time.Duration((from + float64(i)*0.08) * float64(*loadTime))
			time.Sleep(time.Until(l.begin.Add(at)))
			f := l.measure()
			least = footprint{min(least.live, f.live), min(least.spans, f.spans), min(least.goroutines, f.goroutines)}
		}
		return least
	}
	first, last = quarter(0.08), quarter(0.78)
	all.Wait()
	return first, last
}

// of returns the intervals of the scrapes of a team.
func (l *loadTest) of(team int) (scrapes []interval) {
	for _, s := range l.scrapers {
		if s.team == team || s.team < 0 {
			scrapes = append(scrapes, s.done...)
		}
	}
	return scrapes
}

// leastCalls returns the minimum number of calls for one endpoint and window
// of a team. The answers in a scrape are from the time of the scrape, or up to
// a ttl older. So a scrape that starts a ttl after the end of another needs
// its own call.
func leastCalls(scrapes []interval, ttl time.Duration) (calls int) {
	slices.SortFunc(scrapes, func(a, b interval) int { return int(a.end - b.end) })
	from := time.Duration(-1 << 62)
	for _, s := range scrapes {
		if s.begin >= from {
			calls++
			from = s.end + ttl
		}
	}
	return calls
}

// mostCalls returns the maximum number of calls for one endpoint and window of
// a team in the given time: calls of at least callTime, one after the other,
// with the ttl between the end of one and the start of the next.
func mostCalls(within, ttl time.Duration) int { return 1 + int(within/(callTime+ttl)) }

// checkCalls checks the number of calls for teams that no reload changed.
func (l *loadTest) checkCalls(t *testing.T, teams int, within time.Duration) {
	t.Helper()
	l.upstream.mu.Lock()
	defer l.upstream.mu.Unlock()
	var sum, sumLeast, sumMost int
	for i := range teams {
		least, most := leastCalls(l.of(i), loadTTL(i)), mostCalls(within, loadTTL(i))
		for _, endpoint := range []string{"operator", "bigquery"} {
			for _, window := range loadWindows(i) {
				k := key{codename(i), endpoint, window}
				assert.Equal(t, 1, l.upstream.highest[k], "calls at a time: %v", k)
				assert.GreaterOrEqual(t, l.upstream.calls[k], least, "%v", k)
				assert.LessOrEqual(t, l.upstream.calls[k], most, "%v", k)
				sum, sumLeast, sumMost = sum+l.upstream.calls[k], sumLeast+least, sumMost+most
			}
		}
	}
	t.Logf("%d calls to the API for %d teams that no reload changed; %d at least and %d at most were right", sum, teams, sumLeast, sumMost)
}

// report checks for failures, the deadline and constant memory, and logs the
// figures.
func (l *loadTest) report(t *testing.T, first, last footprint) {
	t.Helper()
	var metrics, probes []time.Duration
	for _, s := range l.scrapers {
		assert.Empty(t, s.fails)
		for _, i := range s.done {
			if s.team < 0 {
				metrics = append(metrics, i.end-i.begin)
			} else {
				probes = append(probes, i.end-i.begin)
			}
		}
	}
	all := slices.Concat(metrics, probes)
	t.Logf("%s, %d scrapers, %d teams: %d scrapes, p50 %s, p99 %s, longest %s; of them %d of /metrics, p50 %s, p99 %s", *loadTime, scrapers(), loadTeams,
		len(all), percentile(all, 50), percentile(all, 99), percentile(all, 100), len(metrics), percentile(metrics, 50), percentile(metrics, 99))
	t.Logf("first quarter: %s", first)
	t.Logf("last quarter: %s", last)
	assert.Less(t, percentile(all, 99), deadline())
	assert.LessOrEqual(t, last.live, first.live+liveTolerance, "bytes in use")
	assert.LessOrEqual(t, float64(last.spans), spanTolerance*float64(first.spans), "bytes of spans")
	assert.LessOrEqual(t, last.goroutines, l.mostGoroutines(), "goroutines")
}

func percentile(of []time.Duration, percent int) time.Duration {
	slices.Sort(of)
	return of[max(0, (len(of)*percent+99)/100-1)].Round(10 * time.Microsecond)
}

func TestLoad(t *testing.T) {
	l := newLoadTest(t)
	first, last := l.apply(t)
	l.checkCalls(t, loadTeams, time.Since(l.begin))
	l.report(t, first, last)
}

// reload makes a generation of the configuration active.
func (l *loadTest) reload(t *testing.T, generation int) {
	t.Helper()
	l.configure(loadConfig(generation))
	r := ask(l.client, request(t, http.MethodPost, l.url+"/-/reload"))
	assert.Equal(t, "reloaded\n", r.body, r.err)
}

// TestLoadWhileTeamsComeAndGo reloads the configuration every 100 ms. Teams
// that a reload does not change must not notice it.
func TestLoadWhileTeamsComeAndGo(t *testing.T) {
	l := newLoadTest(t)
	generation, stop := 0, make(chan struct{})
	places := make(chan struct{}, 4) // further reloads would only wait
	var reloads sync.WaitGroup
	reloads.Go(func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				places <- struct{}{}
				l.reloading.RLock() // no reload runs while footprints are measured, or just before
				generation++
				g := generation
				reloads.Go(func() { // can take longer
					defer func() { <-places }()
					defer l.reloading.RUnlock()
					l.reload(t, g)
				})
			}
		}
	})
	first, last := l.apply(t)
	close(stop)
	reloads.Wait()
	t.Logf("%d reloads", generation)
	l.checkCalls(t, stableTeams, time.Since(l.begin))
	l.report(t, first, last)

	l.reload(t, 1)
	body := get(t, l.url+"/metrics")
	for i := stableTeams; i < 15; i++ {
		assert.NotContains(t, body, `team="`+codename(i)+`"`, "a removed team leaves nothing behind")
	}
}
