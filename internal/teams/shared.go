package teams

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
)

// maxLate is how long a late answer can be used by the next scrape. It equals the lookback
// delta of Prometheus: older samples are stale there.
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
}

// SharedAPI shares the calls of one team between scrapes. Concurrent scrapes, such as
// those of several Prometheus servers, share one call. An answer is reused until its TTL
// expires. An answer that is too late for its scrape is used by the next one. Calls are
// shared by endpoint and window name. A SharedAPI is safe for concurrent use.
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
	done      chan struct{}
	scrapes   int   // number of scrapes that wait for the answer or got it, guarded by SharedAPI.mu
	lastError error // of the last failed request, guarded by SharedAPI.mu
	record    *Call

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
	s.mu.Lock()
	state := s.shared[k]
	if state == nil {
		state = new(shared)
		s.shared[k] = state
	}
	if cached := s.takeCached(state, s.options.TTL[e]); cached != nil {
		s.mu.Unlock()
		return cached.answer, nil
	}
	f := state.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		state.flight = f
		s.running.Go(func() { s.call(state, f, e, window) }) //nolint:contextcheck // The call outlives this scrape.
	}
	f.scrapes++
	s.mu.Unlock()

	select {
	case <-f.done:
		return f.answer, f.err
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.scrapes--
	select {
	case <-f.done: // completed meanwhile, and call counted this scrape
		return f.answer, f.err
	default:
		return nil, s.scrapeError(ctx, e, f)
	}
}

// takeCached returns the cached answer if a scrape may use it now, or nil. An answer stays
// cached until its TTL expires. A late answer is used once.
func (s *SharedAPI) takeCached(state *shared, ttl time.Duration) *flight {
	cached := state.cached
	if cached == nil {
		return nil
	}
	age := s.options.Now().Sub(cached.completedAt)
	if age >= 0 && age < ttl {
		cached.scrapes++
		return cached
	}
	state.cached = nil
	if cached.scrapes == 0 && age >= 0 && age < maxLate {
		return cached
	}
	return nil
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
	if err == nil && (s.options.TTL[e] > 0 || f.scrapes == 0) {
		state.cached = f
	}
	close(f.done)
}

// read waits until the limit allows another call, and makes it.
func (s *SharedAPI) read(ctx context.Context, e chattonic.Endpoint, window chattonic.Window) (chattonic.Answer, error) {
	if err := s.options.Limit.Acquire(ctx, 1); err != nil {
		return nil, failure(e, chattonic.CauseTimeout, "timeout while waiting for the limit of concurrent API calls: raise the limit, or look for a team whose calls hang")
	}
	defer s.options.Limit.Release(1)
	return s.api.Read(ctx, e, window)
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
	detail := fmt.Sprintf("no answer before the scrape's deadline: the call continues for up to %s, and the next scrape uses its answer", s.options.Timeout)
	if f.lastError != nil {
		detail += "; last error: " + reason(f.lastError)
	}
	return failure(e, chattonic.CauseTimeout, detail)
}

func failure(e chattonic.Endpoint, cause chattonic.Cause, detail string) error {
	return chattonic.Error{Endpoint: e, Cause: cause, Detail: detail}
}
