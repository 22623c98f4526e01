// The tests hold the JSON files to the metrics that there are, to what Grafana 10 knows, and to
// what all dashboards have in common.
package main_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"chattonic_exporter/collector"
)

// uids are the dashboards, whose files are called like them. Those in other languages have a
// suffix.
var uids = []string{
	"chattonic-exporter", "chattonic-operators-es", "chattonic-operators-pt", "chattonic-operators", "chattonic-team-es", "chattonic-team-pt", "chattonic-team",
	"chattonic-wallboard-es", "chattonic-wallboard-pt", "chattonic-wallboard",
}

// object is a JSON object: the tests look at keys that no struct would name.
type object = map[string]any

type dashboard struct {
	file, text string

	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Description   string   `json:"description"`
	Tags          []string `json:"tags"`
	ID            *int     `json:"id"`
	SchemaVersion int      `json:"schemaVersion"`
	Timezone      string   `json:"timezone"`
	Refresh       string   `json:"refresh"`
	Links         []struct {
		Type        string   `json:"type"`
		Tags        []string `json:"tags"`
		IncludeVars bool     `json:"includeVars"`
		KeepTime    bool     `json:"keepTime"`
	} `json:"links"`
	Annotations struct {
		List []struct {
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
	Templating struct {
		List []variable `json:"list"`
	} `json:"templating"`
	Panels []panel `json:"panels"`
}

// english reports whether the texts of a dashboard are English.
func (d *dashboard) english() bool {
	return !strings.HasSuffix(d.UID, "-es") && !strings.HasSuffix(d.UID, "-pt")
}

// suffix is what uids and tags of the language of a dashboard end with.
func (d *dashboard) suffix() string { return strings.TrimPrefix(d.Tags[0], "chattonic") }

// base is the uid in English.
func (d *dashboard) base() string { return strings.TrimSuffix(d.UID, d.suffix()) }

type variable struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	Definition string `json:"definition"`
	Query      any    `json:"query"`
	Current    object `json:"current"`
	Multi      bool   `json:"multi"`
	IncludeAll bool   `json:"includeAll"`
}

type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Datasource  any    `json:"datasource"`
	GridPos     grid   `json:"gridPos"`
	Options     object `json:"options"`
	FieldConfig struct {
		Defaults struct {
			Unit       string     `json:"unit"`
			NoValue    string     `json:"noValue"`
			Color      object     `json:"color"`
			Mappings   []object   `json:"mappings"`
			Min        *float64   `json:"min"`
			Max        *float64   `json:"max"`
			Thresholds thresholds `json:"thresholds"`
			Custom     object     `json:"custom"`
			Links      []dataLink `json:"links"`
		} `json:"defaults"`
		Overrides []struct {
			Matcher struct {
				ID      string `json:"id"`
				Options any    `json:"options"`
			} `json:"matcher"`
			Properties []property `json:"properties"`
		} `json:"overrides"`
	} `json:"fieldConfig"`
	Targets         []target         `json:"targets"`
	Transformations []transformation `json:"transformations"`
	Interval        string           `json:"interval"`
}

type transformation struct {
	ID      string `json:"id"`
	Options struct {
		RenameByName map[string]string `json:"renameByName"`
		IndexByName  map[string]int    `json:"indexByName"`
	} `json:"options"`
}

type grid struct{ X, Y, W, H int }

type thresholds struct {
	Mode  string `json:"mode"`
	Steps []struct {
		Color string   `json:"color"`
		Value *float64 `json:"value"`
	} `json:"steps"`
}

type dataLink struct {
	URL string `json:"url"`
}

type property struct {
	ID    string          `json:"id"`
	Value json.RawMessage `json:"value"`
}

type target struct {
	RefID      string `json:"refId"`
	Expr       string `json:"expr"`
	Datasource any    `json:"datasource"`
	Instant    bool   `json:"instant"`
	Range      bool   `json:"range"`
	Format     string `json:"format"`
	Interval   string `json:"interval"`
}

