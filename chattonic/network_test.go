package chattonic_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
)

// wire is a server on the level of bytes. answer is given each request with the
// number of its connection, and returns what to write, or "" to close.
type wire struct {
	net.Listener
	answer func(connection int, path string) string

	mu    sync.Mutex
	paths []string
	conns sync.WaitGroup
}

func newWire(t *testing.T, answer func(connection int, path string) string) (server *wire, via *http.Transport) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server = &wire{Listener: listener, answer: answer}
	server.conns.Go(func() {
		for number := 0; ; number++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			server.conns.Go(func() { server.serve(number, conn) })
		}
	})
	via = &http.Transport{}
	t.Cleanup(func() {
		via.CloseIdleConnections()
		assert.NoError(t, listener.Close())
		server.conns.Wait()
	})
	return server, via
}

func (w *wire) serve(number int, conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		w.mu.Lock()
		w.paths = append(w.paths, req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:])
		w.mu.Unlock()
		answer := w.answer(number, req.URL.Path)
		if answer == "" {
			return
		}
		_, _ = io.WriteString(conn, strings.ReplaceAll(answer, "TOKEN", token))
		if !strings.Contains(answer, "Content-Length") { // only the end of the connection ends it
			return
		}
	}
}

func (w *wire) url() string { return "http://" + w.Addr().String() }

func (w *wire) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.paths...)
}

func framed(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// A server that closes a connection at the moment it is used again has net/http
// repeat the request by itself, which is fine for statistics only.
func TestNPSExportIsNotSentTwiceOnAClosedConnection(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		endpoint chattonic.Endpoint
		want     []string
	}{
		{chattonic.EndpointNPS, []string{"operator", "export"}},
		{chattonic.EndpointDashboard, []string{"operator", "bigquery", "bigquery"}}, // the control: what would be
	} {
		t.Run(string(test.endpoint), func(t *testing.T) {
			t.Parallel()
			server, via := newWire(t, func(connection int, path string) string {
				switch {
				case strings.HasSuffix(path, "operator"):
					return framed(noOperators)
				case connection == 0:
					return ""
				}
				return framed(`[{}]`)
			})
			var attempts []chattonic.Attempt
			client := newClient(t, server.url(), via, chattonic.WithObserver(func(a chattonic.Attempt) { attempts = append(attempts, a) }))
			_, err := client.Operators(t.Context(), november)
			require.NoError(t, err)
			err = calls[test.endpoint](t.Context(), client)
			assert.Equal(t, test.want, server.requests())
			assert.Len(t, attempts, 2, "the client itself asks each once")
			if test.endpoint == chattonic.EndpointNPS {
				assert.Equal(t, chattonic.Error{
					Endpoint: chattonic.EndpointNPS, Cause: chattonic.CauseConnection, Detail: "the connection broke before the answer was complete",
				}, err)
			} else {
				assert.NoError(t, err)
			}
		})
	}
}

func TestNPSExportIsNeverRetried(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"429":    "HTTP/1.1 429 Too Many\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
		"503":    "HTTP/1.1 503 Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
		"broken": "",
		"cut":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := true
			server, via := newWire(t, func(int, string) string {
				if first {
					first = false
					return answer
				}
				return framed(`{}`)
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := newClient(t, server.url(), via).ExportNPS(ctx, november, chattonic.UserTypeAll)
			assert.False(t, asError(t, err).Retryable)
			assert.Equal(t, []string{"export"}, server.requests())
		})
	}
}

func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	const cut = "the connection broke before the answer was complete"
	for name, test := range map[string]struct {
		answer string
		status int
		detail string
		again  bool
	}{
		"closed before the answer": {"", 0, cut, true},
		"closed in the head":       {"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n", 0, cut, true},
		"closed in the body":       {"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{", 200, cut, true},
		"not HTTP": {
			"SSH-2.0-OpenSSH_9.9\r\n", 0,
			"invalid HTTP response from the server or a proxy: check the base URL and the proxy", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, via := newWire(t, func(int, string) string { return test.answer })
			_, err := newClient(t, server.url(), via).Operators(t.Context(), november)
			assert.Equal(t, chattonic.Error{
				Endpoint: chattonic.EndpointOperators, StatusCode: test.status, Cause: chattonic.CauseConnection, Retryable: test.again, Detail: test.detail,
			}, err)
		})
	}
}

