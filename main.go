// Chattonic_exporter is a Prometheus exporter for the stats API of Chat-Tonic, a
// chat platform for contact centres.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // for systems without time zone data

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"
	"golang.org/x/term"

	"chattonic_exporter/internal/backfill"
	"chattonic_exporter/internal/check"
	"chattonic_exporter/internal/checkalerts"
	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/hangup"
	"chattonic_exporter/internal/healthcheck"
	"chattonic_exporter/internal/npsexport"
	"chattonic_exporter/internal/serve"
	"chattonic_exporter/internal/simulate"
	"chattonic_exporter/internal/usage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", cli.Program, err)
	}
	os.Exit(usage.ExitCode(err))
}

// commands holds the options of all commands. The flags set them.
type commands struct {
	serve       serve.Options
	scrape      serve.Options
	simulate    simulate.Options
	backfill    backfill.Options
	nps         npsexport.Options
	check       check.Options
	checkAlerts checkalerts.Options
	checkConfig string // path of the file
	health      healthcheck.Options
}

// run runs the command in args until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c commands
	command, err := cli.Parse(c.app(), args, stdout)
	if err != nil {
		return err
	}
	if command != "serve" {
		if err := hangup.Restore(); err != nil {
			return err
		}
	}
	switch command {
	case "serve":
		c.serve.Hangups = hangup.Signals
		return withTeams(ctx, &c.serve, stderr, func() error { return serve.Run(ctx, c.serve) })
	case "scrape":
		return withTeams(ctx, &c.scrape, stderr, func() error { return serve.Once(ctx, c.scrape, stdout) })
	case "simulate":
		c.simulate.Out = stdout
		return simulate.Run(ctx, c.simulate)
	case "backfill":
		o := c.backfill
		o.Load, o.Out, o.Progress, o.UserAgent = o.Source.Load, stdout, stderr, userAgent()
		if o.Logger, _, err = o.Log.New(stderr); err != nil {
			return err
		}
		return backfill.Run(ctx, o)
	case "nps-export":
		o := c.nps
		o.Load, o.Out, o.UserAgent = o.Source.Load, stdout, userAgent()
		if term.IsTerminal(int(os.Stdin.Fd())) {
			o.In = os.Stdin
		}
		return npsexport.Run(ctx, o)
	case "check config":
		return check.Config(c.checkConfig, stdout)
	case "check teams":
		o := c.check
		o.Load, o.Out, o.UserAgent = o.Source.Load, stdout, userAgent()
		return check.Run(ctx, o)
	case "check alerts":
		o := c.checkAlerts
		o.Out, o.Progress, o.UserAgent = stdout, stderr, userAgent()
		return checkalerts.Run(ctx, o)
	case "healthcheck":
		return healthcheck.Run(ctx, c.health)
	}
	return nil // help or the version has been printed
}

func userAgent() string { return cli.Program + "/" + version.Version }

// app declares the commands and their flags.
func (c *commands) app() *kingpin.Application {
	app := kingpin.New(cli.Program, "Prometheus exporter for Chat-Tonic teams. Try it with --demo. The access token of a single team can be in the environment variable "+config.TokenVariable+".").
		Version(version.Print(cli.Program))
	app.HelpFlag.Short('h').Help("Show help. After a command: show its flags.")
	app.VersionFlag.Help("Show the version.")

	c.serve.Flags(app.Command("serve", "Serve metrics.").Default())
	c.scrape.ScrapeFlags(app.Command("scrape", "Print the metrics of one scrape."))
	c.simulate.Flags(app.Command("simulate", "Serve a simulated Chat-Tonic API."))
	c.backfill.Flags(app.Command("backfill", "Write past samples from the API to a file for Prometheus."))
	c.nps.Flags(app.Command("nps-export", "Request an NPS report, which Chat-Tonic sends by e-mail."))

	checks := app.Command("check", "Check a configuration file, or the API of the teams.")
	cmd := checks.Command("config", "Check a configuration file.")
	cmd.Arg("FILE", "The configuration file.").Required().StringVar(&c.checkConfig)
	c.check.Flags(checks.Command("teams", "Request the statistics of each team once. Show what the API answers and how many calls scraping needs."))
	c.checkAlerts.Flags(checks.Command("alerts", "Ask Prometheus and Alertmanager whether an alert about a queue would reach a person now."))

	c.health.Flags(app.Command("healthcheck", "Check whether a running exporter is healthy. The exit code is 0 if it is."))
	return app
}

// withTeams sets the loggers and the source of the teams in o, and calls do. With
// --demo the teams are simulated.
func withTeams(ctx context.Context, o *serve.Options, stderr io.Writer, do func() error) (err error) {
	o.Load = o.Source.Load
	if o.Logger, o.Slogger, err = o.Log.New(stderr); err != nil {
		return err
	}
	if o.Simulated {
		if o.Source != (config.Flags{}) {
			return usage.Errorf("--demo uses simulated teams: remove --config.file, --chattonic.url and the other flags of a single team, and %s", config.TokenVariable)
		}
		demo, err := simulate.StartDemo(ctx, o.Logger)
		if err != nil {
			return err
		}
		defer demo.Close(ctx)
		o.Load, o.Simulator = demo.Load, demo.Control
	}
	return do()
}
