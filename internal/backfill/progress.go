package backfill

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// progress shows how far a run is, from several goroutines: by a line on a
// terminal that is written over and over, or else by lines in the log.
type progress struct {
	out    io.Writer // nil where it is no terminal
	logger log.Logger
	every  time.Duration
	steps  int
	// before is what an earlier run had done.
	before int
	began  time.Time

	mu          sync.Mutex
	shown       time.Time
	done, calls int
}

const (
	// onTerminal and inLog are how often progress is shown.
	onTerminal = 200 * time.Millisecond
	inLog      = 30 * time.Second
)

func newProgress(o *Options, done, steps int) *progress {
	now := time.Now()
	p := &progress{logger: o.Logger, every: inLog, steps: steps, before: done, done: done, began: now, shown: now}
	if isTerminal(o.Progress) {
		p.out, p.every = o.Progress, onTerminal
	}
	return p
}

// called counts a call.
func (p *progress) called() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	p.show(false)
}

// stepped notes how many steps are done.
func (p *progress) stepped(done int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = done
	p.show(false)
}

// end leaves the line on a terminal.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out != nil {
		p.show(true)
		_, _ = io.WriteString(p.out, "\n") // as with the line itself
	}
}

func (p *progress) show(now bool) {
	if !now && time.Since(p.shown) < p.every {
		return
	}
	p.shown = time.Now()
	elapsed := p.shown.Sub(p.began).Seconds()
	left, perSecond, toGo := p.steps-p.done, float64(p.calls)/max(elapsed, 1e-3), "unknown"
	if p.done > p.before {
		toGo = seconds(elapsed / float64(p.done-p.before) * float64(left)).String()
	}
	if p.out == nil {
		level.Info(p.logger).Log("msg", "asking for the past", "done", p.done, "left", left, "calls", p.calls, "calls_per_second", fmt.Sprintf("%.1f", perSecond), "to_go", toGo)
		return
	}
	// A terminal that is gone has nobody to be told so.
	_, _ = fmt.Fprintf(p.out, "\r%d of %d steps done, %d left, %d calls, %.1f a second, %s to go\x1b[K", p.done, p.steps, left, p.calls, perSecond, toGo)
}
