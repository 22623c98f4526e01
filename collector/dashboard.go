package collector

import (
	"slices"
	"strings"

	"chattonic_exporter/chattonic"
)

// dashboardTable is the metrics of a team's dashboard.
var dashboardTable = newTable("", nil,
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_users_all_time", combine: latest,
		help:   "Users of all time.",
		values: one(func(r *chattonic.DashboardRow) number { return &r.TotalUsers }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_messages_received_all_time", combine: latest,
		help:   "Messages received in all time.",
		values: one(func(r *chattonic.DashboardRow) number { return &r.TotalMessagesReceived }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_messages_sent_all_time", combine: latest,
		help:   "Messages sent in all time.",
		values: one(func(r *chattonic.DashboardRow) number { return &r.TotalMessagesSent }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_new_users", windowed: true, combine: sum,
		help:   "New users in the window.",
		values: one(func(r *chattonic.DashboardRow) number { return &r.NewUsers }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_active_users", windowed: true,
		help:   "Active users in the window; absent where the answer has several rows.",
		values: one(func(r *chattonic.DashboardRow) number { return &r.ActiveUsers }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_messages_received", windowed: true, combine: sum,
		help:   "Messages received in the window.",
		values: one(func(r *chattonic.DashboardRow) number { return &r.MessagesReceived }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_messages_sent", windowed: true, combine: sum,
		help:   "Messages sent in the window.",
		values: one(func(r *chattonic.DashboardRow) number { return &r.MessagesSent }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_queries", windowed: true, combine: sum,
		help: "Queries of the window by state.",
		by:   "state",
		values: []value[chattonic.DashboardRow]{
			{func(r *chattonic.DashboardRow) number { return &r.Pending }, "pending"},
			{func(r *chattonic.DashboardRow) number { return &r.Progress }, "in_progress"},
			{func(r *chattonic.DashboardRow) number { return &r.Resolved }, "resolved"},
			{func(r *chattonic.DashboardRow) number { return &r.Failed }, "failed"},
		},
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_user_efficiency", windowed: true, plausible: score,
		help:   "User efficiency in the window, as it comes; absent where the answer has several rows.",
		values: one(func(r *chattonic.DashboardRow) number { return &r.UserEfficiency }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_attention", windowed: true, plausible: score,
		help:   "Attention in the window, as it comes; absent where the answer has several rows.",
		values: one(func(r *chattonic.DashboardRow) number { return &r.Attention }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_resolution", windowed: true, plausible: score,
		help:   "Resolution in the window, as it comes; absent where the answer has several rows.",
		values: one(func(r *chattonic.DashboardRow) number { return &r.Resolution }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_attention_and_resolution", windowed: true, plausible: score,
		help:   "Attention and resolution in the window, as it comes; absent where the answer has several rows.",
		values: one(func(r *chattonic.DashboardRow) number { return &r.AttentionAndResolution }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_nps", windowed: true, plausible: score,
		help:   "Net promoter score in the window, as it comes; absent where the answer has several rows.",
		values: one(func(r *chattonic.DashboardRow) number { return &r.NPS }),
	},
	row[chattonic.DashboardRow]{
		name: "chattonic_dashboard_csat", windowed: true, plausible: score,
		help:   "Customer satisfaction in the window, as it comes; absent where the answer has several rows.",
		values: one(func(r *chattonic.DashboardRow) number { return &r.CSAT }),
	},
)

// dashboardAnswerTable is the metrics of a dashboard's answer as a whole.
var dashboardAnswerTable = newTable("", nil,
	row[chattonic.Dashboard]{
		name: "chattonic_dashboard_rows", windowed: true,
		help: "Rows in the answer; several are combined, or left out where that cannot be done.", source: "Counted in the API's answer",
		values: one(func(d *chattonic.Dashboard) number { return count(len(d.Rows)) }),
	},
)

// latestFirst returns the rows of an answer with the latest one first.
// The latest row is the one with the greatest date, which is right for every
// format from the year down, such as the documented one. Of rows with the same
// date it is the one that came last.
func latestFirst(rows []chattonic.DashboardRow) []chattonic.DashboardRow {
	rows = slices.Clone(rows)
	slices.Reverse(rows)
	slices.SortStableFunc(rows, func(a, b chattonic.DashboardRow) int { return strings.Compare(string(b.Date), string(a.Date)) })
	return rows
}
