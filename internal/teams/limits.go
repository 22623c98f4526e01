package teams

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"chattonic_exporter/chattonic"
)

const (
	// firstPause and longestPause are the pauses after an HTTP 429 that does not say how
	// long to wait. Each further one doubles the pause.
	firstPause   = time.Minute
	longestPause = 10 * time.Minute
	// maxPause is the maximum of a pause that the API asks for.
	maxPause = time.Hour
	// callsPeriod is the period of max_calls_per_minute.
	callsPeriod = time.Minute
)

// limits holds what limits the requests of a team: the pauses that the API asked for, by
// endpoint, and the number of recent requests. It outlives changes of the team's settings.
// It is safe for concurrent use.
type limits struct {
	mu     sync.Mutex
	pauses map[chattonic.Endpoint]*pause
	recent []time.Time // of the requests of the last minute, oldest first; only counted with a maximum
}

// pause is the pause of an endpoint, or the last one.
type pause struct {
	until  time.Time
	status int  // that began it
	asked  bool // the API said how long
	count  int  // of pauses without a success in between
}

func newLimits() *limits { return &limits{pauses: make(map[chattonic.Endpoint]*pause)} }

// refusal returns an error if a request to the endpoint must not be sent now. maxCalls is
// the maximum number of requests per minute; 0 means no limit.
func (l *limits) refusal(e chattonic.Endpoint, now time.Time, maxCalls int) *chattonic.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refuse(e, now, maxCalls)
}

// take is refusal for a request that is then sent.
func (l *limits) take(e chattonic.Endpoint, now time.Time, maxCalls int) *chattonic.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if refusal := l.refuse(e, now, maxCalls); refusal != nil {
		return refusal
	}
	if maxCalls > 0 {
		l.recent = append(l.recent, now)
	}
	return nil
}

func (l *limits) refuse(e chattonic.Endpoint, now time.Time, maxCalls int) *chattonic.Error {
	if p := l.pauses[e]; p != nil && now.Before(p.until) {
		return new(p.failure(e))
	}
	expired := 0
	for expired < len(l.recent) && !now.Before(l.recent[expired].Add(callsPeriod)) {
		expired++
	}
	l.recent = l.recent[expired:]
	if maxCalls > 0 && len(l.recent) >= maxCalls {
		return &chattonic.Error{
			Endpoint: e, Cause: chattonic.CauseRequest,
			Detail: fmt.Sprintf("not requested, because the team has made its %d calls of this minute: lengthen the scrape interval, set a ttl or raise max_calls_per_minute", maxCalls),
		}
	}
	return nil
}

// failure is the error of calls during the pause.
func (p *pause) failure(e chattonic.Endpoint) chattonic.Error {
	detail := fmt.Sprintf("HTTP %d, paused until %s", p.status, ceilSecond(p.until).UTC().Format("2006-01-02 15:04:05 UTC"))
	if p.asked {
		detail += " as the API asked"
	}
	if p.status == http.StatusTooManyRequests {
		detail += ": lengthen the scrape interval or set a ttl"
	}
	return chattonic.Error{Endpoint: e, StatusCode: p.status, Cause: chattonic.CauseStatus, Detail: detail}
}

// ceilSecond rounds up to seconds, so that a time that is shown is not too early.
func ceilSecond(t time.Time) time.Time {
	if rounded := t.Truncate(time.Second); !rounded.Equal(t) {
		return rounded.Add(time.Second)
	}
	return t
}

// observe begins a pause if the response to a request asks for one. sent is the time of the
// request: one that was sent before a pause says nothing new about the time after it.
func (l *limits) observe(a chattonic.Attempt, sent, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pauses[a.Endpoint]
	if p == nil {
		p = new(pause)
		l.pauses[a.Endpoint] = p
	}
	afterPause := !sent.Before(p.until)
	asked := a.RetryAfter >= 0
	switch {
	case a.StatusCode/100 == 2 && afterPause:
		p.count = 0
	case a.StatusCode == http.StatusTooManyRequests, a.StatusCode == http.StatusServiceUnavailable && asked:
		if afterPause && a.StatusCode == http.StatusTooManyRequests {
			p.count++
		}
		length := min(a.RetryAfter, maxPause)
		if !asked {
			length = firstPause
			for i := 1; i < p.count && length < longestPause; i++ {
				length *= 2
			}
			length = min(length, longestPause)
		}
		if until := now.Add(length); until.After(p.until) {
			p.until, p.status, p.asked = until, a.StatusCode, asked
		}
	}
}

// idle reports whether nothing limits the team's requests now.
func (l *limits) idle(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.pauses {
		if now.Before(p.until) {
			return false
		}
	}
	return len(l.recent) == 0 || !now.Before(l.recent[len(l.recent)-1].Add(callsPeriod))
}

// pausedUntil returns the end of the endpoint's pause, or the zero time if there is none.
func (l *limits) pausedUntil(e chattonic.Endpoint, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.pauses[e]; p != nil && now.Before(p.until) {
		return p.until
	}
	return time.Time{}
}
