package collector

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"chattonic_exporter/chattonic"
)

// row is one metric: everything about it stands here, and descriptors, HELP,
// documentation and samples follow. A T is what the API gives a list of.
type row[T any] struct {
	name string
	// help says what the metric is. HELP ends with source, or without one with
	// the API fields that the accessors return.
	help, source string
	// windowed metrics are about the window, and say which. Others come from the
	// answer for the team's first window.
	windowed bool
	// present metrics are about the moment of the scrape, whatever the window:
	// there is no asking for them afterwards.
	present bool
	// duration values are in the team's duration unit, samples in seconds.
	duration bool
	// values are the metric's samples; several differ in the label by.
	values []value[T]
	by     string
	// labels are the labels that come from fields. A row without values has
	// one sample, 1.
	labels []label[T]
	// state makes the metric a state set: 1 for the present state and 0 for
	// the others in states, in the label by. The last of states stands for none.
	state  func(*T) fmt.Stringer
	states []string
	// combine is how the values of several rows of an answer become one.
	combine combine

	desc *prometheus.Desc
	full string // HELP
	// own are the labels that come from fields, of the table and of the row.
	own []label[T]
	// bys are the values of the label by, in the order of the samples. Of a
	// row without that label there is one.
	bys []string
	// none is the state that stands for none.
	none string
}

// value is a number of a T, and where there are several in a metric, what the
// label by says of it.
type value[T any] struct {
	of    func(*T) number
	label string
}

// number is a value that may be absent.
type number interface {
	Float64() (v float64, present bool)
}

// count is a number that is always there.
type count int

// Float64 returns the count.
func (c count) Float64() (v float64, present bool) { return float64(c), true }

// label is a label whose value is a field.
type label[T any] struct {
	name string
	of   func(*T) fmt.Stringer
	// personal labels tell who somebody is. They are empty where a team keeps
	// that to itself.
	personal bool
}

// combine is how the values of several rows of an answer become one.
type combine int

const (
	// alone values cannot be combined: they need an answer with one row.
	alone combine = iota
	// sum values add up.
	sum
	// latest values are of the latest row, which is the first one after order.
	latest
)

// one is the values of a metric that has a single one.
func one[T any](of func(*T) number) []value[T] { return []value[T]{{of: of}} }

// table is the rows about one kind of thing, with the labels all of them have
// besides team and window.
type table[T any] struct {
	identity []label[T]
	rows     []row[T]
	listings sync.Pool // of *listing[T], see page.go
}

// newTable completes the rows by what follows from them.
func newTable[T any](identity []label[T], rows ...row[T]) *table[T] {
	t := &table[T]{identity: identity, rows: rows}
	for i := range t.rows {
		r := &t.rows[i]
		r.full = t.fullHelp(r)
		r.desc = prometheus.NewDesc(r.name, r.full, t.labelNames(r), nil)
		r.own = slices.SortedFunc(slices.Values(slices.Concat(identity, r.labels)), func(a, b label[T]) int { return cmp.Compare(a.name, b.name) })
		switch {
		case r.state != nil:
			r.none = r.states[len(r.states)-1]
			r.bys = slices.Sorted(slices.Values(r.states))
		case r.by != "":
			slices.SortFunc(r.values, func(a, b value[T]) int { return cmp.Compare(a.label, b.label) })
			for _, v := range r.values {
				r.bys = append(r.bys, v.label)
			}
		default:
			r.bys = []string{""}
		}
	}
	return t
}

func (t *table[T]) describe(ch chan<- *prometheus.Desc) {
	for i := range t.rows {
		ch <- t.rows[i].desc
	}
}

