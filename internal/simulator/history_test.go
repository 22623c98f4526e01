package simulator_test

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/calendar"
	"chattonic_exporter/internal/simulator"
)

var zones = []string{"America/Argentina/Buenos_Aires", "America/Santiago", "Europe/Madrid", "UTC"}

// additive returns what of an operator adds up, durations in milliseconds.
func additive(t testing.TB, o chattonic.Operator) [7]int64 {
	t.Helper()
	millis := func(n chattonic.Number) int64 { return int64(math.Round(number(t, n) * 1000)) }
	return [7]int64{
		millis(o.OnlineTime), millis(o.AwayTime), millis(o.FreeTime), millis(o.SumDuration),
		millis(o.QueriesAssigned), millis(o.QueriesResolved), millis(o.NumberOfResponsesNPS),
	}
}

func additiveRow(t testing.TB, r chattonic.DashboardRow) (sums [5]float64) {
	t.Helper()
	for i, n := range []chattonic.Number{r.NewUsers, r.MessagesReceived, r.MessagesSent, r.Resolved, r.Failed} {
		sums[i] = number(t, n)
	}
	return sums
}

func sumRows(t testing.TB, rows ...chattonic.DashboardRow) (sums [5]float64) {
	t.Helper()
	for _, r := range rows {
		for i, v := range additiveRow(t, r) {
			sums[i] += v
		}
	}
	return sums
}

// requireAdditive checks one window, cut in two.
func requireAdditive(t *testing.T, w *world, start, cut, end time.Time) {
	t.Helper()
	first, second, whole := w.operators(start, cut), w.operators(cut, end), w.operators(start, end)
	require.Len(t, whole.Operators, len(first.Operators))
	for i, o := range whole.Operators {
		sum := additive(t, first.Operators[i])
		for j, v := range additive(t, second.Operators[i]) {
			sum[j] += v
		}
		require.Equal(t, additive(t, o), sum, "operator %d over %v, %v, %v", i, start, cut, end)
	}
	one, two, both := w.row(start, cut), w.row(cut, end), w.row(start, end)
	require.Equal(t, additiveRow(t, both), sumRows(t, one, two), "dashboard over %v, %v, %v", start, cut, end)

	active := number(t, both.ActiveUsers)
	assert.LessOrEqual(t, active, number(t, one.ActiveUsers)+number(t, two.ActiveUsers))
	assert.GreaterOrEqual(t, active, max(number(t, one.ActiveUsers), number(t, two.ActiveUsers)))
	assert.GreaterOrEqual(t, active, number(t, both.NewUsers))
	assert.Equal(t, number(t, both.NewUsers), number(t, two.TotalUsers)-number(t, w.row(start, start).TotalUsers))
	assert.Equal(t, number(t, both.MessagesReceived), number(t, both.TotalMessagesReceived)-number(t, w.row(start, start).TotalMessagesReceived))
	assert.Equal(t, number(t, both.MessagesSent), number(t, both.TotalMessagesSent)-number(t, w.row(start, start).TotalMessagesSent))
	assert.Equal(t, one.TotalUsers, w.row(cut, cut).TotalUsers)
}

// withScenarios has scenarios come and go, some time before the clock's present.
func withScenarios(t *testing.T, w *world, random *rand.Rand) {
	t.Helper()
	for _, scenario := range []simulator.Scenario{"backlog", "normal", "quiet", "normal", "backlog", "quiet", "backlog", "normal"} {
		require.NoError(t, w.SetScenario("", scenario))
		w.advance(time.Duration(random.Int64N(int64(2 * time.Hour))))
	}
}

