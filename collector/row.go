package collector

import (
	"cmp"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// row is one metric. Descriptor, HELP, documentation, samples and the check for
// implausible values follow from it. T is what an answer has a list of, such as
// an operator.
type row[T any] struct {
	name string
	// help says what the metric is. HELP ends with the source, or without one with
	// the API fields that the accessors return.
	help, source string
	// windowed metrics cover the window and have the label window. The others come
	// from the answer for the team's first window.
	windowed bool
	// present metrics describe the moment of the scrape, whatever the window, so
	// that the API cannot be asked for their past.
	present bool
	// duration values are in the team's duration unit, samples in seconds.
	duration bool
	// values are the metric's samples. Several differ in the label by.
	values []value[T]
	by     string
	// labels are labels from fields. A row without values has one sample, 1.
	labels []label[T]
	// state makes the metric a state set, with the label by: 1 for the present
	// state and 0 for the others in states. The last of states stands for an empty
	// one.
	state  func(*T) fmt.Stringer
	states []string
	// combine is how the values of several rows of an answer become one.
	combine combine
	// plausible says which values can be right.
	plausible plausible
	// positiveWith is a number beside which the value cannot be 0 unless the number
	// is, or nil.
	positiveWith func(*T) number

	desc *prometheus.Desc
	full string // HELP
	// sorted are the labels from fields, of the table and of the row, by name. They
	// are empty where the row has none of its own.
	sorted []label[T]
}

// value is a number of a T, and the value of the label by.
type value[T any] struct {
	of    func(*T) number
	label string
}

// number is a value that may be absent.
type number interface {
	Float64() (v float64, present bool)
}

// count is a number that is always present.
type count int

// Float64 returns the count.
func (c count) Float64() (v float64, present bool) { return float64(c), true }

// label is a label whose value is a field.
type label[T any] struct {
	name string
	of   func(*T) fmt.Stringer
	// personal labels tell who somebody is. They are empty where a team hides the
	// names of its operators.
	personal bool
}

// combine is how the values of several rows of an answer become one.
type combine int

const (
	// sum values add up. Without this or latest, values cannot be combined: they
	// need an answer with one row.
	sum combine = iota + 1
	// latest values are those of the latest row, which is the first.
	latest
)

// one is the values of a metric with a single one.
func one[T any](of func(*T) number) []value[T] { return []value[T]{{of: of}} }

// table is the metrics of one kind of item, with the labels that all of them have
// beside team and window.
type table[T any] struct {
	identity []label[T]
	rows     []row[T]
	path     string // of the items in the answer, such as "operators."
}

// newTable completes the rows.
func newTable[T any](path string, identity []label[T], rows ...row[T]) *table[T] {
	t := &table[T]{identity: identity, rows: rows, path: path}
	for i := range t.rows {
		r := &t.rows[i]
		r.full = t.fullHelp(r)
		r.desc = prometheus.NewDesc(r.name, r.full, t.labelNames(r), nil)
		if len(r.labels) > 0 {
			r.sorted = slices.SortedFunc(slices.Values(slices.Concat(identity, r.labels)), func(a, b label[T]) int { return cmp.Compare(a.name, b.name) })
		}
	}
	return t
}

func (t *table[T]) describe(ch chan<- *prometheus.Desc) {
	for i := range t.rows {
		ch <- t.rows[i].desc
	}
}

// labelNames returns the names of a row's labels in the order of its label values.
func (t *table[T]) labelNames(r *row[T]) []string {
	names := []string{"team"}
	for _, l := range slices.Concat(t.identity, r.labels) {
		names = append(names, l.name)
	}
	if r.by != "" {
		names = append(names, r.by)
	}
	if r.windowed {
		names = append(names, "window")
	}
	return names
}

// fullHelp ends with the API fields that the metric comes from.
func (t *table[T]) fullHelp(r *row[T]) string {
	source := r.source
	if source == "" {
		source = "API field: " + strings.Join(t.fields(r), ", ")
	}
	return r.help + " " + source + "."
}

// fields returns the names that the fields of a row have in the API.
func (t *table[T]) fields(r *row[T]) (names []string) {
	var item T
	if len(r.labels) > 0 {
		for _, l := range slices.Concat(t.identity, r.labels) {
			names = append(names, fieldName(&item, l.of(&item)))
		}
	}
	for _, v := range r.values {
		names = append(names, fieldName(&item, v.of(&item)))
	}
	if r.state != nil {
		names = append(names, fieldName(&item, r.state(&item)))
	}
	return names
}

// fieldName returns the JSON name of the field of item that the pointer is to.
// An accessor that returns anything else is a mistake in a table.
func fieldName[T any](item *T, pointer any) string {
	at, fields := reflect.ValueOf(pointer), reflect.ValueOf(item).Elem()
	for i := range fields.NumField() {
		if f := fields.Field(i); at.Kind() == reflect.Pointer && f.CanAddr() && f.Addr().Pointer() == at.Pointer() && f.Type() == at.Type().Elem() {
			name, _, _ := strings.Cut(fields.Type().Field(i).Tag.Get("json"), ",")
			return name
		}
	}
	panic(fmt.Sprintf("collector: %T has no field of its own for a row", *item))
}

// scope is what all samples of one answer have in common.
type scope struct {
	team, window string
	// first says that the answer is the one for the team's first window.
	first bool
	// unit is the duration unit in seconds.
	unit float64
	// impersonal leaves personal labels empty.
	impersonal bool
}

// value returns the value of the label for an item.
func (l *label[T]) value(item *T, s *scope) string {
	if l.personal && s.impersonal {
		return ""
	}
	return l.of(item).String()
}

// group is the items that one answer has for a table.
type group[T any] struct {
	table *table[T]
	scope *scope
	items []T
	// combined items give one sample for each row: the rows of a dashboard, the
	// latest first.
	combined bool
}

// sample is a number, and what its labels come from.
type sample[T any] struct {
	item  *T
	index int    // of the item in the group
	by    string // value of the label by
	value float64
}

// samples ranges over the samples that a row has in the group, in the order of
// the answer.
func (g *group[T]) samples(r *row[T]) iter.Seq[sample[T]] {
	return func(yield func(sample[T]) bool) {
		if !r.windowed && !g.scope.first {
			return
		}
		for i := range g.items {
			items := g.items[i : i+1]
			if g.combined {
				if items = g.items; i > 0 {
					return
				}
			}
			switch s := (sample[T]{item: &items[0], index: i, value: 1}); {
			case r.state != nil:
				if !r.yieldStates(s, yield) {
					return
				}
			case len(r.values) == 0:
				if !yield(s) {
					return
				}
			default:
				for k := range r.values {
					v, present := r.number(g.scope, items, k)
					if !present {
						continue
					}
					if s.by, s.value = r.values[k].label, v; !yield(s) {
						return
					}
				}
			}
		}
	}
}

// yieldStates yields the samples of a state set.
func (r *row[T]) yieldStates(s sample[T], yield func(sample[T]) bool) bool {
	present, known := cmp.Or(r.state(s.item).String(), r.states[len(r.states)-1]), false
	for _, state := range r.states {
		s.by, s.value = state, 0
		if state == present {
			s.value, known = 1, true
		}
		if !yield(s) {
			return false
		}
	}
	s.by, s.value = present, 1
	return known || yield(s)
}

// number returns the k-th value of the row for the items, which are one or are
// combined.
func (r *row[T]) number(s *scope, items []T, k int) (v float64, present bool) {
	of := r.values[k].of
	switch {
	case len(items) == 1 || r.combine == latest:
		v, present = of(&items[0]).Float64()
	case r.combine == sum:
		for i := range items {
			if n, ok := of(&items[i]).Float64(); ok {
				v, present = v+n, true
			}
		}
	}
	if r.duration {
		v *= s.unit
	}
	return v, present
}

// labelValues returns the values of a sample's labels in the order of labelNames.
func (g *group[T]) labelValues(r *row[T], s sample[T]) []string {
	values := []string{g.scope.team}
	for _, l := range slices.Concat(g.table.identity, r.labels) {
		values = append(values, l.value(s.item, g.scope))
	}
	if r.by != "" {
		values = append(values, s.by)
	}
	if r.windowed {
		values = append(values, g.scope.window)
	}
	return values
}

// collect sends all samples of the group.
func (g *group[T]) collect(ch chan<- prometheus.Metric) {
	for i := range g.table.rows {
		r := &g.table.rows[i]
		for s := range g.samples(r) {
			m, err := prometheus.NewConstMetric(r.desc, prometheus.GaugeValue, s.value, g.labelValues(r, s)...)
			if err != nil {
				m = prometheus.NewInvalidMetric(r.desc, err)
			}
			ch <- m
		}
	}
}
