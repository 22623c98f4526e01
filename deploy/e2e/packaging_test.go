// Package e2e tests the files in deploy/ with the built exporter and the programs
// that it works with, such as Prometheus, Alertmanager, Helm and Chromium.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/coreos/go-systemd/v22/unit"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringalpha "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// httpRoute is an HTTPRoute of the Gateway API, as far as the chart makes one.
type httpRoute struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Spec            struct {
		ParentRefs []struct{ Name, Namespace string } `json:"parentRefs"`
		Hostnames  []string                           `json:"hostnames"`
		Rules      []struct {
			Matches []struct {
				Path struct{ Type, Value string } `json:"path"`
			} `json:"matches"`
			BackendRefs []struct {
				Name string `json:"name"`
				Port int    `json:"port"`
			} `json:"backendRefs"`
		} `json:"rules"`
	} `json:"spec"`
}

// inRepository returns the path of a file in the repository.
func inRepository(elements ...string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(append([]string{filepath.Dir(file), "..", ".."}, elements...)...)
}

// program returns the path of a built program: from the environment variable, or
// the path that make uses.
func program(t *testing.T, variable string, elements ...string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		path = inRepository(elements...)
	}
	require.FileExists(t, path, "build it, or set %s to its path", variable)
	return path
}

func exporterProgram(t *testing.T) string {
	t.Helper()
	return program(t, "EXPORTER_BIN", "chattonic_exporter")
}

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

func writeText(t *testing.T, path, text string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// execute runs a program until it exits. Its environment has only PATH and env.
func execute(t *testing.T, env []string, path string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	var out, diagnostics bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	err = cmd.Run()
	return out.String(), diagnostics.String(), err
}

// background runs a program until the test ends.
func background(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("output of %s:\n%s", cmd.Path, output.String())
		}
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port
}

// get returns the body of a page. It waits until the server answers.
func get(t *testing.T, url string) (body string) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		require.NoError(c, err)
		resp, err := client.Do(req)
		require.NoError(c, err)
		defer resp.Body.Close()
		require.Equal(c, http.StatusOK, resp.StatusCode)
		data, err := io.ReadAll(resp.Body)
		require.NoError(c, err)
		body = string(data)
	}, 10*time.Second, 50*time.Millisecond)
	return body
}

// requireKnown fails unless the exporter's command in the arguments has all flags
// in them.
func requireKnown(t *testing.T, args []string) {
	t.Helper()
	command := "serve"
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			command = arg
			break
		}
	}
	help, _, err := execute(t, nil, exporterProgram(t), command, "--help")
	require.NoError(t, err, command)
	known := map[string]bool{}
	for _, m := range regexp.MustCompile(`--(\[no-\])?([a-z][a-z.-]*)`).FindAllStringSubmatch(help, -1) {
		known["--"+m[2]] = true
		if m[1] != "" {
			known["--no-"+m[2]] = true
		}
	}
	for _, arg := range args {
		if flag, _, _ := strings.Cut(arg, "="); strings.HasPrefix(flag, "-") {
			assert.Contains(t, known, flag, "a flag of %s", command)
		}
	}
}

// requireKnownVariables fails unless each variable belongs to a flag of serve.
func requireKnownVariables(t *testing.T, names []string) {
	t.Helper()
	help, _, err := execute(t, nil, exporterProgram(t), "serve", "--help")
	require.NoError(t, err)
	known := regexp.MustCompile(`\$(CHATTONIC_EXPORTER_[A-Z_]+)`).FindAllStringSubmatch(help, -1)
	for _, name := range names {
		assert.True(t, slices.ContainsFunc(known, func(m []string) bool { return m[1] == name }), "%s is a variable of the exporter", name)
	}
}

// The chart.

const tokensFolder = "/run/secrets/chattonic"

func chart() string { return inRepository("deploy", "helm", "chattonic-exporter") }

func helm(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	home := t.TempDir()
	stdout, stderr, err := execute(t, []string{"HELM_CACHE_HOME=" + home, "HELM_CONFIG_HOME=" + home, "HELM_DATA_HOME=" + home},
		program(t, "HELM_BIN", "bin", "helm"), args...)
	if err != nil {
		return stdout, fmt.Errorf("%w: %s%s", err, stdout, stderr)
	}
	return stdout, nil
}

// objects are the objects of a rendered chart, by kind.
type objects map[string][]any

// render renders the chart and decodes each object into its type. Unknown and
// duplicate fields are errors.
func render(t *testing.T, chart string, args ...string) objects {
	t.Helper()
	out, err := helm(t, append([]string{"template", "rel", chart, "--namespace=support"}, args...)...)
	require.NoError(t, err)
	found := objects{}
	for _, document := range regexp.MustCompile(`(?m)^---$`).Split(out, -1) {
		var kind meta.TypeMeta
		require.NoError(t, yaml.Unmarshal([]byte(document), &kind))
		if kind.Kind == "" { // a template without output
			continue
		}
		var object any
		switch kind.APIVersion + " " + kind.Kind {
		case "apps/v1 Deployment":
			object = new(apps.Deployment)
		case "autoscaling/v2 HorizontalPodAutoscaler":
			object = new(autoscaling.HorizontalPodAutoscaler)
		case "batch/v1 CronJob":
			object = new(batch.CronJob)
		case "monitoring.coreos.com/v1 Probe":
			object = new(monitoring.Probe)
		case "monitoring.coreos.com/v1 PrometheusRule":
			object = new(monitoring.PrometheusRule)
		case "monitoring.coreos.com/v1alpha1 ScrapeConfig":
			object = new(monitoringalpha.ScrapeConfig)
		case "gateway.networking.k8s.io/v1 HTTPRoute":
			object = new(httpRoute)
		case "networking.k8s.io/v1 Ingress":
			object = new(networking.Ingress)
		case "monitoring.coreos.com/v1 ServiceMonitor":
			object = new(monitoring.ServiceMonitor)
		case "networking.k8s.io/v1 NetworkPolicy":
			object = new(networking.NetworkPolicy)
		case "policy/v1 PodDisruptionBudget":
			object = new(policy.PodDisruptionBudget)
		case "v1 ConfigMap":
			object = new(core.ConfigMap)
		case "v1 Secret":
			object = new(core.Secret)
		case "v1 Service":
			object = new(core.Service)
		case "v1 ServiceAccount":
			object = new(core.ServiceAccount)
		default:
			require.Failf(t, "unknown object", "%s %s", kind.APIVersion, kind.Kind)
		}
		require.NoError(t, yaml.UnmarshalStrict([]byte(document), object), document)
		found[kind.Kind] = append(found[kind.Kind], object)
	}
	return found
}

// one returns the only object of a type.
func one[T any](t *testing.T, found objects) *T {
	t.Helper()
	all := every[T](found)
	require.Len(t, all, 1)
	return all[0]
}

func every[T any](found objects) (all []*T) {
	for _, kind := range slices.Sorted(maps.Keys(found)) {
		for _, object := range found[kind] {
			if o, ok := object.(*T); ok {
				all = append(all, o)
			}
		}
	}
	return all
}

// valuesOf returns the flag for a values file in the chart's folder ci.
func valuesOf(name string) string {
	return "--values=" + filepath.Join(chart(), "ci", name+"-values.yaml")
}

