// Package collector turns the answers of Chat-Tonic's stats API into metrics.
//
// The metrics stand in tables: a row is a metric, and its samples, HELP and
// documentation follow from it. A [Collector] waits for all answers before it
// sends the first sample, so that an endpoint that fails gives no sample but those
// of its failure.
package collector

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"

	"chattonic_exporter/chattonic"
)

// API is what a team's statistics come from, such as a *chattonic.Client.
type API interface {
	Read(ctx context.Context, e chattonic.Endpoint, window chattonic.Window) (chattonic.Answer, error)
}

// WindowSpec is a kind of window, such as the last 24 hours or the calendar day.
type WindowSpec interface {
	// Name is the label window, such as "24h" or "today".
	Name() string
	// At returns the window as it is at now, in the time zone of now.
	At(now time.Time) chattonic.Window
}

// Settings say how a team is asked and what its answers mean.
type Settings struct {
	// Codename is the label team.
	Codename string
	// API is what the team's statistics come from.
	API API
	// Collectors are the endpoints to ask.
	Collectors []chattonic.Endpoint
	// Windows are the windows to ask for. What has no label window comes from
	// the first.
	Windows []WindowSpec
	// WindowedOnly leaves out what has no label window, where the team's first
	// window is not among those asked for.
	WindowedOnly bool
	// Location is the time zone of calendar windows.
	Location *time.Location
	// Delay ends the windows that long before now.
	Delay time.Duration
	// DurationUnit is what the API's durations count.
	DurationUnit time.Duration
	// HideOperatorNames leaves empty the labels that tell who an operator is;
	// ids stay.
	HideOperatorNames bool
	// QueriesPendingThreshold is shown as it is, where it is present.
	QueriesPendingThreshold chattonic.Number
	// WithinBusinessHours says whether a moment is within the team's business
	// hours; nil where it has none.
	WithinBusinessHours func(moment time.Time) bool
}

// Team is a team to collect from. It outlives the Collectors of single scrapes,
// and remembers what lasts from one to the next.
type Team struct {
	Settings

	mu          sync.Mutex
	lastSuccess map[sourceKey]chattonic.Timestamp
	warned      map[chattonic.Endpoint]string // the problems last warned of
	rowsWarned  map[chattonic.Endpoint]bool
}

type sourceKey struct {
	endpoint chattonic.Endpoint
	window   string
}

// NewTeam returns a Team that has not been scraped yet.
func NewTeam(s Settings) *Team {
	return &Team{
		Settings: s, lastSuccess: make(map[sourceKey]chattonic.Timestamp),
		warned: make(map[chattonic.Endpoint]string), rowsWarned: make(map[chattonic.Endpoint]bool),
	}
}

// Collector collects from some teams for one scrape.
type Collector struct {
	ctx    context.Context //nolint:containedctx // Collect has no context of its own.
	teams  []*Team
	logger log.Logger
	now    func() time.Time
}

var _ prometheus.Collector = (*Collector)(nil)

// New returns a Collector for one scrape of the teams, which ends with ctx. It
// logs the failures of single endpoints. now is the clock; nil means time.Now.
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

// Collect asks the teams' endpoints and sends all samples.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	for _, g := range c.Ask() {
		g.collect(ch)
	}
}

// Answers are the answers of one scrape, and what became of each request, in
// groups of one table.
type Answers []interface {
	collect(ch chan<- prometheus.Metric)
	implausible(limit float64) []Implausible
}

// Ask asks every team's endpoints for all windows at the same time. It returns
// when the last has answered or failed, which is soon after the end of the
// Collector's context at the latest.
func (c *Collector) Ask() (all Answers) {
	var running sync.WaitGroup
	scrapes := make([]*teamScrape, len(c.teams))
	for i, t := range c.teams {
		scrapes[i] = c.start(t, &running)
	}
	running.Wait()
	for _, s := range scrapes {
		all = append(all, s.groups()...)
	}
	return all
}

// teamScrape is a scrape of one team.
type teamScrape struct {
	team    *Team
	start   time.Time
	scopes  []*scope   // of the windows
	answers [][]answer // of each window, by endpoint
}

