package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/simulator"
)

// limited serves as Run does, on a server that adjust makes less patient, and
// returns its address.
func (f *fixture) limited(t *testing.T, adjust func(*http.Server)) string {
	t.Helper()
	e, err := start(f.Options)
	require.NoError(t, err)
	handler, err := e.handler()
	require.NoError(t, err)
	server := f.server(handler)
	require.Positive(t, server.ReadHeaderTimeout)
	require.Positive(t, server.IdleTimeout)
	require.Positive(t, server.ReadTimeout)
	require.Greater(t, server.WriteTimeout, f.RequestTimeout, "a scrape has the time of a call")
	require.Less(t, server.WriteTimeout, f.RequestTimeout+time.Minute)
	adjust(server)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- toolkit.Serve(listener, server, f.Listen, f.Slogger) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		assert.NoError(t, server.Shutdown(ctx), "nothing is held up")
		require.ErrorIs(t, <-served, http.ErrServerClosed)
		e.fleet.Close()
	})
	return listener.Addr().String()
}

// dial connects, and sends a text.
func dial(t *testing.T, address, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	return conn
}

// status reads the status of an answer, or 0 where there is none.
func status(t *testing.T, conn net.Conn) int {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		require.NotErrorIs(t, err, context.DeadlineExceeded)
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func TestClientsThatAreSlowToAskAreCutOff(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	address := f.limited(t, func(s *http.Server) { s.ReadHeaderTimeout = 300 * time.Millisecond })
	for name, text := range map[string]string{
		"silent":       "",
		"half a line":  "GET /metr",
		"half a field": "GET /metrics HTTP/1.1\r\nHost: x\r\nX-",
		"no end":       "GET /metrics HTTP/1.1\r\nHost: x\r\n",
	} {
		begin := time.Now()
		conn := dial(t, address, text)
		_, err := io.ReadAll(conn)
		require.NoError(t, err, name)
		assert.Less(t, time.Since(begin), 3*time.Second, name)
	}
	begin := time.Now()
	conn := dial(t, address, "GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	for time.Since(begin) < 5*time.Second {
		if _, err := io.WriteString(conn, "x"); err != nil {
			break // a byte now and then does not help
		}
		time.Sleep(50 * time.Millisecond)
	}
	assert.Less(t, time.Since(begin), 3*time.Second)
	assert.Zero(t, f.api.Calls("acme", chattonic.EndpointOperators))
	assert.NotContains(t, f.logs.String(), "level=error")
}

func TestIdleConnectionsAreEnded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	address := f.limited(t, func(s *http.Server) { s.IdleTimeout = 300 * time.Millisecond })
	conn := dial(t, address, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
	begin := time.Now()
	answer, err := io.ReadAll(conn)
	require.NoError(t, err, "the server ends it")
	assert.Contains(t, string(answer), "healthy")
	assert.Less(t, time.Since(begin), 3*time.Second)
}

func TestBodyThatDoesNotComeHoldsNoScrapeForever(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.MaxScrapes = 1
	address := f.limited(t, func(s *http.Server) { s.ReadTimeout = 500 * time.Millisecond })
	begin := time.Now()
	conn := dial(t, address, "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
	status(t, conn)
	assert.Less(t, time.Since(begin), 5*time.Second)
	require.NoError(t, conn.Close())
	require.Eventually(t, func() bool {
		return status(t, dial(t, address, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) == http.StatusOK
	}, 5*time.Second, 50*time.Millisecond)
}

func TestClientThatDoesNotReadHoldsNoScrapeForever(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.MaxScrapes = 1
	// More than what the kernel takes in for both ends.
	operators := make([]string, 15_000)
	for i := range operators {
		operators[i] = fmt.Sprintf(`{"_id": "%08d", "displayName": "x", "onlineTime": 1, "awayTime": 2, "freeTime": 3, "nps": 4, "queriesAssigned": 5, "queriesResolved": 6}`, i)
	}
	large := `{"status": true, "operators": [` + strings.Join(operators, ",") + `]}`
	f.MaxBody = int64(len(large))
	require.NoError(t, f.api.SetFault("acme", chattonic.EndpointOperators, simulator.Fault{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, large) }),
	}))
	address := f.limited(t, func(s *http.Server) { s.WriteTimeout = 3 * time.Second })
	conn := dial(t, address, "GET /probe?target=acme HTTP/1.1\r\nHost: x\r\n\r\n")
	require.Eventually(t, func() bool { return f.api.Calls("acme", chattonic.EndpointOperators) == 1 }, 5*time.Second, time.Millisecond)
	other := func() int {
		return status(t, dial(t, address, "GET /probe?target=globex HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
	}
	assert.Equal(t, http.StatusServiceUnavailable, other(), "the one who does not read is in the only place")
	require.Eventually(t, func() bool { return other() == http.StatusOK }, 40*time.Second, 100*time.Millisecond)
	assert.NotContains(t, f.logs.String(), "level=error", "a client's failure is not the exporter's")
	require.NoError(t, conn.Close())
}

// TestTimeToAskIsNotTimeToAnswer holds that requests, once sent, may take
// longer than the server's ReadTimeout, and profiles than its WriteTimeout.
func TestTimeToAskIsNotTimeToAnswer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Profiling = true
	require.NoError(t, f.api.SetFault("acme", chattonic.EndpointOperators, simulator.Fault{Delay: time.Second}))
	address := f.limited(t, func(s *http.Server) { s.ReadTimeout, s.WriteTimeout = 300*time.Millisecond, 300*time.Millisecond })
	begin := time.Now()
	conn := dial(t, address, "GET /debug/pprof/trace?seconds=1 HTTP/1.1\r\nHost: x\r\n\r\n")
	assert.Equal(t, http.StatusOK, status(t, conn))
	assert.GreaterOrEqual(t, time.Since(begin), time.Second)

	address = f.limited(t, func(s *http.Server) { s.ReadTimeout = 300 * time.Millisecond })
	conn = dial(t, address, "GET /probe?target=acme HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	scrape, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Contains(t, string(scrape), `chattonic_up{team="acme"} 1`)
}

func TestLargeHeadersAndURLsAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	address := f.limited(t, func(*http.Server) {})
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
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
		sent := make(chan struct{})
		go func() { // the server may answer before it has taken all
			defer close(sent)
			_, _ = io.WriteString(conn, text+"\r\nHost: x\r\nConnection: close\r\n\r\n")
		}()
		assert.Equal(t, c.want, status(t, conn), name)
		require.NoError(t, conn.Close())
		<-sent
	}
	assert.Zero(t, f.api.Calls("acme", chattonic.EndpointOperators))
}

func TestNoReload(t *testing.T) {
	f := newFixture(t)
	f.NoReload = true
	url, _ := f.run(t)
	resp, err := http.Post(url+"/-/reload", "", nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
	f.configure("  - codename: globex\n")
	require.NoError(t, syscall.Kill(syscall.Getpid(), syscall.SIGHUP))
	require.Eventually(t, func() bool { return !strings.Contains(get(t, url+"/sd"), "acme") }, 5*time.Second, 20*time.Millisecond)
}
