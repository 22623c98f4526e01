package chattonic_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
)

// documentedOperators is the documented answer.
const documentedOperators = `{
	"status": true,
	"operators": [
		{
			"name": {"givenName": "Chamo", "familyName": "Sac2"}, "origins": ["5ed94dd1fdda89cee4cb61"], "profile": 500,
			"_id": "5ed96d95aef725fdfb", "displayName": "Chamo Sac2",
			"onlineTime": 0, "awayTime": 0, "freeTime": 0, "queriesResolved": 0, "avgDurationResolved": 0, "queriesAssigned": 0,
			"sumDuration": 0, "nps": 0, "lastConnection": null, "numberOfResponsesNps": 0, "queryInProgress": 0,
			"originsName": "Tengo otro tipo de consultas"
		},
		{
			"name": {"givenName": "Chamo", "familyName": "Operator"}, "origins": [], "profile": 500,
			"_id": "5f286ede4dbdcf209af", "displayName": "Chamo Operator", "status": "online",
			"onlineTime": 480, "awayTime": 0, "freeTime": 0, "queriesResolved": 0, "avgDurationResolved": 0, "queriesAssigned": 0,
			"sumDuration": 0, "nps": 0, "lastConnection": null, "numberOfResponsesNps": 0, "queryInProgress": 0,
			"originsName": "all"
		}
	],
	"queryPending": 0
}`

// operators is what a client makes of the body. It is the same without white
// space, as real answers are, and whether or not its length is known.
func operators(t testing.TB, body string) (*chattonic.Operators, error) {
	t.Helper()
	return inAllForms(t, body, func(via transport) (*chattonic.Operators, error) {
		return newClient(t, baseURL, via, atEnd).Operators(t.Context(), november)
	})
}

// atEnd has answers received at the end of their window.
var atEnd = chattonic.WithClock(func() time.Time { return november.End })

// inAllForms returns what read makes of the body, and asserts that it makes the
// same of the body when its length is known, and without white space, if the body
// is JSON.
func inAllForms[T any](t testing.TB, body string, read func(via transport) (T, error)) (T, error) {
	t.Helper()
	got, err := read(constant(200, body))
	assertSame := func(form, body string, via transport) {
		again, errAgain := read(via)
		assert.Equal(t, got, again, "%s: %.200s", form, body)
		assert.Equal(t, refusal(err), refusal(errAgain), "%s: %.200s", form, body)
	}
	assertSame("of a known length", body, sized(body))
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(body)) == nil {
		assertSame("without white space", compact.String(), constant(200, compact.String()))
		assertSame("without white space, of a known length", compact.String(), sized(compact.String()))
	}
	return got, err
}

// offset is where an answer is no JSON, which only the library knows.
var offset = regexp.MustCompile(`after \d+ bytes`)

// refusal returns err with N in place of an offset.
func refusal(err error) error {
	var failure chattonic.Error
	if errors.As(err, &failure) {
		failure.Detail = offset.ReplaceAllString(failure.Detail, "after N bytes")
		return failure
	}
	return err
}

func answerError(e chattonic.Endpoint, detail string) error {
	return chattonic.Error{Endpoint: e, StatusCode: 200, Cause: chattonic.CauseAnswer, Detail: detail}
}

func TestOperatorsDocumentedAnswer(t *testing.T) {
	t.Parallel()
	receivedAt := time.Date(2021, 12, 1, 3, 0, 0, 0, time.UTC)
	client := newClient(t, baseURL, constant(200, documentedOperators), chattonic.WithClock(func() time.Time { return receivedAt }))
	got, err := client.Operators(t.Context(), november)
	require.NoError(t, err)
	zero, status := chattonic.NumberOf(0), true
	first := chattonic.Operator{
		ID: "5ed96d95aef725fdfb", DisplayName: "Chamo Sac2", Profile: chattonic.NumberOf(500), OriginsName: "Tengo otro tipo de consultas",
		QueryInProgress: zero, OnlineTime: zero, AwayTime: zero, FreeTime: zero, QueriesAssigned: zero, QueriesResolved: zero,
		SumDuration: zero, AvgDurationResolved: zero, NPS: zero, NumberOfResponsesNPS: zero,
		Name: chattonic.OperatorName{GivenName: "Chamo", FamilyName: "Sac2"}, Origins: []chattonic.Text{"5ed94dd1fdda89cee4cb61"},
	}
	second := first
	second.Name.FamilyName, second.Origins = "Operator", []chattonic.Text{}
	second.ID, second.DisplayName, second.OriginsName = "5f286ede4dbdcf209af", "Chamo Operator", "all"
	second.Status, second.OnlineTime = "online", chattonic.NumberOf(480)
	assert.Equal(t, &chattonic.Operators{
		Metadata: chattonic.Metadata{Window: november, ReceivedAt: receivedAt}, Status: &status,
		Operators: []chattonic.Operator{first, second}, QueryPending: zero,
	}, got)
}

