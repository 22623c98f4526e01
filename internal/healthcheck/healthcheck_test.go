package healthcheck

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"chattonic_exporter/internal/usage"
)

func TestMain(m *testing.M) {
	os.Clearenv()
	goleak.VerifyTestMain(m)
}

const secret = "correct horse"

// secretHash is its bcrypt hash, at the least cost.
const secretHash = "$2a$04$2xZNodn6f6o7VPxuAkuGkuWVT3pQBXj68CcUu1BgesbPpK2oWRTRa"

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// healthy answers as an exporter.
func healthy(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/-/healthy" {
		http.NotFound(w, r)
	}
}

func startServer(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func startTLS(t *testing.T, handler http.HandlerFunc, auth tls.ClientAuthType, version uint16) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes
	server.TLS = &tls.Config{ClientAuth: auth, MaxVersion: version, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// elsewhere returns the URL of a server under a name that is not this machine's,
// by a proxy that leads to it.
func elsewhere(t *testing.T, server *httptest.Server) string {
	t.Helper()
	proxy := startServer(t, func(w http.ResponseWriter, r *http.Request) {
		to, err := net.Dial("tcp", server.Listener.Addr().String())
		if !assert.NoError(t, err) {
			return
		}
		defer to.Close()
		if r.Method != http.MethodConnect {
			assert.NoError(t, r.WriteProxy(to))
		}
		from, _, err := w.(http.Hijacker).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer from.Close()
		if r.Method == http.MethodConnect {
			_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
			go func() { _, _ = io.Copy(to, from) }()
		}
		_, _ = io.Copy(from, to)
	})
	t.Setenv("PROXY_FOR_TEST", proxy.URL)
	scheme := "http"
	if server.TLS != nil {
		scheme = "https"
	}
	return scheme + "://example.com/-/healthy" // the name in httptest's certificate
}

// check runs the command as a process would, whose environment is read once.
func check(t *testing.T, o Options) error {
	t.Helper()
	page, local, err := o.page(t.Context())
	if err == nil && !local {
		proxy, err := url.Parse(os.Getenv("PROXY_FOR_TEST"))
		require.NoError(t, err)
		proxyFor = http.ProxyURL(proxy)
		t.Cleanup(func() { proxyFor = http.ProxyFromEnvironment })
		require.Equal(t, "example.com", page.Hostname())
	}
	return Run(t.Context(), o)
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		status                int
		wantHere, wantThere   string
		username, redirection string
	}{
		{status: 200},
		{status: 401, wantThere: "answered 401 Unauthorized: use --username and --password-file"},
		{status: 401, username: "prometheus", wantThere: "answered 401 Unauthorized: check --username and --password-file"},
		{status: 302, wantHere: "answered 302 Found: use the URL that it redirects to", wantThere: "answered 302 Found: use the URL that it redirects to"},
		{status: 404, wantHere: "answered 404 Not Found", wantThere: "answered 404 Not Found"},
		{status: 503, wantHere: "answered 503 Service Unavailable", wantThere: "answered 503 Service Unavailable"},
	} {
		server := startServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/ok")
			w.WriteHeader(c.status)
		})
		o := Options{Username: c.username}
		if c.username != "" {
			o.PasswordFile = file(t, "password", secret)
		}
		for address, want := range map[string]string{
			server.URL + "/-/healthy": c.wantHere,
			strings.Replace(server.URL, "127.0.0.1", "LocalHost", 1) + "/-/healthy": c.wantHere,
			elsewhere(t, server): c.wantThere,
		} {
			o.URL = address
			err := check(t, o)
			if want == "" {
				require.NoError(t, err, address)
				continue
			}
			require.EqualError(t, err, "checking the health: "+address+" "+want)
			assert.Equal(t, 1, usage.ExitCode(err))
		}
	}
}

