package collector

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"chattonic_exporter/internal/exposition"
)

// Family is a metric with all its samples of a scrape, to be written without a
// registry.
type Family struct {
	// Name is the metric's name.
	Name string
	// Present says that the metric is about the moment of the scrape, so that
	// answers over a window of the past tell nothing of it.
	Present bool
	// Write writes it, with its samples in the order of their labels' values, as
	// a registry has them. One without samples is not written.
	Write func(w *exposition.Writer)
}

// Families returns all metrics, in the order of their names. They can be written
// until done is called.
func (a Answers) Families() (all []Family, done func()) {
	var ends []func()
	for _, t := range tables {
		families, end := t.families(a)
		all, ends = append(all, families...), append(ends, end)
	}
	slices.SortFunc(all, func(a, b Family) int { return cmp.Compare(a.Name, b.Name) })
	return all, func() {
		for _, end := range ends {
			end()
		}
	}
}

func (t *table[T]) families(answers Answers) (families []Family, done func()) {
	l, _ := t.listings.Get().(*listing[T])
	if l == nil {
		l = &listing[T]{table: t, last: make(map[*row[T]][]int)}
		l.clear()
	}
	for _, a := range answers {
		if p, ok := a.(*part[T]); ok && p.table == t {
			l.parts = append(l.parts, p)
		}
	}
	for i := range t.rows {
		r := &t.rows[i]
		families = append(families, Family{r.name, r.present, func(w *exposition.Writer) { l.write(w, r) }})
	}
	return families, func() {
		l.clear()
		t.listings.Put(l)
	}
}

// listing is all things of a table, of all teams and windows.
type listing[T any] struct {
	table *table[T]
	parts []*part[T]
	// things and own are those of the rows that have no further labels: in their
	// order, and with the labels that each has of its own.
	things []thing[T]
	own    texts
	// together are the items of things.
	together []T
	// others are things in an order of a row's own.
	others []thing[T]
	shared texts
	keys   []key
	// last are the orders of a page before, of each row of labels of its own and of
	// none: where each thing was before it was put in order. Operators come in
	// the same order from one scrape to the next, so that these mostly are right
	// again, and to sort what is sorted takes next to no time.
	last map[*row[T]][]int
}

// clear leaves nothing of a scrape but the room that it took, and how its things
// were put in order.
func (l *listing[T]) clear() {
	clear(l.parts)
	clear(l.things)
	clear(l.together)
	clear(l.others)
	*l = listing[T]{
		table: l.table, parts: l.parts[:0], things: l.things[:0], own: l.own.emptied(), together: l.together[:0],
		others: l.others[:0], shared: l.shared.emptied(), keys: l.keys[:0], last: l.last,
	}
}

// thing is a thing of a part.
type thing[T any] struct {
	items []T
	part  int
}

// texts is a list of texts.
type texts struct {
	all  []byte
	ends []int // of which the first is that of nothing
}

func (t *texts) emptied() texts { return texts{t.all[:0], append(t.ends[:0], 0)} }

func (t *texts) end() { t.ends = append(t.ends, len(t.all)) }

func (t *texts) at(i int) []byte { return t.all[t.ends[i]:t.ends[i+1]] }

func (l *listing[T]) scope(t *thing[T]) *scope { return l.parts[t.part].scope }

func (l *listing[T]) value(t *thing[T], name *label[T]) string {
	return name.value(&t.items[0], l.scope(t))
}

