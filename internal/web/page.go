package web

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"chattonic_exporter/collector"
	"chattonic_exporter/internal/exposition"
)

// pages shows metrics. The teams' are written as text without a registry, which
// takes a small part of the time; what else there is, and other formats, are
// left to promhttp and its encoders.
type pages struct {
	*handler
	failures *prometheus.CounterVec
	// compress has an answer compressed for those who accept that, in the way
	// that takes the least time.
	compress func(http.Handler) http.HandlerFunc
}

// newPages returns pages whose failures are counted with those of promhttp.
func newPages(h *handler) (*pages, error) {
	compress, err := gzhttp.NewWrapper(gzhttp.CompressionLevel(gzip.BestSpeed), gzhttp.EnableZstd(false))
	if err != nil {
		return nil, fmt.Errorf("making a compressor: %w", err)
	}
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "promhttp_metric_handler_errors_total",
		Help: "Total number of internal errors encountered by the promhttp metric handler.",
	}, []string{"cause"})
	for _, cause := range []string{"gathering", "encoding"} {
		failures.WithLabelValues(cause)
	}
	if err := h.Registry.Register(failures); err != nil {
		already := new(prometheus.AlreadyRegisteredError)
		if !errors.As(err, already) {
			return nil, fmt.Errorf("registering what counts failures: %w", err)
		}
		failures, _ = already.ExistingCollector.(*prometheus.CounterVec)
	}
	return &pages{h, failures, compress}, nil
}

// show answers with the metrics of a scrape of teams, and with the exporter's
// own if they are asked for.
func (p *pages) show(w http.ResponseWriter, r *http.Request, teams *collector.Collector, own prometheus.Gatherer) {
	format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	log := &errorLog{ctx: r.Context(), logger: p.Logger}
	if format.FormatType() != expfmt.TypeOpenMetrics && format.FormatType() != expfmt.TypeTextPlain {
		p.showOtherwise(w, r, teams, own, log)
		return
	}
	families, done := teams.Ask().Families()
	defer done()
	// The teams come first, so that what the exporter says of its own work has
	// this scrape in it.
	others, err := own.Gather()
	if err != nil {
		log.Println("error gathering metrics:", err)
		p.failures.WithLabelValues("gathering").Inc()
	}
	if names := r.URL.Query()["name[]"]; len(names) > 0 {
		families = slices.DeleteFunc(families, func(f collector.Family) bool { return !slices.Contains(names, f.Name) })
		others = slices.DeleteFunc(others, func(f *dto.MetricFamily) bool { return !slices.Contains(names, f.GetName()) })
	}

	w.Header().Add("Vary", "Accept")
	w.Header().Set("Content-Type", string(format))
	buffer, _ := buffers.Get().(*bufio.Writer)
	defer buffers.Put(buffer)
	buffer.Reset(w)
	p.compress(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		err = write(w, format, families, others)
	})).ServeHTTP(buffered{w, buffer}, r)
	if err = cmp.Or(err, buffer.Flush()); err != nil {
		log.Println("error encoding and sending metric family:", err)
		p.failures.WithLabelValues("encoding").Inc()
	}
}

// write writes families, and others that have been gathered, by their names.
func write(w io.Writer, format expfmt.Format, families []collector.Family, others []*dto.MetricFamily) error {
	page, encoder := exposition.NewWriter(w, format.FormatType() == expfmt.TypeOpenMetrics), expfmt.NewEncoder(w, format)
	defer page.Close()
	for _, other := range others {
		for len(families) > 0 && families[0].Name < other.GetName() {
			families[0].Write(page)
			families = families[1:]
		}
		if err := cmp.Or(page.Flush(), encoder.Encode(other)); err != nil {
			return err
		}
	}
	for _, family := range families {
		family.Write(page)
	}
	err := page.Flush()
	if closer, ok := encoder.(expfmt.Closer); ok {
		err = cmp.Or(err, closer.Close())
	}
	return err
}

// buffers hold back what is compressed until a system call is worth it: it comes
// in hundreds of bytes.
var buffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 64<<10) }}

// buffered is a ResponseWriter with a buffer.
type buffered struct {
	http.ResponseWriter
	buffer *bufio.Writer
}

// Write writes to the buffer.
func (b buffered) Write(p []byte) (int, error) { return b.buffer.Write(p) }

// showOtherwise is show for all formats, by a registry.
func (p *pages) showOtherwise(w http.ResponseWriter, r *http.Request, teams *collector.Collector, own prometheus.Gatherer, log promhttp.Logger) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(teams)
	promhttp.HandlerFor(prometheus.Gatherers{registry, own}, promhttp.HandlerOpts{
		ErrorLog:          log,
		ErrorHandling:     promhttp.ContinueOnError,
		Registry:          p.Registry,
		EnableOpenMetrics: true,
	}).ServeHTTP(w, r)
}
