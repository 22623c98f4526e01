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

var loadTime = flag.Duration("load", 800*time.Millisecond, "how long each test of load goes on")

// scrapers is the number of scrapers: 200, or so many that a short run with the
// race detector is over soon.
func scrapers() int {
	if *loadTime < 10*time.Second {
		return 12
	}
	return 200
}

// deadline is Prometheus's own default for a scrape. A short run, which measures
// nothing, may be on a machine however busy.
func deadline() time.Duration {
	if *loadTime < 10*time.Second {
		return waitTimeout
	}
	return 10 * time.Second
}

const (
	loadTeams = 20
	// stableTeams are those that no reload changes.
	stableTeams = 10
	// callTime is the least time that a call to the API takes.
	callTime = 50 * time.Millisecond
	// pause is what a scraper leaves between two scrapes.
	pause = 20 * time.Millisecond
	// liveTolerance is how many bytes more may be in use in the last quarter of
	// the time than in the first. Both are measured when no scrape is under way
	// and garbage has been collected. It leaves room for what is bounded and
	// still fills up, such as the buckets of native histograms (0.6 MiB were
	// seen); in half a minute, 200 bytes for each scrape would exceed it.
	liveTolerance = 2 << 20
	// spanTolerance is the same for the memory that these bytes lie scattered
	// over, as a factor: 1.25 was seen.
	spanTolerance = 1.5
)

// key is what the exporter has at most one call in flight for.
type key struct{ team, endpoint, window string }

// upstream counts the calls that reach a simulated API.
type upstream struct {
	api http.Handler

	mu              sync.Mutex
	flying, highest map[key]int // at a time
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

// answering is a ResponseWriter that says when the answer begins. The exporter
// may have all of it, and make another call, before its handler has returned.
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

// interval is when a scrape was under way, from the test's beginning.
type interval struct{ begin, end time.Duration }

// scraper scrapes one URL again and again.
type scraper struct {
	request *http.Request
	team    int // -1 for all
	done    []interval
	fails   []error
}

// loadTest is an exporter under load.
type loadTest struct {
	*fixture
	upstream *upstream
	url      string
	end      func() error
	client   *http.Client
	begin    time.Time
	gate     sync.RWMutex // scrapes and reloads are under way while it is held for reading
	scrapers []*scraper
	started  sync.WaitGroup // scrapers that have not yet scraped once
	alone    int            // goroutines before there is any load
}

func codename(i int) string { return fmt.Sprintf("team%02d", i) }

// ttl and windows of a team are different from one to the next.
func loadTTL(i int) time.Duration { return time.Duration(i%4/3) * 500 * time.Millisecond }

func loadWindows(i int) []string { return []string{"24h0m0s", "1h0m0s"}[:1+i%2] }

// loadConfig is a configuration: in odd generations half of the teams that come
// and go are there, and the others change with each.
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
	t.Cleanup(func() { // before the exporter is ended, which run saw to
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

// work scrapes until the time is over, and twice at least.
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

// scrape fails unless all teams that have to be there are up.
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

// footprint is what the process holds when no scrape is under way.
type footprint struct {
	live, spans uint64 // bytes of what is in use, and of the memory it lies in
	goroutines  int
}

func (f footprint) String() string {
	return fmt.Sprintf("%.2f MiB in use in %.2f MiB of spans, %d goroutines", float64(f.live)/(1<<20), float64(f.spans)/(1<<20), f.goroutines)
}

// mostGoroutines is how many there may be when no scrape is under way: a scraper
// and its connection have four, and a connection to the API three, at both ends.
// Each endpoint and window of a team may have two, as one may be free again before
// another that was begun in its place.
func (l *loadTest) mostGoroutines() int {
	most := l.alone + 4*scrapers()
	for i := range loadTeams {
		most += 3 * 2 * 2 * len(loadWindows(i))
	}
	return most
}

func (l *loadTest) measure() footprint {
	l.gate.Lock()
	defer l.gate.Unlock()
	for begin := time.Now(); runtime.NumGoroutine() > l.mostGoroutines() && time.Since(begin) < waitTimeout; {
		time.Sleep(time.Millisecond) // until connections that are closed have ended
	}
	runtime.GC()
	runtime.GC() // what pools held is gone after the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{m.HeapAlloc, m.HeapInuse, runtime.NumGoroutine()}
}

// apply is the load: all scrapers at once, and footprints in the first and in the
// last quarter of the time, of each the least of three.
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

// of returns when scrapes of a team were under way.
func (l *loadTest) of(team int) (scrapes []interval) {
	for _, s := range l.scrapers {
		if s.team == team || s.team < 0 {
			scrapes = append(scrapes, s.done...)
		}
	}
	return scrapes
}

// leastCalls is how many calls the scrapes of one team need for one endpoint and
// window. What a scrape shows was answered when it was under way, or up to a ttl
// before; so one that begins a ttl after another's end needs a call of its own.
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

// mostCalls is how many calls there can be for one endpoint and window of a team
// in the given time: one after the other, of callTime each at least, and where
// there is a ttl it passes between one's end and the next's beginning.
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

// report checks that nothing failed, that the deadline was kept and that memory
// is flat, and logs the figures.
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
	if *loadTime >= 10*time.Second { // so long that the first quarter has all connections
		assert.LessOrEqual(t, last.goroutines, first.goroutines+scrapers()/10, "goroutines")
	}
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

// reload puts a generation of the configuration in force.
func (l *loadTest) reload(t *testing.T, generation int) {
	t.Helper()
	l.configure(loadConfig(generation))
	r := ask(l.client, request(t, http.MethodPost, l.url+"/-/reload"))
	assert.Equal(t, "reloaded\n", r.body, r.err)
}

// TestLoadWhileTeamsComeAndGo reloads the configuration every 100 ms. What a
// reload leaves as it is goes on as if there was none.
func TestLoadWhileTeamsComeAndGo(t *testing.T) {
	l := newLoadTest(t)
	generation, stop := 0, make(chan struct{})
	places := make(chan struct{}, 4) // more reloads at a time would only wait for each other
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
				l.gate.RLock() // so that none is under way when footprints are measured
				generation++
				g := generation
				reloads.Go(func() { // which may take longer
					defer func() { <-places }()
					defer l.gate.RUnlock()
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
		assert.NotContains(t, body, `team="`+codename(i)+`"`, "nothing is left of a team that has gone")
	}
}
