package collector

import (
	"slices"
	"strings"

	"chattonic_exporter/chattonic"
)

// dashboardTable defines the metrics from the rows of a team's dashboard.
var dashboardTable = newTable("", nil,
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_users_all_time", combine: latest,
		help:   "All-time number of users.",
		values: single(func(r *chattonic.DashboardRow) number { return &r.TotalUsers }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_messages_received_all_time", combine: latest,
		help:   "All-time number of messages received.",
		values: single(func(r *chattonic.DashboardRow) number { return &r.TotalMessagesReceived }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_messages_sent_all_time", combine: latest,
		help:   "All-time number of messages sent.",
		values: single(func(r *chattonic.DashboardRow) number { return &r.TotalMessagesSent }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_new_users", windowed: true, combine: sum,
		help:   "Number of new users in the window.",
		values: single(func(r *chattonic.DashboardRow) number { return &r.NewUsers }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_active_users", windowed: true,
		help:   "Number of active users in the window; not exported if the answer has several rows.",
		values: single(func(r *chattonic.DashboardRow) number { return &r.ActiveUsers }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_messages_received", windowed: true, combine: sum,
		help:   "Number of messages received in the window.",
		values: single(func(r *chattonic.DashboardRow) number { return &r.MessagesReceived }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_messages_sent", windowed: true, combine: sum,
		help:   "Number of messages sent in the window.",
		values: single(func(r *chattonic.DashboardRow) number { return &r.MessagesSent }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_queries", windowed: true, combine: sum,
		help:    "Number of queries in the window by state.",
		byLabel: "state",
		values: []value[chattonic.DashboardRow]{
			{func(r *chattonic.DashboardRow) number { return &r.Pending }, "pending"},
			{func(r *chattonic.DashboardRow) number { return &r.Progress }, "in_progress"},
			{func(r *chattonic.DashboardRow) number { return &r.Resolved }, "resolved"},
			{func(r *chattonic.DashboardRow) number { return &r.Failed }, "failed"},
		},
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_user_efficiency", windowed: true, plausible: score,
		help:   "User efficiency in the window, as returned by the API; not exported if the answer has several rows.",
		values: single(func(r *chattonic.DashboardRow) number { return &r.UserEfficiency }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_attention", windowed: true, plausible: score,
		help:   "Attention in the window, as returned by the API; not exported if the answer has several rows.",
		values: single(func(r *chattonic.DashboardRow) number { return &r.Attention }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_resolution", windowed: true, plausible: score,
		help:   "Resolution in the window, as returned by the API; not exported if the answer has several rows.",
		values: single(func(r *chattonic.DashboardRow) number { return &r.Resolution }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_attention_and_resolution", windowed: true, plausible: score,
		help:   "Attention and resolution in the window, as returned by the API; not exported if the answer has several rows.",
		values: single(func(r *chattonic.DashboardRow) number { return &r.AttentionAndResolution }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_nps", windowed: true, plausible: score,
		help:   "Net promoter score in the window, as returned by the API; not exported if the answer has several rows.",
		values: single(func(r *chattonic.DashboardRow) number { return &r.NPS }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_csat", windowed: true, plausible: score,
		help:   "Customer satisfaction in the window, as returned by the API; not exported if the answer has several rows.",
		values: single(func(r *chattonic.DashboardRow) number { return &r.CSAT }),
	},
)

// dashboardAnswerTable defines the metrics from a dashboard's answer as a whole.
var dashboardAnswerTable = newTable("", nil,
	row[chattonic.Dashboard]{
		name: "chattonic_dashboard_rows", windowed: true,
		help: "Number of rows in the dashboard's answer. Metrics of several rows are combined or, if that is not possible, not exported.", source: fromAnswer,
		values: single(func(d *chattonic.Dashboard) number { return integer(len(d.Rows)) }),
	},
)

// latestFirst returns the rows of an answer, sorted by descending date. Dates are
// compared as strings, which is correct for formats that go from the year to smaller
// units, such as the documented one. Of rows with the same date the last one comes
// first.
func latestFirst(rows []chattonic.DashboardRow) []chattonic.DashboardRow {
	rows = slices.Clone(rows)
	slices.Reverse(rows)
	slices.SortStableFunc(rows, func(a, b chattonic.DashboardRow) int { return strings.Compare(string(b.Date), string(a.Date)) })
	return rows
}

// DashboardNumbers returns the numbers of a dashboard's answer by metric name, as they are
// exported. The name of a metric with several samples is followed by a slash and the value of
// its label, such as chattonic_dashboard_queries/resolved.
func DashboardNumbers(d *chattonic.Dashboard) map[string]float64 {
	numbers := make(map[string]float64)
	g := &group[chattonic.DashboardRow]{table: dashboardTable, info: &answerInfo{firstWindow: true}, items: latestFirst(d.Rows), combined: true}
	for i := range dashboardTable.rows {
		r := &dashboardTable.rows[i]
		for s := range g.samples(r) {
			name := r.name
			if r.byLabel != "" {
				name += "/" + s.byValue
			}
			numbers[name] = s.value
		}
	}
	return numbers
}
