package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/calendar"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeAPI answers with what it is given, by the name of the window, or fails.
type fakeAPI struct {
	operators map[string]*chattonic.Operators
	dashboard map[string]*chattonic.Dashboard
	err       error
}

func (f *fakeAPI) Operators(_ context.Context, w chattonic.Window) (*chattonic.Operators, error) {
	if a := f.operators[w.Name]; a != nil {
		return &chattonic.Operators{Metadata: chattonic.Metadata{Window: w, ReceivedAt: w.End}, Operators: a.Operators, QueryPending: a.QueryPending}, nil
	}
	return nil, f.err
}

func (f *fakeAPI) Dashboard(_ context.Context, w chattonic.Window) (*chattonic.Dashboard, error) {
	if a := f.dashboard[w.Name]; a != nil {
		return &chattonic.Dashboard{Metadata: chattonic.Metadata{Window: w, ReceivedAt: w.End}, Rows: a.Rows}, nil
	}
	return nil, f.err
}

var errDown = errors.New("down")

// noon is the present of the tests.
var noon = time.Date(2021, 12, 1, 12, 0, 0, 0, time.UTC)

func newTeam(t *testing.T, api API, adjust func(*Settings)) *Team {
	t.Helper()
	s := Settings{
		Codename: "acme", API: api, Collectors: []chattonic.Endpoint{"operators", "dashboard"}, Windows: windows(t, "24h"),
		Location: time.UTC, DurationUnit: time.Second,
	}
	if adjust != nil {
		adjust(&s)
	}
	return NewTeam(s)
}

func windows(t *testing.T, names ...string) (specs []WindowSpec) {
	t.Helper()
	for _, name := range names {
		spec, err := calendar.ParseWindow(name)
		require.NoError(t, err)
		specs = append(specs, spec)
	}
	return specs
}

// scrape returns the samples as lines of the text format, without those whose
// value is a measured duration, and what was logged.
func scrape(t *testing.T, teams ...*Team) (samples []string, logged string) {
	t.Helper()
	var logs bytes.Buffer
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(New(t.Context(), log.NewLogfmtLogger(log.NewSyncWriter(&logs)), func() time.Time { return noon }, teams...)))
	samples = gathered(t, registry)
	return samples, logs.String()
}

func gathered(t *testing.T, registry *prometheus.Registry) (samples []string) {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		var text bytes.Buffer
		_, err := expfmt.MetricFamilyToText(&text, family)
		require.NoError(t, err)
		for line := range strings.Lines(text.String()) {
			if !strings.HasPrefix(line, "#") && !strings.Contains(line, "_duration_seconds{collector") {
				samples = append(samples, strings.TrimSuffix(line, "\n"))
			}
		}
	}
	return samples
}

// of returns the samples whose metric's name begins with a prefix.
func of(samples []string, prefix string) (some []string) {
	for _, sample := range samples {
		if strings.HasPrefix(sample, prefix) {
			some = append(some, sample)
		}
	}
	return some
}

func operators(window string, list ...chattonic.Operator) *fakeAPI {
	return &fakeAPI{err: errDown, operators: map[string]*chattonic.Operators{window: {Operators: list, QueryPending: chattonic.NumberOf(3)}}}
}

func dashboard(window string, rows ...chattonic.DashboardRow) *fakeAPI {
	return &fakeAPI{err: errDown, dashboard: map[string]*chattonic.Dashboard{window: {Rows: rows}}}
}

func only(names ...chattonic.Endpoint) func(*Settings) {
	return func(s *Settings) { s.Collectors = names }
}

