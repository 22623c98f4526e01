package collector

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// tables are all tables, in the order of the documentation.
var tables = []interface {
	describe(ch chan<- *prometheus.Desc)
	document() []Metric
	families(Answers) []Family
}{stateTable, teamTable, operatorTable, dashboardTable, dashboardAnswerTable, windowTable, contractTable, outcomeTable}

// Metric documents a metric.
type Metric struct {
	// Name is the metric's name.
	Name string
	// Type is gauge, counter or histogram.
	Type string
	// Labels are the names of its labels.
	Labels []string
	// Help is its HELP.
	Help string
	// Present says that the metric is about the moment of the scrape, whatever
	// the window.
	Present bool
}

// Metrics documents all metrics, of the teams first and of the exporter then.
func Metrics() (all []Metric) {
	for _, t := range tables {
		all = append(all, t.document()...)
	}
	return slices.Concat(all, ownMetrics)
}

func (t *table[T]) document() (metrics []Metric) {
	for i := range t.rows {
		r := &t.rows[i]
		metrics = append(metrics, Metric{Name: r.name, Type: "gauge", Labels: t.labelNames(r), Help: r.full, Present: r.present})
	}
	return metrics
}
