package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringalpha "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func shardedFile() string { return inRepository("deploy", "prometheus", "prometheus-sharded.yml") }

func TestShardedConfigurationIsValid(t *testing.T) {
	assert.Contains(t, tool(t, "promtool", "check", "config", "--agent", "--lint=all", "--lint-fatal", shardedFile()), "SUCCESS")
}

// fakeExporter returns its teams at /sd and answers only their probes.
func fakeExporter(t *testing.T, teams map[string]bool) (address string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/sd", func(w http.ResponseWriter, _ *http.Request) {
		var groups []map[string][]string
		for team := range teams {
			groups = append(groups, map[string][]string{"targets": {team}})
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(groups)
	})
	mux.HandleFunc("/metrics", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/probe", func(w http.ResponseWriter, r *http.Request) {
		if !teams[r.URL.Query().Get("target")] {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// activeTarget is one of Prometheus's targets.
type activeTarget struct {
	ScrapePool, ScrapeURL, Health, LastError string
	Labels                                   map[string]string
}

// startShard runs one of the two shards, with addresses and intervals replaced, and
// returns its address.
func startShard(t *testing.T, number int, replace ...string) (address string) {
	t.Helper()
	text := readText(t, shardedFile())
	require.Equal(t, 2, strings.Count(text, "\n        regex: \"0\"\n"), "as in the comment of the file")
	replace = append(replace, `regex: "0"`, fmt.Sprintf(`regex: "%d"`, number), ": 1m\n", ": 1s\n", ": 30s\n", ": 1s\n")
	folder, address := t.TempDir(), "127.0.0.1:"+freePort(t)
	file := writeText(t, filepath.Join(folder, "prometheus.yml"), strings.NewReplacer(replace...).Replace(text))
	background(t, exec.CommandContext(t.Context(), filepath.Join(tools(t), "prometheus"), "--agent", "--config.file="+file,
		"--storage.agent.path="+filepath.Join(folder, "data"), "--web.listen-address="+address))
	return address
}

// targetsOf returns the targets of a shard once all have been scraped.
func targetsOf(t *testing.T, address string) (targets []activeTarget) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var answer struct {
			Data struct{ ActiveTargets []activeTarget }
		}
		require.NoError(c, json.Unmarshal([]byte(get(t, "http://"+address+"/api/v1/targets?state=active")), &answer))
		targets = answer.Data.ActiveTargets
		require.Greater(c, len(targets), 10)
		for _, target := range targets {
			require.Equal(c, "up", target.Health, "%s: %s", target.ScrapeURL, target.LastError)
		}
	}, 30*time.Second, 200*time.Millisecond)
	return targets
}

func TestShardsShareTheTeamsOfAllExporters(t *testing.T) {
	var addresses []string
	exporterOf := map[string]string{}
	for i := range 2 {
		teams := map[string]bool{}
		for k := range 20 {
			teams[fmt.Sprintf("team%d%02d", i, k)] = true
		}
		addresses = append(addresses, fakeExporter(t, teams))
		for team := range teams {
			exporterOf[team] = addresses[i]
		}
	}
	var written [2]atomic.Int64
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		written[strings.Count(r.URL.Path, "/1/")].Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(storage.Close)

	var shards []string
	for number := range written {
		shards = append(shards, startShard(t, number, "exporter-a:10042", addresses[0], "exporter-b:10042", addresses[1],
			"http://mimir:8080", fmt.Sprintf("%s/%d", storage.URL, number)))
	}
	shardOf := map[string]int{}
	for number, address := range shards {
		for _, target := range targetsOf(t, address) {
			address, err := url.Parse(target.ScrapeURL)
			require.NoError(t, err)
			name := target.Labels["instance"]
			if target.ScrapePool == "chattonic-teams" {
				assert.Equal(t, exporterOf[name], address.Host, "%s is scraped through its exporter", name)
				assert.Equal(t, name, address.Query().Get("target"))
			}
			_, taken := shardOf[name]
			assert.False(t, taken, "%s is on one shard", name)
			shardOf[name] = number
		}
		require.Eventually(t, func() bool { return written[number].Load() > 0 }, 20*time.Second, 100*time.Millisecond, "the samples are sent")
	}
	for _, name := range addresses {
		assert.Contains(t, shardOf, name, "the exporter itself")
	}
	for team := range exporterOf {
		assert.Contains(t, shardOf, team)
	}
	assert.Len(t, shardOf, len(addresses)+len(exporterOf))
}