func TestOperatorSamples(t *testing.T) {
	ana := chattonic.Operator{
		ID: "a1", DisplayName: `Ana "la jefa"`, Profile: chattonic.NumberOf(500), OriginsName: "all\nof them", Status: "online",
		LastConnection: chattonic.TimestampOf(noon.Add(-1500 * time.Millisecond)), QueryInProgress: chattonic.NumberOf(2),
		OnlineTime: chattonic.NumberOf(480), AwayTime: chattonic.NumberOf(61), FreeTime: chattonic.NumberOf(62),
		QueriesAssigned: chattonic.NumberOf(9), QueriesResolved: chattonic.NumberOf(8), SumDuration: chattonic.NumberOf(1000),
		AvgDurationResolved: chattonic.NumberOf(125.5), NPS: chattonic.NumberOf(-12.5), NumberOfResponsesNPS: chattonic.NumberOf(4),
	}
	samples, _ := scrape(t, newTeam(t, operators("24h", ana), only("operators")))
	assert.Equal(t, []string{
		`chattonic_api_contract_violations{endpoint="operators",kind="implausible_value",team="acme"} 0`,
		`chattonic_api_contract_violations{endpoint="operators",kind="missing_field",team="acme"} 0`,
		`chattonic_api_contract_violations{endpoint="operators",kind="unknown_field",team="acme"} 0`,
		`chattonic_operator_at_work{operator_id="a1",team="acme"} 1`,
		`chattonic_operator_away_seconds{operator_id="a1",team="acme",window="24h"} 61`,
		`chattonic_operator_free_seconds{operator_id="a1",team="acme",window="24h"} 62`,
		`chattonic_operator_info{operator="Ana \"la jefa\"",operator_id="a1",origins="all\nof them",profile="500",team="acme"} 1`,
		`chattonic_operator_last_connection_timestamp_seconds{operator_id="a1",team="acme"} 1.6383599985e+09`,
		`chattonic_operator_nps{operator_id="a1",team="acme",window="24h"} -12.5`,
		`chattonic_operator_nps_responses{operator_id="a1",team="acme",window="24h"} 4`,
		`chattonic_operator_online_seconds{operator_id="a1",team="acme",window="24h"} 480`,
		`chattonic_operator_queries_assigned{operator_id="a1",team="acme",window="24h"} 9`,
		`chattonic_operator_queries_in_progress{operator_id="a1",team="acme"} 2`,
		`chattonic_operator_queries_resolved{operator_id="a1",team="acme",window="24h"} 8`,
		`chattonic_operator_query_duration_average_seconds{operator_id="a1",team="acme",window="24h"} 125.5`,
		`chattonic_operator_query_duration_seconds{operator_id="a1",team="acme",window="24h"} 1000`,
		`chattonic_operator_status{operator_id="a1",status="away",team="acme"} 0`,
		`chattonic_operator_status{operator_id="a1",status="offline",team="acme"} 0`,
		`chattonic_operator_status{operator_id="a1",status="online",team="acme"} 1`,
		`chattonic_operator_status{operator_id="a1",status="unknown",team="acme"} 0`,
		`chattonic_queries_pending{team="acme"} 3`,
		`chattonic_scrape_collector_last_success_timestamp_seconds{collector="operators",team="acme",window="24h"} 1.63836e+09`,
		`chattonic_scrape_collector_success{collector="operators",team="acme",window="24h"} 1`,
		`chattonic_up{team="acme"} 1`,
		`chattonic_window_end_timestamp_seconds{team="acme",window="24h"} 1.63836e+09`,
		`chattonic_window_start_timestamp_seconds{team="acme",window="24h"} 1.6382736e+09`,
	}, samples)
}

func TestAbsentIsNoSampleAndZeroIsZero(t *testing.T) {
	samples, _ := scrape(t, newTeam(t, operators("24h", chattonic.Operator{ID: "a1", NPS: chattonic.NumberOf(0)}), only("operators")))
	assert.Equal(t, []string{
		`chattonic_operator_info{operator="",operator_id="a1",origins="",profile="",team="acme"} 1`,
		`chattonic_operator_nps{operator_id="a1",team="acme",window="24h"} 0`,
		`chattonic_operator_status{operator_id="a1",status="away",team="acme"} 0`,
		`chattonic_operator_status{operator_id="a1",status="offline",team="acme"} 0`,
		`chattonic_operator_status{operator_id="a1",status="online",team="acme"} 0`,
		`chattonic_operator_status{operator_id="a1",status="unknown",team="acme"} 1`,
	}, of(samples, "chattonic_operator"))
}

func TestStateThatNobodyDocumentedIsShownAsItself(t *testing.T) {
	samples, _ := scrape(t, newTeam(t, operators("24h", chattonic.Operator{ID: "a1", Status: "lunch"}), only("operators")))
	assert.Equal(t, []string{
		`chattonic_operator_status{operator_id="a1",status="away",team="acme"} 0`,
		`chattonic_operator_status{operator_id="a1",status="lunch",team="acme"} 1`,
		`chattonic_operator_status{operator_id="a1",status="offline",team="acme"} 0`,
		`chattonic_operator_status{operator_id="a1",status="online",team="acme"} 0`,
		`chattonic_operator_status{operator_id="a1",status="unknown",team="acme"} 0`,
	}, of(samples, "chattonic_operator_status"))
}

