//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package backfill

import (
	"os"
	"syscall"
)

// lock fails where another process has the lock of a directory. It ends with the
// process.
func lock(dir *os.File) error { return syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// syncDir makes names in a directory last.
func syncDir(dir *os.File) error { return dir.Sync() }
