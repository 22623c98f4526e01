package teams

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
)

// maxLate is how long a late answer can be used. It equals the lookback delta of
// Prometheus: older samples are stale there.
const maxLate = 5 * time.Minute

// SharedOptions configures a SharedAPI.
type SharedOptions struct {
	// Timeout is the timeout of a call. It does not depend on the scrapes that wait for
	// the call.
	Timeout time.Duration
	// TTL is how long an answer of an endpoint is reused by later scrapes. Without a TTL
	// each scrape needs a new call.
	TTL map[chattonic.Endpoint]time.Duration
	// Limit limits the concurrent calls of all SharedAPIs that use it.
	Limit *semaphore.Weighted
	// Now is the clock for the age of answers; nil means time.Now.
	Now func() time.Time
	// History records the calls; nil means that they are not recorded.
	History *History

	guard *guard // decides which calls may be made; nil means all
}

// SharedAPI shares the calls of one team between scrapes. Concurrent scrapes, such as
// those of several Prometheus servers, share one call. An answer is reused until its TTL
// expires. The next scrape falls back on an answer that was too late for its scrape, but only
// if its own call times out. Calls are shared by endpoint and window name. A SharedAPI is safe for concurrent use.
type SharedAPI struct {
	api     collector.API
	options SharedOptions

	lifetime context.Context //nolint:containedctx // Calls outlive the scrape that started them.
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu     sync.Mutex
	shared map[key]*shared
}

var _ collector.API = (*SharedAPI)(nil)

// key identifies calls that are shared.
type key struct {
	endpoint chattonic.Endpoint
	window   string // its name
}

// shared is the state of a key.
type shared struct {
	flight *flight // nil while no call is in flight
	cached *flight // with an answer that a later scrape may use, or nil
}

// flight is a call in flight or a completed one. answer, err and completedAt are set before
// done is closed.
type flight struct {
	done   chan struct{}
	record *Call

	// The next fields are guarded by SharedAPI.mu.

	scrapes   int     // number of scrapes that wait for the answer or got it
	lastError error   // of the last failed request
	servedFor *flight // later flight, whose scrapes fell back on this answer

	answer      chattonic.Answer
	err         error
	completedAt time.Time
}

// NewSharedAPI returns a SharedAPI that calls api. Close must be called at the end.
func NewSharedAPI(api collector.API, o SharedOptions) *SharedAPI {
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, stop := context.WithCancel(context.Background())
	return &SharedAPI{api: api, options: o, lifetime: ctx, stop: stop, shared: make(map[key]*shared)}
}

// Close cancels the calls in flight and waits until they have ended. Read must not be
// called after that.
func (s *SharedAPI) Close() {
	s.stop()
	s.running.Wait()
}