func TestStatesAtWorkAreConfigured(t *testing.T) {
	all := operators("24h",
		chattonic.Operator{ID: "a1", Status: "Online"}, chattonic.Operator{ID: "b2", Status: "busy"},
		chattonic.Operator{ID: "c3", Status: "away"}, chattonic.Operator{ID: "d4"})
	for _, test := range []struct {
		states []string
		want   [3]int
	}{{nil, [3]int{1, 0, 0}}, {[]string{"online", "BUSY"}, [3]int{1, 1, 0}}, {[]string{"away", "unknown"}, [3]int{0, 0, 1}}} {
		samples, _ := scrape(t, newTeam(t, all, func(s *Settings) {
			s.Collectors, s.AtWork = []chattonic.Endpoint{"operators"}, test.states
		}))
		// Whether an operator without a state is at work is not known.
		assert.Equal(t, []string{
			fmt.Sprintf(`chattonic_operator_at_work{operator_id="a1",team="acme"} %d`, test.want[0]),
			fmt.Sprintf(`chattonic_operator_at_work{operator_id="b2",team="acme"} %d`, test.want[1]),
			fmt.Sprintf(`chattonic_operator_at_work{operator_id="c3",team="acme"} %d`, test.want[2]),
		}, of(samples, "chattonic_operator_at_work"), test.states)
	}
}

func TestOperatorWhoComesTwiceIsShownOnce(t *testing.T) {
	samples, _ := scrape(t, newTeam(t, operators("24h",
		chattonic.Operator{ID: "a1", NPS: chattonic.NumberOf(1)},
		chattonic.Operator{ID: "b2", NPS: chattonic.NumberOf(2)},
		chattonic.Operator{ID: "a1", NPS: chattonic.NumberOf(3)},
	), only("operators")))
	assert.Equal(t, []string{
		`chattonic_operator_nps{operator_id="a1",team="acme",window="24h"} 1`,
		`chattonic_operator_nps{operator_id="b2",team="acme",window="24h"} 2`,
	}, of(samples, "chattonic_operator_nps"))
}

func TestDurationUnit(t *testing.T) {
	op := chattonic.Operator{
		ID: "a1", OnlineTime: chattonic.NumberOf(90), AwayTime: chattonic.NumberOf(90), FreeTime: chattonic.NumberOf(90),
		SumDuration: chattonic.NumberOf(90), AvgDurationResolved: chattonic.NumberOf(90), QueriesResolved: chattonic.NumberOf(90),
	}
	for unit, want := range map[time.Duration]string{time.Millisecond: "0.09", time.Second: "90", time.Minute: "5400"} {
		samples, _ := scrape(t, newTeam(t, operators("24h", op), func(s *Settings) { s.DurationUnit = unit }))
		scaled := of(samples, "chattonic_operator_")
		n := 0
		for _, sample := range scaled {
			name, _, _ := strings.Cut(sample, "{")
			switch {
			case strings.HasSuffix(name, "_seconds"):
				assert.True(t, strings.HasSuffix(sample, " "+want), sample)
				n++
			case strings.HasSuffix(name, "_resolved"):
				assert.True(t, strings.HasSuffix(sample, " 90"), sample)
			}
		}
		assert.Equal(t, 5, n, "durations of %s", unit)
	}
}