func TestNotRunning(t *testing.T) {
	server := startServer(t, healthy)
	server.Close()
	err := Run(t.Context(), Options{URL: server.URL + "/-/healthy"})
	require.ErrorContains(t, err, "checking the health of "+server.URL+"/-/healthy: dial tcp "+server.Listener.Addr().String())
	require.ErrorContains(t, err, "connection refused")
	assert.Equal(t, 1, strings.Count(err.Error(), server.URL), err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Run(ctx, Options{URL: server.URL}), context.Canceled)
}

func TestCertificates(t *testing.T) {
	server := startTLS(t, healthy, tls.NoClientCert, 0)
	ca := file(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	other := filepath.Join(certificate(t), "cert.pem")
	here, there := server.URL+"/-/healthy", elsewhere(t, server)
	require.NoError(t, check(t, Options{URL: here}), "not verified on this machine")
	require.NoError(t, check(t, Options{URL: strings.Replace(here, "127.0.0.1", "localhost", 1)}), "nor its name")
	require.NoError(t, check(t, Options{URL: here, CAFile: ca}))
	require.ErrorContains(t, check(t, Options{URL: here, CAFile: other}), "certificate signed by unknown authority")
	require.ErrorContains(t, check(t, Options{URL: there}), "certificate signed by unknown authority")
	require.ErrorContains(t, check(t, Options{URL: there, CAFile: other}), "certificate signed by unknown authority")
	require.NoError(t, check(t, Options{URL: there, CAFile: ca}))
	require.ErrorContains(t, check(t, Options{URL: here, CAFile: "/nope"}), "--ca-file: open /nope: no such file")
	empty := file(t, "empty.pem", "none\n")
	require.EqualError(t, check(t, Options{URL: here, CAFile: empty}), "--ca-file: "+empty+" has no PEM certificate")
}

// certificate makes a certificate for another machine, and returns a directory with
// it in cert.pem and its key in key.pem.
func certificate(t *testing.T) (dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour),
		DNSNames: []string{"other.example"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	return dir
}

func TestClientCertificates(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, auth := range []tls.ClientAuthType{tls.RequireAnyClientCert, tls.RequireAndVerifyClientCert} {
			for range 20 { // the alert and the request cross
				server := startTLS(t, healthy, auth, version)
				require.NoError(t, check(t, Options{URL: server.URL + "/-/healthy"}))
				server.Close()
			}
			server := startTLS(t, healthy, auth, version)
			ca := file(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
			require.Error(t, check(t, Options{URL: elsewhere(t, server), CAFile: ca}))
		}
		for _, auth := range []tls.ClientAuthType{tls.RequestClientCert, tls.VerifyClientCertIfGiven} {
			server := startTLS(t, healthy, auth, version)
			require.NoError(t, check(t, Options{URL: server.URL + "/-/healthy"}))
			require.ErrorContains(t, check(t, Options{URL: server.URL + "/nothing"}), "answered 404")
			server = startTLS(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, auth, version)
			require.ErrorContains(t, check(t, Options{URL: server.URL + "/-/healthy"}), "EOF", "it accepts the handshake and fails then")
		}
	}
}

// TestNoTLS has servers whose handshake fails without a client certificate to ask
// for.
func TestNoTLS(t *testing.T) {
	plain := startServer(t, healthy)
	require.Error(t, check(t, Options{URL: strings.Replace(plain.URL, "http:", "https:", 1) + "/-/healthy"}))
	secure := startTLS(t, healthy, tls.NoClientCert, 0)
	require.ErrorContains(t, check(t, Options{URL: strings.Replace(secure.URL, "https:", "http:", 1) + "/-/healthy"}), "answered 400 Bad Request")
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	require.Error(t, check(t, Options{URL: "https://" + listener.Addr().String() + "/-/healthy"}))
}

// exporter serves with the toolkit and a web configuration file, or without one.
func exporter(t *testing.T, listenOn, webConfig string) (port string) {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", listenOn)
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(healthy), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	served := make(chan error, 1)
	systemd := false
	go func() {
		served <- toolkit.Serve(listener, server, &toolkit.FlagConfig{WebConfigFile: &webConfig, WebSystemdSocket: &systemd}, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	_, port, err = net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port
}

func webConfigFile(t *testing.T, text string) string {
	t.Helper()
	return file(t, "web.yml", strings.ReplaceAll(text, "DIR", certificate(t)))
}

// TestEnvironment checks exporters at the addresses, and with the web configuration
// files, of their own environment.
func TestEnvironment(t *testing.T) {
	const (
		cert  = "tls_server_config: {cert_file: DIR/cert.pem, key_file: DIR/key.pem"
		users = "basic_auth_users: {prometheus: " + secretHash + "}\n"
	)
	for name, c := range map[string]struct{ listenOn, variable, webConfig string }{
		"a port":                  {":0", ":PORT", ""},
		"all IPv4 addresses":      {"0.0.0.0:0", "0.0.0.0:PORT", ""},
		"all addresses":           {"[::]:0", "[::]:PORT", ""},
		"loopback":                {"127.0.0.1:0", "127.0.0.1:PORT", ""},
		"a name":                  {"127.0.0.1:0", "localhost:PORT", ""},
		"vsock first":             {":0", "vsock://:10042\n:PORT", ""},
		"several":                 {":0", ":PORT\n127.0.0.1:1", ""},
		"passwords":               {":0", ":PORT", users},
		"TLS":                     {":0", ":PORT", cert + "}\n"},
		"TLS and passwords":       {":0", ":PORT", cert + "}\n" + users},
		"client certificates":     {":0", ":PORT", cert + ", client_auth_type: RequireAnyClientCert}\n" + users},
		"TLS without HTTP/2":      {":0", ":PORT", cert + "}\nhttp_server_config: {http2: false}\n"},
		"nothing in the web file": {":0", ":PORT", "tls_server_config:\n"},
	} {
		t.Run(name, func(t *testing.T) {
			webConfig := ""
			if c.webConfig != "" {
				webConfig = webConfigFile(t, c.webConfig)
			}
			port := exporter(t, c.listenOn, webConfig)
			t.Setenv(ListenAddressVariable, strings.ReplaceAll(c.variable, "PORT", port))
			t.Setenv(WebConfigVariable, webConfig)
			require.NoError(t, check(t, Options{}))
		})
	}
}

func TestOwnPage(t *testing.T) {
	page, err := ownPage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "http://127.0.0.1:10042/-/healthy", page.String())
	for address, want := range map[string]string{
		"[2001:db8::1]:80": "http://[2001:db8::1]:80/-/healthy",
		"10.1.2.3:http":    "http://10.1.2.3:80/-/healthy",
		"vsock://:1,:8080": "http://127.0.0.1:8080/-/healthy",
	} {
		t.Setenv(ListenAddressVariable, address)
		page, err := ownPage(t.Context())
		require.NoError(t, err)
		assert.Equal(t, want, page.String())
	}
	for address, want := range map[string]string{
		"vsock://:1": "$CHATTONIC_EXPORTER_WEB_LISTEN_ADDRESS has no TCP address: use --url",
		"10042":      "$CHATTONIC_EXPORTER_WEB_LISTEN_ADDRESS: address 10042: missing port in address",
		":many":      `$CHATTONIC_EXPORTER_WEB_LISTEN_ADDRESS ":many": `,
	} {
		t.Setenv(ListenAddressVariable, address)
		err := Run(t.Context(), Options{})
		require.ErrorContains(t, err, want)
		assert.Equal(t, 2, usage.ExitCode(err))
	}
	t.Setenv(ListenAddressVariable, "")
	t.Setenv(WebConfigVariable, "/nope")
	require.EqualError(t, Run(t.Context(), Options{}), "$CHATTONIC_EXPORTER_WEB_CONFIG_FILE: open /nope: no such file or directory")
	broken := file(t, "web.yml", "tls_server_config: {key: [\""+secret+"\"]}\n")
	t.Setenv(WebConfigVariable, broken)
	require.EqualError(t, Run(t.Context(), Options{}), `$CHATTONIC_EXPORTER_WEB_CONFIG_FILE "`+broken+`" is not a valid web configuration file`)
}

func TestPassword(t *testing.T) {
	port := exporter(t, ":0", webConfigFile(t, "basic_auth_users: {prometheus: "+secretHash+"}\n"))
	server := &httptest.Server{Listener: addressOnly{"127.0.0.1:" + port}}
	right, wrong := file(t, "right", secret+"\r\n"), file(t, "wrong", "wrong horse\n")
	there := elsewhere(t, server)
	require.NoError(t, check(t, Options{URL: there, Username: "prometheus", PasswordFile: right}))
	require.ErrorContains(t, check(t, Options{URL: there, Username: "prometheus", PasswordFile: wrong}), "401 Unauthorized: check --username and --password-file")
	require.ErrorContains(t, check(t, Options{URL: there}), "401 Unauthorized: use --username and --password-file")
	const together = "--username and --password-file are needed together"
	require.EqualError(t, check(t, Options{URL: there, Username: "prometheus"}), together)
	require.EqualError(t, check(t, Options{URL: there, PasswordFile: right}), together)
	require.ErrorContains(t, check(t, Options{URL: there, Username: "a", PasswordFile: "/nope"}), "--password-file: open /nope: ")
	empty := file(t, "empty", "\n")
	require.EqualError(t, check(t, Options{URL: there, Username: "a", PasswordFile: empty}), "--password-file: "+empty+" is empty")
}

// addressOnly is a listener that only has an address.
type addressOnly struct{ address string }

func (addressOnly) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (addressOnly) Close() error              { return nil }
func (a addressOnly) Addr() net.Addr          { return a }
func (addressOnly) Network() string           { return "tcp" }
func (a addressOnly) String() string          { return a.address }

// TestNoPasswordInErrors looks for a password in the errors of each way to give
// one.
func TestNoPasswordInErrors(t *testing.T) {
	server := startServer(t, http.NotFound)
	host := strings.TrimPrefix(server.URL, "http://")
	for _, address := range []string{
		"http://user:s3cr3t@" + host, "https://s3cr3t@" + host, "http://user:s3cr3t%@" + host, "user:s3cr3t@" + host, "//user:s3cr3t@" + host,
		"http:user:s3cr3t@" + host, "ftp://user:s3cr3t@" + host, "http://user:s3cr3t@", "http://" + host + "/?password=s3cr3t#s3cr3t",
		"http://127.0.0.1:1/?password=s3cr3t", "http://[::1/user:s3cr3t",
	} {
		err := Run(t.Context(), Options{URL: address})
		require.Error(t, err, address)
		assert.NotContains(t, err.Error(), "s3cr3t")
	}
	err := Run(t.Context(), Options{URL: "http://user:s3cr3t@" + host})
	require.EqualError(t, err, "--url must not hold a user or password: use --username and --password-file")
	assert.Equal(t, 2, usage.ExitCode(err))
	err = Run(t.Context(), Options{URL: host})
	require.EqualError(t, err, "--url needs http:// or https:// and a host: use a value such as http://127.0.0.1:10042/-/healthy")
	assert.Equal(t, 2, usage.ExitCode(err))

	echo := startServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		w.Header().Set("Location", "http://user:"+password+"@elsewhere.example/")
		w.WriteHeader(http.StatusFound)
		_, _ = fmt.Fprint(w, password)
	})
	err = Run(t.Context(), Options{URL: echo.URL, Username: "a", PasswordFile: file(t, "password", secret)})
	require.EqualError(t, err, "checking the health of "+echo.URL+": no valid HTTP answer from the server or a proxy")
}
