//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package backfill

import "os"

// lock does nothing: these systems have no lock that ends with the process.
func lock(*os.File) error { return nil }

// syncDir does nothing: directories cannot be synced.
func syncDir(*os.File) error { return nil }
