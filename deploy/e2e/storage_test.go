package e2e

import (
	"bufio"
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

// startDemo runs the exporter on its simulated teams, each a target of its own.
func startDemo(t *testing.T) (address string) {
	t.Helper()
	address = "127.0.0.1:" + freePort(t)
	background(t, exec.CommandContext(t.Context(), exporterProgram(t), "--demo", "--no-web.teams-on-metrics", "--web.listen-address="+address))
	get(t, "http://"+address+"/-/ready")
	return address
}

var demoTeams = []string{"sales", "support", "billing"}

// awaitTeams waits until a server has the teams of the demo.
func awaitTeams(t *testing.T, server string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		body := get(t, server+"/api/v1/query?query="+url.QueryEscape(`chattonic_up{job="chattonic-teams"} == 1`))
		var answer struct{ Data struct{ Result []sample } }
		require.NoError(c, json.Unmarshal([]byte(body), &answer))
		var teams []string
		for _, s := range answer.Data.Result {
			require.Equal(c, s.Metric["team"], s.Metric["instance"])
			teams = append(teams, s.Metric["team"])
		}
		require.ElementsMatch(c, demoTeams, teams)
	}, 40*time.Second, 200*time.Millisecond)
}

// Prometheus in agent mode, with the shipped configuration of the shards, writes to another
// Prometheus.
func TestAgentsWriteToAPrometheus(t *testing.T) {
	receiver := "127.0.0.1:" + freePort(t)
	folder := t.TempDir()
	background(t, exec.CommandContext(t.Context(), filepath.Join(tools(t), "prometheus"), "--web.enable-remote-write-receiver",
		"--config.file="+writeText(t, filepath.Join(folder, "prometheus.yml"), "{}\n"), "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+receiver))
	get(t, "http://"+receiver+"/-/ready")
	demo, none := startDemo(t), fakeExporter(t, nil)
	for number := range 2 {
		startShard(t, number, "exporter-a:10042", demo, "exporter-b:10042", none, "http://mimir:8080/api/v1/push", "http://"+receiver+"/api/v1/write")
	}
	awaitTeams(t, "http://"+receiver)
}

// sumOf returns the sum of a metric's samples in an OpenMetrics file.
func sumOf(t *testing.T, file, metric string) (sum float64, samples int) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), metric+"{") {
			continue
		}
		_, rest, found := strings.Cut(lines.Text(), "} ")
		require.True(t, found)
		v, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
		require.NoError(t, err)
		sum += v
		samples++
	}
	require.NoError(t, lines.Err())
	return sum, samples
}

// VictoriaMetrics scrapes with the shipped configuration of Prometheus, and takes the file of a
// backfill as it is.
func TestVictoriaMetrics(t *testing.T) {
	dir := t.TempDir()
	demo := startDemo(t)
	config := strings.NewReplacer("localhost:10042", demo, ": 1m\n", ": 1s\n", ": 30s\n", ": 1s\n").
		Replace(readText(t, inRepository("deploy", "prometheus", "prometheus-multi-team.yml")))
	address := "127.0.0.1:" + freePort(t)
	background(t, exec.CommandContext(t.Context(), program(t, "VICTORIAMETRICS_BIN", "bin", "victoria-metrics"), "-httpListenAddr="+address,
		"-storageDataPath="+filepath.Join(dir, "data"), "-retentionPeriod=100y", "-promscrape.config="+writeText(t, filepath.Join(dir, "scrape.yml"), config),
		"-promscrape.config.strictParse=false", "-search.latencyOffset=0s"))
	server := "http://" + address
	get(t, server+"/health")
	awaitTeams(t, server)

	api := "127.0.0.1:" + freePort(t)
	background(t, exec.CommandContext(t.Context(), exporterProgram(t), "simulate", "--listen-address="+api, "--token=simulated", "--operators=8"))
	get(t, "http://"+api+"/")
	file := filepath.Join(dir, "november.om")
	_, stderr, err := execute(t, nil, exporterProgram(t), backfill("http://"+api, writeText(t, filepath.Join(dir, "token"), "simulated"), file, "10000")...)
	require.NoError(t, err, stderr)
	text, err := os.Open(file)
	require.NoError(t, err)
	defer text.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server+"/api/v1/import/prometheus", text)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusNoContent, resp.StatusCode)

	const metric = "chattonic_operator_queries_resolved"
	sum, samples := sumOf(t, file, metric)
	require.Greater(t, samples, 900)
	end, err := time.Parse(time.RFC3339, monthEnds)
	require.NoError(t, err)
	get(t, server+"/internal/force_flush") // imported samples are found after a flush
	assert.Equal(t, map[string]float64{"acme": float64(samples)}, queryAt(t, server, `sum by (team) (count_over_time(`+metric+`[31d]))`, "team", end))
	assert.Equal(t, map[string]float64{"acme": sum}, queryAt(t, server, `sum by (team) (sum_over_time(`+metric+`[31d]))`, "team", end))
}
