// Package poll decorates the client of one team so that scrapes share its
// calls: several Prometheus servers that ask at the same moment cause one call,
// an answer may serve further scrapes for a time, and an answer that comes too
// late for its scrape serves the next one.
package poll

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"chattonic_exporter/chattonic"
)

// maxLate is how long a late answer waits for the next scrape. It is the time
// after which Prometheus itself takes a sample for stale.
const maxLate = 5 * time.Minute

// API is what a Poller asks, and what it is itself.
type API interface {
	Operators(ctx context.Context, window chattonic.Window) (*chattonic.Operators, error)
	Dashboard(ctx context.Context, window chattonic.Window) (*chattonic.Dashboard, error)
}

// Options adjusts a Poller.
type Options struct {
	// Timeout ends a call, whether or not a scrape still waits for it.
	Timeout time.Duration
	// OperatorsTTL and DashboardTTL are how long an answer serves further
	// scrapes; with 0 every scrape asks.
	OperatorsTTL, DashboardTTL time.Duration
	// Limit bounds the calls at a time, here and wherever else it is used.
	Limit *semaphore.Weighted
	// Now is the clock by which answers age; nil means time.Now.
	Now func() time.Time
	// History remembers the calls; with nil nothing does.
	History *History
}

// Poller asks an API. Calls are shared by the name of their window. It is safe
// for concurrent use.
type Poller struct {
	operators keyed[*chattonic.Operators]
	dashboard keyed[*chattonic.Dashboard]

	stop    context.CancelFunc
	running sync.WaitGroup
}

// New returns a Poller that asks api. Close ends it.
func New(api API, o Options) *Poller {
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Poller{stop: stop}
	p.operators = keyed[*chattonic.Operators]{
		endpoint: chattonic.EndpointOperators, ask: api.Operators, ttl: o.OperatorsTTL, options: o, lifetime: ctx, running: &p.running,
	}
	p.dashboard = keyed[*chattonic.Dashboard]{
		endpoint: chattonic.EndpointDashboard, ask: api.Dashboard, ttl: o.DashboardTTL, options: o, lifetime: ctx, running: &p.running,
	}
	return p
}

// Operators returns the operators over the window or, where an answer is
// shared, over the window of that name a little earlier.
func (p *Poller) Operators(ctx context.Context, window chattonic.Window) (*chattonic.Operators, error) {
	return p.operators.get(ctx, window)
}

// Dashboard returns the dashboard over the window or, where an answer is
// shared, over the window of that name a little earlier.
func (p *Poller) Dashboard(ctx context.Context, window chattonic.Window) (*chattonic.Dashboard, error) {
	return p.dashboard.get(ctx, window)
}

// Close cancels the calls in flight and waits for their end. Nothing may be
// asked of the Poller from then on.
func (p *Poller) Close() {
	p.stop()
	p.running.Wait()
}

// keyed shares the calls to one endpoint by the name of their window.
type keyed[T any] struct {
	endpoint chattonic.Endpoint
	ask      func(context.Context, chattonic.Window) (T, error)
	ttl      time.Duration
	options  Options
	lifetime context.Context
	running  *sync.WaitGroup

	mu     sync.Mutex
	states map[string]*state[T]
}

// state is what is known of one window.
type state[T any] struct {
	flight *flight[T] // nil while no call is in flight
	kept   *flight[T] // an answer that may serve a further scrape
}

// flight is a call. Its answer is set before done is closed.
type flight[T any] struct {
	done    chan struct{}
	waiting int             // scrapes, guarded by keyed.mu
	met     chattonic.Error // after which it asks again, guarded by keyed.mu
	answer  T
	err     error
	at      time.Time
}

func (k *keyed[T]) get(ctx context.Context, window chattonic.Window) (T, error) {
	k.mu.Lock()
	s := k.state(window.Name)
	if kept := k.take(s); kept != nil {
		k.mu.Unlock()
		return kept.answer, nil
	}
	f := s.flight
	if f == nil {
		f = &flight[T]{done: make(chan struct{})}
		s.flight = f
		k.running.Go(func() { k.fly(s, f, window) })
	}
	f.waiting++
	k.mu.Unlock()

	select {
	case <-f.done:
		return f.answer, f.err
	case <-ctx.Done():
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	f.waiting--
	select {
	case <-f.done: // at this very moment, so that fly took it for received
		return f.answer, f.err
	default:
		var none T
		return none, k.leave(ctx, f)
	}
}

func (k *keyed[T]) state(name string) *state[T] {
	if k.states == nil {
		k.states = make(map[string]*state[T])
	}
	s := k.states[name]
	if s == nil {
		s = new(state[T])
		k.states[name] = s
	}
	return s
}

// take returns the kept answer if it may serve a scrape now. Within the ttl it
// stays; a late one goes.
func (k *keyed[T]) take(s *state[T]) *flight[T] {
	kept := s.kept
	if kept == nil {
		return nil
	}
	age := k.options.Now().Sub(kept.at)
	if age >= 0 && age < k.ttl {
		kept.waiting++ // it has served a scrape
		return kept
	}
	s.kept = nil
	if kept.waiting == 0 && age >= 0 && age < maxLate {
		return kept
	}
	return nil
}

// fly makes a call. It has its own deadline, not that of the scrape that it
// began with: others wait for it, too.
func (k *keyed[T]) fly(s *state[T], f *flight[T], window chattonic.Window) {
	ctx, cancel := context.WithTimeout(k.lifetime, k.options.Timeout)
	defer cancel()
	history := k.options.History
	noted := history.begin(k.endpoint, window)
	ctx = chattonic.WithRetryNotice(ctx, func(met chattonic.Error) {
		history.met(noted, met)
		k.mu.Lock()
		defer k.mu.Unlock()
		f.met = met
	})
	answer, err := k.call(ctx, window)
	history.end(noted, answer, err)

	k.mu.Lock()
	defer k.mu.Unlock()
	f.answer, f.err, f.at = answer, err, k.options.Now()
	s.flight = nil
	if err == nil && (k.ttl > 0 || f.waiting == 0) {
		s.kept = f
	}
	close(f.done)
}

func (k *keyed[T]) call(ctx context.Context, window chattonic.Window) (T, error) {
	if err := k.options.Limit.Acquire(ctx, 1); err != nil {
		var none T
		return none, k.failure(chattonic.CauseTimeout, "no call could be made in time: too many are in flight, raise the limit or look for a team that hangs")
	}
	defer k.options.Limit.Release(1)
	return k.ask(ctx, window)
}

// leave is the error of a scrape that ends before its call. It says what keeps
// the call, which may end well or between two scrapes, so that nobody else will.
func (k *keyed[T]) leave(ctx context.Context, f *flight[T]) error {
	if ctx.Err() == context.Canceled {
		return k.failure(chattonic.CauseCanceled, "the scrape was canceled before the answer was there")
	}
	detail := fmt.Sprintf("no answer before the scrape's deadline: the call goes on for up to %s, and the next scrape gets its answer", k.options.Timeout)
	if f.met.Detail != "" {
		detail += "; so far it met: " + f.met.Detail
	}
	return k.failure(chattonic.CauseTimeout, detail)
}

func (k *keyed[T]) failure(cause chattonic.Cause, detail string) error {
	return chattonic.Error{Endpoint: k.endpoint, Cause: cause, Detail: detail}
}
