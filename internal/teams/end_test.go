package teams

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/config"
)

// requests returns how many requests were counted for each team.
func requests(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	counted := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "chattonic_exporter_api_requests_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "team" {
					counted[l.GetValue()] += m.GetCounter().GetValue()
				}
			}
		}
	}
	return counted
}

func TestTeamThatGoesDuringItsScrapeLeavesNothingBehind(t *testing.T) {
	_, url := simulated(t)
	f, registry := newSet(t)
	both, globex := parse(t, url, "  - codename: acme\n  - codename: globex"), parse(t, url, "  - codename: globex")

	for range 2 { // the second time, the first has left nothing
		require.NoError(t, f.Apply(both))
		teams, release := f.Team("acme")
		require.NoError(t, f.Apply(globex))
		assert.Equal(t, []string{"acme"}, up(t, teams))
		release()
		assert.Equal(t, map[string]float64{"globex": 0}, requests(t, registry))
	}
}

func TestTeamThatIsBackBeforeItsScrapeEndsKeepsItsCounters(t *testing.T) {
	_, url := simulated(t)
	f, registry := newSet(t)
	require.NoError(t, f.Apply(parse(t, url, "  - codename: acme")))
	teams, release := f.Teams()
	require.NoError(t, f.Apply(parse(t, url, "  - codename: globex")))
	require.NoError(t, f.Apply(parse(t, url, "  - codename: acme")))
	assert.Equal(t, []string{"acme"}, up(t, teams))
	release()
	assert.Equal(t, map[string]float64{"acme": 2}, requests(t, registry))
}

// stubborn does not heed the end of its context, as a call does not that decodes
// a long answer.
type stubborn struct{ began, end chan struct{} }

func (s stubborn) Operators(context.Context, chattonic.Window) (*chattonic.Operators, error) {
	close(s.began)
	<-s.end
	return nil, chattonic.Error{Endpoint: chattonic.EndpointOperators, Cause: chattonic.CauseCanceled}
}

func (stubborn) Dashboard(context.Context, chattonic.Window) (*chattonic.Dashboard, error) {
	panic("not asked")
}

func TestTeamThatIsLongInEndingHoldsUpNoOther(t *testing.T) {
	_, url := simulated(t)
	f, _ := newSet(t)
	api := stubborn{make(chan struct{}), make(chan struct{})}
	slow := &member{
		config: config.Team{Codename: "slow"}, http: &http.Client{}, refs: 1, team: collector.NewTeam(collector.Settings{Codename: "slow"}),
		api: NewSharedAPI(api, SharedOptions{Timeout: time.Hour, Limit: semaphore.NewWeighted(1)}),
	}
	f.active = []*member{slow}
	scrape, leave := context.WithCancel(t.Context())
	go func() {
		<-api.began
		leave()
	}()
	_, err := slow.api.Read(scrape, chattonic.EndpointOperators, chattonic.Window{Name: "24h"})
	require.ErrorIs(t, err, context.Canceled)

	applied, next := make(chan error, 1), parse(t, url, "  - codename: acme")
	go func() { applied <- f.Apply(next) }()
	others := make(chan []string, 1)
	go func() {
		for len(f.Codenames()) == 0 || f.Codenames()[0] != "acme" {
			time.Sleep(time.Millisecond)
		}
		_, release := f.Teams()
		release()
		others <- f.Codenames()
	}()
	select {
	case codenames := <-others:
		assert.Equal(t, []string{"acme"}, codenames)
		assert.Empty(t, applied, "the end of the old team is waited for")
	case <-time.After(45 * time.Second):
		assert.Fail(t, "nobody is scraped while a team that was removed ends")
	}
	close(api.end)
	require.NoError(t, <-applied)
	if t.Failed() {
		<-others
	}
}

// Read answers for the endpoint.
func (s stubborn) Read(ctx context.Context, e chattonic.Endpoint, w chattonic.Window) (chattonic.Answer, error) {
	if e == chattonic.EndpointDashboard {
		return s.Dashboard(ctx, w)
	}
	return s.Operators(ctx, w)
}