func TestDashboardSamples(t *testing.T) {
	row := chattonic.DashboardRow{
		Date: "0", TotalUsers: chattonic.NumberOf(1), TotalMessagesReceived: chattonic.NumberOf(2), TotalMessagesSent: chattonic.NumberOf(3),
		NewUsers: chattonic.NumberOf(4), ActiveUsers: chattonic.NumberOf(5), MessagesReceived: chattonic.NumberOf(6), MessagesSent: chattonic.NumberOf(7),
		Pending: chattonic.NumberOf(8), Progress: chattonic.NumberOf(9), Resolved: chattonic.NumberOf(10), Failed: chattonic.NumberOf(11),
		UserEfficiency: chattonic.NumberOf(12), Attention: chattonic.NumberOf(13), Resolution: chattonic.NumberOf(14),
		AttentionAndResolution: chattonic.NumberOf(15), NPS: chattonic.NumberOf(16), CSAT: chattonic.NumberOf(17),
	}
	samples, logged := scrape(t, newTeam(t, dashboard("24h", row), only("dashboard")))
	assert.Equal(t, []string{
		`chattonic_dashboard_active_users{team="acme",window="24h"} 5`,
		`chattonic_dashboard_attention{team="acme",window="24h"} 13`,
		`chattonic_dashboard_attention_and_resolution{team="acme",window="24h"} 15`,
		`chattonic_dashboard_csat{team="acme",window="24h"} 17`,
		`chattonic_dashboard_messages_received{team="acme",window="24h"} 6`,
		`chattonic_dashboard_messages_received_all_time{team="acme"} 2`,
		`chattonic_dashboard_messages_sent{team="acme",window="24h"} 7`,
		`chattonic_dashboard_messages_sent_all_time{team="acme"} 3`,
		`chattonic_dashboard_new_users{team="acme",window="24h"} 4`,
		`chattonic_dashboard_nps{team="acme",window="24h"} 16`,
		`chattonic_dashboard_queries{state="failed",team="acme",window="24h"} 11`,
		`chattonic_dashboard_queries{state="in_progress",team="acme",window="24h"} 9`,
		`chattonic_dashboard_queries{state="pending",team="acme",window="24h"} 8`,
		`chattonic_dashboard_queries{state="resolved",team="acme",window="24h"} 10`,
		`chattonic_dashboard_resolution{team="acme",window="24h"} 14`,
		`chattonic_dashboard_rows{team="acme",window="24h"} 1`,
		`chattonic_dashboard_user_efficiency{team="acme",window="24h"} 12`,
		`chattonic_dashboard_users_all_time{team="acme"} 1`,
	}, of(samples, "chattonic_dashboard"))
	assert.Empty(t, logged)
}

func TestSeveralDashboardRowsAreCombined(t *testing.T) {
	row := func(date string, n float64) chattonic.DashboardRow {
		v := chattonic.NumberOf(n)
		return chattonic.DashboardRow{
			Date: chattonic.Text(date), TotalUsers: v, TotalMessagesReceived: v, TotalMessagesSent: v, NewUsers: v, ActiveUsers: v, MessagesReceived: v,
			MessagesSent: v, Pending: v, Progress: v, Resolved: v, UserEfficiency: v, Attention: v, Resolution: v, AttentionAndResolution: v, NPS: v, CSAT: v,
		}
	}
	first := row("2021-11-30 22", 100)
	first.Failed = chattonic.NumberOf(7) // the only row that has it
	team := newTeam(t, dashboard("24h", row("2021-12-01 09", 10), first, row("2021-11-30 23", 1)), only("dashboard"))
	samples, logged := scrape(t, team)
	assert.Equal(t, []string{
		`chattonic_dashboard_messages_received{team="acme",window="24h"} 111`,
		`chattonic_dashboard_messages_received_all_time{team="acme"} 10`,
		`chattonic_dashboard_messages_sent{team="acme",window="24h"} 111`,
		`chattonic_dashboard_messages_sent_all_time{team="acme"} 10`,
		`chattonic_dashboard_new_users{team="acme",window="24h"} 111`,
		`chattonic_dashboard_queries{state="failed",team="acme",window="24h"} 7`,
		`chattonic_dashboard_queries{state="in_progress",team="acme",window="24h"} 111`,
		`chattonic_dashboard_queries{state="pending",team="acme",window="24h"} 111`,
		`chattonic_dashboard_queries{state="resolved",team="acme",window="24h"} 111`,
		`chattonic_dashboard_rows{team="acme",window="24h"} 3`,
		`chattonic_dashboard_users_all_time{team="acme"} 10`,
	}, of(samples, "chattonic_dashboard"))
	assert.Equal(t, 1, strings.Count(logged, "\n"))
	assert.Contains(t, logged, "level=warn")
	assert.Contains(t, logged, "date_format_group")
	_, logged = scrape(t, team)
	assert.Empty(t, logged, "the warning comes once")
}

// What no row has is absent from the sum, and not 0.
func TestAbsentInAllRowsIsAbsent(t *testing.T) {
	rows := []chattonic.DashboardRow{{Date: "1", Failed: chattonic.NumberOf(0)}, {Date: "2"}}
	samples, _ := scrape(t, newTeam(t, dashboard("24h", rows...), only("dashboard")))
	assert.Equal(t, []string{
		`chattonic_dashboard_queries{state="failed",team="acme",window="24h"} 0`,
		`chattonic_dashboard_rows{team="acme",window="24h"} 2`,
	}, of(samples, "chattonic_dashboard"))
}

