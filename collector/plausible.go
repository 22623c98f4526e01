package collector

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"chattonic_exporter/chattonic"
)

// plausible is the rule for the plausible values of a row. Any timestamp is plausible.
type plausible int

const (
	// withinWindow values are durations of a state, which cannot be negative or longer
	// than the window. The zero value is for counts and other durations, which cannot
	// be negative.
	withinWindow plausible = iota + 1
	// score values may be any number, because their scale is not documented.
	score
)

// Problem describes why a value is implausible.
type Problem string

// The problems of implausible values.
const (
	// ProblemNegative is a count or a duration below 0.
	ProblemNegative Problem = "is negative"
	// ProblemTooLong is a duration of a state that is longer than the window. Usually
	// the configured duration unit is not the one of the API.
	ProblemTooLong Problem = "is longer than the window"
	// ProblemNoDuration is a total duration of 0 although queries were resolved.
	ProblemNoDuration Problem = "is 0 although queries were resolved"
)

// Implausible is a field with implausible values.
type Implausible struct {
	// Field is the field's name, as in chattonic.Contract.
	Field string
	// Problem is the reason.
	Problem Problem
	// Count is the number of operators or rows with the problem.
	Count int
}

// FindImplausible returns the implausible fields of an endpoint's answer, sorted by field
// and problem. unit is the unit of the answer's durations. Total and mean durations of
// queries may be longer than the window, because an operator handles several queries at
// once and queries may start before the window.
func FindImplausible(e chattonic.Endpoint, a chattonic.Answer, unit time.Duration) (all []Implausible) {
	window := a.Meta().Window
	// The API may round durations up.
	limit := float64(window.End.Sub(window.Start))/float64(unit) + 1
	for _, g := range endpoints[e].groups(a, &answerInfo{}) {
		all = append(all, g.implausible(limit)...)
	}
	slices.SortFunc(all, func(a, b Implausible) int {
		return cmp.Or(strings.Compare(a.Field, b.Field), strings.Compare(string(a.Problem), string(b.Problem)))
	})
	return all
}

// implausible returns the implausible fields of the group. The limit is the maximum
// duration of a state, in the API's unit.
func (g *group[T]) implausible(limit float64) (all []Implausible) {
	for i := range g.table.rows {
		r := &g.table.rows[i]
		for _, value := range r.values {
			counts := make(map[Problem]int)
			for k := range g.items {
				n, ok := value.get(&g.items[k]).(*chattonic.Number)
				if !ok {
					break // it is a timestamp
				}
				v, present := n.Float64()
				if !present || v > 0 && r.plausible != withinWindow { // the common case, without a call
					continue
				}
				if p := r.problem(&g.items[k], v, limit); p != "" {
					counts[p]++
				}
			}
			for p, n := range counts {
				var item T
				all = append(all, Implausible{g.table.path + fieldName(&item, value.get(&item)), p, n})
			}
		}
	}
	return all
}

// problem returns the problem of an item's value, or "" if it is plausible.
func (r *row[T]) problem(item *T, v, limit float64) Problem {
	switch {
	case v < 0 && r.plausible != score:
		return ProblemNegative
	case v > limit && r.plausible == withinWindow:
		return ProblemTooLong
	case v == 0 && r.positiveWith != nil:
		if n, _ := r.positiveWith(item).Float64(); n > 0 {
			return ProblemNoDuration
		}
	}
	return ""
}
