package main

import (
	"fmt"
)

// jobs selects the chosen jobs of a metric, and teamsOfJobs the chosen teams in them, with
// further matchers.
func jobs(metric string) string { return metric + `{job=~"$job"}` }

func teamsOfJobs(metric, matchers string) string {
	return fmt.Sprintf(`%s{job=~"$job", team=~"$team"%s}`, metric, matchers)
}

// exporter is about the exporter itself. It is for those who run it, in English.
func exporter(l language) *board {
	b := newBoard(l, "chattonic-exporter", "Chat-Tonic / Exporter", "Health of the exporter and the API: failures, age of the data, API calls, and the process. It needs no recording rules.", "now-6h")
	b.variable("job", `label_values({__name__=~"chattonic_up|chattonic_exporter_build_info"}, job)`, "", true, true)
	b.variable("team", "label_values(chattonic_up, team)", "", true, true)
	b.exporterNow()
	b.exporterTeams()
	b.exporterCalls()
	b.exporterProcess()
	return b
}

// answers are the meanings of success.
var answers = []meaning{{1, "answers", good}, {0, "fails", unknown}}

var (
	up = teamsOfJobs("chattonic_up", "")
	// success is the time of the last answers.
	success = fmt.Sprintf("max by (team, collector, window) (%s)", teamsOfJobs("chattonic_scrape_collector_last_success_timestamp_seconds", ""))
)

// requests is the number of requests to the API, with further matchers.
func requests(matchers string) string {
	return teamsOfJobs("chattonic_exporter_api_requests_total", matchers)
}

// rate is a rate, summed by labels.
func rate(by, series string) string {
	return fmt.Sprintf("sum by (%s) (rate(%s[$__rate_interval]))", by, series)
}

func (b *board) exporterNow() {
	b.stat(grid{0, 0, 4, 5}, "Targets down", "Targets of the chosen jobs that Prometheus could not scrape. No data: the jobs have no targets at all.", "none",
		query{fmt.Sprintf("count(%s) - sum(%s)", jobs("up"), jobs("up")), "down"}).colours(unknown, 0.0, good, 1.0, alarm).decimals(0)
	b.stat(grid{4, 0, 4, 5}, "Teams whose API answers", "Share of the teams whose endpoints all answered for all windows at the last scrape. No data: no team was scraped.", "percentunit",
		query{fmt.Sprintf("avg(min by (team) (%s))", up), "answer"}).colours(unknown, 0.0, alarm, 1.0, good).decimals(0)
	b.never(b.stat(grid{8, 0, 4, 5}, "Oldest data", "Time since the API last answered, for the team, endpoint and window with the oldest data. Never: one has not answered since the exporter started.", "s",
		query{fmt.Sprintf("max(time() - (%s\n  or 0 * max by (team, collector, window) (%s == 0)))", success, teamsOfJobs("chattonic_scrape_collector_success", "")), "oldest"}).
		colours(unknown, 0.0, good, 600.0, warning, 900.0, alarm).decimals(0))
	b.stat(grid{12, 0, 4, 5}, "Refused in the last hour", "Calls that the API answered with 401, 403 (a bad token) or 429 (too many calls). No data: no call was made.", "none",
		query{fmt.Sprintf("sum(increase(%s[1h])) or 0 * sum(increase(%s[1h]))", requests(`, code=~"401|403|429"`), requests("")), "refused"}).colours(unknown, 0.0, good, 1.0, alarm).decimals(0)
	b.stat(grid{16, 0, 3, 5}, "Configuration", "Whether the last reload of the configuration succeeded. Kept: it failed, and the previous configuration stays active.", "none",
		query{fmt.Sprintf("min(%s)", jobs("chattonic_exporter_config_last_reload_successful")), "reload"}).means(meaning{1, "read", good}, meaning{0, "kept", alarm})
	b.table(grid{19, 0, 5, 5}, "Versions", "Version of each exporter, and the time when its configuration was loaded.", "Exporter", false, []column{
		label("instance", "Exporter"), label("version", "Version"),
		{expr: fmt.Sprintf("max by (instance, version) (%s)", jobs("chattonic_exporter_build_info"))},
		{expr: fmt.Sprintf("1000 * max by (instance) (%s)", jobs("chattonic_exporter_config_last_reload_success_timestamp_seconds")), name: "Configured", unit: "dateTimeFromNow"},
	})
}

