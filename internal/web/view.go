package web

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/teams"
)

// aging is data that a page shows until it is old. A script in the page applies the same
// limits while the page is open.
type aging struct {
	// Received is when the data was received; zero means that there is none.
	Received time.Time
	// Old and VeryOld are the ages from which the data is not current.
	Old, VeryOld time.Duration
	// Fresh is the state that the page shows while the data is neither, and Shown the
	// one of now.
	Fresh, Shown state
}

// Attributes returns the attributes from which the script knows when the data is old.
func (a aging) Attributes() template.HTMLAttr {
	text := fmt.Sprintf("data-fresh=%q data-shown=%q", a.Fresh, a.Shown)
	if !a.Received.IsZero() {
		text += fmt.Sprintf(` data-received="%d" data-old="%d" data-very-old="%d"`, a.Received.UnixMilli(), a.Old.Milliseconds(), a.VeryOld.Milliseconds())
	}
	return template.HTMLAttr(text) //nolint:gosec // It consists of numbers and constants.
}

// newAging returns data whose state is fresh unless its age says otherwise.
func newAging(received time.Time, ttl, interval time.Duration, fresh state, now time.Time) aging {
	a := aging{Received: received, Fresh: fresh, Shown: fresh}
	a.Old, a.VeryOld = ages(ttl, interval)
	if fresh == unknown || fresh == notCollected {
		return a
	}
	switch age := now.Sub(received); {
	case age >= a.VeryOld:
		a.Shown = unknown
	case age >= a.Old:
		a.Shown = old
	}
	return a
}

// queue is what the pages show of a team's queue.
type queue struct {
	aging
	t       translator
	status  teams.Status
	history teams.Snapshot
	now     time.Time // in the team's time zone
	// Codename and Name name the team. Path is the codename as an element of a URL's path.
	Codename, Name, Path string
	// Waiting, AtWork and InProgress come from the last answer.
	Waiting, AtWork, InProgress tableCell
	// Limit is the number of waiting queries that is not too many.
	Limit float64
	// Failures holds the failing calls, grouped by reason.
	Failures []failureGroup
	waiting  float64
}

// newQueue returns what the pages show of a team's queue.
func newQueue(t translator, status teams.Status, now time.Time) *queue {
	q := &queue{
		t: t, status: status, history: status.History.Snapshot(), now: now.In(status.Team.Location),
		Codename: status.Team.Codename, Name: cmp.Or(status.DisplayName, status.Team.Codename), Path: url.PathEscape(status.Team.Codename), Limit: defaultLimit,
		Waiting: noCell, AtWork: noCell, InProgress: noCell,
	}
	if limit, set := status.Team.QueriesPendingThreshold.Float64(); set {
		q.Limit = limit
	}
	q.Failures = groupFailures(status.Team, q.history.Failing)
	answer := q.operators(q.firstWindow())
	fresh := unknown
	switch {
	case !slices.Contains(status.Team.Collectors, chattonic.EndpointOperators):
		fresh = notCollected
	case answer == nil:
	default:
		fresh = q.setNumbers(answer)
	}
	if q.failing(chattonic.EndpointOperators, q.firstWindow()) {
		fresh = unknown
	}
	q.aging = newAging(received(answer), status.TTL[chattonic.EndpointOperators], q.history.ScrapeInterval, fresh, now)
	return q
}

func (q *queue) firstWindow() string { return q.status.Team.Windows[0].Name() }

// operators returns the last answer of the operators endpoint for a window, or nil.
func (q *queue) operators(window string) *chattonic.Operators { return q.history.Operators[window] }

func received(answer *chattonic.Operators) (at time.Time) {
	if answer != nil {
		at = answer.ReceivedAt
	}
	return at
}

// failing reports whether the last call of an endpoint for a window failed.
func (q *queue) failing(e chattonic.Endpoint, window string) bool {
	return slices.ContainsFunc(q.history.Failing, func(c teams.Call) bool { return c.Endpoint == e && c.Window.Name == window })
}

// setNumbers sets the numbers from an answer. It returns the state of the queue.
func (q *queue) setNumbers(answer *chattonic.Operators) state {
	q.Waiting = q.t.numberCell(answer.QueryPending)
	if len(q.history.Trend) > 0 {
		last := q.history.Trend[len(q.history.Trend)-1]
		q.AtWork, q.InProgress = q.t.countCell(last.AtWork), q.t.numberCell(last.InProgress)
	}
	waiting, present := answer.QueryPending.Float64()
	q.waiting = waiting
	switch {
	case !present:
		return unknown
	case q.status.Hours != nil && !q.status.Hours.Within(q.now):
		return closed
	default:
		return queueState(q.history.Trend, q.Limit)
	}
}

