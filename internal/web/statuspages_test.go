package web

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/calendar"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/simulator"
	"chattonic_exporter/internal/teams"
)

// clocked is a clock that only tests move.
type clocked struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clocked) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clocked) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is the pages of teams on a simulated API, which knows acme, globex and
// initech.
type pagesFixture struct {
	*http.ServeMux
	api   *simulator.Server
	url   string // of the API
	teams *teams.Set
	clock *clocked
}

func startPages(t *testing.T, configured string, adjust func(*simulator.Team, *pageOptions)) *pagesFixture {
	t.Helper()
	f := &pagesFixture{ServeMux: http.NewServeMux(), clock: &clocked{now: noon}}
	o := pageOptions{
		TeamsOnMetrics: true, Now: f.clock.Now,
		Links: []toolkit.LandingLinks{{Address: "/sd", Text: "Teams", Description: "for discovery"}},
	}
	each := simulator.Team{Token: "secret", Operators: 4}
	if adjust != nil {
		adjust(&each, &o)
	}
	var simulated []simulator.Team
	for _, codename := range []string{"acme", "globex", "initech"} {
		team := each
		team.Codename = codename
		simulated = append(simulated, team)
	}
	var err error
	f.api, err = simulator.New(simulator.Options{Teams: simulated, Now: f.clock.Now})
	require.NoError(t, err)
	upstream := httptest.NewServer(f.api)
	f.url = upstream.URL
	f.teams = teams.New(teams.Options{
		RequestTimeout: 10 * time.Second, MaxBody: 1 << 20, MaxCalls: 100, Now: f.clock.Now, History: true,
		Metrics: collector.NewExporterMetrics(prometheus.NewRegistry()),
	})
	f.apply(t, configured)
	o.Teams = f.teams.Status
	for pattern, handler := range statusPageHandlers(o) {
		f.HandleFunc(pattern, handler)
	}
	t.Cleanup(func() {
		f.api.Close()
		f.teams.Close()
		upstream.Close()
	})
	return f
}

func (f *pagesFixture) apply(t *testing.T, configured string) {
	t.Helper()
	c, err := config.Parse("test", []byte("defaults:\n  base_url: "+f.url+"\n  collectors: [operators, dashboard]\n  http_client: {authorization: {credentials: secret}}\nteams:\n"+configured))
	require.NoError(t, err)
	require.NoError(t, f.teams.Apply(c))
}

// scrape asks all teams, as Prometheus would have it.
func (f *pagesFixture) scrape(ctx context.Context) {
	teams, release := f.teams.Teams()
	defer release()
	collector.New(ctx, log.NewNopLogger(), f.clock.Now, teams...).Fetch()
}

func (f *pagesFixture) ask(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	return w
}

// page is ask for what has to be there, and be HTML.
func (f *pagesFixture) page(t *testing.T, path string) string {
	t.Helper()
	w := f.ask(t, path)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	checkHTML(t, w.Body.String())
	return w.Body.String()
}

var tags = regexp.MustCompile(`<[^>]*>`)

// rows are the texts of the cells of each row in a table's body.
func rows(t *testing.T, page, table string) (all [][]string) {
	t.Helper()
	_, rest, found := strings.Cut(page, `<table id="`+table+`"`)
	require.True(t, found, page)
	rest, _, _ = strings.Cut(rest, "</table>")
	_, body, _ := strings.Cut(rest, "<tbody")
	for _, row := range strings.Split(body, "<tr")[1:] {
		var cells []string
		for _, cell := range regexp.MustCompile(`(?s)<t[hd][ >].*?</t[hd]>`).FindAllString(row, -1) {
			cells = append(cells, strings.TrimSpace(tags.ReplaceAllString(cell, "")))
		}
		all = append(all, cells)
	}
	return all
}

