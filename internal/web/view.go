package web

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/teams"
)

// noValue is the text of a cell without a value.
const noValue = "–"

// tableCell is a cell of a table: its text, and the value to sort by if it differs from the
// text.
type tableCell struct{ Text, Sort string }

// The states of a team.
const (
	answering = "answering" // the last call of each endpoint and window succeeded
	failing   = "failing"   // at least one of them failed
	waiting   = "waiting"   // no call has ended yet
	unscraped = "unscraped" // there was no call yet
)

// summary is the summary of a team, row on both pages.
type summary struct {
	Codename string
	// Path is the codename as an element of a URL's path.
	Path string
	// State is one of the constants above.
	State string
	// Pending, Online, Away and InProgress come from the last successful answer.
	Pending, Online, Away, InProgress tableCell
	// Above is the threshold if Pending exceeds it, or empty.
	Above string
	// Age is the age of that answer. Old means that the last call failed.
	Age tableCell
	Old bool
	// Failures holds the failing calls, grouped by reason.
	Failures []failureGroup
}

// overviewPage is the page of all teams.
type overviewPage struct {
	basePage
	Teams []summary
	// Count is the number of teams by state.
	Count map[string]int
}

// summarize returns the summary of a team.
func summarize(t *collector.Team, history teams.Snapshot, now time.Time) summary {
	s := summary{
		Codename: t.Codename, Path: url.PathEscape(t.Codename), State: answering,
		Pending: tableCell{Text: noValue}, Online: tableCell{Text: noValue}, Away: tableCell{Text: noValue}, InProgress: tableCell{Text: noValue},
		Age: tableCell{Text: noValue},
	}
	switch {
	case len(history.Failing) > 0:
		s.State, s.Failures = failing, groupFailures(t, history.Failing)
	case len(history.Calls) == 0:
		s.State = unscraped
	case !slices.ContainsFunc(history.Calls, func(c teams.Call) bool { return !c.InFlight }):
		s.State = waiting
	}
	operators := lastOperators(history)
	switch {
	case !slices.Contains(t.Collectors, chattonic.EndpointOperators):
		s.Age.Text = "operators are not collected"
	case operators != nil:
		s.setNumbers(operators, t.QueriesPendingThreshold)
		age := now.Sub(operators.ReceivedAt)
		s.Age = tableCell{ago(age), strconv.FormatInt(age.Milliseconds(), 10)}
		s.Old = slices.ContainsFunc(history.Failing, func(c teams.Call) bool {
			return c.Endpoint == chattonic.EndpointOperators && c.Window.Name == operators.Window.Name
		})
	}
	return s
}

// lastOperators returns the last answer of the operators endpoint, or nil.
func lastOperators(history teams.Snapshot) *chattonic.Operators {
	operators, _ := history.Answers[chattonic.EndpointOperators].(*chattonic.Operators)
	return operators
}

// setNumbers sets the numbers of a summary from an answer.
func (s *summary) setNumbers(answer *chattonic.Operators, threshold chattonic.Number) {
	online, away, inProgress, hasInProgress := 0, 0, 0.0, false
	operators := collector.Unique(answer.Operators)
	for i := range operators {
		switch operators[i].Status {
		case "online":
			online++
		case "away":
			away++
		}
		n, present := operators[i].QueryInProgress.Float64()
		inProgress += n
		hasInProgress = hasInProgress || present
	}
	s.Online.Text, s.Away.Text = strconv.Itoa(online), strconv.Itoa(away)
	s.Pending = numberCell(answer.QueryPending)
	if hasInProgress {
		s.InProgress = numberCell(chattonic.NumberOf(inProgress))
	}
	pending, _ := answer.QueryPending.Float64()
	if limit, set := threshold.Float64(); set && pending > limit {
		s.Above = threshold.String()
	}
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
		switch {
		case i < 0:
			groups = append(groups, failureGroup{text, fmt.Sprintf("%s %s", c.Endpoint, c.Window.Name), c.Endpoint})
		case groups[i].lastEndpoint != c.Endpoint:
			groups[i].Calls += fmt.Sprintf("; %s %s", c.Endpoint, c.Window.Name)
			groups[i].lastEndpoint = c.Endpoint
		default:
			groups[i].Calls += ", " + c.Window.Name
		}
	}
	return groups
}

// reason returns the text of an error without the endpoint, which the pages show separately.
// Errors of the client contain no text from answers and no token.
func reason(err error) string {
	if e := new(chattonic.Error); errors.As(err, e) {
		return e.Detail
	}
	return err.Error()
}

// numberCell shows a number, rounded to two decimal places.
func numberCell(n chattonic.Number) tableCell {
	value, present := n.Float64()
	if !present {
		return tableCell{Text: noValue}
	}
	exact := n.String()
	rounded := strconv.FormatFloat(math.Round(value*100)/100, 'f', -1, 64)
	if math.Abs(value) >= 1e15 {
		rounded = strconv.FormatFloat(value, 'g', 4, 64)
	}
	if rounded == exact {
		return tableCell{Text: exact}
	}
	return tableCell{rounded, strconv.FormatFloat(value, 'g', -1, 64)}
}

// ago returns a text such as "5 min ago".
func ago(age time.Duration) string {
	switch seconds := max(0, int64(age/time.Second)); {
	case seconds < 60:
		return fmt.Sprintf("%d s ago", seconds)
	case seconds < 3600:
		return fmt.Sprintf("%d min ago", seconds/60)
	case seconds < 2*86400:
		return fmt.Sprintf("%d h %d min ago", seconds/3600, seconds/60%60)
	default:
		return fmt.Sprintf("%d days ago", seconds/86400)
	}
}

