package collector

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
)

func TestExporterMetricsCountRequests(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics := NewExporterMetrics(registry)
	metrics.AddTeam("acme")
	metrics.AddTeam("globex")
	observe := metrics.Observer("acme")
	observe(chattonic.Attempt{Endpoint: chattonic.EndpointOperators, StatusCode: 503, Duration: time.Second})
	observe(chattonic.Attempt{Endpoint: chattonic.EndpointOperators, Retry: 1, Duration: time.Second})
	observe(chattonic.Attempt{Endpoint: chattonic.EndpointOperators, Retry: 2, StatusCode: 200, Duration: 2 * time.Second})
	metrics.RemoveTeam("globex")
	requests := `# HELP chattonic_exporter_api_requests_total HTTP requests to the API by status code; the code is none if no response was received. Source: exporter.
# TYPE chattonic_exporter_api_requests_total counter
chattonic_exporter_api_requests_total{code="503",endpoint="operators",team="acme"} 1
chattonic_exporter_api_requests_total{code="none",endpoint="operators",team="acme"} 1
`
	retries := `# HELP chattonic_exporter_api_retries_total HTTP requests to the API that retried a failed request. Source: exporter.
# TYPE chattonic_exporter_api_retries_total counter
`
	asked := map[chattonic.Endpoint][2]int{chattonic.EndpointOperators: {1, 2}}
	for _, e := range chattonic.ReadEndpoints() {
		requests += fmt.Sprintf("chattonic_exporter_api_requests_total{code=\"200\",endpoint=%q,team=\"acme\"} %d\n", e, asked[e][0])
		retries += fmt.Sprintf("chattonic_exporter_api_retries_total{endpoint=%q,team=\"acme\"} %d\n", e, asked[e][1])
	}
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(requests+retries), "chattonic_exporter_api_requests_total", "chattonic_exporter_api_retries_total"))

	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != "chattonic_exporter_api_request_duration_seconds" {
			continue
		}
		require.Len(t, family.GetMetric(), len(chattonic.ReadEndpoints()))
		sum := 0.0
		for _, m := range family.GetMetric() {
			sum += m.GetHistogram().GetSampleSum()
		}
		assert.InDelta(t, 4, sum, 1e-9)
	}
}

func TestExporterMetricsShowReloads(t *testing.T) {
	metrics := NewExporterMetrics(prometheus.NewRegistry())
	metrics.ObserveReload(nil)
	at := testutil.ToFloat64(metrics.reloadTime)
	assert.InDelta(t, float64(time.Now().Unix()), at, 60)
	assert.InDelta(t, 1, testutil.ToFloat64(metrics.reloadSuccessful), 0)
	metrics.ObserveReload(errors.New("broken"))
	assert.InDelta(t, 0, testutil.ToFloat64(metrics.reloadSuccessful), 0)
	assert.InDelta(t, at, testutil.ToFloat64(metrics.reloadTime), 0, "of the active one")
}
