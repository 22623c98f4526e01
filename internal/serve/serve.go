// Package serve runs the exporter as an HTTP server, or for a single scrape.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/version"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"chattonic_exporter/collector"
	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/teams"
	"chattonic_exporter/internal/usage"
	"chattonic_exporter/internal/web"
)

const (
	// scrapeShutdownTimeout limits how long scrapes in flight take during shutdown.
	// After it they are answered with the API answers that are there.
	scrapeShutdownTimeout = 3 * time.Second
	// shutdownTimeout limits how long shutting down takes.
	shutdownTimeout = 4500 * time.Millisecond
	// headerTimeout limits how long a client takes to send a request. It does not
	// limit the answer.
	headerTimeout = 10 * time.Second
	// maxHeader is the maximum size in bytes of a header, including the URL. Larger
	// ones are answered with 431.
	maxHeader = 64 << 10
	// maxAwaited is the maximum number of API answers that concurrent scrapes wait for,
	// unless --web.max-scrapes is 0. It keeps that memory below about 150 MiB.
	maxAwaited = 20_000
	// writeTimeout limits how long a client takes to read an answer, in addition to
	// the timeout of an API call.
	writeTimeout = 30 * time.Second
	// idleTimeout closes connections without requests. It is longer than that of
	// Prometheus, 5 minutes, so that Prometheus never sends on a closing connection.
	idleTimeout = 6 * time.Minute
)

// Options configure the exporter.
type Options struct {
	cli.Client
	// Log holds the level and the format of log lines.
	Log cli.Log
	// TimeoutOffset is subtracted from the timeout of a scrape.
	TimeoutOffset time.Duration
	// TeamsOnMetrics adds all teams to /metrics.
	TeamsOnMetrics bool
	// MaxScrapes is the maximum number of concurrent scrapes; 0 means no limit.
	MaxScrapes int64
	// EnableReload serves /-/reload. SIGHUP reloads in any case.
	EnableReload bool
	// AutoReload reloads when the configuration file changes.
	AutoReload bool
	// Profiling serves /debug/pprof/.
	Profiling bool
	// StatusPage shows the teams at / and /teams/CODENAME.
	StatusPage bool
	// ExternalURL is where browsers find the exporter. Its path is the default of RoutePrefix.
	ExternalURL string
	// RoutePrefix is the prefix of all paths.
	RoutePrefix string
	// Simulated marks the teams that Load returns as simulated. The exporter then scrapes
	// itself.
	Simulated bool
	// Simulator is the page to switch what simulated teams do, or nil.
	Simulator http.Handler
	// Listen configures the toolkit: addresses, TLS, basic auth.
	Listen *toolkit.FlagConfig
	// Hangups can hold a SIGHUP that arrived before Run. With nil Run makes a channel.
	Hangups chan os.Signal
	// Logger logs errors. Slogger does so for the toolkit.
	Logger  log.Logger
	Slogger *slog.Logger
}

