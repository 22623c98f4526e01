package chattonic

import (
	"context"
	"errors"
)

// Operators is the answer of the operators endpoint.
type Operators struct {
	Metadata `json:"-"`

	// Status reports whether the API succeeded. [Client.Operators] returns an error if
	// it is false. It is nil if the API omits it.
	Status *bool `json:"status"`
	// Operators holds the team's operators in the order of the answer. It may contain
	// an operator twice.
	Operators []Operator `json:"operators"`
	// QueryPending counts the queries that are currently waiting for an operator.
	QueryPending Number `json:"queryPending"`
}

// Operator holds the statistics of one operator. The unit of the API's durations is not
// documented. The fields are in the order of the documented answer.
type Operator struct {
	// Name is the operator's own name.
	Name OperatorName `json:"name"`
	// Origins holds the ids of the origins of the queries that the operator handles, the
	// first 100 of them.
	Origins []Text `json:"origins"`
	// Profile is the number of the operator's role.
	Profile Number `json:"profile"`
	// ID identifies the operator.
	ID Text `json:"_id"`
	// DisplayName is the name that customers see.
	DisplayName Text `json:"displayName"`
	// Status is the current state of the operator. Only "online" is documented. It is
	// empty if the API omits it; the meaning of that is not documented.
	Status Text `json:"status" optional:"true"`
	// OnlineTime is the time online in the window.
	OnlineTime Number `json:"onlineTime"`
	// AwayTime is the time away in the window.
	AwayTime Number `json:"awayTime"`
	// FreeTime is the time free in the window.
	FreeTime Number `json:"freeTime"`
	// QueriesResolved counts the queries that were resolved in the window.
	QueriesResolved Number `json:"queriesResolved"`
	// AvgDurationResolved is the mean duration of the queries that were resolved in the
	// window.
	AvgDurationResolved Number `json:"avgDurationResolved"`
	// QueriesAssigned counts the queries that were assigned in the window.
	QueriesAssigned Number `json:"queriesAssigned"`
	// SumDuration is the total duration of the queries in the window.
	SumDuration Number `json:"sumDuration"`
	// NPS is the net promoter score over the window's responses.
	NPS Number `json:"nps"`
	// LastConnection is when the operator was last connected.
	LastConnection Timestamp `json:"lastConnection"`
	// NumberOfResponsesNPS counts the responses for NPS.
	NumberOfResponsesNPS Number `json:"numberOfResponsesNps"`
	// QueryInProgress counts the queries that the operator is currently handling.
	QueryInProgress Number `json:"queryInProgress"`
	// OriginsName names the origins of the queries that the operator handles.
	OriginsName Text `json:"originsName"`
}

// OperatorName is the name of a person.
type OperatorName struct {
	// GivenName is the given name.
	GivenName Text `json:"givenName"`
	// FamilyName is the family name.
	FamilyName Text `json:"familyName"`
}

// Operators returns the team's operators with their statistics for the window. Its
// errors are of the type [Error].
func (c *Client) Operators(ctx context.Context, window Window) (*Operators, error) {
	return read[*Operators](ctx, c, EndpointOperators, window)
}

func (o *Operators) target() any { return o }

func (o *Operators) check() error {
	if err := (&statusField{o.Status}).check(); err != nil {
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
