package collector

import (
	"slices"

	"chattonic_exporter/collector/exposition"
)

// Family is a metric with all its samples of a scrape. It is written without a registry.
type Family struct {
	// Name is the metric's name.
	Name string
	// Current means that the metric describes the time of the scrape, as in Metric.
	Current bool
	// Write writes the metric with its samples in the order of the answers. It writes
	// nothing if there are no samples.
	Write func(w *exposition.Writer)
}

// Families returns all metrics in the order of the documentation.
func (a Answers) Families() (families []Family) {
	for _, t := range tables {
		families = append(families, t.families(a)...)
	}
	return families
}

func (t *table[T]) families(answers Answers) (families []Family) {
	var groups []textGroup[T]
	for _, a := range answers {
		if g, ok := a.(*group[T]); ok && g.table == t {
			groups = append(groups, newTextGroup(g))
		}
	}
	for i := range t.rows {
		r := &t.rows[i]
		families = append(families, Family{r.name, r.current, func(w *exposition.Writer) { t.write(w, r, groups) }})
	}
	return families
}

// write writes a row's samples of all groups.
func (t *table[T]) write(w *exposition.Writer, r *row[T], groups []textGroup[T]) {
	w.Family(r.name, r.helpText)
	var labels []byte // labels that differ between the samples of an item
	for i := range groups {
		g := &groups[i]
		common := g.team
		if r.windowed {
			common = g.teamAndWindow
		}
		for s := range g.samples(r) {
			itemLabels := g.itemLabels[s.index]
			labels = labels[:0]
			if len(r.sortedLabels) > 0 {
				itemLabels, labels = nil, g.appendLabels(labels, r.sortedLabels, s.item)
			}
			if r.byLabel != "" {
				labels = append(exposition.AppendLabel(labels, r.byLabel, s.byValue), ',')
			}
			w.Sample(s.value, itemLabels, labels, common)
		}
	}
}

// textGroup is a group with rendered labels that several samples share.
type textGroup[T any] struct {
	*group[T]
	itemLabels          [][]byte // of each item, followed by a comma
	team, teamAndWindow []byte
}

func newTextGroup[T any](g *group[T]) textGroup[T] {
	team := exposition.AppendLabel(nil, "team", g.info.team)
	t := textGroup[T]{group: g, itemLabels: make([][]byte, len(g.items)), team: team}
	t.teamAndWindow = exposition.AppendLabel(append(team, ','), "window", g.info.window)
	if len(g.table.itemLabels) == 0 {
		return t
	}
	var text []byte
	for i := range g.items {
		start := len(text)
		text = g.appendLabels(text, g.table.itemLabels, &g.items[i])
		if i == 0 {
			text = slices.Grow(text, len(text)*len(g.items)) // estimated from the first item
		}
		t.itemLabels[i] = text[start:len(text):len(text)]
	}
	return t
}

// appendLabels appends an item's labels, each followed by a comma.
func (g *group[T]) appendLabels(b []byte, labels []label[T], item *T) []byte {
	for i := range labels {
		b = append(exposition.AppendLabel(b, labels[i].name, labels[i].value(item, g.info)), ',')
	}
	return b
}
