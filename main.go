// Chattonic_exporter shows what Chat-Tonic's stats API says of contact-centre
// teams as Prometheus metrics.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // calendar windows need time zones where the system has none

	"github.com/alecthomas/kingpin/v2"
	"github.com/alecthomas/units"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"
	"golang.org/x/term"

	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/logging"
	"chattonic_exporter/internal/npsexport"
	"chattonic_exporter/internal/serve"
	"chattonic_exporter/internal/simulate"
	"chattonic_exporter/internal/web"
)

const (
	program = "chattonic_exporter"
	// tokenVariable holds an access token: an argument would be seen in the
	// list of processes.
	tokenVariable = "CHATTONIC_EXPORTER_TOKEN"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
		os.Exit(1)
	}
}

// flags are the values of all flags.
type flags struct {
	configFile          string
	single              config.Flags
	logLevel, logFormat string
	maxBody             units.Base2Bytes
	demo, once, reload  bool

	server    serve.Options
	simulate  simulate.Options
	nps       npsexport.Options
	checked   string
	healthURL string
}

// run runs the command that args name until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := &flags{single: config.Flags{Token: os.Getenv(tokenVariable)}}
	app := f.app()
	app.UsageWriter(stdout).ErrorWriter(stderr)
	shown := false // the help or the version
	app.Terminate(func(int) { shown = true })
	command, err := app.Parse(args)
	if shown {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: see %s --help", err, program)
	}
	switch command {
	case "simulate":
		f.simulate.Out = stdout
		return simulate.Run(ctx, f.simulate)
	case "nps-export":
		return f.exportNPS(ctx, stdout)
	case "check-config":
		c, err := config.Load(f.checked)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(stdout, "%s is valid, teams: %d\n", f.checked, len(c.Teams))
		return err
	case "healthcheck":
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return web.CheckHealth(ctx, f.healthURL)
	}
	return f.serve(ctx, stdout, stderr)
}

// app declares the commands and flags. Each flag is an environment variable,
// too: --chattonic.url is CHATTONIC_EXPORTER_CHATTONIC_URL.
func (f *flags) app() *kingpin.Application {
	app := kingpin.New(program, "Prometheus exporter for the stats of Chat-Tonic teams. Look around with --demo; serve --help has all flags of the server.").DefaultEnvars().Version(version.Print(program))
	app.HelpFlag.Short('h').NoEnvar()
	app.VersionFlag.NoEnvar() // which may hold a version where an image names it so
	app.Flag("config.file", "YAML file that names the teams.").StringVar(&f.configFile)
	app.Flag("chattonic.url", "Base URL of the API, for one team without a file.").StringVar(&f.single.URL)
	app.Flag("chattonic.codename", "Codename of the one team.").StringVar(&f.single.Codename)
	app.Flag("chattonic.token-file", "File with the access token of the one team. The token itself may be in "+tokenVariable+".").StringVar(&f.single.TokenFile)
	app.Flag("chattonic.request-timeout", "Ends a call to the API, which may outlive the scrape that began it.").Default("30s").DurationVar(&f.server.RequestTimeout)
	app.Flag("chattonic.max-body-size", "Size beyond which an answer is refused.").Default("64MiB").BytesVar(&f.maxBody)
	app.Flag("chattonic.max-calls", "Calls to the API at a time.").Default("100").Int64Var(&f.server.MaxCalls)
	app.Flag("log.level", "Least level of what is logged: "+strings.Join(logging.Levels, ", ")+".").Default("info").EnumVar(&f.logLevel, logging.Levels...)
	app.Flag("log.format", "Format of log lines: "+strings.Join(logging.Formats, ", ")+".").Default("logfmt").EnumVar(&f.logFormat, logging.Formats...)

	cmd := app.Command("serve", "Serve metrics; this is the default.").Default()
	f.server.Listen = kingpinflag.AddFlags(cmd, ":10042")
	cmd.Flag("web.teams-on-metrics", "Show the teams on /metrics. Switch it off where each is scraped through /probe.").Default("true").BoolVar(&f.server.TeamsOnMetrics)
	cmd.Flag("web.max-scrapes", "Scrapes at a time, beyond which /metrics and /probe answer 503; 0 for any number.").Default("256").Int64Var(&f.server.MaxScrapes)
	cmd.Flag("web.enable-reload", "Serve POST /-/reload. SIGHUP reloads in any case.").Default("true").BoolVar(&f.reload)
	cmd.Flag("web.enable-pprof", "Serve profiles at /debug/pprof/.").BoolVar(&f.server.Profiling)
	cmd.Flag("scrape.timeout-offset", "How long before Prometheus's own timeout a scrape is answered.").Default("500ms").DurationVar(&f.server.TimeoutOffset)
	cmd.Flag("demo", "Serve simulated teams.").BoolVar(&f.demo)
	cmd.Flag("once", "Print the teams' metrics of one scrape and end.").BoolVar(&f.once)

	cmd = app.Command("simulate", "Serve a simulated Chat-Tonic API.")
	f.simulate.Flags(cmd)

	cmd = app.Command("nps-export", "Have Chat-Tonic send an NPS report by e-mail.")
	f.nps.Flags(cmd)

	cmd = app.Command("check-config", "Say whether a configuration file is valid.")
	cmd.Arg("file", "The file.").Required().StringVar(&f.checked)

	cmd = app.Command("healthcheck", "Say by the exit code whether a running exporter is healthy.")
	cmd.Flag("url", "Its health page.").Default("http://127.0.0.1:10042/-/healthy").StringVar(&f.healthURL)
	return app
}

