// Package check is the command that requests the statistics of each team once
// and reports whether the API answers, what the answers contain, how they
// differ from the documented format, and how many calls scraping needs. It
// also has the command that checks a configuration file.
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

// maxTeams is the maximum number of teams that are checked concurrently.
const maxTeams = 4

// The values of Options.Output.
const (
	outputText = "text"
	outputJSON = "json"
)

// Options configure the check.
type Options struct {
	cli.Client

	// Output is the format of the report: text or json.
	Output string
	// ScrapeInterval is the scrape interval of a Prometheus server, and Servers is
	// the number of servers. The number of API calls depends on them.
	ScrapeInterval time.Duration
	Servers        int

	// UserAgent is the User-Agent header of requests.
	UserAgent string
	// Out receives the report.
	Out io.Writer
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Flags declares the flags of the command.
func (o *Options) Flags(cmd *kingpin.CmdClause) {
	o.Client.Flags(cmd)
	cmd.Flag("output", "Format of the report: text or json.").Default(outputText).EnumVar(&o.Output, outputText, outputJSON)
	cmd.Flag("scrape-interval", "Scrape interval of a Prometheus server, to calculate the number of API calls.").Default("60s").DurationVar(&o.ScrapeInterval)
	cmd.Flag("servers", "Number of Prometheus servers that scrape, to calculate the number of API calls.").Default("1").IntVar(&o.Servers)
}

// Config checks a configuration file and prints whether it is valid.
func Config(path string, out io.Writer) error {
	c, err := config.Load(path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s is valid, teams: %d\n", path, len(c.Teams))
	return err
}

// Run requests the statistics of all teams and writes the report. It returns
// an error if an API request failed. If ctx ends early, it writes no report.
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
	calls, teams := semaphore.NewWeighted(o.MaxCalls), semaphore.NewWeighted(maxTeams)
	var running sync.WaitGroup
	for i, t := range c.Teams {
		if teams.Acquire(ctx, 1) != nil {
			break
		}
		running.Go(func() {
			defer teams.Release(1)
			report.Teams[i] = o.team(ctx, t, calls)
		})
	}
	running.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("checking the teams: %w before all had answered", context.Cause(ctx))
	}
	failed := report.sum()
	if err := o.write(&report); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if failed != nil {
		return errors.New("API requests failed for these teams: " + strings.Join(failed, ", ") + ": see the report")
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

// team checks a team.
func (o *Options) team(ctx context.Context, t config.Team, limit *semaphore.Weighted) Team {
	client, httpClient, err := teams.NewClient(t, o.UserAgent, chattonic.WithMaxBody(o.MaxBody), chattonic.WithClock(o.Now))
	if err != nil {
		return failedTeam(t, err)
	}
	defer httpClient.CloseIdleConnections()
	recorded := &recorder{api: client, options: o, limit: limit, calls: make(map[callKey]call)}
	team := collector.NewTeam(teams.Settings(t, recorded))
	answers := collector.New(ctx, log.NewNopLogger(), o.Now, team).Fetch()
	series, err := count(answers)
	if err != nil {
		return failedTeam(t, err)
	}
	return o.summarize(t, recorded.calls, series)
}

// count returns the number of series of the answers.
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

// lines counts the samples on a page.
type lines struct {
	samples int
	inLine  bool // the line has begun
}

func (l *lines) Write(p []byte) (int, error) {
	for _, c := range p {
		if !l.inLine && c != '#' && c != '\n' {
			l.samples++
		}
		l.inLine = c != '\n'
	}
	return len(p), nil
}

// callKey identifies a call.
type callKey struct {
	endpoint chattonic.Endpoint
	window   string
}

// call is the result of a call.
type call struct {
	window  chattonic.Window
	latency time.Duration
	answer  chattonic.Answer // nil if there is an error
	err     error
}

// recorder is an API that records the calls.
type recorder struct {
	api     collector.API
	options *Options
	limit   *semaphore.Weighted

	mu    sync.Mutex
	calls map[callKey]call
}

// Read makes a call.
func (r *recorder) Read(ctx context.Context, e chattonic.Endpoint, w chattonic.Window) (chattonic.Answer, error) {
	result := call{window: w}
	if result.err = r.limit.Acquire(ctx, 1); result.err == nil {
		defer r.limit.Release(1)
		ctx, cancel := context.WithTimeout(ctx, r.options.RequestTimeout)
		defer cancel()
		start := r.options.Now()
		result.answer, result.err = r.api.Read(ctx, e, w)
		result.latency = r.options.Now().Sub(start)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[callKey{e, w.Name}] = result
	return result.answer, result.err
}
