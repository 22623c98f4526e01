package collector

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors/version"

	"chattonic_exporter/chattonic"
)

// namespace is the prefix of the exporter's metrics about itself.
const namespace = "chattonic_exporter"

var (
	apiRequests = Metric{
		Name: namespace + "_api_requests_total", Type: "counter", Labels: []string{"team", "endpoint", "code"},
		Help: "HTTP requests to the API by status code; the code is none if no response was received. " + fromExporter + ".",
	}
	apiRetries = Metric{
		Name: namespace + "_api_retries_total", Type: "counter", Labels: []string{"team", "endpoint"},
		Help: "HTTP requests to the API that retried a failed request. " + fromExporter + ".",
	}
	apiDuration = Metric{
		Name: namespace + "_api_request_duration_seconds", Type: "histogram", Labels: []string{"team", "endpoint"},
		Help: "Seconds from sending an HTTP request to the API to the end of the response. " + fromExporter + ".",
	}
	reloadSuccessful = Metric{
		Name: namespace + "_config_last_reload_successful", Type: "gauge",
		Help: "Whether the last attempt to load the configuration succeeded (1) or failed, so that an older one stays active (0). " + fromExporter + ".",
	}
	reloadTime = Metric{
		Name: namespace + "_config_last_reload_success_timestamp_seconds", Type: "gauge",
		Help: "Unix time in seconds when the active configuration was loaded. " + fromExporter + ".",
	}
	buildInfo = Metric{
		Name: namespace + "_build_info", Type: "gauge",
		Labels: []string{"branch", "goarch", "goos", "goversion", "revision", "tags", "version"},
		Help:   "Build information of the exporter; always 1. " + fromExporter + ".",
	}
)

var exporterMetrics = []Metric{apiRequests, apiRetries, apiDuration, reloadSuccessful, reloadTime, buildInfo}

// ExporterMetrics holds the metrics about the exporter itself. It is safe for concurrent
// use.
type ExporterMetrics struct {
	requests, retries *prometheus.CounterVec
	duration          *prometheus.HistogramVec
	reloadSuccessful  prometheus.Gauge
	reloadTime        prometheus.Gauge
}

// NewExporterMetrics returns ExporterMetrics that are registered with the registry. It
// panics if they are registered already.
func NewExporterMetrics(registry prometheus.Registerer) *ExporterMetrics {
	m := &ExporterMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: apiRequests.Name, Help: apiRequests.Help}, apiRequests.Labels),
		retries:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: apiRetries.Name, Help: apiRetries.Help}, apiRetries.Labels),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: apiDuration.Name, Help: apiDuration.Help,
			Buckets:                         []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, apiDuration.Labels),
		reloadSuccessful: prometheus.NewGauge(prometheus.GaugeOpts{Name: reloadSuccessful.Name, Help: reloadSuccessful.Help}),
		reloadTime:       prometheus.NewGauge(prometheus.GaugeOpts{Name: reloadTime.Name, Help: reloadTime.Help}),
	}
	registry.MustRegister(m.requests, m.retries, m.duration, m.reloadSuccessful, m.reloadTime, version.NewCollector(namespace))
	return m
}

// Observer returns a function that counts the requests of a team's client, for
// chattonic.WithObserver.
func (m *ExporterMetrics) Observer(team string) func(chattonic.Attempt) {
	return func(a chattonic.Attempt) {
		code := "none"
		if a.StatusCode != 0 {
			code = strconv.Itoa(a.StatusCode)
		}
		m.requests.WithLabelValues(team, string(a.Endpoint), code).Inc()
		m.duration.WithLabelValues(team, string(a.Endpoint)).Observe(a.Duration.Seconds())
		if a.Retry > 0 {
			m.retries.WithLabelValues(team, string(a.Endpoint)).Inc()
		}
	}
}

// AddTeam creates the counters of a team with the value 0, so that rate() detects the first
// increase.
func (m *ExporterMetrics) AddTeam(team string) {
	for _, endpoint := range chattonic.ReadEndpoints() {
		m.requests.WithLabelValues(team, string(endpoint), "200")
		m.retries.WithLabelValues(team, string(endpoint))
		m.duration.WithLabelValues(team, string(endpoint))
	}
}

// RemoveTeam deletes the counters of a team that is no longer configured.
func (m *ExporterMetrics) RemoveTeam(team string) {
	labels := prometheus.Labels{"team": team}
	m.requests.DeletePartialMatch(labels)
	m.retries.DeletePartialMatch(labels)
	m.duration.DeletePartialMatch(labels)
}

// ObserveReload records whether the configuration was loaded. A nil error means success.
func (m *ExporterMetrics) ObserveReload(err error) {
	if err != nil {
		m.reloadSuccessful.Set(0)
		return
	}
	m.reloadSuccessful.Set(1)
	m.reloadTime.SetToCurrentTime()
}
