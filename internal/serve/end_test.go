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
)

// silent is what connections have sent that no request came on.
var silent = map[string]string{"nothing sent": "", "half a header sent": "GET /metrics HTTP/1.1\r\nHost: exp"}

// TestSilentConnectionDoesNotHoldUpTheEnd connects without a request, as health
// checks of a load balancer do, and clients that connect in advance.
func TestSilentConnectionDoesNotHoldUpTheEnd(t *testing.T) {
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
			get(t, url+"/-/healthy") // which is accepted later
			require.NoError(t, end(), "net/http would wait for it longer than the exporter takes to end")
		})
	}
}

// TestSilentConnectionIsClosedAtOnce holds how long the end then takes.
func TestSilentConnectionIsClosedAtOnce(t *testing.T) {
	for name, sent := range silent {
		f := newFixture(t)
		synctest.Test(t, func(t *testing.T) {
			server := f.server(http.NotFoundHandler())
			closeUnused(server)
			listener, served := newPipes(), make(chan error, 1)
			go func() { served <- server.Serve(listener) }()
			conn := dial(t, listener, sent)
			synctest.Wait()
			begin := time.Now()
			require.NoError(t, server.Shutdown(t.Context()), name)
			assert.Less(t, time.Since(begin), 100*time.Millisecond, name) // net/http looks now and then
			require.ErrorIs(t, <-served, http.ErrServerClosed)
			_, err := conn.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF, name)
		})
	}
}

func TestConnectionAcceptedAtTheVeryEndIsClosed(t *testing.T) {
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