func (b *board) exporterTeams() {
	b.row(5, "Teams")
	b.timeline(grid{0, 6, 12, 8}, "Teams whose API answers", "Whether all endpoints of the team answered for all windows. Gaps: the exporter was not scraped.", query{fmt.Sprintf("min by (team) (%s)", up), "{{team}}"}, answers...)
	b.graph(grid{12, 6, 12, 8}, "Age of the data", "Time since the endpoint last answered, for the window with the oldest data. With a time-to-live (ttl) it rises up to the ttl by design.", "s",
		query{fmt.Sprintf("time() - min by (team, collector) (%s)", success), "{{team}} {{collector}}"}).colours(none, 600.0, warning, 900.0, alarm).limits().span(0)
	b.table(grid{0, 14, 24, 10}, "Answers",
		"One row per team, endpoint and window; failed ones first. If an answer has several rows, counts are added up, and values that cannot be added are missing. Set date_format_group in the exporter's configuration to get one row.",
		"Last scrape", false, []column{
			label("team", "Team"), label("collector", "Endpoint"), label("window", "Window"),
			state("Last scrape", fmt.Sprintf("min by (team, collector, window) (%s)", teamsOfJobs("chattonic_scrape_collector_success", "")), answers...),
			number("Age", "s", 0, "time() - "+success).with(background(0.0, good, 600.0, warning, 900.0, alarm)...),
			number("Took", "s", 2, fmt.Sprintf("max by (team, collector, window) (%s)", teamsOfJobs("chattonic_scrape_collector_duration_seconds", ""))),
			number("Rows", "none", 0, fmt.Sprintf(`label_replace(max by (team, window) (%s), "collector", "dashboard", "", "")`, teamsOfJobs("chattonic_dashboard_rows", ""))).with(background(0.0, good, 2.0, warning)...),
		})
	b.graph(grid{0, 24, 16, 8}, "Answers that differ from the documentation",
		"Fields of the last answer for the team's first window that are undocumented, missing or have implausible values. chattonic_exporter check teams shows them. Lines end when the endpoint fails.", "none",
		query{fmt.Sprintf("max by (team, endpoint, kind) (%s)", teamsOfJobs("chattonic_api_contract_violations", "")), "{{team}} {{endpoint}} {{kind}}"}).decimals(0).span(0)
	b.table(grid{16, 24, 8, 8}, "States without a meaning",
		"Operators in a state that neither the exporter knows (online, away, offline, unknown) nor the team's at_work names. They count as not at work. If operators in such a state attend queries, add it to at_work. No data: none.",
		"Operators", true, []column{label("team", "Team"), label("status", "State"), {
			name: "Operators", unit: "none",
			expr: fmt.Sprintf("count by (team, status) (%s == 1 unless on (job, instance, team, operator_id) %s == 1)",
				teamsOfJobs("chattonic_operator_status", `, status!~"(?i)online|away|offline|unknown"`), teamsOfJobs("chattonic_operator_at_work", "")),
		}})
}

