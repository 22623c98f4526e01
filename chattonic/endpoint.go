package chattonic

import (
	"context"
	"slices"
	"time"
)

// Endpoint names one of the API's endpoints in errors, metrics and configurations.
type Endpoint string

// The documented endpoints.
const (
	// EndpointOperators is /stats/operator.
	EndpointOperators Endpoint = "operators"
	// EndpointDashboard is /stats/bigquery with the query "dashboard".
	EndpointDashboard Endpoint = "dashboard"
	// EndpointNPS is /stats/nps/export.
	EndpointNPS Endpoint = "nps_export"
)

// repeatable says whether the same request may be sent twice. An NPS export may
// not: each one sends an e-mail.
func (e Endpoint) repeatable() bool { return e != EndpointNPS }

// Answer is what an endpoint with statistics answers: *[Operators] or *[Dashboard].
type Answer interface {
	// Meta returns what is known about the answer beside its content.
	Meta() *Metadata
	// target points to what the body is read into.
	target() any
	// check refuses an answer that can be read but not used.
	check() error
}

// Metadata is what is known about an answer beside its content.
type Metadata struct {
	// Window is the window of the request.
	Window Window
	// ReceivedAt is when the answer was complete.
	ReceivedAt time.Time
	// Contract is how the answer departs from the documented one.
	Contract Contract
}

// Meta returns m, for the answers that embed it.
func (m *Metadata) Meta() *Metadata { return m }

// readEndpoint is an endpoint with statistics.
type readEndpoint struct {
	name Endpoint
	path string // below /stats
	// query returns the parameters beside the dates.
	query func(c *Client) [][2]string
	// answer returns an empty answer.
	answer func() Answer
	// maxItems is the longest list that an answer may hold, of what items calls.
	maxItems int
	items    string
}

// readEndpoints holds all endpoints with statistics. A further one needs an entry
// here, a type for its answer, and a table in the package collector.
var readEndpoints = []readEndpoint{
	{
		name: EndpointOperators, path: "operator",
		query:  func(*Client) [][2]string { return nil },
		answer: func() Answer { return new(Operators) }, maxItems: 50_000, items: "operators",
	},
	{
		name: EndpointDashboard, path: "bigquery",
		query: func(c *Client) [][2]string {
			return [][2]string{{"dateFormatGroup", c.dateFormatGroup}, {"queryName", "dashboard"}}
		},
		answer: func() Answer { return new(Dashboard) }, maxItems: 10_000, items: "rows",
	},
}

// ReadEndpoints returns the endpoints with statistics, which [Client.Read] asks,
// in the order of the documentation.
func ReadEndpoints() []Endpoint {
	names := make([]Endpoint, len(readEndpoints))
	for i, e := range readEndpoints {
		names[i] = e.name
	}
	return names
}

// Read asks an endpoint with statistics for those over the window. Its errors are
// of the type [Error].
func (c *Client) Read(ctx context.Context, e Endpoint, window Window) (Answer, error) {
	i := slices.IndexFunc(readEndpoints, func(r readEndpoint) bool { return r.name == e })
	if i < 0 {
		return nil, Error{Endpoint: e, Cause: CauseRequest, Detail: "this is no endpoint with statistics"}
	}
	asked, answer := &readEndpoints[i], Answer(nil)
	err := c.get(ctx, e, asked.path, window, asked.query(c), func(r response) error {
		answer = asked.answer()
		contract, err := decode(r, answer.target(), asked.maxItems, asked.items)
		if err != nil {
			return err
		}
		answer.Meta().Contract = contract
		return answer.check()
	})
	if err != nil {
		return nil, err
	}
	m := answer.Meta()
	m.Window, m.ReceivedAt = window, c.now()
	return answer, nil
}

// read is Read for an answer of a known type.
func read[T Answer](ctx context.Context, c *Client, e Endpoint, window Window) (T, error) {
	answer, err := c.Read(ctx, e, window)
	typed, _ := answer.(T)
	return typed, err
}
