package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// The colours of the states of a team. They are those of the pages for people, can be told
// apart by the colour-blind, and never stand without a sign or a word.
const (
	alarm   = "#D55E00" // somebody must act
	warning = "#E69F00" // soon
	good    = "#37872D"
	closed  = "#5A5A5A" // outside business hours
	grey    = "#8E8E8E" // few responses, or past
	unknown = "#8F5BD6" // no data: the colour of every first threshold
	none    = "transparent"
)

// schemaVersion is that of Grafana 10.0. Later versions migrate it.
const schemaVersion = 38

func ptr[T any](v T) *T { return &v }

// board is a dashboard that is being built in one language.
type board struct {
	dashboard.Dashboard
	language
	id uint32 // of the last panel
}

// newBoard returns a dashboard without panels. All dashboards of a language have a tag, by
// which they link each other.
func newBoard(l language, uid, title, description, from string) *board {
	b := &board{language: l, Dashboard: dashboard.Dashboard{ //nolint:staticcheck // Grafana 10 and 11 do not know its successor.
		Uid: ptr(uid + l.suffix), Title: &title, Description: &description, Tags: []string{l.tag()}, SchemaVersion: schemaVersion, Version: ptr(uint32(1)),
		Editable: ptr(true), GraphTooltip: ptr(dashboard.DashboardCursorSyncCrosshair), Timezone: ptr("browser"), Refresh: ptr("30s"), FiscalYearStartMonth: ptr(uint8(0)),
		LiveNow: ptr(false), WeekStart: ptr(""), Timepicker: &dashboard.TimePickerConfig{}, Time: &dashboard.DashboardDashboardTime{From: from, To: "now"},
	}}
	b.Links = []dashboard.DashboardLink{{
		Type: dashboard.DashboardLinkTypeDashboards, Title: "Chat-Tonic", Tooltip: b.T("links"), Icon: "external link", Tags: []string{l.tag()}, IncludeVars: true, KeepTime: true,
	}}
	b.Annotations.List = []dashboard.AnnotationQuery{{
		Name: "Annotations & Alerts", BuiltIn: ptr(1.0), Type: ptr("dashboard"), Enable: true, Hide: ptr(true), IconColor: "rgba(0, 211, 255, 1)",
		Datasource: &common.DataSourceRef{Type: ptr("grafana"), Uid: ptr("-- Grafana --")},
	}}
	b.Templating.List = []dashboard.VariableModel{{
		Name: "datasource", Label: ptr(b.T("datasource")), Description: ptr(b.T("datasource.d")), Type: dashboard.VariableTypeDatasource,
		Query: &dashboard.StringOrMap{String: ptr("prometheus")}, Refresh: ptr(dashboard.VariableRefreshOnDashboardLoad),
	}}
	return b
}

// source is the data source that the user chose.
func source() *common.DataSourceRef {
	return &common.DataSourceRef{Type: ptr("prometheus"), Uid: ptr("${datasource}")}
}

// showAlerts marks the alerts of the chosen teams in all graphs.
func (b *board) showAlerts() {
	b.Annotations.List = append(b.Annotations.List, dashboard.AnnotationQuery{
		Name: b.T("alerts"), Datasource: source(), Enable: true, Hide: ptr(false), IconColor: "red", Step: ptr("60s"), TitleFormat: ptr("{{alertname}}"), TextFormat: ptr("{{team}}"), TagKeys: ptr("severity,area"),
		Expr: ptr(`ALERTS{alertname=~"Chattonic.+", alertname!="ChattonicWatchdog", alertstate="firing", team=~"$team|"}`),
	})
}