// chartValues returns the names of the chart's value files in ci.
func chartValues(t *testing.T) (names []string) {
	t.Helper()
	for _, file := range files(t, "deploy", "helm", "chattonic-exporter", "ci", "*-values.yaml") {
		names = append(names, strings.TrimSuffix(filepath.Base(file), "-values.yaml"))
	}
	return names
}

func TestChartPassesLint(t *testing.T) {
	for _, name := range chartValues(t) {
		t.Run(name, func(t *testing.T) {
			out, err := helm(t, "lint", "--strict", chart(), valuesOf(name))
			require.NoError(t, err, out)
		})
	}
}

func TestChartRendersObjectsOfKubernetesAndTheOperator(t *testing.T) {
	rules, dashboards := ruleFiles(t), dashboardFiles(t, "en")
	tests := map[string]map[string]int{
		"default": {"Deployment": 1, "Service": 1, "ServiceAccount": 1},
		"minimal": {"Deployment": 1, "Secret": 1, "Service": 1, "ServiceAccount": 1},
		"full": {
			"ConfigMap": len(dashboards) + 1, "CronJob": 1, "Deployment": 1, "HorizontalPodAutoscaler": 1, "HTTPRoute": 1, "Ingress": 1, "NetworkPolicy": 1,
			"PodDisruptionBudget": 1, "Probe": 2, "PrometheusRule": len(rules), "Secret": 1, "Service": 1, "ServiceAccount": 1, "ServiceMonitor": 1,
		},
		"one-team": {"CronJob": 1, "Deployment": 1, "Service": 1, "ServiceAccount": 1, "ServiceMonitor": 1},
		"fifty-teams": {
			"ConfigMap": len(dashboards), "Deployment": 1, "PrometheusRule": 2, "ScrapeConfig": 1, "Service": 1, "ServiceAccount": 1, "ServiceMonitor": 1,
		},
		"tls":       {"Deployment": 1, "Probe": 1, "Secret": 1, "Service": 1, "ServiceAccount": 1, "ServiceMonitor": 1},
		"openshift": {"Deployment": 1, "NetworkPolicy": 1, "Service": 1, "ServiceAccount": 1},
		"ipv6":      {"Deployment": 1, "NetworkPolicy": 1, "Service": 1, "ServiceAccount": 1},
	}
	require.ElementsMatch(t, chartValues(t), slices.Collect(maps.Keys(tests)), "the value files of the chart")
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			got := map[string]int{}
			for kind, all := range render(t, chart(), valuesOf(name)) {
				got[kind] = len(all)
			}
			require.Equal(t, want, got)
		})
	}
}

// podSpecs returns the pods of the exporter and, if there is one, of the NPS
// export.
func podSpecs(found objects) (all []core.PodSpec) {
	for _, d := range every[apps.Deployment](found) {
		all = append(all, d.Spec.Template.Spec)
	}
	for _, c := range every[batch.CronJob](found) {
		all = append(all, c.Spec.JobTemplate.Spec.Template.Spec)
	}
	return all
}

func TestChartRestrictsItsPods(t *testing.T) {
	for _, name := range chartValues(t) {
		t.Run(name, func(t *testing.T) {
			for _, pod := range podSpecs(render(t, chart(), valuesOf(name))) {
				assert.Equal(t, new(true), pod.SecurityContext.RunAsNonRoot)
				user, group := new(int64(65532)), new(int64(65532))
				if name == "openshift" { // it refuses users and groups other than its own
					user, group = nil, nil
				}
				assert.Equal(t, user, pod.SecurityContext.RunAsUser)
				assert.Equal(t, group, pod.SecurityContext.RunAsGroup)
				assert.Equal(t, group, pod.SecurityContext.FSGroup)
				assert.Equal(t, core.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
				assert.Equal(t, new(false), pod.AutomountServiceAccountToken)
				assert.Equal(t, new(false), pod.EnableServiceLinks, "the exporter would read flags from the variables of service links")
				require.Len(t, pod.Containers, 1)
				c := pod.Containers[0]
				assert.Equal(t, new(true), c.SecurityContext.ReadOnlyRootFilesystem)
				assert.Equal(t, new(false), c.SecurityContext.AllowPrivilegeEscalation)
				assert.Equal(t, []core.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop)
				assert.NotEmpty(t, c.Resources.Requests)
				assert.NotEmpty(t, c.Resources.Limits)
				assert.Regexp(t, `:latest$|@sha256:[0-9a-f]{64}$`, c.Image)
			}
		})
	}
}

func TestChartProbesNeverAskTheAPI(t *testing.T) {
	c := one[apps.Deployment](t, render(t, chart())).Spec.Template.Spec.Containers[0]
	require.Equal(t, "/-/healthy", c.LivenessProbe.HTTPGet.Path)
	require.Equal(t, "/-/ready", c.ReadinessProbe.HTTPGet.Path)
	require.Equal(t, c.Ports[0].Name, c.LivenessProbe.HTTPGet.Port.String())
	require.Equal(t, c.Ports[0].Name, c.ReadinessProbe.HTTPGet.Port.String())
}

func TestChartUsesFlagsThatTheExporterHas(t *testing.T) {
	for _, name := range chartValues(t) {
		t.Run(name, func(t *testing.T) {
			for _, pod := range podSpecs(render(t, chart(), valuesOf(name))) {
				require.NotEmpty(t, pod.Containers[0].Args)
				requireKnown(t, pod.Containers[0].Args)
			}
		})
	}
}

func TestChartGivesEachFileItsPlace(t *testing.T) {
	found := render(t, chart(), valuesOf("full"))
	require.Equal(t, "rel-chattonic-exporter-config", one[core.Secret](t, found).Name)
	for _, pod := range podSpecs(found) {
		require.Contains(t, pod.Containers[0].Args, "--config.file=/etc/chattonic_exporter/exporter.yml")
		secrets := map[string]string{}
		for _, v := range pod.Volumes {
			if v.Secret != nil {
				secrets[v.Name] = v.Secret.SecretName
			}
		}
		require.Equal(t, map[string]string{"config": "rel-chattonic-exporter-config", "tokens": "chattonic-tokens"}, secrets)
		places := map[string]string{}
		for _, m := range pod.Containers[0].VolumeMounts {
			places[m.Name] = m.MountPath
		}
		require.Equal(t, map[string]string{"config": "/etc/chattonic_exporter", "tokens": tokensFolder, "authority": "/etc/authority"}, places)
	}

	found = render(t, chart(), "--set=demo=false,existingConfigSecret=mine")
	require.Empty(t, every[core.Secret](found))
	require.Equal(t, "mine", one[apps.Deployment](t, found).Spec.Template.Spec.Volumes[0].Secret.SecretName)
}

func TestChartWithOneTeam(t *testing.T) {
	found := render(t, chart(), valuesOf("one-team"))
	team := []string{"--chattonic.url=https://chat-tonic.example", "--chattonic.codename=acme", "--chattonic.token-file=" + tokensFolder + "/token", "--chattonic.timezone=America/Argentina/Buenos_Aires"}
	exporter := one[apps.Deployment](t, found).Spec.Template.Spec
	require.Subset(t, exporter.Containers[0].Args, append(team, "--chattonic.windows=24h,today", "--chattonic.duration-unit=milliseconds", "--chattonic.queries-pending-threshold=10"))
	require.Len(t, exporter.Volumes, 1, "the tokens")
	require.Equal(t, append(append([]string{"nps-export"}, team...), "--user-type=all", "--window=7d", "--yes"),
		one[batch.CronJob](t, found).Spec.JobTemplate.Spec.Template.Spec.Containers[0].Args)

	args := one[apps.Deployment](t, render(t, chart(), "--set=demo=false,existingSecret=s,team.url=https://chat-tonic.example,team.codename=acme,probe.enabled=true")).Spec.Template.Spec.Containers[0].Args
	require.NotContains(t, strings.Join(args, " "), "timezone", "the exporter's defaults")
}

func TestChartConfigurationIsValid(t *testing.T) {
	for _, name := range []string{"minimal", "full", "tls"} {
		t.Run(name, func(t *testing.T) {
			text := one[core.Secret](t, render(t, chart(), valuesOf(name))).StringData["exporter.yml"]
			tokens := t.TempDir()
			for _, m := range regexp.MustCompile(tokensFolder+`/(\w+)`).FindAllStringSubmatch(text, -1) {
				writeText(t, filepath.Join(tokens, m[1]), "token")
			}
			file := writeText(t, filepath.Join(t.TempDir(), "exporter.yml"), strings.ReplaceAll(text, tokensFolder, tokens))
			_, stderr, err := execute(t, nil, exporterProgram(t), "check", "config", file)
			require.NoError(t, err, stderr)
		})
	}
}

// The schema of the chart accepts each valid configuration, such as that of the README.
func TestChartAcceptsTheConfigurationOfTheREADME(t *testing.T) {
	_, rest, found := strings.Cut(readText(t, inRepository("README.md")), "```yaml\n")
	require.True(t, found)
	text, _, _ := strings.Cut(rest, "```\n")
	for name, text := range map[string]string{"README": text, "nulls": `
defaults: {max_calls_per_minute: 60, ttl: {operators: 0, dashboard: 1m30s}, date_format_group: 0, thresholds: {queries_pending: "5"}, http_client: null, business_hours: null}
teams: [{codename: 12, base_url: "https://chat-tonic.example", max_calls_per_minute: null, thresholds: {queries_pending: null}, http_client: {
  authorization: {credentials: x}, tls_config: {min_version: TLS12}, proxy_url: null, http_headers: {X-Team: {values: [a]}}, oauth2: null}}]`} {
		var config map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(text), &config))
		values, err := yaml.Marshal(map[string]any{"demo": false, "config": config})
		require.NoError(t, err)
		require.NotEmpty(t, render(t, chart(), "--values="+writeText(t, filepath.Join(t.TempDir(), "values.yaml"), string(values))), name)
	}
}

