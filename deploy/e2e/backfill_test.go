package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The month of the backfill, from its start to its exclusive end.
const (
	monthBegins = "2021-11-01T00:00:00Z"
	monthEnds   = "2021-12-01T00:00:00Z"
)

// backfill returns the arguments to backfill the month in steps of six hours.
func backfill(api, token, output, rate string, more ...string) []string {
	return append([]string{
		"backfill", "--chattonic.url", api, "--chattonic.codename", "acme", "--chattonic.token-file", token,
		"--start", monthBegins, "--end", monthEnds, "--step", "6h", "--rate", rate, "--output", output,
	}, more...)
}

// operatorOfTheMonth is an operator as the simulated API returns it.
type operatorOfTheMonth struct {
	ID              string `json:"_id"`
	DisplayName     string
	QueriesResolved float64
}

// ofAPI queries the simulated API for the operators in a window.
func ofAPI(t *testing.T, api, token string, start, end time.Time) (operators []operatorOfTheMonth) {
	t.Helper()
	const form = "2006-01-02T15:04:05.000Z"
	window := url.Values{"startDate": {start.UTC().Format(form)}, "endDate": {end.UTC().Format(form)}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api+"/api/v1/acme/stats/operator?"+window.Encode(), http.NoBody)
	require.NoError(t, err)
	req.Header = http.Header{"Accept": {"application/json"}, "Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	var answer struct{ Operators []operatorOfTheMonth }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	require.NotEmpty(t, answer.Operators)
	return answer.Operators
}

// queryAt queries Prometheus at a given time and returns the values by a label.
func queryAt(t *testing.T, prometheus, expr, label string, at time.Time) map[string]float64 {
	t.Helper()
	var answer struct{ Data struct{ Result []sample } }
	parameters := url.Values{"query": {expr}, "time": {at.Format(time.RFC3339)}}
	require.NoError(t, json.Unmarshal(ask(t, http.MethodGet, prometheus+"/api/v1/query?"+parameters.Encode()), &answer))
	values := map[string]float64{}
	for _, s := range answer.Data.Result {
		text, ok := s.Value[1].(string)
		require.True(t, ok)
		v, err := strconv.ParseFloat(text, 64)
		require.NoError(t, err)
		values[s.Metric[label]] += v
	}
	return values
}

// killedOnTheWay runs a backfill until some of its steps are saved, and then kills
// it, like a crash.
func killedOnTheWay(t *testing.T, journal string, args ...string) {
	t.Helper()
	cmd := exec.Command(exporterProgram(t), args...)
	background(t, cmd)
	var saved struct{ Done int }
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(journal)
		return err == nil && json.Unmarshal(text, &saved) == nil && saved.Done > 0
	}, 30*time.Second, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	require.Less(t, saved.Done, 121, "some steps are left")
	t.Logf("killed with %d of 121 steps saved", saved.Done)
}

func TestBackfillReachesPrometheus(t *testing.T) {
	dir := t.TempDir()
	const secret = "simulated"
	token := writeText(t, filepath.Join(dir, "token"), secret)
	listen := "127.0.0.1:" + freePort(t)
	api := "http://" + listen
	background(t, exec.Command(exporterProgram(t), "simulate", "--listen-address", listen, "--token", secret, "--operators", "8"))
	get(t, api+"/")

	whole, resumed := filepath.Join(dir, "whole.om"), filepath.Join(dir, "resumed.om")
	stdout, stderr, err := execute(t, nil, exporterProgram(t), backfill(api, token, whole, "10000")...)
	require.NoError(t, err, stderr)
	assert.Regexp(t, `^Wrote \d+ samples to \S+whole\.om\. `, stdout)
	killedOnTheWay(t, resumed+".partial/journal.json", backfill(api, token, resumed, "40")...)
	assert.NoFileExists(t, resumed)
	_, stderr, err = execute(t, nil, exporterProgram(t), backfill(api, token, resumed, "10000", "--resume")...)
	require.NoError(t, err, stderr)
	assert.NoDirExists(t, resumed+".partial")
	assert.Equal(t, sha256.Sum256([]byte(readText(t, whole))), sha256.Sum256([]byte(readText(t, resumed))), "a run that was killed and resumed writes the same file")

	data := filepath.Join(dir, "data")
	require.Contains(t, tool(t, "promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=168h", resumed, data), "NUM SAMPLES")
	listen = "127.0.0.1:" + freePort(t)
	background(t, exec.Command(filepath.Join(tools(t), "prometheus"), "--config.file", writeText(t, filepath.Join(dir, "prometheus.yml"), "{}\n"),
		"--storage.tsdb.path", data, "--storage.tsdb.retention.time", "20y", "--web.listen-address", listen))
	prometheus := "http://" + listen
	get(t, prometheus+"/-/ready")

	begin, err := time.Parse(time.RFC3339, monthBegins)
	require.NoError(t, err)
	end, err := time.Parse(time.RFC3339, monthEnds)
	require.NoError(t, err)
	t.Log("the sum over the days equals the value that the API returns for the month")
	want, all := map[string]float64{}, 0.0
	for _, o := range ofAPI(t, api, secret, begin, end) {
		want[o.ID] += o.QueriesResolved
		all += o.QueriesResolved
	}
	assert.Greater(t, all, 1000.0)
	assert.Equal(t, want, queryAt(t, prometheus, `sum_over_time(chattonic_operator_queries_resolved{team="acme", window="24h"}[30d:1d])`, "operator_id", end))
	assert.Equal(t, map[string]float64{"acme": 121}, queryAt(t, prometheus, `count_over_time(chattonic_dashboard_rows{window="24h"}[31d])`, "team", end))

	t.Log("a panel shows the resolved queries of each operator")
	noon := time.Date(2021, time.November, 17, 12, 0, 0, 0, time.UTC)
	best := map[string]float64{}
	for _, o := range ofAPI(t, api, secret, noon.Add(-24*time.Hour), noon) {
		best[o.DisplayName] += o.QueriesResolved
	}
	panels := 0
	for _, e := range dashboardExpressions(t) {
		if strings.HasSuffix(e.where, " / Resolved A") {
			expr := strings.NewReplacer("$team", ".+", "$operator", ".+", "$window", "24h").Replace(e.text)
			assert.Equal(t, best, queryAt(t, prometheus, expr, "operator", noon), e.text)
			panels++
		}
	}
	assert.Equal(t, 1, panels)
}