// Answers are shared with other scrapes and with the status page, at the same
// time.
func TestAnswersStayAsTheyAre(t *testing.T) {
	rows := []chattonic.DashboardRow{{Date: "2"}, {Date: "3"}, {Date: "1"}}
	list := []chattonic.Operator{{ID: "b"}, {ID: "a"}, {ID: "b"}}
	api := operators("24h", list...)
	api.dashboard = dashboard("24h", rows...).dashboard
	scrape(t, newTeam(t, api, nil))
	assert.Equal(t, []chattonic.DashboardRow{{Date: "2"}, {Date: "3"}, {Date: "1"}}, rows)
	assert.Equal(t, []chattonic.Operator{{ID: "b"}, {ID: "a"}, {ID: "b"}}, list)
}

func TestRowsOfTheSameDateAreLatestLast(t *testing.T) {
	api := dashboard("24h", chattonic.DashboardRow{Date: "0", TotalUsers: chattonic.NumberOf(1)}, chattonic.DashboardRow{Date: "0", TotalUsers: chattonic.NumberOf(2)})
	samples, _ := scrape(t, newTeam(t, api, only("dashboard")))
	assert.Equal(t, []string{`chattonic_dashboard_users_all_time{team="acme"} 2`}, of(samples, "chattonic_dashboard_users"))
}

func TestDashboardWithoutRows(t *testing.T) {
	samples, logged := scrape(t, newTeam(t, dashboard("24h"), only("dashboard")))
	assert.Equal(t, []string{`chattonic_dashboard_rows{team="acme",window="24h"} 0`}, of(samples, "chattonic_dashboard"))
	assert.Empty(t, logged)
}

func TestFailedEndpointLeavesOnlyItsFailure(t *testing.T) {
	good := operators("24h", chattonic.Operator{ID: "a1"})
	bad := dashboard("24h", chattonic.DashboardRow{NewUsers: chattonic.NumberOf(1)})
	samples, logged := scrape(t, newTeam(t, good, nil), newTeam(t, bad, func(s *Settings) { s.Codename = "globex" }))
	assert.Equal(t, []string{
		`chattonic_scrape_collector_success{collector="dashboard",team="acme",window="24h"} 0`,
		`chattonic_scrape_collector_success{collector="dashboard",team="globex",window="24h"} 1`,
		`chattonic_scrape_collector_success{collector="operators",team="acme",window="24h"} 1`,
		`chattonic_scrape_collector_success{collector="operators",team="globex",window="24h"} 0`,
		`chattonic_up{team="acme"} 0`,
		`chattonic_up{team="globex"} 0`,
	}, append(of(samples, "chattonic_scrape_collector_success"), of(samples, "chattonic_up")...))
	for _, sample := range of(samples, "chattonic_dashboard") {
		assert.Contains(t, sample, `team="globex"`)
	}
	for _, sample := range append(of(samples, "chattonic_operator"), of(samples, "chattonic_queries")...) {
		assert.Contains(t, sample, `team="acme"`)
	}
	assert.Len(t, of(samples, "chattonic_scrape_collector_last_success"), 2, "none of what never answered")
	assert.Equal(t, 2, strings.Count(logged, "level=error"))
	assert.Contains(t, logged, "team=acme collector=dashboard windows=24h err=down")
	assert.Contains(t, logged, "team=globex collector=operators windows=24h err=down")
}

func TestLastSuccessOutlivesFailures(t *testing.T) {
	api := operators("24h", chattonic.Operator{ID: "a1"})
	team := newTeam(t, api, only("operators"))
	scrape(t, team)
	api.operators = nil
	samples, _ := scrape(t, team)
	assert.Equal(t, []string{
		`chattonic_scrape_collector_last_success_timestamp_seconds{collector="operators",team="acme",window="24h"} 1.63836e+09`,
		`chattonic_scrape_collector_success{collector="operators",team="acme",window="24h"} 0`,
	}, of(samples, "chattonic_scrape_collector"))
}