func TestChartConfigurationRollsThePods(t *testing.T) {
	checksum := func(args ...string) string {
		d := one[apps.Deployment](t, render(t, chart(), append([]string{valuesOf("minimal")}, args...)...))
		sum := d.Spec.Template.Annotations["checksum/config"]
		require.NotEmpty(t, sum)
		return sum
	}
	before := checksum()
	require.Equal(t, before, checksum("--set=service.port=80"))
	require.NotEqual(t, before, checksum("--set=config.defaults.timezone=Europe/Madrid"))
	require.NotEqual(t, before, checksum("--set=config.teams[0].codename=globex"))
}

func TestChartSelectsItsOwnPods(t *testing.T) {
	found := render(t, chart(), valuesOf("full"))
	d := one[apps.Deployment](t, found)
	service := one[core.Service](t, found)
	exporter := d.Spec.Template.Labels
	export := one[batch.CronJob](t, found).Spec.JobTemplate.Spec.Template.Labels
	for what, selector := range map[string]map[string]string{
		"deployment": d.Spec.Selector.MatchLabels,
		"service":    service.Spec.Selector,
		"budget":     one[policy.PodDisruptionBudget](t, found).Spec.Selector.MatchLabels,
	} {
		assert.Subset(t, exporter, selector, what)
		assert.NotSubset(t, export, selector, what)
	}
	network := one[networking.NetworkPolicy](t, found).Spec.PodSelector.MatchLabels
	assert.Subset(t, exporter, network)
	assert.Subset(t, export, network)
	assert.Subset(t, service.Labels, one[monitoring.ServiceMonitor](t, found).Spec.Selector.MatchLabels)

	scaled := one[autoscaling.HorizontalPodAutoscaler](t, found).Spec.ScaleTargetRef
	assert.Equal(t, []string{d.APIVersion, d.Kind, d.Name}, []string{scaled.APIVersion, scaled.Kind, scaled.Name})
	assert.Nil(t, d.Spec.Replicas, "a value would reset the number that the autoscaler chose")
	assert.Equal(t, new(int32(1)), one[apps.Deployment](t, render(t, chart())).Spec.Replicas)
}

func TestChartNetworkPolicy(t *testing.T) {
	numbers := func(ports []networking.NetworkPolicyPort) (all []string) {
		for _, p := range ports {
			all = append(all, string(*p.Protocol)+" "+p.Port.String())
		}
		return all
	}
	spec := one[networking.NetworkPolicy](t, render(t, chart(), valuesOf("full"))).Spec
	require.Equal(t, []networking.PolicyType{"Ingress", "Egress"}, spec.PolicyTypes)
	require.Len(t, spec.Ingress, 1)
	require.Equal(t, []string{"TCP http"}, numbers(spec.Ingress[0].Ports))
	require.Equal(t, "monitoring", spec.Ingress[0].From[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])
	require.Len(t, spec.Egress, 2)
	require.Equal(t, []string{"UDP 53", "TCP 53"}, numbers(spec.Egress[0].Ports))
	require.Len(t, spec.Egress[0].To, 1)
	require.Equal(t, []string{"TCP 443", "TCP 3128"}, numbers(spec.Egress[1].Ports))
	require.Equal(t, "192.0.2.0/24", spec.Egress[1].To[0].IPBlock.CIDR)

	spec = one[networking.NetworkPolicy](t, render(t, chart(), "--set=networkPolicy.enabled=true")).Spec
	require.Empty(t, spec.Ingress[0].From, "anyone")
	require.Empty(t, spec.Egress[1].To, "anywhere")
}