// Word returns what is to be said about a queue in the given state.
func (q *queue) Word(s state) string {
	switch s {
	case unattended:
		return q.t.T("state.unattended")
	case aboveLimit:
		if q.waiting > q.Limit {
			return q.t.T("state.above", q.t.Number(q.waiting-q.Limit))
		}
		return q.t.T("state.ending")
	case unknown:
		return q.unknownWord()
	case old:
		return q.t.T("state.old", q.t.Age(q.now.Sub(q.Received)))
	case near:
		if last := q.history.Trend[len(q.history.Trend)-1]; q.waiting > 0 && last.AtWork == 0 {
			return q.t.T("state.unattended.new")
		}
		if q.waiting > q.Limit {
			return q.t.T("state.above.new")
		}
		return q.t.T("state.near")
	case notCollected:
		return q.t.T("state.off")
	case closed:
		if opens, changes := q.status.Hours.NextChange(q.now); changes {
			return q.t.T("state.opens", q.t.Clock(opens, q.now))
		}
		return q.t.T("state.closed")
	default:
		return q.t.T("state.well")
	}
}

// FreshWord returns what is to be said while the data is current.
func (q *queue) FreshWord() string { return q.Word(q.Fresh) }

// shortQueue is a queue whose words have no numbers, for the tiles of a wall.
type shortQueue struct{ *queue }

// Short returns the queue with words that have room on a tile.
func (q *queue) Short() shortQueue { return shortQueue{q} }

// FreshWord returns what is to be said while the data is current.
func (q shortQueue) FreshWord() string {
	if q.Fresh == aboveLimit && q.waiting > q.Limit {
		return q.t.T("state.above.short")
	}
	return q.queue.FreshWord()
}

// OldWord returns what is to be said when the data is old. The script updates the age in it.
func (q *queue) OldWord() template.HTML {
	age := `<span class="age">` + q.t.Age(q.now.Sub(q.Received)) + `</span>`
	return template.HTML(fmt.Sprintf(template.HTMLEscapeString(q.t.T("state.old")), age)) //nolint:gosec // Both are texts of the catalogue.
}

// UnknownWord returns what is to be said when the data is very old.
func (q *queue) UnknownWord() string { return q.Word(unknown) }

// Updated returns the age of the data as text.
func (q *queue) Updated() string { return q.t.T("script.ago", q.t.Age(q.now.Sub(q.Received))) }

// LimitText returns the limit of waiting queries as text.
func (q *queue) LimitText() string { return q.t.T("limit", q.t.Number(q.Limit)) }

// unknownWord says why nothing is known about a queue.
func (q *queue) unknownWord() string {
	switch {
	case !q.Received.IsZero() && !q.hasWaiting():
		return q.t.T("state.omitted")
	case !q.Received.IsZero():
		return q.t.T("state.unknown", q.t.Clock(q.Received, q.now))
	case len(q.history.Failing) > 0:
		return q.t.T("state.failing")
	case len(q.history.Calls) > 0:
		return q.t.T("state.first")
	default:
		return q.t.T("state.unscraped")
	}
}

func (q *queue) hasWaiting() bool {
	answer := q.operators(q.firstWindow())
	if answer == nil {
		return false
	}
	_, present := answer.QueryPending.Float64()
	return present
}

// Unscraped reports whether there was no call yet.
func (q *queue) Unscraped() bool { return len(q.history.Calls) == 0 && len(q.history.Failing) == 0 }

// News returns a sentence about the team, such as "Support: 51 waiting, nobody at work".
func (q *queue) News() string {
	switch q.Shown {
	case unknown, old, notCollected:
		return q.t.T("news.unknown", q.Name, q.Word(q.Shown))
	default:
		return q.t.T("news.waiting", q.Name, q.Waiting.Text, q.Word(q.Shown))
	}
}

// TabTitle returns the news about the team for a tab's title, such as "51 · Support".
func (q *queue) TabTitle() string {
	if q.Shown == unknown || q.Shown == old {
		return q.Shown.Sign() + " · " + q.Name
	}
	return q.Waiting.Text + " · " + q.Name
}

