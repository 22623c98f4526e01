package teams

import (
	"errors"
	"net/http"
	"time"

	"chattonic_exporter/chattonic"
)

// guard decides which requests of a team may be sent: not during a pause that the API asked
// for, not beyond max_calls_per_minute, and not with an access token that was just rejected.
// A nil guard allows all requests. It is safe for concurrent use.
type guard struct {
	now      func() time.Time
	limits   *limits
	login    *login
	maxCalls int // requests per minute; 0 means no limit
}

// admit is the guard of the team's client, see chattonic.WithGuard.
func (g *guard) admit(e chattonic.Endpoint) (done func(chattonic.Attempt), refusal *chattonic.Error) {
	sent := g.now()
	// A refusal for another reason must not use the one request that a rejected token has.
	if refusal := g.limits.refusal(e, sent, g.maxCalls); refusal != nil {
		return nil, refusal
	}
	t, refusal := g.login.take(e, sent)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := g.limits.take(e, sent, g.maxCalls); refusal != nil {
		return nil, refusal
	}
	return func(a chattonic.Attempt) {
		now := g.now()
		g.limits.observe(a, sent, now)
		g.login.observe(a, t, now)
	}, nil
}

// refusal returns an error if a call must not be made now.
func (g *guard) refusal(e chattonic.Endpoint) *chattonic.Error {
	if g == nil {
		return nil
	}
	now := g.now()
	if refusal := g.limits.refusal(e, now, g.maxCalls); refusal != nil {
		return refusal
	}
	return g.login.refusal(e, now)
}

// again reports whether a call that failed with this error may be made again at once: the
// access token was rejected, but there is another one by now.
func (g *guard) again(err error) bool {
	var failure chattonic.Error
	return g != nil && errors.As(err, &failure) && failure.StatusCode == http.StatusUnauthorized && g.refusal(failure.Endpoint) == nil
}

// explain returns the error of a call. If the call began a pause, that says until when.
func (g *guard) explain(err error) error {
	var failure chattonic.Error
	if g == nil || !errors.As(err, &failure) || failure.Cause != chattonic.CauseStatus {
		return err
	}
	if pause := g.limits.refusal(failure.Endpoint, g.now(), 0); pause != nil && pause.StatusCode == failure.StatusCode {
		return *pause
	}
	return err
}

// pausedUntil returns the end of the pause that the API asked for at the endpoint, or the
// zero time if there is none.
func (g *guard) pausedUntil(e chattonic.Endpoint) time.Time { return g.limits.pausedUntil(e, g.now()) }