func TestChartScrapesAsThePrometheusConfigurationsDo(t *testing.T) {
	job := func(found objects) string {
		endpoint := one[monitoring.ServiceMonitor](t, found).Spec.Endpoints[0]
		require.Contains(t, []string{"/metrics", "/chattonic/metrics"}, endpoint.Path)
		require.True(t, endpoint.HonorLabels, "the exporter's label team stays")
		require.Equal(t, one[core.Service](t, found).Spec.Ports[0].Name, endpoint.Port)
		require.Equal(t, "job", endpoint.RelabelConfigs[0].TargetLabel)
		// The exporter's own label endpoint stays.
		require.Equal(t, monitoring.RelabelConfig{Action: "labeldrop", Regex: "endpoint"}, endpoint.RelabelConfigs[1])
		return *endpoint.RelabelConfigs[0].Replacement
	}
	found := render(t, chart(), "--set=serviceMonitor.enabled=true")
	require.Contains(t, readText(t, inRepository("deploy", "prometheus", "prometheus.yml")), "job_name: "+job(found)+"\n")
	require.NotContains(t, podSpecs(found)[0].Containers[0].Args, "--no-web.teams-on-metrics")

	found = render(t, chart(), valuesOf("full"))
	multi := readText(t, inRepository("deploy", "prometheus", "prometheus-multi-team.yml"))
	require.Contains(t, multi, "job_name: "+job(found)+"\n")
	require.Contains(t, podSpecs(found)[0].Containers[0].Args, "--no-web.teams-on-metrics")
	service := one[core.Service](t, found)
	var teams, names []string
	for _, probe := range every[monitoring.Probe](found) {
		require.Contains(t, multi, "job_name: "+probe.Spec.JobName+"\n")
		require.Equal(t, "/chattonic/probe", probe.Spec.ProberSpec.Path)
		// The exporter's label team stays: a Probe has no honorLabels.
		restore, drop := probe.Spec.MetricRelabelConfigs[0], probe.Spec.MetricRelabelConfigs[1]
		require.Equal(t, []monitoring.LabelName{"exported_team"}, restore.SourceLabels)
		require.Equal(t, []string{"(.+)", "team"}, []string{restore.Regex, restore.TargetLabel})
		require.Equal(t, monitoring.RelabelConfig{Action: "labeldrop", Regex: "exported_team"}, drop)
		require.Equal(t, fmt.Sprintf("%s.contact-centre.svc:%d", service.Name, service.Spec.Ports[0].Port), probe.Spec.ProberSpec.URL)
		teams = append(teams, probe.Spec.Targets.StaticConfig.Targets...)
		names = append(names, probe.Name)
	}
	require.ElementsMatch(t, []string{"acme", "Globex_EU"}, teams)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(names))), len(teams))

	found = render(t, chart(), "--set=demo=false,existingConfigSecret=mine,probe.enabled=true,probe.teams={a,b}")
	require.Len(t, every[monitoring.Probe](found), 2)
}

func TestChartSendsAnNPSReportAtMostOnce(t *testing.T) {
	c := one[batch.CronJob](t, render(t, chart(), valuesOf("full")))
	require.Equal(t, batch.ForbidConcurrent, c.Spec.ConcurrencyPolicy)
	require.Equal(t, new(int32(0)), c.Spec.JobTemplate.Spec.BackoffLimit)
	require.Equal(t, core.RestartPolicyNever, c.Spec.JobTemplate.Spec.Template.Spec.RestartPolicy)
	require.Equal(t, new("America/Argentina/Buenos_Aires"), c.Spec.TimeZone)
	args := c.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Args
	require.Equal(t, []string{"nps-export", "--config.file=/etc/chattonic_exporter/exporter.yml", "--team=acme", "--user-type=detractor", "--window=this_month", "--yes"}, args)
}

func ruleFiles(t *testing.T) []string {
	t.Helper()
	return append(files(t, "deploy", "prometheus", "rules", "*.yml"), files(t, "deploy", "prometheus", "optional", "*.yml")...)
}

// An alert with numbers that suit not every team must be chosen.
func TestChartAlertsAboutQualityAreOptional(t *testing.T) {
	found := render(t, chart(), "--set=prometheusRule.enabled=true")
	var names []string
	for name := range rulesByName(found) {
		names = append(names, name)
	}
	require.ElementsMatch(t, []string{"rel-chattonic-exporter-alerts", "rel-chattonic-exporter-recording"}, names)
	require.NotContains(t, rulesByName(render(t, chart(), "--set=prometheusRule.quality=true")), "rel-chattonic-exporter-quality")
}

// dashboardFiles returns the dashboards in a language, or all without one. That of the exporter
// is in English only.
func dashboardFiles(t *testing.T, language string) []string {
	t.Helper()
	return slices.DeleteFunc(files(t, "dashboards", "*.json"), func(path string) bool {
		of := "en"
		if m := regexp.MustCompile(`-(es|pt)\.json$`).FindStringSubmatch(path); m != nil {
			of = m[1]
		}
		return language != "" && of != language && filepath.Base(path) != "chattonic-exporter.json"
	})
}

func files(t *testing.T, pattern ...string) []string {
	t.Helper()
	paths, err := filepath.Glob(inRepository(pattern...))
	require.NoError(t, err)
	require.NotEmpty(t, paths, "%v", pattern)
	return paths
}

// The chart has copies of the rules and dashboards, because Flux drops symbolic links when it
// takes a chart from a Git repository.
func TestChartRulesAndDashboardsAreThoseOfTheRepository(t *testing.T) {
	require.NoError(t, filepath.WalkDir(chart(), func(path string, entry os.DirEntry, err error) error {
		assert.Zero(t, entry.Type()&os.ModeSymlink, path)
		return err
	}))
	for _, pattern := range []string{"rules", "optional"} {
		for _, file := range files(t, "deploy", "prometheus", pattern, "*.yml") {
			require.Equal(t, readText(t, file), readText(t, filepath.Join(chart(), "files", pattern, filepath.Base(file))), "run make chart-files")
		}
	}
	all := files(t, "dashboards", "*.json")
	require.Len(t, files(t, "deploy", "helm", "chattonic-exporter", "files", "dashboards", "*"), len(all), "run make chart-files")
	for _, file := range all {
		require.Equal(t, readText(t, file), readText(t, filepath.Join(chart(), "files", "dashboards", filepath.Base(file))), "run make chart-files")
	}

	values := []string{"--set=prometheusRule.enabled=true,prometheusRule.quality=true,dashboards.enabled=true"}
	found := render(t, chart(), values...)
	for _, file := range ruleFiles(t) {
		var want monitoring.PrometheusRuleSpec
		require.NoError(t, yaml.UnmarshalStrict([]byte(readText(t, file)), &want))
		require.NotEmpty(t, want.Groups)
		require.Equal(t, want, rulesByName(found)["rel-chattonic-exporter-"+strings.TrimSuffix(filepath.Base(file), ".yml")])
	}
	for _, language := range []string{"en", "es", "pt"} {
		got, want := map[string]string{}, map[string]string{}
		for _, c := range every[core.ConfigMap](render(t, chart(), append(values, "--set=dashboards.language="+language)...)) {
			require.Equal(t, "1", c.Labels["grafana_dashboard"])
			require.Equal(t, "Chat-Tonic", c.Annotations["grafana_folder"])
			for name, text := range c.Data {
				got[name] = strings.TrimSpace(text)
			}
		}
		for _, file := range dashboardFiles(t, language) {
			want[filepath.Base(file)] = strings.TrimSpace(readText(t, file))
		}
		require.Equal(t, want, got)
	}
}

func TestChartWithoutItsFilesIsRefused(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "chattonic-exporter")
	require.NoError(t, os.CopyFS(folder, os.DirFS(chart())))
	require.NoError(t, os.RemoveAll(filepath.Join(folder, "files")))
	for values, problem := range map[string]string{
		"prometheusRule.enabled=true": "the chart has no rules",
		"dashboards.enabled=true":     "the chart has no dashboards",
	} {
		_, err := helm(t, "template", "rel", folder, "--set="+values)
		require.ErrorContains(t, err, problem)
	}
}

