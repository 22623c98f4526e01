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
	"golang.org/x/term"

	"chattonic_exporter/internal/backfill"
	"chattonic_exporter/internal/check"
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
		os.Exit(check.ExitCode(err))
	}
}

// flags are the values of all flags.
type flags struct {
	teams               config.Flags
	logLevel, logFormat string
	maxBody             units.Base2Bytes
	demo, once, reload  bool

	server    serve.Options
	simulate  simulate.Options
	nps       npsexport.Options
	backfill  backfill.Options
	check     check.Options
	checked   string
	healthURL string
}

// run runs the command that args name until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := &flags{teams: config.Flags{Token: os.Getenv(tokenVariable)}}
	app := f.app()
	app.UsageWriter(stdout).ErrorWriter(stderr)
	shown := false // the help or the version
	app.Terminate(func(int) { shown = true })
	command, err := app.Parse(args)
	if shown {
		return nil
	}
	if err != nil {
		return check.Usage(app, args, fmt.Errorf("%w: see %s --help", err, program))
	}
	if err := f.complete(stderr); err != nil {
		return check.Usage(app, args, err)
	}
	switch command {
	case "backfill":
		o := f.backfill
		o.Load, o.Timeout, o.MaxBody, o.MaxCalls = f.teams.Load, f.server.RequestTimeout, f.server.MaxBody, f.server.MaxCalls
		o.Logger, o.Out, o.Progress, o.UserAgent = f.server.Logger, stdout, stderr, userAgent()
		return backfill.Run(ctx, o)
	case "simulate":
		f.simulate.Out = stdout
		return simulate.Run(ctx, f.simulate)
	case "nps-export":
		return f.exportNPS(ctx, stdout)
	case "check":
		o := f.check
		o.Load, o.Out, o.UserAgent, o.Timeout, o.MaxBody, o.MaxCalls = f.teams.Load, stdout, userAgent(), f.server.RequestTimeout, f.server.MaxBody, f.server.MaxCalls
		return check.Run(ctx, o)
	case "check-config":
		return check.Config(f.checked, stdout)
	case "healthcheck":
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return web.CheckHealth(ctx, f.healthURL)
	}
	return f.serve(ctx, stdout)
}

func userAgent() string { return program + "/" + version.Version }

// app declares the commands and flags. Each flag is an environment variable,
// too: --chattonic.url is CHATTONIC_EXPORTER_CHATTONIC_URL.
func (f *flags) app() *kingpin.Application {
	app := kingpin.New(program, "Prometheus exporter for the stats of Chat-Tonic teams. Look around with --demo; serve --help has all flags of the server.").DefaultEnvars().Version(version.Print(program))
	app.HelpFlag.Short('h').NoEnvar()
	app.VersionFlag.NoEnvar() // which may hold a version where an image names it so
	app.Flag("config.file", "YAML file that names the teams.").StringVar(&f.teams.File)
	app.Flag("chattonic.url", "Base URL of the API, for one team without a file.").StringVar(&f.teams.URL)
	app.Flag("chattonic.codename", "Codename of the one team.").StringVar(&f.teams.Codename)
	app.Flag("chattonic.token-file", "File with the access token of the one team. The token itself may be in "+tokenVariable+".").StringVar(&f.teams.TokenFile)
	app.Flag("chattonic.request-timeout", "Ends a call to the API, which may outlive the scrape that began it.").Default("30s").DurationVar(&f.server.RequestTimeout)
	app.Flag("chattonic.max-body-size", "Size beyond which an answer is refused.").Default("64MiB").BytesVar(&f.maxBody)
	app.Flag("chattonic.max-calls", "Calls to the API at a time.").Default("100").Int64Var(&f.server.MaxCalls)
	app.Flag("log.level", "Least level of what is logged: "+strings.Join(logging.Levels, ", ")+".").Default("info").EnumVar(&f.logLevel, logging.Levels...)
	app.Flag("log.format", "Format of log lines: "+strings.Join(logging.Formats, ", ")+".").Default("logfmt").EnumVar(&f.logFormat, logging.Formats...)

	cmd := app.Command("serve", "Serve metrics; this is the default.").Default()
	f.server.Flags(cmd)
	cmd.Flag("web.enable-reload", "Serve POST /-/reload. SIGHUP reloads in any case.").Default("true").BoolVar(&f.reload)
	cmd.Flag("demo", "Serve simulated teams.").BoolVar(&f.demo)
	cmd.Flag("once", "Print the teams' metrics of one scrape and end.").BoolVar(&f.once)

	cmd = app.Command("simulate", "Serve a simulated Chat-Tonic API.")
	f.simulate.Flags(cmd)

	cmd = app.Command("nps-export", "Have Chat-Tonic send an NPS report by e-mail.")
	f.nps.Flags(cmd)

	cmd = app.Command("backfill", "Write a file of the past for Prometheus, as scrapes would have shown it.")
	f.backfill.Flags(cmd)

	cmd = app.Command("check", "Ask each team once, and say what its API answers and what scraping it costs.")
	f.check.Flags(cmd)

	cmd = app.Command("check-config", "Say whether a configuration file is valid.")
	cmd.Arg("file", "The file.").Required().StringVar(&f.checked)

	cmd = app.Command("healthcheck", "Say by the exit code whether a running exporter is healthy.")
	cmd.Flag("url", "Its health page.").Default("http://127.0.0.1:10042/-/healthy").StringVar(&f.healthURL)
	return app
}

// complete checks and fills in what several commands have in common.
func (f *flags) complete(stderr io.Writer) (err error) {
	o := &f.server
	o.MaxBody = int64(f.maxBody)
	if o.RequestTimeout <= 0 || o.MaxBody <= 0 || o.MaxCalls <= 0 {
		return errors.New("--chattonic.request-timeout, --chattonic.max-body-size and --chattonic.max-calls must be more than 0")
	}
	o.Logger, o.Slogger, err = logging.New(stderr, f.logLevel, f.logFormat)
	return err
}

func (f *flags) serve(ctx context.Context, stdout io.Writer) error {
	o := f.server
	o.Load, o.NoReload, o.Simulated = f.teams.Load, !f.reload, f.demo
	if f.demo {
		if f.teams != (config.Flags{}) {
			return errors.New("--demo has teams of its own: leave out --config.file, --chattonic.* and " + tokenVariable)
		}
		demo, err := simulate.StartDemo(ctx, o.Logger)
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
	c, err := f.teams.Load()
	if err != nil {
		return err
	}
	o := f.nps
	o.Teams, o.Out, o.Timeout, o.UserAgent = c.Teams, stdout, f.server.RequestTimeout, userAgent()
	if term.IsTerminal(int(os.Stdin.Fd())) {
		o.In = os.Stdin
	}
	return npsexport.Run(ctx, o)
}
