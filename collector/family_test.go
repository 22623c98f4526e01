package collector

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector/exposition"
)

// answered collects answers that are there.
type answered struct{ Answers }

func (answered) Describe(ch chan<- *prometheus.Desc) { new(Collector).Describe(ch) }

func (a answered) Collect(ch chan<- prometheus.Metric) {
	for _, p := range a.Answers {
		p.collect(ch)
	}
}

// registered is the page of a registry, as prometheus/common encodes it.
func registered(t *testing.T, answers Answers, openMetrics bool) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(answered{answers}))
	families, err := registry.Gather()
	require.NoError(t, err)
	var page bytes.Buffer
	for _, family := range families {
		if openMetrics {
			_, err = expfmt.MetricFamilyToOpenMetrics(&page, family)
		} else {
			_, err = expfmt.MetricFamilyToText(&page, family)
		}
		require.NoError(t, err)
	}
	return page.String()
}

// written is the page that is written without one.
func written(t *testing.T, answers Answers, openMetrics bool) string {
	t.Helper()
	var page strings.Builder
	writePage(t, &page, answers, openMetrics)
	return page.String()
}

func writePage(t testing.TB, out io.Writer, answers Answers, openMetrics bool) {
	t.Helper()
	w := exposition.NewWriter(out, openMetrics)
	defer w.Close()
	for _, family := range answers.Families() {
		family.Write(w)
	}
	require.NoError(t, w.Flush())
}

// someTeams are teams of strange operators, some of whom are in several teams or
// come twice, over several windows.
func someTeams(t *testing.T, r *rand.Rand) (teams []*Team) {
	t.Helper()
	texts := []string{"", "a", "a ", "a!", `a"b`, `a\b`, "a\nb", "Ana", "José", "Valentina Hernández López", "Valentina Hernández", "5f28000000aa", "5f28000000ab", "5f28000000ab\x00", "😀"}
	numbers := []float64{0, 1, -1, 480, 1e6, 1234567, 0.5, 12.345678, 1 << 53, 1<<53 + 2, 1e300, -45.67, math.Inf(1), math.Inf(-1), math.NaN()}
	text := func() chattonic.Text { return chattonic.Text(texts[r.IntN(len(texts))]) }
	number := func() (n chattonic.Number) {
		if r.IntN(4) > 0 {
			n = chattonic.NumberOf(numbers[r.IntN(len(numbers))])
		}
		return n
	}
	codenames := []string{"acme", "acme corp", `acme "2"`, "globex\n"}
	for i := range 1 + r.IntN(len(codenames)) {
		api := &fakeAPI{err: errDown, operators: map[string]*chattonic.Operators{}, dashboard: map[string]*chattonic.Dashboard{}}
		names := []string{"24h", "today", "1h"}[:1+r.IntN(3)]
		for _, name := range names {
			if r.IntN(8) == 0 {
				continue // and fails
			}
			answer := &chattonic.Operators{QueryPending: number()}
			for range r.IntN(60) {
				o := chattonic.Operator{
					ID: "x" + text(), DisplayName: text(), Profile: number(), OriginsName: text(), QueryInProgress: number(),
					Status:     chattonic.Text([]string{"", "online", "away", "offline", "unknown", "busy", "asleep", "zzz", "aaa"}[r.IntN(9)]),
					OnlineTime: number(), AwayTime: number(), FreeTime: number(), QueriesAssigned: number(), QueriesResolved: number(),
					SumDuration: number(), AvgDurationResolved: number(), NPS: number(), NumberOfResponsesNPS: number(),
				}
				if r.IntN(2) == 0 {
					o.LastConnection = chattonic.TimestampOf(noon.Add(time.Duration(r.IntN(1e6)) * time.Millisecond))
				}
				answer.Operators = append(answer.Operators, o)
			}
			api.operators[name] = answer
			rows := make([]chattonic.DashboardRow, r.IntN(4))
			for k := range rows {
				rows[k] = chattonic.DashboardRow{Date: text(), TotalUsers: number(), NewUsers: number(), ActiveUsers: number(), Pending: number(), Failed: number(), NPS: number(), CSAT: number()}
			}
			api.dashboard[name] = &chattonic.Dashboard{Rows: rows}
		}
		teams = append(teams, newTeam(t, api, func(s *Settings) {
			s.Codename, s.Windows = codenames[i], windows(t, names...)
			s.DurationUnit = []time.Duration{time.Second, time.Minute, time.Millisecond}[r.IntN(3)]
			s.HideOperatorNames, s.QueriesPendingThreshold = r.IntN(4) == 0, number()
		}))
	}
	return teams
}

