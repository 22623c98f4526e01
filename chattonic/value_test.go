package chattonic_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
)

func TestNumber(t *testing.T) {
	t.Parallel()
	var absent chattonic.Number
	for text, want := range map[string]chattonic.Number{
		`null`:                   absent,
		`0`:                      chattonic.NumberOf(0),
		`-0`:                     chattonic.NumberOf(math.Copysign(0, -1)),
		`5`:                      chattonic.NumberOf(5),
		`-12.5`:                  chattonic.NumberOf(-12.5),
		`1e3`:                    chattonic.NumberOf(1000),
		`1E+3`:                   chattonic.NumberOf(1000),
		`9007199254740993`:       chattonic.NumberOf(9007199254740992), // what a float64 makes of it
		`123456789012345678901`:  chattonic.NumberOf(1.2345678901234568e20),
		`1.7976931348623157e308`: chattonic.NumberOf(math.MaxFloat64),
		`1e-999`:                 chattonic.NumberOf(0),
		`"5"`:                    chattonic.NumberOf(5),
		`"-12.5"`:                chattonic.NumberOf(-12.5),
		`"0"`:                    chattonic.NumberOf(0),
		`"1e3"`:                  chattonic.NumberOf(1000),
		`"007"`:                  chattonic.NumberOf(7),
	} {
		answer, err := operators(t, `{"operators": [{"_id": "a", "nps": `+text+`}]}`)
		require.NoError(t, err, text)
		got := answer.Operators[0].NPS
		assert.Equal(t, want, got, text)
		wantValue, wantPresent := want.Float64()
		value, present := got.Float64()
		assert.Equal(t, wantPresent, present, text)
		assert.Equal(t, math.Float64bits(wantValue), math.Float64bits(value), text)
	}
}

func TestNumberRefuses(t *testing.T) {
	t.Parallel()
	for text, kind := range map[string]string{
		`1e999`: "out-of-range number", `-1e999`: "out-of-range number",
		`"1e999"`: "string", `"NaN"`: "string", `"nan"`: "string", `"Inf"`: "string", `"-Infinity"`: "string",
		`"0x10"`: "string", `"0x1p4"`: "string", `"1_000"`: "string", `"1,5"`: "string", `"+5"`: "string",
		`""`: "string", `" "`: "string", `" 1"`: "string", `"1 "`: "string", `"-"`: "string", `"e"`: "string", `"."`: "string",
		`"1.2.3"`: "string", `"\u0031"`: "string", `"null"`: "string", `"true"`: "string", `"٣"`: "string",
		`true`: "bool", `false`: "bool", `{}`: "object", `{"value": 1}`: "object", `[]`: "array", `[1]`: "array",
	} {
		_, err := operators(t, `{"operators": [{"_id": "a"}, {"_id": "b", "nps": `+text+`}]}`)
		assert.Equal(t, answerError(chattonic.EndpointOperators, "operators.nps has the wrong type: "+kind), err, text)
	}
}

func TestNumberString(t *testing.T) {
	t.Parallel()
	assert.Empty(t, chattonic.Number{}.String())
	for want, value := range map[string]float64{"0": 0, "500": 500, "-12.5": -12.5, "0.1": 0.1, "123456789012345680000": 123456789012345678901} {
		assert.Equal(t, want, chattonic.NumberOf(value).String())
	}
}

func TestTimestamp(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		`"2021-11-01T03:00:00.000Z"`:       1635735600,
		`"2021-11-01T03:00:00Z"`:           1635735600,
		`"2021-11-01T00:00:00-03:00"`:      1635735600,
		`"2021-11-01T03:00:00.250Z"`:       1635735600.25,
		`"2021-11-01T03:00:00.250999999Z"`: 1635735600.25,
		`1635735600250`:                    1635735600.25,
		`1.63573560025e12`:                 1635735600.25,
		`"1635735600250"`:                  1635735600.25,
		`0`:                                0,
		`-1500`:                            -1.5,
	} {
		answer, err := operators(t, `{"operators": [{"_id": "a", "lastConnection": `+text+`}]}`)
		require.NoError(t, err, text)
		seconds, present := answer.Operators[0].LastConnection.Float64()
		assert.True(t, present, text)
		assert.Equal(t, want, seconds, text)
	}
}

func TestTimestampRefuses(t *testing.T) {
	t.Parallel()
	for text, kind := range map[string]string{
		`""`: "string", `"yesterday"`: "string", `"2021-11-01"`: "string", `"2021-11-01 03:00:00"`: "string",
		`"2021-13-01T03:00:00Z"`: "string", `"2021-11-01T03:00:00"`: "string", `"Mon, 01 Nov 2021 03:00:00 GMT"`: "string",
		`1e999`: "out-of-range number", `true`: "bool", `{"$date": 1635735600250}`: "object", `[]`: "array",
	} {
		_, err := operators(t, `{"operators": [{"_id": "a", "lastConnection": `+text+`}]}`)
		assert.Equal(t, answerError(chattonic.EndpointOperators, "operators.lastConnection has the wrong type: "+kind), err, text)
	}
}

func TestTimestampOf(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", -3*60*60)
	seconds, present := chattonic.TimestampOf(time.Date(2021, 11, 1, 0, 0, 0, 250_999_999, zone)).Float64()
	assert.True(t, present)
	assert.Equal(t, 1635735600.25, seconds)
}

func TestAnswersAsJSON(t *testing.T) {
	o := chattonic.Operator{ID: "a", DisplayName: "Ana", NPS: chattonic.NumberOf(-33.5), LastConnection: chattonic.TimestampOf(time.Date(2021, 12, 1, 11, 30, 0, 5e6, time.UTC))}
	text, err := json.Marshal(chattonic.Operators{Operators: []chattonic.Operator{o}, QueryPending: chattonic.NumberOf(1e21)})
	require.NoError(t, err)
	for _, want := range []string{`"_id":"a"`, `"displayName":"Ana"`, `"nps":-33.5`, `"queriesResolved":null`, `"lastConnection":"2021-12-01T11:30:00.005Z"`, `"queryPending":1e+21`} {
		assert.Contains(t, string(text), want)
	}
	text, err = json.Marshal(chattonic.Operator{})
	require.NoError(t, err)
	assert.Contains(t, string(text), `"lastConnection":null`)
	_, present := chattonic.Timestamp{}.Time()
	assert.False(t, present)
}

func TestWindowThatEndsBeforeItBegins(t *testing.T) {
	client, err := chattonic.New("http://127.0.0.1:1", "acme", nil, chattonic.WithToken("secret"))
	require.NoError(t, err, "an option may be nil")
	now := time.Now()
	for name, request := range map[string]func(w chattonic.Window) error{
		"operators": func(w chattonic.Window) error { _, err := client.Operators(t.Context(), w); return err },
		"export":    func(w chattonic.Window) error { return client.ExportNPS(t.Context(), w, chattonic.UserTypes()[0]) },
	} {
		require.ErrorContains(t, request(chattonic.Window{Start: now, End: now.Add(-time.Millisecond)}), "the window ends before it begins", name)
	}
}