// Flags declares the flags of the command serve.
func (o *Options) Flags(cmd *kingpin.CmdClause) {
	o.ScrapeFlags(cmd)
	o.Listen = kingpinflag.AddFlags(cmd, ":10042")
	cli.CheckAddress(cmd.GetFlag("web.listen-address"))
	cmd.GetFlag("web.listen-address").Help("Address to listen on, such as :10042, [::1]:10042 or vsock://:10042. Can be repeated, or several with commas.")
	cmd.GetFlag("web.config.file").PlaceHolder("FILE").
		Help("Web configuration file of the Prometheus exporter-toolkit, for TLS, client certificates and passwords. Default: plain HTTP without passwords.")
	cmd.GetFlag("web.systemd-socket").Help("Listen on sockets from systemd instead of --web.listen-address. Default: off.")
	cmd.Flag("web.external-url", "URL under which browsers reach the exporter, for example through a reverse proxy. Its path is the default of --web.route-prefix. "+
		"All links are relative, so a proxy that removes a path needs neither flag.").PlaceHolder("URL").StringVar(&o.ExternalURL)
	cmd.Flag("web.route-prefix", "Prefix of all paths, such as /chattonic for /chattonic/metrics. Default: the path of --web.external-url.").PlaceHolder("PATH").StringVar(&o.RoutePrefix)
	cmd.Flag("web.teams-on-metrics", "Include all teams in /metrics. Switch it off if each team is scraped by /probe. Default: on.").Default("true").BoolVar(&o.TeamsOnMetrics)
	cmd.Flag("web.status-page", "Serve pages for people: the teams at /, a team at /teams/CODENAME, and tiles for a wall at /wall. Default: on.").Default("true").BoolVar(&o.StatusPage)
	cmd.Flag("web.max-scrapes", "Maximum number of concurrent scrapes; 0 for no limit. Above it /metrics and /probe answer 503.").Default("256").Int64Var(&o.MaxScrapes)
	cmd.Flag("web.enable-reload", "Serve POST /-/reload. SIGHUP reloads in any case. Default: on.").Default("true").BoolVar(&o.EnableReload)
	cmd.Flag("config.auto-reload", "Reload within a minute after the content of --config.file changes. Default: on.").Default("true").BoolVar(&o.AutoReload)
	cmd.Flag("web.enable-pprof", "Serve Go profiles at /debug/pprof/. Default: off.").BoolVar(&o.Profiling)
	cmd.Flag("scrape.timeout-offset", "Time to subtract from the scrape timeout of Prometheus.").Default("500ms").DurationVar(&o.TimeoutOffset)
}

// ScrapeFlags declares the flags of the command scrape.
func (o *Options) ScrapeFlags(cmd *kingpin.CmdClause) {
	o.Client.Flags(cmd)
	o.Log.Flags(cmd)
	cli.Shared(cmd, "demo", "Use simulated teams instead of real ones. Default: off.").BoolVar(&o.Simulated)
}

// exporter is the state that serving and a single scrape share.
type exporter struct {
	Options
	registry *prometheus.Registry
	metrics  *collector.ExporterMetrics
	teams    *teams.Set

	file *fileWatch // nil without a file

	shuttingDown atomic.Bool
	reloading    sync.Mutex // held while a reload runs
	mu           sync.Mutex
	next         func() error // the reload that waits, or nil; guarded by mu
	failedSince  time.Time    // of the reloads, or zero; guarded by mu
}

// start returns an exporter with an active configuration.
func start(o Options) (*exporter, error) {
	if o.TimeoutOffset < 0 {
		return nil, usage.Errorf("--scrape.timeout-offset must be 0s or more")
	}
	if o.MaxScrapes < 0 {
		return nil, usage.Errorf("--web.max-scrapes must be 0, for no limit, or more")
	}
	prefix, err := cli.RoutePrefix(o.ExternalURL, o.RoutePrefix)
	if err != nil {
		return nil, err
	}
	o.RoutePrefix = prefix
	registry := prometheus.NewRegistry()
	metrics := collector.NewExporterMetrics(registry)
	e := &exporter{Options: o, registry: registry, metrics: metrics, teams: teams.New(teams.Options{
		RequestTimeout: o.RequestTimeout, MaxBody: o.MaxBody, MaxCalls: o.MaxCalls,
		UserAgent: "chattonic_exporter/" + version.Version, Metrics: metrics, History: o.StatusPage,
	})}
	if o.Source.File != "" {
		e.file = &fileWatch{path: o.Source.File}
	}
	if err := e.load(); err != nil {
		return nil, err
	}
	return e, nil
}

// load reads the configuration and makes it the active one.
func (e *exporter) load() error {
	if e.file != nil {
		e.file.load()
	}
	c, err := e.Load()
	if err == nil {
		err = e.teams.Apply(c)
	}
	e.metrics.ObserveReload(err)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err == nil:
		e.failedSince = time.Time{}
	case e.failedSince.IsZero():
		e.failedSince = time.Now()
	}
	return err
}

// reloadFailed returns since when the configuration could not be loaded, or the zero time.
func (e *exporter) reloadFailed() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failedSince
}

// reload loads the configuration again. One reload runs at a time. All calls that
// wait for it share the next one.
func (e *exporter) reload() error {
	e.mu.Lock()
	if e.next == nil {
		e.next = sync.OnceValue(e.runReload)
	}
	next := e.next
	e.mu.Unlock()
	return next()
}

