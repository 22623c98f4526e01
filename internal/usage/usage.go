// Package usage marks errors in the command line.
package usage

import (
	"errors"
	"fmt"
)

// Error is an error in the command line or in the environment variable of a flag:
// an unknown name, a missing or invalid value, or flags that exclude each other.
// Errors in files are not usage errors.
type Error struct{ Err error }

func (e Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e Error) Unwrap() error { return e.Err }

// Errorf formats an Error, as fmt.Errorf does.
func Errorf(format string, a ...any) error { return Error{fmt.Errorf(format, a...)} }

// ExitCode returns the exit code of the program: 0 without an error, 2 for an
// Error, and 1 for any other error.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(Error)):
		return 2
	}
	return 1
}