// checkHTML holds a page to what a browser would otherwise mend by guessing:
// elements that are closed in order, ids that are unique, and references to them.
func checkHTML(t *testing.T, page string) {
	t.Helper()
	require.True(t, strings.HasPrefix(page, "<!DOCTYPE html>\n<html lang=\"en\""), "%.100s", page)
	void := []string{"meta", "link", "input", "br", "wbr"}
	var open, ids, references []string
	decoder := xml.NewDecoder(strings.NewReader(page))
	decoder.Strict, decoder.Entity = false, xml.HTMLEntity
	for {
		token, err := decoder.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			for _, a := range token.Attr {
				switch a.Name.Local {
				case "id":
					assert.NotContains(t, ids, a.Value, "an id comes once")
					ids = append(ids, a.Value)
				case "for", "aria-labelledby", "data-filters":
					references = append(references, a.Value)
				case "style", "onclick", "onload":
					assert.Fail(t, "the policy forbids it", a)
				}
			}
			if token.Name.Local == "script" {
				assert.Contains(t, token.Attr, xml.Attr{Name: xml.Name{Local: "src"}, Value: "/assets/status.js"}, "the policy forbids any other")
			}
			if !slices.Contains(void, token.Name.Local) {
				open = append(open, token.Name.Local)
			}
		case xml.EndElement:
			require.NotEmpty(t, open, "</%s>", token.Name.Local)
			require.Equal(t, open[len(open)-1], token.Name.Local, "the end of %v", open)
			open = open[:len(open)-1]
		}
	}
	assert.Empty(t, open, "elements that are not closed")
	assert.Subset(t, ids, references)
}