func (b *board) exporterCalls() {
	b.row(32, "Calls to the API")
	b.graph(grid{0, 33, 8, 9}, "Calls by status code", "HTTP requests to the API, including retries. None: no answer.", "reqps", query{rate("code", requests("")), "{{code}}"}).stacked().span(0).
		named("200", good, "429", warning, "none", unknown).override("byRegexp", "4(0.|1.|2[0-8])", fixed("yellow")).override("byRegexp", "5..", fixed(alarm))
	quantile := func(q float64) query {
		buckets, native := teamsOfJobs("chattonic_exporter_api_request_duration_seconds_bucket", ""), teamsOfJobs("chattonic_exporter_api_request_duration_seconds", "")
		return query{fmt.Sprintf("histogram_quantile(%v, %s)\n  or histogram_quantile(%[1]v, %[3]s)", q, rate("le, endpoint", buckets), rate("endpoint", native)), fmt.Sprintf("{{endpoint}} %.0f %%", 100*q)}
	}
	b.graph(grid{8, 33, 8, 9}, "Latency", "Duration of HTTP requests, to the end of the answer: median, 95th and 99th percentile. From the classic histogram, or from the native one if only that is stored.", "s",
		quantile(0.5), quantile(0.95), quantile(0.99)).span(0)
	b.graph(grid{16, 33, 8, 9}, "Calls by team", "HTTP requests to the API, which may have undocumented limits.", "reqps", query{rate("team", requests("")), "{{team}}"}).span(0)
	b.graph(grid{0, 42, 8, 8}, "Throttled (429)", "Calls that the API answered with 429 (too many requests): raise ttl or the scrape interval. No line: none.", "reqps", query{rate("team", requests(`, code="429"`)) + " > 0", "{{team}}"}).span(0)
	b.graph(grid{8, 42, 8, 8}, "Token rejected (401, 403)", "Calls that the API answered with 401 or 403: the token is wrong or has expired. No line: none.", "reqps", query{rate("team", requests(`, code=~"401|403"`)) + " > 0", "{{team}}"}).span(0)
	b.graph(grid{16, 42, 8, 8}, "Retries", "HTTP requests that retry a failed one. No line: none.", "reqps", query{rate("team", teamsOfJobs("chattonic_exporter_api_retries_total", "")) + " > 0", "{{team}}"}).span(0)
	b.graph(grid{0, 50, 24, 6}, "Pauses that the API asked for", "Time until the endpoint is requested again. The API answered HTTP 429, or 503 with a Retry-After header. No data means no pause.", "s",
		query{fmt.Sprintf("clamp_min(max by (team, endpoint) (%s) - time(), 0)", teamsOfJobs("chattonic_api_paused_until_timestamp_seconds", "")), "{{team}} {{endpoint}}"}).span(0)
}

func (b *board) exporterProcess() {
	b.row(56, "Process")
	b.graph(grid{0, 57, 8, 8}, "Scrape duration", "Duration of Prometheus's scrapes, the slowest instance of each job; dashed: the collectors within the scrape.", "s",
		query{fmt.Sprintf("max by (job) (%s)", jobs("scrape_duration_seconds")), "{{job}}"},
		query{fmt.Sprintf("max by (collector) (%s)", teamsOfJobs("chattonic_scrape_collector_duration_seconds", "")), "{{collector}}"}).style("B", "dash").span(0)
	b.graph(grid{8, 57, 8, 8}, "Samples", "Samples per scrape, summed over the targets of the job. The number grows with operators and windows.", "short",
		query{fmt.Sprintf("sum by (job) (%s)", jobs("scrape_samples_scraped")), "{{job}}"}).span(0)
	b.graph(grid{16, 57, 8, 8}, "Memory", "Resident memory of the process, and the part that is Go heap in use (dashed).", "bytes",
		query{jobs("process_resident_memory_bytes"), "{{instance}} resident"}, query{jobs("go_memory_classes_heap_objects_bytes"), "{{instance}} heap"}).style("B", "dash").span(0)
	b.graph(grid{0, 65, 8, 8}, "CPU", "CPU seconds per second.", "none", query{fmt.Sprintf("rate(%s[$__rate_interval])", jobs("process_cpu_seconds_total")), "{{instance}}"}).decimals(3).span(0)
	b.graph(grid{8, 65, 8, 8}, "Goroutines", "Goroutines of the process. A number that only rises indicates a leak.", "none", query{jobs("go_goroutines"), "{{instance}}"}).decimals(0).span(0)
	b.graph(grid{16, 65, 8, 8}, "File descriptors", "Open files and connections, as a share of the limit of the process.", "percentunit",
		query{fmt.Sprintf("%s / %s", jobs("process_open_fds"), jobs("process_max_fds")), "{{instance}}"}).colours(none, 0.7, warning, 0.9, alarm).limits().span(0, 1)
}
