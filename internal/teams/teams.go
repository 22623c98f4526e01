// Package teams holds the teams of the active configuration: their clients, and
// what they keep from one scrape to the next. A new configuration replaces the
// active one at once and as a whole. Scrapes in flight keep the teams that they
// began with.
package teams

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"

	promconfig "github.com/prometheus/common/config"
	"golang.org/x/sync/semaphore"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/config"
)

// Options adjusts the clients of all teams.
type Options struct {
	// RequestTimeout is the timeout of an API call.
	RequestTimeout time.Duration
	// MaxBody is the largest answer in bytes.
	MaxBody int64
	// MaxCalls is the maximum number of concurrent API calls.
	MaxCalls int64
	// UserAgent is the User-Agent header of requests.
	UserAgent string
	// Metrics counts the requests.
	Metrics *collector.ExporterMetrics
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// History says whether a History of each team is kept.
	History bool
}

// Set holds the active teams. It is safe for concurrent use.
type Set struct {
	options Options
	limit   *semaphore.Weighted

	mu     sync.Mutex
	active []*member
}

// member is a team that is active, or in use by a scrape, or both.
type member struct {
	config  config.Team
	team    *collector.Team
	api     *SharedAPI
	history *History // nil unless Options.History
	http    *http.Client

	users int // guarded by Set.mu; being active counts as one
}

// New returns a Set without teams.
func New(o Options) *Set {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Set{options: o, limit: semaphore.NewWeighted(o.MaxCalls)}
}

// Apply makes a configuration the active one, or fails and changes nothing. A team
// whose settings are unchanged keeps what it has. Apply returns when the teams that
// it removes have ended.
func (s *Set) Apply(c *config.Config) error {
	unused, err := s.replace(c)
	s.end(unused)
	return err
}

// replace makes a configuration the active one, and returns the members that
// nothing uses then.
func (s *Set) replace(c *config.Config) (unused []*member, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := make(map[string]*member, len(s.active))
	for _, m := range s.active {
		before[m.config.Codename] = m
	}
	next, fresh := make([]*member, 0, len(c.Teams)), []*member(nil)
	for _, t := range c.Teams {
		if m := before[t.Codename]; m != nil && reflect.DeepEqual(m.config, t) {
			next = append(next, m)
			continue
		}
		m, err := s.start(t)
		if err != nil {
			return fresh, fmt.Errorf("team %q: %w", t.Codename, err)
		}
		next, fresh = append(next, m), append(fresh, m)
	}
	for _, m := range next {
		m.users++
		s.options.Metrics.AddTeam(m.config.Codename)
	}
	last := s.active
	s.active = next
	return s.release(last), nil
}

// start returns a member for a configured team.
func (s *Set) start(t config.Team) (*member, error) {
	m := &member{config: t}
	count := s.options.Metrics.Observer(t.Codename)
	client, httpClient, err := NewClient(t, s.options.UserAgent,
		chattonic.WithMaxBody(s.options.MaxBody),
		chattonic.WithClock(s.options.Now),
		chattonic.WithObserver(func(a chattonic.Attempt) {
			count(a)
			m.api.Observe(a)
		}),
	)
	if err != nil {
		return nil, err
	}
	m.http = httpClient
	if s.options.History {
		m.history = NewHistory(t.Windows[0].Name(), s.options.Now)
	}
	m.api = NewSharedAPI(client, SharedOptions{Timeout: s.options.RequestTimeout, TTL: t.TTL, Limit: s.limit, Now: s.options.Now, History: m.history})
	m.team = collector.NewTeam(Settings(t, m.api))
	return m, nil
}

