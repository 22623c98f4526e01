// Package backfill implements the command that requests past windows from the API
// and writes an OpenMetrics file with the samples that scrapes would have had then.
// promtool turns the file into blocks for Prometheus.
//
// The file omits metrics that describe the present, the exporter or its
// configuration: see collector.Metric.Current.
//
// Each metric is one block of lines, sorted by time. OpenMetrics asks for the
// samples of each series together; promtool accepts both orders.
package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"golang.org/x/term"

	"chattonic_exporter/collector"
	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/usage"
)

// Options are the settings of the command.
type Options struct {
	cli.Client
	// Log holds the flags for logging.
	Log cli.Log

	// Start is the time of the first samples, and End the latest time of the last
	// samples. Both are RFC 3339 with whole seconds, or a date, which means the
	// start of that day in the time zone of the teams.
	Start, End string
	// Step is the interval between samples in whole seconds, such as 5m or 1d.
	Step string
	// Codenames and Windows select teams and windows; empty means all configured
	// ones.
	Codenames, Windows []string
	// Output is the file to write. It must not exist.
	Output string
	// Rate is the maximum number of API calls per second.
	Rate float64
	// MaxWait is how long the run waits for an API that fails temporarily, counted
	// from the first failure without a success since. With 0 it does not wait.
	MaxWait time.Duration
	// DryRun prints an estimate, for which it requests one step only.
	DryRun bool
	// Resume continues an interrupted run.
	Resume bool

	// UserAgent is the User-Agent header of requests.
	UserAgent string
	// Logger receives warnings, and progress if Progress is not a terminal.
	Logger log.Logger
	// Out receives the result. Progress receives the progress line if it is a
	// terminal.
	Out, Progress io.Writer
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// saveEvery is the interval between saves of the journal.
	saveEvery time.Duration
}

// saveEvery is the default interval between saves. It limits how much work a kill
// loses, and keeps the time spent on syncing files small.
const saveEvery = 2 * time.Second

// Flags declares the flags of the command.
func (o *Options) Flags(cmd *kingpin.CmdClause) {
	o.Client.Flags(cmd)
	o.Log.Flags(cmd)
	cmd.Flag("start", "Time of the first samples, in RFC 3339 or as a date, which means the start of that day in the time zone of the teams. Required.").PlaceHolder("TIME").StringVar(&o.Start)
	cmd.Flag("end", "Latest time of the last samples, in RFC 3339 or as a date, which means the start of that day. Required.").PlaceHolder("TIME").StringVar(&o.End)
	cmd.Flag("step", "Interval between samples, in whole seconds. Graphs have gaps if it is longer than 5m, the lookback of Prometheus.").Default("5m").StringVar(&o.Step)
	cmd.Flag("team", "Codename of a team. May be repeated. Default: all teams.").PlaceHolder("CODENAME").StringsVar(&o.Codenames)
	cmd.Flag("window", "Name of a window. May be repeated. Default: all windows. Metrics without the label window are exported only with the team's first window.").PlaceHolder("WINDOW").StringsVar(&o.Windows)
	cmd.Flag("output", "File to write. Required unless --dry-run is set. Until it is complete, the data is in the directory FILE.partial. The file omits metrics that describe the present, the exporter or its configuration: "+
		strings.Join(presentMetrics(), ", ")+".").PlaceHolder("FILE").StringVar(&o.Output)
	cmd.Flag("rate", "Maximum number of API calls per second, not counting retries.").Default("5").Float64Var(&o.Rate)
	cmd.Flag("max-wait", "Maximum time without a successful API call. After HTTP 429 or 5xx, a timeout or a failed connection, the command waits as long as Retry-After says, or increasingly long without it. 0 does not wait.").Default("1h").DurationVar(&o.MaxWait)
	cmd.Flag("dry-run", "Print the number of API calls and samples and the duration, and write nothing. Requests one step to estimate the size. Default: off.").BoolVar(&o.DryRun)
	cmd.Flag("resume", "Continue an interrupted run that had the same flags. Default: off.").BoolVar(&o.Resume)
}

// presentMetrics returns the names of the team metrics that the file omits.
func presentMetrics() (names []string) {
	for _, m := range collector.Metrics() {
		if m.Current {
			names = append(names, m.Name)
		}
	}
	return names
}