// all returns the dashboards.
func all(t *testing.T) (dashboards []*dashboard) {
	t.Helper()
	for _, uid := range uids {
		text, err := os.ReadFile(uid + ".json")
		require.NoError(t, err)
		d := &dashboard{file: uid + ".json", text: string(text)}
		require.NoError(t, json.Unmarshal(text, d), uid)
		require.NotEmpty(t, d.Panels, uid)
		dashboards = append(dashboards, d)
	}
	return dashboards
}

// shown returns the panels without the rows, which show nothing.
func (d *dashboard) shown() (panels []panel) {
	for _, p := range d.Panels {
		if p.Type != "row" {
			panels = append(panels, p)
		}
	}
	return panels
}

// expressions returns all PromQL of the dashboard by where it stands.
func (d *dashboard) expressions() map[string]string {
	expressions := make(map[string]string)
	for _, p := range d.shown() {
		for _, t := range p.Targets {
			expressions[p.Title+" "+t.RefID] = t.Expr
		}
	}
	for _, a := range d.Annotations.List {
		if a.Expr != "" {
			expressions["annotation"] = a.Expr
		}
	}
	return expressions
}

func TestFiles(t *testing.T) {
	files, err := filepath.Glob("*.json")
	require.NoError(t, err)
	var want []string
	for _, uid := range uids {
		want = append(want, uid+".json")
	}
	assert.ElementsMatch(t, want, files)
}

func TestFrame(t *testing.T) {
	titles := make(map[string]bool)
	for _, d := range all(t) {
		t.Run(d.UID, func(t *testing.T) {
			assert.Equal(t, d.file, d.UID+".json")
			assert.NotEmpty(t, d.Description)
			assert.False(t, titles[d.Title+d.suffix()], "the title is taken")
			titles[d.Title+d.suffix()] = true
			assert.Nil(t, d.ID, "an id belongs to one Grafana")
			assert.Equal(t, 38, d.SchemaVersion, "the one of Grafana 10.0, which later ones migrate")
			assert.Equal(t, "browser", d.Timezone)
			assert.Equal(t, "30s", d.Refresh)
			for _, key := range []string{"__inputs", "__requires", "__elements", "libraryPanel"} {
				assert.NotContains(t, d.text, `"`+key+`"`, "provisioned dashboards cannot be asked for inputs")
			}
		})
	}
}

// TestLinks holds that one gets from each dashboard to the others without
// choosing anew.
func TestLinks(t *testing.T) {
	for _, d := range all(t) {
		t.Run(d.UID, func(t *testing.T) {
			require.Len(t, d.Links, 1)
			assert.Equal(t, "dashboards", d.Links[0].Type)
			assert.Equal(t, d.Tags, d.Links[0].Tags, "the tag is the one that all have")
			assert.Equal(t, strings.HasSuffix(d.UID, "-es"), d.Tags[0] == "chattonic-es")
			assert.Equal(t, strings.HasSuffix(d.UID, "-pt"), d.Tags[0] == "chattonic-pt")
			assert.True(t, d.Links[0].IncludeVars)
			assert.True(t, d.Links[0].KeepTime)

			for _, l := range dataLinks(t, d) {
				path, query, _ := strings.Cut(l.URL, "?")
				assert.Contains(t, uids, strings.TrimPrefix(path, "/d/"))
				assert.True(t, strings.HasSuffix(path, d.suffix()), "%s leaves the language", l.URL)
				assert.Contains(t, query, "${__url_time_range}", "%s does not keep the time range", l.URL)
				for _, value := range regexp.MustCompile(`=\$\{__[^}]*\}`).FindAllString(query, -1) {
					assert.Contains(t, value, ":percentencode}", "%s does not encode a value", l.URL)
				}
				for _, name := range []string{"datasource", "team", "window"} {
					carried := strings.Contains(query, "${"+name+":queryparam}") || strings.Contains(query, "var-"+name+"=")
					assert.True(t, carried, "%s does not carry %s", l.URL, name)
				}
			}
			assert.Len(t, dataLinks(t, d), strings.Count(d.text, `"/d/`), "all data links were looked at")
		})
	}
}

