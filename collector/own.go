package collector

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors/version"

	"chattonic_exporter/chattonic"
)

// program is the namespace of what the exporter says of itself.
const program = "chattonic_exporter"

var (
	apiRequests = Metric{
		Name: program + "_api_requests_total", Type: "counter", Labels: []string{"team", "endpoint", "code"},
		Help: "HTTP requests to the API by status code, which is none where no answer came. " + fromExporter + ".",
	}
	apiRetries = Metric{
		Name: program + "_api_retries_total", Type: "counter", Labels: []string{"team", "endpoint"},
		Help: "HTTP requests to the API that repeat one that failed. " + fromExporter + ".",
	}
	apiDuration = Metric{
		Name: program + "_api_request_duration_seconds", Type: "histogram", Labels: []string{"team", "endpoint"},
		Help: "How long HTTP requests to the API took, to the end of the answer. " + fromExporter + ".",
	}
	reloadSuccessful = Metric{
		Name: program + "_config_last_reload_successful", Type: "gauge",
		Help: "Whether the configuration could be read when that was last tried (1), or an older one stays in force (0). " + fromExporter + ".",
	}
	reloadTime = Metric{
		Name: program + "_config_last_reload_success_timestamp_seconds", Type: "gauge",
		Help: "When the configuration in force was read, in seconds since 1970. " + fromExporter + ".",
	}
	buildInfo = Metric{
		Name: program + "_build_info", Type: "gauge",
		Labels: []string{"branch", "goarch", "goos", "goversion", "revision", "tags", "version"},
		Help:   "What the exporter was built from; always 1. " + fromExporter + ".",
	}
)

var ownMetrics = []Metric{apiRequests, apiRetries, apiDuration, reloadSuccessful, reloadTime, buildInfo}

// Own is what the exporter counts of its own work from one scrape to the next.
type Own struct {
	requests, retries *prometheus.CounterVec
	duration          *prometheus.HistogramVec
	reloadSuccessful  prometheus.Gauge
	reloadTime        prometheus.Gauge
}

// NewOwn returns an Own that is registered.
func NewOwn(registry prometheus.Registerer) *Own {
	o := &Own{
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
	registry.MustRegister(o.requests, o.retries, o.duration, o.reloadSuccessful, o.reloadTime, version.NewCollector(program))
	return o
}

// Observer returns what counts the requests of a team's client.
func (o *Own) Observer(team string) func(chattonic.Attempt) {
	return func(a chattonic.Attempt) {
		code := "none"
		if a.StatusCode != 0 {
			code = strconv.Itoa(a.StatusCode)
		}
		o.requests.WithLabelValues(team, string(a.Endpoint), code).Inc()
		o.duration.WithLabelValues(team, string(a.Endpoint)).Observe(a.Duration.Seconds())
		if a.Retry > 0 {
			o.retries.WithLabelValues(team, string(a.Endpoint)).Inc()
		}
	}
}

// Watch makes the counters of a team exist before the first request, so that
// its first retry is an increase from 0.
func (o *Own) Watch(team string) {
	for _, endpoint := range chattonic.ReadEndpoints() {
		o.requests.WithLabelValues(team, string(endpoint), "200")
		o.retries.WithLabelValues(team, string(endpoint))
		o.duration.WithLabelValues(team, string(endpoint))
	}
}

// Forget drops the counters of a team that is no longer configured.
func (o *Own) Forget(team string) {
	labels := prometheus.Labels{"team": team}
	o.requests.DeletePartialMatch(labels)
	o.retries.DeletePartialMatch(labels)
	o.duration.DeletePartialMatch(labels)
}

// Reloaded notes that the configuration was read, or that it could not be.
func (o *Own) Reloaded(err error) {
	if err != nil {
		o.reloadSuccessful.Set(0)
		return
	}
	o.reloadSuccessful.Set(1)
	o.reloadTime.SetToCurrentTime()
}
