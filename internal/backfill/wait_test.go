package backfill

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/config"
)

// failure is an answer of the API, or an error instead of one.
type failure struct {
	status     int
	retryAfter string
	err        error
}

// unreliable is an API whose first calls after some good ones fail.
type unreliable struct {
	inMemory
	good     int
	failures []failure
	calls    []time.Time
}

func (u *unreliable) RoundTrip(r *http.Request) (*http.Response, error) {
	u.calls = append(u.calls, time.Now()) // calls are sequential
	call := len(u.calls) - 1 - u.good
	if call < 0 || call >= len(u.failures) {
		return u.inMemory.RoundTrip(r)
	}
	f := u.failures[call]
	if f.err != nil {
		return nil, f.err
	}
	answer := &http.Response{StatusCode: f.status, Header: http.Header{}, Body: http.NoBody, Request: r}
	if f.retryAfter != "" {
		answer.Header.Set("Retry-After", f.retryAfter)
	}
	return answer, nil
}

// waiting is a run of one team with one call for each step.
type waiting struct {
	Options
	api  *unreliable
	logs bytes.Buffer
}

func newWaiting(t *testing.T, good int, failures ...failure) *waiting {
	t.Helper()
	s := simulate(t, nil)
	c := s.config(t, "\n  - {codename: acme, windows: [24h], collectors: [operators]}\n")
	w := &waiting{Options: s.options(t), api: &unreliable{inMemory: inMemory{Handler: s}, good: good, failures: failures}}
	w.Load = func() (*config.Config, error) { return c, nil }
	w.Logger = log.NewLogfmtLogger(&w.logs)
	w.MaxWait = time.Hour
	return w
}

// run does what Run does, with the API in memory, and returns how long it took.
func (w *waiting) run(ctx context.Context, t *testing.T) (took time.Duration, err error) {
	t.Helper()
	c, err := w.Load()
	require.NoError(t, err)
	p, err := w.plan(c)
	require.NoError(t, err)
	dir, err := openWorkDir(w.Output, p.settings, w.Resume)
	require.NoError(t, err)
	defer dir.close()
	start := time.Now()
	if err := w.fetchAll(ctx, p, newTestFetcher(t, w.Options, p, w.api), dir); err != nil {
		return time.Since(start), err
	}
	return time.Since(start), dir.publish()
}

const accuracy = float64(time.Millisecond)

func TestWaitsAsRetryAfterSays(t *testing.T) {
	for name, test := range map[string]struct {
		status     int
		retryAfter func() string
	}{
		"429, seconds": {http.StatusTooManyRequests, func() string { return "90" }},
		"503, seconds": {http.StatusServiceUnavailable, func() string { return "90" }},
		"429, date":    {http.StatusTooManyRequests, func() string { return time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWaiting(t, 3)
			want := uninterrupted(t, w.Options)
			synctest.Test(t, func(t *testing.T) {
				w.api.failures = []failure{{status: test.status, retryAfter: test.retryAfter()}}
				took, err := w.run(t.Context(), t)
				require.NoError(t, err)
				assert.InDelta(t, 90*time.Second, took, accuracy)
				assert.Equal(t, want, read(t, w.Output))
				assert.Len(t, w.api.calls, steps+1)
				assert.InDelta(t, 90*time.Second, w.api.calls[4].Sub(w.api.calls[3]), accuracy)
				assert.Equal(t, 1, strings.Count(w.logs.String(), "waiting for the API"), w.logs.String())
				assert.Contains(t, w.logs.String(), `level=warn msg="waiting for the API" until=2000-01-01T00:01:30Z team=acme err="requesting the operators endpoint: HTTP `)
			})
		})
	}
}