func dataLinks(t *testing.T, d *dashboard) (links []dataLink) {
	t.Helper()
	for _, p := range d.shown() {
		links = append(links, p.FieldConfig.Defaults.Links...)
		for _, o := range p.FieldConfig.Overrides {
			for _, property := range o.Properties {
				if property.ID == "links" {
					var own []dataLink
					require.NoError(t, json.Unmarshal(property.Value, &own))
					links = append(links, own...)
				}
			}
		}
	}
	return links
}

func TestLayout(t *testing.T) {
	for _, d := range all(t) {
		t.Run(d.UID, func(t *testing.T) {
			ids, taken := make(map[int]string), make(map[[2]int]string)
			bottom := 0
			for _, p := range d.Panels {
				assert.Empty(t, ids[p.ID], "%s has the id of another", p.Title)
				ids[p.ID] = p.Title
				g := p.GridPos
				require.True(t, g.X >= 0 && g.Y >= 0 && g.W > 0 && g.H > 0 && g.X+g.W <= 24, "%s is off the grid of 24 columns", p.Title)
				bottom = max(bottom, g.Y+g.H)
				for x := g.X; x < g.X+g.W; x++ {
					for y := g.Y; y < g.Y+g.H; y++ {
						require.Empty(t, taken[[2]int{x, y}], "%s lies over another", p.Title)
						taken[[2]int{x, y}] = p.Title
					}
				}
			}
			assert.Len(t, taken, 24*bottom, "there are holes in the grid")
		})
	}
}

func TestPanels(t *testing.T) {
	for _, d := range all(t) {
		t.Run(d.UID, func(t *testing.T) {
			for _, p := range d.shown() {
				assert.NotEmpty(t, p.Title)
				assert.NotEmpty(t, p.Description, p.Title)
				assert.NotEmpty(t, p.FieldConfig.Defaults.Unit, p.Title)
				assertThresholds(t, p)
				assertInterval(t, p)
				require.NotEmpty(t, p.Targets, p.Title)
				refs := make(map[string]bool)
				for _, target := range p.Targets {
					assert.NotEqual(t, target.Instant, target.Range, "%s %s", p.Title, target.RefID)
					tiles := slices.ContainsFunc(p.Transformations, func(tr transformation) bool { return tr.ID == "rowsToFields" })
					assert.Equal(t, p.Type == "table" || tiles, target.Format == "table", "%s %s", p.Title, target.RefID)
					assert.False(t, refs[target.RefID], "%s has two %s", p.Title, target.RefID)
					refs[target.RefID] = true
					// A range would show the last value from before a failure as
					// if it were of now.
					history := p.Type == "timeseries" || p.Type == "state-timeline"
					assert.Equal(t, history, target.Range, "%s %s", p.Title, target.RefID)
				}
			}
		})
	}
}

// assertInterval holds that rates have several scrapes at any data source: Grafana takes its
// interval for $__rate_interval.
func assertInterval(t *testing.T, p panel) {
	t.Helper()
	for _, target := range p.Targets {
		if target.Range {
			assert.Equal(t, "1m", p.Interval, p.Title)
			assert.Equal(t, "1m", target.Interval, p.Title)
		}
	}
}

// goodColour is the colour that says that all is well.
const goodColour = "#37872D"

func assertThresholds(t *testing.T, p panel) {
	t.Helper()
	all := []thresholds{p.FieldConfig.Defaults.Thresholds}
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if property.ID == "thresholds" {
				var own thresholds
				require.NoError(t, json.Unmarshal(property.Value, &own))
				all = append(all, own)
			}
		}
	}
	for _, th := range all {
		assert.Equal(t, "absolute", th.Mode, p.Title)
		require.NotEmpty(t, th.Steps, p.Title)
		assert.Nil(t, th.Steps[0].Value, "%s: the first colour is for all below the second", p.Title)
		assert.Contains(t, []string{"transparent", "#8F5BD6"}, th.Steps[0].Color, "%s: the first colour is that of no data", p.Title)
		for i, step := range th.Steps {
			assert.NotEmpty(t, step.Color, p.Title)
			if i > 0 {
				require.NotNil(t, step.Value, p.Title)
				assert.True(t, i == 1 || *step.Value > *th.Steps[i-1].Value, "%s: the thresholds do not rise", p.Title)
			}
		}
	}
}