// variable adds a variable whose values come from a query. If it is multi, all of them can be
// chosen.
func (b *board) variable(name, query, regex string, multi, all bool) {
	v := dashboard.VariableModel{
		Name: name, Label: ptr(b.T("variable." + name)), Description: ptr(b.T("variable." + name + ".d")), Type: dashboard.VariableTypeQuery, Datasource: source(), Definition: &query,
		Query:   &dashboard.StringOrMap{Map: map[string]any{"query": query, "refId": "StandardVariableQuery"}},
		Refresh: ptr(dashboard.VariableRefreshOnTimeRangeChanged), Sort: ptr(dashboard.VariableSortAlphabeticalAsc), Multi: &multi, IncludeAll: &all, Regex: &regex,
	}
	if all {
		v.Current = &dashboard.VariableOption{Selected: ptr(true), Text: dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}}, Value: dashboard.StringOrArrayOfString{ArrayOfString: []string{"$__all"}}}
		if name != "job" {
			v.AllValue = ptr(".+")
		}
	}
	if name == "window" { // the longer ones come first: after an hour there are few responses
		v.Sort = ptr(dashboard.VariableSortAlphabeticalDesc)
	}
	b.Templating.List = append(b.Templating.List, v)
}

// query is a PromQL query of a panel.
type query struct{ expr, legend string }

// grid is where a panel stands: its left upper corner, width and height.
type grid struct{ x, y, w, h uint32 }

// object is a JSON object whose form depends on the panel.
type object = map[string]any

// panel is a panel that is being built.
type panel struct{ *dashboard.Panel }

// panel adds a panel. Tables and panels of the present query one moment: a range would show the
// last value from before a failure as if it were of now.
func (b *board) panel(kind string, at grid, title, description, unit string, queries ...query) panel {
	b.id++
	p := &dashboard.Panel{
		Type: kind, Id: ptr(b.id), Title: &title, Description: &description, Datasource: source(), GridPos: &dashboard.GridPos{X: at.x, Y: at.y, W: at.w, H: at.h},
		FieldConfig: &dashboard.FieldConfigSource{Overrides: []dashboard.DashboardFieldConfigSourceOverrides{}, Defaults: dashboard.FieldConfig{
			Unit: &unit, Color: &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdThresholds}, Thresholds: thresholds(none), NoValue: ptr(b.T("nodata")), Mappings: []dashboard.ValueMapping{},
		}},
	}
	history := kind == "timeseries" || kind == "state-timeline"
	if history {
		p.Interval = ptr("1m") // a scrape each minute: so that $__rate_interval has several, at any data source
	}
	for i, q := range queries {
		format := prometheus.PromQueryFormatTimeSeries
		if kind == "table" {
			format = prometheus.PromQueryFormatTable
		}
		target := &prometheus.Dataquery{
			RefId: ptr(ref(i)), Expr: q.expr, LegendFormat: &q.legend, Datasource: source(), Instant: ptr(!history), Range: &history, Format: &format, EditorMode: ptr(prometheus.QueryEditorModeCode),
		}
		if history {
			target.Interval = p.Interval
		}
		p.Targets = append(p.Targets, variants.Dataquery(target))
	}
	b.Panels = append(b.Panels, dashboard.PanelOrRowPanel{Panel: p})
	return panel{p}
}

// ref returns the reference of the i-th query of a panel.
func ref(i int) string { return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i : i+1] }

// row adds a heading.
func (b *board) row(y uint32, title string) {
	b.id++
	b.Panels = append(b.Panels, dashboard.PanelOrRowPanel{RowPanel: &dashboard.RowPanel{
		Type: "row", Id: b.id, Title: &title, GridPos: &dashboard.GridPos{X: 0, Y: y, W: 24, H: 1}, Panels: []dashboard.Panel{},
	}})
}

// thresholds returns thresholds: the colour below the first value, then values and colours in
// turn. The first is also the colour without data, so it is never a good one.
func thresholds(base string, steps ...any) *dashboard.ThresholdsConfig {
	t := &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: []dashboard.Threshold{{Color: base}}}
	for step := range slices.Chunk(steps, 2) {
		value, _ := step[0].(float64)
		color, _ := step[1].(string)
		t.Steps = append(t.Steps, dashboard.Threshold{Value: &value, Color: color})
	}
	return t
}

