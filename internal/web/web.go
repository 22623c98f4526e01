// Package web serves HTTP: metrics of all teams and of single teams, service discovery,
// status pages, health checks and reload. It does not trust its clients, see
// middleware.go.
package web

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/version"
	toolkit "github.com/prometheus/exporter-toolkit/web"

	"chattonic_exporter/collector"
	"chattonic_exporter/internal/teams"
)

// timeoutHeader is the request header with the scrape timeout of Prometheus.
const timeoutHeader = "X-Prometheus-Scrape-Timeout-Seconds"

// TeamSet holds the active teams.
type TeamSet interface {
	// Teams returns all teams. The caller must call release when it no longer uses them.
	Teams() (teams []*collector.Team, release func())
	// Team returns the team with the codename, or no team. See Teams for release.
	Team(codename string) (teams []*collector.Team, release func())
	// Codenames returns the codenames of all teams.
	Codenames() []string
}

// Options configures the handler of New.
type Options struct {
	// Teams holds the active teams.
	Teams TeamSet
	// Registry holds the metrics about the exporter itself.
	Registry *prometheus.Registry
	// Logger logs failed API requests and errors of the handler.
	Logger log.Logger
	// Reload loads the configuration again, for POST /-/reload. If it is nil, that path is
	// not served.
	Reload func() error
	// MaxScrapes is the maximum number of concurrent scrapes; 0 means no limit.
	MaxScrapes int64
	// MaxAwaited is the maximum number of API answers that concurrent scrapes wait for, each
	// at some 7 KiB of memory; 0 means no limit. One scrape may exceed it on its own.
	MaxAwaited int64
	// ScrapeTimeout is the timeout of scrapes without the header of Prometheus.
	ScrapeTimeout time.Duration
	// TimeoutOffset is subtracted from the scrape timeout of Prometheus.
	TimeoutOffset time.Duration
	// TeamsOnMetrics includes the metrics of all teams in /metrics. Otherwise it has only
	// those of the exporter.
	TeamsOnMetrics bool
	// Profiling enables /debug/pprof/.
	Profiling bool
	// Simulator is the page to switch what the simulated API does, served at simulator/. If
	// it is not nil, the pages say that the data is not real.
	Simulator http.Handler
	// RoutePrefix is the prefix of all paths, such as /chattonic; empty means none.
	RoutePrefix string
	// Status returns the teams that the status pages at / and /teams/CODENAME show. If
	// it is nil, there are no status pages and / is a landing page without teams.
	Status func() []teams.Status
	// ReloadFailed returns since when the configuration could not be loaded, for the status
	// pages, or the zero time if the last attempt succeeded. It may be nil.
	ReloadFailed func() time.Time
	// Now is the clock for windows and the age of data; nil means time.Now.
	Now func() time.Time
}

type handler struct{ Options }

// New returns the HTTP handler of the exporter.
func New(o Options) (http.Handler, error) {
	h := &handler{o}
	m, err := newMetricsHandler(h)
	if err != nil {
		return nil, err
	}
	mux, limited := &prefixedMux{http.NewServeMux(), o.RoutePrefix}, limitScrapes(o.MaxScrapes)
	mux.Handle("GET /metrics", promhttp.InstrumentMetricHandler(o.Registry, limited(m.metrics)))
	mux.Handle("GET /probe", promhttp.InstrumentMetricHandler(o.Registry, limited(m.probe)))
	mux.Handle("GET /sd", http.HandlerFunc(h.discover))
	mux.Handle("GET /-/healthy", textHandler("healthy"))
	mux.Handle("GET /-/ready", textHandler("ready"))
	if err := m.registerPages(mux); err != nil {
		return nil, err
	}
	if o.Reload != nil {
		mux.Handle("POST /-/reload", sameSite(http.HandlerFunc(h.reload)))
	}
	if o.Profiling {
		profiles := http.NewServeMux()
		profiles.HandleFunc("GET /debug/pprof/", pprof.Index)
		profiles.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		profiles.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		profiles.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		profiles.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		mux.Handle("GET /debug/pprof/", http.StripPrefix(o.RoutePrefix, profiles))
	}
	if o.Simulator != nil {
		mux.Handle("/simulator/", sameSite(http.StripPrefix(o.RoutePrefix+"/simulator", o.Simulator)))
	}
	if o.RoutePrefix != "" {
		home := http.RedirectHandler(o.RoutePrefix+"/", http.StatusFound)
		mux.ServeMux.Handle("GET /{$}", home)
		mux.ServeMux.Handle("GET "+o.RoutePrefix, home)
	}
	return h.protect(mux), nil
}