// known is what Grafana 10.0 and later know of the panels it ships: options, and
// the custom options of fields.
var known = map[string]struct{ options, custom []string }{
	"stat": {options: []string{"colorMode", "graphMode", "justifyMode", "orientation", "percentChangeColorMode", "reduceOptions", "showPercentChange", "textMode", "wideLayout"}},
	"timeseries": {
		options: []string{"legend", "tooltip"},
		custom: []string{
			"drawStyle", "fillOpacity", "lineInterpolation", "lineStyle", "lineWidth", "showPoints", "spanNulls",
			"stacking", "thresholdsStyle",
		},
	},
	"table": {
		options: []string{"cellHeight", "footer", "frameIndex", "showHeader", "sortBy"},
		custom:  []string{"align", "cellOptions", "filterable", "inspect", "minWidth", "width"},
	},
	"bargauge": {options: []string{"displayMode", "legend", "maxVizHeight", "minVizHeight", "minVizWidth", "namePlacement", "orientation", "reduceOptions", "showUnfilled", "sizing", "valueMode"}},
	"state-timeline": {
		options: []string{"alignValue", "legend", "mergeValues", "rowHeight", "showValue", "tooltip"},
		custom:  []string{"fillOpacity", "lineWidth"},
	},
}

// overridable are the options that fields of any panel have.
var overridable = []string{"color", "decimals", "links", "mappings", "min", "thresholds", "unit"}

func TestGrafanaKnowsPanels(t *testing.T) {
	for _, d := range all(t) {
		t.Run(d.UID, func(t *testing.T) {
			for _, p := range d.shown() {
				require.Contains(t, known, p.Type, p.Title)
				assert.Subset(t, known[p.Type].options, slices.Collect(maps.Keys(p.Options)), p.Title)
				custom := p.FieldConfig.Defaults.Custom
				assert.Subset(t, known[p.Type].custom, slices.Collect(maps.Keys(custom)), p.Title)
				if p.Type == "table" {
					assert.NotEmpty(t, custom, "%s: without it Grafana's migration passes the overrides over", p.Title)
				}
				for _, o := range p.FieldConfig.Overrides {
					for _, property := range o.Properties {
						if name, isCustom := strings.CutPrefix(property.ID, "custom."); isCustom {
							assert.Contains(t, known[p.Type].custom, name, p.Title)
						} else {
							assert.Contains(t, overridable, name, p.Title)
						}
					}
				}
				for _, transformation := range p.Transformations {
					assert.Contains(t, []string{"merge", "organize", "sortBy", "rowsToFields"}, transformation.ID, p.Title)
				}
			}
		})
	}
}

// TestDatasource holds that data comes from the chosen data source, wherever a
// dashboard names one.
func TestDatasource(t *testing.T) {
	for _, d := range all(t) {
		t.Run(d.UID, func(t *testing.T) {
			chosen := object{"type": "prometheus", "uid": "${datasource}"}
			for _, p := range d.shown() {
				assert.Equal(t, chosen, p.Datasource, p.Title)
				for _, target := range p.Targets {
					assert.Equal(t, chosen, target.Datasource, p.Title)
				}
			}
			var everything any
			require.NoError(t, json.Unmarshal([]byte(d.text), &everything))
			walk(everything, func(key string, value any) {
				if key != "datasource" {
					return
				}
				if got, _ := value.(object); got["type"] != "grafana" { // the built-in annotations
					assert.Equal(t, chosen, value)
				}
			})
		})
	}
}

