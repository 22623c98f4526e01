// Package hangup handles SIGHUP from the start of the process.
//
// It imports little, so that it is initialized before the other packages of the
// program. A SIGHUP before that, in the first milliseconds, ends the process.
package hangup

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// ErrReceived is the error of a command that a SIGHUP ends.
var ErrReceived = errors.New("ended by SIGHUP")

// Signals receives SIGHUP. At most one waits in it.
var Signals = handle()

func handle() chan os.Signal {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals
}

// Restore lets SIGHUP end the process again. It returns ErrReceived if one has
// arrived before.
func Restore() error {
	signal.Stop(Signals)
	select {
	case <-Signals:
		return ErrReceived
	default:
		return nil
	}
}
