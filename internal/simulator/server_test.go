package simulator_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/simulator"
)

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	team := simulator.Team{Codename: "acme", Token: "t", Operators: 1}
	change := func(f func(*simulator.Team)) []simulator.Team {
		changed := team
		f(&changed)
		return []simulator.Team{changed}
	}
	for message, teams := range map[string][]simulator.Team{
		"name at least one":     nil,
		"codename is taken":     {team, team},
		"codename is empty":     change(func(t *simulator.Team) { t.Codename = "" }),
		"token is empty":        change(func(t *simulator.Team) { t.Token = "" }),
		"0 operators: use 1":    change(func(t *simulator.Team) { t.Operators = 0 }),
		"20001 operators: use ": change(func(t *simulator.Team) { t.Operators = 20_001 }),
	} {
		_, err := simulator.New(simulator.Options{Teams: teams})
		require.ErrorContains(t, err, message)
	}
	_, err := simulator.New(simulator.Options{Teams: []simulator.Team{team}})
	require.NoError(t, err)
}

// asked are the requests that are as documented.
func asked() map[string]url.Values {
	dates := func(more ...string) url.Values {
		v := url.Values{"startDate": {"2021-11-01T03:00:00.000Z"}, "endDate": {"2021-12-01T02:55:00.000Z"}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	return map[string]url.Values{
		"operator":   dates(),
		"bigquery":   dates("dateFormatGroup", "%Y-%m-%d %H", "queryName", "dashboard"),
		"nps/export": dates("typeUser", "promoter"),
	}
}

func TestDocumentedRequestsAreAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zones[0], noon, simulator.Team{Documented: true})
	for endpoint, query := range asked() {
		resp, body := w.do(http.MethodGet, "/api/v1/acme/stats/"+endpoint, query, nil)
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Equal(t, "application/json; charset=utf-8", resp.Header.Get("Content-Type"))
		switch endpoint {
		case "operator":
			assert.Equal(t, string(simulator.OperatorsFixture()), body)
		case "bigquery":
			assert.Equal(t, string(simulator.DashboardFixture()), body)
		default:
			assert.Empty(t, body)
		}
	}
	start := time.Date(2021, 11, 1, 3, 0, 0, 0, time.UTC)
	assert.Equal(t, []simulator.Export{{
		Codename: "acme", UserType: chattonic.UserTypePromoter,
		Window: chattonic.Window{Start: start, End: time.Date(2021, 12, 1, 2, 55, 0, 0, time.UTC)},
	}}, w.Exports())
}

func TestFixturesAreTheDocumentedAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "UTC", noon, simulator.Team{Documented: true})
	answer, row := w.operators(noon, noon), w.row(noon, noon)
	require.Len(t, answer.Operators, 2)
	first, second := answer.Operators[0], answer.Operators[1]
	assert.Equal(t, chattonic.NumberOf(0), answer.QueryPending)
	assert.Equal(t, chattonic.Operator{
		ID: "5ed96d95aef725fdfb", DisplayName: "Chamo Sac2", Profile: chattonic.NumberOf(500), OriginsName: "Tengo otro tipo de consultas",
		QueryInProgress: chattonic.NumberOf(0), OnlineTime: chattonic.NumberOf(0), AwayTime: chattonic.NumberOf(0), FreeTime: chattonic.NumberOf(0),
		QueriesAssigned: chattonic.NumberOf(0), QueriesResolved: chattonic.NumberOf(0), SumDuration: chattonic.NumberOf(0),
		AvgDurationResolved: chattonic.NumberOf(0), NPS: chattonic.NumberOf(0), NumberOfResponsesNPS: chattonic.NumberOf(0),
		Name: chattonic.OperatorName{GivenName: "Chamo", FamilyName: "Sac2"}, Origins: []chattonic.Text{"5ed94dd1fdda89cee4cb61"},
	}, first)
	assert.Equal(t, []any{chattonic.Text("5f286ede4dbdcf209af"), chattonic.Text("online"), chattonic.NumberOf(480), chattonic.Text("all")},
		[]any{second.ID, second.Status, second.OnlineTime, second.OriginsName})
	assert.Equal(t, []chattonic.Number{chattonic.NumberOf(35756), chattonic.NumberOf(1211), chattonic.NumberOf(1564), chattonic.NumberOf(436368), chattonic.NumberOf(17099), chattonic.NumberOf(576358), chattonic.NumberOf(22424)},
		[]chattonic.Number{row.TotalUsers, row.NewUsers, row.ActiveUsers, row.TotalMessagesReceived, row.MessagesReceived, row.TotalMessagesSent, row.MessagesSent})
	simulator.OperatorsFixture()[0] = 'x' // a copy
	assert.True(t, json.Valid(simulator.OperatorsFixture()))
}

func TestSimulatedAnswersHaveTheDocumentedFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "UTC", noon, simulator.Team{Operators: 5})
	fields := func(object map[string]any) (names []string) {
		for name := range maps.Keys(object) {
			names = append(names, name)
		}
		return names
	}
	type operators struct {
		Status    bool
		Operators []map[string]any
	}
	var documented, simulated operators
	require.NoError(t, json.Unmarshal(simulator.OperatorsFixture(), &documented))
	require.NoError(t, json.Unmarshal([]byte(w.get("operator", noon.Add(-time.Hour), noon)), &simulated))
	assert.True(t, simulated.Status)
	assert.ElementsMatch(t, fields(documented.Operators[1]), fields(simulated.Operators[0]))
	assert.ElementsMatch(t, fields(documented.Operators[0]), fields(simulated.Operators[3]))
	assert.Nil(t, simulated.Operators[3]["lastConnection"])
	assert.Regexp(t, `^2026-05-1\dT\d\d:\d\d:\d\d\.000Z$`, simulated.Operators[0]["lastConnection"])
	var row, want []map[string]any
	require.NoError(t, json.Unmarshal(simulator.DashboardFixture(), &want))
	require.NoError(t, json.Unmarshal([]byte(w.get("bigquery", noon.Add(-time.Hour), noon)), &row))
	assert.ElementsMatch(t, fields(want[0]), fields(row[0]))
}

func TestUndocumentedRequestsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "UTC", noon, simulator.Team{Operators: 1, Buckets: true})
	with := func(endpoint, name, value string) url.Values {
		query := asked()[endpoint]
		query.Set(name, value)
		return query
	}
	without := func(endpoint, name string) url.Values {
		query := asked()[endpoint]
		query.Del(name)
		return query
	}
	for _, c := range []struct {
		method, codename, endpoint string
		query                      url.Values
		header                     map[string]string
		status                     int
		message                    string
	}{
		{http.MethodPost, "acme", "operator", nil, nil, 405, "GET"},
		{http.MethodGet, "nobody", "operator", nil, nil, 404, "nobody"},
		{http.MethodGet, "acme", "operators", nil, nil, 404, "bigquery"},
		{http.MethodGet, "acme", "operator/", nil, nil, 404, "bigquery"},
		{http.MethodGet, "acme", "operator", nil, map[string]string{"Authorization": "Bearer guess"}, 401, "token"},
		{http.MethodGet, "acme", "operator", nil, map[string]string{"Authorization": token}, 401, "token"},
		{http.MethodGet, "acme", "operator", nil, map[string]string{"Accept": "*/*"}, 400, "Accept"},
		{http.MethodGet, "acme", "operator", nil, map[string]string{"Content-Type": ""}, 400, "Content-Type"},
		{http.MethodGet, "acme", "operator", without("operator", "startDate"), nil, 400, "startDate"},
		{http.MethodGet, "acme", "operator", without("operator", "endDate"), nil, 400, "endDate"},
		{http.MethodGet, "acme", "operator", with("operator", "startDate", "2021-11-01"), nil, 400, "startDate"},
		{http.MethodGet, "acme", "operator", with("operator", "endDate", "2021-12-01T02:55:00Z"), nil, 400, "endDate"},
		{http.MethodGet, "acme", "operator", with("operator", "endDate", "2021-12-01T02:55:00,000Z"), nil, 400, "endDate"},
		{http.MethodGet, "acme", "operator", with("operator", "startDate", "2022-11-01T03:00:00.000Z"), nil, 400, "after"},
		{http.MethodGet, "acme", "operator", with("operator", "queryName", "dashboard"), nil, 400, "queryName"},
		{http.MethodGet, "acme", "operator", url.Values{"startDate": asked()["operator"]["startDate"], "endDate": {date(noon), date(noon)}}, nil, 400, "once"},
		{http.MethodGet, "acme", "bigquery", without("bigquery", "queryName"), nil, 400, "queryName"},
		{http.MethodGet, "acme", "bigquery", with("bigquery", "queryName", "users"), nil, 400, "queryName"},
		{http.MethodGet, "acme", "bigquery", with("bigquery", "dateFormatGroup", ""), nil, 400, "dateFormatGroup"},
		{http.MethodGet, "acme", "bigquery", with("bigquery", "dateFormatGroup", "%j"), nil, 400, "directive"},
		{http.MethodGet, "acme", "bigquery", with("bigquery", "dateFormatGroup", "%H %"), nil, 400, "directive"},
		{http.MethodGet, "acme", "nps/export", without("nps/export", "typeUser"), nil, 400, "typeUser"},
		{http.MethodGet, "acme", "nps/export", with("nps/export", "typeUser", "fan"), nil, 400, "typeUser"},
	} {
		query := c.query
		if query == nil {
			query = asked()[c.endpoint]
		}
		resp, body := w.do(c.method, "/api/v1/"+c.codename+"/stats/"+c.endpoint, query, c.header)
		assert.Equal(t, c.status, resp.StatusCode, c)
		var refusal struct {
			Status  *bool
			Message string
		}
		require.NoError(t, json.Unmarshal([]byte(body), &refusal))
		require.NotNil(t, refusal.Status)
		assert.False(t, *refusal.Status)
		assert.Contains(t, refusal.Message, c.message)
		assert.NotContains(t, body, token)
	}
	assert.Equal(t, 13, w.Calls("acme", chattonic.EndpointOperators), "the refused ones, save those to no known team or endpoint")
	assert.Empty(t, w.Exports())
	for _, path := range []string{"/", "/api/v1/acme", "/api/v2/acme/stats/operator", "/api/v1/%zz/stats/operator"} {
		if resp, err := http.NewRequest(http.MethodGet, baseURL+path, http.NoBody); err == nil {
			response, _ := w.do(http.MethodGet, resp.URL.Path, asked()["operator"], nil)
			assert.Equal(t, http.StatusNotFound, response.StatusCode, path)
		}
	}
	resp, _ := w.do(http.MethodGet, "/api/v1/acme/stats/operator", nil, nil)
	assert.Equal(t, http.StatusBadRequest, resp.StatusCode)
	resp, _ = w.do(http.MethodGet, "/api/v1/acme/stats/operator?%zz&", nil, nil)
	assert.Equal(t, http.StatusBadRequest, resp.StatusCode)
	assert.Equal(t, "Bearer", func() string {
		resp, _ := w.do(http.MethodGet, "/api/v1/acme/stats/operator", nil, map[string]string{"Authorization": ""})
		return resp.Header.Get("WWW-Authenticate")
	}())
}

func TestExportsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "UTC", noon, simulator.Team{Operators: 1})
	for i := range 1003 {
		window := chattonic.Window{Start: noon, End: noon.Add(time.Duration(i) * time.Second)}
		require.NoError(t, w.client.ExportNPS(t.Context(), window, chattonic.UserTypeAll))
	}
	exports := w.Exports()
	require.Len(t, exports, 1000)
	assert.Equal(t, noon.Add(1002*time.Second), exports[999].Window.End)
	assert.Equal(t, 1003, w.Calls("acme", chattonic.EndpointNPS))
}