// walk calls f for the values of all objects.
func walk(value any, f func(key string, value any)) {
	switch value := value.(type) {
	case object:
		for k, v := range value {
			f(k, v)
			walk(v, f)
		}
	case []any:
		for _, v := range value {
			walk(v, f)
		}
	}
}

// reference is the use of a variable, in the forms $name and ${name:format}.
// Names that begin with __ are Grafana's own.
var reference = regexp.MustCompile(`\$\{?([a-z]\w*)`)

func TestVariables(t *testing.T) {
	for _, d := range all(t) {
		t.Run(d.UID, func(t *testing.T) {
			defined := make(map[string]bool)
			for _, v := range d.Templating.List {
				defined[v.Name] = true
				switch v.Name {
				case "datasource":
					assert.Equal(t, "datasource", v.Type)
					assert.Equal(t, "prometheus", v.Query)
					continue
				case "window":
					assert.False(t, v.Multi, "values of several windows have no place beside each other")
					assert.Empty(t, v.Current, "the first that there is")
				default:
					assert.True(t, v.Multi, v.Name)
					assert.Equal(t, d.base() != "chattonic-team", v.IncludeAll, "the page of a team begins with one: %s", v.Name)
				}
				assert.Equal(t, "query", v.Type, v.Name)
				query, ok := v.Query.(object)
				require.True(t, ok, v.Name)
				assert.Equal(t, v.Definition, query["query"], v.Name)
			}
			used := make(map[string]bool)
			for _, match := range reference.FindAllStringSubmatch(d.text, -1) {
				used[match[1]] = true
			}
			assert.Equal(t, defined, used, "variables that are defined, and that are used")
		})
	}
}

// metricName is a metric of the exporter or a recorded one in an expression.
var metricName = regexp.MustCompile(`\b(?:[a-z_]+:)?chattonic_[a-z_]+(?::[a-z0-9_]+)?`)

// selector is such a metric with its braces.
var selector = regexp.MustCompile(metricName.String() + `(?:\{[^}]*\})?`)

// suffixes are what the parts of a histogram are called.
var suffixes = regexp.MustCompile(`_(bucket|sum|count)$`)

func metricsByName() map[string]collector.Metric {
	byName := make(map[string]collector.Metric)
	for _, m := range collector.Metrics() {
		byName[m.Name] = m
	}
	return byName
}

// find returns the metric that a name in an expression belongs to.
func find(metrics map[string]collector.Metric, name string) (m collector.Metric, found bool) {
	if m, found = metrics[name]; found {
		return m, true
	}
	m, found = metrics[suffixes.ReplaceAllString(name, "")]
	return m, found && m.Type == "histogram"
}

type rule struct {
	Record string `yaml:"record"`
	Expr   string `yaml:"expr"`
}

// rules returns the recording and alerting rules.
func rules(t *testing.T) (all []rule) {
	t.Helper()
	for _, name := range []string{"rules/recording.yml", "rules/alerts.yml", "optional/quality.yml"} {
		text, err := os.ReadFile(filepath.Join("..", "deploy", "prometheus", name))
		require.NoError(t, err)
		var file struct {
			Groups []struct {
				Rules []rule `yaml:"rules"`
			} `yaml:"groups"`
		}
		require.NoError(t, yaml.Unmarshal(text, &file))
		for _, g := range file.Groups {
			all = append(all, g.Rules...)
		}
	}
	require.NotEmpty(t, all)
	return all
}

func TestMetricsExist(t *testing.T) {
	metrics, recorded := metricsByName(), make(map[string]bool)
	for _, r := range rules(t) {
		recorded[r.Record] = true
	}
	for _, d := range all(t) {
		t.Run(d.UID, func(t *testing.T) {
			expressions := slices.Collect(maps.Values(d.expressions()))
			for _, v := range d.Templating.List {
				expressions = append(expressions, v.Definition)
			}
			names := metricName.FindAllString(strings.Join(expressions, "\n"), -1)
			require.NotEmpty(t, names)
			for _, name := range names {
				_, exists := find(metrics, name)
				assert.True(t, exists || recorded[name], "%s is neither a metric nor recorded", name)
			}
		})
	}
}