func TestOverview(t *testing.T) {
	f := startPages(t, "  - {codename: initech, thresholds: {queries_pending: 2}}\n  - {codename: acme}\n  - {codename: globex, collectors: [dashboard]}\n", nil)
	page := f.page(t, "/")
	assert.Contains(t, page, "3 teams: 0 answering, 0 failing, 3 not scraped yet")
	assert.Contains(t, page, "Configure Prometheus to scrape <a href=\"/metrics\">/metrics</a>, which collects all teams, or /probe?target=CODENAME")
	assert.Equal(t, [][]string{
		{"initech", "–", "–", "–", "–", "not scraped yet", "none", "metrics"},
		{"acme", "–", "–", "–", "–", "not scraped yet", "none", "metrics"},
		{"globex", "–", "–", "–", "–", "not scraped yet", "none", "metrics"},
	}, rows(t, page, "teams"), "in the order of the configuration")
	assert.Contains(t, page, `<a href="/sd">Teams</a>: for discovery`)

	operators := func(pending string) simulator.Fault {
		return simulator.Fault{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"status": true, "queryPending": %s, "operators": [
				{"_id": "a", "status": "online", "queryInProgress": 2}, {"_id": "b", "status": "away", "queryInProgress": 0.5}, {"_id": "c"},
				{"_id": "d", "status": "online"}, {"_id": "d", "status": "online", "queryInProgress": 9}]}`, pending)
		})}
	}
	require.NoError(t, f.api.SetFault("initech", chattonic.EndpointOperators, operators("3")))
	require.NoError(t, f.api.SetFault("acme", chattonic.EndpointOperators, operators("null")))
	f.scrape(t.Context())
	f.clock.pass(75 * time.Second)
	page = f.page(t, "/")
	assert.Contains(t, page, "3 teams: 3 answering, 0 failing</p>")
	assert.NotContains(t, page, "Have Prometheus scrape")
	assert.Equal(t, [][]string{
		{"initech", "3 above 2", "2", "1", "2.5", "1 min ago", "none", "metrics"},
		{"acme", "–", "2", "1", "2.5", "1 min ago", "none", "metrics"},
		{"globex", "–", "–", "–", "–", "operators are not collected", "none", "metrics"},
	}, rows(t, page, "teams"))

	require.NoError(t, f.api.SetFault("initech", chattonic.EndpointOperators, operators("2")))
	f.scrape(t.Context())
	assert.Equal(t, "2", rows(t, f.page(t, "/"), "teams")[0][1], "the threshold itself is not above it")
}

func TestTeamsThatAreScrapedByThemselves(t *testing.T) {
	f := startPages(t, "  - codename: acme\n", func(_ *simulator.Team, o *pageOptions) { o.TeamsOnMetrics = false })
	for _, path := range []string{"/", "/teams/acme"} {
		page := f.page(t, path)
		assert.Contains(t, page, "Configure Prometheus to scrape /probe?target=CODENAME", path)
		assert.NotContains(t, page, "which collects all teams", path)
	}
	assert.Contains(t, f.page(t, "/"), "1 team: 0 answering")
}

func TestFailureStandsBesideTheAgeOfTheData(t *testing.T) {
	const configured = "  - {codename: acme, windows: [24h, today]}\n  - codename: globex\n"
	f := startPages(t, configured, nil)
	f.scrape(t.Context())
	before := rows(t, f.page(t, "/"), "teams")
	f.clock.pass(5 * time.Minute)
	require.NoError(t, f.api.SetFault("acme", "", simulator.Fault{Status: http.StatusForbidden}))
	f.scrape(t.Context())

	page := f.page(t, "/")
	const reason = "HTTP 403, the access token has no access to this team: check the token and the codename"
	assert.Contains(t, page, "2 teams: 1 answering, 1 failing</p>")
	after := rows(t, page, "teams")
	assert.Equal(t, before[0][1:5], after[0][1:5], "the last good answer")
	assert.Equal(t, []string{"old: 5 min ago", reason + " (operators 24h, today; dashboard 24h, today)"}, after[0][5:7])
	assert.Equal(t, []string{"0 s ago", "none"}, after[1][5:7])

	page = f.page(t, "/teams/acme")
	assert.Contains(t, page, "<h2>Failing calls</h2>")
	assert.Contains(t, page, reason+"</span> (operators 24h, today; dashboard 24h, today)")
	assert.Contains(t, page, "The numbers below are from the last successful answer.")
	calls := rows(t, page, "calls")
	require.Len(t, calls, 8)
	for i, c := range calls {
		assert.Equal(t, map[bool]string{true: reason, false: "answered"}[i < 4], c[4], "the newest first")
	}

	require.NoError(t, f.api.SetFault("acme", "", simulator.Fault{}))
	require.NoError(t, f.api.SetFault("acme", chattonic.EndpointDashboard, simulator.Fault{Status: http.StatusForbidden}))
	f.scrape(t.Context())
	after = rows(t, f.page(t, "/"), "teams")
	assert.Equal(t, []string{"0 s ago", "HTTP 403, the access token has no access to this team: check the token and the codename (dashboard 24h, today)"}, after[0][5:7])
	assert.NotContains(t, f.page(t, "/teams/acme"), "The numbers below", "which are new again")

	require.NoError(t, f.api.SetFault("acme", "", simulator.Fault{}))
	f.scrape(t.Context())
	assert.Equal(t, "none", rows(t, f.page(t, "/"), "teams")[0][6], "what was overcome is no error of now")
	assert.NotContains(t, f.page(t, "/teams/acme"), "Failing calls")
}

func TestTeam(t *testing.T) {
	f := startPages(t, "  - {codename: acme, timezone: America/Argentina/Buenos_Aires, duration_unit: minutes, windows: [24h, today]}\n", nil)
	require.NoError(t, f.api.SetFault("", chattonic.EndpointOperators, simulator.Fault{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status": true, "queryPending": 7, "operators": [
			{"_id": "id1", "displayName": "Ana", "status": "online", "queryInProgress": 2, "queriesAssigned": 40, "queriesResolved": 39, "avgDurationResolved": 6.5,
			 "onlineTime": 480, "awayTime": 61, "freeTime": 0, "nps": 33.333333333, "numberOfResponsesNps": 9, "lastConnection": "2021-12-01T11:30:00.000Z"},
			{"_id": "id2", "displayName": " ", "status": "in a meeting"}, {"_id": "id1", "displayName": "Ana again"}]}`)
	})}))
	f.scrape(t.Context())
	page := f.page(t, "/teams/acme")
	assert.Equal(t, [][]string{
		{"Ana", "online", "2", "40", "39", "0:06:30", "8:00:00", "1:01:00", "0:00:00", "33.33", "9", "2021-12-01 08:30:00", "id1"},
		{"id2", "in a meeting", "–", "–", "–", "–", "–", "–", "–", "–", "–", "–", "id2"},
	}, rows(t, page, "operators"))
	assert.Contains(t, page, "Operators in the window 24h; durations are hours:minutes:seconds, times are in America/Argentina/Buenos_Aires")
	assert.Contains(t, page, ">2021-12-01 09:00:00 -03</time>")
	calls := rows(t, page, "calls")
	require.Len(t, calls, 4)
	assert.ElementsMatch(t, [][]string{
		{"2021-12-01 09:00:00", "dashboard", "24h 2021-11-30 09:00:00 to 2021-12-01 09:00:00", "0.000 s", "answered"},
		{"2021-12-01 09:00:00", "dashboard", "today 2021-12-01 00:00:00 to 2021-12-01 09:00:00", "0.000 s", "answered"},
		{"2021-12-01 09:00:00", "operators", "24h 2021-11-30 09:00:00 to 2021-12-01 09:00:00", "0.000 s", "answered"},
		{"2021-12-01 09:00:00", "operators", "today 2021-12-01 00:00:00 to 2021-12-01 09:00:00", "0.000 s", "answered"},
	}, calls)
	for range 7 {
		f.scrape(t.Context())
	}
	assert.Len(t, rows(t, f.page(t, "/teams/acme"), "calls"), 20)

	f.apply(t, "  - {codename: acme, collectors: [dashboard]}")
	f.scrape(t.Context())
	assert.Contains(t, f.page(t, "/teams/acme"), "The operators of this team are not collected: its configuration does not enable the collector <code>operators</code>.")
}