// byUrgency compares queues by their state, then by how far they are above their limit.
func byUrgency(a, b *queue) int {
	return cmp.Or(cmp.Compare(a.Shown, b.Shown), cmp.Compare(b.waiting-b.Limit, a.waiting-a.Limit))
}

// failureGroup holds the reason of failing calls, and their endpoints and windows as text.
type failureGroup struct {
	Reason, Calls string
	lastEndpoint  chattonic.Endpoint // of Calls
}

// groupFailures groups failing calls by reason. It sorts them by the team's collectors and
// windows, so that the text does not change while the failures stay the same.
func groupFailures(t *collector.Team, calls []teams.Call) (groups []failureGroup) {
	position := func(c teams.Call) int {
		window := slices.IndexFunc(t.Windows, func(w collector.WindowSpec) bool { return w.Name() == c.Window.Name })
		return slices.Index(t.Collectors, c.Endpoint)*len(t.Windows) + window
	}
	calls = slices.SortedFunc(slices.Values(calls), func(a, b teams.Call) int { return cmp.Compare(position(a), position(b)) })
	for _, c := range calls {
		text := reason(c.Err)
		i := slices.IndexFunc(groups, func(g failureGroup) bool { return g.Reason == text })
		if i < 0 {
			i, groups = len(groups), append(groups, failureGroup{Reason: text})
		}
		g := &groups[i]
		switch {
		case g.Calls == "":
			g.Calls = string(c.Endpoint) + " " + c.Window.Name
		case g.lastEndpoint == c.Endpoint:
			g.Calls += ", " + c.Window.Name
		default:
			g.Calls += "; " + string(c.Endpoint) + " " + c.Window.Name
		}
		g.lastEndpoint = c.Endpoint
	}
	return groups
}

// pageWindow returns the name of the window whose numbers a page shows: the wanted one if it
// is configured, else today, else the first.
func pageWindow(t *collector.Team, wanted string) string {
	for _, name := range []string{wanted, "today"} {
		if slices.ContainsFunc(t.Windows, func(w collector.WindowSpec) bool { return w.Name() == name }) {
			return name
		}
	}
	return t.Windows[0].Name()
}

// stateCount is the number of operators in a state.
type stateCount struct {
	Name   string
	Count  int
	AtWork bool
}

// countStates counts the operators by state, those at work first.
func countStates(t *collector.Team, operators []chattonic.Operator, omitted string) (counts []stateCount) {
	for i := range operators {
		name := cmp.Or(operators[i].Status.String(), omitted)
		k := slices.IndexFunc(counts, func(c stateCount) bool { return c.Name == name })
		if k < 0 {
			k, counts = len(counts), append(counts, stateCount{Name: name, AtWork: collector.IsAtWork(t.AtWork, operators[i].Status.String())})
		}
		counts[k].Count++
	}
	slices.SortFunc(counts, func(a, b stateCount) int {
		switch {
		case a.AtWork != b.AtWork && a.AtWork:
			return -1
		case a.AtWork != b.AtWork:
			return 1
		default:
			return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name))
		}
	})
	return counts
}

// figure is a number of a window with its name.
type figure struct {
	Name string
	tableCell
	// Note qualifies the number.
	Note string
	// Weak means that few responses are behind the number.
	Weak bool
}

// figures are numbers from one answer.
type figures struct {
	aging
	// As is when the answer was received, as text.
	As   string
	List []figure
}

// newFigures returns the numbers of a window from one endpoint, and reports whether there was
// an answer.
func (q *queue) newFigures(e chattonic.Endpoint, window string, receivedAt time.Time, list []figure) figures {
	fresh := well
	if q.failing(e, window) || receivedAt.IsZero() {
		fresh = unknown
	}
	f := figures{aging: newAging(receivedAt, q.status.TTL[e], q.history.ScrapeInterval, fresh, q.now), List: list}
	if !receivedAt.IsZero() {
		f.As = q.t.Clock(receivedAt, q.now)
	}
	return f
}

const (
	// fewResponses is the number of responses below which a net promoter score is weak, and
	// tooFewResponses the one below which it is not shown.
	fewResponses, tooFewResponses = 30, 10
)

