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

// policy lets a page load and ask nothing but what the exporter itself serves,
// so that what stands in an answer of the API can do nothing in a browser.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// timeForm is how the pages write a time.
const timeForm = "2006-01-02 15:04:05"

//go:embed pages.html
var pagesText string

var templates = template.Must(template.New("pages").Funcs(template.FuncMap{"breakable": breakable}).Parse(pagesText))

// breakable lets a metric's or label's name go on in the next line after each
// underscore.
func breakable(name string) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(name), "_", "_<wbr>")) //nolint:gosec // It is escaped.
}

//go:embed assets
var assetFiles embed.FS

// assets are the files beside the pages, and edition tells by which of them and
// of the pages a browser's copy was made.
var assets, edition = func() (fs.FS, string) {
	files, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		panic(err) // the path is wrong
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
		panic(err) // what is embedded can be read
	}
	return files, hex.EncodeToString(sum.Sum(nil)[:8])
}()

// Options say what the pages show.
type peopleOptions struct {
	// Teams returns what is remembered of the teams in force, in the order in
	// which they are shown. Each has a History.
	Teams func() []teams.Status
	// Links are to what else is served.
	Links []toolkit.LandingLinks
	// TeamsOnMetrics says that a scrape of /metrics asks all teams.
	TeamsOnMetrics bool
	// Simulated says that the data is not real.
	Simulated bool
	// Now is the clock by which data ages; nil means time.Now.
	Now func() time.Time
}

// frame is what all pages have in common.
type frame struct {
	Title, Version, Edition   string
	Links                     []toolkit.LandingLinks
	Simulated, TeamsOnMetrics bool
	At                        time.Time
}

// pages serves the pages.
type peoplePages struct{ peopleOptions }

// Handlers returns the handlers of the pages and of what they load, by the
// patterns of [http.ServeMux] that they are for.
func peopleHandlers(o peopleOptions) map[string]http.HandlerFunc {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Links = append(o.Links, toolkit.LandingLinks{Address: "/documentation", Text: "Documentation", Description: "what each metric is"})
	p := &peoplePages{o}
	return map[string]http.HandlerFunc{
		"GET /{$}":                  p.overviewPage,
		"GET /teams/{codename...}":  p.team,
		"GET /documentation":        p.documentation,
		"GET /assets/status.css":    asset("status.css"),
		"GET /assets/status.js":     asset("status.js"),
		"GET /assets/chattonic.svg": asset("chattonic.svg"),
	}
}

func (p *peoplePages) frame(title string) frame {
	return frame{
		Title: title, Version: version.Info(), Edition: edition, Links: p.Links,
		Simulated: p.Simulated, TeamsOnMetrics: p.TeamsOnMetrics, At: p.Now(),
	}
}

// overview shows all teams.
func (p *peoplePages) overviewPage(w http.ResponseWriter, _ *http.Request) {
	page := overviewPage{frame: p.frame("Chat-Tonic Exporter"), Count: make(map[string]int)}
	for _, t := range p.Teams() {
		s := summarize(t.Team, t.History.Snapshot(), page.At)
		page.Teams = append(page.Teams, s)
		page.Count[s.State]++
	}
	showPage(w, http.StatusOK, "overview", page)
}

// team shows one team.
func (p *peoplePages) team(w http.ResponseWriter, r *http.Request) {
	codename := r.PathValue("codename")
	for _, t := range p.Teams() {
		if t.Team.Codename == codename {
			showPage(w, http.StatusOK, "team", newTeamPage(p.frame(codename+" – Chat-Tonic Exporter"), t))
			return
		}
	}
	showPage(w, http.StatusNotFound, "unknown", p.frame("Unknown team – Chat-Tonic Exporter"))
}

// documentation shows what each metric is.
func (p *peoplePages) documentation(w http.ResponseWriter, _ *http.Request) {
	showPage(w, http.StatusOK, "documentation", struct {
		frame
		Metrics []collector.Metric
	}{p.frame("Metrics – Chat-Tonic Exporter"), collector.Metrics()})
}

// show answers with a page, whole or not at all.
func showPage(w http.ResponseWriter, status int, name string, page any) {
	var text bytes.Buffer
	if err := templates.ExecuteTemplate(&text, name, page); err != nil {
		http.Error(w, fmt.Sprintf("the page cannot be shown, which is a bug in the exporter: please report it: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store") // it may name people
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // who does not read it has gone
}

// asset serves one of the files, which a browser keeps while they are the same.
func asset(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"`+edition+`"`)
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Content-Security-Policy", policy)
		http.ServeFileFS(w, r, assets, name)
	}
}