// durationCell shows a number of units as hours, minutes and seconds.
func durationCell(n chattonic.Number, unit time.Duration) tableCell {
	value, present := n.Float64()
	seconds := math.Round(value * unit.Seconds())
	if !present || seconds < 0 || seconds > 1e9 {
		return numberCell(n) // not a plausible duration
	}
	whole := int64(seconds)
	return tableCell{fmt.Sprintf("%d:%02d:%02d", whole/3600, whole/60%60, whole%60), strconv.FormatInt(whole, 10)}
}

// timeCell shows a time of an answer in the time zone.
func timeCell(t chattonic.Timestamp, zone *time.Location) tableCell {
	seconds, present := t.Float64()
	if !present || math.Abs(seconds) > 1e11 { // the year has more than four digits
		return tableCell{Text: noValue}
	}
	return tableCell{time.UnixMilli(int64(seconds * 1e3)).In(zone).Format(timeFormat), strconv.FormatFloat(seconds, 'f', 3, 64)}
}

// column is a column of the table of operators.
type column struct {
	Name   string
	Number bool
	cell   func(o *chattonic.Operator, t *collector.Team) tableCell
}

// columns holds the columns of the table of operators, except the name and the id.
var columns = []column{
	{"Status", false, func(o *chattonic.Operator, _ *collector.Team) tableCell {
		return tableCell{Text: cmp.Or(o.Status.String(), "unknown")}
	}},
	{"In progress", true, func(o *chattonic.Operator, _ *collector.Team) tableCell { return numberCell(o.QueryInProgress) }},
	{"Assigned", true, func(o *chattonic.Operator, _ *collector.Team) tableCell { return numberCell(o.QueriesAssigned) }},
	{"Resolved", true, func(o *chattonic.Operator, _ *collector.Team) tableCell { return numberCell(o.QueriesResolved) }},
	{"Mean duration", true, func(o *chattonic.Operator, t *collector.Team) tableCell {
		return durationCell(o.AvgDurationResolved, t.DurationUnit)
	}},
	{"Online", true, func(o *chattonic.Operator, t *collector.Team) tableCell {
		return durationCell(o.OnlineTime, t.DurationUnit)
	}},
	{"Away", true, func(o *chattonic.Operator, t *collector.Team) tableCell {
		return durationCell(o.AwayTime, t.DurationUnit)
	}},
	{"Free", true, func(o *chattonic.Operator, t *collector.Team) tableCell {
		return durationCell(o.FreeTime, t.DurationUnit)
	}},
	{"NPS", true, func(o *chattonic.Operator, _ *collector.Team) tableCell { return numberCell(o.NPS) }},
	{"Responses", true, func(o *chattonic.Operator, _ *collector.Team) tableCell { return numberCell(o.NumberOfResponsesNPS) }},
	{"Last connection", true, func(o *chattonic.Operator, t *collector.Team) tableCell {
		return timeCell(o.LastConnection, t.Location)
	}},
}

// operatorRow is a row of the table of operators.
type operatorRow struct {
	ID    string
	Name  string // the id if there is no name or names are hidden
	Cells []tableCell
}

// callRow is a row of the table of calls.
type callRow struct {
	Key              string
	Time             time.Time
	Endpoint, Window string
	From, To         time.Time
	Duration         tableCell
	Outcome          string
	Failed           bool
}

// teamPage is the page of one team.
type teamPage struct {
	basePage
	summary
	Zone      string // time zone
	Window    string // of the operators' statistics
	Collected bool   // the operators endpoint is collected
	Names     bool   // names are row
	Columns   []column
	Operators []operatorRow
	Calls     []callRow
}

// newTeamPage returns the page of a team.
func newTeamPage(base basePage, status teams.Status) *teamPage {
	history := status.History.Snapshot()
	base.Now = base.Now.In(status.Team.Location)
	t := &teamPage{
		basePage: base, summary: summarize(status.Team, history, base.Now), Zone: status.Team.Location.String(), Window: status.Team.Windows[0].Name(),
		Collected: slices.Contains(status.Team.Collectors, chattonic.EndpointOperators), Names: !status.Team.HideOperatorNames, Columns: columns,
	}
	for _, c := range history.Calls {
		t.Calls = append(t.Calls, newCallRow(c, status.Team.Location))
	}
	last := lastOperators(history)
	if last == nil {
		return t
	}
	operators := collector.Unique(last.Operators)
	t.Operators = make([]operatorRow, len(operators))
	cells := make([]tableCell, 0, len(operators)*len(columns))
	for i := range operators {
		o := &operators[i]
		for _, c := range columns {
			cells = append(cells, c.cell(o, status.Team))
		}
		t.Operators[i] = operatorRow{ID: o.ID.String(), Name: o.ID.String(), Cells: cells[i*len(columns):]}
		if t.Names && strings.TrimSpace(o.DisplayName.String()) != "" {
			t.Operators[i].Name = o.DisplayName.String()
		}
	}
	return t
}

func newCallRow(c teams.Call, zone *time.Location) callRow {
	row := callRow{
		Key:  fmt.Sprint(c.Start.UnixNano(), c.Endpoint, c.Window.Name),
		Time: c.Start.In(zone), Endpoint: string(c.Endpoint), Window: c.Window.Name, From: c.Window.Start.In(zone), To: c.Window.End.In(zone),
		Duration: tableCell{fmt.Sprintf("%.3f s", c.Duration.Seconds()), strconv.FormatInt(c.Duration.Microseconds(), 10)},
		Outcome:  "answered", Failed: c.Err != nil,
	}
	switch {
	case c.InFlight && c.Err != nil:
		row.Outcome = "in flight; last error: " + reason(c.Err)
	case c.InFlight:
		row.Outcome = "in flight"
	case c.Err != nil:
		row.Outcome = reason(c.Err)
	}
	return row
}