// answer is what one endpoint had for one window.
type answer struct {
	outcome
	groups Answers
}

// start asks all endpoints of a team for all windows.
func (c *Collector) start(t *Team, running *sync.WaitGroup) *teamScrape {
	s := &teamScrape{team: t, start: c.now()}
	end := s.start.Add(-t.Delay).In(t.Location)
	for w, spec := range t.Windows {
		window := spec.At(end)
		about := &scope{team: t.Codename, window: window.Name, first: w == 0 && !t.WindowedOnly, unit: t.DurationUnit.Seconds(), impersonal: t.HideOperatorNames}
		answers := make([]answer, len(t.Collectors))
		s.scopes, s.answers = append(s.scopes, about), append(s.answers, answers)
		for i, e := range t.Collectors {
			running.Go(func() { answers[i] = c.ask(t, e, about, window) })
		}
	}
	return s
}

// groups returns what the team's endpoints answered, and what became of the
// requests.
func (s *teamScrape) groups() (all Answers) {
	up := true
	for w, about := range s.scopes {
		answers := s.answers[w]
		// Where an answer is shared with an earlier scrape, the samples cover its
		// window.
		read := slices.IndexFunc(answers, func(a answer) bool { return a.err == nil })
		covered := answers[max(read, 0)].window
		for _, a := range answers {
			all = append(append(all, a.groups...), &group[outcome]{table: outcomeTable, scope: about, items: []outcome{a.outcome}})
			up = up && a.err == nil
		}
		all = append(all, &group[chattonic.Window]{table: windowTable, scope: about, items: []chattonic.Window{covered}})
	}
	return append(all, &group[state]{table: stateTable, scope: s.scopes[0], items: []state{{up, s.team.QueriesPendingThreshold, s.team.withinBusinessHours(s.start)}}})
}

// ask asks one endpoint for one window.
func (c *Collector) ask(t *Team, e chattonic.Endpoint, s *scope, window chattonic.Window) answer {
	start := time.Now()
	a, err := t.API.Read(c.ctx, e, window)
	result := answer{outcome: outcome{collector: chattonic.Text(e), err: err, duration: time.Since(start), window: window}}
	key := sourceKey{e, window.Name}
	if err != nil {
		level.Error(c.logger).Log("msg", "API request failed", "team", t.Codename, "collector", e, "window", window.Name, "err", err)
		result.lastSuccess = t.lastSucceeded(key)
		return result
	}
	if warning := endpoints[e].warning(a); warning != "" && t.firstWarning(e) {
		level.Warn(c.logger).Log("msg", warning, "team", t.Codename, "window", window.Name)
	}
	result.groups = endpoints[e].groups(a, s)
	if s.first {
		result.groups = append(result.groups, &group[contract]{table: contractTable, scope: s, items: []contract{c.contract(t, e, a)}})
	}
	result.window, result.lastSuccess = a.Meta().Window, t.succeeded(key, a.Meta().ReceivedAt)
	return result
}

// withinBusinessHours returns 1 where a moment is within the team's business
// hours, 0 where it is not, and nothing where it has none.
func (t *Team) withinBusinessHours(moment time.Time) (n chattonic.Number) {
	switch {
	case t.WithinBusinessHours == nil:
		return n
	case t.WithinBusinessHours(moment):
		return chattonic.NumberOf(1)
	default:
		return chattonic.NumberOf(0)
	}
}

// succeeded records when an endpoint answered, and returns that.
func (t *Team) succeeded(key sourceKey, at time.Time) chattonic.Timestamp {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastSuccess[key] = chattonic.TimestampOf(at)
	return t.lastSuccess[key]
}

// lastSucceeded returns when an endpoint last answered, if it ever has.
func (t *Team) lastSucceeded(key sourceKey) chattonic.Timestamp {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lastSuccess[key]
}

// firstWarning says whether an endpoint's warning has not been logged yet. It is
// true once.
func (t *Team) firstWarning(e chattonic.Endpoint) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := !t.rowsWarned[e]
	t.rowsWarned[e] = true
	return first
}
