// Package check is the command that asks each team once, and says what comes
// back: whether it can be reached, what its answers hold, how they depart from
// the documented ones, and what scraping it costs. There is the command that
// looks at a configuration file alone, too.
package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"golang.org/x/sync/semaphore"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/collector/exposition"
	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/teams"
	"chattonic_exporter/internal/usage"
)

// few is how many teams are asked at a time: a check is in no hurry.
const few = 4

// The values of Options.Output.
const (
	outputText = "text"
	outputJSON = "json"
)

// Options say what is checked, and how it is said.
type Options struct {
	cli.Client

	// Output is the form of the report: text or json.
	Output string
	// ScrapeInterval is how often a Prometheus server is to scrape, and Servers
	// is how many do: from them follows how many calls that makes.
	ScrapeInterval time.Duration
	Servers        int

	// UserAgent is what requests say they come from.
	UserAgent string
	// Out is where the report goes.
	Out io.Writer
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Flags declares the flags of the command.
func (o *Options) Flags(cmd *kingpin.CmdClause) {
	o.Client.Flags(cmd)
	cmd.Flag("output", "Form of the report: text or json.").Default(outputText).EnumVar(&o.Output, outputText, outputJSON)
	cmd.Flag("scrape-interval", "Scrape interval of a Prometheus server, to tell how many API calls that makes.").Default("60s").DurationVar(&o.ScrapeInterval)
	cmd.Flag("servers", "Number of Prometheus servers that scrape.").Default("1").IntVar(&o.Servers)
}

// Config says that a configuration file is valid, or fails.
func Config(path string, out io.Writer) error {
	c, err := config.Load(path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s is valid, teams: %d\n", path, len(c.Teams))
	return err
}

// Run asks all teams and reports. It fails when not all was read of each, and
// reports nothing when ctx ends before it is done.
func Run(ctx context.Context, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	switch {
	case o.ScrapeInterval <= 0:
		return usage.Errorf("--scrape-interval must be more than 0")
	case o.Servers < 1:
		return usage.Errorf("--servers must be 1 or more")
	}
	c, err := o.Load()
	if err != nil {
		return err
	}
	report := Report{ScrapeIntervalSeconds: o.ScrapeInterval.Seconds(), Servers: o.Servers, Teams: make([]Team, len(c.Teams))}
	calls, teams := semaphore.NewWeighted(o.MaxCalls), semaphore.NewWeighted(few)
	var asking sync.WaitGroup
	for i, t := range c.Teams {
		if teams.Acquire(ctx, 1) != nil {
			break
		}
		asking.Go(func() {
			defer teams.Release(1)
			report.Teams[i] = o.team(ctx, t, calls)
		})
	}
	asking.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("checking the teams: %w before all were asked", context.Cause(ctx))
	}
	failed := report.sum()
	if err := o.write(&report); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if failed != nil {
		return errors.New("not all was read of " + strings.Join(failed, ", ") + "; the report says why")
	}
	return nil
}

func (o *Options) write(r *Report) error {
	if o.Output == outputJSON {
		encoder := json.NewEncoder(o.Out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(r)
	}
	_, err := io.WriteString(o.Out, r.text())
	return err
}

// team asks a team.
func (o *Options) team(ctx context.Context, t config.Team, limit *semaphore.Weighted) Team {
	client, httpClient, err := teams.NewClient(t, o.UserAgent, chattonic.WithMaxBody(o.MaxBody), chattonic.WithClock(o.Now))
	if err != nil {
		return failedTeam(t, err)
	}
	defer httpClient.CloseIdleConnections()
	recorded := &recorder{api: client, options: o, limit: limit, calls: make(map[asked]call)}
	team := collector.NewTeam(teams.Settings(t, recorded))
	answers := collector.New(ctx, log.NewNopLogger(), o.Now, team).Ask()
	series, err := count(answers)
	if err != nil {
		return failedTeam(t, err)
	}
	return o.judge(t, recorded.calls, series)
}

// count returns how many series the answers make.
func count(answers collector.Answers) (int, error) {
	var page lines
	w := exposition.NewWriter(&page, false)
	defer w.Close()
	for _, family := range answers.Families() {
		family.Write(w)
	}
	err := w.Flush()
	return page.samples, err
}

// lines counts the lines of a page that are samples.
type lines struct {
	samples int
	within  bool // a line has begun
}

func (l *lines) Write(p []byte) (int, error) {
	for _, c := range p {
		if !l.within && c != '#' && c != '\n' {
			l.samples++
		}
		l.within = c != '\n'
	}
	return len(p), nil
}

// asked is what a call asks for.
type asked struct {
	endpoint chattonic.Endpoint
	window   string
}

// call is the outcome of a call.
type call struct {
	window  chattonic.Window
	latency time.Duration
	answer  chattonic.Answer // nil if there is an error
	err     error
}

// recorder reads from an API and records the calls.
type recorder struct {
	api     collector.API
	options *Options
	limit   *semaphore.Weighted

	mu    sync.Mutex
	calls map[asked]call
}

// Read makes a call.
func (r *recorder) Read(ctx context.Context, e chattonic.Endpoint, w chattonic.Window) (chattonic.Answer, error) {
	made := call{window: w}
	if made.err = r.limit.Acquire(ctx, 1); made.err == nil {
		defer r.limit.Release(1)
		ctx, cancel := context.WithTimeout(ctx, r.options.RequestTimeout)
		defer cancel()
		start := r.options.Now()
		made.answer, made.err = r.api.Read(ctx, e, w)
		made.latency = r.options.Now().Sub(start)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[asked{e, w.Name}] = made
	return made.answer, made.err
}
