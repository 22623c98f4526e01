package web

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/simulator"
	"chattonic_exporter/internal/teams"
	"chattonic_exporter/internal/testkit"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is the present of the tests.
var noon = time.Date(2021, 12, 1, 12, 0, 0, 0, time.UTC)

// fixture is an exporter with the teams acme, globex and initech on a simulated
// API.
type fixture struct {
	api     *simulator.Server
	teams   *teams.Set
	url     string // of the exporter
	apiURL  string
	logs    *testkit.Buffer
	reloads error
}

const allTeams = "  - codename: acme\n  - codename: globex\n  - codename: initech\n"

// start starts an exporter of the configured teams. adjust may be nil and is
// called once, with what each simulated team begins as.
func start(t *testing.T, configured string, adjust func(*simulator.Team, *Options)) *fixture {
	t.Helper()
	f := &fixture{logs: new(testkit.Buffer)}
	now := func() time.Time { return noon }
	registry := prometheus.NewRegistry()
	own := collector.NewExporterMetrics(registry)
	o := Options{
		Registry: registry, Logger: log.NewLogfmtLogger(log.NewSyncWriter(f.logs)), ScrapeTimeout: time.Minute,
		TimeoutOffset: 500 * time.Millisecond, TeamsOnMetrics: true, Now: now, Reload: func() error { return f.reloads },
	}
	each := simulator.Team{Token: "secret", Operators: 4}
	if adjust != nil {
		adjust(&each, &o)
	}
	var simulated []simulator.Team
	for i, codename := range []string{"acme", "globex", "initech"} {
		team := each
		team.Codename, team.Seed = codename, uint64(i)
		simulated = append(simulated, team)
	}
	var err error
	f.api, err = simulator.New(simulator.Options{Teams: simulated, Now: now})
	require.NoError(t, err)
	upstream := httptest.NewServer(f.api)
	f.apiURL = upstream.URL

	f.teams = teams.New(teams.Options{RequestTimeout: time.Minute, MaxBody: 1 << 20, MaxCalls: 100, Metrics: own, Now: now, History: true})
	o.Teams, o.Status = f.teams, f.teams.Status
	f.apply(t, configured)
	handler, err := New(o)
	require.NoError(t, err)
	exporter := httptest.NewServer(handler)
	f.url = exporter.URL
	t.Cleanup(func() {
		exporter.Close()
		f.teams.Close()
		f.api.Close()
		upstream.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return f
}

func (f *fixture) apply(t *testing.T, configured string) {
	t.Helper()
	c, err := config.Parse("test", []byte("defaults:\n  base_url: "+f.apiURL+"\n  http_client: {authorization: {credentials: secret}}\nteams:\n"+configured))
	require.NoError(t, err)
	require.NoError(t, f.teams.Apply(c))
}

// ask makes a request, with headers as name and value by turns.
func (f *fixture) ask(t *testing.T, method, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.url+path, http.NoBody)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// get is ask for what has to be there.
func (f *fixture) get(t *testing.T, path string, headers ...string) string {
	t.Helper()
	resp, body := f.ask(t, http.MethodGet, path, headers...)
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
	return body
}

func documented(team *simulator.Team, _ *Options) { team.Documented = true }

// measured are the values that differ from run to run.
var measured = regexp.MustCompile(`(?m)^((?:chattonic_scrape_collector_duration_seconds|chattonic_exporter_api_request_duration_seconds_(?:bucket|sum)|chattonic_exporter_build_info|promhttp_\w+)(?:\{.*\})?) .*$`)

func TestDocumentedAnswersOnMetrics(t *testing.T) {
	const golden = "testdata/documented.txt"
	f := start(t, "  - {codename: acme, windows: [24h, this_month], timezone: America/Argentina/Buenos_Aires, delay: 5m, thresholds: {queries_pending: 10}, "+
		"business_hours: {hours: [{days: [wednesday], from: 09:00, to: 18:00}]}}", documented)
	body := measured.ReplaceAllString(f.get(t, "/metrics"), "$1 measured")
	body = regexp.MustCompile(`(?m)^(chattonic_exporter_build_info)\{.*`).ReplaceAllString(body, "$1 of this build")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(body), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), body)
}