// prefixedMux is a mux whose patterns stand below a prefix.
type prefixedMux struct {
	*http.ServeMux
	prefix string
}

// Handle registers a handler for a pattern without the prefix.
func (m *prefixedMux) Handle(pattern string, handler http.Handler) {
	method, path, found := strings.Cut(pattern, " ")
	if !found {
		method, path = "", pattern
	}
	m.ServeMux.Handle(strings.TrimSpace(method+" "+m.prefix+path), handler)
}

// links returns the links of the page at /, relative to it. It returns a new slice on each
// call because the landing page of exporter-toolkit modifies it.
func links() []toolkit.LandingLinks {
	return []toolkit.LandingLinks{
		{Address: "metrics", Text: "Metrics", Description: "of the exporter and, unless disabled, of all teams"},
		{Address: "sd", Text: "Teams", Description: "for Prometheus HTTP service discovery; /probe?target=CODENAME returns the metrics of one team"},
		{Address: "-/healthy", Text: "Health", Description: "whether the exporter is running"},
		{Address: "-/ready", Text: "Readiness", Description: "whether it can be scraped"},
	}
}

// registerPages registers the pages for browsers: the status pages, or a landing page.
func (m *metricsHandler) registerPages(mux *prefixedMux) error {
	if m.Status == nil {
		landing, err := m.landingPage()
		if err != nil {
			return fmt.Errorf("creating the landing page: %w", err)
		}
		mux.Handle("GET /{$}", landing)
		return nil
	}
	o := pageOptions{Teams: m.Status, Links: links(), TeamsOnMetrics: m.TeamsOnMetrics, Simulated: m.Simulator != nil, RoutePrefix: m.RoutePrefix, ReloadFailed: m.ReloadFailed, Now: m.Now}
	if m.Profiling {
		o.Links = append(o.Links, toolkit.LandingLinks{Address: "debug/pprof/", Text: "Profiles", Description: "memory and CPU profiles of the exporter"})
	}
	for pattern, handler := range statusPageHandlers(o) {
		mux.Handle(pattern, m.compress(handler))
	}
	return nil
}

func (h *handler) landingPage() (http.Handler, error) {
	c := toolkit.LandingConfig{
		Name:        "Chat-Tonic Exporter",
		Description: "Prometheus metrics of Chat-Tonic teams",
		Version:     version.Info(),
		Profiling:   strconv.FormatBool(h.Profiling),
		Links:       links(),
		RoutePrefix: landingPrefix,
	}
	if h.Simulator != nil {
		c.ExtraHTML = `<p><strong>All data is simulated: this exporter runs with --demo and does not call Chat-Tonic.</strong></p>`
	}
	page, err := toolkit.NewLandingPage(c)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = landingPrefix // the only path that the page answers
		page.ServeHTTP(w, r)
	}), nil
}

// landingPrefix makes the links of the landing page relative, so that they work below any
// path.
const landingPrefix = "./"

// metrics serves /metrics: the metrics of the exporter and, if enabled, of all teams.
func (m *metricsHandler) metrics(w http.ResponseWriter, r *http.Request) {
	if !m.TeamsOnMetrics {
		m.scrape(w, r, nil, m.Registry)
		return
	}
	active, release := m.Teams.Teams()
	defer release()
	m.scrape(w, r, active, m.Registry)
}

