package testkit

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestBuffer(t *testing.T) {
	var b Buffer
	assert.Empty(t, b.String())
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 100 {
				n, err := b.Write([]byte("a line\n"))
				assert.NoError(t, err) //nolint:testifylint // It is not the test's goroutine.
				assert.Equal(t, 7, n)
				_ = b.String()
			}
		})
	}
	writers.Wait()
	assert.Equal(t, strings.Repeat("a line\n", 800), b.String())
}
