// Chattonic_exporter shows what Chat-Tonic's stats API says of contact-centre
// teams as Prometheus metrics.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // calendar windows need time zones where the system has none

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"
	"golang.org/x/term"

	"chattonic_exporter/internal/backfill"
	"chattonic_exporter/internal/check"
	"chattonic_exporter/internal/checkalerts"
	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/npsexport"
	"chattonic_exporter/internal/serve"
	"chattonic_exporter/internal/simulate"
	"chattonic_exporter/internal/usage"
	"chattonic_exporter/internal/web"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", cli.Program, err)
	}
	os.Exit(usage.ExitCode(err))
}

// commands are the options of all commands, as their flags set them.
type commands struct {
	serve       serve.Options
	scrape      serve.Options
	simulate    simulate.Options
	backfill    backfill.Options
	nps         npsexport.Options
	check       check.Options
	checkAlerts checkalerts.Options
	checkConfig string // the file
	healthURL   string
}

// run runs the command that args name until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var c commands
	command, err := cli.Parse(c.app(), args, stdout)
	if err != nil {
		return err
	}
	switch command {
	case "serve":
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
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return web.CheckHealth(ctx, c.healthURL)
	}
	return nil // help or the version was shown
}

func userAgent() string { return cli.Program + "/" + version.Version }

// app declares the commands and their flags.
func (c *commands) app() *kingpin.Application {
	app := kingpin.New(cli.Program, "Prometheus exporter for the stats of Chat-Tonic teams. Look around with --demo. Where there is a single team, its access token may be in the environment variable "+config.TokenVariable+".").
		Version(version.Print(cli.Program))
	app.HelpFlag.Short('h').Help("Show help; after a command, help about that command and its flags.")
	app.VersionFlag.Help("Show the version.")

	c.serve.Flags(app.Command("serve", "Serve metrics.").Default())
	c.scrape.ScrapeFlags(app.Command("scrape", "Print the teams' metrics of one scrape and end."))
	c.simulate.Flags(app.Command("simulate", "Serve a simulated Chat-Tonic API."))
	c.backfill.Flags(app.Command("backfill", "Write a file of the past for Prometheus, as scrapes would have shown it."))
	c.nps.Flags(app.Command("nps-export", "Have Chat-Tonic send an NPS report by e-mail."))

	checks := app.Command("check", "Check a configuration file, or the teams' API.")
	cmd := checks.Command("config", "Check whether a configuration file is valid.")
	cmd.Arg("FILE", "The configuration file.").Required().StringVar(&c.checkConfig)
	c.check.Flags(checks.Command("teams", "Ask each team once, and show what its API answers and what scraping it costs."))
	c.checkAlerts.Flags(checks.Command("alerts", "Ask Prometheus and Alertmanager whether an alert about a queue would reach a person now."))

	cmd = app.Command("healthcheck", "Tell by the exit code whether a running exporter is healthy.")
	url := cmd.Flag("url", "URL of its health page.").Default("http://127.0.0.1:10042/-/healthy")
	url.StringVar(&c.healthURL)
	cli.CheckURL(url)
	return app
}

// withTeams completes o and calls do, with simulated teams where o asks for them.
func withTeams(ctx context.Context, o *serve.Options, stderr io.Writer, do func() error) (err error) {
	o.Load = o.Source.Load
	if o.Logger, o.Slogger, err = o.Log.New(stderr); err != nil {
		return err
	}
	if o.Simulated {
		if o.Source != (config.Flags{}) {
			return usage.Errorf("--demo has teams of its own: leave out --config.file, --chattonic.url, --chattonic.codename, --chattonic.token-file and %s", config.TokenVariable)
		}
		demo, err := simulate.StartDemo(ctx, o.Logger)
		if err != nil {
			return err
		}
		defer demo.Close(ctx)
		o.Load = demo.Load
	}
	return do()
}