// alertsOf returns the alerts of all rules by name.
func alertsOf(found objects) map[string][]monitoring.Rule {
	alerts := map[string][]monitoring.Rule{}
	for _, spec := range rulesByName(found) {
		for _, group := range spec.Groups {
			for _, rule := range group.Rules {
				if rule.Alert != "" {
					alerts[rule.Alert] = append(alerts[rule.Alert], rule)
				}
			}
		}
	}
	return alerts
}

func TestChartChangesAlerts(t *testing.T) {
	plain, changed := alertsOf(render(t, chart(), "--set=prometheusRule.enabled=true,prometheusRule.quality=true")), alertsOf(render(t, chart(), valuesOf("full")))
	require.Contains(t, plain, "ChattonicAPIContractViolated")
	require.NotContains(t, changed, "ChattonicAPIContractViolated")
	require.Len(t, changed, len(plain)-1)
	for name, rules := range changed {
		for i, rule := range rules {
			want := plain[name][i]
			link := "https://git.example/chattonic_exporter/blob/main/deploy/RUNBOOK.md#" + strings.ToLower(name)
			if name == "ChattonicQueueUnattended" {
				want.For, link = new(monitoring.Duration("10m")), "https://wiki.example/unattended"
				want.Labels["oncall"] = "support"
			}
			want.Annotations["runbook_url"] = link
			require.Equal(t, want, rule, name)
		}
	}
}

// The exporter's web server may want TLS and a password: the kubelet has neither, and
// Prometheus gets both.
func TestChartWithTLS(t *testing.T) {
	found := render(t, chart(), valuesOf("tls"))
	c := one[apps.Deployment](t, found).Spec.Template.Spec.Containers[0]
	for _, probe := range []*core.Probe{c.LivenessProbe, c.ReadinessProbe} {
		require.Nil(t, probe.HTTPGet)
		require.Equal(t, "http", probe.TCPSocket.Port.String())
	}
	endpoint := one[monitoring.ServiceMonitor](t, found).Spec.Endpoints[0]
	require.Equal(t, "https", endpoint.Scheme.String())
	require.Equal(t, "chattonic.example", *endpoint.TLSConfig.ServerName)
	require.Equal(t, "password", endpoint.BasicAuth.Password.Key)
	probe := one[monitoring.Probe](t, found).Spec
	require.Equal(t, "https", probe.ProberSpec.Scheme.String())
	require.Equal(t, "ca.crt", probe.TLSConfig.CA.Secret.Key)
	require.Equal(t, "username", probe.BasicAuth.Username.Key)

	full := one[apps.Deployment](t, render(t, chart(), valuesOf("full"))).Spec.Template.Spec.Containers[0]
	require.Equal(t, int32(5), full.LivenessProbe.FailureThreshold, "a probe of its own")
	require.Equal(t, "/chattonic/-/ready", full.ReadinessProbe.HTTPGet.Path)
}

func TestChartLimitsTheMemoryOfGo(t *testing.T) {
	for values, want := range map[string]string{
		"demo=true":                                          "204MiB", // 80 % of the default
		"resources.limits.memory=1Gi":                        "819MiB",
		"resources.limits.memory=500M":                       "",
		"resources.limits.memory=null":                       "",
		"extraEnv[0].name=GOMEMLIMIT,extraEnv[0].value=1GiB": "1GiB",
	} {
		var got string
		for _, v := range one[apps.Deployment](t, render(t, chart(), "--set="+values)).Spec.Template.Spec.Containers[0].Env {
			require.Equal(t, "GOMEMLIMIT", v.Name)
			require.Empty(t, got, "set twice")
			got = v.Value
		}
		require.Equal(t, want, got, values)
	}
}

func TestChartMakesThePagesReachable(t *testing.T) {
	found := render(t, chart(), valuesOf("full"))
	service := one[core.Service](t, found)
	rule := one[networking.Ingress](t, found).Spec.Rules[0]
	require.Equal(t, "monitoring.example", rule.Host)
	require.Equal(t, "/chattonic", rule.HTTP.Paths[0].Path)
	require.Equal(t, service.Name, rule.HTTP.Paths[0].Backend.Service.Name)
	require.Equal(t, service.Spec.Ports[0].Name, rule.HTTP.Paths[0].Backend.Service.Port.Name)
	route := one[httpRoute](t, found).Spec
	require.Equal(t, service.Name, route.Rules[0].BackendRefs[0].Name)
	require.Equal(t, int(service.Spec.Ports[0].Port), route.Rules[0].BackendRefs[0].Port)
	require.Equal(t, "/chattonic", route.Rules[0].Matches[0].Path.Value)
	require.Contains(t, podSpecs(found)[0].Containers[0].Args, "--web.external-url=https://monitoring.example/chattonic")
}

// The chart's ScrapeConfig does what the one in deploy/kubernetes does for several exporters.
func TestChartScrapeConfig(t *testing.T) {
	found := render(t, chart(), valuesOf("fifty-teams"))
	spec := one[monitoringalpha.ScrapeConfig](t, found).Spec
	var shipped monitoringalpha.ScrapeConfig
	require.NoError(t, yaml.UnmarshalStrict([]byte(readText(t, inRepository("deploy", "kubernetes", "scrapeconfig.yaml"))), &shipped))
	require.Equal(t, "http://rel-chattonic-exporter.support.svc:10042/sd", string(spec.HTTPSDConfigs[0].URL))
	require.Equal(t, "rel-chattonic-exporter.support.svc:10042", *spec.RelabelConfigs[2].Replacement)
	spec.Scheme, spec.HTTPSDConfigs, spec.RelabelConfigs[2] = nil, shipped.Spec.HTTPSDConfigs, shipped.Spec.RelabelConfigs[2]
	require.Equal(t, shipped.Spec, spec)
	require.Contains(t, podSpecs(found)[0].Containers[0].Args, "--no-web.teams-on-metrics")
}

