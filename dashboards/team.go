package main

import (
	"fmt"
	"regexp"
)

// Expressions about scores of the chosen teams in the chosen window.
var (
	score     = inWindow("team_window:chattonic_nps:weighted")
	responses = inWindow("team_window:chattonic_nps_responses:sum")
	margin    = inWindow("team_window:chattonic_nps_margin:95")
	manyNPS   = fmt.Sprintf("%s and %s >= 30", score, responses)
	fewNPS    = fmt.Sprintf("%s and %s < 30", score, responses)
)

var chosenTeams = regexp.MustCompile(`team=~"\$team"`)

// ofAll returns an expression for all teams, whichever are chosen.
func ofAll(expr string) string { return chosenTeams.ReplaceAllString(expr, `team=~".+"`) }

// before returns the queries of a metric now, a day and a week ago.
func (b *board) before(metric string) []query {
	return []query{{metric, "{{team}}"}, {metric + " offset 1d", "{{team}} " + b.T("yesterday")}, {metric + " offset 1w", "{{team}} " + b.T("lastweek")}}
}

// dashboardMetric is a metric of the dashboard endpoint.
func dashboardMetric(name string) string {
	return fmt.Sprintf("max by (team) (%s)", inWindow("chattonic_dashboard_"+name))
}

func team(l language) *board {
	b := newBoard(l, "chattonic-team", "Chat-Tonic / "+l.T("team"), l.T("team.d"), "now-24h")
	b.showAlerts()
	b.variable("team", "label_values(chattonic_up, team)", "", true, false)
	b.variable("window", `label_values(chattonic_window_end_timestamp_seconds{team=~"$team"}, window)`, "", false, false)

	b.teamTable()
	b.teamQueue()
	b.teamWork()
	b.teamScores()
	return b
}

// teamTable shows all teams, to choose one.
func (b *board) teamTable() {
	each := func(expr string) string { return ofAll("max by (team) (" + expr + ")") }
	share := fmt.Sprintf("%s / on (team) (%s > 0)", waiting, limit)
	b.table(grid{0, 0, 24, 8}, b.T("teams"), b.T("teams.d")+" "+b.T("nps.margin.d"), b.T("oflimit"), true, []column{
		label("team", b.T("team")).with(property("links", []object{b.link(b.T("link.team"), "chattonic-team", "var-team=${__value.text:percentencode}"), b.link(b.T("link.operators"), "chattonic-operators", "var-team=${__value.text:percentencode}")})),
		number(b.T("waiting"), "none", 0, each(waiting)),
		number(b.T("oflimit"), "percentunit", 0, each(share)).with(background(0.0, good, 0.8, warning, 1.000001, alarm)...),
		number(b.T("atwork"), "none", 0, each(atWork)),
		number(b.T("progress"), "none", 0, each(teams("team:chattonic_queries_in_progress:sum"))),
		number(b.T("load"), "none", 1, each(load)).with(background(0.0, good, 3.0, warning, 5.0, alarm)...),
		number(b.T("drain"), "s", 0, each(drain)).with(background(0.0, good, 900.0, warning, 1800.0, alarm)...),
		state(b.T("drains"), each(never), meaning{-1, "▲ " + b.T("never"), alarm}),
		state(b.T("hours"), each(teams("team:chattonic_within_business_hours:max")), meaning{1, b.T("open"), good}, meaning{0, "☾ " + b.T("closed"), grey}),
		state("API", each(teams("chattonic_up")), meaning{1, b.T("answers"), good}, meaning{0, "? " + b.T("fails"), unknown}),
		number(b.T("resolved"), "none", 0, each(inWindow("team_window:chattonic_queries_resolved:sum"))),
		number(b.T("assigned"), "none", 0, each(inWindow("team_window:chattonic_queries_assigned:sum"))),
		number(b.T("handling"), "s", 0, each(inWindow("team_window:chattonic_query_duration:average_seconds"))),
		number(b.T("occupancy"), "percentunit", 0, each(inWindow("team_window:chattonic_occupancy:ratio"))).with(background(0.0, good, 0.8, warning, 0.9, alarm)...),
		number(b.T("ofassigned"), "percentunit", 0, each(inWindow("team_window:chattonic_resolution:ratio"))),
		number("NPS", "none", 0, each(manyNPS)),
		number(b.T("nps.few"), "none", 0, each(fewNPS)).with(text(), fixed(grey)),
		number("NPS ±", "none", 0, each(margin)),
		number(b.T("responses"), "none", 0, each(responses)),
	})
}

func (b *board) teamQueue() {
	b.row(8, b.T("queue"))
	b.graph(grid{0, 9, 16, 10}, b.T("waiting.past"), b.T("waiting.past.d"), "none", append(b.before(waiting), query{limit, "{{team}} " + b.T("limit")})...).
		style("B", "dash").style("C", "dot").style("D", "dash").colour("D", alarm).decimals(0).span(0)
	b.graph(grid{16, 9, 8, 10}, b.T("status"), b.T("status.d"), "none", query{fmt.Sprintf("sum by (status) (%s) > 0", teams("team_status:chattonic_operators:count")), "{{status}}"}).
		stacked().decimals(0).span(0).named("online", good, "away", warning, "offline", grey, "unknown", unknown)
	b.graph(grid{0, 19, 8, 8}, b.T("load"), b.T("load.graph.d"), "none", query{load, "{{team}}"}).colours(none, 3.0, warning, 5.0, alarm).limits().decimals(1).span(0)
	b.graph(grid{8, 19, 8, 8}, b.T("drain"), b.T("drain.graph.d"), "s", query{drain, "{{team}}"}).colours(none, 900.0, warning, 1800.0, alarm).limits().span(0)
	b.graph(grid{16, 19, 8, 8}, b.T("work"), b.T("work.d"), "none",
		query{teams("team:chattonic_queries_in_progress:sum"), "{{team}} " + b.T("progress")}, query{atWork, "{{team}} " + b.T("atwork")}).style("B", "dash").decimals(0).span(0)
}

