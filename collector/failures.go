package collector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-kit/log/level"

	"chattonic_exporter/chattonic"
)

// repeatFailure is how often a failure that continues is logged.
const repeatFailure = 10 * time.Minute

// failure is a reason for which requests to an endpoint fail.
type failure struct {
	kind    string // see failureKind
	err     error
	windows []string
}

// failing is the state of an endpoint whose requests fail.
type failing struct {
	since  time.Time
	logged map[string]time.Time // by kind
}

// failureKind returns the same text for errors that differ only in details that change from
// scrape to scrape.
func failureKind(err error) string {
	e, ok := errors.AsType[chattonic.Error](err)
	switch {
	case !ok:
		return err.Error()
	case e.Cause == chattonic.CauseStatus:
		return fmt.Sprint(e.Cause, e.StatusCode)
	case e.Cause == chattonic.CauseTimeout:
		return string(e.Cause)
	}
	return e.Detail
}

// logFailures logs failed requests of a team: when they begin, when there is another reason,
// when they end, and from time to time in between. Windows with the same reason are one
// line. Requests that were canceled, usually because the client disconnected, are not logged.
func (c *Collector) logFailures(s *teamScrape) {
	for i, e := range s.team.Collectors {
		var failures []*failure
		byKind, canceled := make(map[string]*failure), false
		for w := range s.answers {
			err := s.answers[w][i].err
			switch {
			case err == nil:
				continue
			case errors.Is(err, context.Canceled):
				canceled = true
				continue
			}
			kind := failureKind(err)
			f := byKind[kind]
			if f == nil {
				f = &failure{kind: kind, err: err}
				byKind[kind], failures = f, append(failures, f)
			}
			f.windows = append(f.windows, s.infos[w].window)
		}
		if canceled && len(failures) == 0 {
			continue // whether the endpoint fails is unknown
		}
		due, ended := s.team.failuresToLog(e, failures, c.now())
		for _, f := range due {
			level.Error(c.logger).Log("msg", "API request failed", "team", s.team.Codename, "collector", e, "windows", strings.Join(f.windows, ","), "err", f.err)
		}
		if ended > 0 {
			level.Info(c.logger).Log("msg", "API requests succeed again", "team", s.team.Codename, "collector", e, "failed_for", ended)
		}
	}
}

// failuresToLog returns which of an endpoint's failures must be logged now. If there are none
// any more, it returns how long they lasted.
func (t *Team) failuresToLog(e chattonic.Endpoint, failures []*failure, now time.Time) (due []*failure, ended time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	state := t.failing[e]
	if len(failures) == 0 {
		delete(t.failing, e)
		if state != nil {
			ended = max(now.Sub(state.since), 1)
		}
		return nil, ended
	}
	if state == nil {
		state = &failing{since: now, logged: make(map[string]time.Time)}
		t.failing[e] = state
	}
	for kind, at := range state.logged {
		if age := now.Sub(at); age < 0 || age >= repeatFailure {
			delete(state.logged, kind)
		}
	}
	for _, f := range failures {
		if _, logged := state.logged[f.kind]; !logged {
			due, state.logged[f.kind] = append(due, f), now
		}
	}
	return due, 0
}
