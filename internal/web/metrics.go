package web

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"

	"chattonic_exporter/collector"
	"chattonic_exporter/collector/exposition"
)

// metricsHandler serves metrics. It writes the metrics of the teams in a text format without
// a registry, which is much faster. promhttp writes the exporter's metrics, and the metrics
// of the teams in all other formats.
type metricsHandler struct {
	*handler
	// compress compresses responses at the fastest level for clients that accept it.
	compress func(http.Handler) http.HandlerFunc
	awaited  awaited
}

func newMetricsHandler(h *handler) (*metricsHandler, error) {
	compress, err := gzhttp.NewWrapper(gzhttp.CompressionLevel(gzip.BestSpeed), gzhttp.EnableZstd(false))
	if err != nil {
		return nil, fmt.Errorf("creating the compressor: %w", err)
	}
	return &metricsHandler{h, compress, newAwaited(h.MaxAwaited)}, nil
}

// write writes the metrics of the teams, and then those of the exporter, which therefore
// include this scrape.
func (m *metricsHandler) write(w http.ResponseWriter, r *http.Request, teams *collector.Collector, exporter prometheus.Gatherer) {
	format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	openMetrics := format.FormatType() == expfmt.TypeOpenMetrics
	options := promhttp.HandlerOpts{
		ErrorLog: &errorLog{ctx: r.Context(), logger: m.Logger}, ErrorHandling: promhttp.ContinueOnError,
		Registry: m.Registry, EnableOpenMetrics: true, DisableCompression: true,
	}
	if !openMetrics && format.FormatType() != expfmt.TypeTextPlain {
		registry := prometheus.NewRegistry()
		registry.MustRegister(teams)
		m.compress(promhttp.HandlerFor(prometheus.Gatherers{registry, exporter}, options)).ServeHTTP(w, r)
		return
	}
	families := teams.Fetch().Families()
	if names := r.URL.Query()["name[]"]; len(names) > 0 {
		families = slices.DeleteFunc(families, func(f collector.Family) bool { return !slices.Contains(names, f.Name) })
	}
	w.Header().Set("Content-Type", string(format))
	w.Header().Add("Vary", "Accept")
	m.compress(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := writeFamilies(w, openMetrics, families); err != nil {
			options.ErrorLog.Println(err)
			return
		}
		promhttp.HandlerFor(exporter, options).ServeHTTP(bodyWriter{w}, r)
	})).ServeHTTP(w, r)
}

// wantsTeams reports whether a request wants metrics of teams, for which the API must be
// called. HEAD requests want none, nor do those that name only other metrics.
func wantsTeams(r *http.Request) bool {
	names := r.URL.Query()["name[]"]
	return r.Method != http.MethodHead && (len(names) == 0 ||
		slices.ContainsFunc(collector.Answers(nil).Families(), func(f collector.Family) bool { return slices.Contains(names, f.Name) }))
}

func writeFamilies(w http.ResponseWriter, openMetrics bool, families []collector.Family) error {
	writer := exposition.NewWriter(w, openMetrics)
	defer writer.Close()
	for _, f := range families {
		f.Write(writer)
	}
	return writer.Flush()
}

// bodyWriter is a ResponseWriter for the rest of the body of a response whose header is
// already sent.
type bodyWriter struct{ http.ResponseWriter }

// Header returns a header that is ignored.
func (bodyWriter) Header() http.Header { return http.Header{} }

// WriteHeader does nothing.
func (bodyWriter) WriteHeader(int) {}
