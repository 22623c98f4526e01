// Package usage marks errors that whoever typed the command line can mend.
package usage

import (
	"errors"
	"fmt"
)

// Error is a command line, or an environment variable in place of a flag, that
// cannot be followed: an unknown name, a missing or bad value, or flags that
// contradict each other. What a file holds or lacks is none.
type Error struct{ Err error }

func (e Error) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e Error) Unwrap() error { return e.Err }

// Errorf is fmt.Errorf for an Error.
func Errorf(format string, a ...any) error { return Error{fmt.Errorf(format, a...)} }

// ExitCode returns what the program exits with: 0 without an error, 2 after an
// Error and 1 after any other.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(Error)):
		return 2
	}
	return 1
}
