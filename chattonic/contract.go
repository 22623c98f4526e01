package chattonic

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Contract is how the fields of an answer depart from those of the documented
// one. Of an answer that does not depart it is the zero value.
//
// Fields are named as in errors, such as nps in a row of the dashboard and
// operators.nps, and each is named once, whatever number of operators or rows
// it is about. The lists are in alphabetical order.
type Contract struct {
	// Unknown are fields that are not documented, at most 20: an API that has
	// more of them is another one. Their names come from the API: one that is no
	// plain word of up to 40 letters and digits, or that has to do with what the
	// request carried, such as the access token, is "?".
	Unknown []string
	// Missing are documented fields that are absent somewhere. null is a value.
	// The status of an operator may be absent, as it is in the documented answer.
	Missing []string
}

const (
	// maxUnknown bounds how many unknown fields are named, and maxName how many
	// characters a name has.
	maxUnknown, maxName = 20, 40
	// hiddenName stands for names that are not shown.
	hiddenName = "?"
	// leastSecret is the number of bytes below which nothing is a secret.
	leastSecret = 8
)

// documented is what the documentation has of an object besides its fields.
type documented struct {
	// optional fields may be absent.
	optional []string
	// unused members have no field.
	unused []unused
}

// unused is a documented member that nothing is made of, and where it is an
// object, its members.
type unused struct {
	name    string
	members []unused
}

// reply is the body of an answer, and what the request carried, which may be
// secret.
type reply struct {
	body []byte
	sent http.Header
}

// shown returns the name of a member as it may be shown to people.
func (r *reply) shown(name []byte) string {
	plain := func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("_-$", c) }
	text := string(name)
	if text == "" || len(text) > maxName*utf8.UTFMax || utf8.RuneCountInString(text) > maxName || !utf8.ValidString(text) ||
		strings.ContainsFunc(text, func(c rune) bool { return !plain(c) }) || r.quotes(text) {
		return hiddenName
	}
	return text
}

// quotes says whether a name has to do with a secret of the request.
func (r *reply) quotes(name string) bool {
	for header, values := range r.sent {
		if header == "Accept" || header == "Content-Type" { // the documented ones, which are no secret
			continue
		}
		for word := range strings.FieldsSeq(strings.Join(values, " ")) {
			if len(word) >= leastSecret && strings.Contains(name, word) || len(name) >= leastSecret && strings.Contains(word, name) {
				return true
			}
		}
	}
	return false
}

// Problem is what is wrong with a value.
type Problem string

// The problems of values.
const (
	// ProblemNegative is a count or a duration below 0.
	ProblemNegative Problem = "is negative"
	// ProblemTooLong is more time in a state than the window has: mostly the
	// unit is not the one that the API counts in.
	ProblemTooLong Problem = "is longer than the window"
	// ProblemNoDuration is resolved queries that took no time.
	ProblemNoDuration Problem = "is 0 though queries were resolved"
)

// Implausible is a field with a problem that no value should have.
type Implausible struct {
	// Field is named as in a Contract.
	Field string
	// Problem is what is wrong.
	Problem Problem
	// Times is how many operators or rows have it.
	Times int
}

// findings are what is implausible in an answer.
type findings []Implausible

func (f *findings) add(field string, p Problem) {
	i := slices.IndexFunc(*f, func(known Implausible) bool { return known.Field == field && known.Problem == p })
	if i < 0 {
		i = len(*f)
		*f = append(*f, Implausible{Field: field, Problem: p})
	}
	(*f)[i].Times++
}

// notNegative looks at a number that cannot be below 0. An absent one is a NaN
// here, which is not below anything.
func (f *findings) notNegative(field string, n Number) {
	if math.Float64frombits(n.bits^absent) < 0 {
		f.add(field, ProblemNegative)
	}
}

// atMost looks at a number that cannot be above limit.
func (f *findings) atMost(field string, n Number, limit float64) {
	if math.Float64frombits(n.bits^absent) > limit {
		f.add(field, ProblemTooLong)
	}
}

// sorted returns the findings by field and problem.
func (f findings) sorted() []Implausible {
	slices.SortFunc(f, func(a, b Implausible) int {
		return cmp.Or(strings.Compare(a.Field, b.Field), strings.Compare(string(a.Problem), string(b.Problem)))
	})
	return f
}

// Implausible returns what cannot be in the answer if its durations count unit,
// by field and problem. Sums and means of durations may be longer than the
// window, as an operator has several queries at a time and some began before it.
func (o *Operators) Implausible(unit time.Duration) []Implausible {
	var f findings
	// The API may round up what it counts.
	window := float64(o.Window.End.Sub(o.Window.Start))/float64(unit) + 1
	f.notNegative("queryPending", o.QueryPending)
	for i := range o.Operators {
		op := &o.Operators[i]
		f.notNegative("operators.queryInProgress", op.QueryInProgress)
		f.notNegative("operators.onlineTime", op.OnlineTime)
		f.atMost("operators.onlineTime", op.OnlineTime, window)
		f.notNegative("operators.awayTime", op.AwayTime)
		f.atMost("operators.awayTime", op.AwayTime, window)
		f.notNegative("operators.freeTime", op.FreeTime)
		f.atMost("operators.freeTime", op.FreeTime, window)
		f.notNegative("operators.queriesAssigned", op.QueriesAssigned)
		f.notNegative("operators.queriesResolved", op.QueriesResolved)
		f.notNegative("operators.sumDuration", op.SumDuration)
		f.notNegative("operators.avgDurationResolved", op.AvgDurationResolved)
		f.notNegative("operators.numberOfResponsesNps", op.NumberOfResponsesNPS)
		if op.SumDuration == noTime {
			if resolved, _ := op.QueriesResolved.Float64(); resolved > 0 {
				f.add("operators.sumDuration", ProblemNoDuration)
			}
		}
	}
	return f.sorted()
}

var noTime = NumberOf(0)

// Implausible returns what cannot be in the answer, by field. Scores may be
// negative: their scale is not documented.
func (d *Dashboard) Implausible() []Implausible {
	var f findings
	for i := range d.Rows {
		row := &d.Rows[i]
		f.notNegative("totalUsers", row.TotalUsers)
		f.notNegative("totalMessagesReceived", row.TotalMessagesReceived)
		f.notNegative("totalMessagesSent", row.TotalMessagesSent)
		f.notNegative("newUsers", row.NewUsers)
		f.notNegative("activeUsers", row.ActiveUsers)
		f.notNegative("messagesReceived", row.MessagesReceived)
		f.notNegative("messagesSent", row.MessagesSent)
		f.notNegative("pending", row.Pending)
		f.notNegative("progress", row.Progress)
		f.notNegative("resolved", row.Resolved)
		f.notNegative("failed", row.Failed)
	}
	return f.sorted()
}