func TestWaitsGrow(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for name, f := range map[string]failure{
		"500":               {status: http.StatusInternalServerError},
		"429":               {status: http.StatusTooManyRequests},
		"Retry-After: 0":    {status: http.StatusServiceUnavailable, retryAfter: "0"},
		"no time":           {status: http.StatusBadGateway, retryAfter: "soon"},
		"refused":           {err: refused},
		"broken connection": {err: io.ErrUnexpectedEOF},
		"unknown host":      {err: &net.DNSError{Err: "no such host", Name: "chat-tonic.example"}},
		"no answer":         {err: context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			const failures = 12
			w := newWaiting(t, 1)
			for range failures {
				w.api.failures = append(w.api.failures, f)
			}
			w.MaxWait = 24 * time.Hour
			synctest.Test(t, func(t *testing.T) {
				_, err := w.run(t.Context(), t)
				require.NoError(t, err)
				require.Len(t, w.api.calls, steps+failures)
				mean := time.Second
				for i := range failures {
					gap := w.api.calls[i+2].Sub(w.api.calls[i+1])
					assert.InDelta(t, mean, gap, float64(mean/2)+accuracy, "wait %d", i)
					mean = min(2*mean, 5*time.Minute)
				}
				assert.Equal(t, failures, strings.Count(w.logs.String(), "waiting for the API"))
			})
		})
	}
}

func TestGivesUpWithoutProgress(t *testing.T) {
	w := newWaiting(t, 3)
	want := uninterrupted(t, w.Options)
	for range 100 {
		w.api.failures = append(w.api.failures, failure{status: http.StatusInternalServerError})
	}
	synctest.Test(t, func(t *testing.T) {
		took, err := w.run(t.Context(), t)
		require.EqualError(t, err, `team "acme", window 24h from 2021-11-30T06:00:00Z to 2021-12-01T06:00:00Z: requesting the operators endpoint: HTTP 500: `+
			`no API call succeeded for 1h0m0s (--max-wait): 3 of 13 steps are done: --resume continues from there`)
		assert.InDelta(t, time.Hour, took, accuracy)
		assert.Equal(t, []string{"past.om.partial"}, names(t, filepath.Dir(w.Output)))

		w.api.good, w.Resume = 1000, true
		_, err = w.run(t.Context(), t)
		require.NoError(t, err)
		assert.Equal(t, want, read(t, w.Output))
	})
}

// Only the time since the last success counts.
func TestProgressResetsMaxWait(t *testing.T) {
	slow := failure{status: http.StatusTooManyRequests, retryAfter: "3000"}
	w := newWaiting(t, 0)
	synctest.Test(t, func(t *testing.T) {
		w.api.failures = []failure{slow}
		c, err := w.Load()
		require.NoError(t, err)
		p, err := w.plan(c)
		require.NoError(t, err)
		f := newTestFetcher(t, w.Options, p, w.api)
		start := time.Now()
		for step := range 3 {
			w.api.good = len(w.api.calls) // the first call of each step fails
			_, err := f.fetch(t.Context(), p.at(step))
			require.NoError(t, err)
		}
		assert.InDelta(t, 9000*time.Second, time.Since(start), accuracy)
	})
}

func TestFailsAtOnce(t *testing.T) {
	for want, f := range map[string]failure{
		"the API asks to wait 1h0m1s, longer than --max-wait 1h0m0s allows: 2 of 13 steps are done: --resume continues from there": {status: http.StatusTooManyRequests, retryAfter: "3601"},
		"HTTP 400": {status: http.StatusBadRequest, retryAfter: "1"},
		"HTTP 401": {status: http.StatusUnauthorized},
		"HTTP 404": {status: http.StatusNotFound},
		"HTTP 304": {status: http.StatusNotModified},
	} {
		t.Run(want, func(t *testing.T) {
			w := newWaiting(t, 2, f)
			synctest.Test(t, func(t *testing.T) {
				took, err := w.run(t.Context(), t)
				require.ErrorContains(t, err, want)
				assert.InDelta(t, 0, took, accuracy)
				assert.Len(t, w.api.calls, 3)
				assert.Empty(t, w.logs.String())
			})
		})
	}
}