func (b *board) teamWork() {
	resolved, assigned := inWindow("team_window:chattonic_queries_resolved:sum"), inWindow("team_window:chattonic_queries_assigned:sum")
	handling := inWindow("team_window:chattonic_query_duration:average_seconds")
	b.row(27, b.T("window"))
	b.graph(grid{0, 28, 8, 9}, b.T("flow"), b.T("flow.d"), "none", query{resolved, "{{team}} " + b.T("resolved")}, query{assigned, "{{team}} " + b.T("assigned")}).style("B", "dash").decimals(0).span(0)
	b.graph(grid{8, 28, 8, 9}, b.T("resolved.past"), b.T("resolved.past.d"), "none", b.before(resolved)...).style("B", "dash").style("C", "dot").decimals(0).span(0)
	b.graph(grid{16, 28, 8, 9}, b.T("handling.past"), b.T("handling.past.d"), "s", query{handling, "{{team}}"}, query{handling + " offset 1w", "{{team}} " + b.T("lastweek")}).style("B", "dot").span(0)
	b.graph(grid{0, 37, 8, 8}, b.T("occupancy"), b.T("occupancy.d"), "percentunit", query{inWindow("team_window:chattonic_occupancy:ratio"), "{{team}}"}).
		colours(none, 0.8, warning, 0.9, alarm).limits().span(0, 1)
	b.graph(grid{8, 37, 8, 8}, b.T("ofassigned"), b.T("ofassigned.d"), "percentunit", query{inWindow("team_window:chattonic_resolution:ratio"), "{{team}}"}).span(0)
	b.graph(grid{16, 37, 8, 8}, b.T("states"), b.T("states.d"), "none", query{fmt.Sprintf("sum by (state) (max by (team, state) (%s))", inWindow("chattonic_dashboard_queries")), "{{state}}"}).
		decimals(0).span(0).named("failed", alarm, "resolved", good, "in_progress", "blue", "pending", warning)
}

func (b *board) teamScores() {
	b.row(45, b.T("usersmessages"))
	b.graph(grid{0, 46, 8, 9}, b.T("messages"), b.T("messages.d"), "none", query{dashboardMetric("messages_received"), "{{team}} " + b.T("received")}, query{dashboardMetric("messages_sent"), "{{team}} " + b.T("sent")}).
		style("B", "dash").decimals(0).span(0)
	b.graph(grid{8, 46, 8, 9}, b.T("users"), b.T("users.d"), "none", query{dashboardMetric("active_users"), "{{team}} " + b.T("active")}, query{dashboardMetric("new_users"), "{{team}} " + b.T("new")}).
		style("B", "dash").decimals(0).span(0)
	total := func(metric string) string { return fmt.Sprintf("max by (team) (%s)", teams(metric)) }
	b.table(grid{16, 46, 8, 9}, b.T("total.all"), b.T("total.all.d"), b.T("team"), false, []column{
		label("team", b.T("team")), number(b.T("users.short"), "none", 0, total("chattonic_dashboard_users_all_time")),
		number(b.T("received"), "none", 0, total("chattonic_dashboard_messages_received_all_time")), number(b.T("sent"), "none", 0, total("chattonic_dashboard_messages_sent_all_time")),
	})

	b.row(55, b.T("scores"))
	b.graph(grid{0, 56, 8, 9}, b.T("efficiency"), b.T("efficiency.d"), "none", query{dashboardMetric("user_efficiency"), "{{team}} user efficiency"}, query{dashboardMetric("attention"), "{{team}} attention"},
		query{dashboardMetric("resolution"), "{{team}} resolution"}, query{dashboardMetric("attention_and_resolution"), "{{team}} attention and resolution"})
	b.graph(grid{8, 56, 8, 9}, "NPS ($window)", b.T("nps.d")+" "+b.T("nps.margin.d"), "none",
		query{manyNPS, "{{team}} " + b.T("ofoperators")}, query{dashboardMetric("nps"), "{{team}} " + b.T("ofdashboard")}, query{fewNPS, "{{team}} " + b.T("fewresponses")},
		query{fmt.Sprintf("clamp(%s + %s, -100, 100)", score, margin), "{{team}} + " + b.T("margin")}, query{fmt.Sprintf("clamp(%s - %s, -100, 100)", score, margin), "{{team}} − " + b.T("margin")}).
		style("B", "dash").colour("C", grey).style("D", "dot").style("E", "dot").decimals(0).span(-100, 100)
	b.graph(grid{16, 56, 8, 9}, b.T("csat"), b.T("csat.d"), "none", query{dashboardMetric("csat"), "{{team}}"})
	b.graph(grid{0, 65, 12, 7}, b.T("npsresponses"), b.T("npsresponses.d"), "none", query{responses, "{{team}}"}).decimals(0).span(0)
	start, end := fmt.Sprintf("max by (team) (%s)", inWindow("chattonic_window_start_timestamp_seconds")), fmt.Sprintf("max by (team) (%s)", inWindow("chattonic_window_end_timestamp_seconds"))
	b.table(grid{12, 65, 12, 7}, b.T("covers"), b.T("covers.d"), b.T("team"), false, []column{
		label("team", b.T("team")),
		{expr: "1000 * " + start, name: b.T("from"), unit: "dateTimeAsIso"},
		{expr: "1000 * " + end, name: b.T("until"), unit: "dateTimeAsIso"},
		number(b.T("length"), "s", 1, end+" - on (team) "+start),
	})
}
