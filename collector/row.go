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

// row defines one metric. Its descriptor, HELP text, documentation, samples and the check
// for implausible values are derived from it. T is the type of the items that the
// samples come from, such as an operator.
type row[T any] struct {
	name string
	// help describes the metric, and source says where it comes from. Without a source
	// it comes from the API fields that the accessors return. HELP consists of both.
	help, source string
	// windowed metrics have the label window. The others come from the answer for the
	// team's first window.
	windowed bool
	// current metrics describe the time of the scrape and not the window, so that the
	// API has no past values of them.
	current bool
	// duration values are converted from the team's duration unit to seconds.
	duration bool
	// values are the accessors of the metric's samples. If there are several, byLabel
	// is the label that distinguishes them.
	values  []value[T]
	byLabel string
	// labels are additional labels of the metric. A row without values has one sample
	// with the value 1.
	labels []label[T]
	// state makes the metric a state set with the label byLabel: 1 for the current
	// state and 0 for the other states. The last of states replaces an empty state.
	state  func(*T) fmt.Stringer
	states []string
	// oneOf makes the metric 1 if the state is one of these states, compared without
	// letter case, and 0 if not. There is no sample for an empty state.
	oneOf func(*answerInfo) []string
	// combine defines how the values of several rows of an answer become one sample.
	combine combine
	// plausible is the rule for plausible values.
	plausible plausible
	// positiveWith returns a number of the item. If that is positive, a value of 0 is
	// implausible. It may be nil.
	positiveWith func(*T) number

	// The fields below are set by newTable.

	desc     *prometheus.Desc
	helpText string // for HELP
	// sortedLabels are the labels of the table and of the row, sorted by name. They are
	// empty if the row has no labels.
	sortedLabels []label[T]
}

// value is the accessor of a number in a T, and the value of the label byLabel.
type value[T any] struct {
	get     func(*T) number
	byValue string
}

// number is a value that may be absent.
type number interface {
	Float64() (v float64, present bool)
}

// integer is a number that is always present.
type integer int

// Float64 returns the number.
func (i integer) Float64() (v float64, present bool) { return float64(i), true }

// label is a label whose value is a field.
type label[T any] struct {
	name string
	get  func(*T) fmt.Stringer
	// personal labels identify a person. They are empty if the team hides the names of
	// its operators.
	personal bool
}

// combine defines how the values of several rows of an answer become one sample. The zero
// value means that they cannot be combined: there is no sample.
type combine int

const (
	// sum adds the values.
	sum combine = iota + 1
	// latest takes the value of the first row, which is the latest.
	latest
)

// single returns the values of a row with one sample for each item.
func single[T any](get func(*T) number) []value[T] { return []value[T]{{get: get}} }

// table defines the metrics of one type of item.
type table[T any] struct {
	itemLabels []label[T] // labels of all rows, besides team and window
	rows       []row[T]
	path       string // prefix of the items' field names, such as "operators."
}

