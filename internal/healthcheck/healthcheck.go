// Package healthcheck is the command that asks a running exporter whether it is
// healthy.
package healthcheck

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"

	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/usage"
)

const (
	// timeout limits a check. It is less than that of the image's HEALTHCHECK, so
	// that the error is shown.
	timeout = 4 * time.Second
	// DefaultAddress is the default of --web.listen-address.
	DefaultAddress = ":10042"
	// example is a URL for messages.
	example = "http://127.0.0.1:10042/-/healthy"
)

// The environment variables of flags of the exporter that runs.
const (
	ListenAddressVariable = "CHATTONIC_EXPORTER_WEB_LISTEN_ADDRESS"
	WebConfigVariable     = "CHATTONIC_EXPORTER_WEB_CONFIG_FILE"
	ExternalURLVariable   = "CHATTONIC_EXPORTER_WEB_EXTERNAL_URL"
	RoutePrefixVariable   = "CHATTONIC_EXPORTER_WEB_ROUTE_PREFIX"
)

// Options are the flags of the command.
type Options struct {
	// URL is the health page. If it is empty, the environment variables of an
	// exporter on this machine name the page.
	URL string
	// CAFile verifies the server's certificate instead of the system's CAs.
	CAFile string
	// Username and PasswordFile are sent as basic auth.
	Username, PasswordFile string
}

// Flags declares the flags of the command.
func (o *Options) Flags(cmd *kingpin.CmdClause) {
	cmd.Flag("url", "URL of the health page, such as "+example+". Default: the exporter on this machine, at the first TCP address in $"+ListenAddressVariable+
		", by HTTPS if $"+WebConfigVariable+" enables TLS, below the prefix in $"+RoutePrefixVariable+" or $"+ExternalURLVariable+".").PlaceHolder("URL").StringVar(&o.URL)
	cmd.Flag("ca-file", "File of the CA certificates that the server's certificate is verified with. Default: the system's. "+
		"Without this flag no certificate is verified on this machine.").PlaceHolder("FILE").StringVar(&o.CAFile)
	cmd.Flag("username", "User name for a page with passwords. On this machine none is needed.").PlaceHolder("NAME").StringVar(&o.Username)
	cmd.Flag("password-file", "File that holds the password of --username.").PlaceHolder("FILE").StringVar(&o.PasswordFile)
}

// Run requests the health page and returns nil if the exporter is healthy.
//
// On this machine the exporter is also healthy if it asks for a password or a
// client certificate: to do so it must run.
func Run(ctx context.Context, o Options) error {
	page, local, err := o.page(ctx)
	if err != nil {
		return err
	}
	password, err := o.password()
	if err != nil {
		return err
	}
	roots, err := o.roots()
	if err != nil {
		return err
	}
	shown := (&url.URL{Scheme: page.Scheme, Host: page.Host, Path: page.Path}).String() // a query can hold a password
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page.String(), http.NoBody)
	if err != nil {
		return fmt.Errorf("checking the health of %s: %w", shown, cause(err))
	}
	if o.Username != "" {
		req.SetBasicAuth(o.Username, password)
	}
	var certificateRequested atomic.Bool
	transport := newTransport(local, roots, &certificateRequested)
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	switch {
	case err != nil && local && certificateRequested.Load() && refused(err):
		return nil
	case err != nil:
		return fmt.Errorf("checking the health of %s: %w", shown, cause(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK || local && resp.StatusCode == http.StatusUnauthorized {
		return nil
	}
	return fmt.Errorf("checking the health: %s answered %s%s", shown, resp.Status, advice(resp.StatusCode, o.Username))
}

// newTransport returns a transport for one request. It records whether the server
// requests a client certificate, and sends none.
func newTransport(local bool, roots *x509.CertPool, certificateRequested *atomic.Bool) *http.Transport {
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: roots,
			InsecureSkipVerify: local && roots == nil, //nolint:gosec // the certificate is seldom for 127.0.0.1
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				certificateRequested.Store(true)
				return new(tls.Certificate), nil
			},
		},
	}
	if !local {
		transport.Proxy = proxyFor
	}
	return transport
}

// proxyFor returns the proxy of a request; a variable for the tests, as the
// environment is read once.
var proxyFor = http.ProxyFromEnvironment

// refused says whether the server ended the connection after the handshake, by an
// alert or, if the request came in between, by a reset.
func refused(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) && network.Op == "remote error" || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// cause returns an error of the HTTP client without the URL, and without what the
// server sent, which can quote the password.
func cause(err error) error {
	var failure *url.Error
	if errors.As(err, &failure) {
		err = failure.Err
	}
	var (
		network *net.OpError
		verify  *tls.CertificateVerificationError
	)
	if errors.As(err, &network) || errors.As(err, &verify) || errors.Is(err, http.ErrSchemeMismatch) ||
		errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return errors.New("no valid HTTP answer from the server or a proxy")
}

// advice says what to do about a status.
func advice(status int, username string) string {
	switch {
	case status == http.StatusUnauthorized && username == "":
		return ": use --username and --password-file"
	case status == http.StatusUnauthorized:
		return ": check --username and --password-file"
	case status/100 == 3:
		return ": use the URL that it redirects to"
	}
	return ""
}

// page returns the URL of the health page, and whether it is on this machine. Its
// errors do not quote --url, which can hold a password.
func (o *Options) page(ctx context.Context) (page *url.URL, local bool, err error) {
	if o.URL == "" {
		page, err = ownPage(ctx)
		return page, true, err
	}
	page, err = url.Parse(o.URL)
	switch {
	case err != nil || page.Scheme != "http" && page.Scheme != "https" || page.Hostname() == "":
		return nil, false, usage.Errorf("--url needs http:// or https:// and a host: use a value such as %s", example)
	case page.User != nil:
		return nil, false, usage.Errorf("--url must not hold a user or password: use --username and --password-file")
	}
	ip := net.ParseIP(page.Hostname())
	return page, ip.IsLoopback() || strings.EqualFold(page.Hostname(), "localhost"), nil
}

// ownPage returns the health page of an exporter with the environment of this
// process.
func ownPage(ctx context.Context) (*url.URL, error) {
	addresses := cli.Addresses(os.Getenv(ListenAddressVariable))
	if len(addresses) == 0 {
		addresses = []string{DefaultAddress}
	}
	for _, address := range addresses {
		if strings.HasPrefix(address, "vsock://") {
			continue
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, usage.Errorf("$%s: %w", ListenAddressVariable, err)
		}
		number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
		if err != nil {
			return nil, usage.Errorf("$%s %q: %w", ListenAddressVariable, address, err)
		}
		if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
			host = "127.0.0.1" // [::] takes IPv4 as well
		}
		prefix, err := cli.RoutePrefix(os.Getenv(ExternalURLVariable), os.Getenv(RoutePrefixVariable))
		if err != nil {
			return nil, err
		}
		scheme, err := ownScheme()
		return &url.URL{Scheme: scheme, Host: net.JoinHostPort(host, strconv.Itoa(number)), Path: prefix + "/-/healthy"}, err
	}
	return nil, usage.Errorf("$%s has no TCP address: use --url", ListenAddressVariable)
}

// ownScheme returns https if the web configuration file enables TLS.
func ownScheme() (string, error) {
	path := os.Getenv(WebConfigVariable)
	if path == "" {
		return "http", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("$%s: %w", WebConfigVariable, err)
	}
	// The rest of the file, and whether this is right, is up to the exporter.
	var file struct {
		TLS struct {
			Cert       string `yaml:"cert"`
			CertFile   string `yaml:"cert_file"`
			Key        string `yaml:"key"`
			KeyFile    string `yaml:"key_file"`
			ClientCA   string `yaml:"client_ca"`
			ClientCAs  string `yaml:"client_ca_file"`
			ClientAuth string `yaml:"client_auth_type"`
		} `yaml:"tls_server_config"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return "", fmt.Errorf("$%s %q is not a valid web configuration file", WebConfigVariable, path) // the error can quote a key
	}
	server := toolkit.TLSConfig{
		TLSCert: file.TLS.Cert, TLSCertPath: file.TLS.CertFile, TLSKeyPath: file.TLS.Key + file.TLS.KeyFile,
		ClientCAs: file.TLS.ClientCAs, ClientCAsText: file.TLS.ClientCA, ClientAuth: file.TLS.ClientAuth,
	}
	if server.IsEnabled() {
		return "https", nil
	}
	return "http", nil
}

func (o *Options) password() (string, error) {
	if (o.Username == "") != (o.PasswordFile == "") {
		return "", usage.Errorf("--username and --password-file are needed together")
	}
	if o.PasswordFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(o.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("--password-file: %w", err)
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" {
		return "", fmt.Errorf("--password-file: %s is empty", o.PasswordFile)
	}
	return password, nil
}

func (o *Options) roots() (*x509.CertPool, error) {
	if o.CAFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--ca-file: %s has no PEM certificate", o.CAFile)
	}
	return roots, nil
}