// runReload waits for the reload that runs, and then reloads. If that fails, it
// logs the error, and the last configuration stays active.
func (e *exporter) runReload() error {
	e.reloading.Lock()
	defer e.reloading.Unlock()
	e.mu.Lock()
	e.next = nil // later calls can be for a later configuration
	e.mu.Unlock()
	if e.shuttingDown.Load() {
		return errors.New("the exporter is shutting down")
	}
	if err := e.load(); err != nil {
		level.Error(e.Logger).Log("msg", "reloading the configuration failed, the last one stays active", "err", err)
		return err
	}
	level.Info(e.Logger).Log("msg", "the configuration was reloaded", "teams", len(e.teams.Codenames()))
	return nil
}

// reloadOnChange reloads on each signal and, with AutoReload, when the configuration file has
// changed, until ctx ends. The channel that it returns is closed after the last reload.
func (e *exporter) reloadOnChange(ctx context.Context, signals <-chan os.Signal) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(watchInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
				_ = e.reload() // it logs its error
			case <-ticker.C:
				if e.AutoReload && e.file != nil && e.file.changed() {
					_ = e.reload()
				}
			}
		}
	}()
	return done
}

// handler returns the HTTP handler.
func (e *exporter) handler() (http.Handler, error) {
	o := web.Options{
		Teams: e.teams, Registry: e.registry, Logger: e.Logger,
		ScrapeTimeout: e.RequestTimeout, TimeoutOffset: e.TimeoutOffset, MaxScrapes: e.MaxScrapes,
		TeamsOnMetrics: e.TeamsOnMetrics, Profiling: e.Profiling, Simulator: e.Simulator, RoutePrefix: e.RoutePrefix,
	}
	if e.MaxScrapes > 0 {
		o.MaxAwaited = maxAwaited
	}
	if e.EnableReload {
		o.Reload = e.reload
	}
	if e.StatusPage {
		o.Status, o.ReloadFailed = e.teams.Status, e.reloadFailed
	}
	return web.New(o)
}

// server returns a server with limits for slow and large requests, also of clients
// without a password.
func (o *Options) server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, MaxHeaderBytes: maxHeader, IdleTimeout: idleTimeout,
		// No scrape takes longer than an API call.
		WriteTimeout: o.RequestTimeout + writeTimeout,
		ErrorLog:     slog.NewLogLogger(o.Slogger.Handler(), slog.LevelDebug),
	}
}

// receiveHangups returns the channel that receives SIGHUP. It does so until stop is
// called, or until the process ends if the channel is Options.Hangups.
func (o *Options) receiveHangups() (hangups chan os.Signal, stop func()) {
	if o.Hangups == nil {
		hangups = make(chan os.Signal, 1)
		signal.Notify(hangups, syscall.SIGHUP)
		return hangups, func() { signal.Stop(hangups) }
	}
	signal.Notify(o.Hangups, syscall.SIGHUP)
	return o.Hangups, func() {
		select {
		case <-o.Hangups: // too late for a reload
		default:
		}
	}
}

