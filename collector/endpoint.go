package collector

import "chattonic_exporter/chattonic"

// endpoint defines how the answers of an API endpoint become metrics.
type endpoint struct {
	// groups returns the items of an answer, grouped by table.
	groups func(a chattonic.Answer, info *answerInfo) Answers
	// warning returns a warning about an answer, or "". It is logged once.
	warning func(a chattonic.Answer) string
}

// endpoints holds all endpoints whose answers become metrics. A new one needs an entry
// here and in the package chattonic.
var endpoints = map[chattonic.Endpoint]endpoint{
	chattonic.EndpointOperators: newEndpoint(
		func(o *chattonic.Operators, info *answerInfo) Answers {
			return Answers{
				&group[chattonic.Operator]{table: operatorTable, info: info, items: Unique(o.Operators)},
				&group[chattonic.Operators]{table: teamTable, info: info, items: []chattonic.Operators{*o}},
			}
		},
		func(*chattonic.Operators) string { return "" },
	),
	chattonic.EndpointDashboard: newEndpoint(
		func(d *chattonic.Dashboard, info *answerInfo) Answers {
			return Answers{
				&group[chattonic.DashboardRow]{table: dashboardTable, info: info, items: latestFirst(d.Rows), combined: true},
				&group[chattonic.Dashboard]{table: dashboardAnswerTable, info: info, items: []chattonic.Dashboard{*d}},
			}
		},
		func(d *chattonic.Dashboard) string {
			if len(d.Rows) > 1 {
				return `the dashboard's answer has several rows, so active users and scores are not exported: set date_format_group to a constant such as "0" to get one row`
			}
			return ""
		},
	),
}

// newEndpoint returns an endpoint whose answers are of the type T.
func newEndpoint[T chattonic.Answer](groups func(T, *answerInfo) Answers, warning func(T) string) endpoint {
	return endpoint{
		groups: func(a chattonic.Answer, info *answerInfo) Answers {
			typed, _ := a.(T) // Client.Read guarantees the type
			return groups(typed, info)
		},
		warning: func(a chattonic.Answer) string {
			typed, _ := a.(T)
			return warning(typed)
		},
	}
}