// TestNamesAndOrigins has names and origins as others than the API may write them. Nothing else
// depends on them, so they never fail an answer.
func TestNamesAndOrigins(t *testing.T) {
	t.Parallel()
	for members, want := range map[string]chattonic.Operator{
		`"name": "Ana", "origins": "a"`:                           {},
		`"name": null, "origins": null`:                           {},
		`"name": [1], "origins": {"a": 1}`:                        {},
		`"name": {"givenName": "Ana"}, "origins": ["a", 1, "b"]`:  {Name: chattonic.OperatorName{GivenName: "Ana"}, Origins: []chattonic.Text{"a", "b"}},
		`"origins": [["a"], "` + strings.Repeat("x", 5000) + `"]`: {Origins: []chattonic.Text{}},
		`"origins": ` + list(`"a"`, 1000):                         {Origins: slices.Repeat([]chattonic.Text{"a"}, 100)},
	} {
		want.ID = "i"
		got, err := operators(t, `{"operators": [{"_id": "i", `+members+`}, {"_id": "j"}]}`)
		require.NoError(t, err, members)
		assert.Equal(t, []chattonic.Operator{want, {ID: "j"}}, got.Operators, members)
	}
}

func TestOperatorsFields(t *testing.T) {
	t.Parallel()
	got, err := operators(t, `{"operators": [{
		"_id": "a", "displayName": "b", "profile": 1, "originsName": "c", "status": "away", "lastConnection": 2000, "queryInProgress": 3,
		"onlineTime": 4, "awayTime": 5, "freeTime": 6, "queriesAssigned": 7, "queriesResolved": 8, "sumDuration": 9,
		"avgDurationResolved": 10, "nps": 11, "numberOfResponsesNps": 12
	}], "queryPending": 13}`)
	require.NoError(t, err)
	n := chattonic.NumberOf
	assert.Equal(t, []chattonic.Operator{{
		ID: "a", DisplayName: "b", Profile: n(1), OriginsName: "c", Status: "away", LastConnection: chattonic.TimestampOf(time.Unix(2, 0)), QueryInProgress: n(3),
		OnlineTime: n(4), AwayTime: n(5), FreeTime: n(6), QueriesAssigned: n(7), QueriesResolved: n(8), SumDuration: n(9),
		AvgDurationResolved: n(10), NPS: n(11), NumberOfResponsesNPS: n(12),
	}}, got.Operators)
	assert.Equal(t, n(13), got.QueryPending)
	assert.Nil(t, got.Status)
}

func TestOperatorsAnswers(t *testing.T) {
	t.Parallel()
	five := chattonic.NumberOf(5)
	for name, test := range map[string]struct {
		body string
		want []chattonic.Operator
	}{
		"none":               {`{"operators": []}`, []chattonic.Operator{}},
		"null fields":        {`{"status": null, "operators": [{"_id": "a", "status": null, "nps": null, "lastConnection": null}]}`, []chattonic.Operator{{ID: "a"}}},
		"unknown fields":     {`{"x": [{}], "operators": [{"_id": "a", "y": {"nps": "z"}, "-": 1, "": 2}], "-": {}, "": 3}`, []chattonic.Operator{{ID: "a"}}},
		"twice":              {`{"operators": [{"_id": "a"}, {"_id": "a", "nps": 5}]}`, []chattonic.Operator{{ID: "a"}, {ID: "a", NPS: five}}},
		"unknown twice":      {`{"x": 1, "x": 2, "operators": [{"_id": "a", "y": 1, "y": 2}]}`, []chattonic.Operator{{ID: "a"}}},
		"nothing survives":   {`{"operators": [{"_id": "a", "nps": 5}, {"_id": "b"}]}`, []chattonic.Operator{{ID: "a", NPS: five}, {ID: "b"}}},
		"longest text":       {`{"operators": [{"_id": "a", "displayName": "` + strings.Repeat("é", 2048) + `"}]}`, []chattonic.Operator{{ID: "a", DisplayName: chattonic.Text(strings.Repeat("é", 2048))}}},
		"deep":               {`{"x": ` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `, "operators": [{"_id": "a"}]}`, []chattonic.Operator{{ID: "a"}}},
		"exact names":        {`{"operators": [{"_id": "a", "nps": 5, "NPS": 6, "Nps": "x"}], "OPERATORS": [], "STATUS": false}`, []chattonic.Operator{{ID: "a", NPS: five}}},
		"long s and kelvin":  {`{"operators": [{"_id": "a", "np` + "\u017f" + `": 6}], "operator` + "\u017f" + `": []}`, []chattonic.Operator{{ID: "a"}}},
		"escaped names":      {`{"operators": [{"_id": "a", "\u006eps": 5}]}`, []chattonic.Operator{{ID: "a", NPS: five}}},
		"invalid UTF-8":      {"{\"operators\": [{\"_id\": \"a\", \"displayName\": \"J\xf3se\"}]}", []chattonic.Operator{{ID: "a", DisplayName: "J\ufffdse"}}},
		"lone surrogate":     {`{"operators": [{"_id": "a", "displayName": "\ud800"}]}`, []chattonic.Operator{{ID: "a", DisplayName: "\ufffd"}}},
		"white space around": {" \n{\"operators\": [{\"_id\": \"a\"}]}\r\n\t", []chattonic.Operator{{ID: "a"}}},
	} {
		got, err := operators(t, test.body)
		if assert.NoError(t, err, name) {
			assert.Equal(t, test.want, got.Operators, name)
		}
	}
}