func TestAnswersAddUp(t *testing.T) {
	for i, zone := range zones {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			location, err := time.LoadLocation(zone)
			require.NoError(t, err)
			// Near a change of the clocks in one zone or another.
			day := time.Date(2025, [...]time.Month{5, 4, 10, 9}[i], 1+random.IntN(6), 0, 0, 0, 0, location)
			w := newWorld(t, zone, day.Add(time.Duration(random.Int64N(int64(24*time.Hour)))),
				simulator.Team{Seed: seed, Operators: 1 + random.IntN(14)})
			withScenarios(t, w, random)
			now := w.Now()
			for range 8 {
				at := func() time.Time { return now.Add(-time.Duration(random.Int64N(int64(60 * time.Hour)))) }
				start, cut, end := at(), at(), at()
				if cut.Before(start) {
					start, cut = cut, start
				}
				if end.Before(cut) {
					cut, end = end, cut
				}
				if cut.Before(start) {
					start, cut = cut, start
				}
				requireAdditive(t, w, start.Truncate(time.Millisecond), cut.Truncate(time.Millisecond), end.Truncate(time.Millisecond))
			}
			for _, name := range []string{"1h", "24h", "today", "yesterday", "this_week", "this_month"} {
				spec, err := calendar.ParseWindow(name)
				require.NoError(t, err)
				window := spec.At(now.In(location))
				part := time.Duration(random.Int64N(int64(window.End.Sub(window.Start)))).Truncate(time.Millisecond)
				requireAdditive(t, w, window.Start, window.Start.Add(part), window.End)
			}
		})
	}
}

func TestBucketsAddUp(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	w := newWorld(t, zones[0], noon, simulator.Team{Seed: 5, Operators: 9, Buckets: true})
	withScenarios(t, w, random)
	start, end := w.Now().Add(-26*time.Hour-1234567*time.Microsecond).Truncate(time.Millisecond), w.Now()
	ask := func(format string) []chattonic.DashboardRow {
		client := newClient(t, w.transport, "acme", chattonic.WithDateFormatGroup(format))
		answer, err := client.Dashboard(t.Context(), chattonic.Window{Start: start, End: end})
		require.NoError(t, err)
		return answer.Rows
	}
	one := ask("0")
	require.Len(t, one, 1)
	require.Equal(t, chattonic.Text("0"), one[0].Date)
	assert.Positive(t, number(t, one[0].Resolved))
	for format, check := range map[string]struct {
		rows  int
		first string
	}{
		"%Y-%m-%d %H": {hoursTouched(start, end), start.UTC().Format("2006-01-02 15")},
		"%H":          {24, start.UTC().Format("15")},
		"%Y-%m-%d":    {int(end.Truncate(24*time.Hour).Sub(start.Truncate(24*time.Hour))/(24*time.Hour)) + 1, start.UTC().Format("2006-01-02")},
		"%Y 100%%":    {1, start.UTC().Format("2006") + " 100%"},
	} {
		rows := ask(format)
		require.Len(t, rows, check.rows, format)
		assert.Equal(t, check.first, rows[0].Date.String())
		assert.Equal(t, additiveRow(t, one[0]), sumRows(t, rows...), format)
	}
	// The same hours of several days are one bucket, whose users are distinct.
	active := 0.0
	for _, row := range ask("%H") {
		active += number(t, row.ActiveUsers)
	}
	assert.GreaterOrEqual(t, active, number(t, one[0].ActiveUsers))
	end = start
	assert.Len(t, ask("%H"), 1)
	assert.Len(t, ask("all"), 1)
}

func hoursTouched(start, end time.Time) int {
	return int(end.Add(time.Hour-1).Truncate(time.Hour).Sub(start.Truncate(time.Hour)) / time.Hour)
}

func TestWithoutBucketsThereIsOneRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "UTC", noon, simulator.Team{Operators: 3})
	assert.Equal(t, chattonic.Text("0"), w.row(noon.Add(-48*time.Hour), noon).Date)
}

