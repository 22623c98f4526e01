package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"chattonic_exporter/chattonic"
)

const (
	// maxTokenFile is the maximum size of an access token file in bytes.
	maxTokenFile = 64 << 10
	// fileTimeout is the timeout of reading a file. A file of a network mount that hangs
	// cannot be read for as long as its server is away.
	fileTimeout = 5 * time.Second
)

// ReadToken returns the access token in a file, without leading and trailing white space.
// It fails if the token is invalid, the file is not a regular file or too large, or the
// file cannot be read before the deadline of ctx, or within 5 seconds. Errors contain
// neither the path nor the token.
func ReadToken(ctx context.Context, path string) (string, error) {
	return readToken(path, ctx.Done())
}

// readToken is ReadToken with a channel that ends it. The channel may be nil.
func readToken(path string, cancel <-chan struct{}) (string, error) {
	content, err := readFile(path, cancel)
	if err != nil {
		return "", err
	}
	if len(content) > maxTokenFile {
		return "", fmt.Errorf("the file is larger than %d KiB: write only the access token into it", maxTokenFile>>10)
	}
	token := strings.TrimSpace(string(content))
	if err := chattonic.CheckToken(token); err != nil {
		return "", err
	}
	return token, nil
}

// readFile returns the first maxTokenFile+1 bytes of a file. It fails if they are only white
// space. It accepts only regular files, because later requests read the file again. Errors
// do not contain the path because it may be a misplaced secret.
func readFile(path string, cancel <-chan struct{}) ([]byte, error) {
	content, err := files.get(path, cancel)
	if err == nil && strings.TrimSpace(string(content)) == "" {
		err = errors.New("the file is empty: write the value into it")
	}
	return content, err
}

// files reads all files that a configuration refers to.
var files = &fileReader{read: readStart}

// fileReader reads files with a timeout. The system call behind a read cannot be canceled:
// it stays behind in its goroutine. There is at most one per path, whose result concurrent
// calls share.
type fileReader struct {
	read func(path string) ([]byte, error)

	mu    sync.Mutex
	reads map[string]*fileRead // in progress, by path
}

// fileRead is a read in progress.
type fileRead struct {
	deadline time.Time
	done     chan struct{} // closed after content and err are set
	content  []byte
	err      error
}

// get returns the content of a file. It fails when the channel is closed or the timeout has
// passed. The channel may be nil.
func (r *fileReader) get(path string, cancel <-chan struct{}) ([]byte, error) {
	f := r.start(path)
	timeout := time.NewTimer(time.Until(f.deadline))
	defer timeout.Stop()
	select {
	case <-f.done:
		return f.content, f.err
	case <-timeout.C:
	case <-cancel:
	}
	return nil, errors.New("the file system does not answer: check the mount that holds the file")
}

// start returns the read of the file that is in progress, or starts one.
func (r *fileReader) start(path string) *fileRead {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.reads[path]; f != nil {
		return f
	}
	f := &fileRead{deadline: time.Now().Add(fileTimeout), done: make(chan struct{})}
	if r.reads == nil {
		r.reads = make(map[string]*fileRead)
	}
	r.reads[path] = f
	go func() {
		f.content, f.err = r.read(path)
		r.mu.Lock()
		delete(r.reads, path)
		r.mu.Unlock()
		close(f.done)
	}()
	return f
}

// readStart returns the first maxTokenFile+1 bytes of a regular file.
func readStart(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file: use a regular file")
	}
	// O_NONBLOCK, because the path may have become a FIFO by now.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, unreadable(err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxTokenFile+1))
	if err != nil {
		return nil, unreadable(err)
	}
	return content, nil
}

func unreadable(err error) error {
	return fmt.Errorf("the file cannot be read: %w: check that it exists and that this user may read it", cause(err))
}

// cause returns an error of the file system without the path.
func cause(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}
