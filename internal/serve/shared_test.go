package serve

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
)

// counted is a Collector whose metric is how often it was read.
type counted int

func (*counted) Describe(chan<- *prometheus.Desc) {}

func (c *counted) Collect(ch chan<- prometheus.Metric) {
	*c++
	ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("read", "How often.", nil, nil), prometheus.GaugeValue, float64(*c))
}

func TestScrapesOfASecondShareWhatIsSaidOfTheProcess(t *testing.T) {
	now := time.Date(2021, 12, 1, 12, 0, 0, 0, time.UTC)
	s := &shared{Collector: new(counted), now: func() time.Time { return now }}
	for _, step := range []struct {
		after time.Duration
		want  float64
	}{{0, 1}, {0, 1}, {sharedFor - 1, 1}, {1, 2}, {sharedFor - 1, 2}, {sharedFor, 3}, {-time.Hour, 4}} {
		now = now.Add(step.after)
		assert.InDelta(t, step.want, testutil.ToFloat64(s), 0, "%s later", step.after)
	}
}
