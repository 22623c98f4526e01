package collector

import (
	"fmt"
	"slices"
	"strings"

	"chattonic_exporter/chattonic"
)

// operatorTable defines the metrics of each operator.
var operatorTable = newTable("operators.",
	[]label[chattonic.Operator]{
		{name: "operator_id", get: func(o *chattonic.Operator) fmt.Stringer { return &o.ID }},
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_info",
		help: "Display name, profile and origins of the operator; always 1.",
		labels: []label[chattonic.Operator]{
			{name: "operator", get: func(o *chattonic.Operator) fmt.Stringer { return &o.DisplayName }, personal: true},
			{name: "profile", get: func(o *chattonic.Operator) fmt.Stringer { return &o.Profile }},
			{name: "origins", get: func(o *chattonic.Operator) fmt.Stringer { return &o.OriginsName }, personal: true},
		},
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_status", current: true,
		help:    "Whether the operator is in the state of the label status (1) or not (0); unknown if the API omits it.",
		byLabel: "status",
		state:   func(o *chattonic.Operator) fmt.Stringer { return &o.Status },
		states:  []string{"online", "away", "offline", "unknown"},
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_at_work", current: true,
		help: "Whether the operator is in a state that the configuration calls at work (1) or not (0); absent if the API omits the state." +
			" Only the state online is documented, so the states of a team are configured.",
		source: "API field: status. Configuration key: at_work",
		state:  func(o *chattonic.Operator) fmt.Stringer { return &o.Status },
		oneOf:  func(info *answerInfo) []string { return info.atWork },
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_queries_in_progress", current: true,
		help:   "Number of queries that the operator is currently handling.",
		values: single(func(o *chattonic.Operator) number { return &o.QueryInProgress }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_last_connection_timestamp_seconds", current: true,
		help:   "Unix time in seconds when the operator was last connected.",
		values: single(func(o *chattonic.Operator) number { return &o.LastConnection }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_online_seconds", windowed: true, duration: true, plausible: withinWindow,
		help:   "Seconds the operator was online in the window.",
		values: single(func(o *chattonic.Operator) number { return &o.OnlineTime }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_away_seconds", windowed: true, duration: true, plausible: withinWindow,
		help:   "Seconds the operator was away in the window.",
		values: single(func(o *chattonic.Operator) number { return &o.AwayTime }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_free_seconds", windowed: true, duration: true, plausible: withinWindow,
		help:   "Seconds the operator was free in the window.",
		values: single(func(o *chattonic.Operator) number { return &o.FreeTime }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_queries_assigned", windowed: true,
		help:   "Number of queries assigned to the operator in the window.",
		values: single(func(o *chattonic.Operator) number { return &o.QueriesAssigned }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_queries_resolved", windowed: true,
		help:   "Number of queries that the operator resolved in the window.",
		values: single(func(o *chattonic.Operator) number { return &o.QueriesResolved }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_query_duration_seconds", windowed: true, duration: true,
		help:         "Total duration of the operator's queries in the window, in seconds.",
		values:       single(func(o *chattonic.Operator) number { return &o.SumDuration }),
		positiveWith: func(o *chattonic.Operator) number { return &o.QueriesResolved },
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_query_duration_average_seconds", windowed: true, duration: true,
		help:   "Mean duration of the queries that the operator resolved in the window, in seconds.",
		values: single(func(o *chattonic.Operator) number { return &o.AvgDurationResolved }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_nps", windowed: true, plausible: score,
		help:   "Net promoter score of the operator in the window, as returned by the API.",
		values: single(func(o *chattonic.Operator) number { return &o.NPS }),
	},
	row[chattonic.Operator]{
		name: "chattonic_operator_nps_responses", windowed: true,
		help:   "Number of responses for the operator's net promoter score in the window.",
		values: single(func(o *chattonic.Operator) number { return &o.NumberOfResponsesNPS }),
	},
)

// teamTable defines the metrics of a team that come from the operators endpoint.
var teamTable = newTable("", nil,
	row[chattonic.Operators]{
		name: "chattonic_queries_pending", current: true,
		help:   "Number of queries that are currently waiting for an operator.",
		values: single(func(o *chattonic.Operators) number { return &o.QueryPending }),
	},
)

// IsAtWork reports whether an operator in the state is at work, if those in the given states
// are. States are compared without letter case.
func IsAtWork(states []string, state string) bool {
	return slices.ContainsFunc(states, func(name string) bool { return strings.EqualFold(name, state) })
}

// Unique returns the operators without duplicates, because an answer may contain an
// operator twice. Operators with the same ID are duplicates; the first one is kept. It
// does not change its argument.
func Unique(operators []chattonic.Operator) []chattonic.Operator {
	seen := make(map[chattonic.Text]struct{}, len(operators))
	for i := range operators {
		if _, duplicate := seen[operators[i].ID]; duplicate {
			return deduplicate(operators)
		}
		seen[operators[i].ID] = struct{}{}
	}
	return operators
}

func deduplicate(operators []chattonic.Operator) (unique []chattonic.Operator) {
	seen := make(map[chattonic.Text]struct{}, len(operators))
	for i := range operators {
		if _, duplicate := seen[operators[i].ID]; !duplicate {
			seen[operators[i].ID] = struct{}{}
			unique = append(unique, operators[i])
		}
	}
	return unique
}
