package collector

import (
	"slices"

	"chattonic_exporter/collector/exposition"
)

// Family is a metric with all its samples of a scrape, which can be written
// without a registry.
type Family struct {
	// Name is the metric's name.
	Name string
	// Present says that the metric describes the moment of the scrape, so that
	// answers for a window of the past say nothing about it.
	Present bool
	// Write writes the metric with its samples in the order of the answers. A
	// metric without samples is not written.
	Write func(w *exposition.Writer)
}

// Families returns all metrics in the order of their documentation.
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
		families = append(families, Family{r.name, r.present, func(w *exposition.Writer) { t.write(w, r, groups) }})
	}
	return families
}

// write writes a row's samples in all groups.
func (t *table[T]) write(w *exposition.Writer, r *row[T], groups []textGroup[T]) {
	w.Family(r.name, r.full)
	var labels []byte // those that differ from sample to sample
	for i := range groups {
		g := &groups[i]
		shared := g.team
		if r.windowed {
			shared = g.windowed
		}
		for s := range g.samples(r) {
			identity := g.identity[s.index]
			labels = labels[:0]
			if len(r.sorted) > 0 {
				identity, labels = nil, g.appendLabels(labels, r.sorted, s.item)
			}
			if r.by != "" {
				labels = append(exposition.AppendLabel(labels, r.by, s.by), ',')
			}
			w.Sample(s.value, identity, labels, shared)
		}
	}
}

// textGroup is a group with the labels that many of its samples share, rendered.
type textGroup[T any] struct {
	*group[T]
	identity       [][]byte // of each item, with a comma behind it
	team, windowed []byte   // the labels team, and team and window
}

func newTextGroup[T any](g *group[T]) textGroup[T] {
	team := exposition.AppendLabel(nil, "team", g.scope.team)
	t := textGroup[T]{group: g, identity: make([][]byte, len(g.items)), team: team}
	t.windowed = exposition.AppendLabel(append(slices.Clone(team), ','), "window", g.scope.window)
	if len(g.table.identity) == 0 {
		return t
	}
	var text []byte
	for i := range g.items {
		start := len(text)
		text = g.appendLabels(text, g.table.identity, &g.items[i])
		if i == 0 {
			text = slices.Grow(text, len(text)*len(g.items)) // as most are as long
		}
		t.identity[i] = text[start:len(text):len(text)]
	}
	return t
}

// appendLabels appends an item's labels, each with a comma behind it.
func (g *group[T]) appendLabels(b []byte, labels []label[T], item *T) []byte {
	for i := range labels {
		b = append(exposition.AppendLabel(b, labels[i].name, labels[i].value(item, g.scope)), ',')
	}
	return b
}
