// Package collector turns the answers of Chat-Tonic's stats API into metrics.
//
// What the metrics are stands in tables: a row is a metric, and its samples,
// HELP and documentation follow from it. [Collector] asks for everything whole
// before it sends the first sample of it, so that a source that fails leaves
// nothing behind but the news of its failure.
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

// API is what a team is asked through, such as a *chattonic.Client.
type API interface {
	Operators(ctx context.Context, window chattonic.Window) (*chattonic.Operators, error)
	Dashboard(ctx context.Context, window chattonic.Window) (*chattonic.Dashboard, error)
}

// Settings say how a team is asked and what its answers mean.
type Settings struct {
	// Codename is the label team.
	Codename string
	// API is what the team is asked through.
	API API
	// Collectors name the endpoints to ask, "operators" or "dashboard".
	Collectors []string
	// Windows are the windows to ask for. What has no label window comes from
	// the first.
	Windows []chattonic.WindowSpec
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
	// BusinessHours are the team's; nil where it has none.
	BusinessHours *BusinessHours
}

// Team is a team to collect from. It outlives the Collectors of single scrapes,
// and remembers what lasts from one to the next.
type Team struct {
	Settings

	mu          sync.Mutex
	lastSuccess map[sourceKey]chattonic.Timestamp
	warned      bool
	told        map[string]string // what was wrong with an endpoint's answer
}

type sourceKey struct{ collector, window string }

// NewTeam returns a Team that has not been scraped yet.
func NewTeam(s Settings) *Team {
	return &Team{Settings: s, lastSuccess: make(map[sourceKey]chattonic.Timestamp), told: make(map[string]string)}
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

// Collect asks, and sends all samples.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	for _, p := range c.Ask() {
		p.collect(ch)
	}
}

// Answers are what the teams of a scrape had to say, and what became of asking
// them.
type Answers []interface {
	collect(ch chan<- prometheus.Metric)
}

// Ask asks every team's endpoints for all windows at the same time. It returns
// when the last has answered or failed, which is soon after the end of the
// Collector's context at the latest.
func (c *Collector) Ask() Answers {
	each := make([]Answers, len(c.teams))
	atOnce(len(c.teams), func(i int) { each[i] = c.team(c.teams[i]) })
	return slices.Concat(each...)
}

// atOnce does something n times at the same time: the last time in the caller's
// own goroutine, which would only wait for the others.
func atOnce(n int, do func(i int)) {
	var others sync.WaitGroup
	for i := range n {
		if i == n-1 {
			do(i)
			break
		}
		others.Go(func() { do(i) })
	}
	others.Wait()
}

// answer is what one source had for one window.
type answer struct {
	outcome
	parts Answers
}

func (c *Collector) team(t *Team) (all Answers) {
	present := c.now()
	now := present.Add(-t.Delay).In(t.Location)
	answers := make([][]answer, len(t.Windows))
	scopes := make([]*scope, len(t.Windows))
	asked := make([]chattonic.Window, len(t.Windows))
	for w, spec := range t.Windows {
		window := spec.At(now)
		scopes[w] = &scope{team: t.Codename, window: window.Name, first: w == 0 && !t.WindowedOnly, unit: t.DurationUnit.Seconds(), impersonal: t.HideOperatorNames}
		answers[w] = make([]answer, len(t.Collectors))
		asked[w] = window
	}
	atOnce(len(t.Windows)*len(t.Collectors), func(i int) {
		w, k := i/len(t.Collectors), i%len(t.Collectors)
		answers[w][k] = c.ask(t, t.Collectors[k], scopes[w], asked[w])
	})

	up := true
	for w, s := range scopes {
		// Where an answer is shared with an earlier scrape, its window is what
		// the samples are about.
		read := slices.IndexFunc(answers[w], func(a answer) bool { return a.err == nil })
		about := answers[w][max(read, 0)].asked
		for i := range answers[w] {
			a := &answers[w][i]
			all = append(append(all, a.parts...), &part[outcome]{table: outcomeTable, scope: s, items: []outcome{a.outcome}})
			up = up && a.err == nil
		}
		all = append(all, &part[chattonic.Window]{table: windowTable, scope: s, items: []chattonic.Window{about}})
	}
	return append(all, &part[state]{table: stateTable, scope: scopes[0], items: []state{{up, t.QueriesPendingThreshold, t.within(present)}}})
}

// reading is an answer that was read: its parts, and what and when it was.
type reading struct {
	parts Answers
	asked chattonic.Window
	at    time.Time
}

// sources are the endpoints that can be asked, by the label collector.
var sources = map[string]func(*Collector, *Team, *scope, chattonic.Window) (reading, error){
	"operators": func(c *Collector, t *Team, s *scope, window chattonic.Window) (reading, error) {
		a, err := t.API.Operators(c.ctx, window)
		if err != nil {
			return reading{}, err
		}
		parts := Answers{
			&part[chattonic.Operator]{table: operatorTable, scope: s, items: Unique(a.Operators)},
			&part[chattonic.Operators]{table: teamTable, scope: s, items: []chattonic.Operators{*a}},
		}
		if s.first {
			parts = append(parts, c.contract(t, s, contract{chattonic.Text(chattonic.EndpointOperators), a.Contract, a.Implausible(t.DurationUnit)}))
		}
		return reading{parts, a.Window, a.ReceivedAt}, nil
	},
	"dashboard": func(c *Collector, t *Team, s *scope, window chattonic.Window) (reading, error) {
		a, err := t.API.Dashboard(c.ctx, window)
		if err != nil {
			return reading{}, err
		}
		if len(a.Rows) > 1 && t.firstWarning() {
			level.Warn(c.logger).Log("msg", `the dashboard answers with several rows: active users and scores cannot be combined and are left out; to have one row, set date_format_group to a constant such as "0"`,
				"team", t.Codename, "window", window.Name, "rows", len(a.Rows))
		}
		parts := Answers{
			&part[chattonic.DashboardRow]{table: dashboardTable, scope: s, items: latestFirst(a.Rows), combined: true},
			&part[chattonic.Dashboard]{table: dashboardAnswerTable, scope: s, items: []chattonic.Dashboard{*a}},
		}
		if s.first {
			parts = append(parts, c.contract(t, s, contract{chattonic.Text(chattonic.EndpointDashboard), a.Contract, a.Implausible()}))
		}
		return reading{parts, a.Window, a.ReceivedAt}, nil
	},
}

// ask asks one endpoint for one window.
func (c *Collector) ask(t *Team, name string, s *scope, window chattonic.Window) answer {
	start := time.Now()
	r, err := sources[name](c, t, s, window)
	if err != nil {
		r.asked = window
		level.Error(c.logger).Log("msg", "an endpoint was not read", "team", t.Codename, "collector", name, "window", window.Name, "err", err)
	}
	return answer{
		outcome: outcome{
			collector: chattonic.Text(name), err: err, duration: time.Since(start), asked: r.asked,
			lastSuccess: t.succeeded(sourceKey{name, window.Name}, r.at, err),
		},
		parts: r.parts,
	}
}

// succeeded notes when a source answered, and returns when it last did.
func (t *Team) succeeded(key sourceKey, at time.Time, err error) chattonic.Timestamp {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.lastSuccess[key] = chattonic.TimestampOf(at)
	}
	return t.lastSuccess[key]
}

// firstWarning says whether the team's warning has still to be logged, which is
// true once.
func (t *Team) firstWarning() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := !t.warned
	t.warned = true
	return first
}