// get returns the body of an answer as it came.
func (w *world) get(endpoint string, start, end time.Time) string {
	w.t.Helper()
	query := url.Values{"startDate": {date(start)}, "endDate": {date(end)}}
	if endpoint == "bigquery" {
		query.Set("dateFormatGroup", "%H")
		query.Set("queryName", "dashboard")
	}
	resp, body := w.do(http.MethodGet, "/api/v1/acme/stats/"+endpoint, query, nil)
	require.Equal(w.t, http.StatusOK, resp.StatusCode, body)
	return body
}

// do sends a request with the documented headers and those that are given.
func (w *world) do(method, path string, query url.Values, header map[string]string) (*http.Response, string) {
	w.t.Helper()
	req, err := http.NewRequest(method, baseURL+path+"?"+query.Encode(), http.NoBody)
	require.NoError(w.t, err)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := w.transport.RoundTrip(req)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return resp, string(body)
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func TestSameLogSameAnswers(t *testing.T) {
	t.Parallel()
	team := simulator.Team{Seed: 7, Operators: 12}
	one, other := newWorld(t, zones[0], noon, team), newWorld(t, zones[0], noon, team)
	for back := range 3 { // in another order
		other.get("operator", noon.Add(-time.Duration(back*7)*time.Hour), noon)
	}
	team.Seed = 8
	seed := newWorld(t, zones[0], noon, team)
	team.Seed, team.Operators = 7, 13
	size := newWorld(t, zones[0], noon, team)
	for _, endpoint := range []string{"operator", "bigquery"} {
		for _, back := range []time.Duration{time.Hour, 24 * time.Hour, 40 * time.Hour} {
			want := one.get(endpoint, noon.Add(-back), noon)
			assert.Equal(t, want, other.get(endpoint, noon.Add(-back), noon))
			assert.NotEqual(t, want, seed.get(endpoint, noon.Add(-back), noon))
			assert.NotEqual(t, want, size.get(endpoint, noon.Add(-back), noon))
		}
	}
}

func TestTheClockMayJump(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zones[0], noon, simulator.Team{Operators: 10})
	start := noon.Add(-6 * time.Hour)
	before := w.get("operator", start, noon)
	w.set(noon.Add(30 * time.Hour))
	assert.NotEqual(t, before, w.get("operator", start, noon.Add(time.Hour)))
	require.NoError(t, w.SetScenario("", simulator.ScenarioBacklog))
	w.advance(time.Hour)
	assert.Greater(t, number(t, w.operators(start, noon).QueryPending), 1000.0)
	w.set(noon.Add(-time.Hour))
	w.get("bigquery", start, noon)
	require.NoError(t, w.SetScenario("", simulator.ScenarioNormal)) // the backlog is yet to come, and goes
	w.set(noon)
	assert.Equal(t, before, w.get("operator", start, noon))
	w.set(noon.Add(31 * time.Hour))
	assert.Less(t, number(t, w.operators(start, noon).QueryPending), 100.0)
	require.NoError(t, w.SetScenario("", simulator.ScenarioBacklog))
	w.advance(-time.Minute)
	require.NoError(t, w.SetScenario("", simulator.ScenarioQuiet)) // which the backlog does not end
	w.advance(time.Hour)
	assert.Zero(t, number(t, w.operators(start, noon).QueryPending))
}

func TestNothingExistsAfterNowOrBeforeTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zones[0], noon, simulator.Team{Operators: 10})
	assert.Equal(t, w.get("operator", noon.Add(-time.Hour), noon), w.get("operator", noon.Add(-time.Hour), noon.Add(9*time.Hour)))
	assert.Equal(t, w.get("bigquery", noon.Add(-time.Hour), noon), w.get("bigquery", noon.Add(-time.Hour), noon.Add(9*time.Hour)))
	future := w.row(noon.Add(time.Hour), noon.Add(2*time.Hour))
	assert.Equal(t, [5]float64{}, additiveRow(t, future))
	assert.Equal(t, w.row(noon.Add(-time.Hour), noon).Pending, future.Pending)

	past := time.Date(2012, 1, 1, 0, 0, 0, 0, time.UTC)
	assert.Equal(t, [5]float64{}, additiveRow(t, w.row(past, past.Add(1000*time.Hour))))
	w.set(past)
	answer := w.operators(past.Add(-time.Hour), past)
	require.Len(t, answer.Operators, 10)
	for _, o := range answer.Operators {
		assert.Equal(t, [7]int64{}, additive(t, o))
	}
	assert.Positive(t, number(t, w.row(past.Add(-time.Hour), past).TotalUsers))
}

