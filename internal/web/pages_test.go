package web

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
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
		Links: []toolkit.LandingLinks{{Address: "sd", Text: "Teams", Description: "for discovery"}},
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
	require.True(t, strings.HasPrefix(page, "<!DOCTYPE html>\n<html lang=\""), "%.100s", page)
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
				for _, a := range token.Attr {
					switch a.Name.Local {
					case "src":
						assert.Regexp(t, `^(\.\./)*assets/status\.js$`, a.Value, "the policy forbids any other")
					case "type":
						assert.Equal(t, "application/json", a.Value)
					}
				}
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

// operatorsAnswer is an answer of the operators endpoint.
func operatorsAnswer(pending, operators string) simulator.Fault {
	return simulator.Fault{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"status": true, "queryPending": %s, "operators": [%s]}`, pending, operators)
	})}
}

// someOperators are two operators at work and two who are not; one comes twice.
const someOperators = `{"_id": "a", "status": "online", "queryInProgress": 2, "queriesResolved": 3}, {"_id": "b", "status": "away", "queryInProgress": 0.5},
	{"_id": "c"}, {"_id": "d", "status": "online"}, {"_id": "d", "status": "online", "queryInProgress": 9}`

// shown returns the first n cells of the teams on the page at /: name, state, waiting, at
// work, in progress, resolved, trend, age, problem.
func (f *pagesFixture) shown(t *testing.T, n int) (all [][]string) {
	t.Helper()
	for _, row := range rows(t, f.page(t, "/"), "teams") {
		all = append(all, row[:n])
	}
	return all
}

var (
	headlineText = regexp.MustCompile(`(?s)<h1 id="headline"[^>]*>(.*?)</h1>`)
	titleText    = regexp.MustCompile(`<title>(.*)</title>`)
)

// news returns the title and the headline of a page.
func news(t *testing.T, page string) (title, headline string) {
	t.Helper()
	h := headlineText.FindStringSubmatch(page)
	require.NotNil(t, h)
	return html.UnescapeString(titleText.FindStringSubmatch(page)[1]), strings.TrimSpace(html.UnescapeString(tags.ReplaceAllString(h[1], "")))
}

func TestOverview(t *testing.T) {
	f := startPages(t, "  - {codename: initech, display_name: Customer care, thresholds: {queries_pending: 2}}\n  - {codename: acme}\n  - {codename: globex, collectors: [dashboard]}\n", nil)
	page := f.page(t, "/")
	title, headline := news(t, page)
	assert.Equal(t, "? · Customer care", title)
	assert.Equal(t, "? Customer care: no data yet · and 1 more team", headline)
	assert.Contains(t, page, "Configure Prometheus to scrape <a href=\"metrics\">/metrics</a>")
	assert.Equal(t, [][]string{{"Customer care", "? no data yet"}, {"acme", "? no data yet"}, {"globex", "– queue not collected"}}, f.shown(t, 2))
	assert.Contains(t, page, `<a href="sd">Teams</a>: for discovery`)

	require.NoError(t, f.api.SetFault("initech", chattonic.EndpointOperators, operatorsAnswer("1", someOperators)))
	require.NoError(t, f.api.SetFault("acme", chattonic.EndpointOperators, operatorsAnswer("9", someOperators)))
	f.scrape(t.Context())
	f.clock.pass(75 * time.Second)
	title, headline = news(t, f.page(t, "/"))
	assert.Equal(t, "9 · acme", title)
	assert.Equal(t, "● acme: 9 waiting, near limit", headline)
	assert.Equal(t, [][]string{
		{"acme", "● near limit◌ data of 1 min ago? no data since 12:00", "9— last: 9 limit 10", "2—", "2.5—", "3—", "", "1 min ago", ""},
		{"Customer care", "✓ within limit◌ data of 1 min ago? no data since 12:00", "1— last: 1 limit 2", "2—", "2.5—", "3—", "", "1 min ago", ""},
		{"globex", "– queue not collected", "–—  limit 10", "–—", "–—", "–—", "", "", ""},
	}, f.shown(t, 9))

	require.NoError(t, f.api.SetFault("acme", chattonic.EndpointOperators, operatorsAnswer("0", someOperators)))
	f.scrape(t.Context())
	title, headline = news(t, f.page(t, "/"))
	assert.Equal(t, "1 · Chat-Tonic", title)
	assert.Equal(t, "✓ 1 waiting. All 3 teams are within their limits.", headline)
}

// The alarm of a team begins with the second scrape that says so, and ends below 80 % of
// the limit.
func TestAlarms(t *testing.T) {
	f := startPages(t, "  - {codename: acme, collectors: [operators]}\n  - {codename: globex, collectors: [operators]}\n", nil)
	scrape := func(acme, globex string, operators string) [][]string {
		t.Helper()
		require.NoError(t, f.api.SetFault("acme", chattonic.EndpointOperators, operatorsAnswer(acme, someOperators)))
		require.NoError(t, f.api.SetFault("globex", chattonic.EndpointOperators, operatorsAnswer(globex, operators)))
		f.clock.pass(time.Minute)
		f.scrape(t.Context())
		var all [][]string
		for _, row := range f.shown(t, 2) {
			state, _, _ := strings.Cut(row[1], "◌")
			all = append(all, []string{row[0], state})
		}
		return all
	}
	const nobody = `{"_id": "a", "status": "away"}`
	assert.Equal(t, [][]string{{"acme", "● above limit just now"}, {"globex", "✓ within limit"}}, scrape("51", "0", someOperators))
	assert.Equal(t, [][]string{{"acme", "▲ 41 above limit"}, {"globex", "● nobody at work just now"}}, scrape("51", "1", nobody))
	title, headline := news(t, f.page(t, "/"))
	assert.Equal(t, "51 · acme", title)
	assert.Equal(t, "▲ acme: 51 waiting, 41 above limit", headline)
	assert.Equal(t, [][]string{{"globex", "▲ nobody at work"}, {"acme", "▲ still near limit"}}, scrape("9", "1", nobody), "unattended comes first")
	title, headline = news(t, f.page(t, "/?lang=es"))
	assert.Equal(t, "1 · globex", title)
	assert.Equal(t, "▲ globex: 1 en cola, nadie conectado · y 1 equipo más", headline)
	assert.Equal(t, [][]string{{"acme", "▲ still near limit"}, {"globex", "✓ within limit"}}, scrape("8", "1", someOperators))
	assert.Equal(t, [][]string{{"acme", "✓ within limit"}, {"globex", "✓ within limit"}}, scrape("7", "0", nobody))
}

func TestQueueState(t *testing.T) {
	point := func(waiting float64, atWork int) teams.Point {
		return teams.Point{Waiting: chattonic.NumberOf(waiting), AtWork: atWork}
	}
	for name, test := range map[string]struct {
		limit float64
		trend []teams.Point
		want  state
	}{
		"nothing known":                   {10, nil, well},
		"at the limit":                    {10, []teams.Point{point(10, 1), point(10, 1)}, near},
		"above it twice":                  {10, []teams.Point{point(11, 1), point(11, 1)}, aboveLimit},
		"above it with a break":           {10, []teams.Point{point(11, 1), point(10, 1), point(11, 1)}, near},
		"80 %":                            {10, []teams.Point{point(8, 1)}, well},
		"more than 80 %":                  {10, []teams.Point{point(8.1, 1)}, near},
		"an alarm at 80 %":                {10, []teams.Point{point(11, 1), point(11, 1), point(8, 1)}, aboveLimit},
		"an alarm below 80 %":             {10, []teams.Point{point(11, 1), point(11, 1), point(7, 1)}, well},
		"ended, then near":                {10, []teams.Point{point(11, 1), point(11, 1), point(7, 1), point(9, 1)}, near},
		"limit 0, one waits":              {0, []teams.Point{point(1, 1), point(1, 1)}, aboveLimit},
		"limit 0, none waits":             {0, []teams.Point{point(1, 1), point(1, 1), point(0, 1)}, well},
		"nobody at work, none waits":      {10, []teams.Point{point(0, 0), point(0, 0)}, well},
		"nobody at work":                  {10, []teams.Point{point(1, 0), point(1, 0)}, unattended},
		"nobody at work goes before":      {10, []teams.Point{point(11, 0), point(11, 0)}, unattended},
		"somebody came":                   {10, []teams.Point{point(1, 0), point(1, 0), point(1, 1)}, well},
		"somebody came, the queue stands": {10, []teams.Point{point(11, 0), point(11, 0), point(11, 1)}, aboveLimit},
		"unknown in between":              {10, []teams.Point{point(11, 1), {}, point(11, 1)}, near},
	} {
		assert.Equal(t, test.want, queueState(test.trend, test.limit), name)
	}
}

// shownState returns the state that the row of a team has for a script and for CSS.
func shownState(t *testing.T, page, codename string) string {
	t.Helper()
	found := regexp.MustCompile(`data-key="` + codename + `" data-fresh="\w+" data-shown="(\w+)"`).FindStringSubmatch(page)
	require.NotNil(t, found, page)
	return found[1]
}

// Data is old after its ttl and 3 scrape intervals, and very old after 5.
func TestOldData(t *testing.T) {
	f := startPages(t, "  - {codename: acme, collectors: [operators], ttl: {operators: 30s}}\n", nil)
	require.NoError(t, f.api.SetFault("acme", "", operatorsAnswer("3", someOperators)))
	for range 3 {
		f.clock.pass(20 * time.Second)
		f.scrape(t.Context())
	}
	age := func(d time.Duration) string {
		f.clock.pass(d)
		page := f.page(t, "/")
		for _, path := range []string{"/teams/acme", "/wall", "/wall/acme"} {
			assert.Contains(t, f.page(t, path), `data-shown="`+shownState(t, page, "acme")+`"`, path)
		}
		title, headline := news(t, page)
		return shownState(t, page, "acme") + ", " + title + ", " + headline
	}
	assert.Equal(t, "well, 3 · Chat-Tonic, ✓ 3 waiting. The team is within its limit.", age(90*time.Second-time.Millisecond))
	assert.Equal(t, "old, ◌ · acme, ◌ acme: data of 1 min ago", age(time.Millisecond))
	assert.Equal(t, "old, ◌ · acme, ◌ acme: data of 2 min ago", age(40*time.Second-time.Millisecond))
	assert.Equal(t, "unknown, ? · acme, ? acme: no data since 12:01", age(time.Millisecond))
}

func TestTeamsOutsideTheirHours(t *testing.T) {
	const hours = ", business_hours: {timezone: America/Argentina/Buenos_Aires, hours: [{days: [%s], from: \"10:00\", to: \"12:00\"}]}"
	f := startPages(t, "  - {codename: acme, collectors: [operators], timezone: America/Argentina/Buenos_Aires"+fmt.Sprintf(hours, "wednesday")+"}\n"+
		"  - {codename: globex, collectors: [operators]"+fmt.Sprintf(hours, "thursday")+"}\n", nil)
	require.NoError(t, f.api.SetFault("", "", operatorsAnswer("51", `{"_id": "a"}`)))
	for range 2 {
		f.clock.pass(time.Minute) // noon is 9:00 there
		f.scrape(t.Context())
	}
	page := f.page(t, "/")
	assert.Contains(t, page, "☾</span> opens 10:00<")
	assert.Contains(t, page, "☾</span> opens Thu 13:00<", "in the time zone of the team")
	assert.Equal(t, "closed", shownState(t, page, "acme"))
	_, headline := news(t, page)
	assert.Equal(t, "☾ 102 waiting. All 2 teams are within their limits.", headline)
	assert.Contains(t, f.page(t, "/wall?lang=pt"), "abre qui 13:00")

	f.clock.pass(time.Hour)
	f.scrape(t.Context())
	assert.Equal(t, "unattended", shownState(t, f.page(t, "/"), "acme"), "open")
}

func TestTeamsThatAreScrapedByThemselves(t *testing.T) {
	f := startPages(t, "  - codename: acme\n", func(_ *simulator.Team, o *pageOptions) { o.TeamsOnMetrics = false })
	for _, path := range []string{"/", "/teams/acme"} {
		page := f.page(t, path)
		assert.Contains(t, page, "Configure Prometheus to scrape /probe?target=CODENAME", path)
		assert.NotContains(t, page, ">/metrics<", path)
	}
}

func TestFailureStandsBesideTheLastData(t *testing.T) {
	const configured = "  - {codename: acme, windows: [24h, today]}\n  - codename: globex\n"
	f := startPages(t, configured, nil)
	f.scrape(t.Context())
	f.clock.pass(time.Minute)
	require.NoError(t, f.api.SetFault("acme", "", simulator.Fault{Status: http.StatusForbidden}))
	f.scrape(t.Context())

	const reason = "HTTP 403, the access token has no access to this team: check the token and the codename"
	page := f.page(t, "/")
	after := rows(t, page, "teams")
	assert.Equal(t, "unknown", shownState(t, page, "acme"), "a failing call is no news of now")
	assert.Equal(t, []string{"acme", "? no data since 12:00"}, []string{after[0][0], after[0][1][:len("? no data since 12:00")]})
	assert.Equal(t, []string{"1 min ago", reason + " (operators 24h, today; dashboard 24h, today)"}, after[0][7:9])
	assert.Equal(t, []string{"0 s ago", ""}, after[1][7:9])

	page = f.page(t, "/teams/acme")
	assert.Contains(t, page, reason+"</span> (operators 24h, today; dashboard 24h, today)")
	assert.Contains(t, page, `<div id="figures-0" class="figures" data-live data-fresh="unknown"`, "the numbers of the window, too")
	calls := rows(t, page, "calls")
	require.Len(t, calls, 8)
	for i, c := range calls {
		assert.Equal(t, map[bool]string{true: reason, false: "answered"}[i < 4], c[4], "the newest first")
	}

	require.NoError(t, f.api.SetFault("acme", "", simulator.Fault{}))
	require.NoError(t, f.api.SetFault("acme", chattonic.EndpointDashboard, simulator.Fault{Status: http.StatusForbidden}))
	f.scrape(t.Context())
	page = f.page(t, "/")
	assert.NotEqual(t, "unknown", shownState(t, page, "acme"), "the queue is known again")
	assert.Contains(t, page, reason+"</span> <small>(dashboard 24h, today)")
	page = f.page(t, "/teams/acme")
	assert.Contains(t, page, `<div id="figures-0" class="figures" data-live data-fresh="well"`)
	assert.Contains(t, page, `<div id="figures-1" class="figures" data-live data-fresh="unknown"`)

	require.NoError(t, f.api.SetFault("acme", "", simulator.Fault{}))
	f.scrape(t.Context())
	assert.NotContains(t, f.page(t, "/"), reason, "what was overcome is no error of now")
	assert.NotContains(t, f.page(t, "/teams/acme"), `<p class="note"><span class="bad"`)

	require.NoError(t, f.api.SetFault("acme", "", operatorsAnswer("null", someOperators)))
	f.scrape(t.Context())
	assert.Contains(t, f.page(t, "/"), "</span> Chat-Tonic does not say how many wait", "what is omitted is no 0")
}

// figuresOf returns the names and values of the numbers of a window.
func figuresOf(t *testing.T, page, id string) map[string]string {
	t.Helper()
	_, rest, found := strings.Cut(page, `<div id="`+id+`"`)
	require.True(t, found, page)
	rest, _, _ = strings.Cut(rest, "</dl>")
	all := map[string]string{}
	for _, f := range regexp.MustCompile(`(?s)<div( class="weak")?><dt>(.*?)</dt><dd><span class="fresh">(.*?)</span>(.*?)</dd>`).FindAllStringSubmatch(rest, -1) {
		all[f[2]+f[1]] = f[3]
	}
	return all
}

func TestTeam(t *testing.T) {
	f := startPages(t, "  - {codename: acme, timezone: America/Argentina/Buenos_Aires, duration_unit: minutes, windows: [24h, today], at_work: [online, In a meeting]}\n", nil)
	answer := func(assigned int) simulator.Fault {
		return operatorsAnswer("7", fmt.Sprintf(`
			{"_id": "id2", "displayName": " ", "status": "in a meeting"}, {"_id": "id3", "displayName": "Zoe", "status": "away", "queryInProgress": 9},
			{"_id": "id1", "displayName": "Ana", "status": "online", "queryInProgress": 2, "queriesAssigned": %d, "queriesResolved": 39, "avgDurationResolved": 6.5, "sumDuration": 260,
			 "onlineTime": 480, "awayTime": 61, "freeTime": 0, "nps": 33.333333333, "numberOfResponsesNps": 36, "lastConnection": "2021-12-01T11:30:00.000Z"},
			{"_id": "id1", "displayName": "Ana again"}`, assigned))
	}
	require.NoError(t, f.api.SetFault("", chattonic.EndpointOperators, answer(40)))
	f.scrape(t.Context())
	f.clock.pass(time.Minute)
	f.scrape(t.Context())
	page := f.page(t, "/teams/acme")
	assert.Equal(t, [][]string{
		{"Ana", "online for at least 1 min connected 08:30", "2", "40", "39", "0:06:30", "8:00:00", "1:01:00", "0:00:00", "33.33", "36", "id1"},
		{"id2", "in a meeting for at least 1 min", "–", "–", "–", "–", "–", "–", "–", "–", "–", "id2"},
		{"Zoe", "away for at least 1 min", "9", "–", "–", "–", "–", "–", "–", "–", "–", "id3"},
	}, rows(t, page, "operators"), "those at work first, the busiest on top")
	assert.Contains(t, page, `<li class="at-work"><bdi>in a meeting</bdi> <span class="fresh">1</span>`)
	assert.Contains(t, page, `<li><bdi>away</bdi> <span class="fresh">1</span>`)
	assert.Equal(t, map[string]string{"Assigned": "40", "Resolved": "39", "Average handling time": "0:06:40", "NPS": "33 ± 31"},
		figuresOf(t, page, "figures-0"), "260 minutes of duration by 39 queries")
	assert.Contains(t, page, "numbers of the window today, durations as hours:minutes:seconds, times in America/Argentina/Buenos_Aires")
	assert.Contains(t, page, "Shown 2021-12-01 09:01:00 -03.")
	calls := rows(t, page, "calls")
	require.Len(t, calls, 8)
	assert.Contains(t, calls, []string{"2021-12-01 09:00:00", "dashboard", "24h 2021-11-30 09:00:00 to 2021-12-01 09:00:00", "0.000 s", "answered"})

	page = f.page(t, "/teams/acme?window=24h&lang=pt")
	assert.Contains(t, page, "Números do período <bdi>24h</bdi>")
	assert.Contains(t, page, `<a href="../teams/acme?lang=pt&amp;window=today"><bdi>hoje</bdi></a>`)
	assert.Contains(t, page, `aria-current="true"><bdi>24h</bdi>`)
	assert.Contains(t, f.page(t, "/teams/acme?window=nonsense"), "Numbers of the window <bdi>today</bdi>")
	for range 7 {
		f.scrape(t.Context())
	}
	assert.Len(t, rows(t, f.page(t, "/teams/acme"), "calls"), 20)

	f.apply(t, "  - {codename: acme, collectors: [dashboard]}")
	f.scrape(t.Context())
	assert.Contains(t, f.page(t, "/teams/acme"), "The operators of this team are not collected")
}

// The numbers of the page are those of /metrics and of the recording rules.
func TestFigures(t *testing.T) {
	f := startPages(t, "  - {codename: acme, windows: [24h]}\n", func(team *simulator.Team, _ *pageOptions) { team.Documented = true })
	f.scrape(t.Context())
	page := f.page(t, "/teams/acme")
	assert.Equal(t, map[string]string{"Assigned": "0", "Resolved": "0", "Average handling time": "–", `NPS class="weak"`: "–"}, figuresOf(t, page, "figures-0"))
	assert.Equal(t, map[string]string{
		"Active users": "1,564", "CSAT": "0", "Failed in the window": "0", "In progress in the window": "0", "Messages received": "17,099",
		"Messages sent": "22,424", "New users": "1,211", "Pending in the window": "0", "Resolved in the window": "0",
	}, figuresOf(t, page, "figures-1"))

	nps := func(scores string) string {
		require.NoError(t, f.api.SetFault("acme", chattonic.EndpointOperators, operatorsAnswer("0", scores)))
		f.scrape(t.Context())
		for name, value := range figuresOf(t, f.page(t, "/teams/acme"), "figures-0") {
			if strings.HasPrefix(name, "NPS") {
				return name[len("NPS"):] + value
			}
		}
		return ""
	}
	assert.Equal(t, ` class="weak"–`, nps(`{"_id": "a", "nps": 50, "numberOfResponsesNps": 9}`), "too few")
	assert.Equal(t, ` class="weak"50 ± 54`, nps(`{"_id": "a", "nps": 50, "numberOfResponsesNps": 10}`), "few")
	assert.Equal(t, `20 ± 31`, nps(`{"_id": "a", "nps": 50, "numberOfResponsesNps": 20}, {"_id": "b", "nps": -10, "numberOfResponsesNps": 20}, {"_id": "c", "numberOfResponsesNps": 20}`), "weighted, without an operator who has no score")
	assert.Equal(t, `100`, nps(`{"_id": "a", "nps": 100, "numberOfResponsesNps": 40}`), "no margin of 0")
	assert.Equal(t, `150`, nps(`{"_id": "a", "nps": 150, "numberOfResponsesNps": 40}`), "another scale")
}

func TestNamesThatAreKeptOutOfTheMetricsAreOnNoPage(t *testing.T) {
	f := startPages(t, "  - {codename: acme, operator_names: false}\n  - codename: globex\n", func(team *simulator.Team, _ *pageOptions) { team.Documented = true })
	f.scrape(t.Context())
	for _, path := range []string{"/", "/teams/acme", "/wall", "/wall/acme"} {
		page := f.page(t, path)
		assert.NotContains(t, page, "Chamo", path)
		assert.NotContains(t, page, "Tengo otro tipo", path)
	}
	shown := rows(t, f.page(t, "/teams/acme"), "operators")
	require.Len(t, shown, 2)
	assert.Equal(t, "5f286ede4dbdcf209af", shown[0][0])
	assert.Len(t, shown[0], len(columns)+2)
	assert.Contains(t, f.page(t, "/teams/globex"), "Chamo Operator")
	assert.NotContains(t, f.page(t, "/wall/globex"), "Chamo", "a wall never has names")
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
	assert.Equal(t, "? waiting for the first data", rows(t, f.page(t, "/"), "teams")[0][1])
	page := f.page(t, "/teams/acme")
	assert.Equal(t, []string{"3.000 s", "in flight"}, rows(t, page, "calls")[0][3:])
	assert.NotContains(t, page, "Configure Prometheus")
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
		assert.Less(t, w.Body.Len(), 4000, "what was asked for does not come back")
		assert.NotEmpty(t, w.Header().Get("Content-Security-Policy"))
	}
	assert.Equal(t, http.StatusNotFound, f.ask(t, "/assets/nothing").Code)
	assert.Equal(t, http.StatusNotFound, f.ask(t, "/assets/").Code)
}

func TestDocumentation(t *testing.T) {
	f := startPages(t, "  - codename: acme\n", nil)
	assert.Contains(t, f.page(t, "/"), `<a href="documentation">Documentation</a>`)
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
		"/wall": "text/html; charset=UTF-8", "/wall/acme": "text/html; charset=UTF-8",
		"/assets/status.css": "text/css; charset=utf-8", "/assets/wall.css": "text/css; charset=utf-8", "/assets/status.js": "text/javascript; charset=utf-8", "/assets/chattonic.svg": "image/svg+xml",
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
	for _, path := range []string{"/", "/teams/acme", "/teams/nobody", "/wall", "/wall/acme", "/documentation", "/assets/status.js"} {
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
	for _, path := range []string{"/", "/teams/acme", "/wall", "/wall/acme"} {
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
	hrefs := regexp.MustCompile(`<a href="(teams/[^"]*)"><bdi>`).FindAllStringSubmatch(overviewPage, -1)
	require.Len(t, hrefs, len(codenames))
	for i, text := range codenames {
		page := f.page(t, "/"+html.UnescapeString(hrefs[i][1]))
		title := regexp.MustCompile(`(?s)<h1><bdi>(.*)</bdi></h1>`).FindStringSubmatch(page)
		require.NotNil(t, title)
		assert.Equal(t, text, html.UnescapeString(title[1]))
		assert.NotContains(t, title[1], "<")
		assert.Equal(t, len(strange), strings.Count(page, "<tr data-key=")-1, "all operators, and a call")
		assert.Equal(t, 2, strings.Count(page, "<script"), "the page's own")
		assert.NotContains(t, page, `="alert(`)
		probe := regexp.MustCompile(`<a href="\.\./probe\?([^"]*)"`).FindStringSubmatch(page)
		require.NotNil(t, probe)
		query, err := url.ParseQuery(html.UnescapeString(probe[1]))
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
	assert.Len(t, f.shown(t, 1), 2)
}