// Run serves until ctx ends. Then it answers the scrapes in flight and returns.
func Run(ctx context.Context, o Options) error {
	if err := toolkit.Validate(*o.Listen.WebConfigFile); err != nil {
		return fmt.Errorf("--web.config.file %q: %w", *o.Listen.WebConfigFile, err)
	}
	hangups, stopHangups := o.receiveHangups()
	defer stopHangups()
	e, err := start(o)
	if err != nil {
		return err
	}
	defer e.teams.Close()
	e.registry.MustRegister(goCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	handler, err := e.handler()
	if err != nil {
		return err
	}
	level.Info(o.Logger).Log("msg", "starting", "version", version.Version, "revision", version.GetRevision(), "teams", strings.Join(e.teams.Codenames(), ","))

	// Requests end with their client, and all of them after scrapeShutdownTimeout.
	requests, cancelRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelRequests()
	server := o.server(handler)
	server.BaseContext = func(net.Listener) context.Context { return requests }
	closeUnused(server)
	reloads, stopReloads := context.WithCancel(ctx)
	defer stopReloads()
	reloadsDone := e.reloadOnChange(reloads, hangups)
	if o.Simulated {
		scraping, stopScraping := context.WithCancel(ctx)
		defer e.scrapeItself(scraping)()
		defer stopScraping()
	}
	served := make(chan error, 1)
	go func() { served <- toolkit.ListenAndServe(server, o.Listen, o.Slogger) }()
	select {
	case err := <-served:
		stopReloads()
		<-reloadsDone
		return fmt.Errorf("serving HTTP: %w", err)
	case <-ctx.Done():
	}

	level.Info(o.Logger).Log("msg", "shutting down, answering the scrapes in flight")
	e.shuttingDown.Store(true)
	defer time.AfterFunc(scrapeShutdownTimeout, cancelRequests).Stop()
	shutdown, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err = server.Shutdown(shutdown)
	if err != nil {
		_ = server.Close() // the remaining scrapes have had their time
		err = fmt.Errorf("shutting down: some scrapes were not answered: %w", err)
	}
	<-served //nolint:errcheck // it was shut down on purpose
	select {
	case <-reloadsDone:
	case <-shutdown.Done():
	}
	return err
}

// goCollector returns the collector of the Go runtime. The default one has a gauge
// go_memstats_alloc_bytes and a counter go_memstats_alloc_bytes_total, which OpenMetrics takes
// for one family that comes twice.
func goCollector() prometheus.Collector {
	return collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled(),
		collectors.WithGoCollectorRuntimeMetrics(collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/(gc/heap/(allocs|goal|live):bytes|memory/classes/(heap/objects|heap/unused|total):bytes)$`)}))
}

// demoInterval is the time between two scrapes of a demo by itself.
const demoInterval = 10 * time.Second

// scrapeItself scrapes all teams until ctx ends, so that the pages of a demo have data without
// Prometheus. It returns a function that waits for the end.
func (e *exporter) scrapeItself(ctx context.Context) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(demoInterval)
		defer ticker.Stop()
		for {
			scrape, cancel := context.WithTimeout(ctx, e.RequestTimeout)
			active, release := e.teams.Teams()
			collector.New(scrape, e.Logger, nil, active...).Fetch()
			release()
			cancel()
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return func() { <-done }
}

// closeUnused makes a server that shuts down close the connections without a
// request. net/http would wait up to 5 s for requests that it no longer answers.
func closeUnused(server *http.Server) {
	var mu sync.Mutex
	unused := make(map[net.Conn]struct{})
	closing := false
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case state != http.StateNew:
			delete(unused, conn)
		case closing:
			conn.Close()
		default:
			unused[conn] = struct{}{}
		}
	}
	server.RegisterOnShutdown(func() {
		mu.Lock()
		defer mu.Unlock()
		closing = true
		for conn := range unused {
			conn.Close()
		}
	})
}

// Once writes the metrics of one scrape of all teams to w. It returns an error if
// the scrape of a team failed. It omits go_ and process_ metrics, so that the
// output can be a file next to those of other exporters.
func Once(ctx context.Context, o Options, w io.Writer) error {
	e, err := start(o)
	if err != nil {
		return err
	}
	defer e.teams.Close()
	ctx, cancel := context.WithTimeout(ctx, o.RequestTimeout)
	defer cancel()
	active, release := e.teams.Teams()
	defer release()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector.New(ctx, o.Logger, nil, active...))
	families, err := registry.Gather()
	if err != nil {
		return fmt.Errorf("gathering the metrics: %w", err)
	}
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(w, family); err != nil {
			return fmt.Errorf("writing the metrics: %w", err)
		}
	}
	return down(families)
}

// down returns an error that names the teams with failed API requests, or nil.
func down(families []*dto.MetricFamily) error {
	var teams []string
	for _, family := range families {
		if family.GetName() != "chattonic_up" {
			continue
		}
		for _, m := range family.GetMetric() {
			if m.GetGauge().GetValue() == 0 {
				teams = append(teams, m.GetLabel()[0].GetValue())
			}
		}
	}
	if teams == nil {
		return nil
	}
	return errors.New("API requests failed for these teams: " + strings.Join(teams, ", ") + ": see the log")
}
