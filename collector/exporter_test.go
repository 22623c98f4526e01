package collector

import (
	"errors"
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
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`# HELP chattonic_exporter_api_requests_total HTTP requests to the API by status code; the code is none if no response was received. Source: exporter.
# TYPE chattonic_exporter_api_requests_total counter
chattonic_exporter_api_requests_total{code="200",endpoint="dashboard",team="acme"} 0
chattonic_exporter_api_requests_total{code="200",endpoint="operators",team="acme"} 1
chattonic_exporter_api_requests_total{code="503",endpoint="operators",team="acme"} 1
chattonic_exporter_api_requests_total{code="none",endpoint="operators",team="acme"} 1
# HELP chattonic_exporter_api_retries_total HTTP requests to the API that retried a failed request. Source: exporter.
# TYPE chattonic_exporter_api_retries_total counter
chattonic_exporter_api_retries_total{endpoint="dashboard",team="acme"} 0
chattonic_exporter_api_retries_total{endpoint="operators",team="acme"} 2
`), "chattonic_exporter_api_requests_total", "chattonic_exporter_api_retries_total"))

	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != "chattonic_exporter_api_request_duration_seconds" {
			continue
		}
		require.Len(t, family.GetMetric(), 2)
		assert.InDelta(t, 4, family.GetMetric()[1].GetHistogram().GetSampleSum(), 1e-9)
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