func (t *table[T]) labelNames(r *row[T]) []string {
	names := []string{"team"}
	for _, l := range append(slices.Clone(t.identity), r.labels...) {
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

// fullHelp ends with the API field, or fields, that the metric comes from.
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
		for _, l := range append(slices.Clone(t.identity), r.labels...) {
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
		if f := fields.Field(i); at.Kind() == reflect.Pointer && f.CanAddr() && f.Addr().Pointer() == at.Pointer() {
			name, _, _ := strings.Cut(fields.Type().Field(i).Tag.Get("json"), ",")
			return name
		}
	}
	panic(fmt.Sprintf("collector: %T has no field of its own for a row", *item))
}

// scope is what the rows of one answer have in common.
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

// part is what a scrape has for a table: the things in an answer, or something
// that the exporter knows itself.
type part[T any] struct {
	table *table[T]
	scope *scope
	items []T
	// combined items are one thing: the rows of an answer, the latest first.
	combined bool
}

// things returns how many things the part has.
func (p *part[T]) things() int {
	if p.combined {
		return min(1, len(p.items))
	}
	return len(p.items)
}

// thing returns the items that are the i-th thing.
func (p *part[T]) thing(i int) []T {
	if p.combined {
		return p.items
	}
	return p.items[i : i+1]
}

// shows says whether the row has samples of the part.
func (p *part[T]) shows(r *row[T]) bool { return r.windowed || p.scope.first }

// sample returns the value of a thing's i-th sample, if there is one.
func (r *row[T]) sample(s *scope, items []T, i int) (v float64, present bool) {
	if r.state != nil {
		if r.stateOf(&items[0]) == r.bys[i] {
			return 1, true
		}
		return 0, true
	}
	if len(r.values) == 0 {
		return 1, true
	}
	of := r.values[i].of
	switch {
	case len(items) == 1 || r.combine == latest:
		n := of(&items[0])
		if usual, ok := n.(*chattonic.Number); ok { // spares a call by the interface
			v, present = usual.Float64()
		} else {
			v, present = n.Float64()
		}
	case r.combine == alone:
		return 0, false
	default:
		for k := range items {
			if one, ok := of(&items[k]).Float64(); ok {
				v, present = v+one, true
			}
		}
	}
	if r.duration {
		v *= s.unit
	}
	return v, present
}

// stateOf returns the state of an item.
func (r *row[T]) stateOf(item *T) string { return cmp.Or(r.state(item).String(), r.none) }

// otherState returns the state of an item where it is none of the row's.
func (r *row[T]) otherState(item *T) (state string, other bool) {
	if r.state == nil {
		return "", false
	}
	state = r.stateOf(item)
	return state, !slices.Contains(r.bys, state)
}

// collect sends all samples of a part.
func (p *part[T]) collect(ch chan<- prometheus.Metric) {
	for t := range p.things() {
		items := p.thing(t)
		var current, windowed []*dto.LabelPair
		for _, l := range p.table.identity {
			current = append(current, pair(l.name, l.value(&items[0], p.scope)))
		}
		current = append(current, pair("team", p.scope.team))
		windowed = append(slices.Clone(current), pair("window", p.scope.window))
		for i := range p.table.rows {
			r := &p.table.rows[i]
			if !p.shows(r) {
				continue
			}
			labels := current
			if r.windowed {
				labels = windowed
			}
			r.collect(ch, p.scope, items, slices.Clip(labels))
		}
	}
}

func (r *row[T]) collect(ch chan<- prometheus.Metric, s *scope, items []T, labels []*dto.LabelPair) {
	for _, l := range r.labels {
		labels = append(labels, pair(l.name, l.value(&items[0], s)))
	}
	send := func(by string, v float64) {
		all := slices.Clone(labels)
		if r.by != "" {
			all = append(all, pair(r.by, by))
		}
		slices.SortFunc(all, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
		ch <- &gauge{r.desc, all, v}
	}
	for i, by := range r.bys {
		if v, present := r.sample(s, items, i); present {
			send(by, v)
		}
	}
	if state, other := r.otherState(&items[0]); other {
		send(state, 1)
	}
}

// gauge is a sample.
type gauge struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair
	value  float64
}

var _ prometheus.Metric = (*gauge)(nil)

// Desc returns the descriptor of the row that the sample is of.
func (g *gauge) Desc() *prometheus.Desc { return g.desc }

// Write fills in the sample.
func (g *gauge) Write(m *dto.Metric) error {
	m.Label, m.Gauge = g.labels, &dto.Gauge{Value: &g.value}
	return nil
}

func pair(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }
