package chattonic

import (
	"context"
	"errors"
	"time"
)

// Operators is the answer of the operators endpoint.
type Operators struct {
	// Window is what was asked for.
	Window Window `json:"-"`
	// ReceivedAt is when the answer had been read.
	ReceivedAt time.Time `json:"-"`
	// Contract is how the answer departs from the documented one.
	Contract Contract `json:"-"`

	// Status is the API's own word on its success. An answer with false is an
	// error.
	Status *bool `json:"status"`
	// Operators holds the team's operators in the order in which they came. An
	// operator may come twice.
	Operators []Operator `json:"operators"`
	// QueryPending counts the queries that wait for an operator now.
	QueryPending Number `json:"queryPending"`
}

// Operator is one operator of a team. The durations are in a unit that the API
// does not document.
type Operator struct {
	// ID identifies the operator.
	ID Text `json:"_id"`
	// DisplayName is the name that customers see.
	DisplayName Text `json:"displayName"`
	// Profile is the number of the operator's role.
	Profile Number `json:"profile"`
	// OriginsName names the origins of queries that the operator takes.
	OriginsName Text `json:"originsName"`
	// Status is the operator's state now. Only "online" is documented; it is
	// empty where the API gives none, and what that means is not documented.
	Status Text `json:"status"`
	// LastConnection is when the operator was last connected.
	LastConnection Timestamp `json:"lastConnection"`
	// QueryInProgress counts the queries the operator works on now.
	QueryInProgress Number `json:"queryInProgress"`

	// OnlineTime is the time online in the window.
	OnlineTime Number `json:"onlineTime"`
	// AwayTime is the time away in the window.
	AwayTime Number `json:"awayTime"`
	// FreeTime is the time free in the window.
	FreeTime Number `json:"freeTime"`
	// QueriesAssigned counts the queries that were assigned in the window.
	QueriesAssigned Number `json:"queriesAssigned"`
	// QueriesResolved counts the queries that were resolved in the window.
	QueriesResolved Number `json:"queriesResolved"`
	// SumDuration is the summed duration of the queries of the window.
	SumDuration Number `json:"sumDuration"`
	// AvgDurationResolved is the mean duration of the queries resolved in the
	// window.
	AvgDurationResolved Number `json:"avgDurationResolved"`
	// NPS is the net promoter score over the window's responses.
	NPS Number `json:"nps"`
	// NumberOfResponsesNPS counts the responses behind NPS.
	NumberOfResponsesNPS Number `json:"numberOfResponsesNps"`
}

var (
	operatorsShape = newShape[Operators]("", documented{})
	operatorShape  = newShape[Operator]("operators.", documented{
		optional: []string{"status"}, // which one of the documented operators has not
		unused:   []unused{{name: "name", members: []unused{{name: "givenName"}, {name: "familyName"}}}, {name: "origins"}},
	})
)

// Operators asks for the team's operators over the window.
func (c *Client) Operators(ctx context.Context, window Window) (*Operators, error) {
	var answer *Operators
	err := c.get(ctx, EndpointOperators, window, nil, func(r reply) error {
		o := newObject[Operators](operatorsShape)
		contract, err := decode(r, o.read)
		if err != nil {
			return err
		}
		answer, o.item.Contract = &o.item, contract
		return answer.check()
	})
	if err != nil {
		return nil, err
	}
	answer.Window, answer.ReceivedAt = window, c.now()
	return answer, nil
}

// check refuses an answer that can be decoded but not be used.
func (o *Operators) check() error {
	if o.Status != nil && !*o.Status {
		return errStatusFalse
	}
	if o.Operators == nil {
		return errors.New("operators is missing")
	}
	for i := range o.Operators {
		if o.Operators[i].ID == "" {
			return errors.New("operators._id is missing")
		}
	}
	return nil
}