// TestRulesAreNeededWhereSaid holds the descriptions, which say whether a
// dashboard does without the recording rules.
func TestRulesAreNeededWhereSaid(t *testing.T) {
	for _, d := range all(t) {
		t.Run(d.UID, func(t *testing.T) {
			needed := false
			for _, e := range d.expressions() {
				needed = needed || strings.Contains(e, ":chattonic_")
			}
			if !d.english() {
				return
			}
			says := "It needs no recording rules."
			if needed {
				says = "It needs the recording rules in deploy/prometheus/rules."
			}
			assert.Contains(t, d.Description, says)
		})
	}
}

// TestMetricsAreUsed holds that what the exporter offers is shown somewhere, in
// a dashboard or through a rule.
func TestMetricsAreUsed(t *testing.T) {
	metrics := metricsByName()
	var expressions []string
	for _, d := range all(t) {
		expressions = append(expressions, slices.Collect(maps.Values(d.expressions()))...)
	}
	for _, r := range rules(t) {
		expressions = append(expressions, r.Expr)
	}
	unused := metricsByName()
	for _, name := range metricName.FindAllString(strings.Join(expressions, "\n"), -1) {
		if m, found := find(metrics, name); found {
			delete(unused, m.Name)
		}
	}
	assert.Empty(t, slices.Collect(maps.Keys(unused)))
}

// allWindows are the metrics about the exporter's work, which is shown for all
// windows.
var allWindows = regexp.MustCompile(`^chattonic_(scrape_collector_.*|dashboard_rows)$`)

// TestChoiceCounts holds that the chosen team, window and operator select the
// samples of all metrics that have them.
func TestChoiceCounts(t *testing.T) {
	metrics := metricsByName()
	for _, d := range all(t) {
		t.Run(d.UID, func(t *testing.T) {
			for where, e := range d.expressions() {
				for _, s := range selector.FindAllString(e, -1) {
					name := metricName.FindString(s)
					m, _ := find(metrics, name)
					if strings.HasPrefix(where, "Teams now") || strings.HasPrefix(where, "Equipos ahora") || strings.HasPrefix(where, "Equipes agora") {
						assert.Contains(t, s, `team=~".+"`, "%s: it shows all teams, to choose from", where)
					} else if strings.HasPrefix(name, "team") || slices.Contains(m.Labels, "team") {
						assert.Contains(t, s, `team=~"$team"`, "%s: %s", where, s)
					}
					// The exporter's dashboard counts the operators of all teams.
					if strings.HasPrefix(name, "chattonic_operator_") && d.UID != "chattonic-exporter" {
						assert.Contains(t, s, `operator_id=~"$operator"`, "%s: %s", where, s)
					}
					windowed := strings.HasPrefix(name, "team_window:") || slices.Contains(m.Labels, "window")
					if windowed && !allWindows.MatchString(name) {
						assert.Contains(t, s, `window="$window"`, "%s: %s", where, s)
					}
					if d.UID == "chattonic-exporter" {
						assert.Contains(t, s, `job=~"$job"`, "%s: %s", where, s)
					}
				}
			}
		})
	}
}

// overTime is a function that takes the increase of a counter.
var overTime = regexp.MustCompile(`\b(?:rate|irate|increase|delta|idelta|deriv|sum_over_time)\((\w+)[^\[]*\[([^\]]+)\]`)

// TestOnlyCountersAreRated holds that no windowed value is taken for a counter:
// the rate of one is not what it looks like.
func TestOnlyCountersAreRated(t *testing.T) {
	metrics, rated := metricsByName(), 0
	for _, d := range all(t) {
		t.Run(d.UID, func(t *testing.T) {
			for where, e := range d.expressions() {
				for _, match := range overTime.FindAllStringSubmatch(e, -1) {
					m, found := find(metrics, match[1])
					assert.True(t, found && m.Type != "gauge" || match[1] == "process_cpu_seconds_total", "%s: %s is no counter", where, match[1])
					assert.Contains(t, []string{"$__rate_interval", "1h"}, match[2], where)
					rated++
				}
			}
		})
	}
	assert.NotZero(t, rated)
}