// inEnglish writes texts in English.
func inEnglish() translator {
	return newTranslator(httptest.NewRequest(http.MethodGet, "/", http.NoBody))
}

func TestValues(t *testing.T) {
	en := inEnglish()
	for want, age := range map[string]time.Duration{
		"0 s": -time.Hour, "59 s": 59*time.Second + 999*time.Millisecond, "1 min": time.Minute, "59 min": time.Hour - 1,
		"1 h 0 min": time.Hour, "47 h 59 min": 48*time.Hour - 1, "2 days": 48 * time.Hour,
	} {
		assert.Equal(t, want, en.Age(age))
	}
	for value, want := range map[float64]tableCell{
		0: {"0", "0"}, -3: {"-3", "-3"}, 12.5: {"12.5", "12.5"}, 33.333: {"33.33", "33.333"}, 0.001: {"0", "0.001"}, 4500: {"4,500", "4500"}, 1e21: {"1e+21", "1e+21"},
	} {
		assert.Equal(t, want, en.cell(value), value)
	}
	for value, want := range map[float64]tableCell{
		0: {"0:00:00", "0"}, 59.6: {"0:01:00", "60"}, 86399: {"23:59:59", "86399"}, 360000: {"100:00:00", "360000"}, -1: {"-1", "-1"}, 1e12: {"1,000,000,000,000", "1e+12"},
	} {
		assert.Equal(t, want, en.durationCell(chattonic.NumberOf(value), time.Second), value)
	}
	assert.Equal(t, tableCell{"0:00:01", "1"}, en.durationCell(chattonic.NumberOf(1200), time.Millisecond))
	assert.Equal(t, noCell, en.durationCell(chattonic.Number{}, time.Second))
	assert.Equal(t, noCell, en.numberCell(chattonic.Number{}))
	for at, want := range map[time.Time]string{
		noon: "12:00", noon.Add(-13 * time.Hour): "Tue 23:00", noon.Add(6 * 24 * time.Hour): "Tue 12:00", noon.Add(-7 * 24 * time.Hour): "2021-11-24 12:00",
	} {
		assert.Equal(t, want, en.timeCell(chattonic.TimestampOf(at), noon).Text)
	}
	assert.Equal(t, "1638360000.000", en.timeCell(chattonic.TimestampOf(noon), noon).Sort)
	assert.Equal(t, noCell, en.timeCell(chattonic.Timestamp{}, noon))
	assert.Equal(t, noCell, en.timeCell(chattonic.TimestampOf(time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)), noon))
}