func TestValuesAgree(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zones[0], noon, simulator.Team{Seed: 3, Operators: 11})
	changed := map[string]bool{}
	for step := range 60 {
		w.advance(28*time.Minute + 123*time.Millisecond)
		switch step {
		case 20:
			require.NoError(t, w.SetScenario("", simulator.ScenarioBacklog))
		case 25:
			require.NoError(t, w.SetScenario("", simulator.ScenarioNormal))
		}
		window := time.Duration(1+step) * 17 * time.Minute
		answer, row := w.operators(w.Now().Add(-window), w.Now()), w.row(w.Now().Add(-window), w.Now())
		progress := 0.0
		for i, o := range answer.Operators {
			requireOperator(t, window, o)
			if i == 3 {
				assert.Empty(t, o.Status, "an account never used")
				assert.Equal(t, [7]int64{}, additive(t, o))
			}
			progress += number(t, o.QueryInProgress)
		}
		require.Equal(t, progress, number(t, row.Progress))
		require.Equal(t, number(t, answer.QueryPending), number(t, row.Pending))
		for _, score := range []chattonic.Number{row.UserEfficiency, row.Attention, row.Resolution, row.AttentionAndResolution, row.CSAT} {
			assert.GreaterOrEqual(t, number(t, score), 0.0)
			assert.LessOrEqual(t, number(t, score), 100.0)
		}
		assert.LessOrEqual(t, math.Abs(number(t, row.NPS)), 100.0)
		changed[fmt.Sprint(row, answer.QueryPending)] = true
	}
	assert.Len(t, changed, 60)
}

func requireOperator(t *testing.T, window time.Duration, o chattonic.Operator) {
	t.Helper()
	sums := additive(t, o)
	online, away, free := sums[0], sums[1], sums[2]
	require.LessOrEqual(t, online+away, window.Milliseconds())
	require.LessOrEqual(t, free, online)
	if resolved := number(t, o.QueriesResolved); resolved > 0 {
		require.Equal(t, number(t, o.SumDuration)/resolved, number(t, o.AvgDurationResolved))
	} else {
		require.Zero(t, number(t, o.AvgDurationResolved)+number(t, o.SumDuration))
	}
	require.LessOrEqual(t, math.Abs(number(t, o.NPS)), 100.0)
	require.LessOrEqual(t, number(t, o.NumberOfResponsesNPS), number(t, o.QueriesResolved))
	require.LessOrEqual(t, number(t, o.QueryInProgress), 3.0)
	require.Contains(t, []chattonic.Text{"online", "away", "offline", ""}, o.Status)
	if _, connected := o.LastConnection.Float64(); connected != (o.Status != "") {
		require.Fail(t, "only who has a status was ever connected", "%v", o)
	}
	if o.Status == "online" || o.Status == "away" {
		return
	}
	require.Zero(t, number(t, o.QueryInProgress))
}

