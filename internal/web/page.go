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

// pages serves metrics. Those of the teams are written as text without a registry,
// which takes a small part of the time. The exporter's own metrics, and all other
// formats, are left to promhttp.
type pages struct {
	*handler
	// compress compresses answers for clients that accept it, at the fastest level.
	compress func(http.Handler) http.HandlerFunc
}

func newPages(h *handler) (*pages, error) {
	compress, err := gzhttp.NewWrapper(gzhttp.CompressionLevel(gzip.BestSpeed), gzhttp.EnableZstd(false))
	if err != nil {
		return nil, fmt.Errorf("making a compressor: %w", err)
	}
	return &pages{h, compress}, nil
}

// show answers with the metrics of the teams, and then with those of own, so that
// these count the scrape itself.
func (p *pages) show(w http.ResponseWriter, r *http.Request, teams *collector.Collector, own prometheus.Gatherer) {
	format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	openMetrics := format.FormatType() == expfmt.TypeOpenMetrics
	options := promhttp.HandlerOpts{
		ErrorLog: &errorLog{ctx: r.Context(), logger: p.Logger}, ErrorHandling: promhttp.ContinueOnError,
		Registry: p.Registry, EnableOpenMetrics: true, DisableCompression: true,
	}
	if !openMetrics && format.FormatType() != expfmt.TypeTextPlain {
		registry := prometheus.NewRegistry()
		registry.MustRegister(teams)
		p.compress(promhttp.HandlerFor(prometheus.Gatherers{registry, own}, options)).ServeHTTP(w, r)
		return
	}
	families := teams.Fetch().Families()
	if names := r.URL.Query()["name[]"]; len(names) > 0 {
		families = slices.DeleteFunc(families, func(f collector.Family) bool { return !slices.Contains(names, f.Name) })
	}
	w.Header().Set("Content-Type", string(format))
	w.Header().Add("Vary", "Accept")
	p.compress(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := writeFamilies(w, openMetrics, families); err != nil {
			options.ErrorLog.Println(err)
			return
		}
		promhttp.HandlerFor(own, options).ServeHTTP(rest{w}, r)
	})).ServeHTTP(w, r)
}

func writeFamilies(w http.ResponseWriter, openMetrics bool, families []collector.Family) error {
	page := exposition.NewWriter(w, openMetrics)
	defer page.Close()
	for _, f := range families {
		f.Write(page)
	}
	return page.Flush()
}

// rest is a ResponseWriter for the rest of an answer that has begun, whose header
// is sent.
type rest struct{ http.ResponseWriter }

// Header returns a header that is not sent.
func (rest) Header() http.Header { return http.Header{} }

// WriteHeader does nothing.
func (rest) WriteHeader(int) {}
