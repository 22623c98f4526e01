package simulator_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/simulator"
)

// controlled is a simulation of two teams and what calls its control page.
func controlled(t *testing.T) (*simulator.Server, *clock, func(method, target string, form url.Values, accept string) *httptest.ResponseRecorder) {
	t.Helper()
	c := &clock{now: noon}
	server, err := simulator.New(simulator.Options{Now: c.Now, Teams: []simulator.Team{
		{Codename: "acme", Token: token, Operators: 10}, {Codename: "<b>paper</b>", Token: token, Documented: true},
	}})
	require.NoError(t, err)
	return server, c, func(method, target string, form url.Values, accept string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", accept)
		recorder := httptest.NewRecorder()
		server.Control().ServeHTTP(recorder, req)
		return recorder
	}
}

func TestControlPage(t *testing.T) {
	t.Parallel()
	server, clock, call := controlled(t)
	page := call(http.MethodGet, "/", nil, "").Body.String()
	for _, text := range []string{
		"All data is simulated", ">acme<", "of 10<", "&lt;b&gt;paper&lt;/b&gt;", "2026-05-13 15:00:00 UTC", "Active: none",
		`value="backlog"`, `value="429"`, `value="hang"`, `aria-label="normal for acme: an ordinary day" aria-pressed="true"`,
	} {
		assert.Contains(t, page, text)
	}
	assert.NotContains(t, page, "//", "no other hosts")
	assert.NotContains(t, page, `value="html"`, "a fault without a button")
	assert.NotContains(t, page, token)

	require.NoError(t, server.SetScenario("", simulator.ScenarioBacklog))
	require.NoError(t, server.SetFault("", chattonic.EndpointNPS, simulator.Fault{Status: 418}))
	fault, err := simulator.NamedFault("429")
	require.NoError(t, err)
	require.NoError(t, server.SetFault("acme", chattonic.EndpointOperators, fault))
	clock.advance(time.Hour)
	page = call(http.MethodGet, "/", nil, "").Body.String()
	assert.Contains(t, page, `aria-label="backlog for acme: nobody works, and queries pile up" aria-pressed="true"`)
	assert.Contains(t, page, "Active: operators (429), nps_export (custom)")
	assert.Contains(t, page, `<td class="number">0 of 10</td>`)
	assert.Regexp(t, `<td class="number">1[23]\d\d</td>`, page)
}

func TestControlSwitches(t *testing.T) {
	t.Parallel()
	server, clock, call := controlled(t)
	client := newClient(t, serve(t, server), "acme")
	ask := func() (*chattonic.Operators, error) {
		return client.Operators(t.Context(), chattonic.Window{Start: noon, End: noon})
	}
	done := call(http.MethodPost, "/scenario?team=acme&name=backlog", nil, "*/*")
	assert.Equal(t, "team acme: scenario backlog is active\n", done.Body.String())
	clock.advance(time.Hour)
	answer, err := ask()
	require.NoError(t, err)
	assert.Greater(t, number(t, answer.QueryPending), 1000.0)

	done = call(http.MethodPost, "/fault?endpoint=operators&name=500", nil, "")
	assert.Equal(t, "all teams: fault 500 for endpoint operators is active\n", done.Body.String())
	_, err = ask()
	require.Error(t, err)
	done = call(http.MethodPost, "/fault", url.Values{"team": {"acme"}, "name": {"none"}}, "text/html,*/*")
	assert.Equal(t, http.StatusSeeOther, done.Code)
	assert.Equal(t, "./", done.Header().Get("Location"))
	_, err = ask()
	require.NoError(t, err)
	done = call(http.MethodPost, "/fault?name=none", nil, "")
	assert.Equal(t, "all teams: fault none for all endpoints is active\n", done.Body.String())
}

func TestControlRefusals(t *testing.T) {
	t.Parallel()
	_, _, call := controlled(t)
	for target, valid := range map[string]string{
		"/scenario?team=acme&name=chaos":     "normal, backlog, quiet",
		"/scenario?team=nobody&name=normal":  "acme",
		"/fault?team=acme&name=chaos":        "none, 500, 429, hang",
		"/fault?team=nobody&name=500":        "acme",
		"/fault?endpoint=users&name=500":     "operators, dashboard, ",
		"/fault?team=acme&endpoint=&name=":   "none, 500",
		"/scenario?team=%3Cb%3E&name=normal": "acme",
	} {
		refused := call(http.MethodPost, target, nil, "text/html")
		assert.Equal(t, http.StatusBadRequest, refused.Code, target)
		assert.Contains(t, refused.Body.String(), valid)
		assert.Equal(t, "text/plain; charset=utf-8", refused.Header().Get("Content-Type"))
	}
	assert.Equal(t, http.StatusMethodNotAllowed, call(http.MethodGet, "/scenario?team=acme&name=backlog", nil, "").Code)
	assert.Equal(t, http.StatusNotFound, call(http.MethodGet, "/favicon.ico", nil, "").Code)
}
