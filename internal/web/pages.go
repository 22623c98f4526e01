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
	"net/url"
	"slices"
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

//go:embed pages.html
var pagesText string

var templates = template.Must(template.New("pages").Funcs(template.FuncMap{"breakable": breakable}).Parse(pagesText))

// breakable allows a line break after each underscore of a metric or label name.
func breakable(name string) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(name), "_", "_<wbr>")) //nolint:gosec // It is escaped.
}

//go:embed assets
var assetFiles embed.FS

// assets holds the static files of the pages. assetsHash is a hash of them, of the page
// templates and of the texts; a browser uses it to detect a new version.
var assets, assetsHash = func() (fs.FS, string) {
	files, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		panic(err) // impossible: the path is a constant
	}
	sum := sha256.New()
	sum.Write([]byte(pagesText))
	for _, directory := range []fs.FS{files, catalogueFiles} {
		err = fs.WalkDir(directory, ".", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := fs.ReadFile(directory, path)
			sum.Write(data)
			return err
		})
		if err != nil {
			panic(err) // impossible: the files are embedded
		}
	}
	return files, hex.EncodeToString(sum.Sum(nil)[:8])
}()

// pageOptions configures the status pages.
type pageOptions struct {
	// Teams returns the active teams. Each must have a History.
	Teams func() []teams.Status
	// Links are the links in the footer. Their addresses are relative to the page at /.
	Links []toolkit.LandingLinks
	// TeamsOnMetrics means that a scrape of /metrics collects all teams.
	TeamsOnMetrics bool
	// Simulated means that the data is not real, and that there is a page at simulator/ to
	// switch what happens.
	Simulated bool
	// ReloadFailed returns since when the configuration could not be loaded, or the zero time
	// if the last attempt succeeded. It may be nil.
	ReloadFailed func() time.Time
	// RoutePrefix is the prefix of all paths.
	RoutePrefix string
	// Now is the clock for the age of data; nil means time.Now.
	Now func() time.Time
}

// basePage holds the data that all pages have in common.
type basePage struct {
	translator
	Version, AssetsHash       string
	Links                     []toolkit.LandingLinks
	Simulated, TeamsOnMetrics bool
	Now, ReloadFailed         time.Time
	request                   *http.Request
	prefix                    string
}

// Title returns the title of pages without news.
func (basePage) Title() string { return "Chat-Tonic" }

// Root returns the relative address of the page at /, so that links work below any path.
func (p basePage) Root() string {
	below := strings.TrimPrefix(p.request.URL.EscapedPath(), p.prefix)
	return strings.Repeat("../", max(0, strings.Count(below, "/")-1))
}

// Href returns the address of a page from this one. The parameters are names and values in
// turn. It keeps a language that was chosen.
func (p basePage) Href(page string, parameters ...string) string {
	query := url.Values{}
	if chosen := p.request.URL.Query().Get("lang"); chosen != "" {
		query.Set("lang", p.Tag())
	}
	for pair := range slices.Chunk(parameters, 2) {
		query.Set(pair[0], pair[1])
	}
	address := p.Root() + page
	if address == "" {
		address = "./"
	}
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return address
}

// In returns the address of this page in another language.
func (p basePage) In(tag string) string {
	query := p.request.URL.Query()
	query.Set("lang", tag)
	return "?" + query.Encode()
}

// overviewPage is the page of all teams, and the wall of all teams.
type overviewPage struct {
	basePage
	// Teams are the teams by urgency.
	Teams []overviewRow
	// Worst is the most urgent team, or nil if there is none.
	Worst *queue
	// Others is the number of other teams that need somebody.
	Others int
	// Waiting is the number of queries that wait in all teams whose data is current.
	Waiting tableCell
	// Unscraped means that a team was not scraped yet.
	Unscraped bool
	// Rest counts the teams that have no room on a wall, by state.
	Rest []restCount
}

// restCount is a number of teams in a state.
type restCount struct {
	State state
	Count int
}

// overviewRow is a team on the page of all teams.
type overviewRow struct {
	*queue
	Resolved  tableCell
	Sparkline sparkline
}

// statusPages serves the status pages.
type statusPages struct{ pageOptions }

// statusPageHandlers returns the handlers of the status pages and their assets, by
// [http.ServeMux] pattern.
func statusPageHandlers(o pageOptions) map[string]http.HandlerFunc {
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &statusPages{o}
	handlers := map[string]http.HandlerFunc{
		"GET /{$}":                 p.overview,
		"GET /teams/{codename...}": p.team,
		"GET /wall":                p.wall,
		"GET /wall/{codename...}":  p.teamWall,
		"GET /documentation":       p.documentation,
	}
	for _, name := range []string{"status.css", "wall.css", "status.js", "chattonic.svg"} {
		handlers["GET /assets/"+name] = asset(name)
	}
	return handlers
}