// colours sets thresholds, see there.
func (p panel) colours(base string, steps ...any) panel {
	p.FieldConfig.Defaults.Thresholds = thresholds(base, steps...)
	return p
}

func (p panel) decimals(n float64) panel {
	p.FieldConfig.Defaults.Decimals = &n
	return p
}

// span limits the axis.
func (p panel) span(from float64, to ...float64) panel {
	p.FieldConfig.Defaults.Min = &from
	if len(to) > 0 {
		p.FieldConfig.Defaults.Max = &to[0]
	}
	return p
}

// meaning is the text and the colour of a value.
type meaning struct {
	value       int
	text, color string
}

func mappings(meanings []meaning) []dashboard.ValueMapping {
	options := map[string]dashboard.ValueMappingResult{}
	for i, m := range meanings {
		options[fmt.Sprint(m.value)] = dashboard.ValueMappingResult{Text: ptr(m.text), Color: ptr(m.color), Index: ptr(int32(i))}
	}
	return []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: options}}}
}

// means gives values a text and a colour.
func (p panel) means(meanings ...meaning) panel {
	p.FieldConfig.Defaults.Mappings = append(p.FieldConfig.Defaults.Mappings, mappings(meanings)...)
	return p
}

// never shows durations beyond a year, which are those since 1970, as a text.
func (b *board) never(p panel) {
	p.FieldConfig.Defaults.Mappings = append(p.FieldConfig.Defaults.Mappings, dashboard.ValueMapping{RangeMap: &dashboard.RangeMap{
		Type: dashboard.MappingTypeRangeToText, Options: dashboard.DashboardRangeMapOptions{From: ptr(31536000.0), Result: dashboard.ValueMappingResult{Text: ptr(b.T("never")), Color: ptr(alarm), Index: ptr(int32(0))}},
	}})
}

// property is a property of an override.
func property(id string, value any) dashboard.DynamicConfigValue {
	return dashboard.DynamicConfigValue{Id: id, Value: value}
}

// override sets properties of the fields that a matcher selects.
func (p panel) override(matcher string, options any, properties ...dashboard.DynamicConfigValue) panel {
	p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, dashboard.DashboardFieldConfigSourceOverrides{Matcher: dashboard.MatcherConfig{Id: matcher, Options: options}, Properties: properties})
	return p
}

// fixed is the property of a colour.
func fixed(color string) dashboard.DynamicConfigValue {
	return property("color", object{"mode": "fixed", "fixedColor": color})
}

// named gives series by name their colour: names and colours in turn.
func (p panel) named(pairs ...string) panel {
	for pair := range slices.Chunk(pairs, 2) {
		p.override("byName", pair[0], fixed(pair[1]))
	}
	return p
}

// style draws the lines of a query thinner: dash or dot.
func (p panel) style(refID, fill string) panel {
	dash := map[string][]int{"dash": {10, 10}, "dot": {1, 6}}[fill]
	return p.override("byFrameRefID", refID, property("custom.lineStyle", object{"fill": "dash", "dash": dash}), property("custom.lineWidth", 1), property("custom.fillOpacity", 0))
}

// colour draws the lines of a query in a colour.
func (p panel) colour(refID, color string) panel {
	return p.override("byFrameRefID", refID, fixed(color))
}

// reduce takes the last value.
func reduce() object { return object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false} }

// stat adds a panel of large numbers.
func (b *board) stat(at grid, title, description, unit string, queries ...query) panel {
	p := b.panel("stat", at, title, description, unit, queries...).colours(unknown)
	p.Options = object{"colorMode": "background", "graphMode": "none", "justifyMode": "center", "orientation": "auto", "reduceOptions": reduce(), "textMode": "value", "wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard"}
	return p
}

// showNames shows the name beside each number.
func (p panel) showNames() {
	options, _ := p.Options.(object)
	options["textMode"] = "value_and_name"
}