// Settings returns the settings of a configured team whose statistics come from
// api.
func Settings(t config.Team, api collector.API) collector.Settings {
	var threshold chattonic.Number
	if t.Thresholds.QueriesPending != nil {
		threshold = chattonic.NumberOf(*t.Thresholds.QueriesPending)
	}
	settings := collector.Settings{
		Codename: t.Codename, API: api, Collectors: t.Collectors, Location: t.Location,
		Delay: t.Delay, DurationUnit: t.DurationUnit, HideOperatorNames: !t.OperatorNames, QueriesPendingThreshold: threshold,
	}
	for _, window := range t.Windows {
		settings.Windows = append(settings.Windows, window)
	}
	if t.BusinessHours != nil {
		settings.WithinBusinessHours = t.BusinessHours.Within
	}
	return settings
}

// NewClient returns the client of a configured team, and the HTTP client of its
// requests, whose idle connections the caller closes.
func NewClient(t config.Team, userAgent string, options ...chattonic.Option) (*chattonic.Client, *http.Client, error) {
	authorization := t.HTTPClient.Authorization
	fromFile := authorization != nil && authorization.CredentialsFile != ""
	if fromFile {
		t.HTTPClient.Authorization = nil
	}
	httpClient, err := promconfig.NewClientFromConfig(t.HTTPClient, "chattonic", promconfig.WithUserAgent(userAgent))
	if err != nil {
		return nil, nil, fmt.Errorf("http_client: %w", err)
	}
	if fromFile {
		httpClient.Transport = promconfig.NewAuthorizationCredentialsRoundTripper(authorization.Type, tokenFile(authorization.CredentialsFile), httpClient.Transport)
	}
	options = append([]chattonic.Option{chattonic.WithHTTPClient(httpClient), chattonic.WithDateFormatGroup(t.DateFormatGroup)}, options...)
	client, err := chattonic.New(t.BaseURL, t.Codename, options...)
	return client, httpClient, err
}

// end ends members that nothing uses. It waits for their calls, so it must not be
// called with the lock.
func (s *Set) end(unused []*member) {
	for _, m := range unused {
		m.api.Close()
		m.http.CloseIdleConnections()
		s.forget(m.config.Codename)
	}
}

// forget drops the counters of a team that is not active. Its last call, which may
// have outlived its configuration, is counted by then.
func (s *Set) forget(codename string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.ContainsFunc(s.active, func(m *member) bool { return m.config.Codename == codename }) {
		s.options.Metrics.RemoveTeam(codename)
	}
}

// release ends a use of each member, and returns those that nothing uses then.
func (*Set) release(members []*member) (unused []*member) {
	for _, m := range members {
		if m.users--; m.users == 0 {
			unused = append(unused, m)
		}
	}
	return unused
}

// Teams returns the active teams. They can be scraped until release is called,
// which must be done once.
func (s *Set) Teams() (teams []*collector.Team, release func()) {
	return s.use(func(*member) bool { return true })
}

// Team returns the active team with the codename, as Teams does, or none.
func (s *Set) Team(codename string) (teams []*collector.Team, release func()) {
	return s.use(func(m *member) bool { return m.config.Codename == codename })
}

func (s *Set) use(wanted func(*member) bool) (teams []*collector.Team, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var used []*member
	for _, m := range s.active {
		if wanted(m) {
			m.users++
			used, teams = append(used, m), append(teams, m.team)
		}
	}
	return teams, func() {
		s.mu.Lock()
		unused := s.release(used)
		s.mu.Unlock()
		s.end(unused)
	}
}

// Status is what is known about a team without a call.
type Status struct {
	// Team is the team with its settings. It must not be scraped.
	Team *collector.Team
	// History holds its last calls; nil unless Options.History.
	History *History
}

// Status returns what is known about the active teams, in the order of the
// configuration.
func (s *Set) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Status, len(s.active))
	for i, m := range s.active {
		all[i] = Status{m.team, m.history}
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

// Close ends all teams that no scrape uses. Those in use end with their scrape.
func (s *Set) Close() {
	s.mu.Lock()
	unused := s.release(s.active)
	s.active = nil
	s.mu.Unlock()
	s.end(unused)
}

// reason is the text of an error without the endpoint.
func reason(err error) string {
	var e chattonic.Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return err.Error()
}
