package collector

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"chattonic_exporter/chattonic"
)

// violatingAPI answers with departures from the documentation in the first
// window, an hour, and none in others. Without answers it fails.
type violatingAPI struct {
	operators *chattonic.Operators
	dashboard *chattonic.Dashboard
}

func (v *violatingAPI) Operators(_ context.Context, w chattonic.Window) (*chattonic.Operators, error) {
	if v.operators == nil {
		return nil, errDown
	}
	if w.Name != "1h" {
		return &chattonic.Operators{Metadata: chattonic.Metadata{Window: w}}, nil
	}
	a := *v.operators
	a.Window = w
	return &a, nil
}

func (v *violatingAPI) Dashboard(_ context.Context, w chattonic.Window) (*chattonic.Dashboard, error) {
	if v.dashboard == nil {
		return nil, errDown
	}
	if w.Name != "1h" {
		return &chattonic.Dashboard{Metadata: chattonic.Metadata{Window: w, Contract: chattonic.Contract{Missing: []string{"csat"}}}}, nil
	}
	a := *v.dashboard
	a.Window = w
	return &a, nil
}

func violating(t *testing.T, api *violatingAPI) *Team {
	t.Helper()
	return newTeam(t, api, func(s *Settings) { s.Windows, s.DurationUnit = windows(t, "1h", "24h"), time.Minute })
}

const violations = "chattonic_api_contract_violations"

func TestContractViolations(t *testing.T) {
	n := chattonic.NumberOf
	api := &violatingAPI{
		operators: &chattonic.Operators{
			Metadata: chattonic.Metadata{Contract: chattonic.Contract{Unknown: []string{"operators.shift", "total"}, Missing: []string{"operators.nps"}}},
			// As seconds these would be plausible. A field counts once.
			Operators:    []chattonic.Operator{{ID: "a", OnlineTime: n(3600), AwayTime: n(-1)}, {ID: "b", OnlineTime: n(-1234), AwayTime: n(3600)}},
			QueryPending: n(-4321),
		},
		dashboard: &chattonic.Dashboard{Rows: []chattonic.DashboardRow{{NewUsers: n(-9876)}}},
	}
	team := violating(t, api)
	samples, logged := scrape(t, team)
	assert.Equal(t, []string{
		violations + `{endpoint="dashboard",kind="implausible_value",team="acme"} 1`,
		violations + `{endpoint="dashboard",kind="missing_field",team="acme"} 0`,
		violations + `{endpoint="dashboard",kind="unknown_field",team="acme"} 0`,
		violations + `{endpoint="operators",kind="implausible_value",team="acme"} 3`,
		violations + `{endpoint="operators",kind="missing_field",team="acme"} 1`,
		violations + `{endpoint="operators",kind="unknown_field",team="acme"} 2`,
	}, of(samples, violations), "of the first window alone")

	const begin = `level=warn msg="an answer is not as documented, so its metrics may be wrong; for details run \"chattonic_exporter check teams\"" team=acme `
	assert.ElementsMatch(t, []string{
		begin + `endpoint=operators fields="operators.shift is unknown, total is unknown, operators.nps is missing, operators.awayTime is longer than the window and is negative, operators.onlineTime is longer than the window and is negative, queryPending is negative"`,
		begin + `endpoint=dashboard fields="newUsers is negative"`,
	}, strings.Split(strings.TrimSpace(logged), "\n"), "names and no values")

	_, logged = scrape(t, team)
	assert.Empty(t, logged, "it is no news any more")

	good := &chattonic.Dashboard{}
	bad := api.dashboard
	api.dashboard = good
	samples, logged = scrape(t, team)
	assert.Empty(t, logged)
	assert.Contains(t, samples, violations+`{endpoint="dashboard",kind="implausible_value",team="acme"} 0`)
	api.dashboard = bad
	_, logged = scrape(t, team)
	assert.Empty(t, logged, "the same again is no news")

	api.operators.Contract.Unknown = []string{"total"}
	samples, logged = scrape(t, team)
	assert.Contains(t, samples, violations+`{endpoint="operators",kind="unknown_field",team="acme"} 1`)
	assert.Equal(t, 1, strings.Count(logged, "\n"))
	assert.Contains(t, logged, `endpoint=operators fields="total is unknown, `)

	_, logged = scrape(t, violating(t, api))
	assert.Equal(t, 2, strings.Count(logged, "\n"), "another team is told of for itself")
}

func TestContractOfWhatFailedIsAbsent(t *testing.T) {
	api := &violatingAPI{operators: &chattonic.Operators{}}
	samples, _ := scrape(t, violating(t, api))
	assert.Equal(t, []string{
		violations + `{endpoint="operators",kind="implausible_value",team="acme"} 0`,
		violations + `{endpoint="operators",kind="missing_field",team="acme"} 0`,
		violations + `{endpoint="operators",kind="unknown_field",team="acme"} 0`,
	}, of(samples, violations))
	samples, _ = scrape(t, newTeam(t, &violatingAPI{}, nil))
	assert.Empty(t, of(samples, violations))
}

// Read answers for the endpoint.
func (v *violatingAPI) Read(ctx context.Context, e chattonic.Endpoint, w chattonic.Window) (chattonic.Answer, error) {
	if e == chattonic.EndpointDashboard {
		return v.Dashboard(ctx, w)
	}
	return v.Operators(ctx, w)
}
