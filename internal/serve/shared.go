package serve

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// sharedFor is the time within which scrapes share what the kernel says of the
// process. It is less than any interval at which one server scrapes.
const sharedFor = time.Second

// shared is a Collector whose metrics are shared by all scrapes of a second. The
// kernel's texts about a process take longer to read than a hundred operators.
type shared struct {
	prometheus.Collector
	now func() time.Time

	mu      sync.Mutex
	at      time.Time
	metrics []prometheus.Metric
}

// Collect sends the metrics, which are those of up to a second before.
func (s *shared) Collect(ch chan<- prometheus.Metric) {
	for _, m := range s.recent() {
		ch <- m
	}
}

func (s *shared) recent() []prometheus.Metric {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := s.now().Sub(s.at); age >= 0 && age < sharedFor {
		return s.metrics
	}
	fresh := make(chan prometheus.Metric)
	go func() {
		defer close(fresh)
		s.Collector.Collect(fresh)
	}()
	s.metrics = nil
	for m := range fresh {
		s.metrics = append(s.metrics, m)
	}
	s.at = s.now()
	return s.metrics
}