// net/http says these in errors without a public type, at moments that a test
// cannot choose. What it says may quote the server.
func TestBrokenConnectionsByText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"http: server closed idle connection",
		"http2: client connection lost",
		`http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug="` + token + `"`,
		"stream error: stream ID 1; REFUSED_STREAM; received from peer",
	} {
		_, err := newClient(t, baseURL, failing(errors.New(text))).Operators(t.Context(), november)
		assert.Equal(t, chattonic.Error{
			Endpoint: chattonic.EndpointOperators, Cause: chattonic.CauseConnection, Retryable: true,
			Detail: "the connection broke before the answer was complete",
		}, err)
	}
}

func TestResetConnections(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before string
		status int
	}{
		"before the answer": {"", 0},
		"in the body":       {"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := make(chan struct{}) // the client has what comes before
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if !assert.NoError(t, err) {
					return
				}
				_, _ = io.WriteString(conn, test.before)
				if test.before != "" {
					<-begun // a reset overtakes what was not yet read
				}
				assert.NoError(t, conn.(*net.TCPConn).SetLinger(0)) // makes Close a reset
				_ = conn.Close()
			}))
			defer server.Close()
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotFirstResponseByte: func() { close(begun) }})
			_, err := newClient(t, server.URL, server.Client().Transport).Operators(ctx, november)
			assert.Equal(t, chattonic.Error{
				Endpoint: chattonic.EndpointOperators, StatusCode: test.status, Cause: chattonic.CauseConnection, Retryable: true,
				Detail: "the connection failed: read: read: connection reset by peer",
			}, err)
		})
	}
}

func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	_, err = newClient(t, "http://"+listener.Addr().String(), &http.Transport{}).Operators(t.Context(), november)
	assert.Equal(t, chattonic.Error{
		Endpoint: chattonic.EndpointOperators, Cause: chattonic.CauseConnection, Retryable: true,
		Detail: "the connection failed: dial: connect: connection refused",
	}, err)
}

func TestUnknownHost(t *testing.T) {
	t.Parallel()
	dial := func(cause *net.DNSError) *http.Transport {
		return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: cause}
		}}
	}
	_, err := newClient(t, baseURL, dial(&net.DNSError{Name: "chat-tonic.example", Err: "no such host", IsNotFound: true})).Operators(t.Context(), november)
	assert.Equal(t, chattonic.Error{
		Endpoint: chattonic.EndpointOperators, Cause: chattonic.CauseConnection,
		Detail: `the host name "chat-tonic.example" cannot be resolved: check the base URL and the DNS server`,
	}, err)
	_, err = newClient(t, baseURL, dial(&net.DNSError{Name: "chat-tonic.example", Err: "i/o timeout", IsTimeout: true})).Operators(t.Context(), november)
	assert.Equal(t, chattonic.CauseTimeout, asError(t, err).Cause)
}

// A call that waited for a file until its deadline names the file.
func TestFileThatTookTheTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	_, err := newClient(t, baseURL, transport(func(*http.Request) (*http.Response, error) {
		return nil, &fs.PathError{Op: "reading", Path: "/mnt/token", Err: context.DeadlineExceeded}
	})).Operators(ctx, november)
	assert.Equal(t, chattonic.Error{
		Endpoint: chattonic.EndpointOperators, Cause: chattonic.CauseTimeout,
		Detail: "the request could not be sent: reading /mnt/token: context deadline exceeded",
	}, err)
}

func startTLS(t *testing.T, config *tls.Config) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, noOperators)
	}))
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func ask(t *testing.T, base string, via *http.Transport) error {
	t.Helper()
	defer via.CloseIdleConnections()
	_, err := newClient(t, base, via).Operators(t.Context(), november)
	return err
}

