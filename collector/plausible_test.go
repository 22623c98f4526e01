package collector

import (
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"chattonic_exporter/chattonic"
)

func TestOperatorsImplausible(t *testing.T) {
	t.Parallel()
	n := chattonic.NumberOf
	day := chattonic.Window{Start: time.Date(2021, 11, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2021, 11, 2, 0, 0, 0, 0, time.UTC)}
	for name, test := range map[string]struct {
		operators []chattonic.Operator
		pending   chattonic.Number
		unit      time.Duration
		want      []Implausible
	}{
		"nothing":            {[]chattonic.Operator{{}}, chattonic.Number{}, time.Second, nil},
		"zeros":              {[]chattonic.Operator{{OnlineTime: n(0), SumDuration: n(0), QueriesResolved: n(0)}}, n(0), time.Second, nil},
		"the whole window":   {[]chattonic.Operator{{OnlineTime: n(86400), AwayTime: n(86400), FreeTime: n(86401)}}, n(0), time.Second, nil},
		"in milliseconds":    {[]chattonic.Operator{{OnlineTime: n(86400e3)}}, n(0), time.Millisecond, nil},
		"in minutes":         {[]chattonic.Operator{{OnlineTime: n(1441)}}, n(0), time.Minute, nil},
		"scores below 0":     {[]chattonic.Operator{{NPS: n(-100), Profile: n(-1)}}, n(0), time.Second, nil},
		"sums are longer":    {[]chattonic.Operator{{SumDuration: n(1e9), AvgDurationResolved: n(1e9)}}, n(1e9), time.Second, nil},
		"resolved, no times": {[]chattonic.Operator{{QueriesResolved: n(5)}}, n(0), time.Second, nil},
		"beyond the window": {
			[]chattonic.Operator{{OnlineTime: n(86402), AwayTime: n(86402), FreeTime: n(86402)}, {OnlineTime: n(1)}, {OnlineTime: n(1e9)}},
			n(0), time.Second,
			[]Implausible{{"operators.awayTime", ProblemTooLong, 1}, {"operators.freeTime", ProblemTooLong, 1}, {"operators.onlineTime", ProblemTooLong, 2}},
		},
		"another unit": {[]chattonic.Operator{{OnlineTime: n(1442)}}, n(0), time.Minute, []Implausible{{"operators.onlineTime", ProblemTooLong, 1}}},
		"resolved in no time": {
			[]chattonic.Operator{{QueriesResolved: n(5), SumDuration: n(0)}, {QueriesResolved: n(5), SumDuration: n(1)}},
			n(0), time.Second,
			[]Implausible{{"operators.sumDuration", ProblemNoDuration, 1}},
		},
		"several problems of a field": {
			[]chattonic.Operator{{SumDuration: n(-1)}, {QueriesResolved: n(5), SumDuration: n(0)}},
			n(0), time.Second,
			[]Implausible{{"operators.sumDuration", ProblemNoDuration, 1}, {"operators.sumDuration", ProblemNegative, 1}},
		},
	} {
		answer := &chattonic.Operators{Metadata: chattonic.Metadata{Window: day}, Operators: test.operators, QueryPending: test.pending}
		for i := range answer.Operators {
			answer.Operators[i].ID = chattonic.Text(strconv.Itoa(i))
		}
		assert.Equal(t, test.want, FindImplausible(chattonic.EndpointOperators, answer, test.unit), name)
	}
}

// TestNegative has each number of an answer be negative in turn.
func TestNegative(t *testing.T) {
	t.Parallel()
	scores := []string{
		"operators.profile", "operators.nps",
		"userEfficiency", "attention", "resolution", "attentionAndResolution", "nps", "csat",
	}
	operator, row := new(chattonic.Operator), new(chattonic.DashboardRow)
	pending := new(chattonic.Operators)
	checked := 0
	for _, test := range []struct {
		endpoint chattonic.Endpoint
		path     string
		item     any // whose fields are negative in turn
		answer   func() chattonic.Answer
	}{
		{chattonic.EndpointOperators, "operators.", operator, func() chattonic.Answer { return &chattonic.Operators{Operators: []chattonic.Operator{*operator}} }},
		{chattonic.EndpointOperators, "", pending, func() chattonic.Answer { return pending }},
		{chattonic.EndpointDashboard, "", row, func() chattonic.Answer { return &chattonic.Dashboard{Rows: []chattonic.DashboardRow{*row}} }},
	} {
		fields := reflect.ValueOf(test.item).Elem()
		for i := range fields.NumField() {
			if !fields.Type().Field(i).IsExported() {
				continue
			}
			number, ok := fields.Field(i).Addr().Interface().(*chattonic.Number)
			if !ok {
				continue
			}
			field := test.path + fields.Type().Field(i).Tag.Get("json")
			var want []Implausible
			if !slices.Contains(scores, field) {
				want = []Implausible{{field, ProblemNegative, 1}}
			}
			*number = chattonic.NumberOf(-0.5)
			assert.Equal(t, want, FindImplausible(test.endpoint, test.answer(), time.Second), field)
			*number = chattonic.Number{}
			checked++
		}
	}
	assert.Equal(t, 11+1+17, checked)
}