func TestEveryDocumentedFieldIsShown(t *testing.T) {
	ignored := map[string]string{
		"name.givenName":  "displayName is shown",
		"name.familyName": "displayName is shown",
		"origins":         "ids; originsName is shown",
		"date":            "orders the rows",
		"lastConnection":  "null on both operators, and so no sample",
		"status (answer)": "false is an error",
	}
	f := start(t, "  - codename: acme\n", documented)
	shown := make(map[string]bool)
	for _, help := range regexp.MustCompile(`(?m)^# HELP .* API field: (.*)\.$`).FindAllStringSubmatch(f.get(t, "/metrics"), -1) {
		for _, field := range strings.Split(help[1], ", ") {
			shown[field] = true
		}
	}
	for _, field := range documentedFields(t) {
		_, passedOver := ignored[field]
		assert.NotEqual(t, shown[field], passedOver, "%s is to be shown or passed over", field)
		delete(ignored, field)
	}
	assert.Empty(t, ignored, "what is passed over is documented")
}

// documentedFields returns the names of all fields of both documented answers.
func documentedFields(t *testing.T) (fields []string) {
	t.Helper()
	var operators map[string]any
	require.NoError(t, json.Unmarshal(simulator.OperatorsFixture(), &operators))
	for field := range operators {
		switch field {
		case "status":
			fields = append(fields, "status (answer)")
		case "operators":
		default:
			fields = append(fields, field)
		}
	}
	var rows []map[string]any
	require.NoError(t, json.Unmarshal(simulator.DashboardFixture(), &rows))
	seen := make(map[string]bool)
	for _, operator := range operators["operators"].([]any) {
		rows = append(rows, operator.(map[string]any))
	}
	for _, row := range rows {
		for field, value := range row {
			if parts, ok := value.(map[string]any); ok {
				for part := range parts {
					seen[field+"."+part] = true
				}
				continue
			}
			seen[field] = true
		}
	}
	for field := range seen {
		fields = append(fields, field)
	}
	return fields
}

func TestEveryDocumentedMetricIsShownAndNoOther(t *testing.T) {
	f := start(t, "  - {codename: acme, thresholds: {queries_pending: 10}, business_hours: {hours: [{days: [sunday], from: 09:00, to: 18:00}]}}", func(team *simulator.Team, _ *Options) { team.Operators = 20 })
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(f.get(t, "/metrics")))
	require.NoError(t, err)
	for _, m := range collector.Metrics() {
		if m.Name == "chattonic_api_paused_until_timestamp_seconds" {
			continue // there is no pause
		}
		family := families[m.Name]
		if !assert.NotNil(t, family, m.Name) {
			continue
		}
		delete(families, m.Name)
		assert.Equal(t, strings.ToUpper(m.Type), family.GetType().String(), m.Name)
		if m.Name == "chattonic_exporter_build_info" {
			continue // a library describes it
		}
		assert.Equal(t, m.Help, family.GetHelp())
		var names []string
		for _, l := range family.GetMetric()[0].GetLabel() {
			names = append(names, l.GetName())
		}
		assert.ElementsMatch(t, m.Labels, names, m.Name)
	}
	for name := range families {
		assert.NotContains(t, name, "chattonic", "it is not documented")
	}
}

func TestFormats(t *testing.T) {
	f := start(t, allTeams, nil)
	const prometheusAccept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
	tests := map[string]struct{ accept, contentType, end string }{
		"text":        {"text/plain", "text/plain; version=0.0.4", "\n"},
		"anything":    {"*/*", "text/plain; version=0.0.4", "\n"},
		"OpenMetrics": {prometheusAccept, "application/openmetrics-text; version=1.0.0", "# EOF\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/metrics", "/probe?target=acme"} {
				resp, body := f.ask(t, http.MethodGet, path, "Accept", test.accept)
				assert.Contains(t, resp.Header.Get("Content-Type"), test.contentType)
				assert.True(t, strings.HasSuffix(body, test.end))
				assert.Contains(t, body, `chattonic_up{team="acme"} 1`)
			}
		})
	}
}

func TestGzip(t *testing.T) {
	f := start(t, allTeams, nil)
	resp, body := f.ask(t, http.MethodGet, "/metrics", "Accept-Encoding", "gzip")
	require.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
	unpacked, err := gzip.NewReader(strings.NewReader(body))
	require.NoError(t, err)
	text, err := io.ReadAll(unpacked)
	require.NoError(t, err)
	assert.Contains(t, string(text), `chattonic_up{team="initech"} 1`)
	assert.Less(t, len(body), len(text)/4)
}