// Read returns an answer for the window. If the answer is shared with an earlier scrape, its
// window has the same name but is the one of that scrape. Errors are of the type
// chattonic.Error. Read returns when ctx ends, but the call continues.
func (s *SharedAPI) Read(ctx context.Context, e chattonic.Endpoint, window chattonic.Window) (chattonic.Answer, error) {
	k := key{e, window.Name}
	s.options.History.scraped(e, window.Name)
	refusal := s.options.guard.refusal(e)
	s.mu.Lock()
	state := s.shared[k]
	if state == nil {
		state = new(shared)
		s.shared[k] = state
	}
	if cached := state.cached; cached != nil {
		age := s.options.Now().Sub(cached.completedAt)
		if age >= 0 && age < s.options.TTL[e] {
			cached.scrapes++
			s.mu.Unlock()
			return cached.answer, nil
		}
	}
	f := state.flight
	switch {
	case f != nil:
	case refusal != nil:
		state.cached = nil
		s.mu.Unlock()
		s.options.History.refuse(e, window, *refusal)
		return nil, *refusal
	default:
		if state.cached != nil && state.cached.scrapes > 0 {
			state.cached = nil
		}
		f = &flight{done: make(chan struct{})}
		state.flight = f
		s.running.Go(func() { s.call(state, f, e, window) }) //nolint:contextcheck // The call outlives this scrape.
	}
	f.scrapes++
	s.mu.Unlock()

	select {
	case <-f.done:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := f.err
	select {
	case <-f.done: // perhaps together with ctx: then call counted this scrape
		if err == nil {
			return f.answer, nil
		}
	default:
		f.scrapes--
		err = s.scrapeError(ctx, e, f)
	}
	if late := s.late(state, f); late != nil && errors.Is(err, context.DeadlineExceeded) {
		late.scrapes++
		late.servedFor = f
		return late.answer, nil
	}
	return nil, err
}

// late returns the answer that the scrapes of a flight can fall back on, or nil. An answer
// that was too late for its own scrapes is used for one later flight.
func (s *SharedAPI) late(state *shared, f *flight) *flight {
	cached := state.cached
	if cached == nil || cached.scrapes > 0 && cached.servedFor != f {
		return nil
	}
	if age := s.options.Now().Sub(cached.completedAt); age < 0 || age >= maxLate {
		return nil
	}
	return cached
}

// call makes a call. The call has its own deadline instead of that of the scrape that
// started it, because other scrapes may wait for it.
func (s *SharedAPI) call(state *shared, f *flight, e chattonic.Endpoint, window chattonic.Window) {
	ctx, cancel := context.WithTimeout(s.lifetime, s.options.Timeout)
	defer cancel()
	f.record = s.options.History.begin(e, window)
	answer, err := s.read(ctx, e, window)
	s.options.History.end(f.record, answer, err)

	s.mu.Lock()
	defer s.mu.Unlock()
	f.answer, f.err, f.completedAt = answer, err, s.options.Now()
	state.flight = nil
	switch {
	case err == nil && (s.options.TTL[e] > 0 || f.scrapes == 0):
		state.cached = f
	case !errors.Is(err, context.DeadlineExceeded):
		state.cached = nil // an older answer must not hide what this call has shown
	}
	close(f.done)
}

// read waits until the limit allows another call, and makes it.
func (s *SharedAPI) read(ctx context.Context, e chattonic.Endpoint, window chattonic.Window) (chattonic.Answer, error) {
	if err := s.options.Limit.Acquire(ctx, 1); err != nil {
		return nil, failure(e, chattonic.CauseTimeout, "timeout while waiting for the limit of concurrent API calls: raise the limit, or look for a team whose calls hang")
	}
	defer s.options.Limit.Release(1)
	answer, err := s.api.Read(ctx, e, window)
	if s.options.guard.again(err) {
		answer, err = s.api.Read(ctx, e, window)
	}
	return answer, s.options.guard.explain(err)
}

// Observe records the error of a failed request. A scrape that ends before its call
// includes it in its error. Observe must be the observer of the client that makes the
// calls, see chattonic.WithObserver.
func (s *SharedAPI) Observe(a chattonic.Attempt) {
	if a.Err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if state := s.shared[key{a.Endpoint, a.Window.Name}]; state != nil && state.flight != nil {
		state.flight.lastError = a.Err
		s.options.History.observe(state.flight.record, a.Err)
	}
}

// scrapeError returns the error of a scrape that ends before its call. It includes the last
// error of the call, because the call may still succeed between two scrapes and then
// nothing else reports that error.
func (s *SharedAPI) scrapeError(ctx context.Context, e chattonic.Endpoint, f *flight) error {
	if ctx.Err() == context.Canceled {
		return failure(e, chattonic.CauseCanceled, "the scrape was canceled before the answer was received")
	}
	detail := fmt.Sprintf("no answer before the scrape's deadline: the call continues for up to %s, and the next scrape uses its answer if its own call times out", s.options.Timeout)
	if f.lastError != nil {
		detail += "; last error: " + reason(f.lastError)
	}
	return failure(e, chattonic.CauseTimeout, detail)
}

func failure(e chattonic.Endpoint, cause chattonic.Cause, detail string) error {
	return chattonic.Error{Endpoint: e, Cause: cause, Detail: detail}
}