// Each window has its own last success, and its own failure.
func TestLastSuccessIsThatOfTheWindow(t *testing.T) {
	api := &fakeAPI{err: errDown, operators: map[string]*chattonic.Operators{"1h": {Operators: []chattonic.Operator{{ID: "a1"}}}}}
	team := newTeam(t, api, func(s *Settings) {
		s.Windows, s.Collectors = windows(t, "1h", "today"), []chattonic.Endpoint{"operators"}
	})
	for range 2 { // as what is remembered shows in the next scrape
		samples, _ := scrape(t, team)
		assert.Equal(t, []string{
			`chattonic_scrape_collector_last_success_timestamp_seconds{collector="operators",team="acme",window="1h"} 1.63836e+09`,
			`chattonic_scrape_collector_success{collector="operators",team="acme",window="1h"} 1`,
			`chattonic_scrape_collector_success{collector="operators",team="acme",window="today"} 0`,
		}, of(samples, "chattonic_scrape_collector"))
	}
}

// Two rows already cannot be combined.
func TestTwoRowsAreSeveral(t *testing.T) {
	one, two := chattonic.DashboardRow{Date: "1", NPS: chattonic.NumberOf(1)}, chattonic.DashboardRow{Date: "2", NPS: chattonic.NumberOf(2)}
	samples, logged := scrape(t, newTeam(t, dashboard("24h", one, two), only("dashboard")))
	assert.Empty(t, of(samples, "chattonic_dashboard_nps"))
	assert.Contains(t, logged, "the dashboard's answer has several rows")
}

func TestPresentComesFromTheFirstWindow(t *testing.T) {
	api := &fakeAPI{
		err: errDown,
		operators: map[string]*chattonic.Operators{
			"1h":    {Operators: []chattonic.Operator{{ID: "a1", Status: "online", NPS: chattonic.NumberOf(1)}}, QueryPending: chattonic.NumberOf(1)},
			"today": {Operators: []chattonic.Operator{{ID: "a1", Status: "away", NPS: chattonic.NumberOf(2)}}, QueryPending: chattonic.NumberOf(2)},
		},
		dashboard: map[string]*chattonic.Dashboard{
			"1h":    {Rows: []chattonic.DashboardRow{{TotalUsers: chattonic.NumberOf(1), NewUsers: chattonic.NumberOf(1)}}},
			"today": {Rows: []chattonic.DashboardRow{{TotalUsers: chattonic.NumberOf(2), NewUsers: chattonic.NumberOf(2)}}},
		},
	}
	team := newTeam(t, api, func(s *Settings) { s.Windows = windows(t, "1h", "today") })
	samples, _ := scrape(t, team)
	for _, want := range []string{
		`chattonic_operator_nps{operator_id="a1",team="acme",window="1h"} 1`,
		`chattonic_operator_nps{operator_id="a1",team="acme",window="today"} 2`,
		`chattonic_operator_status{operator_id="a1",status="online",team="acme"} 1`,
		`chattonic_queries_pending{team="acme"} 1`,
		`chattonic_dashboard_users_all_time{team="acme"} 1`,
		`chattonic_dashboard_new_users{team="acme",window="today"} 2`,
		`chattonic_window_start_timestamp_seconds{team="acme",window="1h"} 1.6383564e+09`,
		`chattonic_window_start_timestamp_seconds{team="acme",window="today"} 1.6383168e+09`,
		`chattonic_up{team="acme"} 1`,
	} {
		assert.Contains(t, samples, want)
	}

	delete(api.operators, "1h")
	samples, _ = scrape(t, team)
	assert.Empty(t, of(samples, "chattonic_queries_pending"), "the second window does not stand in for the first")
	assert.Empty(t, of(samples, "chattonic_operator_status"))
	assert.Contains(t, samples, `chattonic_up{team="acme"} 0`)
}

func TestWindowsFollowDelayAndTimeZone(t *testing.T) {
	zone, err := time.LoadLocation("America/Argentina/Buenos_Aires")
	require.NoError(t, err)
	team := newTeam(t, &fakeAPI{err: errDown}, func(s *Settings) {
		s.Windows, s.Location, s.Delay = windows(t, "today", "1h"), zone, 5*time.Minute
	})
	samples, _ := scrape(t, team)
	assert.Equal(t, []string{
		`chattonic_window_end_timestamp_seconds{team="acme",window="1h"} 1.6383597e+09`,
		`chattonic_window_end_timestamp_seconds{team="acme",window="today"} 1.6383597e+09`,
		`chattonic_window_start_timestamp_seconds{team="acme",window="1h"} 1.6383561e+09`,
		`chattonic_window_start_timestamp_seconds{team="acme",window="today"} 1.6383276e+09`, // 03:00 UTC
	}, of(samples, "chattonic_window"), "what was asked for is said although nothing was answered")
}

