package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/simulator"
)

// countingTeams counts who uses the teams of a TeamSet.
type countingTeams struct {
	TeamSet
	uses, releases atomic.Int64
}

func (f *countingTeams) Teams() ([]*collector.Team, func()) { return f.use(f.TeamSet.Teams()) }

func (f *countingTeams) Team(codename string) ([]*collector.Team, func()) {
	return f.use(f.TeamSet.Team(codename))
}

func (f *countingTeams) use(teams []*collector.Team, release func()) ([]*collector.Team, func()) {
	f.uses.Add(1)
	return teams, func() {
		f.releases.Add(1)
		release()
	}
}

// panicWriter fails as no other writer does.
type panicWriter struct{ http.ResponseWriter }

func (panicWriter) Write([]byte) (int, error) { panic("made up") }

// TestTeamsAreReleased holds that each scrape releases its teams once, however it
// ends: a team that was removed from the configuration would never end otherwise.
func TestTeamsAreReleased(t *testing.T) {
	text, openMetrics, protobuf := "text/plain", string(expfmt.NewFormat(expfmt.TypeOpenMetrics)), string(expfmt.NewFormat(expfmt.TypeProtoDelim))
	for name, test := range map[string]struct {
		path, accept string
		adjust       func(*Options)
		fault        simulator.Fault
		writer       func(http.ResponseWriter, context.CancelFunc) http.ResponseWriter
		uses         int64
	}{
		"metrics in text":        {path: "/metrics", accept: text, uses: 1},
		"metrics in OpenMetrics": {path: "/metrics", accept: openMetrics, uses: 1},
		"metrics in protobuf":    {path: "/metrics", accept: protobuf, uses: 1},
		"probe in text":          {path: "/probe?target=acme", accept: text, uses: 1},
		"probe in OpenMetrics":   {path: "/probe?target=acme", accept: openMetrics, uses: 1},
		"probe in protobuf":      {path: "/probe?target=acme", accept: protobuf, uses: 1},
		"unknown target":         {path: "/probe?target=nobody", uses: 1},
		"no target":              {path: "/probe"},
		"failing team":           {path: "/metrics", fault: simulator.Fault{Status: http.StatusInternalServerError}, uses: 1},
		"client is gone": {path: "/metrics", uses: 1, writer: func(w http.ResponseWriter, cancel context.CancelFunc) http.ResponseWriter {
			return goneWriter{w, cancel}
		}},
		"a panic": {path: "/metrics", uses: 1, writer: func(w http.ResponseWriter, _ context.CancelFunc) http.ResponseWriter {
			return panicWriter{w}
		}},
		"the exporter alone": {path: "/metrics", adjust: func(o *Options) { o.TeamsOnMetrics = false }},
		"status page":        {path: "/"},
	} {
		var o Options
		m := startInMemory(t, allTeams, func(_ *simulator.Team, options *Options) { o = *options })
		if test.adjust != nil {
			test.adjust(&o)
		}
		counted := &countingTeams{TeamSet: m.teams}
		o.Teams, o.Status = counted, m.teams.status
		handler, err := New(o)
		require.NoError(t, err)
		require.NoError(t, m.api.SetFault("globex", chattonic.EndpointOperators, test.fault))
		ctx, cancel := context.WithCancel(t.Context())
		var w http.ResponseWriter = httptest.NewRecorder()
		if test.writer != nil {
			w = test.writer(w, cancel)
		}
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, test.path, http.NoBody)
		r.Header.Set("Accept", test.accept)
		func() {
			defer func() { assert.Equal(t, name == "a panic", recover() != nil, name) }()
			handler.ServeHTTP(w, r)
		}()
		cancel()
		assert.Equal(t, test.uses, counted.uses.Load(), name)
		assert.Equal(t, test.uses, counted.releases.Load(), "%s: the teams are in use for ever", name)
	}
}

// TestCachesTellFormatsApart holds that what keeps answers between the exporter
// and who scrapes it does not mistake one format for another.
func TestCachesTellFormatsApart(t *testing.T) {
	m := startInMemory(t, allTeams, nil)
	for _, path := range []string{"/metrics", "/probe?target=acme"} {
		for _, accept := range []string{"text/plain", string(expfmt.NewFormat(expfmt.TypeOpenMetrics))} {
			for _, encoding := range []string{"gzip", "identity"} {
				w := m.ask(t.Context(), path, "Accept", accept, "Accept-Encoding", encoding)
				assert.Equal(t, http.StatusOK, w.Code)
				vary := strings.Split(strings.ReplaceAll(strings.Join(w.Header().Values("Vary"), ","), " ", ""), ",")
				assert.Contains(t, vary, "Accept", "%s as %s, %s", path, accept, encoding)
				assert.Contains(t, vary, "Accept-Encoding", "%s as %s, %s", path, accept, encoding)
			}
		}
	}
}

// TestMetricsByName asks for metrics by name, as a client of promhttp can: those
// of the teams, and the exporter's own.
func TestMetricsByName(t *testing.T) {
	m := startInMemory(t, allTeams, nil)
	const up, own, reload = "chattonic_up", "chattonic_exporter_build_info", "chattonic_exporter_config_last_reload_successful"
	formats := []string{"text/plain", string(expfmt.NewFormat(expfmt.TypeOpenMetrics)), string(expfmt.NewFormat(expfmt.TypeProtoDelim))}
	for query, want := range map[string][]string{
		"?name[]=" + own: {own},
		"?name[]=" + up:  {up},
		"?name[]=" + up + "&name[]=" + own + "&name[]=" + reload: {own, reload, up},
		"?name%5B%5D=" + reload:                                  {reload},
		"?name[]=nothing":                                        nil,
	} {
		for _, accept := range formats {
			w := m.ask(t.Context(), "/metrics"+query, "Accept", accept)
			assert.Equal(t, http.StatusOK, w.Code, query)
			assert.ElementsMatch(t, want, familyNames(t, w), "%s as %s", query, accept)
		}
	}
	all := familyNames(t, m.ask(t.Context(), "/metrics"))
	assert.Subset(t, all, []string{up, own, reload})
	assert.Greater(t, len(all), 30, "without a name, all")
}

// familyNames are the names of the metrics of an answer, in its order.
func familyNames(t *testing.T, w *httptest.ResponseRecorder) (names []string) {
	t.Helper()
	if strings.Contains(w.Header().Get("Content-Type"), "protobuf") {
		families, err := decoded(w.Body, w.Header())
		require.NoError(t, err)
		for _, family := range families {
			names = append(names, family.GetName())
		}
		return names
	}
	for line := range strings.Lines(w.Body.String()) {
		if rest, found := strings.CutPrefix(line, "# TYPE "); found {
			name, _, _ := strings.Cut(rest, " ")
			names = append(names, name)
		}
	}
	return names
}
