package usage

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExitCode(t *testing.T) {
	cause := errors.New("wrong")
	err := Errorf("--team: %w", cause)
	require.EqualError(t, err, "--team: wrong")
	require.ErrorIs(t, err, cause)
	assert.Equal(t, 2, ExitCode(err))
	assert.Equal(t, 2, ExitCode(fmt.Errorf("checking: %w", err)))
	assert.Equal(t, 1, ExitCode(cause))
	assert.Equal(t, 0, ExitCode(nil))
}
