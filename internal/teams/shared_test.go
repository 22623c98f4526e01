package teams

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
)

// slowAPI answers after a delay. Each answer holds the number of its call.
type slowAPI struct {
	delay  time.Duration
	err    error
	calls  atomic.Int64
	flying atomic.Int64

	mu      sync.Mutex
	highest int64 // calls at a time
}

func (s *slowAPI) call(ctx context.Context) (float64, error) {
	n := s.calls.Add(1)
	flying := s.flying.Add(1)
	defer s.flying.Add(-1)
	s.mu.Lock()
	s.highest = max(s.highest, flying)
	s.mu.Unlock()
	select {
	case <-time.After(s.delay):
		return float64(n), s.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (s *slowAPI) Operators(ctx context.Context, w chattonic.Window) (*chattonic.Operators, error) {
	n, err := s.call(ctx)
	return &chattonic.Operators{Metadata: chattonic.Metadata{Window: w}, QueryPending: chattonic.NumberOf(n)}, err
}

func (s *slowAPI) Dashboard(ctx context.Context, w chattonic.Window) (*chattonic.Dashboard, error) {
	n, err := s.call(ctx)
	return &chattonic.Dashboard{Metadata: chattonic.Metadata{Window: w}, Rows: []chattonic.DashboardRow{{NewUsers: chattonic.NumberOf(n)}}}, err
}

func start(api collector.API, adjust func(*SharedOptions)) *SharedAPI {
	o := SharedOptions{Timeout: 30 * time.Second, Limit: semaphore.NewWeighted(100)}
	if adjust != nil {
		adjust(&o)
	}
	return NewSharedAPI(api, o)
}

func operatorsTTL(ttl time.Duration) map[chattonic.Endpoint]time.Duration {
	return map[chattonic.Endpoint]time.Duration{chattonic.EndpointOperators: ttl}
}

var day = chattonic.Window{Name: "24h"}

// ask asks for the operators as a scrape that may take so long, and returns
// the number of the call that answered.
func ask(t *testing.T, p *SharedAPI, may time.Duration) (float64, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), may)
	defer cancel()
	answer, err := p.Read(ctx, chattonic.EndpointOperators, day)
	if err != nil {
		return 0, err
	}
	n, _ := answer.(*chattonic.Operators).QueryPending.Float64()
	return n, nil
}

func TestScrapesAtTheSameMomentShareACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{delay: time.Second}
		p := start(api, nil)
		defer p.Close()
		var scrapes sync.WaitGroup
		for range 10 {
			scrapes.Go(func() {
				n, err := ask(t, p, 10*time.Second)
				if !assert.NoError(t, err) { //nolint:testifylint // not the goroutine of the test
					return
				}
				assert.InDelta(t, 1, n, 0)
			})
		}
		scrapes.Wait()
		assert.EqualValues(t, 1, api.calls.Load())

		n, err := ask(t, p, 10*time.Second)
		require.NoError(t, err)
		assert.InDelta(t, 2, n, 0, "the next scrape asks again")
	})
}

func TestOtherWindowsAndEndpointsAreOtherCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{delay: time.Second}
		p := start(api, nil)
		defer p.Close()
		var scrapes sync.WaitGroup
		for _, name := range []string{"24h", "today"} {
			w := chattonic.Window{Name: name}
			scrapes.Go(func() {
				answer, err := p.Read(t.Context(), chattonic.EndpointOperators, w)
				if assert.NoError(t, err) {
					assert.Equal(t, w, answer.Meta().Window)
				}
			})
			scrapes.Go(func() {
				answer, err := p.Read(t.Context(), chattonic.EndpointDashboard, w)
				if assert.NoError(t, err) {
					assert.Equal(t, w, answer.Meta().Window)
				}
			})
		}
		scrapes.Wait()
		assert.EqualValues(t, 4, api.calls.Load())
		assert.EqualValues(t, 4, api.highest, "at the same time")
	})
}

func TestAnswerServesUntilItsTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{}
		p := start(api, func(o *SharedOptions) { o.TTL = operatorsTTL(time.Minute) })
		defer p.Close()
		want := []float64{1, 1, 1, 1, 2, 2} // at 0 s, 15 s, …, 75 s
		for i, want := range want {
			n, err := ask(t, p, time.Second)
			require.NoError(t, err)
			assert.InDelta(t, want, n, 0, "scrape %d", i)
			time.Sleep(15 * time.Second)
		}
		for range 2 {
			_, err := p.Read(t.Context(), chattonic.EndpointDashboard, day)
			require.NoError(t, err)
		}
		assert.EqualValues(t, 4, api.calls.Load(), "the other endpoint has no ttl")
	})
}

// With an API that is slower than the scrapes, each scrape has the answer to the call of
// the one before.
func TestLateAnswerServesTheNextScrapeThatGetsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{delay: 12 * time.Second}
		p := start(api, nil)
		defer p.Close()
		_, err := ask(t, p, 10*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "requesting the operators endpoint: no answer before the scrape's deadline: the call continues for up to 30s, and the next scrape uses its answer if its own call times out")
		for call := 1.0; call < 4; call++ {
			time.Sleep(50 * time.Second)
			var scrapes sync.WaitGroup
			for range 2 { // of two Prometheus servers
				scrapes.Go(func() {
					begin := time.Now()
					n, err := ask(t, p, 10*time.Second)
					assert.NoError(t, err) //nolint:testifylint // It is not the test's goroutine.
					assert.InDelta(t, call, n, 0)
					assert.Equal(t, 10*time.Second, time.Since(begin), "its own call may still answer")
				})
			}
			scrapes.Wait()
			assert.InDelta(t, call+1, float64(api.calls.Load()), 0)
		}
	})
}

func TestLateAnswerServesOneLaterCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{delay: 12 * time.Second}
		p := start(api, func(o *SharedOptions) { o.Timeout = 20 * time.Second })
		defer p.Close()
		_, err := ask(t, p, 10*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(50 * time.Second)
		synctest.Wait()
		api.delay = time.Hour
		for _, may := range []time.Duration{10 * time.Second, 30 * time.Second} { // the second one joins the call, which ends by its timeout
			n, err := ask(t, p, may)
			require.NoError(t, err)
			assert.InDelta(t, 1, n, 0)
		}
		_, err = ask(t, p, 10*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// What a hasty client has caused must not look new half a minute later.
func TestAnswerThatNobodyWaitedForGivesWayToANewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(&slowAPI{delay: time.Second}, nil)
		defer p.Close()
		for call := 2.0; call < 8; call += 2 {
			_, err := ask(t, p, time.Millisecond)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			time.Sleep(30 * time.Second)
			n, err := ask(t, p, 10*time.Second)
			require.NoError(t, err)
			assert.InDelta(t, call, n, 0)
		}
	})
}

func TestLateAnswerDoesNotHideAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{delay: 12 * time.Second}
		p := start(api, nil)
		defer p.Close()
		_, err := ask(t, p, 10*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(50 * time.Second)
		synctest.Wait()
		api.delay, api.err = time.Second, errors.New("broken")
		_, err = ask(t, p, 10*time.Second)
		require.EqualError(t, err, "broken")
		api.delay, api.err = time.Hour, nil
		_, err = ask(t, p, 10*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded, "nor is it used afterwards")
	})
}

// busy refuses requests for a time.
type busy struct {
	until  time.Time
	header http.Header
}