func TestNamesThatAreKeptOutOfTheMetricsAreOnNoPage(t *testing.T) {
	f := startPages(t, "  - {codename: acme, operator_names: false}\n  - codename: globex\n", func(team *simulator.Team, _ *pageOptions) { team.Documented = true })
	f.scrape(t.Context())
	for _, path := range []string{"/", "/teams/acme"} {
		page := f.page(t, path)
		assert.NotContains(t, page, "Chamo", path)
		assert.NotContains(t, page, "Tengo otro tipo", path)
	}
	shown := rows(t, f.page(t, "/teams/acme"), "operators")
	require.Len(t, shown, 2)
	assert.Equal(t, []string{"5ed96d95aef725fdfb", "unknown"}, shown[0][:2])
	assert.Len(t, shown[0], len(columns)+1)
	assert.Contains(t, f.page(t, "/teams/globex"), "Chamo Operator")
}

func TestCallInFlight(t *testing.T) {
	f := startPages(t, "  - {codename: acme, collectors: [operators]}\n", nil)
	release := make(chan struct{})
	defer close(release)
	fault := simulator.Fault{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		_, _ = w.Write(simulator.OperatorsFixture())
	})}
	require.NoError(t, f.api.SetFault("acme", chattonic.EndpointOperators, fault))
	ctx, cancel := context.WithCancel(t.Context())
	scraped := make(chan struct{})
	go func() {
		defer close(scraped)
		f.scrape(ctx)
	}()
	require.Eventually(t, func() bool { return f.api.Calls("acme", chattonic.EndpointOperators) == 1 }, 45*time.Second, time.Millisecond)
	f.clock.pass(3 * time.Second)
	assert.Equal(t, "waiting for the first answer", rows(t, f.page(t, "/"), "teams")[0][5])
	assert.Contains(t, f.page(t, "/"), "1 team: 0 answering, 0 failing, 1 waiting for a first answer")
	page := f.page(t, "/teams/acme")
	assert.Equal(t, []string{"3.000 s", "in flight"}, rows(t, page, "calls")[0][3:])
	assert.NotContains(t, page, "not scraped yet")
	cancel()
	<-scraped
}

func TestOutcomes(t *testing.T) {
	for want, c := range map[string]teams.Call{
		"answered":                             {},
		"in flight":                            {InFlight: true},
		"in flight; last error: HTTP 503":      {InFlight: true, Err: chattonic.Error{Endpoint: "operators", Detail: "HTTP 503"}},
		"HTTP 404, the team was not found":     {Err: chattonic.Error{Endpoint: "operators", Detail: "HTTP 404, the team was not found"}},
		"something that is no error of a call": {Err: errors.New("something that is no error of a call")},
	} {
		assert.Equal(t, want, newCallRow(c, time.UTC).Outcome)
	}
}

