// Package collector turns the answers of Chat-Tonic's stats API into metrics.
//
// The metrics are defined in tables. A row of a table defines one metric: its samples,
// HELP text and documentation are derived from it. A [Collector] waits for all answers
// before it sends the first sample. For a failed request it sends only the samples that
// report the failure.
package collector

import (
	"context"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"

	"chattonic_exporter/chattonic"
)

// API is the source of a team's statistics, such as a *chattonic.Client.
type API interface {
	Read(ctx context.Context, e chattonic.Endpoint, window chattonic.Window) (chattonic.Answer, error)
}

// WindowSpec describes a window relative to the current time, such as the last 24 hours
// or the current day.
type WindowSpec interface {
	// Name returns the value of the label window, such as "24h" or "today".
	Name() string
	// At returns the window at the time now. Calendar days are those of its time zone.
	At(now time.Time) chattonic.Window
}

// Settings are the settings of a team: what to request, and how to interpret the
// answers.
type Settings struct {
	// Codename is the value of the label team.
	Codename string
	// API is the source of the team's statistics.
	API API
	// Collectors are the endpoints to request.
	Collectors []chattonic.Endpoint
	// Windows are the windows to request. Metrics without the label window come from
	// the answers for the first window.
	Windows []WindowSpec
	// WindowedOnly omits the metrics that come from the answers for the first window.
	// It is for callers that do not request the team's first window.
	WindowedOnly bool
	// Location is the time zone of calendar windows.
	Location *time.Location
	// Delay is the time between the end of the windows and now.
	Delay time.Duration
	// DurationUnit is the unit of the API's durations. The API does not document it.
	DurationUnit time.Duration
	// AtWork are the states in which an operator is at work, compared without letter
	// case. Empty means only online.
	AtWork []string
	// HideOperatorNames sets the labels that identify an operator to the empty string,
	// except the id.
	HideOperatorNames bool
	// QueriesPendingThreshold is exported unchanged, if it is present.
	QueriesPendingThreshold chattonic.Number
	// WithinBusinessHours reports whether a time is within the team's business hours.
	// It is nil if none are configured.
	WithinBusinessHours func(t time.Time) bool
	// PausedUntil returns until when no requests are sent to an endpoint because the API
	// asked for a pause, or the zero time if there is no pause. It may be nil.
	PausedUntil func(e chattonic.Endpoint) time.Time
}

// Team is a team to collect from, with the state that is kept between scrapes. It is
// safe for concurrent use.
type Team struct {
	Settings

	mu          sync.Mutex
	lastSuccess map[requestKey]chattonic.Timestamp
	lastWarning map[chattonic.Endpoint]string // of contract violations
	warned      map[chattonic.Endpoint]bool   // by endpoint.warning
	failing     map[chattonic.Endpoint]*failing
}

// requestKey identifies the requests of a team across scrapes.
type requestKey struct {
	endpoint chattonic.Endpoint
	window   string
}

// NewTeam returns a Team with the settings.
func NewTeam(s Settings) *Team {
	if len(s.AtWork) == 0 {
		s.AtWork = []string{"online"}
	}
	return &Team{
		Settings: s, lastSuccess: make(map[requestKey]chattonic.Timestamp),
		lastWarning: make(map[chattonic.Endpoint]string), warned: make(map[chattonic.Endpoint]bool),
		failing: make(map[chattonic.Endpoint]*failing),
	}
}

// Collector collects the metrics of teams for one scrape.
type Collector struct {
	ctx    context.Context //nolint:containedctx // Collect has no context of its own.
	teams  []*Team
	logger log.Logger
	now    func() time.Time
}

var _ prometheus.Collector = (*Collector)(nil)

// New returns a Collector for one scrape of the teams. ctx limits the API requests. The
// Collector logs when requests begin and cease to fail. now is the clock; nil means time.Now.
func New(ctx context.Context, logger log.Logger, now func() time.Time, teams ...*Team) *Collector {
	if now == nil {
		now = time.Now
	}
	return &Collector{ctx: ctx, teams: teams, logger: logger, now: now}
}

// Describe sends the descriptors of all tables.
func (*Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, t := range tables {
		t.describe(ch)
	}
}

// Collect fetches all answers and sends all samples.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	for _, g := range c.Fetch() {
		g.collect(ch)
	}
}

// Answers holds the answers of one scrape and the outcome of each request, grouped by
// table.
type Answers []interface {
	collect(ch chan<- prometheus.Metric)
	implausible(limit float64) []Implausible
}

// Fetch requests all endpoints of all teams for all windows concurrently. It returns when
// the last request has succeeded or failed, at the latest soon after the Collector's
// context ends. Failed requests are logged and reported by metrics.
func (c *Collector) Fetch() (all Answers) {
	var running sync.WaitGroup
	scrapes := make([]*teamScrape, len(c.teams))
	for i, t := range c.teams {
		scrapes[i] = c.startTeam(t, &running)
	}
	running.Wait()
	for _, s := range scrapes {
		c.logFailures(s)
		all = append(all, s.groups()...)
	}
	return all
}

