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

// none stands for what there is nothing of.
const none = "–"

// cell is what stands in a table: the text, and what to sort by where that is
// something else.
type tableCell struct{ Text, Sort string }

// How a team's calls go.
const (
	answering = "answering"
	failing   = "failing" // some of them
	waiting   = "waiting" // for the end of the first
	unasked   = "unasked"
)

// summary is what the pages say of a team in a line.
type summary struct {
	Codename string
	// Path is the codename as an element of a URL's path.
	Path string
	// State is one of those above.
	State string
	// Pending, Online, Away and InProgress are those of the last good answer.
	Pending, Online, Away, InProgress tableCell
	// Above is the threshold that Pending is above, or empty.
	Above string
	// Age is how old that answer is, and Old says that a call failed since.
	Age tableCell
	Old bool
	// Troubles are why calls fail.
	Troubles []trouble
}

// overview is the page of all teams.
type overviewPage struct {
	frame
	Teams []summary
	// Count is how many teams are in a state.
	Count map[string]int
}

// summarize says in a line what is remembered of a team.
func summarize(t *collector.Team, past teams.Snapshot, now time.Time) summary {
	s := summary{
		Codename: t.Codename, Path: url.PathEscape(t.Codename), State: answering,
		Pending: tableCell{Text: none}, Online: tableCell{Text: none}, Away: tableCell{Text: none}, InProgress: tableCell{Text: none},
		Age: tableCell{Text: none},
	}
	switch {
	case len(past.Failing) > 0:
		s.State, s.Troubles = failing, troublesOf(t, past.Failing)
	case len(past.Calls) == 0:
		s.State = unasked
	case !slices.ContainsFunc(past.Calls, func(c teams.Call) bool { return !c.InFlight }):
		s.State = waiting
	}
	operators := lastOperators(past)
	switch {
	case !slices.Contains(t.Collectors, chattonic.EndpointOperators):
		s.Age.Text = "operators are not collected"
	case operators != nil:
		s.count(operators, t.QueriesPendingThreshold)
		age := now.Sub(operators.ReceivedAt)
		s.Age = tableCell{ago(age), strconv.FormatInt(age.Milliseconds(), 10)}
		s.Old = slices.ContainsFunc(past.Failing, func(c teams.Call) bool {
			return c.Endpoint == chattonic.EndpointOperators && c.Window.Name == operators.Window.Name
		})
	}
	return s
}

// lastOperators returns the last answer with operators, or nil.
func lastOperators(past teams.Snapshot) *chattonic.Operators {
	operators, _ := past.Answers[chattonic.EndpointOperators].(*chattonic.Operators)
	return operators
}

// count takes the numbers of a summary from an answer.
func (s *summary) count(answer *chattonic.Operators, threshold chattonic.Number) {
	online, away, inProgress, counted := 0, 0, 0.0, false
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
		counted = counted || present
	}
	s.Online.Text, s.Away.Text = strconv.Itoa(online), strconv.Itoa(away)
	s.Pending = numberCell(answer.QueryPending)
	if counted {
		s.InProgress = numberCell(chattonic.NumberOf(inProgress))
	}
	pending, _ := answer.QueryPending.Float64()
	if limit, set := threshold.Float64(); set && pending > limit {
		s.Above = threshold.String()
	}
}

// trouble is why calls fail, and of which endpoints and windows they are.
type trouble struct {
	Reason, Sources string
	last            chattonic.Endpoint // of the sources
}

// troublesOf puts calls that fail for the same reason together, in the order of
// the team's collectors and windows: what stays the same is to look the same.
func troublesOf(t *collector.Team, calls []teams.Call) (all []trouble) {
	place := func(c teams.Call) int {
		window := slices.IndexFunc(t.Windows, func(w collector.WindowSpec) bool { return w.Name() == c.Window.Name })
		return slices.Index(t.Collectors, c.Endpoint)*len(t.Windows) + window
	}
	calls = slices.SortedFunc(slices.Values(calls), func(a, b teams.Call) int { return cmp.Compare(place(a), place(b)) })
	for _, c := range calls {
		why := reason(c.Err)
		i := slices.IndexFunc(all, func(t trouble) bool { return t.Reason == why })
		switch {
		case i < 0:
			all = append(all, trouble{why, fmt.Sprintf("%s %s", c.Endpoint, c.Window.Name), c.Endpoint})
		case all[i].last != c.Endpoint:
			all[i].Sources += fmt.Sprintf("; %s %s", c.Endpoint, c.Window.Name)
			all[i].last = c.Endpoint
		default:
			all[i].Sources += ", " + c.Window.Name
		}
	}
	return all
}

// reason is the text of an error without the endpoint, which stands beside it.
// That of the client's errors holds no part of an answer and no token.
func reason(err error) string {
	if e := new(chattonic.Error); errors.As(err, e) {
		return e.Detail
	}
	return err.Error()
}

