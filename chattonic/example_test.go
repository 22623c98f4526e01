package chattonic_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"chattonic_exporter/chattonic"
)

// fakeAPI answers for the examples as the API does.
func fakeAPI() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"status": true, "queryPending": 3, "operators": [
			{"_id": "5ed96d95", "displayName": "Ana", "status": "online", "queriesResolved": 12, "lastConnection": "2021-12-01T11:30:00.000Z"}]}`)
	}))
}

// Requests the operators of a team with their statistics of a day.
func ExampleClient_Operators() {
	api := fakeAPI()
	defer api.Close()
	client, err := chattonic.New(api.URL, "acme", chattonic.WithToken("secret"))
	if err != nil {
		fmt.Println(err)
		return
	}
	end := time.Date(2021, 12, 1, 12, 0, 0, 0, time.UTC)
	answer, err := client.Operators(context.Background(), chattonic.Window{Start: end.Add(-24 * time.Hour), End: end})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("waiting:", answer.QueryPending)
	for _, o := range answer.Operators {
		resolved, _ := o.QueriesResolved.Float64()
		fmt.Printf("%s is %s and resolved %.0f queries\n", o.DisplayName, o.Status, resolved)
		if _, present := o.NPS.Float64(); !present {
			fmt.Println("the API omits the score, which is not a score of 0")
		}
	}
	// Output:
	// waiting: 3
	// Ana is online and resolved 12 queries
	// the API omits the score, which is not a score of 0
}

// Errors say what to do, and which endpoint failed. They hold no token.
func ExampleError() {
	api := fakeAPI()
	defer api.Close()
	client, err := chattonic.New(api.URL, "acme", chattonic.WithToken("expired"))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Operators(context.Background(), chattonic.Window{})
	fmt.Println(err)
	// Output:
	// requesting the operators endpoint: HTTP 401, the access token was not accepted: check that it is current
}

// Answers can be written as JSON again. What the API omits is null.
func ExampleTimestamp() {
	o := chattonic.Operator{ID: "5ed96d95", QueriesResolved: chattonic.NumberOf(12), LastConnection: chattonic.TimestampOf(time.Date(2021, 12, 1, 11, 30, 0, 0, time.UTC))}
	text, err := json.Marshal(map[string]any{"resolved": o.QueriesResolved, "assigned": o.QueriesAssigned, "lastConnection": o.LastConnection})
	fmt.Println(string(text), err)
	at, present := o.LastConnection.Time()
	fmt.Println(at, present)
	// Output:
	// {"assigned":null,"lastConnection":"2021-12-01T11:30:00.000Z","resolved":12} <nil>
	// 2021-12-01 11:30:00 +0000 UTC true
}