// graph adds a panel of lines. The legend shows the last values, the tooltip all lines.
func (b *board) graph(at grid, title, description, unit string, queries ...query) panel {
	p := b.panel("timeseries", at, title, description, unit, queries...)
	p.FieldConfig.Defaults.Color.Mode = dashboard.FieldColorModeIdPaletteClassicByName
	p.FieldConfig.Defaults.Custom = object{
		"drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 2, "fillOpacity": 5, "showPoints": "auto", "spanNulls": false,
		"stacking": object{"group": "A", "mode": "none"}, "thresholdsStyle": object{"mode": "off"},
	}
	p.Options = object{
		"legend":  object{"calcs": []string{"last"}, "displayMode": "list", "placement": "bottom", "showLegend": true},
		"tooltip": object{"mode": "multi", "sort": "desc"},
	}
	return p
}

// custom changes how lines are drawn.
func (p panel) custom(key string, value any) panel {
	custom, _ := p.FieldConfig.Defaults.Custom.(object)
	custom[key] = value
	return p
}

// stacked draws filled areas on each other.
func (p panel) stacked() panel {
	return p.custom("stacking", object{"group": "A", "mode": "normal"}).custom("fillOpacity", 60)
}

// limits draws the thresholds as dashed lines.
func (p panel) limits() panel { return p.custom("thresholdsStyle", object{"mode": "dashed"}) }

// bars adds a panel of horizontal bars.
func (b *board) bars(at grid, title, description, unit string, queries ...query) panel {
	p := b.panel("bargauge", at, title, description, unit, queries...).span(0)
	p.FieldConfig.Defaults.Color.Mode = dashboard.FieldColorModeIdPaletteClassic
	p.Options = object{
		"displayMode": "gradient", "orientation": "horizontal", "reduceOptions": reduce(), "showUnfilled": true, "valueMode": "color", "namePlacement": "auto", "sizing": "auto",
		"minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 300, "legend": object{"calcs": []string{}, "displayMode": "list", "placement": "bottom", "showLegend": false},
	}
	return p
}

// timeline adds a panel of states over time. Grafana drops the texts of values if equal ones
// are merged and their colours come from thresholds, so the colour is fixed.
func (b *board) timeline(at grid, title, description string, q query, meanings ...meaning) {
	p := b.panel("state-timeline", at, title, description, "none", q).means(meanings...)
	p.FieldConfig.Defaults.Color = &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdFixed, FixedColor: ptr(unknown)}
	p.FieldConfig.Defaults.Custom = object{"fillOpacity": 75, "lineWidth": 0}
	p.Options = object{
		"alignValue": "left", "legend": object{"calcs": []string{}, "displayMode": "list", "placement": "bottom", "showLegend": true}, "mergeValues": true, "rowHeight": 0.7, "showValue": "never",
		"tooltip": object{"mode": "single", "sort": "none"},
	}
}

// column is a column of a table.
type column struct {
	// from is the label that the column shows; empty means that of expr.
	from string
	expr string
	name string
	unit string
	// properties are further properties of the column.
	properties []dashboard.DynamicConfigValue
}

func (c column) with(properties ...dashboard.DynamicConfigValue) column {
	c.properties = append(c.properties, properties...)
	return c
}

// label is a column that shows a label.
func label(from, name string) column { return column{from: from, name: name} }

// number is a column that shows the value of a query.
func number(name, unit string, decimals int, expr string) column {
	return column{expr: expr, name: name, unit: unit, properties: []dashboard.DynamicConfigValue{property("decimals", decimals)}}
}

// background colours the cells of a column by thresholds, see there. Empty cells have no colour.
func background(steps ...any) []dashboard.DynamicConfigValue {
	return []dashboard.DynamicConfigValue{property("custom.cellOptions", object{"type": "color-background", "mode": "basic"}), property("thresholds", thresholds(none, steps...))}
}

// text colours the texts of a column.
func text() dashboard.DynamicConfigValue {
	return property("custom.cellOptions", object{"type": "color-text"})
}

// state is a column whose values mean something.
func state(name, expr string, meanings ...meaning) column {
	return column{expr: expr, name: name, unit: "none", properties: []dashboard.DynamicConfigValue{property("mappings", mappings(meanings)), text()}}
}

