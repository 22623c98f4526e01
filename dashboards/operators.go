package main

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// chosen selects the chosen operators of a metric, with further matchers.
func chosen(metric, matchers string) string {
	return fmt.Sprintf(`chattonic_operator_%s{team=~"$team", operator_id=~"$operator"%s}`, metric, matchers)
}

// of is the value of each chosen operator now, and during that in the chosen window.
func of(metric string) string {
	return fmt.Sprintf("max by (team, operator_id) (%s)", chosen(metric, ""))
}

func during(metric string) string {
	return fmt.Sprintf("max by (team, operator_id) (%s)", chosen(metric, `, window="$window"`))
}

// operatorNames has the name of each chosen operator in the label operator, or the id if the
// team hides names.
var operatorNames = fmt.Sprintf(`(
      max by (team, operator_id, operator) (%s)
    or
      label_replace(max by (team, operator_id) (%s), "operator", "$1", "operator_id", "(.+)")
  )`, chosen("info", `, operator!=""`), chosen("info", `, operator=""`))

// withName gives an expression the name of the operator.
func withName(expr string) string {
	return fmt.Sprintf("(%s)\n  * on (team, operator_id) group_left (operator) %s", expr, operatorNames)
}

// statusNumber is the state of each chosen operator as a number, see statusMeanings.
var statusNumber = fmt.Sprintf(`5 * (max by (team, operator_id) (%s) == 1)
  or 4 * (max by (team, operator_id) (%s) == 1)
  or 3 * (max by (team, operator_id) (%s) == 1)
  or 2 * (max by (team, operator_id) (%s) == 1)
  or 1 * (max by (team, operator_id) (%s) == 1)`,
	chosen("status", `, status!~"online|away|offline|unknown"`), chosen("status", `, status="online"`), chosen("status", `, status="away"`), chosen("status", `, status="offline"`), chosen("status", `, status="unknown"`))

func (b *board) statusMeanings() []meaning {
	return []meaning{{5, b.T("status.other"), "blue"}, {4, "online", good}, {3, "away", warning}, {2, "offline", closed}, {1, b.T("status.unknown"), unknown}}
}

// top returns the chosen operators with the n greatest values at the end of the time range.
func top(n int, expr string) string {
	return withName(fmt.Sprintf("%s\n  and on (team, operator_id) topk(%d, %s)", expr, n, atEnd(expr)))
}

// atEnd evaluates an expression of one selector at the end of the time range.
func atEnd(expr string) string { return expr[:len(expr)-1] + " @ end())" }

