package chattonic

import (
	"context"
	"errors"
)

// Operators is the answer of the operators endpoint.
type Operators struct {
	Metadata `json:"-"`

	// Status is the API's own word on its success. An answer with false is an
	// error.
	Status *bool `json:"status"`
	// Operators holds the team's operators in the order of the answer. An operator
	// may come twice.
	Operators []Operator `json:"operators"`
	// QueryPending counts the queries that wait for an operator now.
	QueryPending Number `json:"queryPending"`
}

// Operator is one operator of a team. The API does not document the unit of its
// durations. The fields are in the order of the documented answer.
type Operator struct {
	_ struct {
		_ struct{} `unused:"givenName"`
		_ struct{} `unused:"familyName"`
	} `unused:"name"`
	_ struct{} `unused:"origins"`
	// Profile is the number of the operator's role.
	Profile Number `json:"profile"`
	// ID identifies the operator.
	ID Text `json:"_id"`
	// DisplayName is the name that customers see.
	DisplayName Text `json:"displayName"`
	// Status is the operator's state now. Only "online" is documented. It is empty
	// where the API gives none, and what that means is not documented.
	Status Text `json:"status" optional:"true"`
	// OnlineTime is the time online in the window.
	OnlineTime Number `json:"onlineTime"`
	// AwayTime is the time away in the window.
	AwayTime Number `json:"awayTime"`
	// FreeTime is the time free in the window.
	FreeTime Number `json:"freeTime"`
	// QueriesResolved counts the queries that were resolved in the window.
	QueriesResolved Number `json:"queriesResolved"`
	// AvgDurationResolved is the mean duration of the queries resolved in the
	// window.
	AvgDurationResolved Number `json:"avgDurationResolved"`
	// QueriesAssigned counts the queries that were assigned in the window.
	QueriesAssigned Number `json:"queriesAssigned"`
	// SumDuration is the summed duration of the queries of the window.
	SumDuration Number `json:"sumDuration"`
	// NPS is the net promoter score over the window's responses.
	NPS Number `json:"nps"`
	// LastConnection is when the operator was last connected.
	LastConnection Timestamp `json:"lastConnection"`
	// NumberOfResponsesNPS counts the responses behind NPS.
	NumberOfResponsesNPS Number `json:"numberOfResponsesNps"`
	// QueryInProgress counts the queries the operator works on now.
	QueryInProgress Number `json:"queryInProgress"`
	// OriginsName names the origins of queries that the operator takes.
	OriginsName Text `json:"originsName"`
}

// Operators asks for the team's operators over the window. Its errors are of the
// type [Error].
func (c *Client) Operators(ctx context.Context, window Window) (*Operators, error) {
	return read[*Operators](ctx, c, EndpointOperators, window)
}

func (o *Operators) target() any { return o }

func (o *Operators) check() error {
	if err := (&refusal{o.Status}).check(); err != nil {
		return err
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
