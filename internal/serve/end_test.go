package serve

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/internal/testkit"
)

// silent holds what clients send that never send a complete request.
var silent = map[string]string{"nothing sent": "", "half a header sent": "GET /metrics HTTP/1.1\r\nHost: exp"}

// TestSilentConnectionDoesNotDelayShutdown connects without a request, as
// health checks of load balancers and clients with spare connections do.
func TestSilentConnectionDoesNotDelayShutdown(t *testing.T) {
	t.Parallel()
	for name, sent := range silent {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			url, end := f.run(t)
			conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			require.NoError(t, err)
			defer conn.Close()
			_, err = conn.Write([]byte(sent))
			require.NoError(t, err)
			get(t, url+"/-/healthy") // its connection is accepted after the silent one
			require.NoError(t, end(), "net/http would wait for it longer than the shutdown timeout")
		})
	}
}

// TestSilentConnectionIsClosedAtOnce checks how long shutting down takes.
func TestSilentConnectionIsClosedAtOnce(t *testing.T) {
	for name, sent := range silent {
		f := newFixture(t)
		synctest.Test(t, func(t *testing.T) {
			server := f.server(http.NotFoundHandler())
			closeUnused(server)
			listener, served := testkit.NewPipes(), make(chan error, 1)
			go func() { served <- server.Serve(listener) }()
			conn := dial(t, listener, sent)
			synctest.Wait()
			begin := time.Now()
			require.NoError(t, server.Shutdown(t.Context()), name)
			assert.Less(t, time.Since(begin), 100*time.Millisecond, name) // net/http polls
			require.ErrorIs(t, <-served, http.ErrServerClosed)
			_, err := conn.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF, name)
		})
	}
}

func TestConnectionAcceptedDuringShutdownIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &http.Server{ReadHeaderTimeout: headerTimeout}
		closeUnused(server)
		early, client := net.Pipe()
		defer client.Close()
		server.ConnState(early, http.StateNew)
		require.NoError(t, server.Shutdown(t.Context()))
		_, err := client.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)

		late, client := net.Pipe()
		defer client.Close()
		server.ConnState(late, http.StateNew)
		_, err = client.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
	})
}
