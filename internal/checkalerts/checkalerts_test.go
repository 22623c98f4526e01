package checkalerts

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kingpin/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/internal/usage"
)

var now = time.Date(2021, 11, 9, 15, 0, 0, 0, time.UTC) // a Tuesday

// setUp is a made-up Prometheus and Alertmanager. Tests change what they answer.
type setUp struct {
	// data are the answers of Prometheus by path, and results those to queries.
	data    map[string]any
	results map[string][]map[string]any
	// pages are Alertmanager's answers by path.
	pages map[string]any
	// failing are paths that answer 500.
	failing map[string]bool
	// notified are the answers to successive reads of Alertmanager's metrics.
	notified []string

	mu       sync.Mutex
	posted   []postedAlert
	requests []*http.Request

	prometheus, alertmanager *httptest.Server
}

type postedAlert struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
}

type object = map[string]any

func series(value float64, labels ...string) object {
	metric := make(map[string]string)
	for i := 0; i < len(labels); i += 2 {
		metric[labels[i]] = labels[i+1]
	}
	return object{"metric": metric, "value": []any{0, fmt.Sprint(value)}}
}

const (
	queryTime     = `vector(time())`
	queryHidden   = `count by (job) ({__name__=~"chattonic_.+",exported_team!=""})`
	queryLacking  = `count by (job) (chattonic_up{team=""} or chattonic_queries_pending{team=""})`
	queryRecent   = `group by (team) (last_over_time(chattonic_up[1h]))`
	queryCurrent  = `group by (team) (chattonic_up)`
	queryFailing  = `max by (team) (chattonic_scrape_collector_success{collector="operators"}) == 0`
	queryScraped  = `max by (team) (timestamp(chattonic_queries_pending))`
	queryAnswered = `max by (team) (chattonic_scrape_collector_last_success_timestamp_seconds{collector="operators"})`
	queryRecorded = `count by (team) (group by (team, __name__) ({__name__=~"team:chattonic_(queries_pending:max|queries_pending_threshold:max|operators_at_work:count)"}))`
	queryFiring   = `ALERTS{alertname=~"Chattonic.+",alertstate="firing"} and ALERTS{alertname=~"Chattonic.+",alertstate="firing"} offset 1m`
	queryOwn      = `count(prometheus_notifications_errors_total)`
	queryErrors   = `sum(increase(prometheus_notifications_errors_total[10m])) + sum(increase(prometheus_notifications_dropped_total[10m])) > 0`
	queryNames    = `count by (__name__)` // the beginning

	counted = "# TYPE alertmanager_notification_requests_total counter\n# TYPE alertmanager_notification_requests_failed_total counter\nalertmanager_notification_requests_total{integration=\"webhook\"} %d\nalertmanager_notification_requests_failed_total{integration=\"webhook\"} %d\n"
)

const routing = `
route:
  receiver: webhook
  group_wait: 10ms
  routes:
    - matchers: ['area=~"queue|quality"']
      mute_time_intervals: [closed]
      routes:
        - {matchers: [severity="critical"], receiver: webhook, continue: true, mute_time_intervals: [closed]}
        - {matchers: ['{team="globex"}'], receiver: slack, mute_time_intervals: [closed]}
inhibit_rules:
  - {source_matchers: [alertname="ChattonicTeamAPIFailing", collector=~"operators|all"], target_matchers: [area=~"queue|quality"], equal: [team]}
  - {source_match: {alertname: ChattonicExporterDown}, target_match_re: {area: api|queue}}
time_intervals:
  - name: closed
    time_intervals:
      - {weekdays: [saturday, sunday], location: America/Argentina/Buenos_Aires}
      - {times: [{start_time: '00:00', end_time: '08:00'}, {start_time: '20:00', end_time: '24:00'}], location: America/Argentina/Buenos_Aires}
receivers:
  - {name: webhook, webhook_configs: [{url_file: /x}]}
  - {name: slack, slack_configs: [{api_url: <secret>}]}
`