// Run fetches all steps and writes the file. If it fails after the first step, it
// keeps the finished steps for a run with Resume.
func Run(ctx context.Context, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.saveEvery == 0 {
		o.saveEvery = saveEvery
	}
	c, err := o.Load()
	if err != nil {
		return err
	}
	p, err := o.plan(c)
	if err != nil {
		return err
	}
	if !(o.Rate >= minRate) {
		return usage.Errorf("--rate %g is too low: use %g calls per second or more", o.Rate, minRate)
	}
	if o.MaxWait < 0 {
		return usage.Errorf("--max-wait %s is negative: use 0 or more", o.MaxWait)
	}
	f, err := newFetcher(o, p)
	if err != nil {
		return err
	}
	defer f.close()
	if o.DryRun {
		return o.estimate(ctx, p, f)
	}
	w, err := openWorkDir(o.Output, p.settings, o.Resume)
	if err != nil {
		return err
	}
	defer w.close()
	if w.complete {
		return o.cleanUp(w)
	}
	if err := o.fetchAll(ctx, p, f, w); err != nil {
		return err
	}
	if err := w.publish(); err != nil {
		return fmt.Errorf("%w, then run again with --resume: all steps are done", err)
	}
	_, err = fmt.Fprintf(o.Out, "Wrote %d samples to %s. To create blocks for Prometheus, run promtool tsdb create-blocks-from openmetrics.\n", w.Samples, o.Output)
	return err
}

// cleanUp removes the working directory of a run that was killed after it had written
// the output.
func (o *Options) cleanUp(w *workDir) error {
	if err := w.remove(); err != nil {
		return fmt.Errorf("%w, then run again with --resume", err)
	}
	samples := ""
	if w.Samples > 0 { // it is in the journal, which may be removed
		samples = fmt.Sprintf(", with %d samples", w.Samples)
	}
	_, err := fmt.Fprintf(o.Out, "%s is complete already%s. Removed the working directory of the earlier run.\n", o.Output, samples)
	return err
}

// fetchAll fetches the steps that are not in the working directory yet.
func (o *Options) fetchAll(ctx context.Context, p *plan, f *fetcher, w *workDir) error {
	shown := newProgress(o, w.Done, p.steps)
	f.called, f.waits.started = shown.callDone, shown.waitStarted
	defer shown.end()
	saved := time.Now()
	for w.Done < p.steps {
		families, err := f.fetch(ctx, p.at(w.Done))
		if err != nil {
			return stopped(ctx, p, w, err)
		}
		if err := w.add(families); err != nil {
			return fmt.Errorf("%w, then run again with --resume", err)
		}
		if time.Since(saved) >= o.saveEvery {
			if err := w.save(); err != nil {
				return fmt.Errorf("%w, then run again with --resume", err)
			}
			saved = time.Now()
		}
		shown.stepDone(w.Done)
	}
	if err := w.save(); err != nil {
		return fmt.Errorf("%w, then run again with --resume", err)
	}
	return nil
}

// stopped saves the finished steps of a run that failed with err, and returns the
// error of the run.
func stopped(ctx context.Context, p *plan, w *workDir, err error) error {
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if w.Done == 0 {
		return errors.Join(err, w.remove())
	}
	if failed := w.save(); failed != nil {
		return errors.Join(err, fmt.Errorf("%w, then run again with --resume", failed))
	}
	return fmt.Errorf("%w: %d of %d steps are done: --resume continues from there", err, w.Done, p.steps)
}

// estimate prints the size of the run. It requests one step, the last with the
// most windows, to count its samples.
func (o *Options) estimate(ctx context.Context, p *plan, f *fetcher) error {
	shown := newProgress(o, 0, 1)
	shown.out = nil // a wait is logged
	f.waits.started = shown.waitStarted
	families, err := f.fetch(ctx, p.at(p.fullest))
	if err != nil {
		return err
	}
	samples, size := 0, 0
	for _, metric := range families {
		samples, size = samples+metric.samples, size+len(metric.lines)
	}
	calls, measured := p.totalCalls(), p.calls(p.fullest)
	ratio := float64(calls) / float64(measured)
	_, err = fmt.Fprintf(o.Out, `%d steps from %s to %s, every %s, for %d teams.
%d API calls, which take at least %s at %g calls per second.
About %d samples and %.1f MB, and twice that disk space during the run. This estimate made %d API calls for one step.
`, p.steps, p.at(0).Format(time.RFC3339), p.at(p.steps-1).Format(time.RFC3339), o.Step, len(p.teams),
		calls, seconds(float64(calls)/o.Rate), o.Rate, int(float64(samples)*ratio), float64(size)*ratio/1e6, measured)
	return err
}

// seconds returns n seconds as a duration. It limits values that would overflow.
func seconds(n float64) time.Duration {
	const most = 1e9 // 30 years
	return time.Duration(min(n, most) * float64(time.Second)).Round(time.Second)
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