// TestLinks follows all links of all pages behind a proxy that removes a path, and below a
// route prefix.
func TestLinks(t *testing.T) {
	const configured = "  - {codename: acme, windows: [24h, 1h]}\n  - {codename: a/b, collectors: [operators]}\n"
	f := start(t, configured, documented)
	f.get(t, "/metrics")
	proxied := httptest.NewServer(http.StripPrefix("/chat/tonic", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		target, _ := url.Parse(f.url)
		r.SetURL(target)
	}}))
	defer proxied.Close()
	prefixed := start(t, configured, func(team *simulator.Team, o *Options) { documented(team, o); o.RoutePrefix = "/chat/tonic" })
	for name, server := range map[string]string{"behind a proxy": proxied.URL, "below a prefix": prefixed.url} {
		t.Run(name, func(t *testing.T) {
			seen, next := map[string]bool{}, []string{server + "/chat/tonic/"}
			for len(next) > 0 {
				address := next[0]
				next = next[1:]
				if seen[address] {
					continue
				}
				seen[address] = true
				resp, body := rawPage(t, address)
				require.Equal(t, http.StatusOK, resp.StatusCode, address)
				if resp.Header.Get("Content-Type") != "text/html; charset=UTF-8" {
					continue
				}
				base, err := url.Parse(address)
				require.NoError(t, err)
				for _, link := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
					target, err := base.Parse(html.UnescapeString(link[1]))
					require.NoError(t, err)
					if target.Fragment == "" {
						require.Equal(t, base.Host, target.Host)
						next = append(next, target.String())
					}
				}
			}
			for _, path := range []string{"teams/acme", "teams/a%2Fb", "wall", "wall/acme", "wall/a%2Fb", "metrics", "sd", "-/healthy", "probe?target=acme", "documentation", "assets/wall.css", "teams/acme?window=1h", "wall?lang=es"} {
				assert.True(t, seen[server+"/chat/tonic/"+path], "%s of %v", path, slices.Sorted(maps.Keys(seen)))
			}
		})
	}
	for path, status := range map[string]int{"/": http.StatusFound, "/chat/tonic": http.StatusFound, "/metrics": http.StatusNotFound, "/chat/tonic/metrics": http.StatusOK, "/chat/tonic/-/ready": http.StatusOK} {
		resp, _ := rawPage(t, prefixed.url+path)
		assert.Equal(t, status, resp.StatusCode, path)
		if status == http.StatusFound {
			assert.Equal(t, "/chat/tonic/", resp.Header.Get("Location"), "without a host, which a proxy may hide")
		}
	}
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