// load reads the configuration, from the file or the flags of one team.
func (f *flags) load() (*config.Config, error) {
	single := f.single != (config.Flags{})
	switch {
	case f.configFile != "" && single:
		return nil, errors.New("--config.file goes without --chattonic.url, --chattonic.codename, --chattonic.token-file and " + tokenVariable)
	case f.configFile != "":
		return config.Load(f.configFile)
	case single:
		return config.Single(f.single)
	}
	return nil, errors.New("there is no team to ask: name one with --chattonic.url, --chattonic.codename and --chattonic.token-file, or several with --config.file; or look around with --demo")
}

func (f *flags) serve(ctx context.Context, stdout, stderr io.Writer) error {
	logger, slogger, err := logging.New(stderr, f.logLevel, f.logFormat)
	if err != nil {
		return err
	}
	o := f.server
	if o.RequestTimeout <= 0 || f.maxBody <= 0 || o.MaxCalls <= 0 {
		return errors.New("--chattonic.request-timeout, --chattonic.max-body-size and --chattonic.max-calls must be more than 0")
	}
	if o.MaxScrapes < 0 {
		return errors.New("--web.max-scrapes must be 0, for any number, or more")
	}
	o.Load, o.MaxBody, o.NoReload, o.Simulated, o.Logger, o.Slogger = f.load, int64(f.maxBody), !f.reload, f.demo, logger, slogger
	if f.demo {
		if f.configFile != "" || f.single != (config.Flags{}) {
			return errors.New("--demo has teams of its own: leave out --config.file, --chattonic.* and " + tokenVariable)
		}
		demo, err := simulate.StartDemo(ctx, logger)
		if err != nil {
			return err
		}
		defer demo.Close(ctx)
		o.Load = demo.Load
	}
	if f.once {
		return serve.Once(ctx, o, stdout)
	}
	return serve.Run(ctx, o)
}

func (f *flags) exportNPS(ctx context.Context, stdout io.Writer) error {
	c, err := f.load()
	if err != nil {
		return err
	}
	o := f.nps
	o.Teams, o.Out, o.Timeout, o.UserAgent = c.Teams, stdout, f.server.RequestTimeout, program+"/"+version.Version
	if term.IsTerminal(int(os.Stdin.Fd())) {
		o.In = os.Stdin
	}
	return npsexport.Run(ctx, o)
}
