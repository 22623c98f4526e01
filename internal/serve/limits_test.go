package serve

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/testkit"
)

// limited serves as Run does, but on a listener in memory, for tests in a
// synctest bubble. A handler replaces that of the exporter unless it is nil.
func (f *fixture) limited(t *testing.T, handler http.Handler) *testkit.Pipes {
	t.Helper()
	e, err := start(f.Options)
	require.NoError(t, err)
	if handler == nil {
		handler, err = e.handler()
		require.NoError(t, err)
	}
	server, listener := f.server(handler), testkit.NewPipes()
	served := make(chan error, 1)
	go func() { served <- toolkit.Serve(listener, server, f.Listen, f.Slogger) }()
	t.Cleanup(func() {
		require.NoError(t, server.Shutdown(context.WithoutCancel(t.Context())), "nothing delays it")
		require.ErrorIs(t, <-served, http.ErrServerClosed)
		e.teams.Close()
	})
	return listener
}

// dial connects and sends a text.
func dial(t *testing.T, listener *testkit.Pipes, text string) net.Conn {
	t.Helper()
	conn, err := listener.Dial(t.Context(), "", "")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	if text != "" {
		_, err = io.WriteString(conn, text)
		require.NoError(t, err)
	}
	return conn
}

// status returns the status of an answer, or 0 if there is none.
func status(t *testing.T, conn net.Conn) int {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func TestSlowRequestsAreCutOff(t *testing.T) {
	f := newFixture(t)
	synctest.Test(t, func(t *testing.T) {
		listener := f.limited(t, nil)
		for name, text := range map[string]string{
			"silent":       "",
			"half a line":  "GET /metr",
			"half a field": "GET /metrics HTTP/1.1\r\nHost: x\r\nX-",
			"no end":       "GET /metrics HTTP/1.1\r\nHost: x\r\n",
		} {
			begin := time.Now()
			_, err := io.ReadAll(dial(t, listener, text))
			require.NoError(t, err, name)
			assert.Equal(t, headerTimeout, time.Since(begin), name)
		}
		begin := time.Now()
		conn := dial(t, listener, "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		for err := error(nil); err == nil; {
			time.Sleep(headerTimeout * 2 / 5)
			_, err = io.WriteString(conn, "x") // single bytes do not extend the timeout
		}
		assert.Equal(t, headerTimeout*6/5, time.Since(begin))
	})
	assert.Zero(t, f.api.Calls("acme", chattonic.EndpointOperators))
	assert.NotContains(t, f.logs.String(), "level=error")
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	f := newFixture(t)
	synctest.Test(t, func(t *testing.T) {
		listener := f.limited(t, nil)
		conn := dial(t, listener, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
		begin := time.Now()
		answer, err := io.ReadAll(conn)
		require.NoError(t, err, "the server closes it")
		assert.Contains(t, string(answer), "healthy")
		assert.Equal(t, idleTimeout, time.Since(begin))
	})
}

func TestMissingBodyDoesNotBlockScrapes(t *testing.T) {
	f := newFixture(t)
	f.MaxScrapes, f.TeamsOnMetrics = 1, false // no scrape waits for the API
	synctest.Test(t, func(t *testing.T) {
		listener := f.limited(t, nil)
		begin := time.Now()
		conn := dial(t, listener, "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
		other := func() int {
			return status(t, dial(t, listener, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
		}
		synctest.Wait()
		assert.Equal(t, http.StatusServiceUnavailable, other(), "the request without its body uses the only slot")
		status(t, conn)
		assert.LessOrEqual(t, time.Since(begin), headerTimeout)
		require.NoError(t, conn.Close())
		synctest.Wait()
		assert.Equal(t, http.StatusOK, other())
	})
}

func TestClientThatDoesNotReadDoesNotBlockScrapes(t *testing.T) {
	f := newFixture(t)
	f.MaxScrapes, f.TeamsOnMetrics = 1, false // no scrape waits for the API
	timeout := f.RequestTimeout + writeTimeout
	synctest.Test(t, func(t *testing.T) {
		listener := f.limited(t, nil)
		conn := dial(t, listener, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
		other := func() int {
			return status(t, dial(t, listener, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
		}
		time.Sleep(timeout - time.Millisecond)
		assert.Equal(t, http.StatusServiceUnavailable, other(), "the client that does not read uses the only slot")
		time.Sleep(time.Millisecond)
		synctest.Wait()
		assert.Equal(t, http.StatusOK, other())
		require.NoError(t, conn.Close())
	})
	assert.NotContains(t, f.logs.String(), "level=error", "a client's failure is not the exporter's")
}

// TestReadTimeoutDoesNotLimitAnswers checks that answers can take longer than
// the ReadTimeout of the server, and profiles longer than its WriteTimeout.
func TestReadTimeoutDoesNotLimitAnswers(t *testing.T) {
	f := newFixture(t)
	f.Profiling = true
	const profile = 10 * time.Minute
	synctest.Test(t, func(t *testing.T) {
		listener := f.limited(t, nil)
		begin := time.Now()
		conn := dial(t, listener, "GET /debug/pprof/allocs?seconds=600 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		assert.Equal(t, http.StatusOK, status(t, conn))
		assert.Equal(t, profile, time.Since(begin))
	})

	long := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done(): // which would end a scrape
			w.WriteHeader(http.StatusGatewayTimeout)
		case <-time.After(f.RequestTimeout + writeTimeout - 1):
		}
	})
	synctest.Test(t, func(t *testing.T) {
		listener := f.limited(t, long)
		begin := time.Now()
		conn := dial(t, listener, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		assert.Equal(t, http.StatusOK, status(t, conn), "a scrape has the time of an API call, and time to be read")
		assert.Greater(t, time.Since(begin), headerTimeout)
	})
}

func TestLargeHeadersAndURLsAreRefused(t *testing.T) {
	f := newFixture(t)
	synctest.Test(t, func(t *testing.T) {
		listener := f.limited(t, nil)
		for name, c := range map[string]struct {
			request string
			want    int
		}{
			"usual URL":    {"GET /probe?target=" + strings.Repeat("x", 1000), http.StatusBadRequest},
			"large URL":    {"GET /probe?target=" + strings.Repeat("x", 100_000), http.StatusRequestHeaderFieldsTooLarge},
			"huge URL":     {"GET /probe?target=" + strings.Repeat("x", 1<<20), http.StatusRequestHeaderFieldsTooLarge},
			"usual header": {"GET /-/healthy HTTP/1.1\r\nX-A: " + strings.Repeat("x", 1000) + "\r\nX-B: ", http.StatusOK},
			"large header": {"GET /-/healthy HTTP/1.1\r\nX-A: " + strings.Repeat("x", 100_000) + "\r\nX-B: ", http.StatusRequestHeaderFieldsTooLarge},
			"many headers": {"GET /-/healthy HTTP/1.1\r\n" + strings.Repeat("X-A: x\r\n", 100_000) + "X-B: ", http.StatusRequestHeaderFieldsTooLarge},
		} {
			text := c.request
			if !strings.Contains(text, "HTTP/1.1") {
				text += " HTTP/1.1"
			}
			conn := dial(t, listener, "")
			sent := make(chan struct{})
			go func() { // the server can answer before it has read everything
				defer close(sent)
				_, _ = io.WriteString(conn, text+"\r\nHost: x\r\nConnection: close\r\n\r\n")
			}()
			assert.Equal(t, c.want, status(t, conn), name)
			require.NoError(t, conn.Close())
			<-sent
		}
	})
	assert.Zero(t, f.api.Calls("acme", chattonic.EndpointOperators))
}

func TestNoReload(t *testing.T) {
	f := newFixture(t)
	f.EnableReload = false
	url, _ := f.run(t)
	resp, err := http.Post(url+"/-/reload", "", nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
	f.configure("  - codename: globex\n")
	require.NoError(t, syscall.Kill(syscall.Getpid(), syscall.SIGHUP))
	require.Eventually(t, func() bool { return !strings.Contains(get(t, url+"/sd"), "acme") }, waitTimeout, 20*time.Millisecond)
}