// sharedAPI answers with what an earlier scrape asked for.
type sharedAPI struct{ fakeAPI }

func (s *sharedAPI) Operators(ctx context.Context, w chattonic.Window) (*chattonic.Operators, error) {
	w.Start, w.End = w.Start.Add(-time.Minute), w.End.Add(-time.Minute)
	return s.fakeAPI.Operators(ctx, w)
}

// Read answers for the endpoint.
func (s *sharedAPI) Read(ctx context.Context, e chattonic.Endpoint, w chattonic.Window) (chattonic.Answer, error) {
	if e == chattonic.EndpointDashboard {
		return s.Dashboard(ctx, w)
	}
	return s.Operators(ctx, w)
}

func TestSharedAnswerSaysItsOwnWindow(t *testing.T) {
	api := &sharedAPI{*operators("24h")}
	samples, _ := scrape(t, newTeam(t, api, only("dashboard", "operators"))) // the first fails
	assert.Contains(t, samples, `chattonic_window_end_timestamp_seconds{team="acme",window="24h"} 1.63835994e+09`)
	assert.Contains(t, samples, `chattonic_scrape_collector_last_success_timestamp_seconds{collector="operators",team="acme",window="24h"} 1.63835994e+09`)
}

// What is old must not hide behind what is new.
func TestWindowIsThatOfTheOldestAnswer(t *testing.T) {
	api := &sharedAPI{*operators("24h")}
	api.dashboard = dashboard("24h").dashboard
	for _, order := range [][]chattonic.Endpoint{{"dashboard", "operators"}, {"operators", "dashboard"}} {
		samples, _ := scrape(t, newTeam(t, api, only(order...)))
		assert.Contains(t, samples, `chattonic_window_end_timestamp_seconds{team="acme",window="24h"} 1.63835994e+09`)
	}
}

func TestPausesAreShownWhileTheyLast(t *testing.T) {
	until := noon.Add(time.Minute)
	paused := newTeam(t, operators("24h"), func(s *Settings) {
		s.Windows = windows(t, "24h", "today")
		s.PausedUntil = func(e chattonic.Endpoint) time.Time {
			if e == chattonic.EndpointOperators {
				return until
			}
			return time.Time{}
		}
	})
	samples, _ := scrape(t, paused, newTeam(t, operators("24h"), func(s *Settings) { s.Codename = "globex" }))
	assert.Equal(t, []string{`chattonic_api_paused_until_timestamp_seconds{endpoint="operators",team="acme"} 1.63836006e+09`}, of(samples, "chattonic_api_paused"))
	until = time.Time{}
	samples, _ = scrape(t, paused)
	assert.Empty(t, of(samples, "chattonic_api_paused"))
}

func TestThresholdIsShownWhereItIsSet(t *testing.T) {
	with := newTeam(t, &fakeAPI{err: errDown}, func(s *Settings) { s.QueriesPendingThreshold = chattonic.NumberOf(10) })
	without := newTeam(t, &fakeAPI{err: errDown}, func(s *Settings) { s.Codename = "globex" })
	samples, _ := scrape(t, with, without)
	assert.Equal(t, []string{`chattonic_queries_pending_threshold{team="acme"} 10`}, of(samples, "chattonic_queries_pending"))
}

// hangingAPI answers when its scrape is over, or when all of want are waiting.
type hangingAPI struct {
	mu      sync.Mutex
	waiting int
	want    int
	all     chan struct{}
}

