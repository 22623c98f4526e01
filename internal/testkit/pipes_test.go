package testkit

import (
	"context"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPipesConnect(t *testing.T) {
	p := NewPipes()
	assert.Equal(t, "pipes", p.Addr().String())
	dialed := make(chan net.Conn, 1)
	go func() {
		conn, err := p.Dial(t.Context(), "tcp", "example:80")
		assert.NoError(t, err)
		dialed <- conn
	}()
	server, err := p.Accept()
	require.NoError(t, err)
	client := <-dialed
	go func() {
		_, _ = io.WriteString(client, "hello")
		_ = client.Close()
	}()
	text, err := io.ReadAll(server)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(text))
}

func TestPipesRefuse(t *testing.T) {
	p := NewPipes()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Dial(ctx, "", "")
	require.ErrorIs(t, err, context.Canceled, "nobody accepts")
	require.NoError(t, p.Close())
	require.NoError(t, p.Close(), "twice")
	_, err = p.Dial(t.Context(), "", "")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	_, err = p.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}
