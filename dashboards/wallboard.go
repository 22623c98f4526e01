package main

import "fmt"

// teams selects the chosen teams of a metric, and inWindow those in the chosen window.
func teams(metric string) string { return metric + `{team=~"$team"}` }

func inWindow(metric string) string { return metric + `{team=~"$team", window="$window"}` }

// The queue of a team now. Each state excludes the others, as on the pages for people.
var (
	waiting  = teams("team:chattonic_queries_pending:max")
	limit    = teams("team:chattonic_queries_pending_threshold:max")
	atWork   = teams("team:chattonic_operators_at_work:count")
	load     = teams("team:chattonic_load:ratio")
	drain    = teams("team:chattonic_queries_pending:drain_seconds")
	isClosed = teams("team:chattonic_within_business_hours:max") + " == 0"

	unattended = fmt.Sprintf("(%s > 0 and on (team) %s == 0 unless on (team) %s)", waiting, atWork, isClosed)
	aboveLimit = fmt.Sprintf("(%s > on (team) %s and on (team) %s > 0 unless on (team) %s)", waiting, limit, atWork, isClosed)
	nearLimit  = fmt.Sprintf("((%s > on (team) (0.8 * %s)) <= on (team) %s and on (team) %s > 0 unless on (team) %s)", waiting, limit, limit, atWork, isClosed)
	isWell     = fmt.Sprintf("((%s <= on (team) (0.8 * %s) and on (team) %s > 0 or %s == 0) unless on (team) %s)", waiting, limit, atWork, waiting, isClosed)
	inClosed   = fmt.Sprintf("(%s and on (team) %s)", waiting, isClosed)
	never      = fmt.Sprintf("(0 * (%s > 0) - 1 and on (team) (%s == 0 or %s == 0))", waiting, atWork, teams("team:chattonic_queries_resolved:per_second"))
)

// missing gives teams without a queue a value below 0: those whose API does not answer, and
// those of an exporter that is down. A team that is no longer configured has none: its exporter
// is up.
func missing(value int) string {
	up := teams("chattonic_up")
	return fmt.Sprintf("(0 * max by (team) (%s or last_over_time(%s[1h]) unless on (job, instance, team) %s unless on (job, instance) up == 1) %d unless on (team) %s)",
		up, up, up, value, waiting)
}

// lastAnswers is the time of the last answers of the operators endpoint. It includes the last
// 15 minutes before an exporter went down, but no team that is no longer configured.
const lastAnswers = `max by (team, collector, window) (
      max_over_time(chattonic_scrape_collector_last_success_timestamp_seconds{collector="operators", team=~"$team"}[15m]) and on (job, instance, team) chattonic_up{team=~"$team"}
    or
      max_over_time(chattonic_scrape_collector_last_success_timestamp_seconds{collector="operators", team=~"$team"}[15m]) unless on (job, instance) up == 1
  )`

// The alerts of the queue and the API, and whether Prometheus evaluates the alerts at all.
const (
	firing  = `count by (alertname) (ALERTS{alertname=~"Chattonic.+", alertstate="firing", area=~"queue|api|exporter", team=~"$team|"})`
	noAlert = `0 * max(ALERTS{alertname="ChattonicWatchdog", alertstate="firing"}) unless on () count(ALERTS{alertname=~"Chattonic.+", alertstate="firing", area=~"queue|api|exporter", team=~"$team|"})`
)

func wallboard(l language) *board {
	b := newBoard(l, "chattonic-wallboard", "Chat-Tonic / "+l.T("wall"), l.T("wall.d"), "now-3h")
	b.showAlerts()
	b.variable("team", "label_values(chattonic_up, team)", "", true, true)
	b.variable("window", `label_values(chattonic_window_end_timestamp_seconds{team=~"$team"}, window)`, "", false, false)
	dash := meaning{-1, "—", unknown}

	b.tiles(grid{0, 0, 12, 8}, b.T("waiting.now"), b.T("waiting.now.d"), "none",
		tile{unattended, "▲ " + b.T("nobody") + ":", alarm}, tile{aboveLimit, "▲ " + b.T("above") + ":", alarm}, tile{nearLimit, "● " + b.T("near") + ":", warning},
		tile{isWell, "✓", good}, tile{inClosed, "☾ " + b.T("closed") + ":", closed}, tile{missing(-1), "? " + b.T("nodata") + ":", unknown}).decimals(0).means(dash)
	b.tiles(grid{12, 0, 12, 8}, b.T("drain"), b.T("drain.d"), "s",
		tile{drain + " < 900", "✓", good}, tile{drain + " >= 900 < 1800", "●", warning}, tile{drain + " >= 1800", "▲", alarm},
		tile{"(" + never + " unless on (team) " + isClosed + ")", "▲", alarm}, tile{"(" + never + " and on (team) " + isClosed + ")", "☾", closed},
		tile{fmt.Sprintf("(%s or 0 * %s - 2 unless on (team) (%s or %s))", missing(-2), waiting, drain, never), "?", unknown},
	).decimals(0).means(meaning{-1, b.T("never"), alarm}, meaning{-2, "—", unknown})
	b.tiles(grid{0, 8, 8, 7}, b.T("atwork"), b.T("atwork.d"), "none",
		tile{atWork + " > 0", "✓", good}, tile{fmt.Sprintf("(%s == 0 and on (team) %s)", atWork, unattended), "▲", alarm},
		tile{fmt.Sprintf("(%s == 0 unless on (team) %s)", atWork, unattended), "☾", closed}, tile{missing(-1), "?", unknown}).decimals(0).means(dash)
	b.tiles(grid{8, 8, 8, 7}, b.T("load"), b.T("load.d"), "none",
		tile{load + " < 3", "✓", good}, tile{load + " >= 3 < 5", "●", warning}, tile{load + " >= 5", "▲", alarm},
		tile{fmt.Sprintf("(0 * %s - 1 and on (team) %s)", atWork, unattended), "▲", alarm},
		tile{fmt.Sprintf("(0 * (%s == 0) - 1 unless on (team) %s)", atWork, unattended), "☾", closed}, tile{missing(-2), "?", unknown},
	).decimals(1).means(meaning{-1, b.T("nobody"), alarm}, meaning{-2, "—", unknown})
	b.never(b.stat(grid{16, 8, 4, 7}, b.T("age"), b.T("age.d"), "s", query{
		fmt.Sprintf("max(time() - (%s\n  or 0 * max by (team, collector, window) (chattonic_scrape_collector_success{collector=\"operators\", team=~\"$team\"} == 0)))", lastAnswers), "",
	}).colours(unknown, 0.0, good, 180.0, warning, 300.0, alarm).decimals(0))
	alerts := b.stat(grid{20, 8, 4, 7}, b.T("alerts"), b.T("alerts.d"), "none", query{firing, "{{alertname}}"}, query{noAlert, b.T("alerts.none")}).
		colours(unknown, 0.0, good, 1.0, alarm).decimals(0)
	alerts.FieldConfig.Defaults.NoValue = ptr(b.T("alerts.nodata"))
	alerts.showNames()

	b.graph(grid{0, 15, 16, 9}, b.T("waiting"), b.T("waiting.d"), "none", query{waiting, "{{team}}"}, query{limit, "{{team}} " + b.T("limit")}).style("B", "dash").decimals(0).span(0)
	b.bars(grid{16, 15, 8, 9}, b.T("status"), b.T("status.d"), "none", query{fmt.Sprintf("sum by (status) (%s) > 0", teams("team_status:chattonic_operators:count")), "{{status}}"}).
		decimals(0).named("online", good, "away", warning, "offline", grey, "unknown", unknown)
	return b
}