func TestOperatorsRefuses(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                                     "the answer is not valid JSON after N bytes",
		`<!DOCTYPE html><title>Log in</title>`: htmlPage,
		`{"operators": [`:                      "the answer is not valid JSON after N bytes",
		`{"operators": []} x`:                  "the answer is not valid JSON after N bytes",
		`{"operators": []}{"operators": []}`:   "the answer is not valid JSON after N bytes",
		`{"operators": [{"_id": "a", "nps": NaN}]}`: "the answer is not valid JSON after N bytes",
		`null`:                  "the answer has the wrong type: null",
		`[]`:                    "the answer has the wrong type: array",
		`"operators"`:           "the answer has the wrong type: string",
		`7`:                     "the answer has the wrong type: number",
		`{}`:                    "operators is missing",
		`{"Operators": []}`:     "operators is missing",
		`{"operators": null}`:   "operators is missing",
		`{"operators": {}}`:     "operators has the wrong type: object",
		`{"operators": 5}`:      "operators has the wrong type: number",
		`{"operators": [null]}`: "operators has the wrong type: null",
		`{"operators": ["a"]}`:  "operators has the wrong type: string",
		`{"operators": [[]]}`:   "operators has the wrong type: array",
		`{"operators": [{}]}`:   "operators._id is missing",
		`{"operators": [{"_id": "a"}, {"_id": ""}]}`:                           "operators._id is missing",
		`{"operators": [{"_id": 7}]}`:                                          "operators._id has the wrong type: number",
		`{"operators": [{"_id": "a", "status": true}]}`:                        "operators.status has the wrong type: bool",
		`{"operators": [{"_id": "a", "status": ["on"]}]}`:                      "operators.status has the wrong type: array",
		`{"operators": [], "queryPending": "many"}`:                            "queryPending has the wrong type: string",
		`{"operators": [], "status": "false"}`:                                 "status has the wrong type: string",
		`{"operators": [], "status": 0}`:                                       "status has the wrong type: number",
		`{"operators": [{"_id": "a", "_id": "a"}]}`:                            "operators._id is a duplicate field",
		`{"operators": [{"_id": "a", "nps": null, "nps": 5}]}`:                 "operators.nps is a duplicate field",
		`{"operators": [{"_id": "a", "nps": 5}], "operators": [{"_id": "b"}]}`: "operators is a duplicate field",
		`{"operators": [{"_id": "` + strings.Repeat("a", 4097) + `"}]}`:        "operators._id is longer than 4096 bytes",
		`{"operators": [], "x": ` + strings.Repeat(`{"x":`, 1_000_000):         "the answer is not valid JSON after N bytes",
		`{"operators": [{"_id": "a", "nps": 01}]}`:                             "the answer is not valid JSON after N bytes",
		`{"operators": [{"_id": "a", "nps": 1.}]}`:                             "the answer is not valid JSON after N bytes",
		`{"operators": [{"_id": "a", "nps": 1e}]}`:                             "the answer is not valid JSON after N bytes",
		`{"operators": [{"_id": "a", "nps": -}]}`:                              "the answer is not valid JSON after N bytes",
		`{"operators": [{"_id": "a", "nps": tru}]}`:                            "the answer is not valid JSON after N bytes",
		`{"operators": [], "status": tru}`:                                     "the answer is not valid JSON after N bytes",
		`{"operators": [], "x": nul}`:                                          "the answer is not valid JSON after N bytes",
		`{"operators": [{"_id": "\x"}]}`:                                       "the answer is not valid JSON after N bytes",
		`{"operators": [{"_id": "\u00g0"}]}`:                                   "the answer is not valid JSON after N bytes",
		"{\"operators\": [{\"_id\": \"a\nb\"}]}":                               "the answer is not valid JSON after N bytes",
		`{"operators": [{"_id": "a"} {"_id": "b"}]}`:                           "the answer is not valid JSON after N bytes",
		`{"operators": [{"_id": "a",}]}`:                                       "the answer is not valid JSON after N bytes",
		`{"operators": [,]}`:                                                   "the answer is not valid JSON after N bytes",
		`{"operators" []}`:                                                     "the answer is not valid JSON after N bytes",
		`{operators: []}`:                                                      "the answer is not valid JSON after N bytes",
		`{"operators": [], "status": false}`:                                   `Chat-Tonic refused: "status" is false`,
		`{"operators": null, "status": false}`:                                 `Chat-Tonic refused: "status" is false`,
		`{"message": "no", "status": false}`:                                   `Chat-Tonic refused: "status" is false`,
	} {
		got, err := operators(t, body)
		assert.Equal(t, answerError(chattonic.EndpointOperators, want), refusal(err), body)
		assert.Nil(t, got, body)
	}
}