// TestPastHasPresent holds that no panel is empty while Prometheus's history is
// short: what compares with the past shows the present as well.
func TestPastHasPresent(t *testing.T) {
	past := 0
	for _, d := range all(t) {
		t.Run(d.UID, func(t *testing.T) {
			for _, p := range d.shown() {
				present := slices.ContainsFunc(p.Targets, func(t target) bool { return !strings.Contains(t.Expr, " offset ") })
				assert.True(t, present, p.Title)
				if slices.ContainsFunc(p.Targets, func(t target) bool { return strings.Contains(t.Expr, " offset ") }) {
					past++
				}
			}
		})
	}
	assert.NotZero(t, past)
}

var (
	// score is a net promoter score whose number of responses is known.
	score = regexp.MustCompile(`team_window:chattonic_nps:|chattonic_operator_nps\{`)
	// margin is how far one can be off.
	margin = regexp.MustCompile(`sqrt\(|chattonic_nps_margin:`)
	// least is from how many responses on a score is judged.
	least = regexp.MustCompile(`team_window:chattonic_nps_responses:sum >= (\d+)`)
)

// colour returns the fixed colour that a panel gives a query, or "".
func (p *panel) colour(t *testing.T, refID string) string {
	t.Helper()
	names := map[string]string{"byFrameRefID": refID}
	for _, transformation := range p.Transformations {
		if name := transformation.Options.RenameByName["Value #"+refID]; name != "" {
			names["byName"] = name
		}
	}
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if property.ID == "color" && o.Matcher.Options == names[o.Matcher.ID] {
				var color struct{ Mode, FixedColor string }
				require.NoError(t, json.Unmarshal(property.Value, &color))
				assert.Equal(t, "fixed", color.Mode, p.Title)
				return color.FixedColor
			}
		}
	}
	return ""
}

// TestScoresOfFewResponsesAreGrey holds that a net promoter score is not shown
// like any other where the alert would not judge it, and that its margin is shown
// beside it, with what that supposes.
func TestScoresOfFewResponsesAreGrey(t *testing.T) {
	bound := ""
	for _, r := range rules(t) {
		if match := least.FindStringSubmatch(r.Expr); match != nil {
			bound = match[1]
		}
	}
	require.NotEmpty(t, bound, "the alert has a bound")
	checked := 0
	for _, d := range all(t) {
		if !d.english() {
			continue // the texts differ, the rest is the same
		}
		for _, p := range d.shown() {
			few, many, margins := 0, 0, 0
			for _, target := range p.Targets {
				switch {
				case margin.MatchString(target.Expr):
					margins++
				case !score.MatchString(target.Expr):
				case strings.Contains(target.Expr, " < "+bound):
					few++
					assert.Equal(t, "#8E8E8E", p.colour(t, target.RefID), "%s %s", p.Title, target.RefID)
				default:
					many++
					assert.Contains(t, target.Expr, " >= "+bound, "%s %s", p.Title, target.RefID)
					assert.Empty(t, p.colour(t, target.RefID), "%s %s", p.Title, target.RefID)
				}
			}
			if few+many == 0 {
				continue
			}
			checked++
			assert.NotZero(t, many, p.Title)
			assert.NotZero(t, few, p.Title)
			assert.Contains(t, p.Description, "fewer than "+bound, p.Title)
			if p.Type == "bargauge" { // which has no room for a second number
				assert.Contains(t, p.Description, "margin are in the table", p.Title)
				continue
			}
			assert.NotZero(t, margins, p.Title)
			assert.Contains(t, p.Description, "1.96·sqrt((1 − s²)/n)·100", p.Title)
		}
	}
	assert.Equal(t, 4, checked)
}