func (p *statusPages) basePage(r *http.Request) basePage {
	page := basePage{
		translator: newTranslator(r), Version: version.Info(), AssetsHash: assetsHash, Links: p.Links,
		Simulated: p.Simulated, TeamsOnMetrics: p.TeamsOnMetrics, Now: p.Now(), request: r, prefix: p.RoutePrefix,
	}
	if p.ReloadFailed != nil {
		page.ReloadFailed = p.ReloadFailed()
	}
	return page
}

// newOverviewPage returns the page of all teams.
func (p *statusPages) newOverviewPage(r *http.Request) overviewPage {
	page := overviewPage{basePage: p.basePage(r)}
	waiting := 0.0
	for i, status := range p.Teams() {
		if i == 0 {
			page.Now = page.Now.In(status.Team.Location)
		}
		q := newQueue(page.translator, status, page.Now)
		page.Teams = append(page.Teams, overviewRow{queue: q, Sparkline: q.sparkline(4 * time.Minute)})
		if q.Shown != unknown && q.Shown != old {
			waiting += q.waiting
		}
		page.Unscraped = page.Unscraped || q.Unscraped()
		if q.Shown < near {
			page.Others++
		}
	}
	slices.SortStableFunc(page.Teams, func(a, b overviewRow) int { return byUrgency(a.queue, b.queue) })
	page.Waiting = page.cell(waiting)
	if len(page.Teams) > 0 {
		page.Worst = page.Teams[0].queue
		page.Others = max(0, page.Others-1)
	}
	return page
}

// Title returns the worst news for a tab's title.
func (p overviewPage) Title() string {
	switch {
	case p.Worst == nil:
		return "Chat-Tonic"
	case p.Worst.Shown <= near:
		return p.Worst.TabTitle()
	default:
		return p.Waiting.Text + " · Chat-Tonic"
	}
}

// Headline returns what to do first.
func (p overviewPage) Headline() string {
	switch {
	case p.Worst == nil:
		return p.T("news.none")
	case p.Worst.Shown > near:
		return p.Count("news.well", len(p.Teams), p.Waiting.Text)
	case p.Others > 0:
		return p.Worst.News() + p.Count("news.others", p.Others)
	default:
		return p.Worst.News()
	}
}

// overview serves the page of all teams.
func (p *statusPages) overview(w http.ResponseWriter, r *http.Request) {
	page := p.newOverviewPage(r)
	for i := range page.Teams {
		q := page.Teams[i].queue
		page.Teams[i].Resolved = q.resolved(pageWindow(q.status.Team, ""))
	}
	writePage(w, http.StatusOK, "overview", page)
}

// maxTiles is the number of teams on a wall.
const maxTiles = 10

// wall serves the wall of all teams.
func (p *statusPages) wall(w http.ResponseWriter, r *http.Request) {
	page := p.newOverviewPage(r)
	if len(page.Teams) > maxTiles {
		for _, t := range page.Teams[maxTiles:] {
			if last := len(page.Rest) - 1; last >= 0 && page.Rest[last].State == t.Shown {
				page.Rest[last].Count++
			} else {
				page.Rest = append(page.Rest, restCount{t.Shown, 1})
			}
		}
		page.Teams = page.Teams[:maxTiles]
	}
	writePage(w, http.StatusOK, "wall", page)
}

// teamWall serves the wall of one team.
func (p *statusPages) teamWall(w http.ResponseWriter, r *http.Request) {
	p.onTeam(w, r, "teamwall")
}

// team serves the page of one team.
func (p *statusPages) team(w http.ResponseWriter, r *http.Request) { p.onTeam(w, r, "team") }

// onTeam serves a page about the team in the path.
func (p *statusPages) onTeam(w http.ResponseWriter, r *http.Request, template string) {
	codename := r.PathValue("codename")
	for _, t := range p.Teams() {
		if t.Team.Codename == codename {
			writePage(w, http.StatusOK, template, newTeamPage(p.basePage(r), t, r.URL.Query().Get("window")))
			return
		}
	}
	writePage(w, http.StatusNotFound, "unknown", p.basePage(r))
}

// documentation serves the documentation of the metrics.
func (p *statusPages) documentation(w http.ResponseWriter, r *http.Request) {
	writePage(w, http.StatusOK, "documentation", struct {
		basePage
		Metrics []collector.Metric
	}{p.basePage(r), collector.Metrics()})
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
	w.Header().Add("Vary", "Accept-Language")
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