// appendOrdered appends things by the values of their labels, and then by team
// and window. The labels are those of a row, or with none those of the table.
func (l *listing[T]) appendOrdered(ordered, things []thing[T], r *row[T]) []thing[T] {
	labels := l.table.identity
	if r != nil {
		labels = r.own
	}
	last := l.last[r]
	if len(last) != len(things) {
		last = last[:0]
		for i := range things {
			last = append(last, i)
		}
	}
	l.fillKeys(things, labels, last)
	slices.SortFunc(l.keys, func(a, b key) int {
		switch {
		case a.first != b.first:
			return cmp.Compare(a.first, b.first)
		case a.second != b.second:
			return cmp.Compare(a.second, b.second)
		}
		return cmp.Compare(a.thing, b.thing)
	})
	// What the keys do not decide is mostly in order, as it came.
	for from := 0; from < len(l.keys); {
		to := from + 1
		for to < len(l.keys) && l.keys[to].first == l.keys[from].first && l.keys[to].second == l.keys[from].second {
			to++
		}
		slices.SortFunc(l.keys[from:to], func(a, b key) int { return l.compare(&things[a.thing], &things[b.thing], labels) })
		from = to
	}
	ordered = slices.Grow(ordered, len(things))
	for i, k := range l.keys {
		ordered = append(ordered, things[k.thing])
		last[i] = k.thing
	}
	l.last[r] = last
	return ordered
}

func (l *listing[T]) compare(a, b *thing[T], labels []label[T]) int {
	for i := range labels {
		if c := strings.Compare(l.value(a, &labels[i]), l.value(b, &labels[i])); c != 0 {
			return c
		}
	}
	return cmp.Or(strings.Compare(l.scope(a).team, l.scope(b).team), strings.Compare(l.scope(a).window, l.scope(b).window))
}

// key is the beginning of a thing's first label, behind what all things have in
// common, which decides most of their order.
type key struct {
	first, second uint64
	thing         int
}

// fillKeys makes the keys of the things, in the order that was last.
func (l *listing[T]) fillKeys(things []thing[T], labels []label[T], last []int) {
	l.keys = slices.Grow(l.keys[:0], len(things))[:len(things)]
	common := ""
	if len(labels) > 0 && len(things) > 0 {
		common = l.value(&things[0], &labels[0])
		for i := range things {
			common = common[:commonPrefix(common, l.value(&things[i], &labels[0]))]
		}
	}
	for k, i := range last {
		var start [16]byte
		if len(labels) > 0 {
			copy(start[:], l.value(&things[i], &labels[0])[len(common):])
		}
		l.keys[k] = key{binary.BigEndian.Uint64(start[:8]), binary.BigEndian.Uint64(start[8:]), i}
	}
}

// commonPrefix returns the length of what both texts begin with.
func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// order puts the things in order, and renders their own labels.
func (l *listing[T]) order() {
	for k, p := range l.parts {
		l.others = slices.Grow(l.others, p.things())
		for i := range p.things() {
			l.others = append(l.others, thing[T]{p.thing(i), k})
		}
	}
	n, labels := len(l.others), l.table.identity
	l.things = l.appendOrdered(l.things, l.others, nil)
	// Each row goes through all of them, which takes half the time where they
	// lie one after the other.
	l.together, l.own.ends = slices.Grow(l.together, n), slices.Grow(l.own.ends, n+1)
	for i := range l.things {
		t := &l.things[i]
		if len(t.items) == 1 {
			l.together = append(l.together, t.items[0])
			t.items = l.together[len(l.together)-1:]
		}
		l.own.all = l.appendOwn(l.own.all, t, labels)
		if l.own.end(); i == 0 {
			l.own.all = slices.Grow(l.own.all, len(l.own.all)*n)
		}
	}
}

// appendOwn appends the labels that a thing has of its own, each with a comma.
func (l *listing[T]) appendOwn(b []byte, t *thing[T], labels []label[T]) []byte {
	for i := range labels {
		b = append(exposition.AppendLabel(b, labels[i].name, l.value(t, &labels[i])), ',')
	}
	return b
}