// number shows a number as it came, without digits that nobody reads.
func numberCell(n chattonic.Number) tableCell {
	value, present := n.Float64()
	if !present {
		return tableCell{Text: none}
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

// ago says how long ago something was.
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

// clock shows a number of the unit as hours, minutes and seconds.
func clockCell(n chattonic.Number, unit time.Duration) tableCell {
	value, present := n.Float64()
	seconds := math.Round(value * unit.Seconds())
	if !present || seconds < 0 || seconds > 1e9 {
		return numberCell(n) // which is no duration that anybody works
	}
	whole := int64(seconds)
	return tableCell{fmt.Sprintf("%d:%02d:%02d", whole/3600, whole/60%60, whole%60), strconv.FormatInt(whole, 10)}
}

// moment shows a time of an answer.
func timeCell(t chattonic.Timestamp, zone *time.Location) tableCell {
	seconds, present := t.Float64()
	if !present || math.Abs(seconds) > 1e11 { // which is further than years of four digits
		return tableCell{Text: none}
	}
	return tableCell{time.UnixMilli(int64(seconds * 1e3)).In(zone).Format(timeForm), strconv.FormatFloat(seconds, 'f', 3, 64)}
}

// column is one of the table of operators.
type column struct {
	Name   string
	Number bool
	cell   func(o *chattonic.Operator, t *collector.Team) tableCell
}

// columns are those of the table of operators, but for who they are.
var columns = []column{
	{"Status", false, func(o *chattonic.Operator, _ *collector.Team) tableCell {
		return tableCell{Text: cmp.Or(o.Status.String(), "unknown")}
	}},
	{"In progress", true, func(o *chattonic.Operator, _ *collector.Team) tableCell { return numberCell(o.QueryInProgress) }},
	{"Assigned", true, func(o *chattonic.Operator, _ *collector.Team) tableCell { return numberCell(o.QueriesAssigned) }},
	{"Resolved", true, func(o *chattonic.Operator, _ *collector.Team) tableCell { return numberCell(o.QueriesResolved) }},
	{"Mean duration", true, func(o *chattonic.Operator, t *collector.Team) tableCell {
		return clockCell(o.AvgDurationResolved, t.DurationUnit)
	}},
	{"Online", true, func(o *chattonic.Operator, t *collector.Team) tableCell {
		return clockCell(o.OnlineTime, t.DurationUnit)
	}},
	{"Away", true, func(o *chattonic.Operator, t *collector.Team) tableCell { return clockCell(o.AwayTime, t.DurationUnit) }},
	{"Free", true, func(o *chattonic.Operator, t *collector.Team) tableCell { return clockCell(o.FreeTime, t.DurationUnit) }},
	{"NPS", true, func(o *chattonic.Operator, _ *collector.Team) tableCell { return numberCell(o.NPS) }},
	{"Responses", true, func(o *chattonic.Operator, _ *collector.Team) tableCell { return numberCell(o.NumberOfResponsesNPS) }},
	{"Last connection", true, func(o *chattonic.Operator, t *collector.Team) tableCell {
		return timeCell(o.LastConnection, t.Location)
	}},
}

// operator is a row of the table of operators.
type operatorRow struct {
	ID    string
	Name  string // the id, where there is no other or it is not to be shown
	Cells []tableCell
}

// call is a row of the table of calls.
type callRow struct {
	Key              string
	Time             time.Time
	Endpoint, Window string
	From, To         time.Time
	Duration         tableCell
	Outcome          string
	Failed           bool
}

// team is the page of one team.
type teamPage struct {
	frame
	summary
	Zone      string
	Window    string
	Collected bool // operators are
	Names     bool
	Columns   []column
	Operators []operatorRow
	Calls     []callRow
}

// newTeam returns the page of what is remembered of a team.
func newTeamPage(f frame, r teams.Status) *teamPage {
	past := r.History.Snapshot()
	f.At = f.At.In(r.Team.Location)
	t := &teamPage{
		frame: f, summary: summarize(r.Team, past, f.At), Zone: r.Team.Location.String(), Window: r.Team.Windows[0].Name(),
		Collected: slices.Contains(r.Team.Collectors, chattonic.EndpointOperators), Names: !r.Team.HideOperatorNames, Columns: columns,
	}
	for _, c := range past.Calls {
		t.Calls = append(t.Calls, newCallRow(c, r.Team.Location))
	}
	last := lastOperators(past)
	if last == nil {
		return t
	}
	operators := collector.Unique(last.Operators)
	t.Operators = make([]operatorRow, len(operators))
	cells := make([]tableCell, 0, len(operators)*len(columns))
	for i := range operators {
		o := &operators[i]
		for _, c := range columns {
			cells = append(cells, c.cell(o, r.Team))
		}
		t.Operators[i] = operatorRow{ID: o.ID.String(), Name: o.ID.String(), Cells: cells[i*len(columns):]}
		if t.Names && strings.TrimSpace(o.DisplayName.String()) != "" {
			t.Operators[i].Name = o.DisplayName.String()
		}
	}
	return t
}

func newCallRow(c teams.Call, zone *time.Location) callRow {
	shown := callRow{
		Key:  fmt.Sprint(c.Start.UnixNano(), c.Endpoint, c.Window.Name),
		Time: c.Start.In(zone), Endpoint: string(c.Endpoint), Window: c.Window.Name, From: c.Window.Start.In(zone), To: c.Window.End.In(zone),
		Duration: tableCell{fmt.Sprintf("%.3f s", c.Duration.Seconds()), strconv.FormatInt(c.Duration.Microseconds(), 10)},
		Outcome:  "answered", Failed: c.Err != nil,
	}
	switch {
	case c.InFlight && c.Err != nil:
		shown.Outcome = "in flight; last error: " + reason(c.Err)
	case c.InFlight:
		shown.Outcome = "in flight"
	case c.Err != nil:
		shown.Outcome = reason(c.Err)
	}
	return shown
}
