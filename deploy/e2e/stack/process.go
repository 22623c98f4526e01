package stack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 15 * time.Second
)

// launcher starts processes that cannot outlive it, even after a crash: the kernel
// kills them when the thread that started them ends.
type launcher struct{ starts chan func() }

func newLauncher() *launcher {
	l := &launcher{starts: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked, so that the thread ends with the goroutine
		for start := range l.starts {
			start()
		}
	}()
	return l
}

func (l *launcher) close() { close(l.starts) }

// Process is a running program.
type Process struct {
	name  string
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// start starts a program that writes its log into dir, and waits until address
// answers. Only one program of a name may run at a time.
func (l *launcher) start(ctx context.Context, dir, name, address, program string, args ...string) (*Process, error) {
	p := &Process{name: name, log: filepath.Join(dir, name+".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	defer log.Close()
	p.cmd = exec.Command(program, args...) //nolint:gosec,noctx // a program of this repository, ended by Stop
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// In its own process group it does not receive the terminal's interrupt. Stop
	// ends the programs in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	l.starts <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // only the exit matters; the log has the reason
		close(p.ended)
	}()
	if err := p.await(ctx, address); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

// await waits until the address answers with a status below 500.
func (p *Process) await(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if status, _, err := get(ctx, address); err == nil && status < http.StatusInternalServerError {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s exited immediately: %s", p.name, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer at %s: %s", p.name, address, p.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tail returns the end of the program's log.
func (p *Process) tail() string {
	log, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(log[max(0, len(log)-2000):]))
}

// Stop terminates the program with SIGTERM. It fails if the program has to be
// killed.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have exited
	select {
	case <-p.ended:
		return nil
	case <-time.After(stopTimeout):
		p.Kill()
		return fmt.Errorf("%s did not exit within %s and was killed", p.name, stopTimeout)
	}
}

// Kill kills the program.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have exited
	<-p.ended
}

// get fetches a page of at most 64 MiB.
func get(ctx context.Context, address string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	return resp.StatusCode, body, err
}
