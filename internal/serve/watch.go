package serve

import (
	"crypto/sha256"
	"os"
	"sync"
	"time"
)

// watchInterval is the time between two looks at the configuration file. A change is loaded at
// the second look that finds it, so that a file is not read while an editor writes it.
const watchInterval = 15 * time.Second

// fileWatch finds changes of a file. It compares contents, because Kubernetes replaces a
// mounted file by a link whose time may be older.
type fileWatch struct {
	path string

	mu           sync.Mutex
	loaded, seen [sha256.Size]byte // hashes of the content that was last loaded, and last seen
}

// sum returns the hash of the content. A file that cannot be read is like an empty one, which is
// not valid either: loading it says what is wrong.
func (w *fileWatch) sum() [sha256.Size]byte {
	content, _ := os.ReadFile(w.path)
	return sha256.Sum256(content)
}

// load remembers the content as the loaded one. It is called before the file is loaded, so that
// a change during loading is found later.
func (w *fileWatch) load() {
	sum := w.sum()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loaded = sum
}

// changed reports whether the content is not the loaded one, and the same as at the last call.
func (w *fileWatch) changed() bool {
	sum := w.sum()
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.seen
	w.seen = sum
	return sum == last && sum != w.loaded
}