// TestSilenceIsNeverGreen holds that no data has a text and no good colour.
func TestSilenceIsNeverGreen(t *testing.T) {
	for _, d := range all(t) {
		for _, p := range d.shown() {
			assert.NotEmpty(t, p.FieldConfig.Defaults.NoValue, p.Title)
			if p.Type == "stat" {
				assert.Equal(t, "#8F5BD6", p.FieldConfig.Defaults.Thresholds.Steps[0].Color, "%s: no data is purple", p.Title)
			}
			fixed, _ := p.FieldConfig.Defaults.Color["fixedColor"].(string)
			assert.NotEqual(t, goodColour, fixed, p.Title)
			for _, target := range p.Targets {
				assert.NotContains(t, target.Expr, "vector(0)", "%s: nothing to count is not 0", p.Title)
			}
		}
		assert.NotContains(t, strings.ToLower(d.text), `"color": "green"`, d.UID)
	}
}

// TestStatesHaveTexts holds that a state over time has a fixed colour: with that of thresholds
// Grafana drops the texts and colours of the values.
func TestStatesHaveTexts(t *testing.T) {
	found := 0
	for _, d := range all(t) {
		for _, p := range d.shown() {
			if p.Type == "state-timeline" {
				found++
				assert.Equal(t, "fixed", p.FieldConfig.Defaults.Color["mode"], p.Title)
				assert.NotEmpty(t, p.FieldConfig.Defaults.Mappings, p.Title)
			}
		}
	}
	assert.Equal(t, 4, found)
}

// TestTablesFit holds that the columns of a table are narrow enough for a screen of 1920 pixels,
// and that none comes twice.
func TestTablesFit(t *testing.T) {
	for _, d := range all(t) {
		for _, p := range d.shown() {
			if p.Type != "table" {
				continue
			}
			organize := p.Transformations[len(p.Transformations)-1].Options
			assert.Contains(t, p.FieldConfig.Defaults.Custom, "minWidth", p.Title)
			names := map[string]bool{}
			for field, name := range organize.RenameByName {
				assert.False(t, names[name] && !strings.HasPrefix(field, "Value"), "%s: %s comes twice", p.Title, name)
				names[name] = true
				assert.Contains(t, organize.IndexByName, field, "%s: %s has no place", p.Title, name)
			}
			assert.LessOrEqual(t, len(names)*60, 1920*p.GridPos.W/24, "%s: the columns are in sight", p.Title)
		}
	}
}

// TestScoresAreOnTheirScale holds that net promoter scores and margins stay within ±100.
func TestScoresAreOnTheirScale(t *testing.T) {
	found := 0
	for _, d := range all(t) {
		for _, p := range d.shown() {
			if p.Title == "NPS" || p.Title == "NPS ($window)" {
				found++
				require.NotNil(t, p.FieldConfig.Defaults.Max, p.Title)
				assert.Equal(t, []float64{-100, 100}, []float64{*p.FieldConfig.Defaults.Min, *p.FieldConfig.Defaults.Max}, p.Title)
			}
		}
	}
	assert.Equal(t, 6, found)
}

// TestTilesStayInPlace holds that tiles stand in the order of the teams, whatever their state, and
// without fixed sizes of texts.
func TestTilesStayInPlace(t *testing.T) {
	tiles := 0
	for _, d := range all(t) {
		for _, p := range d.shown() {
			assert.NotContains(t, p.Options, "text", "%s: the size of texts follows the tile", p.Title)
			if len(p.Transformations) == 0 || p.Transformations[len(p.Transformations)-1].ID != "rowsToFields" {
				continue
			}
			tiles++
			require.Len(t, p.Targets, 1, p.Title)
			assert.Equal(t, "sortBy", p.Transformations[0].ID, p.Title)
			for _, sign := range []string{"✓", "?", "▲"} {
				assert.Contains(t, p.Targets[0].Expr, sign, "%s: a sign beside the colour", p.Title)
			}
		}
	}
	assert.Equal(t, 12, tiles)
}