func TestChartPlacesItsObjects(t *testing.T) {
	found := render(t, chart(), valuesOf("full"))
	require.Equal(t, "contact-centre", one[apps.Deployment](t, found).Namespace)
	monitor := one[monitoring.ServiceMonitor](t, found)
	require.Equal(t, "monitoring", monitor.Namespace)
	require.Equal(t, []string{"contact-centre"}, monitor.Spec.NamespaceSelector.MatchNames)
	require.Equal(t, new("cluster"), monitor.Spec.ScrapeClassName)
	require.Equal(t, "registry.example/chattonic-exporter@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		podSpecs(found)[0].Containers[0].Image)
	require.Equal(t, "support", one[core.Service](t, found).Labels["example/owner"])
	require.Equal(t, []core.IPFamily{"IPv6"}, one[core.Service](t, render(t, chart(), valuesOf("ipv6"))).Spec.IPFamilies)
}

func rulesByName(found objects) map[string]monitoring.PrometheusRuleSpec {
	rules := map[string]monitoring.PrometheusRuleSpec{}
	for _, r := range every[monitoring.PrometheusRule](found) {
		rules[r.Name] = r.Spec
	}
	return rules
}

func TestChartRefusesBadValues(t *testing.T) {
	tests := map[string]struct{ values, problem string }{
		"unknown key":             {"serviceMonitors: {enabled: true}", "serviceMonitors"},
		"unknown key below":       {"probe: {enable: true}", "enable"},
		"log level":               {"log: {level: loud}", "/log/level"},
		"interval":                {"serviceMonitor: {interval: 1 minute}", "/serviceMonitor/interval"},
		"port":                    {"service: {port: 0}", "/service/port"},
		"digest":                  {"image: {digest: sha256:abc}", "/image/digest"},
		"user type":               {"npsExport: {userType: everyone}", "/npsExport/userType"},
		"team without a codename": {"{demo: false, config: {teams: [{base_url: https://chat-tonic.example}]}}", "codename"},
		"argument without dashes": {"extraArgs: [simulate]", "/extraArgs/0"},
		"demo with teams":         {"config: {teams: [{codename: acme}]}", "set demo to false"},
		"no team":                 {"demo: false", "no team is configured"},
		"typo in the defaults":    {"{demo: false, config: {defaults: {window: [1h]}, teams: [{codename: acme}]}}", "window"},
		"typo in a team":          {"{demo: false, config: {teams: [{codename: acme, http_client: {authorisation: {}}}]}}", "authorisation"},
		"unit of a team":          {"{demo: false, config: {teams: [{codename: acme, duration_unit: hours}]}}", "duration_unit"},
		"a team without a token":  {"{demo: false, team: {url: 'https://chat-tonic.example', codename: acme}}", "existingSecret with the access token"},
		"a team and a file":       {"{demo: false, existingConfigSecret: mine, team: {url: 'https://chat-tonic.example', codename: acme}}", "existingConfigSecret and team.codename are both set: keep one"},
		"two configurations":      {"{demo: false, existingConfigSecret: mine, config: {teams: [{codename: acme}]}}", "keep one"},
		"autoscaling of /metrics": {"autoscaling: {enabled: true}", "autoscaling.enabled needs probe.enabled"},
		"probes of unknown teams": {"probe: {enabled: true}", "probe.enabled needs codenames"},
		"NPS report of the demo":  {"npsExport: {enabled: true}", "npsExport.enabled needs real teams"},
		"timeout above interval":  {"serviceMonitor: {interval: 1m, scrapeTimeout: 1m30s}", "serviceMonitor.scrapeTimeout 1m30s is longer than the interval 1m"},
		"timeout of the probe":    {"{demo: false, existingConfigSecret: mine, probe: {enabled: true, teams: [a], interval: 500ms, scrapeTimeout: 1s}}", "probe.scrapeTimeout 1s is longer"},
		"unknown alert":           {"prometheusRule: {enabled: true, alerts: {ChattonicQueue: {enabled: false}}}", "prometheusRule.alerts.ChattonicQueue: there is no alert of that name"},
		"key of an alert":         {"prometheusRule: {alerts: {ChattonicWatchdog: {expr: vector(0)}}}", "expr"},
		"teams twice":             {"{demo: false, existingConfigSecret: mine, scrapeConfig: {enabled: true}, probe: {enabled: true, teams: [a]}}", "enable one"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := writeText(t, filepath.Join(t.TempDir(), "values.yaml"), test.values)
			_, err := helm(t, "template", "rel", chart(), "--values="+file)
			require.ErrorContains(t, err, test.problem)
		})
	}
}

// The schema describes each value. Otherwise Helm would accept a misspelt key.
func TestChartSchemaDescribesAllValues(t *testing.T) {
	var schema map[string]any
	require.NoError(t, json.Unmarshal([]byte(readText(t, filepath.Join(chart(), "values.schema.json"))), &schema))
	var values map[string]any
	require.NoError(t, yaml.UnmarshalStrict([]byte(readText(t, filepath.Join(chart(), "values.yaml"))), &values))
	var compare func(path string, schema, values map[string]any)
	compare = func(path string, schema, values map[string]any) {
		properties, _ := schema["properties"].(map[string]any)
		if properties == nil || path == "/config/defaults" { // the user chooses the keys
			return
		}
		assert.Equal(t, false, schema["additionalProperties"], path)
		for key, value := range values {
			property, known := properties[key].(map[string]any)
			assert.True(t, known, "%s/%s", path, key)
			if below, ok := value.(map[string]any); ok && known {
				compare(path+"/"+key, property, below)
			}
		}
		for key := range properties {
			if path+"/"+key != "/global" { // Helm's own
				assert.Contains(t, values, key, path)
			}
		}
	}
	compare("", schema, values)
}

// Docker Compose.

// realEnvironment returns the variables that docker-compose.real.yml requires.
func realEnvironment(t *testing.T) map[string]string {
	t.Helper()
	folder := t.TempDir()
	return map[string]string{
		"CHATTONIC_URL": "https://chat-tonic.example", "CHATTONIC_CODENAME": "acme",
		"CHATTONIC_TOKEN_FILE":  writeText(t, filepath.Join(folder, "token"), "token"),
		"GRAFANA_PASSWORD_FILE": writeText(t, filepath.Join(folder, "grafana"), "password"),
		"ALERTMANAGER_SECRETS":  folder,
	}
}

func loadCompose(t *testing.T, file string, environment map[string]string) (*types.Project, error) {
	t.Helper()
	var env []string
	for name, value := range environment {
		env = append(env, name+"="+value)
	}
	options, err := cli.NewProjectOptions([]string{inRepository("deploy", file)}, cli.WithEnv(env))
	require.NoError(t, err)
	return options.LoadProject(t.Context())
}

// composeProjects returns the two files as Docker Compose loads them.
func composeProjects(t *testing.T) map[string]*types.Project {
	t.Helper()
	projects := map[string]*types.Project{}
	for file, env := range map[string]map[string]string{"docker-compose.yml": nil, "docker-compose.real.yml": realEnvironment(t)} {
		project, err := loadCompose(t, file, env)
		require.NoError(t, err, file)
		projects[file] = project
	}
	return projects
}

func TestComposeServices(t *testing.T) {
	want := map[string][]string{
		"docker-compose.yml":      {"alertmanager", "exporter", "grafana", "network", "prometheus", "simulator"},
		"docker-compose.real.yml": {"alertmanager", "exporter", "grafana", "network", "prometheus"},
	}
	for file, project := range composeProjects(t) {
		t.Run(file, func(t *testing.T) {
			require.Equal(t, want[file], slices.Sorted(maps.Keys(project.Services)))
			for name, s := range project.Services {
				assert.Equal(t, []string{"ALL"}, s.CapDrop, name)
				for _, port := range s.Ports {
					assert.Equal(t, "127.0.0.1", port.HostIP, "%s publishes port %s only on this machine", name, port.Published)
				}
				if name == "network" { // has no program for a health check
					continue
				}
				assert.Equal(t, "service:network", s.NetworkMode, name)
				if assert.NotNil(t, s.HealthCheck, name) {
					assert.Equal(t, "CMD", s.HealthCheck.Test[0], "%s: images without a shell support no other form", name)
				}
			}
		})
	}
}

func TestComposeImagesArePinned(t *testing.T) {
	for file, project := range composeProjects(t) {
		for name, s := range project.Services {
			if s.Build != nil {
				assert.FileExists(t, filepath.Join(s.Build.Context, s.Build.Dockerfile), "%s of %s", name, file)
				continue
			}
			assert.Regexp(t, `:v?\d+(\.\d+)+$`, s.Image, "%s of %s", name, file)
		}
	}
}

