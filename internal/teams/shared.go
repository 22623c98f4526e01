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

// maxLate is how long a late answer waits for the next scrape. It is the time
// after which Prometheus takes a sample for stale.
const maxLate = 5 * time.Minute

// SharedOptions adjusts a SharedAPI.
type SharedOptions struct {
	// Timeout ends a call, whether or not a scrape still waits for it.
	Timeout time.Duration
	// TTL is how long an answer of an endpoint serves further scrapes. Without one
	// every scrape makes a call.
	TTL map[chattonic.Endpoint]time.Duration
	// Limit bounds the concurrent calls of all SharedAPIs that have it.
	Limit *semaphore.Weighted
	// Now is the clock by which answers age; nil means time.Now.
	Now func() time.Time
	// History records the calls; nil means that nothing does.
	History *History
}

// SharedAPI lets scrapes share the calls of one team: several Prometheus servers
// that scrape at the same moment cause one call, an answer serves further scrapes
// until its TTL ends, and an answer that is too late for its scrape serves the
// next one. Calls are shared by endpoint and by the name of their window. A
// SharedAPI is safe for concurrent use.
type SharedAPI struct {
	api     collector.API
	options SharedOptions

	lifetime context.Context //nolint:containedctx // Calls outlive the scrape that began them.
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu     sync.Mutex
	shared map[key]*shared
}

var _ collector.API = (*SharedAPI)(nil)

// key is what calls are shared by.
type key struct {
	endpoint chattonic.Endpoint
	window   string // its name
}

// shared is what is known of a key.
type shared struct {
	flight *flight // nil while no call is in flight
	kept   *flight // an answer that may serve a further scrape
}

// flight is a call. Its answer is set before done is closed.
type flight struct {
	done      chan struct{}
	waiting   int   // number of scrapes, guarded by SharedAPI.mu
	lastError error // of a request that is repeated, guarded by SharedAPI.mu
	record    *Call
	answer    chattonic.Answer
	err       error
	at        time.Time
}

// NewSharedAPI returns a SharedAPI that makes calls to api. Close ends it.
func NewSharedAPI(api collector.API, o SharedOptions) *SharedAPI {
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, stop := context.WithCancel(context.Background())
	return &SharedAPI{api: api, options: o, lifetime: ctx, stop: stop, shared: make(map[key]*shared)}
}

// Close cancels the calls in flight and waits for their end. Nothing may be read
// after that.
func (s *SharedAPI) Close() {
	s.stop()
	s.running.Wait()
}

// Read returns the answer for the window or, where an answer is shared, for the
// window of that name a little earlier.
func (s *SharedAPI) Read(ctx context.Context, e chattonic.Endpoint, window chattonic.Window) (chattonic.Answer, error) {
	k := key{e, window.Name}
	s.mu.Lock()
	state := s.shared[k]
	if state == nil {
		state = new(shared)
		s.shared[k] = state
	}
	if kept := s.take(state, s.options.TTL[e]); kept != nil {
		s.mu.Unlock()
		return kept.answer, nil
	}
	f := state.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		state.flight = f
		s.running.Go(func() { s.call(state, f, e, window) }) //nolint:contextcheck // The call outlives this scrape.
	}
	f.waiting++
	s.mu.Unlock()

	select {
	case <-f.done:
		return f.answer, f.err
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.waiting--
	select {
	case <-f.done: // at this very moment, when call counted this scrape as served
		return f.answer, f.err
	default:
		return nil, s.abandoned(ctx, e, f)
	}
}

// take returns the kept answer if it may serve a scrape now. It stays until the
// TTL ends; a late one serves once.
func (s *SharedAPI) take(state *shared, ttl time.Duration) *flight {
	kept := state.kept
	if kept == nil {
		return nil
	}
	age := s.options.Now().Sub(kept.at)
	if age >= 0 && age < ttl {
		kept.waiting++ // it has served a scrape
		return kept
	}
	state.kept = nil
	if kept.waiting == 0 && age >= 0 && age < maxLate {
		return kept
	}
	return nil
}

// call makes a call. It has its own deadline, not that of the scrape that began
// it, because other scrapes wait for it, too.
func (s *SharedAPI) call(state *shared, f *flight, e chattonic.Endpoint, window chattonic.Window) {
	ctx, cancel := context.WithTimeout(s.lifetime, s.options.Timeout)
	defer cancel()
	f.record = s.options.History.begin(e, window)
	answer, err := s.read(ctx, e, window)
	s.options.History.end(f.record, answer, err)

	s.mu.Lock()
	defer s.mu.Unlock()
	f.answer, f.err, f.at = answer, err, s.options.Now()
	state.flight = nil
	if err == nil && (s.options.TTL[e] > 0 || f.waiting == 0) {
		state.kept = f
	}
	close(f.done)
}

// read makes a call when the limit allows it.
func (s *SharedAPI) read(ctx context.Context, e chattonic.Endpoint, window chattonic.Window) (chattonic.Answer, error) {
	if err := s.options.Limit.Acquire(ctx, 1); err != nil {
		return nil, failure(e, chattonic.CauseTimeout, "no call could be made in time: too many are in flight, raise the limit or look for a team that hangs")
	}
	defer s.options.Limit.Release(1)
	return s.api.Read(ctx, e, window)
}

// Observe records a request of a call, so that a scrape that ends before its call
// can say why. It is the observer of the client that makes the calls.
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

// abandoned is the error of a scrape that ends before its call. It says what the
// call waits for, because the call may succeed between two scrapes, so that
// nothing else says it.
func (s *SharedAPI) abandoned(ctx context.Context, e chattonic.Endpoint, f *flight) error {
	if ctx.Err() == context.Canceled {
		return failure(e, chattonic.CauseCanceled, "the scrape was canceled before the answer was complete")
	}
	detail := fmt.Sprintf("no answer before the scrape's deadline: the call goes on for up to %s, and the next scrape gets its answer", s.options.Timeout)
	if f.lastError != nil {
		detail += "; last error: " + reason(f.lastError)
	}
	return failure(e, chattonic.CauseTimeout, detail)
}

func failure(e chattonic.Endpoint, cause chattonic.Cause, detail string) error {
	return chattonic.Error{Endpoint: e, Cause: cause, Detail: detail}
}
