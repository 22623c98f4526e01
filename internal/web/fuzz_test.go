package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/calendar"
)

// countingAPI answers without operators or rows, and counts how often.
type countingAPI struct{ calls int }

func (a *countingAPI) Operators(_ context.Context, w chattonic.Window) (*chattonic.Operators, error) {
	a.calls++
	return &chattonic.Operators{Metadata: chattonic.Metadata{Window: w}, Operators: []chattonic.Operator{}}, nil
}

func (a *countingAPI) Dashboard(context.Context, chattonic.Window) (*chattonic.Dashboard, error) {
	panic("it is not asked for")
}

// fixedTeams is teams that stay.
type fixedTeams []*collector.Team

func (f fixedTeams) Teams() (teams []*collector.Team, release func()) { return f, func() {} }

func (f fixedTeams) Team(codename string) (teams []*collector.Team, release func()) {
	i := slices.IndexFunc(f, func(t *collector.Team) bool { return t.Codename == codename })
	if i < 0 {
		return nil, func() {}
	}
	return f[i : i+1], func() {}
}

func (f fixedTeams) Codenames() (all []string) {
	for _, t := range f {
		all = append(all, t.Codename)
	}
	return all
}

// FuzzProbe asks for the target, and then with a query of any form.
func FuzzProbe(f *testing.F) {
	codenames := []string{"acme", "a/b", "ü\n\"", "%61"}
	for _, seed := range append(codenames, "", "nobody", "acme/", "../acme", "acme\x00", "ACME", "\xff", "http://acme", strings.Repeat("acme", 1000)) {
		f.Add(seed, "target="+seed)
	}
	for _, query := range []string{"target=acme&target=a/b", "target=%61cme", "target=a%2Fb", "target=%", "target=acme;", "&target=acme&", "target", "name[]=x&target=acme", "target=acme&x=%zz"} {
		f.Add("acme", query)
	}
	api := new(countingAPI)
	day, err := calendar.ParseWindow("24h")
	require.NoError(f, err)
	var teams fixedTeams
	for _, codename := range codenames {
		teams = append(teams, collector.NewTeam(collector.Settings{
			Codename: codename, API: api, Collectors: []chattonic.Endpoint{"operators"}, Windows: []collector.WindowSpec{day}, Location: time.UTC, DurationUnit: time.Second,
		}))
	}
	registry := prometheus.NewRegistry()
	handler, err := New(Options{Teams: teams, Registry: registry, Logger: log.NewNopLogger(), ScrapeTimeout: 10 * time.Second})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, target, query string) {
		checkProbe(t, handler, api, "target="+url.QueryEscape(target), slices.Contains(codenames, target), target)
		values, _ := url.ParseQuery(query) // what can be read of it counts
		known := len(values["target"]) == 1 && slices.Contains(codenames, values["target"][0])
		checkProbe(t, handler, api, query, known, values.Get("target"))
		assert.LessOrEqual(t, len(series(t, registry)), 8, "only status codes make series")
	})
}

func checkProbe(t *testing.T, handler http.Handler, api *countingAPI, query string, known bool, target string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/probe", http.NoBody)
	r.URL.RawQuery = query
	w := httptest.NewRecorder()
	before := api.calls
	handler.ServeHTTP(w, r)
	if !known {
		assert.Equal(t, http.StatusBadRequest, w.Code)
		assert.Contains(t, []string{noTarget, unknownTarget}, w.Body.String())
		assert.Equal(t, before, api.calls, "nobody is asked")
		return
	}
	assert.Equal(t, http.StatusOK, w.Code)
	if wanted := r.URL.Query()["name[]"]; wanted != nil { // leaves metrics out
		assert.LessOrEqual(t, api.calls, before+1)
		return
	}
	assert.Equal(t, before+1, api.calls)
	escaped := strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(target)
	assert.Contains(t, w.Body.String(), `chattonic_up{team="`+escaped+`"} 1`+"\n")
}

// Read answers for the endpoint.
func (a *countingAPI) Read(ctx context.Context, e chattonic.Endpoint, w chattonic.Window) (chattonic.Answer, error) {
	if e == chattonic.EndpointDashboard {
		return a.Dashboard(ctx, w)
	}
	return a.Operators(ctx, w)
}
