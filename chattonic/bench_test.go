package chattonic_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"chattonic_exporter/chattonic"
)

// operatorsBody returns an answer with n operators, each with its own id.
func operatorsBody(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"status":true,"operators":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"name":{"givenName":"María","familyName":"Núñez"},"origins":["5ed94dd1fdda89cee4cb61"],"profile":500,"_id":"5ed96d95aef725%06x","displayName":"María Núñez %d","status":"online",`+
			`"onlineTime":%d,"awayTime":%d,"freeTime":1200.5,"queriesResolved":%d,"avgDurationResolved":312.25,"queriesAssigned":%d,"sumDuration":8743,"nps":42.5,"lastConnection":null,"numberOfResponsesNps":12,"queryInProgress":3,"originsName":"all"}`,
			i, i, 20000+i, 1000+i, i%50, i%60)
	}
	b.WriteString(`],"queryPending":7}`)
	return []byte(b.String())
}

// BenchmarkOperators measures a call without a network.
func BenchmarkOperators(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprintf("operators=%d", n), func(b *testing.B) {
			body := operatorsBody(n)
			client := newClient(b, baseURL, transport(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Request: r, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body))}, nil
			}))
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				answer, err := client.Operators(b.Context(), chattonic.Window{})
				if err != nil || len(answer.Operators) != n {
					b.Fatal(err)
				}
			}
		})
	}
}