// write writes a row.
func (l *listing[T]) write(w *exposition.Writer, r *row[T]) {
	w.Family(r.name, r.full)
	l.shared = l.shared.emptied() // of each part, and there by the label by
	for _, p := range l.parts {
		for _, by := range r.bys {
			l.shared.all = r.appendShared(l.shared.all, p.scope, by)
			l.shared.end()
		}
	}
	if len(l.things) == 0 {
		l.order()
	}
	if len(r.labels) > 0 {
		var own []byte
		l.others = l.appendOrdered(l.others[:0], l.things, r)
		for i := range l.others {
			own = l.appendOwn(own[:0], &l.others[i], r.own)
			l.writeSample(w, r, &l.others[i], own, 0)
		}
		return
	}
	if r.by == "" {
		for i := range l.things {
			l.writeSample(w, r, &l.things[i], l.own.at(i), 0)
		}
		return
	}
	// The label by comes before the team and the window, so that things with the
	// same labels of their own take turns.
	for from := 0; from < len(l.things); {
		own, to := l.own.at(from), from+1
		for to < len(l.things) && bytes.Equal(l.own.at(to), own) {
			to++
		}
		l.writeGroup(w, r, l.things[from:to], own)
		from = to
	}
}

// writeSample writes the i-th sample that a thing has in a row.
func (l *listing[T]) writeSample(w *exposition.Writer, r *row[T], t *thing[T], own []byte, i int) {
	p := l.parts[t.part]
	if !p.shows(r) {
		return
	}
	if v, present := r.sample(p.scope, t.items, i); present {
		w.Sample(own, l.shared.at(t.part*len(r.bys)+i), v)
	}
}

// writeGroup writes the samples of things with the same labels of their own.
func (l *listing[T]) writeGroup(w *exposition.Writer, r *row[T], things []thing[T], own []byte) {
	if len(things) == 1 && r.state != nil && l.writeStates(w, r, &things[0], own) {
		return
	}
	others := l.otherStates(r, things)
	for i, by := range r.bys {
		for len(others) > 0 && others[0] < by {
			others = l.writeOther(w, r, things, own, others)
		}
		for k := range things {
			l.writeSample(w, r, &things[k], own, i)
		}
	}
	for len(others) > 0 {
		others = l.writeOther(w, r, things, own, others)
	}
}

// writeStates writes the samples of a thing whose state is one of the row's, as
// nearly all are, or else nothing.
func (l *listing[T]) writeStates(w *exposition.Writer, r *row[T], t *thing[T], own []byte) bool {
	p := l.parts[t.part]
	state := slices.Index(r.bys, r.stateOf(&t.items[0]))
	if state < 0 || !p.shows(r) {
		return false
	}
	for i := range r.bys {
		v := 0.0
		if i == state {
			v = 1
		}
		w.Sample(own, l.shared.at(t.part*len(r.bys)+i), v)
	}
	return true
}

// otherStates returns the states of things that are not the row's, in order.
func (l *listing[T]) otherStates(r *row[T], things []thing[T]) (states []string) {
	for _, t := range things {
		if state, other := r.otherState(&t.items[0]); other && l.parts[t.part].shows(r) {
			states = append(states, state)
		}
	}
	slices.Sort(states)
	return states
}

// writeOther writes the samples of the first of the other states, and returns
// those that are left.
func (l *listing[T]) writeOther(w *exposition.Writer, r *row[T], things []thing[T], own []byte, others []string) []string {
	state := others[0]
	for _, t := range things {
		if is, _ := r.otherState(&t.items[0]); is == state && l.parts[t.part].shows(r) {
			w.Sample(own, r.appendShared(nil, l.scope(&t), state), 1)
			others = others[1:]
		}
	}
	return others
}

// appendShared appends the labels that things share in a row.
func (r *row[T]) appendShared(b []byte, s *scope, by string) []byte {
	if r.by != "" {
		b = append(exposition.AppendLabel(b, r.by, by), ',')
	}
	b = exposition.AppendLabel(b, "team", s.team)
	if r.windowed {
		b = exposition.AppendLabel(append(b, ','), "window", s.window)
	}
	return b
}
