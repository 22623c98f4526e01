// Package backfill is the command that asks for windows of the past, and writes
// what scrapes would have shown then into a file that Prometheus's promtool makes
// blocks of.
//
// What is left out is what the API tells of the present alone, and what the
// exporter says of itself and of its configuration: collector.Metric.Present.
//
// The file has the syntax of OpenMetrics, each metric in one piece. Within it the
// samples are in the order of time, while OpenMetrics would have those of each
// series together; promtool takes either.
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

// Options say what is asked for and where it goes.
type Options struct {
	cli.Client
	// Log says what is logged, and how.
	Log cli.Log

	// Start and End are the times of the first sample and of the last at the
	// latest, in whole seconds: as RFC 3339, or as a date, whose first instant in
	// the time zone of the teams is meant.
	Start, End string
	// Step is the time from one sample to the next, such as 5m or 1d, in whole
	// seconds.
	Step string
	// Codenames and Windows are the teams and windows to ask for; none means all
	// that are configured.
	Codenames, Windows []string
	// Output is the file to write. It must not exist.
	Output string
	// Rate is the number of calls to the API in a second.
	Rate float64
	// DryRun has the command say what it would do, for which it asks for the last
	// step alone.
	DryRun bool
	// Resume goes on where a run that was broken off had come to.
	Resume bool

	// UserAgent is what requests say they come from.
	UserAgent string
	// Logger is where progress goes where it is not shown on a terminal.
	Logger log.Logger
	// Out is where the command says what it has done, and Progress where it shows
	// how far it is if that is a terminal.
	Out, Progress io.Writer
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// saveEvery is the time after which what was written is made to last.
	saveEvery time.Duration
}

// saveEvery bounds what a break costs, while waiting for the disk takes a small
// part of the time.
const saveEvery = 2 * time.Second

// Flags declares the flags of the command.
func (o *Options) Flags(cmd *kingpin.CmdClause) {
	o.Client.Flags(cmd)
	o.Log.Flags(cmd)
	cmd.Flag("start", "Time of the first samples: as in RFC 3339, or a date in the time zone of the teams. Required.").PlaceHolder("TIME").StringVar(&o.Start)
	cmd.Flag("end", "Latest time of the last samples: as in RFC 3339, or a date, whose first instant is meant. Required.").PlaceHolder("TIME").StringVar(&o.End)
	cmd.Flag("step", "Time from one sample to the next, in whole seconds. Prometheus takes a sample for missing after 5m.").Default("5m").StringVar(&o.Step)
	cmd.Flag("team", "Codename of a team. May be repeated. Default: all teams.").PlaceHolder("CODENAME").StringsVar(&o.Codenames)
	cmd.Flag("window", "Name of a window. May be repeated. Default: all windows. What has no label window comes with the team's first window alone.").PlaceHolder("WINDOW").StringsVar(&o.Windows)
	cmd.Flag("output", "File to write, required without --dry-run. It is there when it is whole; until then FILE.partial is. It holds no "+
		strings.Join(presentMetrics(), ", ")+", which are about the present, the exporter or its configuration.").PlaceHolder("FILE").StringVar(&o.Output)
	cmd.Flag("rate", "Maximum number of API calls per second, besides those that are repeated because they failed.").Default("5").Float64Var(&o.Rate)
	cmd.Flag("dry-run", "Say how much it is and how long it takes, and write nothing. Asks for the last step, to count. Default: off.").BoolVar(&o.DryRun)
	cmd.Flag("resume", "Go on where a run with the same flags was broken off. Default: off.").BoolVar(&o.Resume)
}

// presentMetrics are the names of the teams' metrics that are left out.
func presentMetrics() (names []string) {
	for _, m := range collector.Metrics() {
		if m.Present {
			names = append(names, m.Name)
		}
	}
	return names
}

// Run asks for all steps and writes the file, or fails. What a run that failed
// had done is there for another with Resume, unless that is nothing.
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
		return usage.Errorf("--rate %g is too low: use %g calls a second or more", o.Rate, minRate)
	}
	a, err := newAsker(o, p)
	if err != nil {
		return err
	}
	defer a.close()
	if o.DryRun {
		return o.rehearse(ctx, p, a)
	}
	s, err := openStore(o.Output, p.settings, o.Resume)
	if err != nil {
		return err
	}
	defer s.close()
	if err := o.fill(ctx, p, a, s); err != nil {
		return err
	}
	if err := s.publish(); err != nil {
		return fmt.Errorf("%w: all steps are done, and --resume tries again", err)
	}
	_, err = fmt.Fprintf(o.Out, "%s has %d samples. promtool tsdb create-blocks-from openmetrics makes blocks of it for Prometheus.\n", o.Output, s.Samples)
	return err
}

// fill asks for the steps that are not in the store yet.
func (o *Options) fill(ctx context.Context, p *plan, a *asker, s *store) error {
	shown := newProgress(o, s.Done, p.steps)
	a.called = shown.called
	defer shown.end()
	saved := time.Now()
	for s.Done < p.steps {
		families, err := a.ask(ctx, p.at(s.Done))
		if err != nil {
			return o.broken(ctx, p, s, err)
		}
		if err := s.add(families); err != nil {
			return fmt.Errorf("%w: --resume goes on", err)
		}
		if time.Since(saved) >= o.saveEvery {
			if err := s.save(); err != nil {
				return fmt.Errorf("%w: --resume goes on", err)
			}
			saved = time.Now()
		}
		shown.stepped(s.Done)
	}
	if err := s.save(); err != nil {
		return fmt.Errorf("%w: --resume goes on", err)
	}
	return nil
}

// broken keeps what is done of a run that cannot go on, and says why it cannot.
func (*Options) broken(ctx context.Context, p *plan, s *store, err error) error {
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if s.Done == 0 {
		return errors.Join(err, s.remove())
	}
	if failed := s.save(); failed != nil {
		return errors.Join(err, failed)
	}
	return fmt.Errorf("%w: %d of %d steps are done, and --resume goes on from there", err, s.Done, p.steps)
}

// rehearse says how much is to be done. The last step tells how many samples a
// step has.
func (o *Options) rehearse(ctx context.Context, p *plan, a *asker) error {
	families, err := a.ask(ctx, p.at(p.steps-1))
	if err != nil {
		return err
	}
	samples, size := 0, 0
	for _, f := range families {
		samples, size = samples+f.samples, size+len(f.lines)
	}
	calls := p.calls()
	_, err = fmt.Fprintf(o.Out, `%d steps from %s to %s, every %s, of %d teams.
%d calls to the API, which at %g in a second take %s or more.
About %d samples, a file of %.1f MB, and room for it twice until it is whole: counted by asking for the last step, which took %d calls.
`, p.steps, p.at(0).Format(time.RFC3339), p.at(p.steps-1).Format(time.RFC3339), o.Step, len(p.teams),
		calls*p.steps, o.Rate, seconds(float64(calls)*float64(p.steps)/o.Rate),
		samples*p.steps, float64(size)*float64(p.steps)/1e6, calls)
	return err
}

// seconds is a duration, also where it would be too long for one.
func seconds(n float64) time.Duration {
	const most = 1e9 // 30 years
	return time.Duration(min(n, most) * float64(time.Second)).Round(time.Second)
}

// isTerminal says whether a person reads what is written.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
