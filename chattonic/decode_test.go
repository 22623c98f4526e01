package chattonic_test

import (
	"compress/gzip"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
)

const (
	maxOperators = 50_000
	maxRows      = 10_000
)

// list returns a JSON array of n items.
func list(item string, n int) string {
	return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
}

func TestListsOfTheMaximumLength(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]error{
		maxOperators:     nil,
		maxOperators + 1: answerError(chattonic.EndpointOperators, "operators has more than 50000 operators"),
	} {
		body := `{"operators":` + list(`{"_id":"a"}`, n) + `}`
		for _, via := range []transport{constant(200, body), sized(body)} {
			got, err := newClient(t, baseURL, via).Operators(t.Context(), november)
			assert.Equal(t, want, err, "%d operators", n)
			if want == nil && assert.NotNil(t, got) {
				assert.Len(t, got.Operators, n)
			}
		}
	}
	for n, want := range map[int]error{
		maxRows:     nil,
		maxRows + 1: answerError(chattonic.EndpointDashboard, "the answer has more than 10000 rows"),
	} {
		body := list(`{}`, n)
		for _, via := range []transport{constant(200, body), sized(body)} {
			got, err := newClient(t, baseURL, via).Dashboard(t.Context(), november)
			assert.Equal(t, want, err, "%d rows", n)
			if want == nil && assert.NotNil(t, got) {
				assert.Len(t, got.Rows, n)
			}
		}
	}
}

// allocated returns the bytes that f allocates. Nothing else may run then, so that
// its tests are not parallel.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestListsTakeNoMoreThanTheyHold holds what the memory of an answer is bounded by:
// the items that it has and may have, not the bytes in which they come.
func TestListsTakeNoMoreThanTheyHold(t *testing.T) {
	const row, operator = uint64(unsafe.Sizeof(chattonic.DashboardRow{})), uint64(unsafe.Sizeof(chattonic.Operator{}))
	const rest = 512 << 10 // for buffers, texts, and all but the list
	short := list(`{}`, 1<<20)
	many := `{"operators":` + list(`{"_id":"a"}`, 1<<18) + `}`
	usual := string(operatorsBody(5000))
	for name, test := range map[string]struct {
		endpoint chattonic.Endpoint
		via      transport
		most     uint64
	}{
		"the shortest rows": {chattonic.EndpointDashboard, sized(short), maxRows*row + rest},
		// A list that grows by a quarter takes five times what it holds at last.
		"the shortest rows, of unknown length":   {chattonic.EndpointDashboard, constant(200, short), 6*maxRows*row + rest},
		"short operators":                        {chattonic.EndpointOperators, sized(many), maxOperators*(operator+100) + rest},
		"usual operators":                        {chattonic.EndpointOperators, sized(usual), 5000*operator*5/4 + rest + 5000*100},
		"blanks around few operators":            {chattonic.EndpointOperators, sized(`{"operators":[{"_id":"a"}` + strings.Repeat(" ", 1<<20) + `]}`), maxOperators*operator + 6<<20},
		"a long operator first, then short ones": {chattonic.EndpointOperators, sized(`{"operators":[{"_id":"a","x":"` + strings.Repeat("x", 1<<20) + `"},` + list(`{"_id":"a"}`, maxOperators)[1:] + `}`), 6*maxOperators*operator + 8<<20},
	} {
		client := newClient(t, baseURL, test.via)
		var err error
		took := allocated(func() { err = calls[test.endpoint](t.Context(), client) })
		assert.LessOrEqual(t, took, test.most, "%s: %v", name, err)
	}
}

func TestControlCharactersAreRefused(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"in a text":               `{"operators": [{"_id": "a?b"}]}`,
		"in a number":             `{"operators": [{"_id": "a", "nps": "1?"}]}`,
		"in a time":               `{"operators": [{"_id": "a", "lastConnection": "2021-11-01T03:00:00Z?"}]}`,
		"in a value not read":     `{"operators": [{"_id": "a", "originsName": "b", "origins": ["?"]}]}`,
		"in an unknown value":     `{"operators": [{"_id": "a", "x": {"y": ["?"]}}]}`,
		"in an unknown name":      `{"operators": [{"_id": "a", "x?": 1}]}`,
		"in a name within":        `{"operators": [{"_id": "a", "x": {"?": 1}}]}`,
		"in a name":               `{"operators": [{"_id": "a", "nps?": 1}]}`,
		"in the name of a person": `{"operators": [{"_id": "a", "name": {"givenName": "?", "familyName": "b"}}]}`,
	} {
		for c := range byte(0x20) {
			_, err := operators(t, strings.Replace(body, "?", string(c), 1))
			assert.Equal(t, answerError(chattonic.EndpointOperators, "the answer is not valid JSON after N bytes"), refusal(err), "%#x %s", c, name)
		}
	}
	got, err := operators(t, "{\"operators\": [{\"_id\": \"a\x7fb\"}, {\"_id\": \"\\u0000\"}]}")
	require.NoError(t, err, "DEL may stand in a string, and what is escaped")
	assert.Equal(t, []chattonic.Operator{{ID: "a\x7fb"}, {ID: "\x00"}}, got.Operators)
}