// askTrusting asks with a configuration that knows the server's authority.
func askTrusting(t *testing.T, server *httptest.Server, adjust func(*tls.Config)) error {
	t.Helper()
	via := server.Client().Transport.(*http.Transport).Clone()
	adjust(via.TLSClientConfig)
	return ask(t, server.URL, via)
}

func assertTLSError(t *testing.T, err error, detail string) {
	t.Helper()
	failure := asError(t, err)
	assert.Contains(t, failure.Detail, detail)
	failure.Detail = ""
	assert.Equal(t, chattonic.Error{Endpoint: chattonic.EndpointOperators, Cause: chattonic.CauseTLS}, failure)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	t.Run("accepted", func(t *testing.T) {
		t.Parallel()
		assert.NoError(t, askTrusting(t, startTLS(t, nil), func(*tls.Config) {}))
	})
	t.Run("unknown authority", func(t *testing.T) {
		t.Parallel()
		assertTLSError(t, ask(t, startTLS(t, nil).URL, &http.Transport{}), "TLS: x509: certificate signed by unknown authority")
	})
	t.Run("wrong host name", func(t *testing.T) {
		t.Parallel()
		err := askTrusting(t, startTLS(t, nil), func(c *tls.Config) { c.ServerName = "other.test" })
		assertTLSError(t, err, "TLS: x509: certificate is valid for")
		assert.ErrorContains(t, err, "not other.test")
	})
	t.Run("expired", func(t *testing.T) {
		t.Parallel()
		err := askTrusting(t, startTLS(t, nil), func(c *tls.Config) {
			c.Time = func() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }
		})
		assertTLSError(t, err, "TLS: tls: failed to verify certificate: x509: certificate has expired or is not yet valid")
	})
	t.Run("versions", func(t *testing.T) {
		t.Parallel()
		err := askTrusting(t, startTLS(t, &tls.Config{MinVersion: tls.VersionTLS13}), func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
		assertTLSError(t, err, "TLS: tls: protocol version not supported")
	})
	t.Run("client certificate", func(t *testing.T) {
		t.Parallel()
		err := askTrusting(t, startTLS(t, &tls.Config{ClientAuth: tls.RequireAnyClientCert}), func(*tls.Config) {})
		assertTLSError(t, err, "TLS: tls: certificate required")
	})
}

func TestTLSWithOtherServers(t *testing.T) {
	t.Parallel()
	const plain = "TLS: the server does not speak TLS on this port"
	for name, test := range map[string]struct{ answer, detail string }{
		"plain HTTP":   {"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", plain},
		"plain text":   {"220 mail.example ESMTP ready\r\n", plain},
		"wrong record": {"\x16\x03\x03\x00\x04\xff\x00\x00\x00", "TLS: tls: unexpected message"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			var server sync.WaitGroup
			defer server.Wait()
			defer listener.Close()
			server.Go(func() {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, test.answer)
				_, _ = io.Copy(io.Discard, conn)
			})
			assertTLSError(t, ask(t, "https://"+listener.Addr().String(), &http.Transport{}), test.detail)
		})
	}
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	var requests int
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, 2, r.ProtoMajor)
		if requests++; requests == 1 {
			panic(http.ErrAbortHandler) // resets the stream
		}
		if requests == 2 {
			_, _ = io.WriteString(w, `{"status`)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, noOperators)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client := newClient(t, server.URL, server.Client().Transport)
	for _, status := range []int{0, 200} {
		_, err := client.Operators(t.Context(), november)
		assert.Equal(t, chattonic.Error{
			Endpoint: chattonic.EndpointOperators, StatusCode: status, Cause: chattonic.CauseConnection, Retryable: true,
			Detail: "the connection broke before the answer was complete",
		}, err)
	}
	for _, call := range []chattonic.Endpoint{chattonic.EndpointOperators, chattonic.EndpointNPS} {
		assert.NoError(t, calls[call](t.Context(), client))
	}
}

