package web

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/calendar"
	"chattonic_exporter/internal/teams"
)

// flow is a queue that was seen each minute until noon: for each minute the queries waiting,
// and those assigned today until then.
type flow struct {
	waiting, assigned []float64
	free              int
}

func (f flow) history() teams.Snapshot {
	h := teams.Snapshot{ScrapeInterval: time.Minute}
	for i := range f.waiting {
		at := noon.Add(time.Duration(i-len(f.waiting)+1) * time.Minute)
		h.Trend = append(h.Trend, teams.Point{At: at, Waiting: chattonic.NumberOf(f.waiting[i]), AtWork: f.free + 1, Free: f.free})
		h.Assigned = append(h.Assigned, teams.Count{At: at.Add(10 * time.Millisecond), Value: f.assigned[i]})
	}
	return h
}

// line returns n numbers from first in equal steps.
func line(first, step float64, n int) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = first + step*float64(i)
	}
	return all
}

// forecasts returns the forecasts for a queue with a limit.
func forecasts(h teams.Snapshot, limit float64, change func(q *queue)) []string {
	last := h.Trend[len(h.Trend)-1]
	q := &queue{t: inEnglish(), history: h, now: noon, Limit: limit, aging: aging{Received: last.At, Shown: near}, status: teams.Status{Forecasts: true, Team: collector.NewTeam(collector.Settings{})}}
	q.waiting, _ = last.Waiting.Float64()
	if change != nil {
		change(q)
	}
	return q.Forecasts()
}

func TestForecastOfTheLimit(t *testing.T) {
	rising := flow{waiting: line(2, 2, 11), assigned: line(100, 1, 11)} // 2 to 22 in 10 minutes: 10 assigned, 30 arrived
	const want = "+20 in 10 min: the limit in about 4"
	assert.Equal(t, []string{want}, forecasts(rising.history(), 30, nil))
	for name, change := range map[string]func(q *queue){
		"not enabled":    func(q *queue) { q.status.Forecasts = false },
		"data is old":    func(q *queue) { q.Shown = old },
		"unknown":        func(q *queue) { q.Shown = unknown },
		"closed":         func(q *queue) { q.Shown = closed },
		"answers reused": func(q *queue) { q.status.TTL = map[chattonic.Endpoint]time.Duration{"operators": time.Second} },
		"beyond it":      func(q *queue) { q.Limit = 22 },
		"too far away":   func(q *queue) { q.Limit = 22 + 61 },
		"started lately": func(q *queue) { q.history.Trend = q.history.Trend[3:] },
		"a gap":          func(q *queue) { q.history.Trend = append(q.history.Trend[:3:3], q.history.Trend[7:]...) },
		"midnight":       func(q *queue) { q.history.Assigned[5].Value = 0 },
		"no today":       func(q *queue) { q.history.Assigned = nil },
	} {
		assert.Empty(t, forecasts(rising.history(), 30, change), name)
	}
	assert.Equal(t, []string{"+20 in 10 min: the limit in about 30"}, forecasts(rising.history(), 22+60, nil), "just near enough")

	// Of 100 assigned and 100+rise arrived, a rise up to 2√(200+rise) is chance.
	for rise, found := range map[float64]bool{30: false, 31: true} {
		chance := flow{waiting: line(0, rise/10, 11), assigned: line(0, 10, 11)}
		assert.Len(t, forecasts(chance.history(), 40, nil), map[bool]int{true: 1}[found], rise)
	}
	falling := flow{waiting: line(22, -2, 11), assigned: line(0, 3, 11)}
	assert.Empty(t, forecasts(falling.history(), 30, nil))
	assert.Equal(t, []string{"−20 in 10 min: empty in about 1"}, forecasts(falling.history(), 0, nil))
}

func TestForecastOfTheRouting(t *testing.T) {
	idle := flow{waiting: line(3, 0, 5), assigned: line(100, 0, 5), free: 2}
	assert.Equal(t, []string{"3 wait, 2 are free, 4 min: check the routing"}, forecasts(idle.history(), 10, nil))
	busy := idle
	busy.free = 0
	assert.Empty(t, forecasts(busy.history(), 10, nil))
	empty := idle
	empty.waiting = line(0, 0, 5)
	assert.Empty(t, forecasts(empty.history(), 10, nil))
	for since, want := range map[int][]string{ // the last assignment
		2: {"3 wait, 2 are free, 2 min: check the routing"},
		3: nil,
	} {
		f := flow{waiting: line(3, 0, 5), assigned: line(101, 0, 5), free: 2}
		for i := range since {
			f.assigned[i] = 100
		}
		assert.Equal(t, want, forecasts(f.history(), 10, nil), since)
	}
}

