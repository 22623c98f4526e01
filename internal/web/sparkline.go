package web

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"chattonic_exporter/internal/teams"
)

// The size of a sparkline in its own units.
const sparklineWidth, sparklineHeight = 180, 40

// sparkline draws the queries waiting and the operators at work of the last hours. Where
// there is no point for longer than gap, there is no line.
type sparkline struct {
	trend []teams.Point
	now   time.Time
	gap   time.Duration
	limit float64
	// step is the time that one point of the line stands for. It shows the maximum.
	step time.Duration
}

// SVG returns the lines, or nothing if there are fewer than two points.
func (s sparkline) SVG() template.HTML {
	if len(s.trend) < 2 {
		return ""
	}
	highest := max(s.limit, 1)
	for _, p := range s.trend {
		waiting, _ := p.Waiting.Float64()
		highest = max(highest, waiting, float64(p.AtWork))
	}
	y := func(v float64) float64 { return sparklineHeight - 1 - v/highest*(sparklineHeight-2) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="sparkline" viewBox="0 0 %d %d" preserveAspectRatio="none" aria-hidden="true" focusable="false">`, sparklineWidth, sparklineHeight)
	fmt.Fprintf(&b, `<line class="limit" x1="0" x2="%d" y1="%.1f" y2="%.1f"/>`, sparklineWidth, y(s.limit), y(s.limit))
	s.line(&b, "at-work", y, func(p teams.Point) (float64, bool) { return float64(p.AtWork), true })
	s.line(&b, "waiting", y, func(p teams.Point) (float64, bool) { return p.Waiting.Float64() })
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // It consists of numbers.
}

func (s sparkline) line(b *strings.Builder, class string, y func(float64) float64, value func(teams.Point) (float64, bool)) {
	fmt.Fprintf(b, `<path class="%s" d="`, class)
	start := s.now.Add(-teams.TrendSpan)
	command, last := "M", time.Time{}
	for i := 0; i < len(s.trend); {
		p := s.trend[i]
		highest, present := value(p)
		end := p.At.Truncate(s.step).Add(s.step)
		at := p.At
		for i++; i < len(s.trend) && s.trend[i].At.Before(end); i++ {
			if v, ok := value(s.trend[i]); ok {
				highest, present = math.Max(highest, v), true
			}
			at = s.trend[i].At
		}
		if !present || !last.IsZero() && p.At.Sub(last) > s.gap {
			command = "M"
		}
		last = at
		if !present {
			continue
		}
		x := float64(at.Sub(start)) / float64(teams.TrendSpan) * sparklineWidth
		fmt.Fprintf(b, "%s%.1f %.1f", command, max(0, x), y(highest))
		command = "L"
	}
	b.WriteString(`"/>`)
}