// A server, or a proxy, that quotes the access token in any place must not get
// it into an error, and so into a log.
func TestErrorsHoldNoToken(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"status line":       "HTTP/1.1 401 Bearer TOKEN\r\nContent-Length: 0\r\n\r\n",
		"status code":       "HTTP/1.1 TOKEN\r\n\r\n",
		"protocol":          "TOKEN/1.1 200 OK\r\n\r\n",
		"first line":        "TOKEN\r\n\r\n",
		"header name":       "HTTP/1.1 200 OK\r\nTOKEN TOKEN\r\n\r\n",
		"header value":      "HTTP/1.1 500 No\r\nWww-Authenticate: TOKEN\r\nRetry-After: TOKEN\r\nContent-Length: 0\r\n\r\n",
		"content length":    "HTTP/1.1 200 OK\r\nContent-Length: TOKEN\r\n\r\n",
		"transfer encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: TOKEN\r\n\r\n",
		"content encoding":  "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nTOKEN",
		"chunk":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nTOKEN\r\n",
		"location host":     "HTTP/1.1 302 Found\r\nLocation: https://TOKEN.example/\r\nContent-Length: 0\r\n\r\n",
		"location scheme":   "HTTP/1.1 302 Found\r\nLocation: TOKEN://example/\r\nContent-Length: 0\r\n\r\n",
		"location path":     "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/TOKEN\r\nContent-Length: 0\r\n\r\n",
		"location unread":   "HTTP/1.1 302 Found\r\nLocation: https://TOKEN:TOKEN/%zz\r\nContent-Length: 0\r\n\r\n",
		"error body":        "HTTP/1.1 500 No\r\n\r\nTOKEN",
		"body":              "HTTP/1.1 200 OK\r\n\r\nTOKEN",
		"body value":        "HTTP/1.1 200 OK\r\n\r\n{\"operators\": \"TOKEN\"}",
		"body field":        "HTTP/1.1 200 OK\r\n\r\n{\"operators\": [{\"_id\": \"1\", \"nps\": \"TOKEN\", \"TOKEN\": 1}]}",
		"body status":       "HTTP/1.1 200 OK\r\n\r\n{\"status\": false, \"message\": \"TOKEN\"}",
		"body escape":       "HTTP/1.1 200 OK\r\n\r\n{\"operators\": \"\\TOKEN\"}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, via := newWire(t, func(int, string) string { return answer })
			_, err := newClient(t, server.url(), via).Operators(t.Context(), november)
			require.Error(t, err)
			assert.Equal(t, chattonic.EndpointOperators, asError(t, err).Endpoint)
			for _, form := range []string{"%v", "%+v", "%#v", "%q"} {
				assert.NotContains(t, strings.ToLower(fmt.Sprintf(form, err)), strings.ToLower(token))
			}
		})
	}
}

// A proxy that refuses to connect to an https host answers in the place of the host.
func TestProxyRefusesToConnect(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]string{
		"407 Proxy Authentication Required": "the proxy did not connect to the host: HTTP 407, the proxy wants a user and password: check the URL of the proxy",
		"407 PROXY AUTHENTICATION REQUIRED": "the proxy did not connect to the host: HTTP 407, the proxy wants a user and password: check the URL of the proxy",
		"403 Forbidden":                     "the proxy did not connect to the host: HTTP 403: check the proxy and its rules",
		"502 Bad Gateway":                   "the proxy did not connect to the host: HTTP 502: check the proxy and its rules",
	} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			server, via := newWire(t, func(int, string) string { return "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n" })
			via.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(server.url()) }
			_, err := newClient(t, baseURL, via).Operators(t.Context(), november)
			assert.Equal(t, chattonic.Error{Endpoint: chattonic.EndpointOperators, Cause: chattonic.CauseConnection, Detail: want}, err)
		})
	}
}

func TestProxyErrorsHoldNoToken(t *testing.T) {
	t.Parallel()
	server, via := newWire(t, func(int, string) string { return "HTTP/1.1 407 TOKEN\r\nContent-Length: 0\r\n\r\n" })
	via.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(server.url()) }
	_, err := newClient(t, baseURL, via).Operators(t.Context(), november)
	assert.Equal(t, chattonic.Error{
		Endpoint: chattonic.EndpointOperators, Cause: chattonic.CauseConnection,
		Detail: "invalid HTTP response from the server or a proxy: check the base URL and the proxy",
	}, err)
}