// operatorFigures returns the numbers of all operators in a window.
func (q *queue) operatorFigures(window string) figures {
	answer := q.operators(window)
	if answer == nil {
		return q.newFigures(chattonic.EndpointOperators, window, time.Time{}, nil)
	}
	var assigned, resolved, duration total
	var score npsTotal
	for _, o := range collector.Unique(answer.Operators) {
		assigned.add(o.QueriesAssigned)
		resolved.add(o.QueriesResolved)
		duration.add(o.SumDuration)
		score.add(o.NPS, o.NumberOfResponsesNPS)
	}
	var mean chattonic.Number
	if resolved.sum > 0 && duration.present {
		mean = chattonic.NumberOf(duration.sum / resolved.sum)
	}
	list := []figure{
		{Name: q.t.T("assigned"), tableCell: q.t.numberCell(assigned.number())},
		{Name: q.t.T("resolved"), tableCell: q.t.numberCell(resolved.number())},
		{Name: q.t.T("handling"), tableCell: q.t.durationCell(mean, q.status.Team.DurationUnit)},
		q.npsFigure(score),
	}
	return q.newFigures(chattonic.EndpointOperators, window, answer.ReceivedAt, list)
}

// resolved returns the number of queries that the operators resolved in a window.
func (q *queue) resolved(window string) tableCell {
	answer := q.operators(window)
	if answer == nil {
		return noCell
	}
	var resolved total
	for _, o := range collector.Unique(answer.Operators) {
		resolved.add(o.QueriesResolved)
	}
	return q.t.numberCell(resolved.number())
}

// total is the sum of the numbers that are present.
type total struct {
	sum     float64
	present bool
}

func (t *total) add(n chattonic.Number) {
	v, present := n.Float64()
	t.sum, t.present = t.sum+v, t.present || present
}

func (t *total) number() (n chattonic.Number) {
	if t.present {
		n = chattonic.NumberOf(t.sum)
	}
	return n
}

// npsTotal is the net promoter score of several operators, weighted by their responses. The
// recording rules compute it in the same way.
type npsTotal struct {
	weighted, responses float64
	otherScale          bool // a score is above 100 or below -100
}

func (n *npsTotal) add(score, responses chattonic.Number) {
	s, present := score.Float64()
	count, counted := responses.Float64()
	if !present || !counted {
		return
	}
	n.weighted, n.responses, n.otherScale = n.weighted+s*count, n.responses+count, n.otherScale || math.Abs(s) > 100
}

// npsFigure returns a net promoter score with its 95 % margin of error.
func (q *queue) npsFigure(n npsTotal) figure {
	f := figure{Name: q.t.T("nps"), tableCell: noCell, Note: q.t.Count("responses", int(n.responses)), Weak: n.responses < fewResponses}
	if n.responses < tooFewResponses {
		return f
	}
	score := n.weighted / n.responses
	f.tableCell = q.t.cell(score)
	f.Text = q.t.Number(math.Round(score))
	if share := score / 100; !n.otherScale && math.Abs(share) < 1 {
		f.Text += " ± " + q.t.Number(math.Ceil(196*math.Sqrt((1-share*share)/n.responses)))
	}
	return f
}

// dashboardTexts holds the numbers of the dashboard that a page shows: the key of their name
// in the catalogues, and their metric without the prefix chattonic_dashboard_.
var dashboardTexts = []struct{ text, metric string }{
	{"csat", "csat"},
	{"messages.received", "messages_received"},
	{"messages.sent", "messages_sent"},
	{"users.active", "active_users"},
	{"users.new", "new_users"},
	{"queries.pending", "queries/pending"},
	{"queries.progress", "queries/in_progress"},
	{"queries.resolved", "queries/resolved"},
	{"queries.failed", "queries/failed"},
}

// dashboardFigures returns the numbers of the dashboard in a window.
func (q *queue) dashboardFigures(window string) figures {
	answer := q.history.Dashboard[window]
	if answer == nil {
		return q.newFigures(chattonic.EndpointDashboard, window, time.Time{}, nil)
	}
	numbers := collector.DashboardNumbers(answer)
	var list []figure
	for _, f := range dashboardTexts {
		if v, present := numbers["chattonic_dashboard_"+f.metric]; present {
			list = append(list, figure{Name: q.t.T(f.text), tableCell: q.t.cell(v)})
		}
	}
	return q.newFigures(chattonic.EndpointDashboard, window, answer.ReceivedAt, list)
}
