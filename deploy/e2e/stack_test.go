package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"chattonic_exporter/deploy/e2e/stack"
)

func tools(t *testing.T) string {
	t.Helper()
	return filepath.Dir(program(t, "PROMETHEUS_BIN", "bin", "prometheus"))
}

// tool runs promtool or amtool and returns its output.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	stdout, stderr, err := execute(t, nil, filepath.Join(tools(t), name), args...)
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), stdout+stderr)
	return stdout + stderr
}

func TestShippedFilesAreValid(t *testing.T) {
	for _, config := range []string{"prometheus.yml", "prometheus-multi-team.yml"} {
		assert.Contains(t, tool(t, "promtool", "check", "config", "--lint=all", "--lint-fatal", inRepository("deploy", "prometheus", config)), "SUCCESS")
	}
	for _, test := range ruleTests(t) {
		assert.Contains(t, tool(t, "promtool", "test", "rules", test), "SUCCESS")
	}
	assert.Contains(t, tool(t, "promtool", "check", "rules", "--lint=all", "--lint-fatal", inRepository("deploy", "prometheus", "optional", "quality.yml")), "SUCCESS")
	assert.Contains(t, tool(t, "amtool", "check-config", alertmanagerFile()), "SUCCESS")
}

// Otherwise a label team of the targets hides all teams.
func TestEveryJobHonorsTheLabelsOfTheExporter(t *testing.T) {
	for _, file := range append(files(t, "deploy", "prometheus", "*.yml"), inRepository("README.md")) {
		text := readText(t, file)
		jobs := regexp.MustCompile(`(?m)^ *- job_name: `).FindAllString(text, -1)
		assert.NotEmpty(t, jobs, file)
		assert.Len(t, regexp.MustCompile(`(?m)^ *honor_labels: true`).FindAllString(text, -1), len(jobs), file)
	}
}

func ruleTests(t *testing.T) []string {
	t.Helper()
	return files(t, "deploy", "prometheus", "tests", "*.yml")
}

func alertmanagerFile() string { return inRepository("deploy", "alertmanager", "alertmanager.yml") }

func TestEveryAlertIsTestedAndExplained(t *testing.T) {
	runbook := readText(t, inRepository("deploy", "RUNBOOK.md"))
	var tests strings.Builder
	for _, test := range ruleTests(t) {
		tests.WriteString(readText(t, test))
	}
	var shown strings.Builder // panels and texts of the pages
	for _, file := range append(dashboardFiles(t, "en"), inRepository("internal", "web", "languages", "en.yml")) {
		shown.WriteString(readText(t, file))
	}
	names := map[string]bool{}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		names[r.Alert] = true
		assert.Contains(t, []string{"critical", "warning", "info"}, r.Labels["severity"], r.Alert)
		assert.NotEmpty(t, r.Annotations["summary"], r.Alert)
		assert.Contains(t, r.Annotations["description"], "{{ $value", "%s: the description has values", r.Alert)
		assert.Equal(t, "deploy/RUNBOOK.md#"+strings.ToLower(r.Alert), r.Annotations["runbook_url"])
		_, section, found := strings.Cut(runbook, "\n### "+r.Alert+"\n")
		assert.True(t, found, "the runbook has a section of %s", r.Alert)
		section, _, _ = strings.Cut(section, "\n#")
		assert.Contains(t, section, "\n**Means:** ", r.Alert)
		_, look, found := strings.Cut(section, "\n**Look:** ")
		assert.True(t, found, "the runbook says where to look at %s without PromQL", r.Alert)
		look, _, _ = strings.Cut(look, "\n\n")
		for _, quoted := range regexp.MustCompile(`"([^"?]+)"`).FindAllStringSubmatch(look, -1) {
			assert.Contains(t, shown.String(), strings.Join(strings.Fields(quoted[1]), " "), r.Alert)
		}
		assert.Contains(t, tests.String(), "alertname: "+r.Alert)
	}
	assert.Len(t, names, 18)
}

func TestRoutes(t *testing.T) {
	tested := 0
	for line := range strings.Lines(readText(t, inRepository("deploy", "alertmanager", "routes.tests"))) {
		labels, receivers, found := strings.Cut(line, "=>")
		if !found || strings.HasPrefix(line, "#") {
			continue
		}
		args := []string{"config", "routes", "test", "--config.file", alertmanagerFile(), "--verify.receivers", strings.TrimSpace(receivers)}
		tool(t, "amtool", append(args, strings.Fields(labels)...)...)
		tested++
	}
	assert.Greater(t, tested, 10)
}

// rule is a recording or alerting rule.
type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	for _, name := range ruleFiles(t) {
		var file struct{ Groups []struct{ Rules []rule } }
		require.NoError(t, yaml.Unmarshal([]byte(readText(t, name)), &file))
		for _, group := range file.Groups {
			all = append(all, group.Rules...)
		}
	}
	require.NotEmpty(t, all)
	return all
}

// webhook receives notifications from Alertmanager.
type webhook struct {
	*httptest.Server
	mu       sync.Mutex
	received []notification
}

type notification struct {
	Status              string
	Labels, Annotations map[string]string
}

func newWebhook(t *testing.T) *webhook {
	t.Helper()
	w := new(webhook)
	w.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var message struct{ Alerts []notification }
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			t.Errorf("a notification is not JSON: %v", err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.received = append(w.received, message.Alerts...)
	}))
	t.Cleanup(w.Close)
	return w
}

// find returns the last notification with the status about an alert.
func (w *webhook) find(status, alert, team string) (found notification, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.received {
		if n.Status == status && n.Labels["alertname"] == alert && n.Labels["team"] == team {
			found, ok = n, true
		}
	}
	return found, ok
}

func (w *webhook) await(t *testing.T, status, alert, team string) (found notification) {
	t.Helper()
	require.Eventually(t, func() (ok bool) {
		found, ok = w.find(status, alert, team)
		return ok
	}, 90*time.Second, 200*time.Millisecond, "no notification: %s of team %q as %s", alert, team, status)
	return found
}

// ports returns ports that were just free.
func ports(t *testing.T) stack.Ports {
	t.Helper()
	var free [4]int
	for i := range free {
		port, err := strconv.Atoi(freePort(t))
		require.NoError(t, err)
		free[i] = port
	}
	return stack.Ports{Simulator: free[0], Exporter: free[1], Prometheus: free[2], Alertmanager: free[3]}
}

// start starts the stack with the shipped files. It changes only addresses,
// intervals and wait times.
func start(t *testing.T, hook *webhook, o stack.Options) *stack.Stack {
	t.Helper()
	o.Root, o.Dir, o.Exporter, o.Tools, o.Ports = inRepository(), t.TempDir(), exporterProgram(t), tools(t), ports(t)
	secrets := filepath.Join(o.Dir, "secrets")
	require.NoError(t, os.Mkdir(secrets, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(secrets, "webhook_url"), []byte(hook.URL), 0o600))
	addresses := strings.NewReplacer(
		"localhost:10042", fmt.Sprint("localhost:", o.Ports.Exporter),
		"localhost:9093", fmt.Sprint("localhost:", o.Ports.Alertmanager),
		"/etc/alertmanager/secrets/", secrets+"/",
	)
	o.Adapt = func(text string) string {
		text = addresses.Replace(text)
		for _, c := range []struct{ pattern, replacement string }{
			{`(?m)^(\s*(?:scrape_interval|scrape_timeout|evaluation_interval|refresh_interval|interval): ).*$`, "${1}1s"},
			{`(?m)^(\s*(?:for|keep_firing_for): ).*$`, "${1}1s"},
			{`(?m)^(\s*group_wait: ).*$`, "${1}1s"},
			{`(?m)^(\s*group_interval: ).*$`, "${1}1s"},
		} {
			text = regexp.MustCompile(c.pattern).ReplaceAllString(text, c.replacement)
		}
		return text
	}
	s, err := stack.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Stop()) })
	return s
}

func ask(t *testing.T, method, address string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s %s: %s", method, address, body)
	return body
}

// sample is one series of an answer to an instant query.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

// query runs an instant query at the current time.
func query(t *testing.T, s *stack.Stack, expr string) (samples []sample) {
	t.Helper()
	var answer struct {
		Data struct{ Result json.RawMessage }
	}
	body := ask(t, http.MethodGet, s.PrometheusURL()+"/api/v1/query?query="+url.QueryEscape(expr))
	require.NoError(t, json.Unmarshal(body, &answer))
	if err := json.Unmarshal(answer.Data.Result, &samples); err != nil { // a scalar has another format
		return []sample{{}}
	}
	return samples
}

func scenario(t *testing.T, s *stack.Stack, team, name string) {
	t.Helper()
	ask(t, http.MethodPost, s.SimulatorURL()+"/scenario?team="+team+"&name="+name)
}

func fault(t *testing.T, s *stack.Stack, team, endpoint, name string) {
	t.Helper()
	ask(t, http.MethodPost, s.SimulatorURL()+"/fault?team="+team+"&endpoint="+endpoint+"&name="+name)
}

func TestAlertsArrive(t *testing.T) {
	hook := newWebhook(t)
	s := start(t, hook, stack.Options{Teams: []string{"acme", "initech", "umbrella", "hooli"}, Scenario: "quiet", Closed: []string{"hooli"}})

	t.Log("a backlog with nobody online in acme, initech and hooli; the API of initech fails, and hooli is closed")
	fault(t, s, "initech", "dashboard", "500")
	hook.await(t, "firing", "ChattonicTeamAPIFailing", "initech")
	fault(t, s, "initech", "operators", "500")
	require.Eventually(t, func() bool {
		return len(query(t, s, `ALERTS{alertname="ChattonicTeamAPIFailing",team="initech",collector="operators",alertstate="firing"}`)) == 1
	}, 60*time.Second, 200*time.Millisecond)
	hook.await(t, "firing", "ChattonicTeamAPIFailing", "initech")
	scenario(t, s, "hooli", "backlog")
	require.Eventually(t, func() bool {
		return len(query(t, s, `team:chattonic_queries_pending:max{team="hooli"} > 5 and on (team) team:chattonic_operators_at_work:count == 0`)) == 1
	}, 60*time.Second, 200*time.Millisecond)
	scenario(t, s, "acme", "backlog")
	scenario(t, s, "initech", "backlog")
	unattended := hook.await(t, "firing", "ChattonicQueueUnattended", "acme")
	assert.Regexp(t, `^\d+ queries of team acme wait `, unattended.Annotations["description"])
	pending := hook.await(t, "firing", "ChattonicQueriesPendingHigh", "acme")
	assert.Regexp(t, `^\d+ queries of team acme wait `, pending.Annotations["description"])

	for _, n := range []string{"ChattonicQueueUnattended", "ChattonicQueriesPendingHigh", "ChattonicQueriesPendingVeryHigh"} {
		_, found := hook.find("firing", n, "initech")
		assert.False(t, found, "%s of a team whose API fails", n)
		_, found = hook.find("firing", n, "umbrella")
		assert.False(t, found, "%s of a team without problems", n)
		_, found = hook.find("firing", n, "hooli")
		assert.False(t, found, "%s of a team that is closed", n)
	}
	_, found := hook.find("firing", "ChattonicTeamAPIFailing", "acme")
	assert.False(t, found, "its API answers")

	t.Log("the operators come back")
	scenario(t, s, "acme", "quiet")
	hook.await(t, "resolved", "ChattonicQueueUnattended", "acme")
	hook.await(t, "resolved", "ChattonicQueriesPendingHigh", "acme")

	t.Log("the API recovers")
	scenario(t, s, "initech", "quiet")
	fault(t, s, "initech", "", "none")
	hook.await(t, "resolved", "ChattonicTeamAPIFailing", "initech")
}

// inhibited reports whether Alertmanager inhibits an alert of a team.
func inhibited(t *testing.T, s *stack.Stack, alert, team string) bool {
	t.Helper()
	var alerts []struct {
		Status struct{ InhibitedBy []string }
	}
	filter := url.Values{"filter": {fmt.Sprintf("alertname=%q", alert), fmt.Sprintf("team=%q", team)}}
	require.NoError(t, json.Unmarshal(ask(t, http.MethodGet, s.AlertmanagerURL()+"/api/v2/alerts?"+filter.Encode()), &alerts))
	return len(alerts) > 0 && len(alerts[0].Status.InhibitedBy) > 0
}

func TestAlertsOfATeamWhoseAPIFailsAreInhibited(t *testing.T) {
	hook := newWebhook(t)
	s := start(t, hook, stack.Options{Teams: []string{"acme", "initech"}})
	scenario(t, s, "acme", "backlog")
	scenario(t, s, "initech", "backlog")
	hook.await(t, "firing", "ChattonicQueueUnattended", "acme")
	hook.await(t, "firing", "ChattonicQueueUnattended", "initech")

	// The alerts about the queue are still active in Alertmanager when the team's
	// API starts to fail.
	fault(t, s, "initech", "", "500")
	hook.await(t, "firing", "ChattonicTeamAPIFailing", "initech")
	ask(t, http.MethodGet, s.AlertmanagerURL()+"/api/v2/status")
	amAlert(t, s, "ChattonicQueueUnattended", "initech")
	amAlert(t, s, "ChattonicQueueUnattended", "acme")
	require.Eventually(t, func() bool { return inhibited(t, s, "ChattonicQueueUnattended", "initech") }, 30*time.Second, 200*time.Millisecond)
	assert.False(t, inhibited(t, s, "ChattonicQueueUnattended", "acme"), "the other team's alert is not inhibited")
}

// A pause that the API asked for is one notification: not also one about failing
// requests, old data and throttling of the same endpoint.
func TestAlertsDuringAPauseAreInhibited(t *testing.T) {
	hook := newWebhook(t)
	s := start(t, hook, stack.Options{Teams: []string{"acme"}})
	post := func(labels ...string) {
		alert := map[string]string{}
		for i := 0; i < len(labels); i += 2 {
			alert[labels[i]] = labels[i+1]
		}
		postAlert(t, s, alert)
	}
	post("alertname", "ChattonicAPIPaused", "severity", "warning", "area", "api", "team", "initech")
	for _, team := range []string{"initech", "globex"} {
		post("alertname", "ChattonicTeamAPIFailing", "severity", "critical", "area", "api", "team", team, "collector", "operators")
		post("alertname", "ChattonicDataTooOld", "severity", "warning", "area", "api", "team", team, "collector", "operators", "window", "24h")
		post("alertname", "ChattonicAPIThrottled", "severity", "warning", "area", "api", "team", team, "endpoint", "operators")
	}
	for _, name := range []string{"ChattonicTeamAPIFailing", "ChattonicDataTooOld", "ChattonicAPIThrottled"} {
		require.Eventually(t, func() bool { return inhibited(t, s, name, "initech") }, 30*time.Second, 200*time.Millisecond, name)
	}
	assert.False(t, inhibited(t, s, "ChattonicAPIPaused", "initech"))
	assert.False(t, inhibited(t, s, "ChattonicTeamAPIFailing", "globex"), "no pause")
}

// amAlert sends an alert to Alertmanager with the labels that Prometheus would send.
// It stays active for five minutes.
func amAlert(t *testing.T, s *stack.Stack, alert, team string) {
	t.Helper()
	postAlert(t, s, map[string]string{"alertname": alert, "team": team, "severity": "critical", "area": "queue"})
}

func postAlert(t *testing.T, s *stack.Stack, labels map[string]string) {
	t.Helper()
	body, err := json.Marshal([]map[string]any{{
		"labels": labels,
		"endsAt": time.Now().Add(5 * time.Minute).Format(time.RFC3339),
	}})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.AlertmanagerURL()+"/api/v2/alerts", strings.NewReader(string(body)))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

func TestAlertAboutAKilledExporterFiresAndResolves(t *testing.T) {
	hook := newWebhook(t)
	s := start(t, hook, stack.Options{Teams: []string{"acme"}})
	require.Eventually(t, func() bool { return len(query(t, s, `chattonic_up == 1`)) == 1 }, 30*time.Second, 200*time.Millisecond)
	s.KillExporter()
	hook.await(t, "firing", "ChattonicExporterDown", "")
	require.NoError(t, s.StartExporter(t.Context()))
	hook.await(t, "resolved", "ChattonicExporterDown", "")
}

func TestManyTeamsAreDiscovered(t *testing.T) {
	var teams []string
	for i := range 51 {
		teams = append(teams, fmt.Sprintf("team%02d", i))
	}
	s := start(t, newWebhook(t), stack.Options{Teams: teams, Configured: 50, MultiTeam: true})
	up := func() (instances []string) {
		for _, sample := range query(t, s, `up{job="chattonic-teams"} == 1 and on (instance) label_replace(chattonic_up == 1, "instance", "$1", "team", "(.*)")`) {
			instances = append(instances, sample.Metric["instance"])
		}
		slices.Sort(instances)
		return instances
	}
	require.Eventually(t, func() bool { return slices.Equal(up(), teams[:50]) }, 90*time.Second, 500*time.Millisecond, "each team is a target that is up")
	assert.Len(t, query(t, s, `up{job="chattonic-exporter"} == 1`), 1)
	assert.Empty(t, query(t, s, `chattonic_up{job="chattonic-exporter"}`), "no team is scraped twice")

	require.NoError(t, s.Configure(teams))
	ask(t, http.MethodPost, s.ExporterURL()+"/-/reload")
	require.Eventually(t, func() bool { return slices.Equal(up(), teams) }, 60*time.Second, 500*time.Millisecond, "an added team becomes a target")
}

// mayBeEmpty lists patterns of expressions that may have no data here, and why.
var mayBeEmpty = []struct{ pattern, reason string }{
	{`offset (1d|1w|7d)|offset \$`, "there is no yesterday yet"},
	{`per_second\{[^}]*\} == 0`, "every team may drain; the panel's query for the time has data"},
	{`status!~"\(\?i\)online\|`, "the simulated API has no other states"},
	{`chattonic_api_paused_until_timestamp_seconds`, "the simulated API does not ask for pauses"},
	{`nps_responses[^<>]* < 30`, "every score may have more responses; the panel's query for those has data"},
	{`code="429"|code=~"401\|403"`, "the simulated API refuses nothing here"},
	{`api_retries_total`, "nothing may be repeated"},
	{`^0 \* max\(ALERTS\{alertname="ChattonicWatchdog"`, "an alert fires; without one this is 0"},
}

func TestEveryExpressionHasData(t *testing.T) {
	s := start(t, newWebhook(t), stack.Options{Teams: []string{"acme", "globex", "initech"}, Closed: []string{"globex"}})
	variables := strings.NewReplacer(
		"${team:regex}", ".+", "${operator:regex}", ".+", "${job:regex}", ".+", "${window:regex}", "24h",
		"$__rate_interval", "20s", "$__interval", "5s", "$__range", "30s",
		"${team}", ".+", "${operator}", ".+", "${job}", ".+", "${window}", "24h",
		"$team", ".+", "$operator", ".+", "$job", ".+", "$window", "24h",
	)
	// Some panels show only teams with problems: acme gets a backlog, and the API of
	// initech fails. Then wait for enough samples for rates and rules.
	scenario(t, s, "acme", "backlog")
	fault(t, s, "initech", "operators", "500")
	require.Eventually(t, func() bool {
		return len(query(t, s, `chattonic_queries_pending{team="acme"} > 5 and on () (time() - process_start_time_seconds{job="chattonic"} > 30)`)) == 1
	}, 120*time.Second, time.Second)

	expressions := dashboardExpressions(t)
	for _, r := range rules(t) {
		expressions = append(expressions, expression{where: "rule " + r.Record + r.Alert, text: r.Expr, alert: r.Alert != ""})
	}
	empty := 0
	for _, e := range expressions {
		text := variables.Replace(e.text)
		if len(query(t, s, text)) > 0 {
			continue
		}
		empty++
		reason := ""
		if e.alert {
			reason = "there is no problem to alert on; promtool's tests make it fire"
		}
		for _, m := range mayBeEmpty {
			if regexp.MustCompile(m.pattern).MatchString(e.text) {
				reason = m.reason
			}
		}
		assert.NotEmpty(t, reason, "%s has no data: %s", e.where, text)
	}
	t.Logf("%d expressions, of which %d have no data for a known reason", len(expressions), empty)
	assert.Greater(t, len(expressions), 100)
}

// expression is a query and its location.
type expression struct {
	where, text string
	alert       bool
}

// dashboardExpressions returns the queries of all panels, variables and annotations
// of the dashboards.
func dashboardExpressions(t *testing.T) (expressions []expression) {
	t.Helper()
	for _, file := range dashboardFiles(t, "en") {
		var dashboard struct {
			Title  string
			Panels []struct {
				Title   string
				Targets []struct{ RefID, Expr string }
			}
			Templating struct {
				List []struct {
					Name, Type string
					Query      any
				}
			}
			Annotations struct {
				List []struct{ Name, Expr string }
			}
		}
		require.NoError(t, json.Unmarshal([]byte(readText(t, file)), &dashboard))
		for _, panel := range dashboard.Panels {
			for _, target := range panel.Targets {
				expressions = append(expressions, expression{where: dashboard.Title + " / " + panel.Title + " " + target.RefID, text: target.Expr})
			}
		}
		for _, variable := range dashboard.Templating.List {
			if variable.Type == "query" {
				expressions = append(expressions, expression{where: dashboard.Title + " $" + variable.Name, text: variableExpression(t, variable.Query)})
			}
		}
		for _, annotation := range dashboard.Annotations.List {
			if annotation.Expr != "" {
				expressions = append(expressions, expression{where: dashboard.Title + " annotation " + annotation.Name, text: annotation.Expr})
			}
		}
	}
	return expressions
}

// variableExpression returns the expression of a variable's query, which is
// label_values(EXPR, LABEL) or query_result(EXPR).
func variableExpression(t *testing.T, query any) string {
	t.Helper()
	text, ok := query.(string)
	if !ok {
		object, isObject := query.(map[string]any)
		require.True(t, isObject, "%v", query)
		text, _ = object["query"].(string)
	}
	if inner := regexp.MustCompile(`^label_values\((.*),\s*\w+\)$`).FindStringSubmatch(text); inner != nil {
		return inner[1]
	}
	if inner := regexp.MustCompile(`^query_result\((.*)\)$`).FindStringSubmatch(text); inner != nil {
		return inner[1]
	}
	require.Fail(t, "unknown form of a variable's query", text)
	return ""
}