// table adds a table with one row for each combination of the labels. hidden are labels that
// only links need.
func (b *board) table(at grid, title, description, sortBy string, descending bool, columns []column, hidden ...string) {
	var queries []query
	order, names, excluded := object{}, map[string]string{}, object{"Time": true}
	for _, name := range hidden {
		excluded[name] = true
	}
	for i, c := range columns {
		field := c.from
		if field == "" {
			field = "Value #" + ref(len(queries))
			queries = append(queries, query{c.expr, ""})
		}
		if c.name == "" { // a query for its labels alone
			excluded[field] = true
			continue
		}
		order[field], names[field] = i, c.name
	}
	if len(queries) == 1 {
		field := "Value #A"
		order["Value"], names["Value"] = order[field], names[field]
	}
	p := b.panel("table", at, title, description, "none", queries...)
	p.FieldConfig.Defaults.Custom = object{"align": "auto", "cellOptions": object{"type": "auto"}, "filterable": true, "inspect": false, "minWidth": 60}
	p.Options = object{
		"cellHeight": "sm", "frameIndex": 0, "footer": object{"fields": "", "reducer": []string{"sum"}, "show": false, "countRows": false}, "showHeader": true,
		"sortBy": []object{{"desc": descending, "displayName": sortBy}},
	}
	p.Transformations = []dashboard.DataTransformerConfig{
		{Id: "merge", Options: object{}},
		{Id: "organize", Options: object{"excludeByName": excluded, "indexByName": order, "renameByName": names}},
	}
	for _, c := range columns {
		properties := c.properties
		if c.unit != "" {
			properties = append([]dashboard.DynamicConfigValue{property("unit", c.unit)}, properties...)
		}
		if c.name != "" && len(properties) > 0 {
			p.override("byName", c.name, properties...)
		}
	}
}

// link is a data link to another dashboard of the language. It keeps the time range; values in
// it are encoded.
func (b *board) link(title, uid string, parameters ...string) object {
	address := "/d/" + uid + b.suffix + "?" + strings.Join(append([]string{"${datasource:queryparam}", "${window:queryparam}", "${__url_time_range}"}, parameters...), "&")
	return object{"title": title, "url": address, "targetBlank": false}
}

// tile is what a panel of tiles shows for the teams that a query returns: a sign or a sign with
// a word before the name of the team, and its colour.
type tile struct{ expr, sign, color string }

// tiles adds a panel with a tile for each team, in the order of their names, whatever their
// states. The queries exclude each other.
func (b *board) tiles(at grid, title, description, unit string, tiles ...tile) panel {
	var parts []string
	for _, t := range tiles {
		parts = append(parts, fmt.Sprintf("label_replace(label_replace(max by (team) (%s), \"color\", %q, \"\", \"\"), \"tile\", \"%s $1\", \"team\", \"(.*)\")", t.expr, t.color, t.sign))
	}
	p := b.stat(at, title, description, unit, query{strings.Join(parts, "\nor\n"), ""})
	if target, ok := p.Targets[0].(*prometheus.Dataquery); ok {
		target.Format = ptr(prometheus.PromQueryFormatTable)
	}
	p.showNames()
	p.Transformations = []dashboard.DataTransformerConfig{
		{Id: "sortBy", Options: object{"fields": object{}, "sort": []object{{"field": "team", "desc": false}}}},
		{Id: "organize", Options: object{"excludeByName": object{"Time": true}, "indexByName": object{}, "renameByName": object{}}},
		{Id: "rowsToFields", Options: object{"mappings": []object{
			{"fieldName": "tile", "handlerKey": "field.name"}, {"fieldName": "Value", "handlerKey": "field.value"}, {"fieldName": "color", "handlerKey": "color"},
		}}},
	}
	p.override("byType", "number", property("links", []object{b.link(b.T("link.team"), "chattonic-team", "var-team=${__field.labels.team:percentencode}")}))
	return p
}
