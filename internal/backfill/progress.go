package backfill

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

// progress shows the progress of a run: as one line on a terminal, which it
// overwrites, or in the log. It is safe for concurrent use.
type progress struct {
	out    io.Writer // nil if it is not a terminal
	logger log.Logger
	every  time.Duration
	steps  int
	// resumed is the number of steps that earlier runs have done.
	resumed int
	start   time.Time

	mu          sync.Mutex
	shown       time.Time
	done, calls int
	waitUntil   time.Time
}

const (
	terminalInterval = 200 * time.Millisecond
	logInterval      = 30 * time.Second
)

func newProgress(o *Options, done, steps int) *progress {
	now := time.Now()
	p := &progress{logger: o.Logger, every: logInterval, steps: steps, resumed: done, done: done, start: now, shown: now}
	if isTerminal(o.Progress) {
		p.out, p.every = o.Progress, terminalInterval
	}
	return p
}

// callDone counts an API call.
func (p *progress) callDone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	p.show(false)
}

// stepDone records the number of steps done.
func (p *progress) stepDone(done int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = done
	p.show(false)
}

// waitStarted shows that the run waits for the API of a team.
func (p *progress) waitStarted(until time.Time, team string, reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waitUntil = until
	if p.out == nil {
		level.Warn(p.logger).Log("msg", "waiting for the API", "until", until.UTC().Format(time.RFC3339), "team", team, "err", reason)
		return
	}
	_, _ = fmt.Fprintf(p.out, "\r\x1b[KWaiting for the API until %s: team %q: %v\n", until.Format(time.DateTime), team, reason) // as in show
	p.show(true)
}

// end ends the line on a terminal.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out != nil {
		p.show(true)
		_, _ = io.WriteString(p.out, "\n") // as in show
	}
}

func (p *progress) show(now bool) {
	if !now && time.Since(p.shown) < p.every {
		return
	}
	p.shown = time.Now()
	elapsed := p.shown.Sub(p.start).Seconds()
	left, perSecond, remaining := p.steps-p.done, float64(p.calls)/max(elapsed, 1e-3), "unknown"
	if p.done > p.resumed {
		remaining = seconds(elapsed / float64(p.done-p.resumed) * float64(left)).String()
	}
	if p.out == nil {
		level.Info(p.logger).Log("msg", "backfill progress", "steps_done", p.done, "steps_left", left, "calls", p.calls, "calls_per_second", fmt.Sprintf("%.1f", perSecond), "remaining", remaining)
		return
	}
	if p.shown.Before(p.waitUntil) {
		remaining += ", waiting until " + p.waitUntil.Format(time.DateTime)
	}
	// Nobody can see that writing to a closed terminal failed.
	_, _ = fmt.Fprintf(p.out, "\r%d of %d steps done, %d left, %d calls, %.1f per second, remaining time %s\x1b[K", p.done, p.steps, left, p.calls, perSecond, remaining)
}
