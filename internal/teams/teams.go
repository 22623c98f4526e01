// Package teams holds the teams of the active configuration: their clients and the state
// that is kept between scrapes. A new configuration replaces the active one atomically.
// Scrapes in flight continue to use the teams that they started with.
package teams

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	promconfig "github.com/prometheus/common/config"
	"golang.org/x/sync/semaphore"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/calendar"
	"chattonic_exporter/internal/config"
)

// Options configures the clients of all teams.
type Options struct {
	// RequestTimeout is the timeout of an API call.
	RequestTimeout time.Duration
	// MaxBody is the maximum size of an answer in bytes.
	MaxBody int64
	// MaxCalls is the maximum number of concurrent API calls.
	MaxCalls int64
	// UserAgent is the User-Agent header of requests.
	UserAgent string
	// Metrics counts the API requests.
	Metrics *collector.ExporterMetrics
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// History enables a History for each team.
	History bool
}

// Set holds the active teams. It is safe for concurrent use.
type Set struct {
	options Options
	limit   *semaphore.Weighted

	mu     sync.Mutex
	active []*member
	limits map[limitsKey]*limits // also of teams that were removed, during a pause
}

// limitsKey identifies a team of an API, whatever its settings.
type limitsKey struct{ baseURL, codename string }

// member is a team that is active or used by a scrape.
type member struct {
	config  config.Team
	team    *collector.Team
	api     *SharedAPI
	history *History // nil unless Options.History
	http    *http.Client
	// transport is the transport of http. It is renewed by a reload.
	transport *transport
	guard     *guard

	refs int // number of scrapes, plus 1 if active; guarded by Set.mu
}

// New returns a Set without teams.
func New(o Options) *Set {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Set{options: o, limit: semaphore.NewWeighted(o.MaxCalls), limits: make(map[limitsKey]*limits)}
}

// Apply makes a configuration the active one. After an error the active configuration is
// unchanged. A team with unchanged settings keeps its state, but reads its secrets again if
// they are not in the configuration. The pauses that the API asked for hold for a team with
// other settings, too. Apply waits until removed
// teams that no scrape uses are closed.
func (s *Set) Apply(c *config.Config) error {
	unused, err := s.replace(c)
	s.closeMembers(unused)
	return err
}

// replace makes a configuration the active one, and returns the members that are no longer
// used.
func (s *Set) replace(c *config.Config) (unused []*member, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := make(map[string]*member, len(s.active))
	for _, m := range s.active {
		current[m.config.Codename] = m
	}
	next, created := make([]*member, 0, len(c.Teams)), []*member(nil)
	renewed := make(map[*member]http.RoundTripper)
	for _, t := range c.Teams {
		if m := current[t.Codename]; m != nil && reflect.DeepEqual(m.config, t) {
			renewed[m] = nil
			if t.HTTPClient.OAuth2 != nil || len(secretFiles(t.HTTPClient)) > 0 {
				if renewed[m], err = m.transport.create(); err != nil {
					return created, fmt.Errorf("team %q: %w", t.Codename, err)
				}
			}
			next = append(next, m)
			continue
		}
		m, err := s.newMember(t)
		if err != nil {
			return created, fmt.Errorf("team %q: %w", t.Codename, err)
		}
		next, created = append(next, m), append(created, m)
	}
	for m, transport := range renewed {
		m.guard.login.reload()
		if transport != nil {
			m.transport.replace(transport)
		}
	}
	for _, m := range next {
		m.refs++
		s.options.Metrics.AddTeam(m.config.Codename)
	}
	previous := s.active
	s.active = next
	s.forgetLimits()
	return s.release(previous), nil
}

// forgetLimits deletes the limits of teams that are not active, unless they are paused.
func (s *Set) forgetLimits() {
	used := make(map[*limits]bool, len(s.active))
	for _, m := range s.active {
		if m.guard != nil {
			used[m.guard.limits] = true
		}
	}
	now := s.options.Now()
	maps.DeleteFunc(s.limits, func(_ limitsKey, l *limits) bool { return !used[l] && l.idle(now) })
}