// good is a set-up in which all is well.
func good(t *testing.T) *setUp {
	t.Helper()
	s := &setUp{failing: map[string]bool{}, notified: []string{fmt.Sprintf(counted, 3, 1), fmt.Sprintf(counted, 3, 1), fmt.Sprintf(counted, 4, 1)}}
	s.prometheus = httptest.NewServer(http.HandlerFunc(s.answerPrometheus))
	s.alertmanager = httptest.NewServer(http.HandlerFunc(s.answerAlertmanager))
	t.Cleanup(s.prometheus.Close)
	t.Cleanup(s.alertmanager.Close)

	rules, err := shippedRules()
	require.NoError(t, err)
	var loaded []object
	var names []object
	for _, r := range rules {
		loaded = append(loaded, object{
			"type": r.kind(), "name": r.name(), "query": strings.Join(strings.Fields(promComment.ReplaceAllString(r.Expr, "")), " "), "duration": time.Duration(r.For).Seconds(), "labels": r.Labels,
			"health": "ok", "lastEvaluation": now.Add(-10 * time.Second),
		})
		for _, name := range r.needs {
			if !maybeAbsent[name] {
				names = append(names, series(1, "__name__", name))
			}
		}
	}
	stamp := float64(now.Add(-20 * time.Second).Unix())
	teams := func(value float64) []object {
		return []object{series(value, "team", "acme"), series(value, "team", "globex")}
	}
	s.data = map[string]any{
		"status/runtimeinfo": object{"reloadConfigSuccess": true},
		"targets": object{"activeTargets": []object{
			{"labels": object{"job": "chattonic", "instance": "localhost:10042"}, "health": "up", "scrapeInterval": "1m"},
			{"labels": object{"job": "node", "instance": "localhost:9100"}, "health": "down"},
		}},
		"rules":         object{"groups": []object{{"interval": 60, "rules": loaded}}},
		"alertmanagers": object{"activeAlertmanagers": []object{{"url": s.alertmanager.URL + "/api/v2/alerts"}}},
		"status/config": object{"yaml": "global: {external_labels: {site: west}}"},
	}
	s.results = map[string][]map[string]any{
		queryTime: {series(float64(now.Unix()))}, queryHidden: {}, queryLacking: {}, queryRecent: teams(1), queryCurrent: teams(1), queryFailing: {},
		queryScraped: teams(stamp), queryAnswered: teams(stamp), queryRecorded: teams(3), queryFiring: {}, queryOwn: {series(1)}, queryErrors: {}, queryNames: names,
	}
	s.pages = map[string]any{"/-/ready": "OK", "/api/v2/alerts": []object{}, "/api/v2/silences": []object{}, "/api/v2/status": object{"config": object{"original": routing}}}
	return s
}

func (s *setUp) answerPrometheus(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
	path := strings.TrimPrefix(r.URL.Path, "/api/v1/")
	data, known := s.data[path]
	expr := r.URL.Query().Get("query")
	switch path {
	case "query":
		if strings.HasPrefix(expr, queryNames+" ({__name__=~") {
			expr = queryNames
		}
		data, known = object{"result": s.results[expr]}, s.results[expr] != nil
	case "format_query":
		data, known = strings.TrimPrefix(withoutBlanks(expr), "0+"), true
	}
	switch {
	case s.failing[path] || s.failing[expr]:
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "out of order")
	case !known:
		http.NotFound(w, r)
	default:
		_ = json.NewEncoder(w).Encode(object{"status": "success", "data": data})
	}
}

func (s *setUp) answerAlertmanager(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
	switch {
	case s.failing[r.Method+r.URL.Path]:
		w.WriteHeader(http.StatusInternalServerError)
	case r.Method == http.MethodPost:
		var alerts []postedAlert
		if json.NewDecoder(r.Body).Decode(&alerts) == nil {
			s.posted = append(s.posted, alerts...)
		}
	case r.URL.Path == "/metrics":
		_, _ = io.WriteString(w, s.notified[0])
		if len(s.notified) > 1 {
			s.notified = s.notified[1:]
		}
	case r.URL.Query().Has("filter"):
		var found []object
		if len(s.posted) > 0 {
			found = append(found, object{"labels": s.posted[0].Labels, "receivers": []object{{"name": "webhook"}}, "status": s.pages["drill status"]})
		}
		_ = json.NewEncoder(w).Encode(found)
	case s.pages[r.URL.Path] == nil:
		http.NotFound(w, r)
	default:
		_ = json.NewEncoder(w).Encode(s.pages[r.URL.Path])
	}
}

func (s *setUp) run(t *testing.T, change func(*Options)) (*Report, string, error) {
	t.Helper()
	var out bytes.Buffer
	o := Options{PrometheusURL: s.prometheus.URL, Output: outputText, Timeout: 5 * time.Second, Out: &out, Now: func() time.Time { return now }, Poll: time.Millisecond}
	if change != nil {
		change(&o)
	}
	err := Run(t.Context(), o)
	text := out.String()
	for line := range strings.Lines(text) {
		if o.Output == outputText {
			assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
		}
	}
	var report Report
	if o.Output == outputJSON && out.Len() > 0 {
		require.NoError(t, json.Unmarshal(out.Bytes(), &report))
	}
	return &report, text, err
}

// findings returns the findings that are not OK.
func (s *setUp) findings(t *testing.T, change func(*Options)) (bad []Finding, err error) {
	t.Helper()
	report, _, err := s.run(t, func(o *Options) {
		o.Output = outputJSON
		if change != nil {
			change(o)
		}
	})
	assert.Equal(t, err == nil, report.OK)
	for _, f := range report.Findings {
		if f.Status != OK {
			bad = append(bad, f)
		}
	}
	return bad, err
}

func TestGood(t *testing.T) {
	s := good(t)
	_, text, err := s.run(t, nil)
	require.NoError(t, err)
	want := strings.NewReplacer("PROMETHEUS", s.prometheus.URL, "ALERTMANAGER", s.alertmanager.URL).Replace(`STATUS   CHECK          WHAT AND WHAT TO DO
OK       prometheus     Prometheus at PROMETHEUS answers
OK       targets        1 target up: chattonic localhost:10042
OK       labels         the label team is as the exporter exports it
OK       rules          35 of 35 shipped rules are loaded, healthy and unchanged
OK       teams          2 teams with a current queue: acme and globex
OK       series         all 16 alerts have the series that they need
OK       alertmanager   Prometheus sends alerts to ALERTMANAGER
OK       notifications  Prometheus sent all alerts of the last 10 minutes to
                        Alertmanager
OK       alertmanager   Alertmanager at ALERTMANAGER is ready
SKIPPED  delivery       no alert of the exporter has fired for a minute, so none
                        shows that alerts reach Alertmanager
OK       silences       no silence matches an alert about a queue
OK       inhibition     no other alert inhibits an alert about a queue
OK       routes         warning alerts about a queue go to webhook (acme)
OK       routes         critical alerts about a queue go to webhook (acme)
OK       routes         warning alerts about a queue go to slack (globex)
OK       routes         critical alerts about a queue go to slack and webhook
                        (globex)

Nothing that was checked keeps an alert about a queue from a person.
`)
	assert.Equal(t, want, text)

	report, _, err := s.run(t, func(o *Options) { o.Output, o.Team = outputJSON, "acme" })
	require.NoError(t, err)
	assert.True(t, report.OK)
	assert.Equal(t, []string{"acme"}, report.Teams)
	assert.Equal(t, s.prometheus.URL, report.Prometheus)
	assert.Equal(t, []string{s.alertmanager.URL}, report.Alertmanagers)
}

// changeRule changes the first loaded rule of a name.
func (s *setUp) changeRule(name string, change object) {
	groups, _ := s.data["rules"].(object)["groups"].([]object)
	rules, _ := groups[0]["rules"].([]object)
	for i, r := range rules {
		if r["name"] == name {
			if change == nil {
				groups[0]["rules"] = append(rules[:i:i], rules[i+1:]...)
				return
			}
			maps.Copy(r, change)
			return
		}
	}
	panic("no rule " + name)
}

func (s *setUp) config(oldnew ...string) {
	s.pages["/api/v2/status"] = object{"config": object{"original": strings.NewReplacer(oldnew...).Replace(routing)}}
}

func activeSilence(matchers ...object) []object {
	return []object{
		{"status": object{"state": "expired"}, "matchers": []object{{"name": "area", "value": "queue"}}},
		{"id": "1-2", "createdBy": "night shift", "comment": "deployment", "endsAt": now.Add(time.Hour), "status": object{"state": "active"}, "matchers": matchers},
	}
}

