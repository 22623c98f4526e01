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

// asker asks teams about moments of the past.
type asker struct {
	teams   []*collector.Team
	clients []*http.Client
	logger  log.Logger
	rate    *rate.Limiter
	limit   *semaphore.Weighted
	timeout time.Duration
	// called is told of each call.
	called func()
	// fail ends the step under way, by its first failure.
	fail context.CancelCauseFunc
}

// newAsker returns an asker of the teams, which close ends.
func newAsker(o Options, p *plan) (*asker, error) {
	a := &asker{
		logger: warnings(o.Logger), rate: rate.NewLimiter(rate.Limit(o.Rate), 1), limit: semaphore.NewWeighted(o.MaxCalls),
		timeout: o.RequestTimeout, called: func() {},
	}
	for _, t := range p.teams {
		client, httpClient, err := teams.NewClient(t.Team, o.UserAgent, chattonic.WithMaxBody(o.MaxBody))
		if err != nil {
			a.close()
			return nil, fmt.Errorf("team %q: %w", t.Codename, err)
		}
		a.clients = append(a.clients, httpClient)
		settings := teams.Settings(t.Team, &api{a, t.Codename, client})
		settings.WindowedOnly = t.windowedOnly
		a.teams = append(a.teams, collector.NewTeam(settings))
	}
	return a, nil
}

func (a *asker) close() {
	for _, c := range a.clients {
		c.CloseIdleConnections()
	}
}

// warnings leaves out the collector's errors, which are returned.
func warnings(logger log.Logger) log.Logger {
	return log.LoggerFunc(func(keyvals ...any) error {
		if len(keyvals) > 1 && keyvals[0] == level.Key() && keyvals[1] == level.ErrorValue() {
			return nil
		}
		return logger.Log(keyvals...)
	})
}

// family is a metric with its samples of a step.
type family struct {
	name string
	// head is what the text says of the metric, in two lines, and lines are the
	// samples, one in each.
	head, lines []byte
	samples     int
}

func newFamily(name string, text []byte) family {
	end := bytes.IndexByte(text, '\n') + 1
	end += bytes.IndexByte(text[end:], '\n') + 1
	return family{name, text[:end], text[end:], bytes.Count(text[end:], []byte("\n"))}
}

// ask returns what scrapes at a moment would have shown. It fails where any call
// does, and says which.
func (a *asker) ask(ctx context.Context, at time.Time) (written []family, err error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	a.fail = fail
	families := collector.New(ctx, a.logger, func() time.Time { return at }, a.teams...).Ask().Families()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	w := exposition.NewWriter(&text, true)
	defer w.Close()
	w.SetTimestamp(at)
	for _, f := range families {
		if f.Present {
			continue
		}
		f.Write(w)
		if err := w.Flush(); err != nil {
			return nil, fmt.Errorf("writing %s: %w", f.Name, err)
		}
		if text.Len() > 0 {
			written = append(written, newFamily(f.Name, bytes.Clone(text.Bytes())))
		}
		text.Reset()
	}
	return written, nil
}

// api makes the calls for one team, at the rate of all teams.
type api struct {
	*asker
	codename string
	client   *chattonic.Client
}

// Read returns the answer for the window.
func (a *api) Read(ctx context.Context, e chattonic.Endpoint, window chattonic.Window) (chattonic.Answer, error) {
	answer, err := a.inTurn(ctx, e, window)
	if err != nil {
		a.fail(fmt.Errorf("team %q, window %s from %s to %s: %w", a.codename, window.Name,
			window.Start.UTC().Format(time.RFC3339Nano), window.End.UTC().Format(time.RFC3339Nano), err))
	}
	return answer, err
}

// inTurn makes a call when the rate and the limit allow it.
func (a *api) inTurn(ctx context.Context, e chattonic.Endpoint, window chattonic.Window) (chattonic.Answer, error) {
	if err := a.limit.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("waiting for other calls: %w", err)
	}
	defer a.limit.Release(1)
	if err := a.rate.Wait(ctx); err != nil {
		return nil, fmt.Errorf("waiting for the rate: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	answer, err := a.client.Read(ctx, e, window)
	a.called()
	return answer, err
}
