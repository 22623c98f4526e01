package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/collector"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/teams"
)

// strangeTexts are names that somebody might have.
var strangeTexts = []string{
	"", " ", " both sides ", `Ana "la jefa"`, `back\slash`, `\n is no newline`, "two\nlines", "\n", "\r\n", "\t", "nul\x00", "\x7f\x1b[31m", `\`, `"`, `\"`, `\\`,
	"\"} 1\nevil_metric{a=\"b", "# EOF", "# HELP evil nothing", "{}", "a=b,c=d", "<b>bold</b>", "%s%n", "José Peñalosa", "e\u0301 is not é",
	"😀👩\u200d👩\u200d👧", "מפעיל", "\u202etxt.exe", "\u2028\u2029\u0085", "\ufeffmark", "\ufffd", "\U0010ffff", strings.Repeat("long ", 10),
}

// strangeExporter is an exporter of one team whose API has these operators, with
// a metric of its own that has the help. It returns its URL.
func strangeExporter(t *testing.T, codename, help string, operators []byte) string {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/api/v1/"+codename+"/stats/operator", r.URL.Path)
		_, _ = w.Write(operators)
	}))
	quoted, err := json.Marshal(codename)
	require.NoError(t, err)
	c, err := config.Parse("test", fmt.Appendf(nil, "teams: [{codename: %s, base_url: %q, collectors: [operators], http_client: {authorization: {credentials: secret}}}]", quoted, api.URL))
	require.NoError(t, err)
	registry := prometheus.NewRegistry()
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "strange", Help: help}, []string{"codename"})
	gauge.WithLabelValues(codename)
	registry.MustRegister(gauge)
	teams := teams.New(teams.Options{RequestTimeout: 10 * time.Second, MaxBody: 1 << 20, MaxCalls: 10, Metrics: collector.NewExporterMetrics(registry)})
	require.NoError(t, teams.Apply(c))
	handler, err := New(Options{Teams: teams, Registry: registry, Logger: log.NewNopLogger(), ScrapeTimeout: 10 * time.Second, TeamsOnMetrics: true})
	require.NoError(t, err)
	exporter := httptest.NewServer(handler)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		exporter.Close()
		teams.Close()
		api.Close()
	})
	return exporter.URL
}

// textFormats are what Prometheus reads text in, by what it asks for.
var textFormats = map[string]string{
	"text":        "text/plain;version=1.0.0;escaping=allow-utf-8",
	"old text":    "text/plain;version=0.0.4",
	"OpenMetrics": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
}

// parse reads what a URL answers in a format by a parser of that format.
func parse(t *testing.T, address, accept string) map[string]*dto.MetricFamily {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	kind, _, _ := strings.Cut(accept, ";")
	require.True(t, strings.HasPrefix(resp.Header.Get("Content-Type"), kind), resp.Header)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.True(t, utf8.Valid(body))
	families := make(map[string]*dto.MetricFamily)
	for decoder := expfmt.NewDecoder(strings.NewReader(string(body)), expfmt.ResponseFormat(resp.Header)); ; {
		family := new(dto.MetricFamily)
		err := decoder.Decode(family)
		if errors.Is(err, io.EOF) {
			return families
		}
		require.NoError(t, err)
		families[family.GetName()] = family
	}
}

// only is what to add to a path so that few metrics are shown.
func only(path string) string {
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return separator + "name[]=chattonic_operator_info&name[]=chattonic_up&name[]=strange"
}

// labels are the labels of a metric as a map.
func labels(m *dto.Metric) map[string]string {
	all := make(map[string]string)
	for _, l := range m.GetLabel() {
		all[l.GetName()] = l.GetValue()
	}
	return all
}