func TestFindings(t *testing.T) {
	failing := func(names ...string) func(*setUp) {
		return func(s *setUp) {
			for _, name := range names {
				s.failing[name] = true
			}
		}
	}
	result := func(query string, samples ...object) func(*setUp) {
		return func(s *setUp) { s.results[query] = append([]object{}, samples...) }
	}
	old := float64(now.Add(-4 * time.Minute).Unix())
	for name, c := range map[string]struct {
		change func(*setUp)
		check  string
		status Status
		want   string
	}{
		"Prometheus fails":              {failing(queryTime), checkPrometheus, Failed, "answered api/v1/query with 500 Internal Server Error: out of order"},
		"Prometheus of another kind":    {result(queryTime), checkPrometheus, Failed, "a query for the time with 0 values"},
		"failed reload":                 {func(s *setUp) { s.data["status/runtimeinfo"] = object{} }, checkPrometheus, Warning, "its last reload failed"},
		"no runtime information":        {failing("status/runtimeinfo"), checkPrometheus, Failed, "cannot be checked"},
		"targets fail":                  {failing("targets"), checkTargets, Failed, "cannot be checked"},
		"no target":                     {func(s *setUp) { s.data["targets"] = object{} }, checkTargets, Failed, "no target has a job"},
		"target down":                   {func(s *setUp) { s.setTarget("down") }, checkTargets, Failed, "down: chattonic localhost:10042 (Get http://***@x: refused)"},
		"target not scraped":            {func(s *setUp) { s.setTarget("unknown") }, checkTargets, Failed, "not scraped yet"},
		"label hidden":                  {result(queryHidden, series(9, "job", "chattonic")), checkLabels, Failed, "exported_team"},
		"label dropped":                 {result(queryLacking, series(9, "job", "chattonic")), checkLabels, Failed, "series of job chattonic lack the label team"},
		"hidden labels fail":            {failing(queryHidden), checkLabels, Failed, "cannot be checked"},
		"dropped labels fail":           {failing(queryLacking), checkLabels, Failed, "cannot be checked"},
		"configuration fails":           {failing("status/config"), checkLabels, Failed, "external labels"},
		"relabelled alerts":             {func(s *setUp) { s.data["status/config"] = object{"yaml": "alerting: {alert_relabel_configs: [{}]}"} }, checkLabels, Warning, "alert_relabel_configs"},
		"rules fail":                    {failing("rules"), checkRules, Failed, "cannot be checked"},
		"no rules":                      {func(s *setUp) { s.data["rules"] = object{} }, checkRules, Failed, "none of the 16 rules of alerts.yml is loaded"},
		"alert missing":                 {func(s *setUp) { s.changeRule("ChattonicQueueUnattended", nil) }, checkRules, Failed, "not loaded: ChattonicQueueUnattended of alerts.yml"},
		"scoped alert missing":          {func(s *setUp) { s.changeRule("ChattonicExporterDown", nil) }, checkRules, Failed, "not loaded: ChattonicExporterDown (scope one) of alerts.yml"},
		"needed recording missing":      {func(s *setUp) { s.changeRule("team:chattonic_queries_pending:max", nil) }, checkRules, Failed, "not loaded: team:chattonic_queries_pending:max of recording.yml"},
		"dashboard's recording missing": {func(s *setUp) { s.changeRule("team:chattonic_load:ratio", nil) }, checkRules, Warning, "not loaded: team:chattonic_load:ratio of recording.yml"},
		"rule fails": {func(s *setUp) {
			s.changeRule("ChattonicQueueUnattended", object{"health": "err", "lastError": "many-to-many"})
		}, checkRules, Failed, "ChattonicQueueUnattended: cannot be evaluated (many-to-many)"},
		"rule not evaluated yet": {func(s *setUp) { s.changeRule("ChattonicQueueUnattended", object{"health": "unknown"}) }, checkRules, Failed, "ChattonicQueueUnattended: not evaluated yet"},
		"rule not evaluated for long": {func(s *setUp) {
			s.changeRule("ChattonicQueueUnattended", object{"lastEvaluation": now.Add(-time.Hour)})
		}, checkRules, Failed, "not evaluated for 3 intervals of 1m0s"},
		"expression changed": {func(s *setUp) { s.changeRule("ChattonicQueueUnattended", object{"query": "up == 0"}) }, checkRules, Warning, "ChattonicQueueUnattended: loaded with another expression"},
		"duration changed":   {func(s *setUp) { s.changeRule("ChattonicQueueUnattended", object{"duration": 60}) }, checkRules, Warning, "for: 1m0s instead of 5m0s"},
		"longer firing":      {func(s *setUp) { s.changeRule("ChattonicQueueUnattended", object{"keepFiringFor": 60}) }, checkRules, Warning, "keep_firing_for: 1m0s instead of 0s"},
		"labels changed":     {func(s *setUp) { s.changeRule("ChattonicQueueUnattended", object{"labels": object{"area": "q"}}) }, checkRules, Warning, "other labels"},
		"expression cannot be compared": {func(s *setUp) {
			s.changeRule("ChattonicQueueUnattended", object{"query": "up == 0"})
			s.failing["format_query"] = true
		}, checkRules, Failed, "cannot be compared"},
		"teams fail":                     {failing(queryRecent), checkTeams, Failed, "cannot be checked"},
		"no team":                        {result(queryRecent), checkTeams, Failed, "there is no team"},
		"team gone":                      {result(queryCurrent, series(1, "team", "acme")), checkTeams, Warning, "globex: there were series in the last hour, but there are none now"},
		"API fails":                      {result(queryFailing, series(0, "team", "acme")), checkTeams, Failed, "acme: requests for its operators fail"},
		"no queue":                       {result(queryScraped, series(old, "team", "x")), checkTeams, Failed, "acme and globex: it is scraped, but chattonic_queries_pending is absent"},
		"old queue":                      {result(queryScraped, series(old, "team", "acme"), series(old, "team", "globex")), checkTeams, Failed, "older than 3 scrape intervals"},
		"no answer":                      {result(queryAnswered), checkTeams, Failed, "older than 15 minutes, or there was none"},
		"answer older than the interval": {result(queryAnswered, series(old, "team", "acme"), series(old, "team", "globex")), checkTeams, Warning, "acme and globex: the last answer about its operators is older than 3 scrape intervals"},
		"no recorded series":             {result(queryRecorded), checkTeams, Failed, "it lacks a series team:chattonic_"},
		"series fail":                    {failing(queryNames), checkSeries, Failed, "cannot be checked"},
		"series absent":                  {result(queryNames), checkSeries, Failed, "chattonic_api_contract_violations is absent, and needed by ChattonicAPIContractViolated"},
		"recorded series absent":         {result(queryNames), checkSeries, Failed, "team:chattonic_operators_at_work:count is absent, and needed by ChattonicQueueUnattended, ChattonicQueueUnattendedButInProgress and ChattonicQueueNotDraining"},
		"Alertmanagers fail":             {failing("alertmanagers"), checkAlertmanager, Failed, "cannot be checked"},
		"no Alertmanager":                {func(s *setUp) { s.data["alertmanagers"] = object{} }, checkAlertmanager, Failed, "Prometheus has no Alertmanager"},
		"Alertmanager not ready":         {failing("GET/-/ready"), checkAlertmanager, Failed, "answered -/ready with 500"},
		"strange Alertmanager":           {func(s *setUp) { s.data["alertmanagers"] = object{"activeAlertmanagers": []object{{"url": "unix://x"}}} }, checkAlertmanager, Failed, "the address of an Alertmanager in Prometheus: it needs http"},
		"Prometheus not scraped":         {result(queryOwn), checkNotifications, Skipped, "does not scrape itself"},
		"sending fails":                  {result(queryErrors, series(3)), checkNotifications, Failed, "failed to send alerts"},
		"own metrics fail":               {failing(queryOwn), checkNotifications, Failed, "cannot be checked"},
		"errors fail":                    {failing(queryErrors), checkNotifications, Failed, "cannot be checked"},
		"firing alerts fail":             {failing(queryFiring), checkDelivery, Failed, "cannot be checked"},
		"alerts lost":                    {result(queryFiring, series(1, "alertname", "ChattonicNPSLow", "team", "acme"), series(1, "alertname", "ChattonicExporterDown")), checkDelivery, Failed, "does not have it: ChattonicExporterDown and ChattonicNPSLow of acme"},
		"Alertmanager's alerts fail":     {failing("GET/api/v2/alerts"), checkInhibition, Failed, "cannot be checked"},
		"silences fail":                  {failing("GET/api/v2/silences"), checkSilences, Failed, "cannot be checked"},
		"silence": {func(s *setUp) {
			s.pages["/api/v2/silences"] = activeSilence(object{"name": "alertname", "value": "ChattonicQueries.*", "isRegex": true, "isEqual": true}, object{"name": "team", "value": "acme", "isEqual": false}, object{"name": "site", "value": "west"})
		}, checkSilences, Failed, "a silence of night shift until 2021-11-09 16:00 UTC (deployment) mutes ChattonicQueriesPendingHigh and ChattonicQueriesPendingVeryHigh of globex"},
		"strange silence": {func(s *setUp) {
			s.pages["/api/v2/silences"] = activeSilence(object{"name": "team", "value": "(", "isRegex": true})
		}, checkSilences, Failed, "silence 1-2: the matcher of the label team cannot be read"},
		"inhibition": {func(s *setUp) {
			s.pages["/api/v2/alerts"] = []object{{"labels": object{"alertname": "ChattonicTeamAPIFailing", "team": "acme", "collector": "operators", "area": "api"}}}
		}, checkInhibition, Failed, "ChattonicTeamAPIFailing of acme fires and inhibits the alerts about the queue of acme"},
		"inhibition by the old form": {func(s *setUp) {
			s.pages["/api/v2/alerts"] = []object{{"labels": object{"alertname": "ChattonicExporterDown", "area": "exporter"}}}
		}, checkInhibition, Failed, "ChattonicExporterDown fires and inhibits the alerts about the queue of acme and globex"},
		"inhibition of an alert that fires": {func(s *setUp) {
			s.pages["/api/v2/alerts"] = []object{
				{"labels": object{"alertname": "Other"}, "fingerprint": "f1"},
				{"labels": object{"alertname": "ChattonicQueueUnattended", "area": "queue", "team": "acme"}, "status": object{"inhibitedBy": []string{"f1"}}},
			}
		}, checkInhibition, Failed, "Other fires and inhibits the alerts about the queue of acme"},
		"status fails":           {failing("GET/api/v2/status"), checkRoutes, Failed, "cannot be checked"},
		"no route":               {func(s *setUp) { s.config("route:", "rout:") }, checkRoutes, Failed, "it has no route"},
		"strange YAML":           {func(s *setUp) { s.config("route:", "route") }, checkRoutes, Failed, "reading Alertmanager's configuration"},
		"strange matcher":        {func(s *setUp) { s.config(`[severity="critical"]`, `['severity']`) }, checkRoutes, Failed, "the matcher severity cannot be read"},
		"strange inhibition":     {func(s *setUp) { s.config(`[area=~"queue|quality"]`, `['area']`) }, checkRoutes, Failed, "the matcher area cannot be read"},
		"strange interval":       {func(s *setUp) { s.config("sunday", "sonntag") }, checkRoutes, Failed, `time interval closed: the range "sonntag" cannot be read`},
		"strange time":           {func(s *setUp) { s.config("'08:00'", "'8 am'") }, checkRoutes, Failed, `the time of day "8 am" cannot be read`},
		"strange location":       {func(s *setUp) { s.config("America/Argentina/Buenos_Aires", "Atlantis") }, checkRoutes, Failed, "unknown time zone Atlantis"},
		"interval without times": {func(s *setUp) { s.config("name: closed", "name: open") }, checkRoutes, Failed, "time interval closed is not defined"},
		"muted":                  {func(s *setUp) { s.config("[saturday, sunday]", "['monday:friday']") }, checkRoutes, Failed, "critical alerts about a queue are muted now: webhook (time interval closed) (acme)"},
		"not active": {func(s *setUp) {
			s.config("weekdays: [saturday, sunday]", "months: [january]", "mute_time_intervals", "active_time_intervals")
		}, checkRoutes, Failed, "are muted now: webhook (time interval not closed)"},
		"partly muted": {func(s *setUp) {
			s.config("receiver: slack, mute_time_intervals: [closed]", "receiver: slack, active_time_intervals: [closed]")
		}, checkRoutes, Warning, "critical alerts about a queue go to webhook, but not to slack (time interval not closed) (globex)"},
		"no integration": {func(s *setUp) { s.config("webhook_configs: [{url_file: /x}]", "webhook_configs: []") }, checkRoutes, Failed, "critical alerts about a queue go nowhere: webhook has no integration (acme)"},
	} {
		t.Run(name, func(t *testing.T) {
			s := good(t)
			c.change(s)
			bad, err := s.findings(t, nil)
			found := false
			for _, f := range bad {
				found = found || f.Check == c.check && f.Status == c.status && strings.Contains(f.What, c.want)
				if f.Status == Failed {
					require.ErrorContains(t, err, "an alert about a queue might not reach a person: ")
				}
			}
			assert.True(t, found, "%v", bad)
			_, text, _ := s.run(t, nil)
			assert.Contains(t, text, strings.ToUpper(string(c.status)))
		})
	}
}

