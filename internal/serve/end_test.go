package serve

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSilentConnectionDoesNotHoldUpTheEnd connects without a request, as health
// checks of a load balancer do, and clients that connect in advance.
func TestSilentConnectionDoesNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]string{"nothing sent": "", "half a header sent": "GET /metrics HTTP/1.1\r\nHost: exp"} {
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
			begin := time.Now()
			require.NoError(t, end())
			assert.Less(t, time.Since(begin), patience, "it is nothing to have patience with")
		})
	}
}

func TestConnectionAcceptedAtTheVeryEndIsClosed(t *testing.T) {
	server := &http.Server{ReadHeaderTimeout: headerTimeout}
	closeUnasked(server)
	early, client := net.Pipe()
	defer client.Close()
	server.ConnState(early, http.StateNew)
	require.NoError(t, server.Shutdown(t.Context()))
	_, err := client.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)

	late, client := net.Pipe()
	defer client.Close()
	require.NoError(t, client.SetReadDeadline(time.Now().Add(5*time.Second)))
	server.ConnState(late, http.StateNew)
	_, err = client.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}