func (b busy) RoundTrip(*http.Request) (*http.Response, error) {
	if time.Now().Before(b.until) {
		return &http.Response{StatusCode: http.StatusTooManyRequests, Header: b.header, Body: http.NoBody}, nil
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"operators":[],"queryPending":7}`)), ContentLength: -1}, nil
}

func TestScrapeThatEndsFirstSaysWhatItsCallHasMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		via := busy{time.Now().Add(15 * time.Second), http.Header{"Retry-After": {"20"}}}
		var p *SharedAPI
		client, err := chattonic.New("http://chat-tonic.example", "acme", chattonic.WithHTTPClient(&http.Client{Transport: via}),
			chattonic.WithObserver(func(a chattonic.Attempt) { p.Observe(a) }))
		require.NoError(t, err)
		p = start(client, nil)
		defer p.Close()
		for range 2 { // the second one joins the call
			_, err = ask(t, p, 5*time.Second)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.EqualError(t, err, "requesting the operators endpoint: no answer before the scrape's deadline: the call continues for up to 30s, and the next scrape uses its answer if its own call times out; last error: HTTP 429, too many calls: lengthen the scrape interval or set a ttl")
		}
		n, err := ask(t, p, 11*time.Second)
		require.NoError(t, err)
		assert.InDelta(t, 7, n, 0)
	})
}

// Prometheus takes a sample for stale after five minutes.
func TestLateAnswerGoesStale(t *testing.T) {
	for age, serves := range map[time.Duration]bool{0: true, 5*time.Minute - 1: true, 5 * time.Minute: false, -1: false, -time.Hour: false} {
		synctest.Test(t, func(t *testing.T) {
			shift := time.Duration(0)
			api := &slowAPI{delay: 12 * time.Second}
			p := start(api, func(o *SharedOptions) { o.Now = func() time.Time { return time.Now().Add(shift) } })
			defer p.Close()
			_, err := ask(t, p, 10*time.Second)
			require.Error(t, err)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			shift = age
			n, err := ask(t, p, 0)
			if !serves {
				require.ErrorIs(t, err, context.DeadlineExceeded, "%s after it was received", age)
				return
			}
			require.NoError(t, err)
			assert.InDelta(t, 1, n, 0)
		})
	}
}

// lateContext has ended, but those who ask hear so an hour later.
type lateContext struct{ context.Context }

func (lateContext) Done() <-chan struct{} {
	time.Sleep(time.Hour)
	ended := make(chan struct{})
	close(ended)
	return ended
}

func (lateContext) Err() error { return context.DeadlineExceeded }

// An answer that comes at the very moment at which its scrape ends is counted as
// received, so that the scrape has to return it.
func TestAnswerAtTheVeryDeadlineIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(&slowAPI{delay: time.Second}, nil)
		defer p.Close()
		for i := range 50 { // as either may be seen first
			answer, err := p.Read(lateContext{t.Context()}, chattonic.EndpointOperators, day)
			require.NoError(t, err)
			assert.Equal(t, chattonic.NumberOf(float64(i+1)), answer.(*chattonic.Operators).QueryPending)
		}
	})
}

func TestAnswersAgeByTheClockOfTheOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
		p := start(&slowAPI{}, func(o *SharedOptions) {
			o.TTL = operatorsTTL(time.Minute)
			o.Now = func() time.Time { return now }
		})
		defer p.Close()
		for _, want := range []float64{1, 1, 2, 2} { // at 0 s, 30 s, 60 s, 90 s
			n, err := ask(t, p, time.Second)
			require.NoError(t, err)
			assert.InDelta(t, want, n, 0)
			now = now.Add(30 * time.Second)
		}
	})
}

func TestClockThatJumpsBackKeepsNothingForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shift := time.Duration(0)
		api := &slowAPI{}
		p := start(api, func(o *SharedOptions) {
			o.TTL = operatorsTTL(time.Minute)
			o.Now = func() time.Time { return time.Now().Add(shift) }
		})
		defer p.Close()
		_, err := ask(t, p, time.Second)
		require.NoError(t, err)
		shift = -time.Hour
		n, err := ask(t, p, time.Second)
		require.NoError(t, err)
		assert.InDelta(t, 2, n, 0, "an answer from the future is not served")
	})
}

func TestScrapeJoinsACallThatOutlivedItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{delay: 20 * time.Second}
		p := start(api, nil)
		defer p.Close()
		_, err := ask(t, p, 10*time.Second)
		require.Error(t, err)
		n, err := ask(t, p, 11*time.Second)
		require.NoError(t, err)
		assert.InDelta(t, 1, n, 0)
		assert.EqualValues(t, 1, api.calls.Load())
		_, err = ask(t, p, time.Second)
		require.Error(t, err, "it was received in time by the second scrape, so that nothing is kept")
	})
}

func TestFailureIsNeverKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{delay: 12 * time.Second, err: errors.New("broken")}
		p := start(api, func(o *SharedOptions) { o.TTL = operatorsTTL(time.Hour) })
		defer p.Close()
		_, err := ask(t, p, 10*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(10 * time.Second)
		_, err = ask(t, p, 20*time.Second)
		require.EqualError(t, err, "broken")
		assert.EqualValues(t, 2, api.calls.Load())
	})
}

func TestFailureDoesNotBringBackAnOlderAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{}
		p := start(api, func(o *SharedOptions) { o.TTL = operatorsTTL(time.Minute) })
		defer p.Close()
		_, err := ask(t, p, time.Second)
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		api.err = errors.New("broken")
		for range 2 {
			_, err = ask(t, p, time.Second)
			require.EqualError(t, err, "broken")
		}
	})
}

func TestCallEndsAtTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{delay: time.Hour}
		p := start(api, nil)
		defer p.Close()
		begin := time.Now()
		_, err := ask(t, p, time.Minute)
		require.Error(t, err)
		assert.Equal(t, 30*time.Second, time.Since(begin))
		assert.Zero(t, api.flying.Load())
	})
}

func TestLimitBoundsCallsOfSeveralPollers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{delay: time.Second}
		limit := semaphore.NewWeighted(3)
		var scrapes sync.WaitGroup
		for range 10 {
			p := start(api, func(o *SharedOptions) { o.Limit = limit })
			t.Cleanup(p.Close)
			scrapes.Go(func() {
				_, err := ask(t, p, 10*time.Second)
				assert.NoError(t, err)
			})
		}
		scrapes.Wait()
		assert.EqualValues(t, 3, api.highest)
	})
}

func TestNoPlaceWithinTheLimitIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := semaphore.NewWeighted(1)
		require.True(t, limit.TryAcquire(1))
		api := &slowAPI{}
		p := start(api, func(o *SharedOptions) { o.Limit = limit })
		defer p.Close()
		_, err := ask(t, p, time.Minute)
		require.EqualError(t, err, "requesting the operators endpoint: timeout while waiting for the limit of concurrent API calls: raise the limit, or look for a team whose calls hang")
		assert.Zero(t, api.calls.Load())
	})
}

func TestCanceledScrapeSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(&slowAPI{delay: time.Hour}, nil)
		defer p.Close()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := p.Read(ctx, chattonic.EndpointDashboard, day)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestCloseEndsCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{delay: time.Hour}
		p := start(api, nil)
		_, err := ask(t, p, time.Second)
		require.Error(t, err)
		assert.EqualValues(t, 1, api.flying.Load())
		begin := time.Now()
		p.Close()
		assert.Zero(t, api.flying.Load())
		assert.Zero(t, time.Since(begin))
	})
}

func TestLateAnswerThatServedWithinItsTTLIsNotServedAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &slowAPI{delay: 12 * time.Second}
		p := start(api, func(o *SharedOptions) { o.TTL = operatorsTTL(30 * time.Second) })
		defer p.Close()
		_, err := ask(t, p, 10*time.Second)
		require.Error(t, err)
		time.Sleep(15 * time.Second)
		n, err := ask(t, p, 10*time.Second)
		require.NoError(t, err)
		assert.InDelta(t, 1, n, 0)
		time.Sleep(time.Minute)
		_, err = ask(t, p, 10*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// Read answers for the endpoint.
func (s *slowAPI) Read(ctx context.Context, e chattonic.Endpoint, w chattonic.Window) (chattonic.Answer, error) {
	if e == chattonic.EndpointDashboard {
		return s.Dashboard(ctx, w)
	}
	return s.Operators(ctx, w)
}
