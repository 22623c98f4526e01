package teams

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
)

// said are the answers of a scriptedAPI, by window.
type said map[string]error

// scriptedAPI answers after a second, or fails as scripted.
type scriptedAPI struct {
	mu   sync.Mutex
	said said
}

func (s *scriptedAPI) say(window string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said[window] = err
}

func (s *scriptedAPI) call(ctx context.Context, w chattonic.Window) error {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said[w.Name]
}

func (s *scriptedAPI) Operators(ctx context.Context, w chattonic.Window) (*chattonic.Operators, error) {
	if err := s.call(ctx, w); err != nil {
		return nil, err
	}
	return &chattonic.Operators{Metadata: chattonic.Metadata{Window: w}}, nil
}

func (s *scriptedAPI) Dashboard(ctx context.Context, w chattonic.Window) (*chattonic.Dashboard, error) {
	if err := s.call(ctx, w); err != nil {
		return nil, err
	}
	return &chattonic.Dashboard{Metadata: chattonic.Metadata{Window: w}}, nil
}

// text is a call in a line, with its start in seconds after begin.
func text(c Call, begin time.Time) string {
	return fmt.Sprintf("%s %s %v+%v %t %v", c.Endpoint, c.Window.Name, c.Start.Sub(begin).Seconds(), c.Duration.Seconds(), c.InFlight, c.Err)
}

func texts(calls []Call, begin time.Time) (all []string) {
	for _, c := range calls {
		all = append(all, text(c, begin))
	}
	return all
}

func TestHistoryOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		api := &scriptedAPI{said: said{}}
		h := NewHistory("24h", nil)
		p := start(api, func(o *SharedOptions) { o.History = h; o.TTL = operatorsTTL(3 * time.Second) })
		defer p.Close()
		assert.Empty(t, h.Snapshot().Calls)
		assert.Empty(t, h.Snapshot().Operators)

		first, err := p.Read(t.Context(), chattonic.EndpointOperators, day)
		require.NoError(t, err)
		_, err = p.Read(t.Context(), chattonic.EndpointOperators, day)
		require.NoError(t, err)
		assert.Equal(t, []string{"operators 24h 0+1 false <nil>"}, texts(h.Snapshot().Calls, begin), "an answer that serves again is no call")
		assert.Same(t, first, h.Snapshot().Operators["24h"])

		broken := errors.New("broken")
		api.say("24h", broken)
		_, err = p.Read(t.Context(), chattonic.EndpointDashboard, day)
		require.ErrorIs(t, err, broken)
		time.Sleep(5 * time.Second)
		_, err = p.Read(t.Context(), chattonic.EndpointOperators, day)
		require.ErrorIs(t, err, broken)
		_, err = p.Read(t.Context(), chattonic.EndpointOperators, chattonic.Window{Name: "today"})
		require.NoError(t, err)
		s := h.Snapshot()
		assert.Equal(t, []string{
			"operators today 8+1 false <nil>", "operators 24h 7+1 false broken", "dashboard 24h 1+1 false broken", "operators 24h 0+1 false <nil>",
		}, texts(s.Calls, begin))
		assert.Equal(t, []string{"operators 24h 7+1 false broken", "dashboard 24h 1+1 false broken"}, texts(s.Failing, begin))
		assert.Same(t, first, s.Operators["24h"], "the last good answer for the window")
		assert.NotSame(t, first, s.Operators["today"], "each window has its own")

		api.say("24h", nil)
		second, err := p.Read(t.Context(), chattonic.EndpointOperators, day)
		require.NoError(t, err)
		s = h.Snapshot()
		assert.Equal(t, []string{"dashboard 24h 1+1 false broken"}, texts(s.Failing, begin), "what was overcome fails no more")
		assert.Same(t, second, s.Operators["24h"])
	})
}

func TestHistoryHasTheLastCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		h := NewHistory("24h", nil)
		p := start(&scriptedAPI{said: said{}}, func(o *SharedOptions) { o.History = h })
		defer p.Close()
		for i := range 50 {
			_, err := p.Read(t.Context(), chattonic.EndpointDashboard, day)
			require.NoError(t, err)
			calls := h.Snapshot().Calls
			require.Len(t, calls, min(i+1, 20))
			for k, c := range calls {
				require.Equal(t, fmt.Sprintf("dashboard 24h %d+1 false <nil>", i-k), text(c, begin))
			}
		}
	})
}