func TestADayIsBelievable(t *testing.T) {
	t.Parallel()
	// Monday, 04:00 in Buenos Aires, and the days from there.
	monday := time.Date(2026, 5, 11, 7, 0, 0, 0, time.UTC)
	w := newWorld(t, zones[0], monday.AddDate(0, 0, 7), simulator.Team{Seed: 11, Operators: 30})
	weekday, weekend := w.row(monday, monday.AddDate(0, 0, 5)), w.row(monday.AddDate(0, 0, 5), monday.AddDate(0, 0, 7))
	assert.Less(t, number(t, weekend.Resolved)/2, 0.85*number(t, weekday.Resolved)/5)
	assert.InDelta(t, 42, number(t, weekday.NPS), 10)
	assert.Greater(t, number(t, weekday.Attention), 95.0)

	first, tuesday := w.row(monday, monday.AddDate(0, 0, 1)), w.row(monday.AddDate(0, 0, 1), monday.AddDate(0, 0, 2))
	assert.Greater(t, number(t, first.Resolved), 1.1*number(t, tuesday.Resolved))
	assert.Greater(t, number(t, first.MessagesReceived), 1.1*number(t, tuesday.MessagesReceived))

	night, midday := w.row(monday.Add(20*time.Hour), monday.Add(22*time.Hour)), w.row(monday.Add(8*time.Hour), monday.Add(10*time.Hour))
	assert.Greater(t, number(t, midday.Resolved), 2*number(t, night.Resolved))
	assert.Greater(t, number(t, midday.MessagesReceived), 2*number(t, night.MessagesReceived))

	most, pending, queues, empty := 0, 0.0, 0, 0
	for step := range 24 * 7 {
		w.set(monday.Add(time.Duration(step) * 43 * time.Minute))
		answer := w.operators(w.Now(), w.Now())
		online := online(answer.Operators)
		if step > 0 { // the first second of a day is before the first arrival
			assert.GreaterOrEqual(t, online, 2, w.Now())
		}
		most = max(most, online)
		pending += number(t, answer.QueryPending)
		if n := number(t, answer.QueryPending); n >= 4 {
			queues++
		} else if n == 0 {
			empty++
		}
	}
	assert.Greater(t, queues, 10, "queues form")
	assert.Greater(t, empty, 10, "and drain")
	assert.InDelta(t, 15, most, 4)
	assert.InDelta(t, 2, pending/24/7, 1.9)
	w.set(monday.AddDate(0, 0, 7))
	week := w.operators(monday, monday.AddDate(0, 0, 5))
	handled, resolved := 0.0, 0.0
	for _, o := range week.Operators {
		handled += number(t, o.SumDuration)
		resolved += number(t, o.QueriesResolved)
	}
	assert.InDelta(t, 480, handled/resolved, 60)
	assert.Equal(t, number(t, weekday.Resolved), resolved)
}

func TestLastConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, zones[0], noon, simulator.Team{Seed: 2, Operators: 8})
	before := map[chattonic.Text]float64{}
	backlog := false
	check := func() {
		for _, o := range w.operators(noon, noon).Operators {
			at, connected := o.LastConnection.Float64()
			if !connected {
				continue
			}
			login := time.UnixMilli(int64(at * 1000))
			assert.False(t, login.After(w.Now()))
			assert.Less(t, w.Now().Sub(login), 8*24*time.Hour)
			if backlog { // nobody came meanwhile, and so the last time stays
				assert.Equal(t, before[o.ID], at)
			}
			assert.GreaterOrEqual(t, at, before[o.ID])
			before[o.ID] = at
			if o.Status == "online" {
				// Online just after the login, and not just before it.
				assert.Positive(t, additive(t, w.find(o.ID, login, login.Add(time.Second)))[0])
				assert.Zero(t, additive(t, w.find(o.ID, login.Add(-time.Second), login))[0])
			}
		}
	}
	for range 8 {
		w.advance(397 * time.Minute)
		check()
	}
	require.NoError(t, w.SetScenario("", simulator.ScenarioBacklog))
	backlog = true
	for range 8 {
		w.advance(397 * time.Minute)
		check()
	}
	assert.Len(t, before, 7)
}

func (w *world) find(id chattonic.Text, start, end time.Time) chattonic.Operator {
	for _, o := range w.operators(start, end).Operators {
		if o.ID == id {
			return o
		}
	}
	require.Fail(w.t, "the operator is gone")
	return chattonic.Operator{}
}
