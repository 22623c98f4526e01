package collector

import (
	"fmt"

	"chattonic_exporter/chattonic"
)

// operatorTable is the metrics of each operator.
var operatorTable = newTable("operators.",
	[]label[chattonic.Operator]{
		{name: "operator_id", of: func(o *chattonic.Operator) fmt.Stringer { return &o.ID }},
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_info",
		help: "What the operator is called and may do; always 1.",
		labels: []label[chattonic.Operator]{
			{name: "operator", of: func(o *chattonic.Operator) fmt.Stringer { return &o.DisplayName }, personal: true},
			{name: "profile", of: func(o *chattonic.Operator) fmt.Stringer { return &o.Profile }},
			{name: "origins", of: func(o *chattonic.Operator) fmt.Stringer { return &o.OriginsName }, personal: true},
		},
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_status", present: true,
		help:   "Whether the operator is in the state of the label status (1) or not (0); unknown where the API gives none.",
		by:     "status",
		state:  func(o *chattonic.Operator) fmt.Stringer { return &o.Status },
		states: []string{"online", "away", "offline", "unknown"},
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_queries_in_progress", present: true,
		help:   "Queries that the operator works on now.",
		values: one(func(o *chattonic.Operator) number { return &o.QueryInProgress }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_last_connection_timestamp_seconds", present: true,
		help:   "When the operator was last connected, in seconds since 1970.",
		values: one(func(o *chattonic.Operator) number { return &o.LastConnection }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_online_seconds", windowed: true, duration: true, plausible: withinWindow,
		help:   "Time online in the window.",
		values: one(func(o *chattonic.Operator) number { return &o.OnlineTime }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_away_seconds", windowed: true, duration: true, plausible: withinWindow,
		help:   "Time away in the window.",
		values: one(func(o *chattonic.Operator) number { return &o.AwayTime }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_free_seconds", windowed: true, duration: true, plausible: withinWindow,
		help:   "Time free in the window.",
		values: one(func(o *chattonic.Operator) number { return &o.FreeTime }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_queries_assigned", windowed: true,
		help:   "Queries assigned to the operator in the window.",
		values: one(func(o *chattonic.Operator) number { return &o.QueriesAssigned }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_queries_resolved", windowed: true,
		help:   "Queries that the operator resolved in the window.",
		values: one(func(o *chattonic.Operator) number { return &o.QueriesResolved }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_query_duration_seconds", windowed: true, duration: true,
		help:         "Summed duration of the operator's queries in the window.",
		values:       one(func(o *chattonic.Operator) number { return &o.SumDuration }),
		positiveWith: func(o *chattonic.Operator) number { return &o.QueriesResolved },
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_query_duration_average_seconds", windowed: true, duration: true,
		help:   "Mean duration of the queries that the operator resolved in the window.",
		values: one(func(o *chattonic.Operator) number { return &o.AvgDurationResolved }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_nps", windowed: true, plausible: score,
		help:   "Net promoter score of the operator in the window, as it comes.",
		values: one(func(o *chattonic.Operator) number { return &o.NPS }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_nps_responses", windowed: true,
		help:   "Responses behind the operator's net promoter score.",
		values: one(func(o *chattonic.Operator) number { return &o.NumberOfResponsesNPS }),
	},
)

// teamTable is the metrics of a team that come with its operators.
var teamTable = newTable("", nil,
	row[chattonic.Operators]{
		name: "chattonic_queries_pending", present: true,
		help:   "Queries that wait for an operator now.",
		values: one(func(o *chattonic.Operators) number { return &o.QueryPending }),
	},
)

// Unique returns the operators without repetitions: an answer may hold an operator
// twice. The argument stays as it is.
func Unique(operators []chattonic.Operator) []chattonic.Operator {
	seen := make(map[chattonic.Text]struct{}, len(operators))
	for i := range operators {
		if _, again := seen[operators[i].ID]; again {
			return withoutRepetitions(operators)
		}
		seen[operators[i].ID] = struct{}{}
	}
	return operators
}

func withoutRepetitions(operators []chattonic.Operator) (unique []chattonic.Operator) {
	seen := make(map[chattonic.Text]struct{}, len(operators))
	for i := range operators {
		if _, again := seen[operators[i].ID]; !again {
			seen[operators[i].ID] = struct{}{}
			unique = append(unique, operators[i])
		}
	}
	return unique
}