func TestPageIsThatOfARegistry(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		answers := New(t.Context(), log.NewNopLogger(), func() time.Time { return noon }, someTeams(t, r)...).Fetch()
		for _, openMetrics := range []bool{false, true} {
			page := written(t, answers, openMetrics)
			require.Equal(t, sortedLines(registered(t, answers, openMetrics)), sortedLines(page), "seed %d", seed)
			requireGrouped(t, page)
		}
	}
}

// sortedLines returns the lines of a page without their order, of which no format
// says anything within a family.
func sortedLines(page string) []string { return slices.Sorted(strings.SplitSeq(page, "\n")) }

// requireGrouped requires that each sample follows the header of its family, and
// that each family has one header.
func requireGrouped(t *testing.T, page string) {
	t.Helper()
	seen, family := map[string]bool{}, ""
	for line := range strings.Lines(page) {
		if name, ok := strings.CutPrefix(line, "# HELP "); ok {
			family, _, _ = strings.Cut(name, " ")
			require.False(t, seen[family], "%s has two headers", family)
			seen[family] = true
			continue
		}
		require.True(t, strings.HasPrefix(line, "# TYPE "+family+" ") || strings.HasPrefix(line, family+"{"), "%q in %s", line, family)
	}
}

func TestPageOfManyOperators(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var all []chattonic.Operator
	for i := range 3000 {
		all = append(all, chattonic.Operator{
			ID: chattonic.Text(fmt.Sprintf("5f28%06x%014d", r.IntN(1<<24), i)), DisplayName: chattonic.Text(fmt.Sprint("Valentina ", r.IntN(5), " of the night ", r.IntN(500))),
			Status: "online", OnlineTime: chattonic.NumberOf(float64(r.IntN(1e6))), NPS: chattonic.NumberOf(float64(r.IntN(20000))/100 - 100),
		})
	}
	answers := New(t.Context(), log.NewNopLogger(), func() time.Time { return noon }, newTeam(t, operators("24h", all...), nil)).Fetch()
	assert.Equal(t, sortedLines(registered(t, answers, true)), sortedLines(written(t, answers, true)))
}

// pastNames are the metrics that a page of the past has.
func pastNames(t *testing.T, adjust func(*Settings)) (names []string) {
	t.Helper()
	answer := operators("24h", chattonic.Operator{
		ID: "a", Status: "online", QueryInProgress: chattonic.NumberOf(1), OnlineTime: chattonic.NumberOf(1), LastConnection: chattonic.TimestampOf(noon),
	})
	answer.operators["24h"].QueryPending = chattonic.NumberOf(3)
	answer.dashboard = map[string]*chattonic.Dashboard{"24h": {Rows: []chattonic.DashboardRow{{TotalUsers: chattonic.NumberOf(1), NewUsers: chattonic.NumberOf(1)}}}}
	team := newTeam(t, answer, func(s *Settings) {
		s.QueriesPendingThreshold = chattonic.NumberOf(3)
		adjust(s)
	})
	for _, family := range New(t.Context(), log.NewNopLogger(), func() time.Time { return noon }, team).Fetch().Families() {
		var page strings.Builder
		w := exposition.NewWriter(&page, true)
		family.Write(w)
		require.NoError(t, w.Flush())
		w.Close()
		if page.Len() > 0 && !family.Current {
			names = append(names, family.Name)
		}
	}
	return names
}

func TestPast(t *testing.T) {
	windowed := []string{
		"chattonic_dashboard_new_users", "chattonic_dashboard_rows", "chattonic_operator_online_seconds",
		"chattonic_window_end_timestamp_seconds", "chattonic_window_start_timestamp_seconds",
	}
	assert.ElementsMatch(t, append([]string{"chattonic_dashboard_users_all_time", "chattonic_operator_info"}, windowed...), pastNames(t, func(*Settings) {}))
	assert.ElementsMatch(t, windowed, pastNames(t, func(s *Settings) { s.WindowedOnly = true }))
}
