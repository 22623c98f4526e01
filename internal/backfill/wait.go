package backfill

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"chattonic_exporter/chattonic"
)

const (
	// firstWait and maxWait are the mean first and longest wait for an API that does
	// not say how long to wait.
	firstWait = time.Second
	maxWait   = 5 * time.Minute
)

// waits decides when API calls must wait and when the run gives up. All calls share
// one wait: the run cannot continue until each call of its step has succeeded.
type waits struct {
	// limit is the longest time without a successful call.
	limit time.Duration
	// started is called at the start of each wait.
	started func(until time.Time, team string, reason error)

	mu      sync.Mutex
	until   time.Time // no call may start before
	failing time.Time // when the first call failed since the last success, or zero
	backoff backoff.ExponentialBackOff
}

func newWaits(limit time.Duration) *waits {
	w := &waits{
		limit: limit, started: func(time.Time, string, error) {},
		backoff: backoff.ExponentialBackOff{InitialInterval: firstWait, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: maxWait},
	}
	w.backoff.Reset()
	return w
}

// end returns the end of the current wait.
func (w *waits) end() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.until
}

// wait returns when no wait is left, or fails when ctx ends.
func (w *waits) wait(ctx context.Context) error {
	for {
		left := time.Until(w.end())
		if left <= 0 {
			return ctx.Err()
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// succeeded records a successful call.
func (w *waits) succeeded() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing = time.Time{}
	w.backoff.Reset()
}

// failed starts a wait after a team's call that started at the given time and failed
// with err. It returns an error if waiting cannot help or takes too long.
func (w *waits) failed(start time.Time, team string, err error) error {
	var failure chattonic.Error
	if !errors.As(err, &failure) || !isTemporary(failure) || w.limit == 0 {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.failing.IsZero() {
		w.failing = now
	}
	giveUp := w.failing.Add(w.limit)
	until := now.Add(failure.RetryAfter)
	switch {
	case !now.Before(giveUp):
		return fmt.Errorf("%w: no API call succeeded for %s (--max-wait)", err, now.Sub(w.failing).Round(time.Second))
	case until.After(giveUp):
		return fmt.Errorf("%w: the API asks to wait %s, longer than --max-wait %s allows", err, failure.RetryAfter, w.limit)
	case failure.RetryAfter > 0:
	case start.Before(w.until):
		// The call started before the current wait, which covers this failure.
		return nil
	default:
		until = now.Add(w.backoff.NextBackOff())
		if until.After(giveUp) {
			until = giveUp // for a last attempt
		}
	}
	// Calls that fail at the same time ask for almost the same wait.
	isNew := until.Sub(w.until) >= time.Second || !now.Before(w.until)
	if until.After(w.until) {
		w.until = until
	}
	if isNew {
		w.started(until, team, err)
	}
	return nil
}

// isTemporary reports whether the same call may succeed later.
func isTemporary(e chattonic.Error) bool {
	switch e.Cause {
	case chattonic.CauseConnection, chattonic.CauseTimeout:
		return true
	case chattonic.CauseStatus:
		return e.StatusCode == http.StatusTooManyRequests || e.StatusCode >= http.StatusInternalServerError
	}
	return false
}

// singleAttempt hides the deadline of a context. The client retries calls up to their
// deadline; without one it makes one attempt, and waits are left to the run.
type singleAttempt struct{ context.Context }

// withSingleAttempt returns ctx without its deadline, at which it still ends.
func withSingleAttempt(ctx context.Context) context.Context { return singleAttempt{ctx} }

// Deadline reports that there is no deadline.
func (singleAttempt) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }
