package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/deploy/e2e/stack"
)

// finding is a line of the report of "check alerts".
type finding struct{ Check, Status, What, Do string }

// checkAlerts runs "check alerts" and returns its findings.
func checkAlerts(t *testing.T, s *stack.Stack, args ...string) (findings []finding, code int) {
	t.Helper()
	args = append([]string{"check", "alerts", "--prometheus.url", s.PrometheusURL(), "--output=json"}, args...)
	stdout, stderr, err := execute(t, nil, s.Exporter, args...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	}
	var report struct {
		OK       bool
		Findings []finding
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &report), "%s%s", stdout, stderr)
	require.Equal(t, report.OK, code == 0, stdout)
	return report.Findings, code
}

// brokenSetup is a way in which a set-up fails to tell people.
type brokenSetup struct {
	name       string
	breakIt    func()
	mend       func()
	args       []string
	want       finding // substrings, but for the status
	code       int
	unmendable bool
}

// editor changes files of the stack and makes their programs read them.
type editor struct{ stack *stack.Stack }

// replace changes a text in a file. restore undoes it.
func (e editor) replace(t *testing.T, program, file string, oldnew ...string) (change, restore func()) {
	t.Helper()
	path := filepath.Join(e.stack.Dir, file)
	before := readText(t, path)
	after := strings.NewReplacer(oldnew...).Replace(before)
	require.NotEqual(t, before, after, "the file no longer has the text to change: %q", oldnew)
	write := func(text string) func() {
		return func() {
			writeText(t, path, text)
			require.NoError(t, e.stack.Signal(program, syscall.SIGHUP))
		}
	}
	return write(after), write(before)
}

// post sends JSON to Alertmanager and returns the answer.
func (e editor) post(t *testing.T, path, body string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.stack.AlertmanagerURL()+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer
}

// silence silences the alerts about queues and returns the silence's id.
func (e editor) silence(t *testing.T) string {
	t.Helper()
	var answer struct{ SilenceID string }
	require.NoError(t, json.Unmarshal(e.post(t, "/api/v2/silences", fmt.Sprintf(`{"matchers":[{"name":"alertname","value":"ChattonicQue.*","isRegex":true}],"startsAt":%q,"endsAt":%q,"createdBy":"night shift","comment":"forgotten"}`,
		time.Now().Format(time.RFC3339), time.Now().Add(time.Hour).Format(time.RFC3339))), &answer))
	return answer.SilenceID
}

// rejectToken sends the alert about a rejected token of the team acme.
func (e editor) rejectToken(t *testing.T, ends time.Time) {
	t.Helper()
	e.post(t, "/api/v2/alerts", fmt.Sprintf(`[{"labels":{"alertname":"ChattonicTokenRejected","area":"api","severity":"critical","team":"acme","endpoint":"operators"},"startsAt":%q,"endsAt":%q}]`,
		ends.Add(-time.Hour).Format(time.RFC3339), ends.Format(time.RFC3339)))
}

func brokenSetups(t *testing.T, s *stack.Stack) []brokenSetup {
	t.Helper()
	e := editor{s}
	edit := func(b brokenSetup, program, file string, oldnew ...string) brokenSetup {
		b.breakIt, b.mend = e.replace(t, program, file, oldnew...)
		return b
	}
	silence := ""
	const prometheusFile, alerts, recording = "prometheus/prometheus.yml", "prometheus/rules/alerts.yml", "prometheus/rules/recording.yml"
	target := fmt.Sprintf("- targets: [localhost:%d]", s.Ports.Exporter)
	return []brokenSetup{
		edit(brokenSetup{name: "the label team is hidden", want: finding{"labels", "failed", "job chattonic have a label team", "honor_labels"}, code: 1},
			"prometheus", prometheusFile, target, target+"\n        labels: {team: support}", "honor_labels: true", "honor_labels: false"),
		edit(brokenSetup{name: "a rule file is not loaded", want: finding{"rules", "failed", "none of the 16 rules of alerts.yml is loaded", "rule_files"}, code: 1},
			"prometheus", prometheusFile, "rules/*.yml", "rules/recording.yml"),
		edit(brokenSetup{name: "a rule is missing", want: finding{"rules", "failed", "not loaded: ChattonicQueueNotDraining of alerts.yml", "shipped"}, code: 1},
			"prometheus", alerts, "alert: ChattonicQueueNotDraining", "alert: QueueNotDraining"),
		edit(brokenSetup{name: "a rule is changed", want: finding{"rules", "warning", "ChattonicQueriesPendingVeryHigh: loaded with another expression", "shipped"}},
			"prometheus", alerts, "> 2 * team:", "> 3 * team:"),
		edit(brokenSetup{name: "a duration is changed", want: finding{"rules", "warning", "ChattonicQueueNotDraining: loaded with for: 1h0m0s instead of 10m0s", "shipped"}},
			"prometheus", alerts, "for: 10m", "for: 1h"),
		edit(brokenSetup{name: "a rule cannot be evaluated", want: finding{"rules", "failed", "team:chattonic_queries_pending:max: cannot be evaluated", "Correct the rule"}, code: 1},
			"prometheus", recording, "expr: max by (team) (chattonic_queries_pending)\n", "expr: chattonic_queries_pending * on () chattonic_queries_pending\n"),
		edit(brokenSetup{name: "a metric is dropped", want: finding{"series", "failed", "chattonic_api_contract_violations is absent, and needed by ChattonicAPIContractViolated", "metric_relabel_configs"}, code: 1},
			"prometheus", prometheusFile, "- job_name: chattonic\n", "- job_name: chattonic\n    metric_relabel_configs: [{source_labels: [__name__], regex: chattonic_api_contract_violations, action: drop}]\n"),
		edit(brokenSetup{name: "Prometheus has no Alertmanager", want: finding{"alertmanager", "failed", "Prometheus has no Alertmanager", "alerting.alertmanagers"}, code: 1},
			"prometheus", prometheusFile, fmt.Sprintf("alertmanagers:\n    - static_configs:\n        - targets: [localhost:%d]", s.Ports.Alertmanager), "alertmanagers: []"),
		edit(brokenSetup{name: "a reload failed", want: finding{"prometheus", "warning", "its last reload failed", "log"}},
			"prometheus", alerts, "groups:", "group:"),
		edit(brokenSetup{name: "a time interval mutes", want: finding{"routes", "failed", "critical alerts about a queue are muted now: webhook (time interval closed)", ""}, code: 1},
			"alertmanager", "alertmanager/alertmanager.yml",
			"          continue: true\n", "          continue: true\n          mute_time_intervals: [closed]\n",
			"\nreceivers:\n", "\ntime_intervals:\n  - name: closed\n    time_intervals: [{years: ['2000:2100']}]\n\nreceivers:\n"),
		edit(brokenSetup{name: "a receiver has no integration", want: finding{"routes", "failed", "go nowhere: webhook has no integration", ""}, code: 1},
			"alertmanager", "alertmanager/alertmanager.yml", "    webhook_configs:\n", "    # webhook_configs:\n", "      - url_file:", "      # - url_file:"),
		{
			name: "a silence", want: finding{"silences", "failed", "a silence of night shift", "amtool silence expire"}, code: 1,
			breakIt: func() { silence = e.silence(t) },
			mend:    func() { ask(t, http.MethodDelete, s.AlertmanagerURL()+"/api/v2/silence/"+silence) },
		},
		{
			name: "an alert inhibits", want: finding{"inhibition", "failed", "ChattonicTokenRejected of acme fires and inhibits the alerts about the queue of acme", ""}, code: 1,
			breakIt: func() { e.rejectToken(t, time.Now().Add(time.Hour)) },
			mend:    func() { e.rejectToken(t, time.Now().Add(-time.Second)) },
		},
		{
			name: "the API fails", want: finding{"teams", "failed", "initech: requests for its operators fail", "chattonicteamapifailing"}, code: 1,
			breakIt: func() { fault(t, s, "initech", "operators", "500") },
			mend:    func() { fault(t, s, "initech", "", "none") },
		},
		{
			name: "a team is no longer configured", want: finding{"teams", "failed", "initech: there were series in the last hour, but there are none", "configuration"}, code: 1,
			args:    []string{"--team=initech"},
			breakIt: func() { configure(t, s, s.Teams[:1]) },
			mend:    func() { configure(t, s, s.Teams) },
		},
		{
			name: "a team never was configured", want: finding{"teams", "failed", "hooli: no series of this team", "configuration"}, code: 1,
			args: []string{"--team=hooli"},
		},
		{
			name: "the exporter is down", want: finding{"targets", "failed", "down: chattonic localhost:", "Start the exporter"}, code: 1,
			breakIt: func() { s.KillExporter() },
			mend:    func() { require.NoError(t, s.StartExporter(t.Context())) },
		},
		{
			name: "the drill fails", want: finding{"drill", "failed", "notifying failed: webhook", "Alertmanager's log"}, code: 1,
			args: []string{"--drill"},
			breakIt: func() {
				writeText(t, filepath.Join(s.Dir, "secrets", "webhook_url"), "http://127.0.0.1:1/")
			},
			unmendable: true, // Alertmanager goes on trying
		},
		{
			name: "Alertmanager is down", want: finding{"alertmanager", "failed", "Alertmanager at http://localhost:", "Start Alertmanager"}, code: 1,
			breakIt:    func() { require.NoError(t, s.Signal("alertmanager", syscall.SIGKILL)) },
			unmendable: true,
		},
	}
}

