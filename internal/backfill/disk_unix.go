//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package backfill

import (
	"os"
	"syscall"
)

// lock locks a directory until the file is closed or the process ends. It fails if
// another process holds the lock.
func lock(dir *os.File) error { return syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// syncDir writes the entries of a directory to disk.
func syncDir(dir *os.File) error { return dir.Sync() }
