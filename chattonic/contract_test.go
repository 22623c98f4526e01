package chattonic_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
)

func TestOperatorsContract(t *testing.T) {
	t.Parallel()
	// but is the documented answer with a part of its text changed.
	but := func(old, changed string) string {
		require.Contains(t, documentedOperators, old)
		return strings.Replace(documentedOperators, old, changed, 1)
	}
	many := ""
	for i := range 100 {
		many += fmt.Sprintf(`"x%02d": 1, `, i)
	}
	var firstTwenty []string
	for i := range 20 {
		firstTwenty = append(firstTwenty, fmt.Sprintf("operators.x%02d", i))
	}
	unknown := func(names ...string) chattonic.Contract { return chattonic.Contract{Unknown: names} }
	missing := func(names ...string) chattonic.Contract { return chattonic.Contract{Missing: names} }
	for name, test := range map[string]struct {
		body string
		want chattonic.Contract
	}{
		"documented":                {documentedOperators, chattonic.Contract{}},
		"no operators":              {`{"status": true, "operators": [], "queryPending": 0}`, chattonic.Contract{}},
		"no status of any operator": {but(`"status": "online",`, ``), chattonic.Contract{}},
		"null":                      {but(`"nps": 0`, `"nps": null`), chattonic.Contract{}},
		"a name that is null":       {but(`{"givenName": "Chamo", "familyName": "Sac2"}`, `null`), chattonic.Contract{}},
		"a name that is a text":     {but(`{"givenName": "Chamo", "familyName": "Sac2"}`, `"Chamo"`), chattonic.Contract{}},
		"another order":             {but(`"nps": 0, "lastConnection": null`, `"lastConnection": null, "nps": 0`), chattonic.Contract{}},
		"unknown in one":            {but(`"status": "online"`, `"status": "online", "shift": {"nps": 1}`), unknown("operators.shift")},
		"unknown in both":           {strings.ReplaceAll(documentedOperators, `"nps": 0`, `"team": "a", "nps": 0`), unknown("operators.team")},
		"unknown in the name":       {but(`"givenName"`, `"middleName": "", "givenName"`), unknown("operators.name.middleName")},
		"unknown in the answer":     {but(`"queryPending": 0`, `"queryPending": 0, "total": 2`), unknown("total")},
		"of other letter case":      {but(`"nps": 0`, `"nps": 0, "NPS": 0`), unknown("operators.NPS")},
		"in alphabetical order":     {but(`"nps": 0`, `"nps": 0, "z": 0, "b": 0`), unknown("operators.b", "operators.z")},
		"escaped":                   {but(`"nps": 0`, `"nps": 0, "\u0061ño_1-$": 0`), unknown("operators.año_1-$")},
		"many":                      {but(`"nps": 0`, many+`"nps": 0`), unknown(firstTwenty...)},
		"the longest name":          {but(`"nps": 0`, `"nps": 0, "`+strings.Repeat("é", 40)+`": 0`), unknown("operators." + strings.Repeat("é", 40))},
		"a longer name":             {but(`"nps": 0`, `"nps": 0, "`+strings.Repeat("e", 41)+`": 0`), unknown("operators.?")},
		"a very long name":          {but(`"nps": 0`, `"nps": 0, "`+strings.Repeat("e", 1<<20)+`": 0`), unknown("operators.?")},
		"parts of common headers":   {but(`"nps": 0`, `"nps": 0, "application": 0`), unknown("operators.application")},
		"a name with a dot":         {but(`"nps": 0`, `"nps": 0, "a.b": 0`), unknown("operators.?")},
		"names that are no words":   {but(`"nps": 0`, `"nps": 0, "": 0, "a b": 0, "a\u001b[1m": 0, "a\n": 0, "a=\"b\"": 0, "`+"\xff"+`": 0`), unknown("operators.?")},
		"missing in one":            {but(`"originsName": "all"`, `"x": 0`), chattonic.Contract{Unknown: []string{"operators.x"}, Missing: []string{"operators.originsName"}}},
		"missing in both":           {strings.ReplaceAll(documentedOperators, `"awayTime": 0,`, ``), missing("operators.awayTime")},
		"several are missing":       {strings.Replace(but(`"awayTime": 0,`, ``), `"sumDuration": 0,`, ``, 2), missing("operators.awayTime", "operators.sumDuration")},
		"missing in the name":       {but(`, "familyName": "Operator"`, ``), missing("operators.name.familyName")},
		"an empty name":             {but(`{"givenName": "Chamo", "familyName": "Sac2"}`, `{}`), missing("operators.name.familyName", "operators.name.givenName")},
		"no name":                   {but(`"name": {"givenName": "Chamo", "familyName": "Sac2"}, `, ``), missing("operators.name")},
		"missing in the answer":     {`{"operators": []}`, missing("queryPending", "status")},
		"nearly all is missing": {`{"status": true, "operators": [{"_id": "a"}], "queryPending": 0}`, missing(
			"operators.avgDurationResolved", "operators.awayTime", "operators.displayName", "operators.freeTime", "operators.lastConnection", "operators.name",
			"operators.nps", "operators.numberOfResponsesNps", "operators.onlineTime", "operators.origins", "operators.originsName", "operators.profile",
			"operators.queriesAssigned", "operators.queriesResolved", "operators.queryInProgress", "operators.sumDuration",
		)},
	} {
		got, err := operators(t, test.body)
		if assert.NoError(t, err, name) {
			assert.Equal(t, test.want, got.Contract, name)
		}
	}
}