func TestProtobufCarriesNativeHistograms(t *testing.T) {
	f := start(t, allTeams, nil)
	resp, body := f.ask(t, http.MethodGet, "/metrics", "Accept", string(expfmt.NewFormat(expfmt.TypeProtoDelim)))
	require.Contains(t, resp.Header.Get("Content-Type"), "application/vnd.google.protobuf")
	all, err := decoded(strings.NewReader(body), resp.Header)
	require.NoError(t, err)
	families := make(map[string]*dto.MetricFamily)
	for _, family := range all {
		families[family.GetName()] = family
	}
	assert.Len(t, families["chattonic_up"].GetMetric(), 3)
	durations := families["chattonic_exporter_api_request_duration_seconds"]
	require.NotNil(t, durations)
	histogram := durations.GetMetric()[0].GetHistogram()
	assert.EqualValues(t, 1, histogram.GetSampleCount())
	assert.NotEmpty(t, histogram.GetPositiveSpan(), "native")
	assert.NotEmpty(t, histogram.GetBucket(), "and classic")
}

func TestTwoServersAtTheSameMomentCauseOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := startInMemory(t, "  - {codename: acme, windows: [1h, 24h]}", nil)
		require.NoError(t, m.api.SetFault("", "", simulator.Fault{Delay: 300 * time.Millisecond}))
		var servers sync.WaitGroup
		for range 2 {
			for _, path := range []string{"/metrics", "/probe?target=acme"} {
				servers.Go(func() { assert.Contains(t, m.get(t, path), `chattonic_up{team="acme"} 1`) })
			}
		}
		servers.Wait()
		assert.Equal(t, 2, m.api.Calls("acme", chattonic.EndpointOperators), "one for each window")
		assert.Equal(t, 2, m.api.Calls("acme", chattonic.EndpointDashboard))
	})
}

func TestTeamThatFailsLeavesTheOthers(t *testing.T) {
	for name, test := range map[string]struct {
		fault simulator.Fault
		took  time.Duration
	}{
		"answers 500": {simulator.Fault{Status: http.StatusInternalServerError}, 0},
		"hangs":       {simulator.Fault{Delay: time.Hour}, 2500 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := startInMemory(t, allTeams, nil)
			require.NoError(t, m.api.SetFault("globex", chattonic.EndpointOperators, test.fault))
			begin := time.Now()
			body := m.get(t, "/metrics", timeoutHeader, "3")
			assert.Equal(t, test.took, time.Since(begin), name)
			for _, want := range []string{
				`chattonic_up{team="acme"} 1`, `chattonic_up{team="globex"} 0`, `chattonic_up{team="initech"} 1`,
				`chattonic_scrape_collector_success{collector="operators",team="globex",window="24h"} 0`,
				`chattonic_scrape_collector_success{collector="dashboard",team="globex",window="24h"} 1`,
				`chattonic_dashboard_rows{team="globex",window="24h"} 1`,
				`chattonic_queries_pending{team="acme"}`, `chattonic_queries_pending{team="initech"}`,
				`chattonic_dashboard_new_users{team="initech",window="24h"}`,
			} {
				assert.Contains(t, body, want, name)
			}
			assert.NotContains(t, body, `chattonic_queries_pending{team="globex"}`, name)
			assert.NotContains(t, body, `chattonic_operator_info{team="globex"`, name)
			assert.Equal(t, 1, strings.Count(m.logs.String(), "level=error"), m.logs.String())
			assert.Contains(t, m.logs.String(), "team=globex collector=operators windows=24h", name)
			assert.NotContains(t, m.logs.String()+body, "secret", name)
		})
	}
}

func TestLateAnswerServesTheNextScrapeThatGetsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := startInMemory(t, "  - {codename: acme, collectors: [operators]}", nil)
		require.NoError(t, m.api.SetFault("", chattonic.EndpointOperators, simulator.Fault{Delay: 700 * time.Millisecond, Times: 2}))
		assert.Contains(t, m.get(t, "/metrics", timeoutHeader, "0.7"), `chattonic_up{team="acme"} 0`)
		time.Sleep(time.Second)
		assert.Contains(t, m.get(t, "/metrics", timeoutHeader, "0.7"), `chattonic_up{team="acme"} 1`)
		assert.Equal(t, 2, m.api.Calls("acme", chattonic.EndpointOperators), "it was asked again")
		time.Sleep(time.Second)
		m.get(t, "/metrics")
		assert.Equal(t, 3, m.api.Calls("acme", chattonic.EndpointOperators))
	})
}

