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

// repeatable reports whether a request may be sent twice. An NPS export must not be
// repeated, because each request sends an e-mail.
func (e Endpoint) repeatable() bool { return e != EndpointNPS }

// Answer is the answer of a statistics endpoint: *[Operators] or *[Dashboard].
type Answer interface {
	// Meta returns the metadata of the answer.
	Meta() *Metadata
	// target returns the variable to decode the body into, as a pointer.
	target() any
	// check returns an error if the decoded answer cannot be used.
	check() error
}

// Metadata describes an answer: everything except its content.
type Metadata struct {
	// Window is the window of the request.
	Window Window
	// ReceivedAt is when the complete answer was received.
	ReceivedAt time.Time
	// Contract lists the differences from the documented answer.
	Contract Contract
}

// Meta returns m. It implements Answer for the types that embed Metadata.
func (m *Metadata) Meta() *Metadata { return m }

// readEndpoint describes a statistics endpoint.
type readEndpoint struct {
	name Endpoint
	path string // below /stats
	// query returns the query parameters except the dates.
	query func(c *Client) [][2]string
	// answer returns an empty answer.
	answer func() Answer
	// maxItems is the maximum length of the answer's list, and itemName the plural
	// noun for its items in errors.
	maxItems int
	itemName string
}

// readEndpoints holds all statistics endpoints. A new one needs an entry here, a type
// for its answer, and an entry in endpoints of the package collector.
var readEndpoints = []readEndpoint{
	{
		name: EndpointOperators, path: "operator",
		query:  func(*Client) [][2]string { return nil },
		answer: func() Answer { return new(Operators) }, maxItems: 50_000, itemName: "operators",
	},
	{
		name: EndpointDashboard, path: "bigquery",
		query: func(c *Client) [][2]string {
			return [][2]string{{"dateFormatGroup", c.dateFormatGroup}, {"queryName", "dashboard"}}
		},
		answer: func() Answer { return new(Dashboard) }, maxItems: 10_000, itemName: "rows",
	},
}

// ReadEndpoints returns the statistics endpoints, which [Client.Read] accepts, in the
// order of the API documentation.
func ReadEndpoints() []Endpoint {
	names := make([]Endpoint, len(readEndpoints))
	for i, e := range readEndpoints {
		names[i] = e.name
	}
	return names
}

// Read returns the answer of a statistics endpoint for the window. The type of the
// answer depends on the endpoint, see [Answer]. Errors are of the type [Error].
func (c *Client) Read(ctx context.Context, e Endpoint, window Window) (Answer, error) {
	i := slices.IndexFunc(readEndpoints, func(r readEndpoint) bool { return r.name == e })
	if i < 0 {
		return nil, Error{Endpoint: e, Cause: CauseRequest, Detail: "not a statistics endpoint: use one of ReadEndpoints"}
	}
	endpoint, answer := &readEndpoints[i], Answer(nil)
	err := c.get(ctx, e, endpoint.path, window, endpoint.query(c), func(r response) error {
		answer = endpoint.answer()
		contract, err := decode(r, answer.target(), endpoint.maxItems, endpoint.itemName)
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