// newMember returns a member for a configured team.
func (s *Set) newMember(t config.Team) (*member, error) {
	m := &member{config: t}
	client, err := newHTTPClient(t, s.options.UserAgent)
	if err != nil {
		return nil, err
	}
	m.http = client
	m.transport = newTransport(client.Transport, func() (http.RoundTripper, error) {
		client, err := newHTTPClient(t, s.options.UserAgent)
		if err != nil {
			return nil, err
		}
		return client.Transport, nil
	})
	m.http.Transport = m.transport
	k := limitsKey{t.BaseURL, t.Codename}
	if s.limits[k] == nil {
		s.limits[k] = newLimits()
	}
	m.guard = &guard{now: s.options.Now, limits: s.limits[k], login: newLogin(secretFiles(t.HTTPClient), nil), maxCalls: t.MaxCallsPerMinute}
	if t.HTTPClient.OAuth2 != nil {
		m.guard.login.oauth2 = m.transport
	}
	countRequest := s.options.Metrics.Observer(t.Codename)
	api, err := newAPIClient(t, m.http,
		chattonic.WithMaxBody(s.options.MaxBody),
		chattonic.WithClock(s.options.Now),
		chattonic.WithGuard(m.guard.admit),
		chattonic.WithObserver(func(a chattonic.Attempt) {
			countRequest(a)
			m.api.Observe(a)
		}),
	)
	if err != nil {
		return nil, err
	}
	if s.options.History {
		m.history = NewHistory(t.Windows[0].Name(), s.options.Now, t.AtWork...)
	}
	m.api = NewSharedAPI(api, SharedOptions{Timeout: s.options.RequestTimeout, TTL: t.TTL, Limit: s.limit, Now: s.options.Now, History: m.history, guard: m.guard})
	settings := Settings(t, m.api)
	settings.PausedUntil = m.guard.pausedUntil
	m.team = collector.NewTeam(settings)
	return m, nil
}

// Settings returns the collector settings of a configured team, with api as the source of
// its statistics.
func Settings(t config.Team, api collector.API) collector.Settings {
	var threshold chattonic.Number
	if t.Thresholds.QueriesPending != nil {
		threshold = chattonic.NumberOf(*t.Thresholds.QueriesPending)
	}
	settings := collector.Settings{
		Codename: t.Codename, API: api, Collectors: t.Collectors, Location: t.Location,
		Delay: t.Delay, DurationUnit: t.DurationUnit, AtWork: t.AtWork, HideOperatorNames: !t.OperatorNames, QueriesPendingThreshold: threshold,
	}
	for _, window := range t.Windows {
		settings.Windows = append(settings.Windows, window)
	}
	if t.BusinessHours != nil {
		settings.WithinBusinessHours = t.BusinessHours.Within
	}
	return settings
}

// NewClient returns the API client of a configured team and its HTTP client. The caller
// must close the idle connections of the HTTP client. It fails if the settings of
// http_client, the base URL, the codename or the token are invalid.
func NewClient(t config.Team, userAgent string, options ...chattonic.Option) (*chattonic.Client, *http.Client, error) {
	httpClient, err := newHTTPClient(t, userAgent)
	if err != nil {
		return nil, nil, err
	}
	client, err := newAPIClient(t, httpClient, options...)
	return client, httpClient, err
}

func newAPIClient(t config.Team, httpClient *http.Client, options ...chattonic.Option) (*chattonic.Client, error) {
	options = append([]chattonic.Option{chattonic.WithHTTPClient(httpClient), chattonic.WithDateFormatGroup(t.DateFormatGroup)}, options...)
	return chattonic.New(t.BaseURL, t.Codename, options...)
}

