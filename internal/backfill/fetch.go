package backfill

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/collector/exposition"
	"chattonic_exporter/internal/teams"
)

// fetcher fetches the samples of past times from the API.
type fetcher struct {
	plan    *plan
	teams   []*collector.Team
	clients []*http.Client
	logger  log.Logger
	rate    *rate.Limiter
	waits   *waits
	limit   *semaphore.Weighted
	timeout time.Duration
	// called is called after each API call.
	called func()
	// fail cancels the current step with its first error.
	fail context.CancelCauseFunc
}

// newFetcher returns a fetcher for the teams of the plan. The caller closes it.
func newFetcher(o Options, p *plan) (*fetcher, error) {
	f := &fetcher{
		plan: p, logger: warnings(o.Logger), rate: rate.NewLimiter(rate.Limit(o.Rate), 1), waits: newWaits(o.MaxWait), limit: semaphore.NewWeighted(o.MaxCalls),
		timeout: o.RequestTimeout, called: func() {},
	}
	for _, t := range p.teams {
		client, httpClient, err := teams.NewClient(t.Team, o.UserAgent, chattonic.WithMaxBody(o.MaxBody))
		if err != nil {
			f.close()
			return nil, fmt.Errorf("team %q: %w", t.Codename, err)
		}
		f.clients = append(f.clients, httpClient)
		f.teams = append(f.teams, collector.NewTeam(teams.Settings(t.Team, &api{f, t.Codename, client})))
	}
	return f, nil
}

func (f *fetcher) close() {
	for _, c := range f.clients {
		c.CloseIdleConnections()
	}
}

// warnings drops the collector's errors: fetch returns them.
func warnings(logger log.Logger) log.Logger {
	return log.LoggerFunc(func(keyvals ...any) error {
		if len(keyvals) > 1 && keyvals[0] == level.Key() && keyvals[1] == level.ErrorValue() {
			return nil
		}
		return logger.Log(keyvals...)
	})
}

// family is a metric with its samples of one step.
type family struct {
	name string
	// head is the HELP and TYPE lines, and lines has one line per sample.
	head, lines []byte
	samples     int
}

func newFamily(name string, text []byte) family {
	end := bytes.IndexByte(text, '\n') + 1
	end += bytes.IndexByte(text[end:], '\n') + 1
	return family{name, text[:end], text[end:], bytes.Count(text[end:], []byte("\n"))}
}

// teamsAt returns the teams that have windows at a time, set to these windows.
func (f *fetcher) teamsAt(at time.Time) (asked []*collector.Team) {
	for i, t := range f.teams {
		windows, first := f.plan.teams[i].windowsAt(at)
		if len(windows) == 0 {
			continue
		}
		t.Windows, t.WindowedOnly = windows, !first
		asked = append(asked, t)
	}
	return asked
}

// fetch returns the samples that scrapes at the given time would have had. If any
// API call fails, it returns the error of that call.
func (f *fetcher) fetch(ctx context.Context, at time.Time) (written []family, err error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	f.fail = fail
	families := collector.New(ctx, f.logger, func() time.Time { return at }, f.teamsAt(at)...).Fetch().Families()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	w := exposition.NewWriter(&text, true)
	defer w.Close()
	w.SetTimestamp(at)
	for _, metric := range families {
		if metric.Current {
			continue
		}
		metric.Write(w)
		if err := w.Flush(); err != nil {
			return nil, fmt.Errorf("writing %s: %w", metric.Name, err)
		}
		if text.Len() > 0 {
			written = append(written, newFamily(metric.Name, bytes.Clone(text.Bytes())))
		}
		text.Reset()
	}
	return written, nil
}

// api makes the API calls of one team. All teams share the rate limit.
type api struct {
	*fetcher
	codename string
	client   *chattonic.Client
}

// Read returns the answer of an endpoint for a window.
func (a *api) Read(ctx context.Context, e chattonic.Endpoint, window chattonic.Window) (chattonic.Answer, error) {
	answer, err := a.call(ctx, e, window)
	if err != nil {
		a.fail(fmt.Errorf("team %q, window %s from %s to %s: %w", a.codename, window.Name,
			window.Start.UTC().Format(time.RFC3339Nano), window.End.UTC().Format(time.RFC3339Nano), err))
	}
	return answer, err
}

// call makes an API call within the limits for rate and concurrency. It repeats the
// call after a temporary failure.
func (a *api) call(ctx context.Context, e chattonic.Endpoint, window chattonic.Window) (chattonic.Answer, error) {
	if err := a.limit.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("waiting for other calls: %w", err)
	}
	defer a.limit.Release(1)
	for {
		if err := a.turn(ctx); err != nil {
			return nil, err
		}
		start := time.Now()
		answer, err := a.attempt(ctx, e, window)
		a.called()
		if err == nil {
			a.waits.succeeded()
			return answer, nil
		}
		if err := a.waits.failed(start, a.codename, err); err != nil {
			return nil, err
		}
	}
}

// turn returns when the next call may start.
func (a *api) turn(ctx context.Context) error {
	for {
		if err := a.waits.wait(ctx); err != nil {
			return fmt.Errorf("waiting for the API: %w", err)
		}
		if err := a.rate.Wait(ctx); err != nil {
			return fmt.Errorf("waiting for the rate limit: %w", err)
		}
		if !time.Now().Before(a.waits.end()) { // another call may have failed meanwhile
			return nil
		}
	}
}

func (a *api) attempt(ctx context.Context, e chattonic.Endpoint, window chattonic.Window) (chattonic.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return a.client.Read(withSingleAttempt(ctx), e, window)
}