// newTable returns a table and sets the derived fields of its rows.
func newTable[T any](path string, itemLabels []label[T], rows ...row[T]) *table[T] {
	t := &table[T]{itemLabels: itemLabels, rows: rows, path: path}
	for i := range t.rows {
		r := &t.rows[i]
		r.helpText = t.helpText(r)
		r.desc = prometheus.NewDesc(r.name, r.helpText, t.labelNames(r), nil)
		if len(r.labels) > 0 {
			r.sortedLabels = slices.SortedFunc(slices.Values(slices.Concat(itemLabels, r.labels)), func(a, b label[T]) int { return cmp.Compare(a.name, b.name) })
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
	for _, l := range slices.Concat(t.itemLabels, r.labels) {
		names = append(names, l.name)
	}
	if r.byLabel != "" {
		names = append(names, r.byLabel)
	}
	if r.windowed {
		names = append(names, "window")
	}
	return names
}

// helpText returns the HELP text of a row: its description and its source.
func (t *table[T]) helpText(r *row[T]) string {
	source := r.source
	if source == "" {
		source = "API field: " + strings.Join(t.fields(r), ", ")
	}
	return r.help + " " + source + "."
}

// fields returns the names of the API fields that a row reads.
func (t *table[T]) fields(r *row[T]) (names []string) {
	var item T
	if len(r.labels) > 0 {
		for _, l := range slices.Concat(t.itemLabels, r.labels) {
			names = append(names, fieldName(&item, l.get(&item)))
		}
	}
	for _, v := range r.values {
		names = append(names, fieldName(&item, v.get(&item)))
	}
	if r.state != nil {
		names = append(names, fieldName(&item, r.state(&item)))
	}
	return names
}

// fieldName returns the JSON name of the field of item that the pointer points to. It
// panics if there is none: then an accessor in a table is wrong.
func fieldName[T any](item *T, pointer any) string {
	target, fields := reflect.ValueOf(pointer), reflect.ValueOf(item).Elem()
	for i := range fields.NumField() {
		if f := fields.Field(i); target.Kind() == reflect.Pointer && f.CanAddr() && f.Addr().Pointer() == target.Pointer() && f.Type() == target.Type().Elem() {
			name, _, _ := strings.Cut(fields.Type().Field(i).Tag.Get("json"), ",")
			return name
		}
	}
	panic(fmt.Sprintf("collector: an accessor of %T does not return one of its fields: set the row's source", *item))
}

// answerInfo holds what the samples of one answer have in common.
type answerInfo struct {
	// team and window are label values.
	team, window string
	// firstWindow means that the answer is for the team's first window.
	firstWindow bool
	// unitSeconds is the team's duration unit in seconds.
	unitSeconds float64
	// hideNames leaves personal labels empty.
	hideNames bool
	// atWork are the states of an operator who is at work.
	atWork []string
}

// value returns the value of the label for an item.
func (l *label[T]) value(item *T, info *answerInfo) string {
	if l.personal && info.hideNames {
		return ""
	}
	return l.get(item).String()
}

// group holds the items of one answer for one table.
type group[T any] struct {
	table *table[T]
	info  *answerInfo
	items []T
	// combined items are combined into one sample for each value, see row.combine.
	// They are sorted, the latest first.
	combined bool
}

// sample is a value with the sources of its labels.
type sample[T any] struct {
	item    *T
	index   int    // of the item in the group
	byValue string // value of the label byLabel
	value   float64
}

// samples iterates over the samples of a row in the group, in the order of the answer.
func (g *group[T]) samples(r *row[T]) iter.Seq[sample[T]] {
	return func(yield func(sample[T]) bool) {
		if !r.windowed && !g.info.firstWindow {
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
			case r.oneOf != nil:
				state := r.state(s.item).String()
				if state == "" {
					continue
				}
				if !IsAtWork(r.oneOf(g.info), state) {
					s.value = 0
				}
				if !yield(s) {
					return
				}
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
					v, present := r.number(g.info, items, k)
					if !present {
						continue
					}
					if s.byValue, s.value = r.values[k].byValue, v; !yield(s) {
						return
					}
				}
			}
		}
	}
}

// yieldStates yields the samples of a state set.
func (r *row[T]) yieldStates(s sample[T], yield func(sample[T]) bool) bool {
	current, known := cmp.Or(r.state(s.item).String(), r.states[len(r.states)-1]), false
	for _, state := range r.states {
		s.byValue, s.value = state, 0
		if state == current {
			s.value, known = 1, true
		}
		if !yield(s) {
			return false
		}
	}
	s.byValue, s.value = current, 1
	return known || yield(s)
}

// number returns the k-th value of the row, combined from all items.
func (r *row[T]) number(info *answerInfo, items []T, k int) (v float64, present bool) {
	get := r.values[k].get
	switch {
	case len(items) == 1 || r.combine == latest:
		v, present = get(&items[0]).Float64()
	case r.combine == sum:
		for i := range items {
			if n, ok := get(&items[i]).Float64(); ok {
				v, present = v+n, true
			}
		}
	}
	if r.duration {
		v *= info.unitSeconds
	}
	return v, present
}

// labelValues returns the values of a sample's labels in the order of labelNames.
func (g *group[T]) labelValues(r *row[T], s sample[T]) []string {
	values := []string{g.info.team}
	for _, l := range slices.Concat(g.table.itemLabels, r.labels) {
		values = append(values, l.value(s.item, g.info))
	}
	if r.byLabel != "" {
		values = append(values, s.byValue)
	}
	if r.windowed {
		values = append(values, g.info.window)
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