// TestOffsetOfInvalidJSON holds that an error tells where an answer stops being
// JSON, which is all that it may tell.
func TestOffsetOfInvalidJSON(t *testing.T) {
	t.Parallel()
	for body, good := range map[string]string{
		`Log in`:                                   ``,
		`{"operators": []} x`:                      `{"operators": []} `,
		`{"operators": [], x`:                      `{"operators": [], `,
		`{"operators": [{"_id": "a" "b"}]}`:        `{"operators": [{"_id": "a" `,
		`{"operators": [{"_id": "a", "nps": x}]}`:  `{"operators": [{"_id": "a", "nps": `,
		`{"operators": [{"_id": "a", "y": [x]}]}`:  `{"operators": [{"_id": "a", "y": [`,
		`{"operators": [{"_id": "a"}, {"_id": x}]`: `{"operators": [{"_id": "a"}, {"_id": `,
		`{"operators": [{"_id": "a"}]`:             `{"operators": [{"_id": "a"}]`,
	} {
		for _, via := range []transport{constant(200, body), sized(body)} {
			_, err := newClient(t, baseURL, via).Operators(t.Context(), november)
			assert.Equal(t, answerErrorAfter(len(good)), err, body)
		}
	}
}

const (
	htmlPage   = "the answer is an HTML page, such as a login page: check the base URL and the proxy"
	compressed = "the answer is compressed with gzip, which was not requested: check the proxy"
	marked     = "the answer begins with a byte order mark, which JSON must not have: check the base URL and the proxy"
)

// TestAnswersOfOthers has answers that do not come from the API.
func TestAnswersOfOthers(t *testing.T) {
	t.Parallel()
	var zipped strings.Builder
	w := gzip.NewWriter(&zipped)
	_, err := w.Write([]byte(documentedOperators))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	for body, want := range map[string]string{
		`<!DOCTYPE html><title>Log in</title>`: htmlPage,
		"\r\n\t <html>" + token:                htmlPage,
		"<":                                    htmlPage,
		"\xef\xbb\xbf<html>":                   htmlPage,
		"<?xml version=\"1.0\"?><html>":        htmlPage,
		"\xef\xbb\xbf" + documentedOperators:   marked,
		"\xff\xfe{\x00}\x00":                   marked,
		"\xfe\xff\x00{\x00}":                   marked,
		zipped.String():                        compressed,
		"\x1f":                                 "the answer is not valid JSON after 0 bytes",
		" \xef\xbb\xbf{}":                      "the answer is not valid JSON after 1 bytes",
	} {
		for name, via := range map[string]transport{"chunked": constant(200, body), "sized": sized(body)} {
			for _, e := range chattonic.ReadEndpoints() {
				_, err := newClient(t, baseURL, via).Read(t.Context(), e, november)
				assert.Equal(t, answerError(e, want), err, "%s %s %.20q", name, e, body)
			}
		}
	}
	assert.EqualError(t, newClient(t, baseURL, constant(200, "<html>")).ExportNPS(t.Context(), november, chattonic.UserTypeAll), "requesting the nps_export endpoint: "+htmlPage)
	assert.NoError(t, newClient(t, baseURL, constant(200, "sent")).ExportNPS(t.Context(), november, chattonic.UserTypeAll))
}

// TestNumbersAreReadByFieldNotByPlace holds that numbers go where their names say,
// whatever stands before and behind them in a compact answer.
func TestNumbersAreReadByFieldNotByPlace(t *testing.T) {
	t.Parallel()
	n := chattonic.NumberOf
	for body, want := range map[string]chattonic.DashboardRow{
		`[{"nps":1}]`:                                   {NPS: n(1)},
		`[{"nps":1,"csat":2}]`:                          {NPS: n(1), CSAT: n(2)},
		`[{"csat":2,"nps":1}]`:                          {NPS: n(1), CSAT: n(2)},
		`[{"csat":-0.5e1,"nps":"1"}]`:                   {NPS: n(1), CSAT: n(-5)},
		`[{"date":"0","totalUsers":1,"activeUsers":3}]`: {Date: "0", TotalUsers: n(1), ActiveUsers: n(3)},
		`[{"totalUsers":1,"x":9,"newUsers":2}]`:         {TotalUsers: n(1), NewUsers: n(2)},
		`[{"nps":10}]`:                                  {NPS: n(10)},
		`[{"nps":"10"}]`:                                {NPS: n(10)},
		`[{"nps":0,"csat":0}]`:                          {NPS: n(0), CSAT: n(0)},
	} {
		got, err := dashboard(t, body)
		if assert.NoError(t, err, body) {
			assert.Equal(t, []chattonic.DashboardRow{want}, got.Rows, body)
		}
	}
}

// TestEndpointThatDoesNotExist holds that nothing is asked then.
func TestEndpointThatDoesNotExist(t *testing.T) {
	t.Parallel()
	client := newClient(t, baseURL, transport(func(*http.Request) (*http.Response, error) {
		assert.Fail(t, "a request was made")
		return answer(200, `[{}]`), nil
	}))
	for _, e := range []chattonic.Endpoint{"", "none", chattonic.EndpointNPS} {
		got, err := client.Read(t.Context(), e, november)
		assert.Nil(t, got)
		assert.Equal(t, chattonic.Error{Endpoint: e, Cause: chattonic.CauseRequest, Detail: "not a statistics endpoint: use one of ReadEndpoints"}, err)
	}
}

func answerErrorAfter(bytes int) error {
	return answerError(chattonic.EndpointOperators, "the answer is not valid JSON after "+strconv.Itoa(bytes)+" bytes")
}
