package collector

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"chattonic_exporter/chattonic"
)

// plausible says which numbers of a row can be right. Timestamps always can.
type plausible int

const (
	// withinWindow values are times in a state, which the window bounds. Without this
	// or score, values are counts and durations, which are not negative.
	withinWindow plausible = iota + 1
	// score values have a scale that is not documented.
	score
)

// Problem is what is wrong with a value.
type Problem string

// The problems of values.
const (
	// ProblemNegative is a count or a duration below 0.
	ProblemNegative Problem = "is negative"
	// ProblemTooLong is more time in a state than the window has. Mostly the
	// duration unit is not the one that the API counts in.
	ProblemTooLong Problem = "is longer than the window"
	// ProblemNoDuration is resolved queries that took no time.
	ProblemNoDuration Problem = "is 0 though queries were resolved"
)

// Implausible is a field with values that cannot be right.
type Implausible struct {
	// Field is the field's name, as in chattonic.Contract.
	Field string
	// Problem is what is wrong.
	Problem Problem
	// Times is how many operators or rows have the problem.
	Times int
}

// FindImplausible returns what cannot be right in an answer of the endpoint if its
// durations count unit, by field and problem. Sums and means of durations may be longer than the
// window, as an operator has several queries at a time and some began before it.
func FindImplausible(e chattonic.Endpoint, a chattonic.Answer, unit time.Duration) (all []Implausible) {
	window := a.Meta().Window
	// The API may round up what it counts.
	limit := float64(window.End.Sub(window.Start))/float64(unit) + 1
	for _, g := range endpoints[e].groups(a, &scope{}) {
		all = append(all, g.implausible(limit)...)
	}
	slices.SortFunc(all, func(a, b Implausible) int {
		return cmp.Or(strings.Compare(a.Field, b.Field), strings.Compare(string(a.Problem), string(b.Problem)))
	})
	return all
}

// implausible counts the values that cannot be right. The limit is of times in a
// state, in the API's unit.
func (g *group[T]) implausible(limit float64) (all []Implausible) {
	for i := range g.table.rows {
		r := &g.table.rows[i]
		for _, of := range r.values {
			counts := make(map[Problem]int)
			for k := range g.items {
				n, ok := of.of(&g.items[k]).(*chattonic.Number)
				if !ok {
					break // a timestamp
				}
				v, present := n.Float64()
				if !present || v > 0 && r.plausible != withinWindow { // as most are
					continue
				}
				if p := r.problem(&g.items[k], v, limit); p != "" {
					counts[p]++
				}
			}
			for p, n := range counts {
				var item T
				all = append(all, Implausible{g.table.path + fieldName(&item, of.of(&item)), p, n})
			}
		}
	}
	return all
}

// problem returns what is wrong with a number of an item, or "".
func (r *row[T]) problem(item *T, v, limit float64) Problem {
	switch {
	case v < 0 && r.plausible != score:
		return ProblemNegative
	case v > limit && r.plausible == withinWindow:
		return ProblemTooLong
	case v == 0 && r.positiveWith != nil:
		if other, _ := r.positiveWith(item).Float64(); other > 0 {
			return ProblemNoDuration
		}
	}
	return ""
}