func TestStrangeNamesArriveAsTheyAre(t *testing.T) {
	const codename = "the \"team\" of \\ slashes / and {braces} \u202e😀"
	help := "What\n" + codename + "\r\n is \\n called."
	type operator map[string]any
	var sent []operator
	want := make(map[string]map[string]string)
	for i, text := range strangeTexts {
		id, next := fmt.Sprint(i, text), strangeTexts[(i+1)%len(strangeTexts)]
		sent = append(sent, operator{"_id": id, "displayName": text, "originsName": next, "status": text})
		want[id] = map[string]string{"team": codename, "operator_id": id, "operator": text, "profile": "", "origins": next}
	}
	operators, err := json.Marshal(map[string]any{"status": true, "operators": sent})
	require.NoError(t, err)
	address := strangeExporter(t, codename, help, operators)
	for name, accept := range textFormats {
		for _, path := range []string{"/metrics", "/probe?target=" + url.QueryEscape(codename)} {
			if name == "OpenMetrics" {
				path += only(path) // its parser is slow
			}
			families := parse(t, address+path, accept)
			got := make(map[string]map[string]string)
			for _, m := range families["chattonic_operator_info"].GetMetric() {
				got[labels(m)["operator_id"]] = labels(m)
			}
			assert.Equal(t, want, got, "%s %s", name, path)
			states := make(map[string]bool)
			for _, m := range families["chattonic_operator_status"].GetMetric() {
				if m.GetGauge().GetValue() == 1 || m.GetUntyped().GetValue() == 1 {
					states[labels(m)["status"]] = true
				}
			}
			for _, text := range strangeTexts[1:] {
				assert.True(t, states[text] || name == "OpenMetrics", "%s %q", name, text)
			}
			assert.Equal(t, map[string]string{"team": codename}, labels(families["chattonic_up"].GetMetric()[0]))
			for _, m := range collector.Metrics() {
				if family := families[m.Name]; family != nil && m.Name != "chattonic_exporter_build_info" {
					assert.Equal(t, m.Help, family.GetHelp(), "%s %s", name, m.Name)
				}
			}
			assert.NotContains(t, families, "evil_metric")
			assert.NotContains(t, families, "evil")
			if strings.HasPrefix(path, "/metrics") {
				assert.Equal(t, help, families["strange"].GetHelp(), name)
				assert.Equal(t, map[string]string{"codename": codename}, labels(families["strange"].GetMetric()[0]))
			}
		}
	}
}

func TestNamesThatAreNoUnicode(t *testing.T) {
	operators := []byte("{\"status\": true, \"operators\": [" +
		"{\"_id\": \"a\", \"displayName\": \"Jos\xe9 \xff\xfe\"}, {\"_id\": \"b\", \"displayName\": \"\\ud83d alone\"}, {\"_id\": \"c\", \"displayName\": \"\\ud83d\\ude00\"}]}")
	address := strangeExporter(t, "acme", "Help.", operators)
	for name, accept := range textFormats {
		got := make(map[string]string)
		for _, m := range parse(t, address+"/metrics"+only("/metrics"), accept)["chattonic_operator_info"].GetMetric() {
			got[labels(m)["operator_id"]] = labels(m)["operator"]
		}
		assert.Equal(t, map[string]string{"a": "Jos\ufffd \ufffd\ufffd", "b": "\ufffd alone", "c": "😀"}, got, name)
	}
}

func TestOperatorNamesCanBeKeptOut(t *testing.T) {
	f := start(t, "  - {codename: acme, operator_names: false}\n  - codename: globex\n", documented)
	shown := make(map[string][]map[string]string)
	for name, family := range parse(t, f.url+"/metrics", textFormats["text"]) {
		for _, m := range family.GetMetric() {
			l := labels(m)
			if name == "chattonic_operator_info" {
				shown[l["team"]] = append(shown[l["team"]], l)
			} else {
				assert.NotContains(t, fmt.Sprint(l), "Chamo", name)
			}
		}
	}
	require.Len(t, shown["globex"], 2)
	var hidden []map[string]string
	for _, named := range shown["globex"] {
		assert.Contains(t, named["operator"], "Chamo ")
		assert.NotEmpty(t, named["origins"])
		h := maps.Clone(named)
		h["team"], h["operator"], h["origins"] = "acme", "", ""
		hidden = append(hidden, h)
	}
	assert.ElementsMatch(t, hidden, shown["acme"], "the rest stays")
	assert.NotContains(t, f.get(t, "/probe?target=acme"), "Chamo")
}