func TestUnknownTeam(t *testing.T) {
	f := startPages(t, "  - codename: acme\n", nil)
	for _, path := range []string{"/teams/", "/teams/nobody", "/teams/acme/", "/teams/ACME", "/teams/acme%00", "/teams/acme%2F", "/teams/%3Cscript%3E", "/teams/" + strings.Repeat("x", 10_000)} {
		w := f.ask(t, path)
		assert.Equal(t, http.StatusNotFound, w.Code, "%.40s", path)
		checkHTML(t, w.Body.String())
		assert.Contains(t, w.Body.String(), "No configured team has the codename in this address.")
		assert.Less(t, w.Body.Len(), 3000, "what was asked for does not come back")
		assert.NotEmpty(t, w.Header().Get("Content-Security-Policy"))
	}
	assert.Equal(t, http.StatusNotFound, f.ask(t, "/assets/nothing").Code)
	assert.Equal(t, http.StatusNotFound, f.ask(t, "/assets/").Code)
}

func TestDocumentation(t *testing.T) {
	f := startPages(t, "  - codename: acme\n", nil)
	assert.Contains(t, f.page(t, "/"), `<a href="/documentation">Documentation</a>`)
	page := f.page(t, "/documentation")
	checkHTML(t, page)
	metrics := collector.Metrics()
	require.Equal(t, len(metrics), strings.Count(page, "<tr role=\"row\" data-key"))
	for _, m := range metrics {
		assert.Contains(t, page, fmt.Sprintf("<th role=\"rowheader\" scope=\"row\">%s</th><td role=\"cell\">%s</td><td role=\"cell\">%s</td><td role=\"cell\">%s</td>",
			strings.ReplaceAll(m.Name, "_", "_<wbr>"), html.EscapeString(m.Help), strings.ReplaceAll(strings.Join(m.Labels, ", "), "_", "_<wbr>"), m.Type))
	}
}

func TestHeaders(t *testing.T) {
	f := startPages(t, "  - codename: acme\n", nil)
	for path, contentType := range map[string]string{
		"/": "text/html; charset=UTF-8", "/teams/acme": "text/html; charset=UTF-8", "/documentation": "text/html; charset=UTF-8",
		"/assets/status.css": "text/css; charset=utf-8", "/assets/status.js": "text/javascript; charset=utf-8", "/assets/chattonic.svg": "image/svg+xml",
	} {
		w := f.ask(t, path)
		assert.Equal(t, http.StatusOK, w.Code, path)
		assert.Equal(t, contentType, w.Header().Get("Content-Type"), path)
		sources := map[string]string{}
		for _, directive := range strings.Split(w.Header().Get("Content-Security-Policy"), "; ") {
			name, value, _ := strings.Cut(directive, " ")
			sources[name] = value
		}
		assert.Equal(t, map[string]string{
			"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self'", "connect-src": "'self'",
			"base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
		}, sources, path)
	}
	assert.Equal(t, "no-store", f.ask(t, "/").Header().Get("Cache-Control"))
	style := f.ask(t, "/assets/status.css")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/assets/status.css", http.NoBody)
	r.Header.Set("If-None-Match", style.Header().Get("ETag"))
	again := httptest.NewRecorder()
	f.ServeHTTP(again, r)
	assert.Equal(t, http.StatusNotModified, again.Code)
	assert.Contains(t, f.page(t, "/"), `data-assets="`+strings.Trim(style.Header().Get("ETag"), `"`)+`"`)
}

func TestPagesAskNobody(t *testing.T) {
	f := startPages(t, "  - codename: acme\n  - codename: globex\n", nil)
	calls := func() (n int) {
		for _, codename := range []string{"acme", "globex", "initech"} {
			n += f.api.Calls(codename, chattonic.EndpointOperators) + f.api.Calls(codename, chattonic.EndpointDashboard)
		}
		return n
	}
	for _, path := range []string{"/", "/teams/acme", "/teams/nobody", "/documentation", "/assets/status.js"} {
		f.ask(t, path)
	}
	assert.Zero(t, calls())
	f.scrape(t.Context())
	assert.Equal(t, 4, calls())
	for _, path := range []string{"/", "/teams/acme", "/teams/globex"} {
		f.page(t, path)
	}
	assert.Equal(t, 4, calls())
}

