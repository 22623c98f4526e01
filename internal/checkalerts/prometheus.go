package checkalerts

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

const (
	// lateScrapes is how many scrape intervals old a sample may be, and minimumAge
	// what it may be in any case.
	lateScrapes = 3
	minimumAge  = 15 * time.Second
	// tooOld is the age of an answer at which ChattonicDataTooOld fires.
	tooOld = 900 * time.Second
)

// checkPrometheus makes the checks that ask Prometheus.
func (c *checker) checkPrometheus(ctx context.Context) {
	now, err := c.prometheus.time(ctx)
	if err != nil {
		c.report.add(checkPrometheus, Failed, err.Error()+". Targets, rules, teams and series are not checked.", "Start Prometheus, or correct --prometheus.url.")
		return
	}
	c.now = now
	c.checkReload(ctx)
	c.checkTargets(ctx)
	c.checkLabels(ctx)
	c.checkRules(ctx)
	c.checkTeams(ctx)
	c.checkSeries(ctx)
	c.checkKnownAlertmanagers(ctx)
	c.checkNotifications(ctx)
	c.readExternalLabels(ctx)
}

// checkReload reports whether Prometheus runs with its current files.
func (c *checker) checkReload(ctx context.Context) {
	var info struct {
		Success bool `json:"reloadConfigSuccess"`
	}
	err := c.prometheus.getData(ctx, "api/v1/status/runtimeinfo", nil, &info)
	switch {
	case err != nil:
		c.unchecked(checkPrometheus, err)
	case !info.Success:
		c.report.add(checkPrometheus, Warning, c.prometheus.String()+" runs with an older configuration, because its last reload failed", "Its log says why; so does promtool check config. Changes to rules and targets have no effect until then, and it will not start again.")
	default:
		c.report.add(checkPrometheus, OK, c.prometheus.String()+" answers", "")
	}
}

// target is a target of Prometheus.
type target struct {
	Labels         map[string]string `json:"labels"`
	Health         string            `json:"health"`
	LastError      string            `json:"lastError"`
	ScrapeInterval string            `json:"scrapeInterval"`
}

// checkTargets finds the exporter's targets.
func (c *checker) checkTargets(ctx context.Context) {
	var data struct {
		ActiveTargets []target `json:"activeTargets"`
	}
	if err := c.prometheus.getData(ctx, "api/v1/targets", url.Values{"state": {"active"}}, &data); err != nil {
		c.unchecked(checkTargets, err)
		return
	}
	var up, waiting, down []string
	reason := ""
	c.interval = 0
	for _, t := range data.ActiveTargets {
		job, instance := t.Labels["job"], t.Labels["instance"]
		if !isExporterJob(job) || c.Team != "" && job == "chattonic-teams" && instance != c.Team {
			continue
		}
		if interval, err := model.ParseDuration(t.ScrapeInterval); err == nil {
			c.interval = max(c.interval, time.Duration(interval))
		}
		name := job + " " + instance
		switch t.Health {
		case "up":
			up = append(up, name)
		case "unknown":
			waiting = append(waiting, name)
		default:
			down = append(down, name)
			reason = t.LastError
		}
	}
	if c.interval == 0 {
		c.interval = time.Minute
	}
	for _, names := range [][]string{up, waiting, down} {
		slices.Sort(names)
	}
	if len(up)+len(waiting)+len(down) == 0 {
		c.report.add(checkTargets, Failed, `no target has a job with "chattonic" in its name, so there is no data of any team`, "Add the job of deploy/prometheus/prometheus.yml to scrape_configs and reload Prometheus. The alerts select the job by its name.")
	}
	if len(down) > 0 {
		c.report.add(checkTargets, Failed, fmt.Sprintf("down: %s (%s)", list(down), reason), "Start the exporter, or correct address, TLS and password in scrape_configs: RUNBOOK.md#chattonicexporterdown.")
	}
	if len(waiting) > 0 {
		c.report.add(checkTargets, Failed, "not scraped yet: "+list(waiting), fmt.Sprintf("Check again after the scrape interval of %s.", c.interval))
	}
	if len(up) > 0 {
		c.report.add(checkTargets, OK, fmt.Sprintf("%s up: %s", number(len(up), "target"), list(up)), "")
	}
}

