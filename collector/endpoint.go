package collector

import "chattonic_exporter/chattonic"

// endpoint says what metrics come from the answers of one of the API's endpoints.
type endpoint struct {
	// groups returns the items that an answer has for the tables.
	groups func(a chattonic.Answer, s *scope) Answers
	// warning returns what to tell the operator of the exporter about an answer,
	// once, or "".
	warning func(a chattonic.Answer) string
}

// endpoints holds the endpoints whose answers become metrics. A further one needs
// an entry here and in the package chattonic.
var endpoints = map[chattonic.Endpoint]endpoint{
	chattonic.EndpointOperators: newEndpoint(
		func(o *chattonic.Operators, s *scope) Answers {
			return Answers{
				&group[chattonic.Operator]{table: operatorTable, scope: s, items: Unique(o.Operators)},
				&group[chattonic.Operators]{table: teamTable, scope: s, items: []chattonic.Operators{*o}},
			}
		},
		func(*chattonic.Operators) string { return "" },
	),
	chattonic.EndpointDashboard: newEndpoint(
		func(d *chattonic.Dashboard, s *scope) Answers {
			return Answers{
				&group[chattonic.DashboardRow]{table: dashboardTable, scope: s, items: latestFirst(d.Rows), combined: true},
				&group[chattonic.Dashboard]{table: dashboardAnswerTable, scope: s, items: []chattonic.Dashboard{*d}},
			}
		},
		func(d *chattonic.Dashboard) string {
			if len(d.Rows) > 1 {
				return `the dashboard answers with several rows: active users and scores cannot be combined and are left out; to have one row, set date_format_group to a constant such as "0"`
			}
			return ""
		},
	),
}

// newEndpoint returns an endpoint whose answers are of the type T.
func newEndpoint[T chattonic.Answer](groups func(T, *scope) Answers, warning func(T) string) endpoint {
	return endpoint{
		groups: func(a chattonic.Answer, s *scope) Answers {
			typed, _ := a.(T) // the client answers so
			return groups(typed, s)
		},
		warning: func(a chattonic.Answer) string {
			typed, _ := a.(T)
			return warning(typed)
		},
	}
}