func (h *hangingAPI) wait(ctx context.Context) error {
	h.mu.Lock()
	if h.waiting++; h.waiting == h.want {
		close(h.all)
	}
	h.mu.Unlock()
	select {
	case <-h.all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *hangingAPI) Operators(ctx context.Context, w chattonic.Window) (*chattonic.Operators, error) {
	return &chattonic.Operators{Metadata: chattonic.Metadata{Window: w}}, h.wait(ctx)
}

func (h *hangingAPI) Dashboard(ctx context.Context, w chattonic.Window) (*chattonic.Dashboard, error) {
	return &chattonic.Dashboard{Metadata: chattonic.Metadata{Window: w}}, h.wait(ctx)
}

func TestAllIsAskedAtTheSameTime(t *testing.T) {
	api := &hangingAPI{want: 3 * 2 * 2, all: make(chan struct{})}
	var teams []*Team
	for i := range 3 {
		teams = append(teams, newTeam(t, api, func(s *Settings) {
			s.Codename, s.Windows = fmt.Sprint("team", i), windows(t, "1h", "24h")
		}))
	}
	samples, _ := scrape(t, teams...) // would hang if one waited for another
	assert.Len(t, of(samples, "chattonic_scrape_collector_success"), 12)
	assert.NotContains(t, strings.Join(of(samples, "chattonic_up"), "\n"), " 0")
}

func TestScrapeEndsWithItsContext(t *testing.T) {
	api := &hangingAPI{want: -1, all: make(chan struct{})}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(New(ctx, log.NewNopLogger(), nil, newTeam(t, api, nil)))
	begin := time.Now()
	families, err := registry.Gather()
	require.NoError(t, err)
	assert.Less(t, time.Since(begin), 5*time.Second)
	assert.Contains(t, fmt.Sprint(families), "chattonic_up")
}

func TestMetricsAreNamedWell(t *testing.T) {
	percentOrMinutes := func(family *dto.MetricFamily) (problems []error) { // promlint misses these units
		for _, part := range strings.Split(family.GetName(), "_") {
			switch part {
			case "percent", "percentage", "min", "mins", "minutes", "ms", "hours":
				problems = append(problems, fmt.Errorf("%q is no base unit", part))
			}
		}
		return problems
	}
	windowed := func(family *dto.MetricFamily) (problems []error) { // a gauge must not look like a counter
		for _, suffix := range []string{"_total", "_count", "_sum", "_bucket"} {
			if family.GetType() == dto.MetricType_GAUGE && strings.HasSuffix(family.GetName(), suffix) {
				problems = append(problems, errors.New("a gauge that looks like a counter"))
			}
		}
		return problems
	}
	for _, m := range Metrics() {
		kind := dto.MetricType(dto.MetricType_value[strings.ToUpper(m.Type)])
		name := strings.Replace(m.Name, "_business_hours", "_business_time", 1) // which are no unit
		lint := promlint.NewWithMetricFamilies([]*dto.MetricFamily{{Name: &name, Help: &m.Help, Type: &kind, Metric: []*dto.Metric{{}}}})
		lint.AddCustomValidations(percentOrMinutes, windowed)
		problems, err := lint.Lint()
		require.NoError(t, err)
		assert.Empty(t, problems)
		assert.True(t, strings.HasPrefix(m.Name, "chattonic_"), m.Name)
		assert.True(t, strings.HasSuffix(m.Help, "."), m.Help)
		for _, l := range m.Labels {
			assert.True(t, model.LegacyValidation.IsValidLabelName(l), l)
		}
	}
}

func TestHelpEndsWithTheAPIField(t *testing.T) {
	help := make(map[string]string)
	for _, m := range Metrics() {
		require.NotContains(t, help, m.Name, "a metric is one row")
		help[m.Name] = m.Help
	}
	for name, end := range map[string]string{
		"chattonic_operator_info":           "API field: _id, displayName, profile, originsName.",
		"chattonic_operator_status":         "API field: status.",
		"chattonic_operator_at_work":        "API field: status. Configuration key: at_work.",
		"chattonic_operator_online_seconds": "API field: onlineTime.",
		"chattonic_operator_nps_responses":  "API field: numberOfResponsesNps.",
		"chattonic_queries_pending":         "API field: queryPending.",
		"chattonic_dashboard_queries":       "API field: pending, progress, resolved, failed.",
	} {
		assert.True(t, strings.HasSuffix(help[name], end), help[name])
	}
}

func TestRowWithoutAFieldPanics(t *testing.T) {
	assert.PanicsWithValue(t, "collector: an accessor of chattonic.Operator does not return one of its fields: set the row's source", func() {
		newTable("", nil, row[chattonic.Operator]{name: "x", values: single(func(*chattonic.Operator) number { return chattonic.NumberOf(1) })})
	})
}

// Read answers for the endpoint.
func (f *fakeAPI) Read(ctx context.Context, e chattonic.Endpoint, w chattonic.Window) (chattonic.Answer, error) {
	if e == chattonic.EndpointDashboard {
		return f.Dashboard(ctx, w)
	}
	return f.Operators(ctx, w)
}

// Read answers for the endpoint.
func (h *hangingAPI) Read(ctx context.Context, e chattonic.Endpoint, w chattonic.Window) (chattonic.Answer, error) {
	if e == chattonic.EndpointDashboard {
		return h.Dashboard(ctx, w)
	}
	return h.Operators(ctx, w)
}