func TestMeanWait(t *testing.T) {
	steady := flow{waiting: line(6, 0, 121), assigned: line(0, 2, 121)} // 6 wait, 2 a minute are assigned
	wait, known := meanWait(steady.history())
	assert.True(t, known)
	assert.Equal(t, 3*time.Minute, wait)

	recent := flow{waiting: append(line(100, 0, 60), line(6, 0, 61)...), assigned: line(0, 2, 121)}
	wait, known = meanWait(recent.history())
	assert.True(t, known)
	assert.Equal(t, 3*time.Minute, wait, "of the last hour")

	for name, f := range map[string]flow{
		"too short":        {waiting: line(6, 0, 30), assigned: line(0, 2, 30)},
		"nothing assigned": {waiting: line(6, 0, 61), assigned: line(7, 0, 61)},
		"midnight":         {waiting: line(6, 0, 61), assigned: append(line(500, 2, 30), line(0, 2, 31)...)},
	} {
		_, known := meanWait(f.history())
		assert.False(t, known, name)
	}
	omitted := steady.history()
	omitted.Trend[100].Waiting = chattonic.Number{}
	_, known = meanWait(omitted)
	assert.False(t, known)
	_, known = meanWait(teams.Snapshot{})
	assert.False(t, known)
}

func TestSparkline(t *testing.T) {
	var trend []teams.Point
	for i := range 181 {
		if i < 60 || i > 90 {
			trend = append(trend, teams.Point{At: noon.Add(time.Duration(i-180) * time.Minute), Waiting: chattonic.NumberOf(float64(i % 5)), AtWork: 3})
		}
	}
	svg := string(sparkline{trend, noon, 3 * time.Minute, 8, 4 * time.Minute}.SVG())
	paths := regexp.MustCompile(`<path class="(at-work|waiting)" d="([^"]*)"/>`).FindAllStringSubmatch(svg, -1)
	assert.Len(t, paths, 2)
	for _, path := range paths {
		assert.Equal(t, 2, strings.Count(path[2], "M"), "no line where nothing is known: %s", path[2])
		assert.LessOrEqual(t, strings.Count(path[2], "L"), 180/4+2, "one point for each step")
		for _, xy := range regexp.MustCompile(`[ML]([\d.]+) ([\d.]+)`).FindAllStringSubmatch(path[2], -1) {
			var x, y float64
			_, err := fmt.Sscan(xy[1], &x)
			require.NoError(t, err)
			_, err = fmt.Sscan(xy[2], &y)
			require.NoError(t, err)
			assert.True(t, x >= 0 && x <= sparklineWidth && y >= 0 && y <= sparklineHeight, xy[0])
		}
	}
	assert.Contains(t, paths[1][2], "L180.0 ", "the last point is now")
	assert.Empty(t, sparkline{trend[:1], noon, time.Minute, 8, time.Minute}.SVG())
	assert.NotContains(t, string(sparkline{[]teams.Point{{At: noon.Add(-time.Hour)}, {At: noon}}, noon, 3 * time.Hour, 0, time.Minute}.SVG()), "NaN")
}

func TestPageWindow(t *testing.T) {
	settings := collector.Settings{}
	for _, name := range []string{"24h", "today", "1h"} {
		w, err := calendar.ParseWindow(name)
		require.NoError(t, err)
		settings.Windows = append(settings.Windows, w)
	}
	team := collector.NewTeam(settings)
	assert.Equal(t, []string{"today", "1h", "24h", "today"}, []string{pageWindow(team, ""), pageWindow(team, "1h"), pageWindow(team, "24h"), pageWindow(team, "2h")})
	settings.Windows = settings.Windows[:1]
	assert.Equal(t, "24h", pageWindow(collector.NewTeam(settings), ""))
}