// TestContractKnowsAllFields leaves out each documented field in turn.
func TestContractKnowsAllFields(t *testing.T) {
	t.Parallel()
	var answer map[string]any
	require.NoError(t, json.Unmarshal([]byte(documentedOperators), &answer))
	operator := answer["operators"].([]any)[1].(map[string]any)
	text := func(v any) string {
		body, err := json.Marshal(v)
		require.NoError(t, err)
		return string(body)
	}
	without := func(object map[string]any, name string, check func()) {
		value := object[name]
		delete(object, name)
		check()
		object[name] = value
	}
	require.Len(t, operator, 18)
	for name := range operator {
		without(operator, name, func() {
			got, err := operators(t, text(answer))
			switch name {
			case "_id":
				require.Error(t, err)
			case "status":
				require.NoError(t, err)
				assert.Equal(t, chattonic.Contract{}, got.Contract)
			default:
				require.NoError(t, err)
				assert.Equal(t, chattonic.Contract{Missing: []string{"operators." + name}}, got.Contract)
			}
		})
	}

	var rows []map[string]any
	require.NoError(t, json.Unmarshal([]byte(documentedDashboard), &rows))
	require.Len(t, rows[0], 18)
	for name := range rows[0] {
		without(rows[0], name, func() {
			got, err := dashboard(t, text(rows))
			require.NoError(t, err)
			assert.Equal(t, chattonic.Contract{Missing: []string{name}}, got.Contract)
		})
	}
}

func TestDashboardContract(t *testing.T) {
	t.Parallel()
	row := strings.Trim(documentedDashboard, "[]")
	for body, want := range map[string]chattonic.Contract{
		documentedDashboard:         {},
		"[" + row + "," + row + "]": {},
		"[" + row + "," + strings.Replace(row, `"date"`, `"Date": 1, "week": 2, "date"`, 1) + "]": {Unknown: []string{"Date", "week"}},
		"[" + row + "," + strings.Replace(row, `"csat": 0`, `"CSAT": 0`, 1) + "]":                 {Unknown: []string{"CSAT"}, Missing: []string{"csat"}},
	} {
		got, err := dashboard(t, body)
		require.NoError(t, err)
		assert.Equal(t, want, got.Contract, body)
	}
}

// authorized adds a header on the way, as transports do that authenticate.
type authorized struct {
	http.RoundTripper
	header, value string
}

func (a authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(a.header, a.value)
	resp, err := a.RoundTripper.RoundTrip(r)
	if resp != nil {
		resp.Request = r
	}
	return resp, err
}

// TestContractNamesNoSecret has the API quote what the request carried as the
// name of a field.
func TestContractNamesNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "unique_t0ken_Zq9wX4"
	for _, name := range []string{secret, "Bearer " + secret, "prefix_" + secret, secret[:12], secret[4:], `\u0075` + secret[1:]} {
		body := `{"status": true, "operators": [], "queryPending": 0, "` + name + `": 1, "seen": 2}`
		for way, client := range map[string]*chattonic.Client{
			"option":        newClient(t, baseURL, constant(200, body), chattonic.WithToken(secret)),
			"authorization": newClient(t, baseURL, authorized{constant(200, body), "Authorization", "Bearer " + secret}),
			"own header":    newClient(t, baseURL, authorized{constant(200, body), "X-Key", secret}),
		} {
			got, err := client.Operators(t.Context(), november)
			require.NoError(t, err, way)
			assert.Equal(t, chattonic.Contract{Unknown: []string{"?", "seen"}}, got.Contract, "%s %s", way, name)
		}
	}
}

// TestContractNamesNoShortSecret holds from which length on a text is a secret, and
// a name is a part of one.
func TestContractNamesNoShortSecret(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		secret, name string
		want         string
	}{
		{"8bytes_8", "8bytes_8", "?"},
		{"8bytes_8", "of_8bytes_8", "?"},
		{"8bytes_8_and_more", "8bytes_8", "?"},
		{"7bytes7", "7bytes7", "7bytes7"},
		{"7bytes7", "of_7bytes7", "of_7bytes7"},
		{"7bytes7_and_more", "7bytes7", "7bytes7"},
	} {
		client := newClient(t, baseURL, authorized{constant(200, `{"status": true, "operators": [], "`+test.name+`": 1}`), "X-Key", test.secret})
		got, err := client.Operators(t.Context(), november)
		require.NoError(t, err)
		assert.Equal(t, []string{test.want}, got.Contract.Unknown, "%q of %q", test.name, test.secret)
	}
}
