// Package fleet keeps the teams of the configuration in force: their clients,
// and what they remember from one scrape to the next. A new configuration takes
// its place at once and whole, while scrapes that are under way keep the teams
// that they began with.
package fleet

import (
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
	"chattonic_exporter/internal/poll"
)

// Options adjusts the clients of all teams.
type Options struct {
	// RequestTimeout ends a call to the API.
	RequestTimeout time.Duration
	// MaxBody is the size in bytes beyond which an answer is refused.
	MaxBody int64
	// MaxCalls is the number of calls at a time.
	MaxCalls int64
	// UserAgent is what requests say they come from.
	UserAgent string
	// Own counts the requests.
	Own *collector.Own
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Remember has a History kept of each team.
	Remember bool
}

// Fleet is the teams in force. It is safe for concurrent use.
type Fleet struct {
	options Options
	limit   *semaphore.Weighted

	mu      sync.Mutex
	current []*member
}

// member is a team at work. It ends when it is neither in force nor in use.
type member struct {
	config  config.Team
	team    *collector.Team
	poller  *poll.Poller
	history *poll.History // nil unless it is asked for
	http    *http.Client

	users int // guarded by Fleet.mu; being in force counts as one
}

// New returns a Fleet without teams.
func New(o Options) *Fleet {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Fleet{options: o, limit: semaphore.NewWeighted(o.MaxCalls)}
}

// Apply puts a configuration in force, or fails and changes nothing. A team
// whose settings are the same goes on as it is. Apply returns when the teams
// that this ends have ended.
func (f *Fleet) Apply(c *config.Config) error {
	unused, err := f.replace(c)
	f.end(unused)
	return err
}

// replace puts a configuration in force, and returns members that nothing uses
// then.
func (f *Fleet) replace(c *config.Config) (unused []*member, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := make(map[string]*member, len(f.current))
	for _, m := range f.current {
		before[m.config.Codename] = m
	}
	next, fresh := make([]*member, 0, len(c.Teams)), []*member(nil)
	for _, t := range c.Teams {
		if m := before[t.Codename]; m != nil && reflect.DeepEqual(m.config, t) {
			next = append(next, m)
			continue
		}
		m, err := f.start(t)
		if err != nil {
			return fresh, fmt.Errorf("team %q: %w", t.Codename, err)
		}
		next, fresh = append(next, m), append(fresh, m)
	}
	for _, m := range next {
		m.users++
		f.options.Own.Watch(m.config.Codename)
	}
	last := f.current
	f.current = next
	return f.release(last), nil
}

// start makes what a team needs.
func (f *Fleet) start(t config.Team) (*member, error) {
	client, httpClient, err := NewClient(t, f.options.UserAgent,
		chattonic.WithMaxBody(f.options.MaxBody),
		chattonic.WithClock(f.options.Now),
		chattonic.WithObserver(f.options.Own.Observer(t.Codename)),
	)
	if err != nil {
		return nil, err
	}
	m := &member{config: t, http: httpClient}
	if f.options.Remember {
		m.history = poll.NewHistory(t.Windows[0].Name(), f.options.Now)
	}
	m.poller = poll.New(client, poll.Options{
		Timeout: f.options.RequestTimeout, OperatorsTTL: t.TTL.Operators, DashboardTTL: t.TTL.Dashboard, Limit: f.limit, Now: f.options.Now, History: m.history,
	})
	m.team = collector.NewTeam(Settings(t, m.poller))
	return m, nil
}

// Settings returns what a configuration says of how a team is asked, through
// api, and what its answers mean.
func Settings(t config.Team, api collector.API) collector.Settings {
	var threshold chattonic.Number
	if t.Thresholds.QueriesPending != nil {
		threshold = chattonic.NumberOf(*t.Thresholds.QueriesPending)
	}
	return collector.Settings{
		Codename: t.Codename, API: api, Collectors: t.Collectors, Windows: t.Windows, Location: t.Location,
		Delay: t.Delay, DurationUnit: t.DurationUnit, HideOperatorNames: !t.OperatorNames, QueriesPendingThreshold: threshold,
		BusinessHours: t.BusinessHours,
	}
}

// NewClient returns the client of a configured team, and the HTTP client that
// it makes its requests with, whose idle connections the caller closes.
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

// end ends members that nothing uses. That waits for their calls, which others
// are not to wait for: it is for who does not hold the lock.
func (f *Fleet) end(unused []*member) {
	for _, m := range unused {
		m.poller.Close()
		m.http.CloseIdleConnections()
		f.forget(m.config.Codename)
	}
}

// forget drops the counters of a team that is not in force. Its last call, which
// may have outlived its configuration, has counted by then.
func (f *Fleet) forget(codename string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.ContainsFunc(f.current, func(m *member) bool { return m.config.Codename == codename }) {
		f.options.Own.Forget(codename)
	}
}

// release gives up a use of each member, and returns those that it was the last
// of.
func (f *Fleet) release(members []*member) (unused []*member) {
	for _, m := range members {
		if m.users--; m.users == 0 {
			unused = append(unused, m)
		}
	}
	return unused
}

// Teams returns the teams in force. They can be scraped until release is
// called, which must be done once.
func (f *Fleet) Teams() (teams []*collector.Team, release func()) {
	return f.use(func(*member) bool { return true })
}

// Team returns the team of the codename, as Teams does, or none.
func (f *Fleet) Team(codename string) (teams []*collector.Team, release func()) {
	return f.use(func(m *member) bool { return m.config.Codename == codename })
}

func (f *Fleet) use(wanted func(*member) bool) (teams []*collector.Team, release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var used []*member
	for _, m := range f.current {
		if wanted(m) {
			m.users++
			used, teams = append(used, m), append(teams, m.team)
		}
	}
	return teams, func() {
		f.mu.Lock()
		unused := f.release(used)
		f.mu.Unlock()
		f.end(unused)
	}
}

// Remembered is what there is to tell of a team without asking it.
type Remembered struct {
	// Team is the team with its settings. It is not to be scraped.
	Team *collector.Team
	// History is what is remembered of its calls; nil unless Options.Remember.
	History *poll.History
}

// Remembered returns what is remembered of the teams in force, in the order of
// the configuration.
func (f *Fleet) Remembered() []Remembered {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]Remembered, len(f.current))
	for i, m := range f.current {
		all[i] = Remembered{m.team, m.history}
	}
	return all
}

// Codenames returns the codenames of the teams in force, in the order of the
// configuration.
func (f *Fleet) Codenames() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	codenames := make([]string, len(f.current))
	for i, m := range f.current {
		codenames[i] = m.config.Codename
	}
	return codenames
}

// Close ends all teams that no scrape uses; those in use end with their scrape.
func (f *Fleet) Close() {
	f.mu.Lock()
	unused := f.release(f.current)
	f.current = nil
	f.mu.Unlock()
	f.end(unused)
}