// Calls of the same moment have an order of their own, so that a page that is
// loaded again does not jump.
func TestHistoryOfCallsOfAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		api := &scriptedAPI{said: said{"24h": errors.New("broken"), "today": errors.New("broken")}}
		h := NewHistory("24h", nil)
		p := start(api, func(o *SharedOptions) { o.History = h })
		defer p.Close()
		var want []string
		for _, e := range []chattonic.Endpoint{chattonic.EndpointDashboard, chattonic.EndpointOperators} {
			for _, window := range []string{"24h", "today"} {
				want = append(want, fmt.Sprintf("%s %s 0+1 false broken", e, window))
			}
		}
		var scrapes sync.WaitGroup
		for _, window := range []string{"today", "24h"} {
			for _, e := range []chattonic.Endpoint{chattonic.EndpointOperators, chattonic.EndpointDashboard} {
				scrapes.Go(func() { _, _ = p.Read(t.Context(), e, chattonic.Window{Name: window}) })
			}
		}
		scrapes.Wait()
		for range 20 { // as the order of a map changes
			s := h.Snapshot()
			require.Equal(t, want, texts(s.Calls, begin))
			require.Equal(t, want, texts(s.Failing, begin))
		}
	})
}

// A Snapshot is of its moment, whatever comes after it.
func TestSnapshotStaysAsItIs(t *testing.T) {
	h := NewHistory("24h", nil)
	first, second := &chattonic.Operators{}, &chattonic.Operators{}
	h.end(h.begin(chattonic.EndpointOperators, day), first, nil)
	s := h.Snapshot()
	h.end(h.begin(chattonic.EndpointOperators, day), second, nil)
	assert.Same(t, first, s.Operators["24h"])
	assert.Len(t, s.Calls, 1)
}

func TestHistoryOfCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		h := NewHistory("24h", nil)
		p := start(&slowAPI{delay: time.Hour}, func(o *SharedOptions) { o.History = h; o.Timeout = 10 * time.Second })
		defer p.Close()
		_, err := ask(t, p, 2*time.Second)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, []string{"operators 24h 0+2 true <nil>"}, texts(h.Snapshot().Calls, begin))
		assert.Empty(t, h.Snapshot().Failing, "it may still end well")
		time.Sleep(10 * time.Second)
		assert.Equal(t, []string{"operators 24h 0+10 false context deadline exceeded"}, texts(h.Snapshot().Calls, begin))
		assert.Len(t, h.Snapshot().Failing, 1)
		assert.Empty(t, h.inFlight)
	})
}

func TestHistoryOfWhatACallInFlightHasMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		via := busy{begin.Add(15 * time.Second), http.Header{"Retry-After": {"20"}}}
		var p *SharedAPI
		client, err := chattonic.New("http://chat-tonic.example", "acme", chattonic.WithHTTPClient(&http.Client{Transport: via}),
			chattonic.WithObserver(func(a chattonic.Attempt) { p.Observe(a) }))
		require.NoError(t, err)
		h := NewHistory("24h", nil)
		p = start(client, func(o *SharedOptions) { o.History = h })
		defer p.Close()
		_, err = ask(t, p, 5*time.Second)
		require.Error(t, err)
		assert.Equal(t, []string{"operators 24h 0+5 true requesting the operators endpoint: HTTP 429, too many calls: lengthen the scrape interval or set a ttl"}, texts(h.Snapshot().Calls, begin))
		assert.Empty(t, h.Snapshot().Failing, "it may still end well")
		_, err = ask(t, p, 30*time.Second)
		require.NoError(t, err)
		assert.Equal(t, []string{"operators 24h 0+20 false <nil>"}, texts(h.Snapshot().Calls, begin))
	})
}

// BenchmarkHistory measures what remembering adds to a call.
func BenchmarkHistory(b *testing.B) {
	h := NewHistory("24h", nil)
	answer := &chattonic.Operators{}
	for b.Loop() {
		h.end(h.begin(chattonic.EndpointOperators, day), answer, nil)
	}
}

// Read answers for the endpoint.
func (s *scriptedAPI) Read(ctx context.Context, e chattonic.Endpoint, w chattonic.Window) (chattonic.Answer, error) {
	if e == chattonic.EndpointDashboard {
		return s.Dashboard(ctx, w)
	}
	return s.Operators(ctx, w)
}

// answerOf returns an answer of operators in the given states at a time.
func answerOf(at time.Time, waiting, assigned float64, states ...chattonic.Text) *chattonic.Operators {
	a := &chattonic.Operators{QueryPending: chattonic.NumberOf(waiting)}
	a.ReceivedAt = at
	for i, state := range states {
		a.Operators = append(a.Operators, chattonic.Operator{
			ID: chattonic.Text(fmt.Sprint("id", i)), Status: state, QueryInProgress: chattonic.NumberOf(float64(i)), QueriesAssigned: chattonic.NumberOf(assigned),
		})
	}
	return a
}

func (h *History) answered(a *chattonic.Operators, window string) {
	h.end(h.begin(chattonic.EndpointOperators, chattonic.Window{Name: window}), a, nil)
}

