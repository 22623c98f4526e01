package hangup

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSignals(t *testing.T) {
	signal.Notify(Signals, syscall.SIGHUP) // also if the test runs again
	// After Restore the signal would end the test.
	others := make(chan os.Signal, 1)
	signal.Notify(others, syscall.SIGHUP)
	defer signal.Stop(others)
	hangUp := func() {
		require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
		select {
		case <-others:
		case <-time.After(45 * time.Second):
			require.Fail(t, "no signal")
		}
	}
	hangUp()
	require.Eventually(t, func() bool { return len(Signals) == 1 }, 45*time.Second, time.Millisecond)
	require.ErrorIs(t, Restore(), ErrReceived)
	require.NoError(t, Restore())
	hangUp()
	assert.Empty(t, Signals)
	require.NoError(t, Restore())
}