func TestNoWait(t *testing.T) {
	w := newWaiting(t, 2, failure{status: http.StatusInternalServerError})
	w.MaxWait = 0
	synctest.Test(t, func(t *testing.T) {
		_, err := w.run(t.Context(), t)
		require.ErrorContains(t, err, "HTTP 500: 2 of 13 steps are done")
	})
	w.MaxWait = -time.Second
	require.EqualError(t, Run(t.Context(), w.Options), "--max-wait -1s is negative: use 0 or more")
}

func TestInterruptedWhileWaiting(t *testing.T) {
	w := newWaiting(t, 2, failure{status: http.StatusTooManyRequests, retryAfter: "3000"})
	want := uninterrupted(t, w.Options)
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, interrupt)
		took, err := w.run(ctx, t)
		require.EqualError(t, err, "interrupted: 2 of 13 steps are done: --resume continues from there")
		assert.InDelta(t, time.Minute, took, accuracy)
		w.Resume = true
		_, err = w.run(t.Context(), t)
		require.NoError(t, err)
		assert.Equal(t, want, read(t, w.Output))
	})
}

// Calls that fail at the same time start one wait.
func TestConcurrentFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWaits(time.Hour)
		var ends []time.Time
		w.started = func(until time.Time, _ string, _ error) { ends = append(ends, until) }
		start := time.Now()
		fail := func(retryAfter time.Duration) {
			require.NoError(t, w.failed(start, "acme", unavailable(retryAfter)))
		}
		for range 10 {
			time.Sleep(time.Millisecond)
			fail(0)
		}
		require.Len(t, ends, 1)
		assert.Less(t, time.Until(ends[0]), 1500*time.Millisecond)
		fail(time.Minute)
		time.Sleep(time.Millisecond)
		fail(time.Minute)
		fail(time.Second)
		assert.Len(t, ends, 2, "a longer wait is shown, a few milliseconds more are not")
		require.NoError(t, w.wait(t.Context()))
		assert.InDelta(t, time.Minute+11*time.Millisecond, time.Since(start), accuracy)

		// A success does not shorten the wait that the API asked for.
		start = time.Now()
		fail(time.Minute)
		w.succeeded()
		require.NoError(t, w.wait(t.Context()))
		assert.Equal(t, time.Minute, time.Since(start))
	})
	other := errors.New("other")
	assert.Equal(t, other, newWaits(time.Hour).failed(time.Now(), "acme", other))
}

func TestWaitOnTerminal(t *testing.T) {
	w := newWaiting(t, 0)
	synctest.Test(t, func(t *testing.T) {
		p := newProgress(&w.Options, 10, 110)
		var line bytes.Buffer
		p.out = &line
		time.Sleep(10 * time.Second)
		p.waitStarted(time.Now().Add(time.Minute), "acme", unavailable(0))
		until := time.Now().Add(time.Minute).Format(time.DateTime)
		const status = "\r10 of 110 steps done, 100 left, 0 calls, 0.0 per second, remaining time unknown"
		assert.Equal(t, "\r\x1b[KWaiting for the API until "+until+`: team "acme": requesting the operators endpoint: HTTP 503`+"\n"+
			status+", waiting until "+until+"\x1b[K", line.String())
		line.Reset()
		time.Sleep(time.Minute)
		p.end()
		assert.Equal(t, status+"\x1b[K\n", line.String())
	})
}

func TestDryRunLogsWait(t *testing.T) {
	w := newWaiting(t, 0, failure{status: http.StatusTooManyRequests, retryAfter: "60"})
	c, err := w.Load()
	require.NoError(t, err)
	p, err := w.plan(c)
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		require.NoError(t, w.estimate(t.Context(), p, newTestFetcher(t, w.Options, p, w.api)))
		assert.InDelta(t, time.Minute, time.Since(start), accuracy)
		assert.Contains(t, w.logs.String(), "waiting for the API")
	})
}

func unavailable(retryAfter time.Duration) error {
	return chattonic.Error{
		Endpoint: chattonic.EndpointOperators, StatusCode: http.StatusServiceUnavailable,
		Cause: chattonic.CauseStatus, RetryAfter: retryAfter, Detail: "HTTP 503",
	}
}