// The tests run the same versions of the servers as the deployment.
func TestComposeImagesAreTheVersionsThatAreTested(t *testing.T) {
	module := readText(t, inRepository("deploy", "e2e", "go.mod"))
	project := composeProjects(t)["docker-compose.yml"]
	// Version 3.11.3 of Prometheus is v0.311.3 of its Go module.
	m := regexp.MustCompile(`github\.com/prometheus/prometheus v0\.(\d)(\d\d)\.(\d+)`).FindStringSubmatch(module)
	require.NotNil(t, m)
	require.Equal(t, fmt.Sprintf("prom/prometheus:v%s.%s.%s", m[1], strings.TrimPrefix(m[2], "0"), m[3]), project.Services["prometheus"].Image)
	m = regexp.MustCompile(`github\.com/prometheus/alertmanager (v\S+)`).FindStringSubmatch(module)
	require.NotNil(t, m)
	require.Equal(t, "prom/alertmanager:"+m[1], project.Services["alertmanager"].Image)
}

func TestComposeMountsWhatIsThere(t *testing.T) {
	for file, project := range composeProjects(t) {
		mounts := 0
		for name, s := range project.Services {
			for _, v := range s.Volumes {
				if v.Type == types.VolumeTypeBind {
					mounts++
					assert.True(t, v.ReadOnly, "%s of %s: %s", name, file, v.Source)
					_, err := os.Stat(v.Source)
					require.NoError(t, err, "%s of %s", name, file)
				}
			}
		}
		require.NotZero(t, mounts, file)
	}
}

func TestComposeUsesFlagsThatTheExporterHas(t *testing.T) {
	for _, project := range composeProjects(t) {
		for _, s := range project.Services {
			if s.Build == nil {
				continue
			}
			require.NotEmpty(t, s.Command)
			requireKnown(t, s.Command)
			require.Equal(t, "/bin/chattonic_exporter", s.HealthCheck.Test[1])
			requireKnown(t, s.HealthCheck.Test[2:])
			require.Contains(t, readText(t, filepath.Join(s.Build.Context, s.Build.Dockerfile)), `ENTRYPOINT ["/bin/chattonic_exporter"]`)
		}
	}
}

// Each service reaches the others at localhost, on the ports in the shipped files.
func TestComposePublishesThePortsOfTheShippedFiles(t *testing.T) {
	prometheus := readText(t, inRepository("deploy", "prometheus", "prometheus.yml"))
	source := readText(t, inRepository("deploy", "grafana", "provisioning", "datasources", "chattonic.yml"))
	for file, project := range composeProjects(t) {
		var ports []string
		for _, p := range project.Services["network"].Ports {
			require.Equal(t, p.Published, fmt.Sprint(p.Target))
			ports = append(ports, p.Published)
		}
		used := regexp.MustCompile(`localhost:(\d+)`).FindAllStringSubmatch(prometheus+source, -1)
		require.GreaterOrEqual(t, len(used), 3)
		for _, m := range used {
			assert.Contains(t, ports, m[1], file)
		}
	}
}