// newHTTPClient returns the HTTP client of a configured team.
func newHTTPClient(t config.Team, userAgent string) (*http.Client, error) {
	authorization := t.HTTPClient.Authorization
	fromFile := authorization != nil && authorization.CredentialsFile != ""
	if fromFile {
		t.HTTPClient.Authorization = nil
	}
	httpClient, err := promconfig.NewClientFromConfig(t.HTTPClient, "chattonic", promconfig.WithUserAgent(userAgent))
	if err != nil {
		return nil, fmt.Errorf("http_client: %w", err)
	}
	if t.HTTPClient.OAuth2 != nil {
		httpClient.Transport = newFirstAlone(httpClient.Transport)
	}
	if fromFile {
		httpClient.Transport = promconfig.NewAuthorizationCredentialsRoundTripper(authorization.Type, tokenFile(authorization.CredentialsFile), httpClient.Transport)
	}
	return httpClient, nil
}

// closeMembers closes members that are no longer used. It waits for their calls, so the
// caller must not hold the lock.
func (s *Set) closeMembers(unused []*member) {
	for _, m := range unused {
		m.api.Close()
		m.http.CloseIdleConnections()
		s.removeMetrics(m.config.Codename)
	}
}

// removeMetrics deletes the counters of a team unless it is active. It must be called after
// the team's last call, because that would create the counters again.
func (s *Set) removeMetrics(codename string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.active, func(m *member) bool { return m.config.Codename == codename }) {
		s.options.Metrics.RemoveTeam(codename)
	}
}

// release removes one reference from each member, and returns the members without
// references.
func (*Set) release(members []*member) (unused []*member) {
	for _, m := range members {
		if m.refs--; m.refs == 0 {
			unused = append(unused, m)
		}
	}
	return unused
}

// Teams returns the active teams. They can be scraped until release is called. The caller
// must call release exactly once.
func (s *Set) Teams() (teams []*collector.Team, release func()) {
	return s.use(func(*member) bool { return true })
}

// Team returns the active team with the codename, or no team. See Teams for release.
func (s *Set) Team(codename string) (teams []*collector.Team, release func()) {
	return s.use(func(m *member) bool { return m.config.Codename == codename })
}

func (s *Set) use(wanted func(*member) bool) (teams []*collector.Team, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var used []*member
	for _, m := range s.active {
		if wanted(m) {
			m.refs++
			used, teams = append(used, m), append(teams, m.team)
		}
	}
	return teams, func() {
		s.mu.Lock()
		unused := s.release(used)
		s.mu.Unlock()
		s.closeMembers(unused)
	}
}

// Status is the state of a team, available without an API call.
type Status struct {
	// Team holds the settings of the team. It must not be scraped.
	Team *collector.Team
	// History holds the team's last calls. It is nil unless Options.History is set.
	History *History
	// DisplayName is the team's name on the pages; empty means the codename.
	DisplayName string
	// Forecasts shows forecasts about the team's queue.
	Forecasts bool
	// Hours are the team's business hours, or nil.
	Hours *calendar.BusinessHours
	// TTL is how long an answer of each endpoint is reused.
	TTL map[chattonic.Endpoint]time.Duration
}

// Status returns the state of the active teams, in the order of the configuration.
func (s *Set) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Status, len(s.active))
	for i, m := range s.active {
		all[i] = Status{Team: m.team, History: m.history, DisplayName: m.config.DisplayName, Forecasts: m.config.Forecasts, Hours: m.config.BusinessHours, TTL: m.config.TTL}
	}
	return all
}

// Codenames returns the codenames of the active teams, in the order of the
// configuration.
func (s *Set) Codenames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	codenames := make([]string, len(s.active))
	for i, m := range s.active {
		codenames[i] = m.config.Codename
	}
	return codenames
}

// Close closes all teams. A team that a scrape still uses is closed after the scrape.
func (s *Set) Close() {
	s.mu.Lock()
	unused := s.release(s.active)
	s.active = nil
	s.mu.Unlock()
	s.closeMembers(unused)
}

// reason returns the text of an error without the endpoint.
func reason(err error) string {
	var e chattonic.Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return err.Error()
}
