package collector

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// tables holds all tables, in the order of the documentation.
var tables = []interface {
	describe(ch chan<- *prometheus.Desc)
	document() []Metric
	families(Answers) []Family
}{teamStateTable, teamTable, operatorTable, dashboardTable, dashboardAnswerTable, windowTable, contractTable, outcomeTable, pauseTable}

// Metric documents a metric.
type Metric struct {
	// Name is the metric's name.
	Name string
	// Type is gauge, counter or histogram.
	Type string
	// Labels are the names of its labels.
	Labels []string
	// Help is its HELP text.
	Help string
	// Current means that the metric describes the time of the scrape and not a window,
	// so that the API has no past values of it.
	Current bool
}

// Metrics returns the documentation of all metrics: first those of teams, then those of
// the exporter.
func Metrics() (all []Metric) {
	for _, t := range tables {
		all = append(all, t.document()...)
	}
	return slices.Concat(all, exporterMetrics)
}

func (t *table[T]) document() (metrics []Metric) {
	for i := range t.rows {
		r := &t.rows[i]
		metrics = append(metrics, Metric{Name: r.name, Type: "gauge", Labels: t.labelNames(r), Help: r.helpText, Current: r.current})
	}
	return metrics
}
