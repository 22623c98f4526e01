package chattonic_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
)

// documentedDashboard is the documented answer.
const documentedDashboard = `[{
	"date": "0", "totalUsers": 35756, "newUsers": 1211, "activeUsers": 1564, "totalMessagesReceived": 436368, "messagesReceived": 17099,
	"totalMessagesSent": 576358, "messagesSent": 22424, "pending": 0, "progress": 0, "resolved": 0, "failed": 0,
	"userEfficiency": 0, "attention": 0, "resolution": 0, "attentionAndResolution": 0, "nps": 0, "csat": 0
}]`

// dashboard is what a client makes of the body in all its forms.
func dashboard(t testing.TB, body string) (*chattonic.Dashboard, error) {
	t.Helper()
	return inAllForms(t, body, func(via transport) (*chattonic.Dashboard, error) {
		return newClient(t, baseURL, via, atEnd).Dashboard(t.Context(), november)
	})
}

func TestDashboardDocumentedAnswer(t *testing.T) {
	t.Parallel()
	receivedAt := time.Date(2021, 12, 1, 3, 0, 0, 0, time.UTC)
	client := newClient(t, baseURL, constant(200, documentedDashboard), chattonic.WithClock(func() time.Time { return receivedAt }))
	got, err := client.Dashboard(t.Context(), november)
	require.NoError(t, err)
	n := chattonic.NumberOf
	assert.Equal(t, &chattonic.Dashboard{Metadata: chattonic.Metadata{Window: november, ReceivedAt: receivedAt}, Rows: []chattonic.DashboardRow{{
		Date: "0", TotalUsers: n(35756), TotalMessagesReceived: n(436368), TotalMessagesSent: n(576358),
		NewUsers: n(1211), ActiveUsers: n(1564), MessagesReceived: n(17099), MessagesSent: n(22424),
		Pending: n(0), Progress: n(0), Resolved: n(0), Failed: n(0),
		UserEfficiency: n(0), Attention: n(0), Resolution: n(0), AttentionAndResolution: n(0), NPS: n(0), CSAT: n(0),
	}}}, got)
}

func TestDashboardAnswers(t *testing.T) {
	t.Parallel()
	n := chattonic.NumberOf
	for name, test := range map[string]struct {
		body string
		want []chattonic.DashboardRow
	}{
		"fields": {
			`[{"pending": 1, "progress": 2, "resolved": 3, "failed": 4, "userEfficiency": 5, "attention": 6, "resolution": 7, "attentionAndResolution": 8, "nps": 9, "csat": 10}]`,
			[]chattonic.DashboardRow{{Pending: n(1), Progress: n(2), Resolved: n(3), Failed: n(4), UserEfficiency: n(5), Attention: n(6), Resolution: n(7), AttentionAndResolution: n(8), NPS: n(9), CSAT: n(10)}},
		},
		"rows keep their order and nothing of each other": {
			`[{"date": "2021-11-01 04", "nps": 5, "csat": null}, {"date": "2021-11-01 03"}, {}]`,
			[]chattonic.DashboardRow{{Date: "2021-11-01 04", NPS: n(5)}, {Date: "2021-11-01 03"}, {}},
		},
		"unknown fields": {`[{"date": "0", "NPS": 5, "nps ": 6, "extra": [null]}]`, []chattonic.DashboardRow{{Date: "0"}}},
		"numeric string": {`[{"nps": "-12.5"}]`, []chattonic.DashboardRow{{NPS: n(-12.5)}}},
	} {
		got, err := dashboard(t, test.body)
		if assert.NoError(t, err, name) {
			assert.Equal(t, test.want, got.Rows, name)
		}
	}
}

func TestDashboardRefuses(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                                   "the answer is not valid JSON after N bytes",
		`<html>`:                             htmlPage,
		`[{"date": "0"`:                      "the answer is not valid JSON after N bytes",
		`[] []`:                              "the answer is not valid JSON after N bytes",
		`null`:                               "the answer has the wrong type: null",
		`[]`:                                 "the list of rows is empty",
		`{}`:                                 "the answer has the wrong type: object",
		`{"status": true}`:                   "the answer has the wrong type: object",
		`{"STATUS": false}`:                  "the answer has the wrong type: object",
		`{"status": false, "message": "no"}`: `Chat-Tonic refused: "status" is false`,
		`{"status": true, "status": false}`:  "status is a duplicate field",
		`"none"`:                             "the answer has the wrong type: string",
		`[null]`:                             "the answer has the wrong type: null",
		`[{"date": "0"}, 7]`:                 "the answer has the wrong type: number",
		`[{"date": 0}]`:                      "date has the wrong type: number",
		`[{"totalUsers": "35.756,0"}]`:       "totalUsers has the wrong type: string",
		`[{"csat": 1e999}]`:                  "csat has the wrong type: out-of-range number",
		`[{"nps": {}}]`:                      "nps has the wrong type: object",
	} {
		got, err := dashboard(t, body)
		assert.Equal(t, answerError(chattonic.EndpointDashboard, want), refusal(err), body)
		assert.Nil(t, got, body)
	}
}

func FuzzDashboard(f *testing.F) {
	for _, seed := range []string{
		documentedDashboard, `[]`, `[{}]`, `[null]`, `{"status": false}`, `{}`, `null`, ``, `[`,
		`[{"date": "2021-11-01 03", "nps": 5}, {"date": "2021-11-01 04"}]`,
		`[{"nps": "5", "NPS": 6, "nps": null, "csat": "1e999"}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := dashboard(t, string(body))
		if err != nil {
			assert.Equal(t, chattonic.CauseAnswer, asError(t, err).Cause)
			return
		}
		var want []map[string]any
		reference(t, body, &want)
		require.Len(t, got.Rows, len(want))
		for i, row := range got.Rows {
			assertMembers(t, want[i], row)
		}
	})
}