// checkLabels finds out whether scraping leaves the label team as it is.
func (c *checker) checkLabels(ctx context.Context) {
	hidden, err := c.prometheus.query(ctx, `count by (job) ({__name__=~"chattonic_.+",exported_team!=""})`)
	if err != nil {
		c.unchecked(checkLabels, err)
		return
	}
	lacking, err := c.prometheus.query(ctx, `count by (job) (chattonic_up{team=""} or chattonic_queries_pending{team=""})`)
	if err != nil {
		c.unchecked(checkLabels, err)
		return
	}
	if len(hidden) > 0 {
		c.report.add(checkLabels, Failed, fmt.Sprintf("the targets of job %s have a label team of their own, which hides the exporter's as exported_team: all its teams look like one", list(jobs(hidden))),
			"Remove the label team from static_configs, service discovery or relabel_configs, or set honor_labels: true.")
	}
	if len(lacking) > 0 {
		c.report.add(checkLabels, Failed, fmt.Sprintf("series of job %s lack the label team", list(jobs(lacking))), "Remove what drops the label from metric_relabel_configs.")
	}
	if len(hidden)+len(lacking) == 0 {
		c.report.add(checkLabels, OK, "the label team is as the exporter exports it", "")
	}
}

func jobs(samples []sample) (names []string) {
	for _, s := range samples {
		names = append(names, s.Metric["job"])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// teamData is what there is about each team.
type teamData struct {
	recent   map[string]float64 // series within the last hour
	current  map[string]float64 // series now
	failing  map[string]float64 // failed requests for the operators
	scraped  map[string]float64 // when the queue was scraped
	answered map[string]float64 // when the API last answered about the operators
	recorded map[string]float64 // number of recorded series that alerts about queues need
}

// readTeams reads the data of all teams.
func (c *checker) readTeams(ctx context.Context) (d teamData, err error) {
	for _, q := range []struct {
		into *map[string]float64
		expr string
	}{
		{&d.recent, `group by (team) (last_over_time(chattonic_up[1h]))`},
		{&d.current, `group by (team) (chattonic_up)`},
		{&d.failing, `max by (team) (chattonic_scrape_collector_success{collector="operators"}) == 0`},
		{&d.scraped, `max by (team) (timestamp(chattonic_queries_pending))`},
		{&d.answered, `max by (team) (chattonic_scrape_collector_last_success_timestamp_seconds{collector="operators"})`},
		{&d.recorded, `count by (team) (group by (team, __name__) ({__name__=~"team:chattonic_(queries_pending:max|queries_pending_threshold:max|operators_at_work:count)"}))`},
	} {
		if *q.into, err = c.prometheus.byTeam(ctx, q.expr); err != nil {
			return d, err
		}
	}
	return d, nil
}

// faultOfTeam returns what is wrong with a team, or "".
func (c *checker) faultOfTeam(d teamData, team string) string {
	late := max(lateScrapes*c.interval, minimumAge)
	switch {
	case d.recent[team] == 0:
		return noTeam
	case d.current[team] == 0:
		return goneTeam
	case hasKey(d.failing, team):
		return apiFails
	case d.scraped[team] == 0:
		return noQueue
	case c.age(d.scraped[team]) > late:
		return oldSample
	case d.answered[team] == 0 || c.age(d.answered[team]) > max(late, tooOld):
		return oldAnswer
	case d.recorded[team] < 3:
		return noRecording
	case c.age(d.answered[team]) > late:
		return cachedAnswer
	}
	return ""
}

// checkTeams finds the teams, and what data there is of each.
func (c *checker) checkTeams(ctx context.Context) {
	data, err := c.readTeams(ctx)
	if err != nil {
		c.unchecked(checkTeams, err)
		return
	}
	if c.Team == "" {
		c.report.Teams = append(c.report.Teams, slices.Sorted(maps.Keys(data.recent))...)
	}
	faulty := make(map[string][]string) // teams by fault
	for _, team := range c.report.Teams {
		fault := c.faultOfTeam(data, team)
		faulty[fault] = append(faulty[fault], team)
	}
	if len(c.report.Teams) == 0 {
		c.report.add(checkTeams, Failed, "there is no team: no series chattonic_up in the last hour", "See the targets above. If they are up, add teams to the exporter's configuration.")
	}
	for _, fault := range []string{noTeam, goneTeam, apiFails, noQueue, oldSample, oldAnswer, noRecording, cachedAnswer} {
		status := Failed
		if fault == cachedAnswer || fault == goneTeam && c.Team == "" {
			status = Warning
		}
		if teams := faulty[fault]; teams != nil {
			c.report.add(checkTeams, status, fmt.Sprintf("%s: %s", list(teams), fault), adviceAboutTeams[fault])
		}
	}
	if good := faulty[""]; good != nil {
		c.report.add(checkTeams, OK, fmt.Sprintf("%s with a current queue: %s", number(len(good), "team"), list(good)), "")
	}
}

func hasKey(values map[string]float64, key string) bool {
	_, found := values[key]
	return found
}

// What can be wrong with a team.
const (
	noTeam       = "no series of this team in the last hour"
	apiFails     = "requests for its operators fail, so its queue is not known"
	goneTeam     = "there were series in the last hour, but there are none now"
	noQueue      = "it is scraped, but chattonic_queries_pending is absent"
	oldSample    = "chattonic_queries_pending is older than 3 scrape intervals"
	oldAnswer    = "the last answer about its operators is older than 15 minutes, or there was none"
	noRecording  = "it lacks a series team:chattonic_… that the alerts about queues need"
	cachedAnswer = "the last answer about its operators is older than 3 scrape intervals"
)

var adviceAboutTeams = map[string]string{
	noTeam:       "Compare the codename with the exporter's configuration and its page /.",
	apiFails:     "RUNBOOK.md#chattonicteamapifailing. The exporter's log says why.",
	goneTeam:     "If the targets are up, the exporter's configuration no longer has it. After a removal on purpose this ends within an hour.",
	noQueue:      "Is the collector operators switched off for the team, or does metric_relabel_configs drop it?",
	oldSample:    "See the targets above; compare the clocks of exporter and Prometheus.",
	oldAnswer:    "RUNBOOK.md#chattonicdatatooold.",
	noRecording:  "See the rules. After a start, check again when they have been evaluated.",
	cachedAnswer: "A ttl of the collector operators explains it. If there is none: RUNBOOK.md#chattonicdatatooold.",
}

// age returns how old a Unix time is.
func (c *checker) age(timestamp float64) time.Duration {
	return c.now.Sub(time.UnixMilli(int64(timestamp * 1000)))
}

// checkSeries finds the alerts whose expressions lack a metric.
func (c *checker) checkSeries(ctx context.Context) {
	var names []string
	for _, r := range c.rules {
		if r.Alert != "" {
			names = append(names, r.needs...)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	found, err := c.prometheus.query(ctx, fmt.Sprintf(`count by (__name__) ({__name__=~%q})`, strings.Join(names, "|")))
	if err != nil {
		c.unchecked(checkSeries, err)
		return
	}
	present := make(map[string]bool)
	for _, f := range found {
		present[f.Metric["__name__"]] = true
	}
	lacking := make(map[string][]string) // alerts by metric
	alerts := 0
	for _, r := range c.rules {
		if r.Alert == "" {
			continue
		}
		alerts++
		for _, name := range r.needs {
			if !present[name] && !slices.Contains(lacking[name], r.Alert) {
				lacking[name] = append(lacking[name], r.Alert)
			}
		}
	}
	needed := false
	for _, name := range names {
		if len(lacking[name]) > 0 && !maybeAbsent[name] {
			needed = true
			c.report.add(checkSeries, Failed, fmt.Sprintf("%s is absent, and needed by %s", name, list(lacking[name])), adviceAboutSeries(name))
		}
	}
	if !needed {
		c.report.add(checkSeries, OK, fmt.Sprintf("all %d alerts have the series that they need", alerts), "")
	}
}

func adviceAboutSeries(name string) string {
	if strings.Contains(name, ":") {
		return "See rules and teams above: recording.yml must be loaded, and its metrics present."
	}
	return "See targets and teams above. If they are well, look for metric_relabel_configs that drop it."
}

// checkKnownAlertmanagers reads the addresses that Prometheus sends alerts to.
func (c *checker) checkKnownAlertmanagers(ctx context.Context) {
	var data struct {
		Active []struct {
			URL string `json:"url"`
		} `json:"activeAlertmanagers"`
	}
	if err := c.prometheus.getData(ctx, "api/v1/alertmanagers", nil, &data); err != nil {
		c.unchecked(checkAlertmanager, err)
		return
	}
	for _, a := range data.Active {
		c.known = append(c.known, strings.TrimSuffix(strings.TrimSuffix(a.URL, "/"), "/api/v2/alerts"))
	}
	if len(c.known) == 0 {
		c.report.add(checkAlertmanager, Failed, "Prometheus has no Alertmanager, so no alert leaves it", "Set alerting.alertmanagers as in deploy/prometheus/prometheus.yml and reload Prometheus.")
		return
	}
	c.report.add(checkAlertmanager, OK, "Prometheus sends alerts to "+list(c.known), "")
}

// checkNotifications looks for failures to send alerts to Alertmanager, and reads
// which alerts fire.
func (c *checker) checkNotifications(ctx context.Context) {
	// For a minute, so that Alertmanager must have them.
	const firing = `ALERTS{alertname=~"Chattonic.+",alertstate="firing"}`
	found, err := c.prometheus.query(ctx, firing+" and "+firing+" offset 1m")
	if err != nil {
		c.unchecked(checkDelivery, err)
	} else {
		c.firing = append([]sample{}, found...)
	}

	own, err := c.prometheus.query(ctx, `count(prometheus_notifications_errors_total)`)
	if err != nil {
		c.unchecked(checkNotifications, err)
		return
	}
	if len(own) == 0 {
		c.report.add(checkNotifications, Skipped, "Prometheus does not scrape itself, so its failures to send alerts are not known", "Add a job with Prometheus itself as its target to scrape_configs.")
		return
	}
	failed, err := c.prometheus.query(ctx, `sum(increase(prometheus_notifications_errors_total[10m])) + sum(increase(prometheus_notifications_dropped_total[10m])) > 0`)
	switch {
	case err != nil:
		c.unchecked(checkNotifications, err)
	case len(failed) > 0:
		c.report.add(checkNotifications, Failed, "in the last 10 minutes Prometheus failed to send alerts to Alertmanager, or dropped them", "Prometheus's log says why. Check that its host reaches Alertmanager.")
	default:
		c.report.add(checkNotifications, OK, "Prometheus sent all alerts of the last 10 minutes to Alertmanager", "")
	}
}

// readExternalLabels reads the labels that Prometheus adds to each alert: silences and
// routes may match them.
func (c *checker) readExternalLabels(ctx context.Context) {
	var data struct {
		YAML string `json:"yaml"`
	}
	err := c.prometheus.getData(ctx, "api/v1/status/config", nil, &data)
	var config struct {
		Global struct {
			ExternalLabels map[string]string `yaml:"external_labels"`
		} `yaml:"global"`
		Alerting struct {
			Relabelling []any `yaml:"alert_relabel_configs"`
		} `yaml:"alerting"`
	}
	if err == nil {
		err = yaml.Unmarshal([]byte(data.YAML), &config)
	}
	if err != nil {
		c.unchecked(checkLabels, fmt.Errorf("external labels: %w", err))
		return
	}
	c.external = config.Global.ExternalLabels
	if len(config.Alerting.Relabelling) > 0 {
		c.report.add(checkLabels, Warning, "Prometheus has alert_relabel_configs, which can change or drop alerts; this is not checked", "Use --drill to test what follows, and read them.")
	}
}