func TestHistoryOfTheQueue(t *testing.T) {
	begin := time.Date(2021, 12, 1, 12, 0, 0, 0, time.UTC)
	h := NewHistory("24h", func() time.Time { return begin }, "online", "busy")
	h.answered(answerOf(begin, 3, 0, "online", "BUSY", "away"), "24h")
	h.answered(answerOf(begin, 99, 7, "online", "busy", "away"), "today")
	h.answered(answerOf(begin.Add(time.Minute), 4, 0, "online", "away", "away"), "24h")
	h.answered(answerOf(begin.Add(time.Minute), 99, 8, "online", "away", "away"), "today")
	s := h.Snapshot()
	assert.Equal(t, []Point{
		{At: begin, Waiting: chattonic.NumberOf(3), InProgress: chattonic.NumberOf(3), AtWork: 2, Free: 1},
		{At: begin.Add(time.Minute), Waiting: chattonic.NumberOf(4), InProgress: chattonic.NumberOf(3), AtWork: 1, Free: 1},
	}, s.Trend, "of the first window alone")
	assert.Equal(t, []Count{{begin, 21}, {begin.Add(time.Minute), 24}}, s.Assigned, "of the window today")
	assert.Equal(t, map[chattonic.Text]time.Time{"id0": begin, "id1": begin.Add(time.Minute), "id2": begin}, s.Since)

	h.answered(answerOf(begin.Add(2*time.Minute), 4, 0, "online"), "24h")
	h.answered(answerOf(begin.Add(3*time.Minute), 4, 0, "online", "away"), "24h")
	assert.Equal(t, map[chattonic.Text]time.Time{"id0": begin, "id1": begin.Add(3 * time.Minute)}, h.Snapshot().Since, "an operator who was not in an answer begins again")

	omitted := &chattonic.Operators{Metadata: chattonic.Metadata{ReceivedAt: begin.Add(4 * time.Minute)}, Operators: []chattonic.Operator{{ID: "id0"}}}
	h.answered(omitted, "24h")
	assert.Equal(t, Point{At: begin.Add(4 * time.Minute)}, h.Snapshot().Trend[4], "what is omitted is no 0")
}

func TestHistoryOfTheQueueIsBounded(t *testing.T) {
	begin := time.Date(2021, 12, 1, 0, 0, 0, 0, time.UTC)
	h := NewHistory("today", nil)
	const step = 2 * time.Second
	for i := range int(4 * time.Hour / step) {
		h.answered(answerOf(begin.Add(time.Duration(i)*step), 1, float64(i), "online"), "today")
	}
	s := h.Snapshot()
	end := begin.Add(4*time.Hour - step)
	for name, times := range map[string][]time.Time{"trend": pointTimes(s.Trend), "assigned": countTimes(s.Assigned)} {
		assert.LessOrEqual(t, len(times), 2*int(TrendSpan/pointSpacing)+2, name)
		assert.Equal(t, end, times[len(times)-1], name)
		assert.WithinDuration(t, end.Add(-TrendSpan), times[0], 2*pointSpacing, name)
	}
	h.answered(answerOf(begin, 1, 1, "online"), "today")
	assert.Len(t, h.Snapshot().Trend, 1, "the clock was set back")
}

func pointTimes(points []Point) (times []time.Time) {
	for _, p := range points {
		times = append(times, p.At)
	}
	return times
}

func countTimes(counts []Count) (times []time.Time) {
	for _, c := range counts {
		times = append(times, c.At)
	}
	return times
}

func TestScrapeInterval(t *testing.T) {
	for name, test := range map[string]struct {
		gaps []int // seconds
		want time.Duration
	}{
		"no scrape":                      {nil, time.Minute},
		"each half a minute":             {[]int{30, 30, 30}, 30 * time.Second},
		"two servers":                    {[]int{10, 50, 10, 50, 10, 50, 10, 50, 10}, 50 * time.Second},
		"after an outage":                {[]int{60, 60, 60, 60, 3600, 60}, time.Minute},
		"faster than pages are updated":  {[]int{1, 1, 1}, 10 * time.Second},
		"the last scrapes count, slower": {[]int{15, 15, 15, 15, 120, 120, 120, 120, 120, 120, 120, 120, 120}, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Date(2021, 12, 1, 12, 0, 0, 0, time.UTC)
			h := NewHistory("24h", func() time.Time { return now })
			h.scraped(chattonic.EndpointOperators, "24h")
			for _, gap := range test.gaps {
				now = now.Add(time.Second)
				h.scraped(chattonic.EndpointDashboard, "24h")
				h.scraped(chattonic.EndpointOperators, "today")
				now = now.Add(time.Duration(gap-1) * time.Second)
				h.scraped(chattonic.EndpointOperators, "24h")
			}
			assert.Equal(t, test.want, h.Snapshot().ScrapeInterval)
		})
	}
}