func (s *setUp) setTarget(health string) {
	targets, _ := s.data["targets"].(object)["activeTargets"].([]object)
	targets[0]["health"], targets[0]["lastError"] = health, "Get http://me:secret@x: refused"
}

func TestWellThoughUnusual(t *testing.T) {
	for name, change := range map[string]func(*setUp){
		"a layout that only Prometheus can tell": func(s *setUp) {
			rules, err := shippedRules()
			require.NoError(t, err)
			s.changeRule("team:chattonic_queries_pending:max", object{"query": "0 + " + rules[3].Expr})
		},
		"an alert about a queue inhibits another": func(s *setUp) {
			s.pages["/api/v2/alerts"] = []object{{"labels": object{"alertname": "ChattonicQueriesPendingVeryHigh", "area": "queue", "team": "acme"}}}
			s.config("alertname=\"ChattonicTeamAPIFailing\", collector=~\"operators|all\"", "alertname=~\"ChattonicQueriesPendingVeryHigh\"")
		},
		"a firing alert that has arrived": func(s *setUp) {
			s.results[queryFiring] = []object{series(1, "alertname", "ChattonicNPSLow", "team", "acme")}
			s.pages["/api/v2/alerts"] = []object{{"labels": object{"alertname": "ChattonicNPSLow", "area": "quality", "team": "acme"}}}
		},
		"a silence of others": func(s *setUp) {
			s.pages["/api/v2/silences"] = activeSilence(object{"name": "alertname", "value": "ChattonicNPSLow"})
		},
		"a target of another team is down": func(s *setUp) {
			s.data["targets"] = object{"activeTargets": []object{{"labels": object{"job": "chattonic-teams", "instance": "globex"}, "health": "down"}, {"labels": object{"job": "chattonic-teams", "instance": "acme"}, "health": "up"}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := good(t)
			change(s)
			bad, err := s.findings(t, func(o *Options) { o.Team = "acme" })
			require.NoError(t, err, "%v", bad)
		})
	}
}

func TestGivenTeamMustExist(t *testing.T) {
	bad, err := good(t).findings(t, func(o *Options) { o.Team = "hooli" })
	require.ErrorContains(t, err, "1 check failed")
	assert.Contains(t, bad, Finding{checkTeams, Failed, "hooli: " + noTeam, adviceAboutTeams[noTeam]})
}

func TestUnreachableServers(t *testing.T) {
	s := good(t)
	s.prometheus.Close()
	s.alertmanager.Close()
	bad, err := s.findings(t, func(o *Options) { o.AlertmanagerURL, o.Drill = s.alertmanager.URL, true })
	require.ErrorContains(t, err, "4 checks failed")
	require.Len(t, bad, 4)
	assert.Contains(t, bad[0].What, "Prometheus at "+s.prometheus.URL+" does not answer: ")
	assert.Contains(t, bad[1].What, "Alertmanager at "+s.alertmanager.URL+" does not answer: ")
	assert.Contains(t, bad[3].What, "no drill")

	s = good(t)
	s.prometheus.Close()
	s.pages["/api/v2/silences"] = activeSilence(object{"name": "alertname", "value": "ChattonicQueueUnattended"})
	bad, err = s.findings(t, func(o *Options) { o.AlertmanagerURL = s.alertmanager.URL })
	require.ErrorContains(t, err, "2 checks failed")
	require.Len(t, bad, 2)
	assert.Equal(t, "a silence of night shift until 2021-11-09 16:00 UTC (deployment) mutes ChattonicQueueUnattended", bad[1].What)
}

func TestStrangeAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"HTML": "<html>", "no success": `{"status":"error","error":"busy"}`, "number": `{"status":"success","data":{"result":[{"value":[0,1]}]}}`,
		"short": `{"status":"success","data":{"result":[{"value":0}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
			defer server.Close()
			var out bytes.Buffer
			err := Run(t.Context(), Options{PrometheusURL: server.URL, Timeout: time.Second, Out: &out})
			require.ErrorContains(t, err, "2 checks failed")
			assert.Contains(t, out.String(), "FAILED   prometheus")
		})
	}
}

func TestDrill(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*setUp)
		status Status
		want   string
	}{
		"arrives":           {func(*setUp) {}, OK, "the drill was routed to webhook, and notified after"},
		"fails":             {func(s *setUp) { s.notified[2] = fmt.Sprintf(counted, 4, 2) }, Failed, "the drill was routed to webhook, and notifying failed: webhook"},
		"never":             {func(s *setUp) { s.notified = s.notified[:1] }, Failed, "no notification of the drill within 400ms: webhook; waiting for webhook"},
		"no metrics":        {func(s *setUp) { s.notified = []string{"up 1\n"} }, Failed, "has no metric alertmanager_notification_requests_total"},
		"strange metrics":   {func(s *setUp) { s.notified = []string{"{"} }, Failed, "reading the metrics of"},
		"metrics fail":      {func(s *setUp) { s.failing["GET/metrics"] = true }, Failed, "answered metrics with 500"},
		"refused":           {func(s *setUp) { s.failing["POST/api/v2/alerts"] = true }, Failed, "answered api/v2/alerts with 500"},
		"silenced":          {func(s *setUp) { s.pages["drill status"] = object{"silencedBy": []string{"1-2"}} }, Failed, "the drill is not notified: silenced by 1-2"},
		"muted":             {func(s *setUp) { s.config("[saturday, sunday]", "['tuesday']") }, Failed, "the drill is not notified: alerts like it are muted now"},
		"no team":           {func(s *setUp) { s.results[queryRecent] = []object{} }, Failed, "no drill: there is no team"},
		"no configuration":  {func(s *setUp) { s.failing["GET/api/v2/status"] = true }, Failed, "no drill: the routes are not known"},
		"unreadable routes": {func(s *setUp) { s.config("sunday", "sonntag") }, Failed, `the range "sonntag" cannot be read`},
	} {
		t.Run(name, func(t *testing.T) {
			s := good(t)
			c.change(s)
			var progress bytes.Buffer
			report, _, err := s.run(t, func(o *Options) {
				o.Drill, o.Output, o.Progress, o.Timeout = true, outputJSON, &progress, 400*time.Millisecond
			})
			assert.Equal(t, c.status == OK, err == nil)
			var found *Finding
			for i := range report.Findings {
				if f := &report.Findings[i]; f.Check == checkDrill {
					found = f
				}
			}
			require.NotNil(t, found)
			assert.Equal(t, c.status, found.Status)
			assert.Contains(t, found.What, c.want)
			if len(s.posted) == 0 {
				return
			}
			require.Len(t, s.posted, 2)
			assert.Contains(t, progress.String(), "Waiting up to 410ms")
			start, end := s.posted[0], s.posted[1]
			assert.Equal(t, map[string]string{"alertname": "ChattonicDrill", "area": "queue", "severity": "critical", "team": "acme", "drill": "true", "site": "west"}, start.Labels)
			assert.Equal(t, start.Labels, end.Labels)
			assert.Contains(t, start.Annotations["description"], "There is nothing to do.")
			assert.True(t, start.EndsAt.After(time.Now()))
			assert.False(t, end.EndsAt.After(time.Now()))
		})
	}
}

func TestInterruptedDrillIsEnded(t *testing.T) {
	s := good(t)
	s.notified = s.notified[:1]
	ctx, cancel := context.WithCancelCause(t.Context())
	waiting := writer(func() { cancel(io.ErrUnexpectedEOF) })
	var out bytes.Buffer
	err := Run(ctx, Options{PrometheusURL: s.prometheus.URL, Timeout: time.Minute, Drill: true, Out: &out, Progress: waiting, Now: func() time.Time { return now }})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Empty(t, out.String())
	require.Len(t, s.posted, 2)
	assert.False(t, s.posted[1].EndsAt.After(time.Now()))
}

// writer calls a function for each write.
type writer func()

func (w writer) Write(p []byte) (int, error) {
	w()
	return len(p), nil
}

func TestCredentialsAreForTheGivenURLsOnly(t *testing.T) {
	s := good(t)
	file := filepath.Join(t.TempDir(), "client.yml")
	require.NoError(t, os.WriteFile(file, []byte("basic_auth: {username: me, password: secret-of-mine}"), 0o600))
	for _, given := range []bool{false, true} {
		s.requests = nil
		_, text, err := s.run(t, func(o *Options) {
			o.HTTPConfigFile, o.UserAgent = file, "tests/1"
			if given {
				o.AlertmanagerURL = s.alertmanager.URL
			}
		})
		require.NoError(t, err)
		assert.NotContains(t, text, "secret-of-mine")
		for _, r := range s.requests {
			_, password, _ := r.BasicAuth()
			isPrometheus := strings.HasPrefix(r.URL.Path, "/api/v1/")
			assert.Equal(t, isPrometheus || given, password == "secret-of-mine", r.URL.Path)
			assert.Equal(t, "tests/1", r.UserAgent())
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	defer server.Close()
	var out bytes.Buffer
	require.Error(t, Run(t.Context(), Options{PrometheusURL: server.URL, Timeout: time.Second, Out: &out}))
	assert.Contains(t, out.String(), "302 Found")
}

func TestWrongUsage(t *testing.T) {
	const u = "http://127.0.0.1:1"
	for name, c := range map[string]struct {
		o    Options
		want string
		code int
	}{
		"no URL":                {Options{Timeout: 1}, "--prometheus.url: it needs http:// or https:// and a host", 2},
		"password":              {Options{PrometheusURL: "http://me:secret@host", Timeout: 1}, "--prometheus.url: it must not contain a user or a password, which others see in the list of processes: use --http.config.file", 2},
		"password in a bad URL": {Options{PrometheusURL: "http://me:secret@host:port", Timeout: 1}, "--prometheus.url: it needs http:// or https:// and a host", 2},
		"query":                 {Options{PrometheusURL: u, AlertmanagerURL: u + "?x", Timeout: 1}, "--alertmanager.url: it must be a base URL, without ? and #", 2},
		"timeout":               {Options{PrometheusURL: u}, "--timeout must be more than 0", 2},
		"file":                  {Options{PrometheusURL: u, HTTPConfigFile: "/nope", Timeout: 1}, "reading --http.config.file: open /nope: no such file or directory", 1},
		"certificate":           {Options{PrometheusURL: u, HTTPConfigFile: "testdata/tls.yml", Timeout: 1}, "using --http.config.file: unable to read CA cert: unable to read file testdata/nope.pem: open testdata/nope.pem: no such file or directory", 1},
	} {
		t.Run(name, func(t *testing.T) {
			err := Run(t.Context(), c.o)
			require.EqualError(t, err, c.want)
			assert.Equal(t, c.code, usage.ExitCode(err))
		})
	}
}

func TestReportThatCannotBeWritten(t *testing.T) {
	s := good(t)
	r, w := io.Pipe()
	require.NoError(t, r.Close())
	_, _, err := s.run(t, func(o *Options) { o.Out = w })
	require.EqualError(t, err, "writing the report: io: read/write on closed pipe")
}

func TestFlags(t *testing.T) {
	app := kingpin.New("test", "")
	var o Options
	o.Flags(app.Command("check", "").Command("alerts", ""))
	_, err := app.Parse([]string{"check", "alerts"})
	require.EqualError(t, err, "required flag(s) '--prometheus.url' not provided")
	_, err = app.Parse(strings.Fields("check alerts --prometheus.url=http://p --alertmanager.url=http://a --drill --team=acme --output=json --timeout=1m --http.config.file=x"))
	require.NoError(t, err)
	assert.Equal(t, Options{PrometheusURL: "http://p", AlertmanagerURL: "http://a", HTTPConfigFile: "x", Drill: true, Team: "acme", Output: outputJSON, Timeout: time.Minute}, o)
}
