package web

import (
	"compress/gzip"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/simulator"
)

// page asks the exporter for a page as it is, also where a client would have it
// redirected.
func rawPage(t *testing.T, address string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func TestPagesShowWhatScrapesBrought(t *testing.T) {
	f := start(t, allTeams, documented)
	assert.Equal(t, 3, strings.Count(f.get(t, "/"), "</span> no data yet<"))
	f.get(t, "/probe?target=globex")
	assert.Equal(t, 2, strings.Count(f.get(t, "/"), "</span> no data yet<"))
	assert.Contains(t, f.get(t, "/teams/globex"), "Chamo Operator")
	assert.NotContains(t, f.get(t, "/teams/acme"), "Chamo Operator")
	f.get(t, "/metrics")
	assert.NotContains(t, f.get(t, "/"), "no data yet")
	assert.Equal(t, 1, f.api.Calls("acme", chattonic.EndpointOperators), "no page asks")
	assert.Equal(t, 2, f.api.Calls("globex", chattonic.EndpointOperators))

	resp, _ := f.ask(t, http.MethodGet, "/teams/nobody")
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
	assert.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'")
	assert.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))

	resp, packed := f.ask(t, http.MethodGet, "/teams/globex", "Accept-Encoding", "gzip")
	require.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
	unpacked, err := gzip.NewReader(strings.NewReader(packed))
	require.NoError(t, err)
	text, err := io.ReadAll(unpacked)
	require.NoError(t, err)
	assert.Contains(t, string(text), "Chamo Operator")
}

// A page of last answers never makes a scrape answer with one.
func TestFailureIsOnThePageWithAnOlderAnswerAndOnMetricsWithout(t *testing.T) {
	f := start(t, "  - codename: acme\n", documented)
	f.get(t, "/metrics")
	require.NoError(t, f.api.SetFault("acme", chattonic.EndpointOperators, simulator.Fault{Status: http.StatusUnauthorized}))
	body := f.get(t, "/metrics")
	assert.NotContains(t, body, "chattonic_queries_pending{")
	assert.NotContains(t, body, "chattonic_operator_info{")
	page := f.get(t, "/teams/acme")
	assert.Contains(t, page, "Chamo Operator")
	assert.Contains(t, page, "no data since ")
	assert.Contains(t, page, "HTTP 401, the access token was not accepted: check that it is current")
	assert.NotContains(t, page+f.get(t, "/"), "secret")
}

func TestStatusPageCanBeSwitchedOff(t *testing.T) {
	var o Options
	f := start(t, allTeams, func(_ *simulator.Team, options *Options) { o = *options })
	o.Teams, o.Registry, o.Profiling, o.Simulator = f.teams, prometheus.NewRegistry(), true, http.NotFoundHandler()
	handler, err := New(o)
	require.NoError(t, err)
	ask := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
		return w
	}
	for _, path := range []string{"/teams/acme", "/teams/nobody", "/assets/status.css", "/assets/status.js"} {
		assert.Equal(t, http.StatusNotFound, ask(path).Code, path)
		resp, _ := f.ask(t, http.MethodGet, path)
		assert.NotEqual(t, resp.StatusCode == http.StatusNotFound, path != "/teams/nobody", path)
	}
	landing := ask("/").Body.String()
	for _, want := range []string{"Prometheus metrics of Chat-Tonic teams", "All data is simulated", `<a href="./metrics">`, `<a href="./sd">`, `<a href="./-/healthy">`, `<a href="./-/ready">`, `"./debug/pprof/heap`} {
		assert.Contains(t, landing, want)
	}
	assert.NotContains(t, landing, "acme")
	page := f.get(t, "/")
	for _, want := range []string{"acme", `<a href="metrics">`, `<a href="sd">`, `<a href="-/healthy">`, `<a href="-/ready">`} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, "debug/pprof")
}

// The codename goes from a link in the page through the mux and back.
func TestPageOfATeamWithAStrangeName(t *testing.T) {
	for _, codename := range append(strangeTexts[1:], "a/b", "a//b/../c", "../acme", "%2F", "the \"team\" of \\ slashes / and {braces} \u202e😀") {
		if chattonic.CheckCodename(codename) != nil {
			continue
		}
		t.Run(codename, func(t *testing.T) {
			f := start(t, "  - codename: "+strconv.Quote(codename)+"\n", nil)
			_, page := rawPage(t, f.url+"/")
			link := regexp.MustCompile(`<a href="(teams/[^"]*)"><bdi>`).FindStringSubmatch(page)
			require.NotNil(t, link)
			resp, body := rawPage(t, f.url+"/"+html.UnescapeString(link[1]))
			require.Equal(t, http.StatusOK, resp.StatusCode, link[1])
			title := regexp.MustCompile(`(?s)<h1><bdi>(.*)</bdi></h1>`).FindStringSubmatch(body)
			require.NotNil(t, title)
			assert.Equal(t, codename, html.UnescapeString(title[1]))
			f.get(t, "/probe?target="+url.QueryEscape(codename))
		})
	}
}
