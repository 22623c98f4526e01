// Package web answers HTTP: scrapes, probes of single teams, their discovery,
// pages for people, health and reload. Who asks is not trusted: see guard.go.
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

// timeoutHeader is how Prometheus says how long it waits for a scrape.
const timeoutHeader = "X-Prometheus-Scrape-Timeout-Seconds"

// TeamSet holds the active teams.
type TeamSet interface {
	// Teams returns all teams, which are in use until release is called.
	Teams() (teams []*collector.Team, release func())
	// Team returns the team of a codename, or none, as Teams does.
	Team(codename string) (teams []*collector.Team, release func())
	// Codenames returns the codenames of all teams.
	Codenames() []string
}

// Options say what a handler serves.
type Options struct {
	// Teams holds the active teams.
	Teams TeamSet
	// Registry holds the exporter's own metrics.
	Registry *prometheus.Registry
	// Logger is where failures go.
	Logger log.Logger
	// Reload reads the configuration again; with nil nobody can ask for it.
	Reload func() error
	// MaxScrapes is how many scrapes there may be at a time; 0 means any number.
	MaxScrapes int64
	// ScrapeTimeout ends a scrape that does not say how long it may take.
	ScrapeTimeout time.Duration
	// TimeoutOffset is how long before the scrape's own timeout it is answered.
	TimeoutOffset time.Duration
	// TeamsOnMetrics has /metrics show all teams, and not the exporter alone.
	TeamsOnMetrics bool
	// Profiling serves /debug/pprof/.
	Profiling bool
	// Simulated says on the page at / that the data is not real.
	Simulated bool
	// Status returns what the pages at / and /teams/CODENAME show. With nil / is a
	// landing page without teams.
	Status func() []teams.Status
	// Now is the clock of the windows; nil means time.Now.
	Now func() time.Time
}

type handler struct{ Options }

// New returns the handler of everything the exporter serves.
func New(o Options) (http.Handler, error) {
	h := &handler{o}
	p, err := newPages(h)
	if err != nil {
		return nil, err
	}
	mux, limited := http.NewServeMux(), limit(o.MaxScrapes)
	mux.Handle("GET /metrics", promhttp.InstrumentMetricHandler(o.Registry, limited(p.metrics)))
	mux.Handle("GET /probe", promhttp.InstrumentMetricHandler(o.Registry, limited(p.probe)))
	mux.HandleFunc("GET /sd", h.discover)
	mux.HandleFunc("GET /-/healthy", say("healthy"))
	mux.HandleFunc("GET /-/ready", say("ready"))
	if err := p.forPeople(mux); err != nil {
		return nil, err
	}
	if o.Reload != nil {
		mux.Handle("POST /-/reload", sameSite(http.HandlerFunc(h.reload)))
	}
	if o.Profiling {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return h.guard(mux), nil
}

// links returns what the page at / leads to. Each page needs its own, as the
// toolkit's changes them.
func links() []toolkit.LandingLinks {
	return []toolkit.LandingLinks{
		{Address: "/metrics", Text: "Metrics", Description: "of the exporter and, unless that is switched off, of all teams"},
		{Address: "/sd", Text: "Teams", Description: "for Prometheus HTTP service discovery; /probe?target=CODENAME has the metrics of one"},
		{Address: "/-/healthy", Text: "Health", Description: "whether the exporter runs"},
		{Address: "/-/ready", Text: "Readiness", Description: "whether it can be scraped"},
	}
}

// forPeople has the mux serve what is looked at with a browser.
func (p *pages) forPeople(mux *http.ServeMux) error {
	if p.Status == nil {
		landing, err := p.landingPage()
		if err != nil {
			return fmt.Errorf("making the landing page: %w", err)
		}
		mux.Handle("GET /{$}", landing)
		return nil
	}
	o := peopleOptions{Teams: p.Status, Links: links(), TeamsOnMetrics: p.TeamsOnMetrics, Simulated: p.Simulated, Now: p.Now}
	if p.Profiling {
		o.Links = append(o.Links, toolkit.LandingLinks{Address: "/debug/pprof/", Text: "Profiles", Description: "what the exporter spends memory and time on"})
	}
	for pattern, handler := range peopleHandlers(o) {
		mux.Handle(pattern, p.compress(handler))
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
	}
	if h.Simulated {
		c.ExtraHTML = `<p><strong>All data is simulated: this exporter runs with --demo and asks no real Chat-Tonic.</strong></p>`
	}
	return toolkit.NewLandingPage(c)
}

// metrics shows the exporter's own metrics and those of all teams.
func (p *pages) metrics(w http.ResponseWriter, r *http.Request) {
	if !p.TeamsOnMetrics {
		p.scrape(w, r, nil, p.Registry)
		return
	}
	active, release := p.Teams.Teams()
	defer release()
	p.scrape(w, r, active, p.Registry)
}

// probe shows the metrics of one team.
func (p *pages) probe(w http.ResponseWriter, r *http.Request) {
	targets := r.URL.Query()["target"]
	if len(targets) != 1 {
		http.Error(w, "say which team: /probe?target=CODENAME", http.StatusBadRequest)
		return
	}
	teams, release := p.Teams.Team(targets[0])
	defer release()
	if len(teams) == 0 {
		http.Error(w, "the target is not the codename of a configured team; /sd lists them", http.StatusBadRequest)
		return
	}
	p.scrape(w, r, teams, prometheus.Gatherers{})
}

// scrape asks the teams within the time that the scrape has.
func (p *pages) scrape(w http.ResponseWriter, r *http.Request, teams []*collector.Team, own prometheus.Gatherer) {
	ctx, cancel := context.WithTimeout(r.Context(), p.timeout(r))
	defer cancel()
	p.show(w, r, collector.New(ctx, p.Logger, p.Now, teams...), own)
}

// timeout is how long the teams may take: what Prometheus says it waits, less
// the offset for all that remains to be done then. An offset that leaves
// nothing is left out, as Prometheus would have no answer at all otherwise.
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

// discover lists the teams for Prometheus HTTP service discovery, one group of
// targets for each, so that relabelling can tell them apart.
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
		http.Error(w, "the configuration in force stays: "+err.Error(), http.StatusInternalServerError)
		return
	}
	say("reloaded")(w, nil)
}

func say(what string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, what+"\n") // the client disconnected
	}
}

// errorLog logs the errors of promhttp in one scrape.
type errorLog struct {
	ctx          context.Context //nolint:containedctx // Println has none.
	logger       log.Logger
	disconnected bool // is logged
}

// Println logs an error of gathering or encoding. When the client disconnects,
// promhttp has one for each metric that is left to write.
func (l *errorLog) Println(v ...any) {
	switch {
	case l.ctx.Err() == nil:
		level.Error(l.logger).Log("msg", "writing metrics failed", "err", fmt.Sprint(v...))
	case !l.disconnected:
		l.disconnected = true
		level.Debug(l.logger).Log("msg", "the client disconnected", "err", fmt.Sprint(v...))
	}
}