func TestSimulatedDataIsCalledSo(t *testing.T) {
	const note = "All data is simulated"
	f := startPages(t, "  - codename: acme\n", nil)
	g := startPages(t, "  - codename: acme\n", func(_ *simulator.Team, o *pageOptions) { o.Simulated = true })
	for _, path := range []string{"/", "/teams/acme"} {
		assert.NotContains(t, f.page(t, path), note)
		assert.Contains(t, g.page(t, path), note)
	}
}

// strange are codenames and texts that somebody might have.
var strange = []string{
	" both sides ", `Ana "la jefa"`, `back\slash`, "two\nlines", "\t", "a/b", "a//b", "../up", "/", "//", "...", "%2F", "%", "a%2fb%zz", "a?b=c", "a#b", "a&amp;b", "a;b,c",
	"a+b c", "{braces}", `<script>alert("1")</script>&'`, `" onmouseover="alert(1)`, "javascript:alert(1)", "{{.}}", "José Peñalosa", "😀👩\u200d👩\u200d👧", "מפעיל", "\u202etxt.exe",
	"\u2028\u2029", "hidden", strings.Repeat("long ", 40), strings.Repeat("l", 300),
}

func TestStrangeTexts(t *testing.T) {
	var teams, operators strings.Builder
	var codenames []string
	for i, text := range strange {
		quoted, err := json.Marshal(text)
		require.NoError(t, err)
		if chattonic.CheckCodename(text) == nil {
			codenames = append(codenames, text)
			fmt.Fprintf(&teams, "  - {codename: %s, collectors: [operators]}\n", quoted)
		}
		fmt.Fprintf(&operators, `, {"_id": %s, "displayName": %[1]s, "status": %[1]s, "originsName": %[1]s, "nps": %d}`, quoted, i)
	}
	f := startPages(t, teams.String(), nil)
	answers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"status": true, "operators": [%s]}`, operators.String()[1:])
	}))
	defer answers.Close()
	f.url = answers.URL
	f.apply(t, teams.String())
	f.scrape(t.Context())

	overviewPage := f.page(t, "/")
	hrefs := regexp.MustCompile(`<a href="(/teams/[^"]*)"><bdi>`).FindAllStringSubmatch(overviewPage, -1)
	probes := regexp.MustCompile(`<a href="/probe\?([^"]*)"`).FindAllStringSubmatch(overviewPage, -1)
	require.Len(t, hrefs, len(codenames))
	require.Len(t, probes, len(codenames))
	for i, text := range codenames {
		page := f.page(t, html.UnescapeString(hrefs[i][1]))
		title := regexp.MustCompile(`(?s)<h1>Team <bdi>(.*)</bdi></h1>`).FindStringSubmatch(page)
		require.NotNil(t, title)
		assert.Equal(t, text, html.UnescapeString(title[1]))
		assert.NotContains(t, title[1], "<")
		assert.Equal(t, len(strange), strings.Count(page, "<tr data-key=")-1, "all operators, and a call")
		assert.Equal(t, 1, strings.Count(page, "<script"), "the page's own")
		assert.NotContains(t, page, `="alert`)
		query, err := url.ParseQuery(html.UnescapeString(probes[i][1]))
		require.NoError(t, err)
		assert.Equal(t, url.Values{"target": {text}}, query)
	}
}