func configure(t *testing.T, s *stack.Stack, teams []string) {
	t.Helper()
	require.NoError(t, s.Configure(teams))
	ask(t, http.MethodPost, s.ExporterURL()+"/-/reload")
}

func TestCheckAlertsNamesWhatIsBroken(t *testing.T) {
	hook := newWebhook(t)
	s := start(t, hook, stack.Options{Teams: []string{"acme", "initech"}, Scenario: "quiet"})
	// The shipped durations, unlike in tests that wait for alerts.
	for _, name := range []string{"alerts.yml", "recording.yml"} {
		writeText(t, filepath.Join(s.Dir, "prometheus", "rules", name), readText(t, inRepository("deploy", "prometheus", "rules", name)))
	}
	require.NoError(t, s.Signal("prometheus", syscall.SIGHUP))
	good := func() {
		t.Helper()
		var findings []finding
		if !assert.Eventually(t, func() bool {
			var code int
			findings, code = checkAlerts(t, s)
			// The hidden label made a team that is gone, which is a warning for an hour.
			return code == 0 && !slices.ContainsFunc(findings, func(f finding) bool { return f.Status == "warning" && f.Check != "teams" })
		}, 30*time.Second, 100*time.Millisecond) {
			t.Fatal("the set-up is not good: ", findings)
		}
	}
	good()
	t.Log("a drill arrives")
	findings, code := checkAlerts(t, s, "--drill", "--team=initech")
	assert.Zero(t, code, "%v", findings)
	assert.Contains(t, findings[len(findings)-1].What, "the drill was routed to webhook, and notified after")
	hook.await(t, "firing", "ChattonicDrill", "initech")
	hook.await(t, "resolved", "ChattonicDrill", "initech")

	for _, broken := range brokenSetups(t, s) {
		t.Log(broken.name)
		if broken.breakIt != nil {
			broken.breakIt()
		}
		if !assert.Eventually(t, func() bool {
			findings, code = checkAlerts(t, s, broken.args...)
			return code == broken.code && slices.ContainsFunc(findings, func(f finding) bool {
				return f.Check == broken.want.Check && f.Status == broken.want.Status && strings.Contains(f.What, broken.want.What) && strings.Contains(f.Do, broken.want.Do)
			})
		}, 30*time.Second, 100*time.Millisecond, broken.name) {
			t.Log("findings: ", findings)
		}
		if broken.mend != nil {
			broken.mend()
		}
		if !broken.unmendable {
			good()
		}
	}
}