// kubernetes decodes a file of deploy/kubernetes. Unknown fields are errors.
func kubernetes(t *testing.T, name string, object any) {
	t.Helper()
	require.NoError(t, yaml.UnmarshalStrict([]byte(readText(t, inRepository("deploy", "kubernetes", name))), object))
}

// step is a relabelling rule.
type step struct {
	Sources []string `json:"source_labels"`
	Target  string   `json:"target_label"`
	Regex   string   `json:"regex"`
	Action  string   `json:"action"`
}

func TestScrapeConfigIsTheJobOfTheShards(t *testing.T) {
	var sharded struct {
		Jobs []struct {
			Name    string `json:"job_name"`
			Path    string `json:"metrics_path"`
			Honor   bool   `json:"honor_labels"`
			Samples int64  `json:"sample_limit"`
			Relabel []step `json:"relabel_configs"`
		} `json:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(readText(t, shardedFile())), &sharded))
	job := sharded.Jobs[1]
	config := new(monitoringalpha.ScrapeConfig)
	kubernetes(t, "scrapeconfig.yaml", config)
	require.Equal(t, "ScrapeConfig", config.Kind)
	assert.Equal(t, &job.Name, config.Spec.JobName)
	assert.Equal(t, &job.Path, config.Spec.MetricsPath)
	assert.True(t, job.Honor)
	assert.Equal(t, new(true), config.Spec.HonorLabels)
	assert.Equal(t, &job.Samples, config.Spec.SampleLimit)
	var steps []step
	for _, r := range config.Spec.RelabelConfigs {
		s := step{Target: r.TargetLabel, Regex: r.Regex, Action: r.Action}
		for _, source := range r.SourceLabels {
			s.Sources = append(s.Sources, string(source))
		}
		steps = append(steps, s)
	}
	last := len(steps) - 1
	assert.Equal(t, step{Sources: []string{"__param_target"}, Target: "__tmp_hash"}, steps[last], "the operator's label for shards")
	assert.Equal(t, job.Relabel[:last], steps[:last])
	require.Len(t, job.Relabel, last+2)
	assert.Equal(t, []string{"__param_target"}, job.Relabel[last].Sources, "the source label of the shards")
}

func TestAgentSelectsWhatTheExamplesShow(t *testing.T) {
	agent, config := new(monitoringalpha.PrometheusAgent), new(monitoringalpha.ScrapeConfig)
	kubernetes(t, "prometheusagent.yaml", agent)
	kubernetes(t, "scrapeconfig.yaml", config)
	require.Equal(t, "PrometheusAgent", agent.Kind)
	assert.Subset(t, config.Labels, agent.Spec.ScrapeConfigSelector.MatchLabels)
	assert.Equal(t, config.Namespace, agent.Namespace)
	assert.Equal(t, "prom/prometheus:"+agent.Spec.Version, composeProjects(t)["docker-compose.yml"].Services["prometheus"].Image)

	for _, name := range []string{"exporter-a", "exporter-b"} {
		found := render(t, chart(), "--values="+inRepository("deploy", "kubernetes", "exporter-values.yaml"),
			"--set=fullnameOverride="+name+",existingConfigSecret="+name+"-config,existingSecret="+name+"-tokens")
		monitor := one[monitoring.ServiceMonitor](t, found)
		assert.Subset(t, monitor.Labels, agent.Spec.ServiceMonitorSelector.MatchLabels)
		relabel := monitor.Spec.Endpoints[0].RelabelConfigs
		assert.Equal(t, "job", relabel[len(relabel)-1].TargetLabel)
		assert.Equal(t, "chattonic-exporter", *relabel[len(relabel)-1].Replacement)
		service := one[core.Service](t, found)
		var urls []string
		for _, sd := range config.Spec.HTTPSDConfigs {
			urls = append(urls, string(sd.URL))
		}
		assert.Contains(t, urls, fmt.Sprintf("http://%s.%s.svc:%d/sd", service.Name, config.Namespace, service.Spec.Ports[0].Port))
		deployment := one[apps.Deployment](t, found)
		assert.Equal(t, new(int32(1)), deployment.Spec.Replicas)
		requireKnown(t, deployment.Spec.Template.Spec.Containers[0].Args)
		assert.Contains(t, deployment.Spec.Template.Spec.Containers[0].Args, "--no-web.teams-on-metrics")
	}
}
