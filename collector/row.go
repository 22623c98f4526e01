package collector

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// row is one metric: everything about it stands here, and descriptors, HELP,
// documentation and samples follow. A T is what the API gives a list of.
type row[T any] struct {
	name string
	// help says what the metric is. HELP ends with source, or without one with
	// the API fields that the accessors return.
	help, source string
	// windowed metrics are about the window, and say which. Others are about
	// the present and come from the answer for the team's first window.
	windowed bool
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
	bys  []*dto.LabelPair // the label by of each of values or states
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

// of returns the combined value of the items of an answer.
func (c combine) of(n int, at func(i int) number) (v float64, present bool) {
	switch {
	case n == 0:
	case n == 1 || c == latest:
		return at(0).Float64()
	case c == alone:
	case c == sum:
		for i := range n {
			if part, ok := at(i).Float64(); ok {
				v, present = v+part, true
			}
		}
	}
	return v, present
}

// table is the rows about one kind of thing, with the labels all of them have
// besides team and window.
type table[T any] struct {
	identity []label[T]
	rows     []row[T]
}

// newTable completes the rows by what follows from them.
func newTable[T any](identity []label[T], rows ...row[T]) *table[T] {
	t := &table[T]{identity: identity, rows: rows}
	for i := range t.rows {
		r := &t.rows[i]
		r.desc = prometheus.NewDesc(r.name, t.fullHelp(r), t.labelNames(r), nil)
		for _, state := range r.states {
			r.bys = append(r.bys, pair(&r.by, state))
		}
		for _, v := range r.values {
			r.bys = append(r.bys, pair(&r.by, v.label))
		}
	}
	return t
}

// size is the usual number of samples of one thing.
func (t *table[T]) size() (n int) {
	for i := range t.rows {
		n += max(1, len(t.rows[i].bys))
	}
	return n
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
	team, window *dto.LabelPair
	// first says that the answer is the one for the team's first window.
	first bool
	// unit is the duration unit in seconds.
	unit float64
	// impersonal leaves personal labels empty.
	impersonal bool
}

// appendTo appends the samples of items, which are one thing: a single item, or
// the rows of an answer with the latest first.
func (t *table[T]) appendTo(samples []gauge, s *scope, items []T) []gauge {
	if len(items) == 0 {
		return samples
	}
	item := &items[0]
	own := make([]*dto.LabelPair, 0, 2+len(t.identity))
	for i := range t.identity {
		own = append(own, t.identity[i].pair(item, s))
	}
	current := sorted(own, s.team)
	windowed := sorted(own, s.team, s.window)
	for i := range t.rows {
		r := &t.rows[i]
		labels := windowed
		if !r.windowed {
			if !s.first {
				continue
			}
			labels = current
		}
		samples = r.appendTo(samples, s, items, labels)
	}
	return samples
}

func (r *row[T]) appendTo(samples []gauge, s *scope, items []T, labels []*dto.LabelPair) []gauge {
	if r.state != nil {
		return r.appendStates(samples, r.state(&items[0]).String(), labels)
	}
	if len(r.values) == 0 {
		extra := make([]*dto.LabelPair, len(r.labels))
		for i := range r.labels {
			extra[i] = r.labels[i].pair(&items[0], s)
		}
		return append(samples, gauge{r.desc, sorted(labels, extra...), 1})
	}
	for i, v := range r.values {
		x, present := r.combine.of(len(items), func(k int) number { return v.of(&items[k]) })
		if !present {
			continue
		}
		if r.duration {
			x *= s.unit
		}
		l := labels
		if r.by != "" {
			l = sorted(labels, r.bys[i])
		}
		samples = append(samples, gauge{r.desc, l, x})
	}
	return samples
}

func (r *row[T]) appendStates(samples []gauge, present string, labels []*dto.LabelPair) []gauge {
	if present == "" {
		present = r.states[len(r.states)-1]
	}
	known := false
	for i, state := range r.states {
		v := 0.0
		if state == present {
			v, known = 1, true
		}
		samples = append(samples, gauge{r.desc, sorted(labels, r.bys[i]), v})
	}
	if !known {
		samples = append(samples, gauge{r.desc, sorted(labels, pair(&r.by, present)), 1})
	}
	return samples
}

// gauge is a sample. Its labels are shared by all samples that have the same.
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

// pair returns the label of an item.
func (l *label[T]) pair(item *T, s *scope) *dto.LabelPair {
	if l.personal && s.impersonal {
		return pair(&l.name, "")
	}
	return pair(&l.name, l.of(item).String())
}

func pair(name *string, value string) *dto.LabelPair {
	return &dto.LabelPair{Name: name, Value: &value}
}

// sorted returns the labels by name, as they have to be in a sample.
func sorted(labels []*dto.LabelPair, more ...*dto.LabelPair) []*dto.LabelPair {
	all := make([]*dto.LabelPair, 0, len(labels)+len(more))
	all = append(append(all, labels...), more...)
	slices.SortFunc(all, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all
}