// reference is what encoding/json alone makes of an object.
func reference(t *testing.T, body []byte, into any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(into), "what the client takes is JSON")
}

// assertMembers holds the fields of the struct got to the members of want.
func assertMembers(t *testing.T, want map[string]any, got any) {
	t.Helper()
	fields := reflect.ValueOf(got)
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Tag.Get("json")
		if name == "" { // its value is not read
			continue
		}
		var number string
		switch value := want[name].(type) {
		case json.Number:
			number = value.String()
		case string:
			number = value
		}
		switch field := fields.Field(i).Interface().(type) {
		case chattonic.Text:
			text, _ := want[name].(string)
			assert.Equal(t, text, field.String(), name)
		case chattonic.Number:
			value, present := field.Float64()
			assert.Equal(t, want[name] != nil, present, name)
			if present {
				parsed, err := strconv.ParseFloat(number, 64)
				require.NoError(t, err, name)
				assert.Equal(t, parsed, value, name)
			}
		case chattonic.Timestamp:
			seconds, present := field.Float64()
			assert.Equal(t, want[name] != nil, present, name)
			if at, err := time.Parse(time.RFC3339, number); err == nil {
				assert.InDelta(t, float64(at.UnixMilli())/1e3, seconds, 0, name)
			} else if present {
				parsed, err := strconv.ParseFloat(number, 64)
				require.NoError(t, err, name)
				assert.Equal(t, parsed/1e3, seconds, name)
			}
		}
	}
}

func FuzzOperators(f *testing.F) {
	for _, seed := range []string{
		documentedOperators, noOperators, `{"operators": null}`, `{"status": false}`, `[]`, `null`, ``, `{`,
		`{"operators": [{"_id": "a", "nps": 5}], "operators": [{"_id": "b"}]}`,
		`{"operators": [{"_id": "a", "nps": "5", "NPS": 6, "profile": 1e999}], "queryPending": "7"}`,
		`{"operators": [{"_id": "a", "lastConnection": "2021-11-01T03:00:00.000Z"}, {"_id": "b", "lastConnection": 1635735600000}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := operators(t, string(body))
		if err != nil {
			assert.Equal(t, chattonic.CauseAnswer, asError(t, err).Cause)
			return
		}
		var want map[string]any
		reference(t, body, &want)
		assert.NotEqual(t, false, want["status"])
		assertMembers(t, map[string]any{"queryPending": want["queryPending"]}, struct {
			QueryPending chattonic.Number `json:"queryPending"`
		}{got.QueryPending})
		list := want["operators"].([]any)
		require.Len(t, got.Operators, len(list))
		for i, operator := range got.Operators {
			assert.NotEmpty(t, operator.ID)
			assertMembers(t, list[i].(map[string]any), operator)
		}
	})
}

func TestOperatorsErrorsQuoteNothing(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"operators": [{"_id": "a", "nps": "Chamo"}]}`, `{"operators": [{"_id": "a", "Chamo": Chamo}]}`, `{"operators": "Chamo"}`, `Chamo`} {
		_, err := operators(t, body)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "Chamo")
	}
}
