package teams

import (
	"crypto/sha256"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	promconfig "github.com/prometheus/common/config"

	"chattonic_exporter/chattonic"
)

// rejectedPause is the time between requests with an access token that was not accepted.
const rejectedPause = time.Minute

// login decides when an access token that was not accepted is tried again. It is safe for
// concurrent use.
type login struct {
	files []string // that hold secrets
	// oauth2 is a transport that gets a new token when it is renewed. It is nil without
	// OAuth2.
	oauth2 *transport

	mu        sync.Mutex
	reloads   int
	endpoints map[chattonic.Endpoint]*loginState
}

// loginState is the state of an endpoint.
type loginState struct {
	rejected  bool       // after HTTP 401
	files     []fileInfo // with which it was rejected
	next      time.Time  // of the next request while it is rejected
	succeeded int        // generation of the transport of the last success, or 0
}

// ticket is the state of a login when a request is sent.
type ticket struct {
	reloads, generation int
	files               []fileInfo
}

func newLogin(files []string, oauth2 *transport) *login {
	return &login{files: files, oauth2: oauth2, endpoints: make(map[chattonic.Endpoint]*loginState)}
}

// refusal returns an error if a request must not be sent now.
func (l *login) refusal(e chattonic.Endpoint, now time.Time) *chattonic.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refuse(e, now)
}

// take is refusal for a request that is then sent.
func (l *login) take(e chattonic.Endpoint, now time.Time) (ticket, *chattonic.Error) {
	files := readFiles(l.files)
	l.mu.Lock()
	defer l.mu.Unlock()
	if refusal := l.refuse(e, now); refusal != nil {
		return ticket{}, refusal
	}
	if state := l.endpoints[e]; state != nil {
		state.next = now.Add(rejectedPause)
	}
	t := ticket{reloads: l.reloads, files: files}
	if l.oauth2 != nil {
		t.generation = l.oauth2.generationNow()
	}
	return t, nil
}

func (l *login) refuse(e chattonic.Endpoint, now time.Time) *chattonic.Error {
	state := l.endpoints[e]
	if state == nil || !state.rejected || !now.Before(state.next) {
		return nil
	}
	if !slices.EqualFunc(state.files, readFiles(l.files), fileInfo.same) {
		state.rejected = false
		return nil
	}
	return &chattonic.Error{
		Endpoint: e, StatusCode: http.StatusUnauthorized, Cause: chattonic.CauseStatus,
		Detail: "HTTP 401, the access token was not accepted: check that it is current; it is tried once a minute, and at once when its file changes or the configuration is reloaded",
	}
}

// observe records whether the token of a request was accepted.
func (l *login) observe(a chattonic.Attempt, t ticket, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	state := l.endpoints[a.Endpoint]
	if state == nil {
		state = new(loginState)
		l.endpoints[a.Endpoint] = state
	}
	switch status := a.StatusCode; {
	case status == http.StatusUnauthorized && t.reloads != l.reloads: // was sent before a reload
	case status == http.StatusUnauthorized:
		if l.oauth2 != nil {
			l.oauth2.renewAfter(t.generation)
			if state.succeeded == t.generation {
				state.rejected = false // the token has expired, and a new one may be accepted
				return
			}
		}
		state.rejected, state.files, state.next = true, t.files, now.Add(rejectedPause)
	case status/100 == 2:
		state.succeeded = t.generation
		state.rejected = false
	case status/100 == 3, status == http.StatusForbidden, status == http.StatusNotFound:
		state.rejected = false
	}
}

// reload ends all waiting. Responses to earlier requests no longer count.
func (l *login) reload() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reloads++
	for _, state := range l.endpoints {
		state.rejected = false
	}
}

// secretFiles returns the files that hold the secrets of a client's requests.
func secretFiles(c promconfig.HTTPClientConfig) (files []string) {
	add := func(names ...string) {
		for _, name := range names {
			if name != "" {
				files = append(files, name)
			}
		}
	}
	if c.Authorization != nil {
		add(c.Authorization.CredentialsFile)
	}
	if c.BasicAuth != nil {
		add(c.BasicAuth.UsernameFile, c.BasicAuth.PasswordFile)
	}
	if c.OAuth2 != nil {
		add(c.OAuth2.ClientSecretFile, c.OAuth2.ClientCertificateKeyFile)
	}
	if c.HTTPHeaders != nil {
		for _, header := range c.HTTPHeaders.Headers {
			add(header.Files...)
		}
	}
	add(c.BearerTokenFile, c.TLSConfig.CertFile, c.TLSConfig.KeyFile)
	slices.Sort(files)
	return files
}

// fileInfo identifies a version of a file. It is the zero value if the file cannot be read.
type fileInfo struct {
	info os.FileInfo
	sum  [sha256.Size]byte
}

func readFiles(names []string) []fileInfo {
	files := make([]fileInfo, len(names))
	for i, name := range names {
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		files[i] = fileInfo{info, sha256.Sum256(data)}
	}
	return files
}

func (f fileInfo) same(other fileInfo) bool {
	if f.info == nil || other.info == nil {
		return f.info == nil && other.info == nil
	}
	return f.sum == other.sum && os.SameFile(f.info, other.info) && f.info.Size() == other.info.Size() && f.info.ModTime().Equal(other.info.ModTime())
}

// transport is an http.RoundTripper that can be replaced by a new one, which forgets OAuth2
// tokens and reads files again. It is safe for concurrent use.
type transport struct {
	create func() (http.RoundTripper, error)

	mu         sync.Mutex
	generation int // counts replacements, from 1
	current    http.RoundTripper
	former     http.RoundTripper // requests in flight may still use it
}

var _ http.RoundTripper = (*transport)(nil)

func newTransport(current http.RoundTripper, create func() (http.RoundTripper, error)) *transport {
	return &transport{create: create, generation: 1, current: current}
}

// RoundTrip sends a request.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	current := t.current
	t.mu.Unlock()
	return current.RoundTrip(r)
}

// CloseIdleConnections closes the idle connections.
func (t *transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	closeIdle(t.current)
	closeIdle(t.former)
}

func closeIdle(r http.RoundTripper) {
	if r != nil {
		(&http.Client{Transport: r}).CloseIdleConnections()
	}
}

func (t *transport) generationNow() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.generation
}

// replace makes a new transport the current one.
func (t *transport) replace(next http.RoundTripper) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.swap(next)
}

func (t *transport) swap(next http.RoundTripper) {
	closeIdle(t.former)
	t.former, t.current = t.current, next
	closeIdle(t.former)
	t.generation++
}

// renewAfter replaces the transport if it is still of the generation. If no new one can be
// created, for example because a file is missing, the current one stays.
func (t *transport) renewAfter(generation int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.generation != generation {
		return
	}
	if next, err := t.create(); err == nil {
		t.swap(next)
	}
}