// teamScrape is a scrape of one team.
type teamScrape struct {
	team    *Team
	start   time.Time
	infos   []*answerInfo // one for each window
	answers [][]answer    // of each window, by endpoint
}

// answer is the result of requesting one endpoint for one window.
type answer struct {
	outcome
	groups Answers
}

// startTeam starts the requests to all endpoints of a team for all windows.
func (c *Collector) startTeam(t *Team, running *sync.WaitGroup) *teamScrape {
	s := &teamScrape{team: t, start: c.now()}
	end := s.start.Add(-t.Delay).In(t.Location)
	for w, spec := range t.Windows {
		window := spec.At(end)
		info := &answerInfo{team: t.Codename, window: window.Name, firstWindow: w == 0 && !t.WindowedOnly, unitSeconds: t.DurationUnit.Seconds(), hideNames: t.HideOperatorNames, atWork: t.AtWork}
		answers := make([]answer, len(t.Collectors))
		s.infos, s.answers = append(s.infos, info), append(s.answers, answers)
		for i, e := range t.Collectors {
			running.Go(func() { answers[i] = c.fetch(t, e, info, window) })
		}
	}
	return s
}

// groups returns the items of the answers and the outcomes of the requests.
func (s *teamScrape) groups() (all Answers) {
	up := true
	for w, info := range s.infos {
		answers := s.answers[w]
		// If an answer is shared with an earlier scrape, its window is an earlier one. The
		// earliest counts, so that an answer never looks newer than it is.
		covered, succeeded := answers[0].window, false
		for _, a := range answers {
			if a.err == nil && (!succeeded || a.window.End.Before(covered.End)) {
				covered, succeeded = a.window, true
			}
			all = append(append(all, a.groups...), &group[outcome]{table: outcomeTable, info: info, items: []outcome{a.outcome}})
			up = up && a.err == nil
		}
		all = append(all, &group[chattonic.Window]{table: windowTable, info: info, items: []chattonic.Window{covered}})
	}
	if pauses := s.team.pauses(); len(pauses) > 0 {
		all = append(all, &group[apiPause]{table: pauseTable, info: s.infos[0], items: pauses})
	}
	return append(all, &group[teamState]{table: teamStateTable, info: s.infos[0], items: []teamState{{up, s.team.QueriesPendingThreshold, s.team.withinBusinessHours(s.start)}}})
}

// fetch requests one endpoint for one window.
func (c *Collector) fetch(t *Team, e chattonic.Endpoint, info *answerInfo, window chattonic.Window) answer {
	start := time.Now()
	a, err := t.API.Read(c.ctx, e, window)
	result := answer{outcome: outcome{collector: chattonic.Text(e), err: err, duration: time.Since(start), window: window}}
	key := requestKey{e, window.Name}
	if err != nil {
		result.lastSuccess = t.getLastSuccess(key)
		return result
	}
	if warning := endpoints[e].warning(a); warning != "" && t.firstWarning(e) {
		level.Warn(c.logger).Log("msg", warning, "team", t.Codename, "window", window.Name)
	}
	result.groups = endpoints[e].groups(a, info)
	if info.firstWindow {
		result.groups = append(result.groups, &group[contract]{table: contractTable, info: info, items: []contract{c.contract(t, e, a)}})
	}
	result.window, result.lastSuccess = a.Meta().Window, t.setLastSuccess(key, a.Meta().ReceivedAt)
	return result
}

// withinBusinessHours returns 1 if the time is within the team's business hours and 0 if
// not. The number is absent if none are configured.
func (t *Team) withinBusinessHours(at time.Time) (n chattonic.Number) {
	switch {
	case t.WithinBusinessHours == nil:
		return n
	case t.WithinBusinessHours(at):
		return chattonic.NumberOf(1)
	default:
		return chattonic.NumberOf(0)
	}
}

// pauses returns the endpoints that the API does not want to be requested now.
func (t *Team) pauses() (pauses []apiPause) {
	if t.PausedUntil == nil || t.WindowedOnly {
		return nil
	}
	for _, e := range t.Collectors {
		if until := t.PausedUntil(e); !until.IsZero() {
			pauses = append(pauses, apiPause{chattonic.Text(e), chattonic.TimestampOf(until)})
		}
	}
	return pauses
}

// setLastSuccess records the time of a successful request and returns it.
func (t *Team) setLastSuccess(key requestKey, at time.Time) chattonic.Timestamp {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastSuccess[key] = chattonic.TimestampOf(at)
	return t.lastSuccess[key]
}

// getLastSuccess returns the time of the last successful request. It is absent before
// the first.
func (t *Team) getLastSuccess(key requestKey) chattonic.Timestamp {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lastSuccess[key]
}

// firstWarning reports whether it is called for the first time for an endpoint.
func (t *Team) firstWarning(e chattonic.Endpoint) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := !t.warned[e]
	t.warned[e] = true
	return first
}