func operators(l language) *board {
	b := newBoard(l, "chattonic-operators", "Chat-Tonic / "+l.T("operators"), l.T("operators.d"), "now-24h")
	b.variable("team", "label_values(chattonic_up, team)", "", true, true)
	b.variable("window", `label_values(chattonic_window_end_timestamp_seconds{team=~"$team"}, window)`, "", false, false)
	b.variable("operator", `query_result(max by (operator, operator_id) (chattonic_operator_info{team=~"$team", operator!=""}) or label_replace(max by (operator_id) (chattonic_operator_info{team=~"$team", operator=""}), "operator", "$1", "operator_id", "(.+)"))`,
		`/operator="(?<text>.*)", *operator_id="(?<value>[^"]+)"/`, true, true)

	scores, answers := during("nps"), during("nps_responses")
	few := fmt.Sprintf("(%s > 0) < 30", answers)
	b.table(grid{0, 0, 24, 14}, b.T("operators"), b.T("operators.table.d")+" "+b.T("nps.margin.d"), b.T("state"), true, []column{
		label("operator", b.T("operator")).with(property("custom.width", 170),
			property("links", []object{b.link(b.T("link.operator"), "chattonic-operators", "${team:queryparam}", "var-operator=${__data.fields.operator_id:percentencode}")})),
		{expr: fmt.Sprintf("max by (team, operator_id, operator, profile, origins) (%s) or label_replace(max by (team, operator_id, profile) (%s), \"operator\", \"$1\", \"operator_id\", \"(.+)\")",
			chosen("info", `, operator!=""`), chosen("info", `, operator=""`))},
		{expr: statusNumber, name: b.T("state"), unit: "none", properties: append([]dashboard.DynamicConfigValue{property("mappings", mappings(b.statusMeanings())), property("custom.width", 85)}, background()...)},
		number(b.T("progress"), "none", 0, of("queries_in_progress")),
		{expr: fmt.Sprintf("1000 * (%s > 0)", of("last_connection_timestamp_seconds")), name: b.T("connection"), unit: "dateTimeFromNow"},
		number(b.T("resolved"), "none", 0, during("queries_resolved")), number(b.T("assigned"), "none", 0, during("queries_assigned")),
		number(b.T("average"), "s", 0, fmt.Sprintf("%s and on (team, operator_id) %s > 0", during("query_duration_average_seconds"), during("queries_resolved"))),
		number(b.T("online"), "s", 1, during("online_seconds")), number(b.T("away"), "s", 1, during("away_seconds")), number(b.T("free"), "s", 1, during("free_seconds")),
		number(b.T("occupancy"), "percentunit", 0, fmt.Sprintf("1 - %s / (%s > 0)", during("free_seconds"), during("online_seconds"))).with(background(0.0, good, 0.8, warning, 0.9, alarm)...),
		number("NPS", "none", 0, fmt.Sprintf("%s and on (team, operator_id) %s >= 30", scores, answers)),
		number(b.T("nps.few"), "none", 0, fmt.Sprintf("%s and on (team, operator_id) %s", scores, few)).with(text(), fixed(grey)),
		number("NPS ±", "none", 0, fmt.Sprintf("196 * sqrt((1 - ((abs(%s) < 100) / 100) ^ 2) / on (team, operator_id) (%s > 0))", scores, answers)),
		number(b.T("responses"), "none", 0, answers), number(b.T("total"), "s", 1, during("query_duration_seconds")),
		label("team", b.T("team")), label("profile", b.T("profile")), label("origins", b.T("origins")),
	}, "operator_id")
	b.timeline(grid{0, 14, 24, 20}, b.T("status.time"), b.T("status.time.d"), query{withName(statusNumber), "{{operator}} ({{team}})"}, b.statusMeanings()...)

	const legend = "{{operator}} ({{team}})"
	b.row(34, b.T("compared"))
	b.bars(grid{0, 35, 8, 12}, b.T("resolved"), b.T("resolved.top.d"), "none", query{fmt.Sprintf("sort_desc(topk(15, %s))", withName(during("queries_resolved"))), legend}).decimals(0)
	b.bars(grid{8, 35, 8, 12}, b.T("handling"), b.T("handling.top.d"), "s", query{fmt.Sprintf("sort_desc(topk(15, %s))",
		withName(fmt.Sprintf("%s and on (team, operator_id) %s > 0", during("query_duration_average_seconds"), during("queries_resolved")))), legend}).decimals(1)
	most := fmt.Sprintf("topk(15, %s > 0)", answers)
	b.bars(grid{16, 35, 8, 12}, "NPS", b.T("nps.top.d"), "none",
		query{fmt.Sprintf("sort_desc(%s\n  and on (team, operator_id) %s\n  and on (team, operator_id) %s >= 30)", withName(scores), most, answers), legend},
		query{fmt.Sprintf("sort_desc(%s\n  and on (team, operator_id) %s\n  and on (team, operator_id) %s < 30)", withName(scores), most, answers), legend}).colour("B", grey).decimals(0).span(-100, 100)
	b.graph(grid{0, 47, 8, 10}, b.T("progress"), b.T("progress.top.d"), "none", query{top(10, of("queries_in_progress")), legend}).decimals(0).span(0)
	b.graph(grid{8, 47, 8, 10}, b.T("resolved.time"), b.T("resolved.time.d"), "none", query{top(10, during("queries_resolved")), legend}).decimals(0).span(0)
	b.graph(grid{16, 47, 8, 10}, b.T("online.time"), b.T("online.time.d"), "s", query{top(10, during("online_seconds")), legend}).span(0)
	return b
}
