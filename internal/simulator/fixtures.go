package simulator

import (
	"bytes"
	_ "embed" // for the documented answers
)

//go:embed fixtures/operators.json
var operatorsFixture []byte

//go:embed fixtures/dashboard.json
var dashboardFixture []byte

// OperatorsFixture returns the documented answer of the operators endpoint.
func OperatorsFixture() []byte { return bytes.Clone(operatorsFixture) }

// DashboardFixture returns the documented answer of the dashboard endpoint.
func DashboardFixture() []byte { return bytes.Clone(dashboardFixture) }
