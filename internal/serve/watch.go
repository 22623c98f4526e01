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

// load remembers the content as the loaded one. It is called before the file is loaded, so that
// a change during loading is found later. A file that cannot be read does not change.
func (w *fileWatch) load() {
	if content, err := os.ReadFile(w.path); err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.loaded = sha256.Sum256(content)
	}
}

// changed reports whether the content is not the loaded one, and the same as at the last call.
func (w *fileWatch) changed() bool {
	content, err := os.ReadFile(w.path)
	if err != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.seen
	w.seen = sha256.Sum256(content)
	return w.seen == last && w.seen != w.loaded
}
