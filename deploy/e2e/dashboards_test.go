package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wallboardTeam is a team whose series a test invents: its name says its state.
type wallboardTeam struct {
	name                            string
	pending, atWork, resolved, open string // values; empty means no series, open means no business hours
	up                              string
	instance                        string
}

// wallboardTeams are one team of eight in each state, and one that is no longer configured. down
// belongs to an exporter that is down since five minutes.
var wallboardTeams = []wallboardTeam{
	{"above", "11x60", "2x60", "36x60", "", "1x60", "a"},
	{"closed", "5x60", "0x60", "36x60", "0x60", "1x60", "a"},
	{"down", "3x24 stale", "2x24 stale", "36x24 stale", "", "1x24 stale", "b"},
	{"failing", "", "", "", "", "0x60", "a"},
	{"idle", "0x60", "0x60", "36x60", "1x60", "1x60", "a"},
	{"near", "9x60", "2x60", "36x60", "1x60", "1x60", "a"},
	{"removed", "3x9 stale", "2x9 stale", "36x9 stale", "", "1x9 stale", "a"},
	{"unattended", "2x60", "0x60", "36x60", "1x60", "1x60", "a"},
	{"well", "3x60", "3x60", "36x60", "", "1x60", "a"},
}

// series returns the input series of a promtool test.
func (w wallboardTeam) series() (lines []string) {
	add := func(name, labels, values string) {
		if values == "" {
			return
		}
		all := fmt.Sprintf(`job="chattonic", instance=%q, team=%q%s`, w.instance, w.name, labels)
		first, rest, _ := strings.Cut(values, "x")
		lines = append(lines, fmt.Sprintf("      - {series: '%s{%s}', values: '%s+0x%s'}", name, all, first, rest))
	}
	add("chattonic_up", "", w.up)
	add("chattonic_queries_pending", "", w.pending)
	add("chattonic_within_business_hours", "", w.open)
	if w.pending == "" {
		return lines
	}
	for i := range 3 { // three operators, of whom the first ones are at work
		n, rest, _ := strings.Cut(w.atWork, "x")
		value := "0"
		if n > fmt.Sprint(i) {
			value = "1"
		}
		operator := fmt.Sprintf(`, operator_id="%d"`, i)
		add("chattonic_operator_at_work", operator, value+"x"+rest)
		add("chattonic_operator_queries_in_progress", operator, value+"x"+rest)
		add("chattonic_operator_queries_resolved", operator+`, window="1h"`, strings.Replace(w.resolved, "36x", "12x", 1))
	}
	_, rest, _ := strings.Cut(w.pending, "x")
	add("chattonic_window_end_timestamp_seconds", `, window="1h"`, "3600x"+rest)
	add("chattonic_window_start_timestamp_seconds", `, window="1h"`, "0x"+rest)
	return lines
}

// tileExpression returns the query of a panel of the wallboard for all teams.
func tileExpression(t *testing.T, title string) string {
	t.Helper()
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(readText(t, inRepository("dashboards", "chattonic-wallboard.json"))), &board))
	for _, p := range board.Panels {
		if p.Title == title {
			return strings.NewReplacer("$team", ".+", "$window", "1h").Replace(p.Targets[0].Expr)
		}
	}
	require.Fail(t, "no panel "+title)
	return ""
}

// TestWallboardTiles evaluates what the wallboard shows of teams in each state, half an hour after
// the start, with the rules of the repository.
func TestWallboardTiles(t *testing.T) {
	const red, orange, green, grey, purple = "#D55E00", "#E69F00", "#37872D", "#5A5A5A", "#8F5BD6"
	want := map[string][]string{ // tile, colour, value
		"Waiting now": {
			"▲ above limit: above " + red + " 11", "☾ closed: closed " + grey + " 5", "? no data: down " + purple + " -1", "? no data: failing " + purple + " -1", "✓ idle " + green + " 0",
			"● near limit: near " + orange + " 9", "▲ nobody at work: unattended " + red + " 2", "✓ well " + green + " 3",
		},
		"Time to drain": { // 36 resolved in an hour
			"● above " + orange + " 1100", "☾ closed " + grey + " -1", "? down " + purple + " -2", "? failing " + purple + " -2", "✓ idle " + green + " 0", "● near " + orange + " 900",
			"▲ unattended " + red + " -1", "✓ well " + green + " 300",
		},
		"At work": {
			"✓ above " + green + " 2", "☾ closed " + grey + " 0", "? down " + purple + " -1", "? failing " + purple + " -1", "☾ idle " + grey + " 0", "✓ near " + green + " 2",
			"▲ unattended " + red + " 0", "✓ well " + green + " 3",
		},
		"Load": {
			"▲ above " + red + " 6.5", "☾ closed " + grey + " -1", "? down " + purple + " -2", "? failing " + purple + " -2", "☾ idle " + grey + " -1", "▲ near " + red + " 5.5",
			"▲ unattended " + red + " -1", "✓ well " + green + " 2",
		},
	}

	var series []string
	for _, team := range wallboardTeams {
		series = append(series, team.series()...)
	}
	series = append(series, `      - {series: 'up{job="chattonic", instance="a"}', values: '1+0x60'}`, `      - {series: 'up{job="chattonic", instance="b"}', values: '1+0x24 0+0x35'}`)
	for title, tiles := range want {
		t.Run(title, func(t *testing.T) {
			expr := strings.ReplaceAll(tileExpression(t, title), "\n", " ")
			var samples []string
			for _, tile := range tiles {
				m := regexp.MustCompile(`^(.* (\w+)) (#\w+) (\S+)$`).FindStringSubmatch(tile)
				samples = append(samples, fmt.Sprintf(`          - {labels: '{team=%q, tile=%q, color=%q}', value: %s}`, m[2], m[1], m[3], m[4]))
			}
			quoted, err := json.Marshal(expr)
			require.NoError(t, err)
			file := writeText(t, filepath.Join(t.TempDir(), "wallboard.yml"), fmt.Sprintf(`rule_files: [%s]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
%s
    promql_expr_test:
      - expr: %s
        eval_time: 30m
        exp_samples:
%s
`, inRepository("deploy", "prometheus", "rules", "recording.yml"), strings.Join(series, "\n"), quoted, strings.Join(samples, "\n")))
			out, err := exec.CommandContext(t.Context(), program(t, "PROMTOOL_BIN", "bin", "promtool"), "test", "rules", file).CombinedOutput()
			require.NoError(t, err, string(out))
			assert.True(t, slices.IsSorted(tilesTeams(tiles)), "each tile of the expectation")
		})
	}
}

func tilesTeams(tiles []string) (teams []string) {
	for _, tile := range tiles {
		fields := strings.Fields(tile)
		teams = append(teams, fields[len(fields)-3])
	}
	return teams
}