func TestComposeProvisionsGrafana(t *testing.T) {
	var sources struct {
		Version     int `json:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			IsDefault                    bool
			JSONData                     struct{ HTTPMethod, TimeInterval string }
		}
	}
	folder := inRepository("deploy", "grafana", "provisioning")
	require.NoError(t, yaml.UnmarshalStrict([]byte(readText(t, filepath.Join(folder, "datasources", "chattonic.yml"))), &sources))
	require.Equal(t, 1, sources.Version)
	require.Len(t, sources.Datasources, 1)
	require.Equal(t, "prometheus", sources.Datasources[0].Type)
	require.True(t, sources.Datasources[0].IsDefault)
	interval := sources.Datasources[0].JSONData.TimeInterval
	require.Contains(t, readText(t, inRepository("deploy", "prometheus", "prometheus.yml")), "scrape_interval: "+interval+"\n")

	var dashboards struct {
		Version   int `json:"apiVersion"`
		Providers []struct {
			Name, Folder, Type string
			AllowUIUpdates     bool
			Options            struct{ Path string }
		}
	}
	require.NoError(t, yaml.UnmarshalStrict([]byte(readText(t, filepath.Join(folder, "dashboards", "chattonic.yml"))), &dashboards))
	require.Len(t, dashboards.Providers, 1)
	for file, project := range composeProjects(t) {
		grafana := project.Services["grafana"]
		mounted := map[string]string{}
		for _, v := range grafana.Volumes {
			mounted[v.Target] = v.Source
		}
		for _, kind := range []string{"datasources", "dashboards"} {
			require.Equal(t, filepath.Join(folder, kind, "chattonic.yml"), mounted["/etc/grafana/provisioning/"+kind+"/chattonic.yml"], file)
		}
		path := dashboards.Providers[0].Options.Path
		for _, dashboard := range dashboardFiles(t, "en") {
			require.Equal(t, dashboard, mounted[filepath.Join(path, filepath.Base(dashboard))], file)
		}
		home := grafana.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
		require.Contains(t, mounted, *home)
	}
}

func TestComposeHasPlaceholdersForAlertmanagersSecrets(t *testing.T) {
	named := regexp.MustCompile(`secrets/(\w+)`).FindAllStringSubmatch(readText(t, inRepository("deploy", "alertmanager", "alertmanager.yml")), -1)
	require.NotEmpty(t, named)
	for _, v := range composeProjects(t)["docker-compose.yml"].Services["alertmanager"].Volumes {
		if v.Target != "/etc/alertmanager/secrets" {
			continue
		}
		for _, m := range named {
			if m[1] != "" {
				assert.FileExists(t, filepath.Join(v.Source, m[1]))
			}
		}
		return
	}
	require.Fail(t, "no secrets are mounted")
}

func TestComposeForARealTeamSaysWhatIsMissing(t *testing.T) {
	for name := range realEnvironment(t) {
		env := realEnvironment(t)
		delete(env, name)
		_, err := loadCompose(t, "docker-compose.real.yml", env)
		require.ErrorContains(t, err, name)
	}
}

func TestComposeForARealTeamUsesItsSecrets(t *testing.T) {
	env := realEnvironment(t)
	env["CHATTONIC_WINDOWS"] = "24h,today"
	project, err := loadCompose(t, "docker-compose.real.yml", env)
	require.NoError(t, err)
	require.Equal(t, env["CHATTONIC_TOKEN_FILE"], project.Secrets["chattonic_token"].File)
	require.Equal(t, "chattonic_token", project.Services["exporter"].Secrets[0].Source)
	require.Equal(t, types.ShellCommand{
		"--chattonic.url=https://chat-tonic.example", "--chattonic.codename=acme", "--chattonic.token-file=/run/secrets/chattonic_token",
		"--chattonic.windows=24h,today", "--chattonic.timezone=UTC", "--chattonic.duration-unit=seconds", "--chattonic.queries-pending-threshold=",
	}, project.Services["exporter"].Command)

	grafana := project.Services["grafana"]
	require.Equal(t, env["GRAFANA_PASSWORD_FILE"], project.Secrets["grafana_password"].File)
	require.Equal(t, "grafana_password", grafana.Secrets[0].Source)
	require.Equal(t, new("/run/secrets/grafana_password"), grafana.Environment["GF_SECURITY_ADMIN_PASSWORD__FILE"])
	require.Equal(t, new("false"), grafana.Environment["GF_AUTH_ANONYMOUS_ENABLED"], "a password is required")

	var sources []string
	for _, v := range project.Services["alertmanager"].Volumes {
		if v.Target == "/etc/alertmanager/secrets" {
			sources = append(sources, v.Source)
		}
	}
	require.Equal(t, []string{env["ALERTMANAGER_SECRETS"]}, sources, "the placeholders are not mounted")
}

// Runs the simulated deployment with the shipped commands and configuration file.
// Only the port differs.
func TestComposeExporterReadsTheSimulatedTeams(t *testing.T) {
	project := composeProjects(t)["docker-compose.yml"]
	port := freePort(t)
	var args []string
	for _, arg := range project.Services["simulator"].Command {
		args = append(args, strings.Replace(arg, ":10043", "127.0.0.1:"+port, 1))
	}
	require.Contains(t, args, "--listen-address=127.0.0.1:"+port)
	background(t, exec.CommandContext(t.Context(), exporterProgram(t), args...))
	get(t, "http://127.0.0.1:"+port+"/")

	exporter := project.Services["exporter"]
	require.Equal(t, types.ShellCommand{"--config.file=" + exporter.Volumes[0].Target}, exporter.Command)
	text := strings.Replace(readText(t, exporter.Volumes[0].Source), "localhost:10043", "127.0.0.1:"+port, 1)
	file := writeText(t, filepath.Join(t.TempDir(), "exporter.yml"), text)
	stdout, stderr, err := execute(t, nil, exporterProgram(t), "scrape", "--config.file="+file)
	require.NoError(t, err, stderr)
	require.Contains(t, stdout, `chattonic_up{team="acme"} 1`)
	require.Contains(t, stdout, `chattonic_up{team="globex"} 1`)
}

// systemd.

func systemdFile(name string) string { return inRepository("deploy", "systemd", name) }

// options returns the settings of a unit's section, in order.
func options(t *testing.T, file, section string) map[string][]string {
	t.Helper()
	all, err := unit.DeserializeOptions(strings.NewReader(readText(t, systemdFile(file))))
	require.NoError(t, err)
	found := map[string][]string{}
	for _, o := range all {
		if o.Section == section {
			found[o.Name] = append(found[o.Name], o.Value)
		}
	}
	require.NotEmpty(t, found, "%s of %s", section, file)
	return found
}

// environmentFile returns the variables of the example.
func environmentFile(t *testing.T) map[string]string {
	t.Helper()
	variables := map[string]string{}
	for line := range strings.Lines(readText(t, systemdFile("chattonic_exporter.env"))) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			name, value, found := strings.Cut(line, "=")
			require.True(t, found, line)
			variables[name] = value
		}
	}
	require.NotEmpty(t, variables)
	return variables
}

func TestSystemdUnitIsHardened(t *testing.T) {
	service := options(t, "chattonic_exporter.service", "Service")
	for name, want := range map[string]string{
		"DynamicUser": "yes", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes",
		"PrivateDevices": "yes", "CapabilityBoundingSet": "", "MemoryDenyWriteExecute": "yes", "UMask": "0077", "PrivateUsers": "yes",
		"RestrictAddressFamilies": "AF_INET AF_INET6", "SystemCallErrorNumber": "EPERM",
	} {
		assert.Equal(t, []string{want}, service[name], name)
	}
	// systemd copies credentials at the start only, so a replaced token would need a restart.
	assert.NotContains(t, service, "LoadCredential")
	assert.Equal(t, []string{"chattonic_tokens"}, service["SupplementaryGroups"])
	assert.Contains(t, options(t, "chattonic_exporter.service", "Unit")["Requires"], "chattonic_exporter.socket")
	assert.Equal(t, []string{"127.0.0.1:10042"}, options(t, "chattonic_exporter.socket", "Socket")["ListenStream"])
}

func TestSystemdUsesFlagsThatTheExporterHas(t *testing.T) {
	for _, file := range []string{"chattonic_exporter.service", "chattonic_exporter.service.d/teams.conf"} {
		starts := options(t, file, "Service")["ExecStart"]
		words := strings.Fields(starts[len(starts)-1])
		require.Equal(t, "/usr/local/bin/chattonic_exporter", words[0])
		requireKnown(t, words[1:])
	}
	requireKnownVariables(t, slices.Collect(maps.Keys(environmentFile(t))))
}

// Starts the exporter with the unit's command line as systemd does: with a listening
// socket and the variables of the example. Only the URL and the folder of the token
// differ. A replaced token is used without a restart.
func TestSystemdUnitStartsTheExporter(t *testing.T) {
	simulated := freePort(t)
	background(t, exec.CommandContext(t.Context(), exporterProgram(t), "simulate", "--listen-address=127.0.0.1:"+simulated))
	get(t, "http://127.0.0.1:"+simulated+"/")

	folder := t.TempDir()
	writeText(t, filepath.Join(folder, "token"), "simulated\n")
	line := options(t, "chattonic_exporter.service", "Service")["ExecStart"][0]
	require.Contains(t, line, "=/etc/chattonic_exporter/token")
	words := strings.Fields(strings.ReplaceAll(line, "/etc/chattonic_exporter/", folder+"/"))
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	socket, err := listener.(*net.TCPListener).File()
	require.NoError(t, err)
	defer socket.Close()

	// A shell, because LISTEN_PID must be the id of the process that gets the socket.
	cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, exporterProgram(t)}, words[1:]...)...)
	cmd.ExtraFiles = []*os.File{socket}
	variables := environmentFile(t)
	variables["CHATTONIC_EXPORTER_CHATTONIC_URL"] = "http://127.0.0.1:" + simulated
	cmd.Env = []string{"LISTEN_FDS=1"}
	for name, value := range variables {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	background(t, cmd)
	metrics := "http://" + listener.Addr().String() + "/metrics"
	require.Contains(t, get(t, metrics), `chattonic_up{team="acme"} 1`)
	writeText(t, filepath.Join(folder, "token"), "former\n")
	require.Contains(t, get(t, metrics), `chattonic_up{team="acme"} 0`)
	writeText(t, filepath.Join(folder, "token"), "simulated\n")
	require.Contains(t, get(t, metrics), `chattonic_up{team="acme"} 1`)
}

func TestSystemdAcceptsTheUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("systemd-analyze is not installed here")
	}
	require.NoError(t, err)
	folder := t.TempDir()
	var units []string
	for _, name := range []string{"chattonic_exporter.service", "chattonic_exporter.socket", "chattonic_exporter.service.d/teams.conf"} {
		// systemd-analyze looks for the program, which is not installed.
		text := strings.ReplaceAll(readText(t, systemdFile(name)), "/usr/local/bin/chattonic_exporter", exporterProgram(t))
		path := writeText(t, filepath.Join(folder, name), text)
		if filepath.Ext(name) != ".conf" {
			units = append(units, path)
		}
	}
	stdout, stderr, err := execute(t, nil, analyze, append([]string{"verify"}, units...)...)
	require.NoError(t, err, stderr)
	require.Empty(t, stdout+stderr)
}