// decoded reads an answer in protobuf.
func decoded(body io.Reader, header http.Header) (families []*dto.MetricFamily, err error) {
	for decoder := expfmt.NewDecoder(body, expfmt.ResponseFormat(header)); ; {
		family := new(dto.MetricFamily)
		switch err := decoder.Decode(family); {
		case errors.Is(err, io.EOF):
			return families, nil
		case err != nil:
			return nil, err
		}
		families = append(families, family)
	}
}

func TestProbe(t *testing.T) {
	f := start(t, allTeams, nil)
	body := f.get(t, "/probe?target=globex")
	assert.Contains(t, body, `chattonic_up{team="globex"} 1`)
	assert.NotContains(t, body, "acme")
	assert.NotContains(t, body, "chattonic_exporter_")
	assert.Zero(t, f.api.Calls("acme", chattonic.EndpointOperators))

	for _, query := range []string{"", "?target=", "?target=nobody", "?target=acme&target=globex", "?target=" + f.apiURL, "?target=acme%2F..%2Fglobex", "?target=acme%0A"} {
		resp, body := f.ask(t, http.MethodGet, "/probe"+query)
		assert.Equal(t, http.StatusBadRequest, resp.StatusCode, query)
		assert.Equal(t, "text/plain; charset=utf-8", resp.Header.Get("Content-Type"))
		assert.Contains(t, []string{"the parameter target is missing or repeated: use /probe?target=CODENAME\n", "the target is not the codename of a configured team: use one of those that /sd lists\n"}, body)
	}
	assert.Equal(t, 1, f.api.Calls("globex", chattonic.EndpointOperators))
}

func TestMetricsOfTheExporterAlone(t *testing.T) {
	f := start(t, allTeams, func(_ *simulator.Team, o *Options) { o.TeamsOnMetrics = false })
	body := f.get(t, "/metrics")
	assert.Contains(t, body, "chattonic_exporter_config_last_reload_successful")
	assert.NotContains(t, body, "chattonic_up")
	assert.Zero(t, f.api.Calls("acme", chattonic.EndpointOperators))
	assert.Contains(t, f.get(t, "/probe?target=acme"), `chattonic_up{team="acme"} 1`)
}

func TestDiscoveryFollowsTheConfiguration(t *testing.T) {
	f := start(t, allTeams, nil)
	resp, body := f.ask(t, http.MethodGet, "/sd")
	assert.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	assert.JSONEq(t, `[
		{"targets": ["acme"], "labels": {"__meta_chattonic_team": "acme"}},
		{"targets": ["globex"], "labels": {"__meta_chattonic_team": "globex"}},
		{"targets": ["initech"], "labels": {"__meta_chattonic_team": "initech"}}
	]`, body)
	f.apply(t, "  - codename: globex")
	assert.JSONEq(t, `[{"targets": ["globex"], "labels": {"__meta_chattonic_team": "globex"}}]`, f.get(t, "/sd"))
	require.NoError(t, f.teams.Apply(&config.Config{}))
	assert.JSONEq(t, `[]`, f.get(t, "/sd"), "Prometheus wants a list, not null")
}

func TestHealthAsksNobody(t *testing.T) {
	f := start(t, allTeams, nil)
	assert.Equal(t, "healthy\n", f.get(t, "/-/healthy"))
	assert.Equal(t, "ready\n", f.get(t, "/-/ready"))
	assert.Contains(t, f.get(t, "/"), "/metrics")
	for _, codename := range []string{"acme", "globex", "initech"} {
		assert.Zero(t, f.api.Calls(codename, chattonic.EndpointOperators)+f.api.Calls(codename, chattonic.EndpointDashboard))
	}
}

func TestReload(t *testing.T) {
	f := start(t, allTeams, nil)
	resp, body := f.ask(t, http.MethodPost, "/-/reload")
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, "reloaded\n", body)
	f.reloads = errors.New("exporter.yml:3: broken")
	resp, body = f.ask(t, http.MethodPost, "/-/reload")
	assert.Equal(t, http.StatusInternalServerError, resp.StatusCode)
	assert.Equal(t, "the active configuration is unchanged: exporter.yml:3: broken\n", body)
}

func TestMethods(t *testing.T) {
	f := start(t, allTeams, func(_ *simulator.Team, o *Options) { o.Profiling = true })
	for _, path := range []string{"/", "/metrics", "/probe?target=acme", "/sd", "/-/healthy", "/-/ready", "/debug/pprof/"} {
		resp, _ := f.ask(t, http.MethodPost, path)
		assert.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode, path)
		resp, body := f.ask(t, http.MethodHead, path)
		assert.Equal(t, http.StatusOK, resp.StatusCode, path)
		assert.Empty(t, body)
	}
	resp, _ := f.ask(t, http.MethodGet, "/-/reload")
	assert.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
	resp, _ = f.ask(t, http.MethodGet, "/nothing")
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
}

func TestProfilesAreForThoseWhoAskForThem(t *testing.T) {
	resp, _ := start(t, allTeams, nil).ask(t, http.MethodGet, "/debug/pprof/heap")
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
	f := start(t, allTeams, func(_ *simulator.Team, o *Options) { o.Profiling = true })
	assert.NotEmpty(t, f.get(t, "/debug/pprof/heap"))
	assert.Contains(t, f.get(t, "/"), "debug/pprof")
}

func TestLandingPageSaysWhatIsSimulated(t *testing.T) {
	assert.NotContains(t, start(t, allTeams, nil).get(t, "/"), "simulated")
	f := start(t, allTeams, func(_ *simulator.Team, o *Options) { o.Simulator = http.NotFoundHandler() })
	assert.Contains(t, f.get(t, "/"), "All data is simulated")
}

func TestTimeout(t *testing.T) {
	h := &handler{Options{ScrapeTimeout: 30 * time.Second, TimeoutOffset: 500 * time.Millisecond}}
	for header, want := range map[string]time.Duration{
		"":      30 * time.Second,
		"10":    9500 * time.Millisecond,
		"1.5":   time.Second,
		"0.5":   500 * time.Millisecond, // the offset would leave nothing
		"0.2":   200 * time.Millisecond,
		"0":     30 * time.Second,
		"-1":    30 * time.Second,
		"NaN":   30 * time.Second,
		"+Inf":  30 * time.Second,
		"1e300": 30 * time.Second,
		"ten":   30 * time.Second,
	} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
		r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", header)
		assert.Equal(t, want, h.timeout(r), "%q", header)
	}
}

func TestDuplicateSeriesCostOnlyThemselves(t *testing.T) {
	f := start(t, allTeams, func(_ *simulator.Team, o *Options) { o.Registry.MustRegister(twice{}) })
	body := f.get(t, "/metrics")
	assert.Contains(t, body, `chattonic_up{team="acme"} 1`)
	assert.Contains(t, f.logs.String(), "writing metrics failed")
	assert.Contains(t, f.get(t, "/metrics"), `promhttp_metric_handler_errors_total{cause="gathering"} 1`)
}

// twice collects the same series twice.
type twice struct{}

var twiceDesc = prometheus.NewDesc("twice", "The same series twice.", nil, nil)

func (twice) Describe(ch chan<- *prometheus.Desc) { ch <- twiceDesc }

func (twice) Collect(ch chan<- prometheus.Metric) {
	for range 2 {
		ch <- prometheus.MustNewConstMetric(twiceDesc, prometheus.GaugeValue, 1)
	}
}

func TestReloadFromAnotherSiteIsRefused(t *testing.T) {
	reloads := 0
	f := start(t, allTeams, func(_ *simulator.Team, o *Options) { o.Reload = func() error { reloads++; return nil } })
	for _, c := range []struct {
		fetchSite, origin string
		want              int
	}{
		{"", "", http.StatusOK}, // curl
		{"same-origin", f.url, http.StatusOK},
		{"none", "", http.StatusOK},
		{"", f.url, http.StatusOK}, // a browser without Sec-Fetch-Site
		{"cross-site", "https://elsewhere.example", http.StatusForbidden},
		{"same-site", "http://127.0.0.1:1", http.StatusForbidden},
		{"", "https://elsewhere.example", http.StatusForbidden},
		{"", "null", http.StatusForbidden}, // a page in a sandbox
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/-/reload", http.NoBody)
		require.NoError(t, err)
		req.Header.Set("Sec-Fetch-Site", c.fetchSite)
		req.Header.Set("Origin", c.origin)
		before := reloads
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, c.want, resp.StatusCode, c)
		assert.Equal(t, c.want == http.StatusOK, reloads > before, c)
		if c.want == http.StatusForbidden {
			assert.Equal(t, "a page of another site sent this request: use curl -X POST or SIGHUP to reload\n", string(body))
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url+"/sd", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusOK, resp.StatusCode, "links from another site work")
}
