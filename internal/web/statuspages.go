package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/common/version"
	toolkit "github.com/prometheus/exporter-toolkit/web"

	"chattonic_exporter/collector"
	"chattonic_exporter/internal/teams"
)

// contentSecurityPolicy restricts pages to resources of the exporter, so that text from the
// API cannot execute or load anything in a browser.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// timeFormat is the time format of the pages.
const timeFormat = "2006-01-02 15:04:05"

//go:embed pages.html
var pagesText string

var templates = template.Must(template.New("pages").Funcs(template.FuncMap{"breakable": breakable}).Parse(pagesText))

// breakable allows a line break after each underscore of a metric or label name.
func breakable(name string) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(name), "_", "_<wbr>")) //nolint:gosec // It is escaped.
}

//go:embed assets
var assetFiles embed.FS

// assets holds the static files of the pages. assetsHash is a hash of them and of the page
// templates; a browser uses it to detect a new version.
var assets, assetsHash = func() (fs.FS, string) {
	files, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		panic(err) // impossible: the path is a constant
	}
	sum := sha256.New()
	sum.Write([]byte(pagesText))
	err = fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, path)
		sum.Write(data)
		return err
	})
	if err != nil {
		panic(err) // impossible: the files are embedded
	}
	return files, hex.EncodeToString(sum.Sum(nil)[:8])
}()

// pageOptions configures the status pages.
type pageOptions struct {
	// Teams returns the active teams in the order in which they are shown. Each must
	// have a History.
	Teams func() []teams.Status
	// Links are the links in the footer.
	Links []toolkit.LandingLinks
	// TeamsOnMetrics means that a scrape of /metrics collects all teams.
	TeamsOnMetrics bool
	// Simulated means that the data is not real.
	Simulated bool
	// Now is the clock for the age of data; nil means time.Now.
	Now func() time.Time
}

// basePage holds the data that all pages have in common.
type basePage struct {
	Title, Version, AssetsHash string
	Links                      []toolkit.LandingLinks
	Simulated, TeamsOnMetrics  bool
	Now                        time.Time
}

// statusPages serves the status pages.
type statusPages struct{ pageOptions }

// statusPageHandlers returns the handlers of the status pages and their assets, by
// [http.ServeMux] pattern.
func statusPageHandlers(o pageOptions) map[string]http.HandlerFunc {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Links = append(o.Links, toolkit.LandingLinks{Address: "/documentation", Text: "Documentation", Description: "of all metrics"})
	p := &statusPages{o}
	return map[string]http.HandlerFunc{
		"GET /{$}":                  p.overview,
		"GET /teams/{codename...}":  p.team,
		"GET /documentation":        p.documentation,
		"GET /assets/status.css":    asset("status.css"),
		"GET /assets/status.js":     asset("status.js"),
		"GET /assets/chattonic.svg": asset("chattonic.svg"),
	}
}

func (p *statusPages) basePage(title string) basePage {
	return basePage{
		Title: title, Version: version.Info(), AssetsHash: assetsHash, Links: p.Links,
		Simulated: p.Simulated, TeamsOnMetrics: p.TeamsOnMetrics, Now: p.Now(),
	}
}

// overview serves the page of all teams.
func (p *statusPages) overview(w http.ResponseWriter, _ *http.Request) {
	page := overviewPage{basePage: p.basePage("Chat-Tonic Exporter"), Count: make(map[string]int)}
	for _, t := range p.Teams() {
		s := summarize(t.Team, t.History.Snapshot(), page.Now)
		page.Teams = append(page.Teams, s)
		page.Count[s.State]++
	}
	writePage(w, http.StatusOK, "overview", page)
}

// team serves the page of one team.
func (p *statusPages) team(w http.ResponseWriter, r *http.Request) {
	codename := r.PathValue("codename")
	for _, t := range p.Teams() {
		if t.Team.Codename == codename {
			writePage(w, http.StatusOK, "team", newTeamPage(p.basePage(codename+" – Chat-Tonic Exporter"), t))
			return
		}
	}
	writePage(w, http.StatusNotFound, "unknown", p.basePage("Unknown team – Chat-Tonic Exporter"))
}

// documentation serves the documentation of the metrics.
func (p *statusPages) documentation(w http.ResponseWriter, _ *http.Request) {
	writePage(w, http.StatusOK, "documentation", struct {
		basePage
		Metrics []collector.Metric
	}{p.basePage("Metrics – Chat-Tonic Exporter"), collector.Metrics()})
}

// writePage responds with a page. It sends no partial page: if the template fails, it responds
// with an error.
func writePage(w http.ResponseWriter, status int, name string, page any) {
	var text bytes.Buffer
	if err := templates.ExecuteTemplate(&text, name, page); err != nil {
		http.Error(w, fmt.Sprintf("rendering the page failed, please report this bug: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.Header().Set("Content-Security-Policy", contentSecurityPolicy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store") // it may contain personal data
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // an error means that the client disconnected
}

// asset serves a static file. Browsers cache it until assetsHash changes.
func asset(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"`+assetsHash+`"`)
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Content-Security-Policy", contentSecurityPolicy)
		http.ServeFileFS(w, r, assets, name)
	}
}
