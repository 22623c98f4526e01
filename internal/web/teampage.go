package web

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/teams"
)

// column is a column of the table of operators, after the name and the state.
type column struct {
	Key  string // of its name in the catalogues
	cell func(q *queue, o *chattonic.Operator) tableCell
}

// columns holds the columns of the table of operators, except the name, the state and the id.
var columns = []column{
	{"progress", func(q *queue, o *chattonic.Operator) tableCell { return q.t.numberCell(o.QueryInProgress) }},
	{"assigned", func(q *queue, o *chattonic.Operator) tableCell { return q.t.numberCell(o.QueriesAssigned) }},
	{"resolved", func(q *queue, o *chattonic.Operator) tableCell { return q.t.numberCell(o.QueriesResolved) }},
	{"handling", func(q *queue, o *chattonic.Operator) tableCell { return q.duration(o.AvgDurationResolved) }},
	{"online", func(q *queue, o *chattonic.Operator) tableCell { return q.duration(o.OnlineTime) }},
	{"away", func(q *queue, o *chattonic.Operator) tableCell { return q.duration(o.AwayTime) }},
	{"free", func(q *queue, o *chattonic.Operator) tableCell { return q.duration(o.FreeTime) }},
	{"nps", func(q *queue, o *chattonic.Operator) tableCell { return q.t.numberCell(o.NPS) }},
	{"responses", func(q *queue, o *chattonic.Operator) tableCell { return q.t.numberCell(o.NumberOfResponsesNPS) }},
}

func (q *queue) duration(n chattonic.Number) tableCell {
	return q.t.durationCell(n, q.status.Team.DurationUnit)
}

// operatorRow is a row of the table of operators.
type operatorRow struct {
	ID    string
	Name  string // the id if there is no name or names are hidden
	State string
	// AtWork means that the team's configuration calls the state at work.
	AtWork bool
	// For is the minimum time in the state, and Last the last connection.
	For, Last  tableCell
	Cells      []tableCell
	inProgress float64
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
	*queue
	// Zone is the time zone of the team.
	Zone string
	// Window is the selected window, and Windows are all.
	Window  string
	Windows []string
	// MeanWait is an estimate, and Resolved a number of the window.
	MeanWait, Resolved tableCell
	States             []stateCount
	Figures            []figures
	// Collected means that the operators endpoint is collected, and Names that the names
	// of operators are shown.
	Collected, Names bool
	Columns          []column
	Operators        []operatorRow
	Table            aging // of the operators
	Calls            []callRow
}

// newTeamPage returns the page of a team with the numbers of a window.
func newTeamPage(base basePage, status teams.Status, window string) *teamPage {
	q := newQueue(base.translator, status, base.Now)
	t := &teamPage{
		basePage: base, queue: q, Zone: status.Team.Location.String(), Window: pageWindow(status.Team, window), MeanWait: noCell,
		Resolved:  q.resolved(pageWindow(status.Team, window)),
		Collected: slices.Contains(status.Team.Collectors, chattonic.EndpointOperators), Names: !status.Team.HideOperatorNames, Columns: columns,
	}
	t.Now = q.now
	for _, w := range status.Team.Windows {
		t.Windows = append(t.Windows, w.Name())
	}
	if wait, known := meanWait(q.history); known {
		t.MeanWait = tableCell{q.t.Age(wait), strconv.FormatFloat(wait.Seconds(), 'f', 0, 64)}
	}
	for _, c := range q.history.Calls {
		t.Calls = append(t.Calls, newCallRow(c, status.Team.Location))
	}
	if current := q.operators(q.firstWindow()); current != nil {
		t.States = countStates(status.Team, collector.Unique(current.Operators), q.t.T("state.none"))
	}
	if t.Collected {
		f := q.operatorFigures(t.Window)
		t.Figures, t.Table = append(t.Figures, f), f.aging
		t.Operators = q.operatorRows(t.Window, t.Names)
	}
	if slices.Contains(status.Team.Collectors, chattonic.EndpointDashboard) {
		t.Figures = append(t.Figures, q.dashboardFigures(t.Window))
	}
	return t
}

// Title returns the news about the team for a tab's title.
func (t *teamPage) Title() string { return t.TabTitle() }

// Sparkline draws the last hours in detail.
func (t *teamPage) Sparkline() sparkline { return t.sparkline(2 * time.Minute) }

// Started returns the time from which the exporter remembers the queue.
func (t *teamPage) Started() string {
	if len(t.history.Trend) == 0 {
		return ""
	}
	return t.Clock(t.history.Trend[0].At, t.now)
}

func (q *queue) sparkline(step time.Duration) sparkline {
	return sparkline{q.history.Trend, q.now, q.Old, q.Limit, step}
}

// operatorRows returns the operators of a window's answer: those at work first, and of them
// the busiest. What they do now comes from the newest answer.
func (q *queue) operatorRows(window string, names bool) []operatorRow {
	answer := q.operators(window)
	if answer == nil {
		return nil
	}
	operators := collector.Unique(answer.Operators)
	all := make([]operatorRow, len(operators))
	cells := make([]tableCell, 0, len(operators)*len(columns))
	for i := range operators {
		o := &operators[i]
		for _, c := range columns {
			cells = append(cells, c.cell(q, o))
		}
		row := operatorRow{
			ID: o.ID.String(), Name: o.ID.String(), State: cmp.Or(o.Status.String(), q.t.T("state.none")), AtWork: collector.IsAtWork(q.status.Team.AtWork, o.Status.String()),
			For: noCell, Last: q.t.timeCell(o.LastConnection, q.now), Cells: cells[i*len(columns):],
		}
		row.inProgress, _ = o.QueryInProgress.Float64()
		if names && strings.TrimSpace(o.DisplayName.String()) != "" {
			row.Name = o.DisplayName.String()
		}
		if first, seen := q.history.Since[o.ID]; seen && first.Before(q.Received) {
			age := q.Received.Sub(first)
			row.For = tableCell{q.t.T("atleast", q.t.Age(age)), strconv.FormatFloat(age.Seconds(), 'f', 0, 64)}
		}
		all[i] = row
	}
	slices.SortStableFunc(all, func(a, b operatorRow) int {
		switch {
		case a.AtWork && !b.AtWork:
			return -1
		case b.AtWork && !a.AtWork:
			return 1
		default:
			return cmp.Or(cmp.Compare(b.inProgress, a.inProgress), strings.Compare(a.Name, b.Name))
		}
	})
	return all
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