func TestPagesWhileTeamsAreScrapedAndReplaced(t *testing.T) {
	f := startPages(t, "  - codename: acme\n  - codename: globex\n", nil)
	var work sync.WaitGroup
	for range 2 {
		work.Go(func() {
			for range 15 {
				f.scrape(t.Context())
			}
		})
		work.Go(func() {
			for range 30 {
				for _, path := range []string{"/", "/teams/acme", "/teams/globex"} {
					w := httptest.NewRecorder()
					f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
					if path == "/" {
						assert.Equal(t, http.StatusOK, w.Code)
					}
				}
			}
		})
	}
	work.Go(func() {
		for i := range 10 {
			f.apply(t, []string{"  - codename: acme\n", "  - {codename: acme, delay: 1s}\n  - codename: globex\n"}[i%2])
		}
	})
	work.Wait()
	f.scrape(t.Context())
	assert.Contains(t, f.page(t, "/"), "2 teams: 2 answering, 0 failing")
}

func TestValues(t *testing.T) {
	for want, age := range map[string]time.Duration{
		"0 s ago": -time.Hour, "59 s ago": 59*time.Second + 999*time.Millisecond, "1 min ago": time.Minute, "59 min ago": time.Hour - 1,
		"1 h 0 min ago": time.Hour, "47 h 59 min ago": 48*time.Hour - 1, "2 days ago": 48 * time.Hour,
	} {
		assert.Equal(t, want, ago(age))
	}
	for value, want := range map[float64]tableCell{
		0: {"0", ""}, -3: {"-3", ""}, 12.5: {"12.5", ""}, 33.333: {"33.33", "33.333"}, 0.001: {"0", "0.001"}, 1e21: {"1e+21", "1e+21"},
	} {
		assert.Equal(t, want, numberCell(chattonic.NumberOf(value)), value)
	}
	for value, want := range map[float64]tableCell{
		0: {"0:00:00", "0"}, 59.6: {"0:01:00", "60"}, 86399: {"23:59:59", "86399"}, 360000: {"100:00:00", "360000"}, -1: {"-1", ""}, 1e12: {"1000000000000", ""},
	} {
		assert.Equal(t, want, durationCell(chattonic.NumberOf(value), time.Second), value)
	}
	assert.Equal(t, tableCell{"0:00:01", "1"}, durationCell(chattonic.NumberOf(1200), time.Millisecond))
	assert.Equal(t, tableCell{Text: noValue}, durationCell(chattonic.Number{}, time.Second))
	assert.Equal(t, tableCell{"2021-12-01 12:00:00", "1638360000.000"}, timeCell(chattonic.TimestampOf(noon), time.UTC))
	assert.Equal(t, tableCell{Text: noValue}, timeCell(chattonic.Timestamp{}, time.UTC))
	assert.Equal(t, tableCell{Text: noValue}, timeCell(chattonic.TimestampOf(time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)), time.UTC))
}

// manyTeams are so many teams that have been scraped, some of which fail.
func manyTeams(tb testing.TB, n, operators int) func() []teams.Status {
	tb.Helper()
	answer := &chattonic.Operators{Metadata: chattonic.Metadata{Window: chattonic.Window{Name: "24h"}, ReceivedAt: noon}, QueryPending: chattonic.NumberOf(3)}
	for i := range operators {
		answer.Operators = append(answer.Operators, chattonic.Operator{ID: chattonic.Text(fmt.Sprint("id-", i)), DisplayName: "Somebody", Status: "online", OnlineTime: chattonic.NumberOf(480), NPS: chattonic.NumberOf(1 / 3.0)})
	}
	day, err := calendar.ParseWindow("24h")
	require.NoError(tb, err)
	all := make([]teams.Status, n)
	for i := range all {
		history := teams.NewHistory("24h", nil)
		settings := collector.Settings{Codename: fmt.Sprint("team-", i), Collectors: []chattonic.Endpoint{"operators", "dashboard"}, Windows: []collector.WindowSpec{day}, Location: time.UTC, DurationUnit: time.Second}
		p := teams.NewSharedAPI(cannedAPI{answer, i%10 == 0}, teams.SharedOptions{Timeout: time.Minute, Limit: unlimited(), History: history})
		for range 15 {
			for _, e := range chattonic.ReadEndpoints() {
				_, _ = p.Read(tb.Context(), e, answer.Window)
			}
		}
		p.Close()
		all[i] = teams.Status{Team: collector.NewTeam(settings), History: history}
	}
	return func() []teams.Status { return all }
}