// probe serves /probe: the metrics of one team.
func (m *metricsHandler) probe(w http.ResponseWriter, r *http.Request) {
	targets := r.URL.Query()["target"]
	if len(targets) != 1 {
		http.Error(w, "the parameter target is missing or repeated: use /probe?target=CODENAME", http.StatusBadRequest)
		return
	}
	teams, release := m.Teams.Team(targets[0])
	defer release()
	if len(teams) == 0 {
		http.Error(w, "the target is not the codename of a configured team: use one of those that /sd lists", http.StatusBadRequest)
		return
	}
	m.scrape(w, r, teams, prometheus.Gatherers{})
}

// scrape collects the metrics of the teams within the timeout of the scrape, and writes
// them with those of the exporter.
func (m *metricsHandler) scrape(w http.ResponseWriter, r *http.Request, teams []*collector.Team, exporter prometheus.Gatherer) {
	if !wantsTeams(r) {
		teams = nil
	}
	release, ok := m.awaited.acquire(teams)
	if !ok {
		refuse(w, fmt.Sprintf("concurrent scrapes wait for too many answers of the API, the maximum is %d: retry later, scrape less often, or look for teams whose calls hang", m.MaxAwaited))
		return
	}
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), m.timeout(r))
	defer cancel()
	m.write(w, r, collector.New(ctx, m.Logger, m.Now, teams...), exporter)
}

// timeout returns the timeout for the API requests of a scrape: the scrape timeout of
// Prometheus minus the offset, which is the time to write the response. If the offset is not
// smaller than the scrape timeout it is ignored, because nothing could be scraped otherwise.
func (h *handler) timeout(r *http.Request) time.Duration {
	seconds, err := strconv.ParseFloat(r.Header.Get(timeoutHeader), 64)
	if err != nil || !(seconds > 0) || seconds > math.MaxInt32 {
		return h.ScrapeTimeout
	}
	timeout := time.Duration(seconds * float64(time.Second))
	if timeout > h.TimeoutOffset {
		timeout -= h.TimeoutOffset
	}
	return timeout
}

// discover serves /sd: the teams for Prometheus HTTP service discovery. Each team is a target
// group with a meta label for relabelling.
func (h *handler) discover(w http.ResponseWriter, _ *http.Request) {
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	groups := []group{}
	for _, codename := range h.Teams.Codenames() {
		groups = append(groups, group{[]string{codename}, map[string]string{"__meta_chattonic_team": codename}})
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(groups); err != nil {
		level.Debug(h.Logger).Log("msg", "the client disconnected", "err", err)
	}
}

// sameSite refuses requests that a browser sends for a page of another site.
// Clients that are no browsers send no header that says so.
func sameSite(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "a page of another site sent this request: use curl -X POST or SIGHUP to reload", http.StatusForbidden)
	}))
	return protection.Handler(next)
}

// reload reads the configuration again. Reload logs its own failure.
func (h *handler) reload(w http.ResponseWriter, _ *http.Request) {
	if err := h.Reload(); err != nil {
		http.Error(w, "the active configuration is unchanged: "+err.Error(), http.StatusInternalServerError)
		return
	}
	textHandler("reloaded")(w, nil)
}

// textHandler returns a handler that responds with a line of text.
func textHandler(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, text+"\n") // an error means that the client disconnected
	}
}

// errorLog logs the errors of promhttp during one scrape.
type errorLog struct {
	ctx          context.Context //nolint:containedctx // Println has none.
	logger       log.Logger
	disconnected bool // the disconnection is already logged
}

// Println logs an error of gathering or encoding. If the client disconnects, promhttp reports
// an error for each remaining metric; only the first is logged.
func (l *errorLog) Println(v ...any) {
	switch {
	case l.ctx.Err() == nil:
		level.Error(l.logger).Log("msg", "writing metrics failed", "err", fmt.Sprint(v...))
	case !l.disconnected:
		l.disconnected = true
		level.Debug(l.logger).Log("msg", "the client disconnected", "err", fmt.Sprint(v...))
	}
}
