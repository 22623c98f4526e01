package check

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"chattonic_exporter/internal/config"
)

// maxShown is the maximum length of a text from the API, in characters.
const maxShown = 40

// text returns the report as text.
func (r *Report) text() string {
	var b strings.Builder
	succeeded := 0
	for i := range r.Teams {
		t := &r.Teams[i]
		if t.OK {
			succeeded++
		}
		t.text(&b)
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "All API requests succeeded for %d of %d teams. Total: %d series, and at most %s API calls per hour with %d Prometheus servers and a scrape interval of %s.\n",
		succeeded, len(r.Teams), r.Series, whole(r.CallsPerHour), r.Servers, time.Duration(r.ScrapeIntervalSeconds*float64(time.Second)))
	return b.String()
}

func (t *Team) text(b *strings.Builder) {
	if t.Error != "" {
		fmt.Fprintf(b, "Team %s: no request could be made: %s\n", t.Codename, t.Error)
		return
	}
	fmt.Fprintf(b, "Team %s\n", t.Codename)
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	line := func(name, value string) { fmt.Fprintf(w, "  %s\t%s\n", name, value) }
	line("reachable", answer(t.Reachable))
	line("token accepted", answer(t.TokenAccepted))
	if t.Operators != nil {
		line("operators", strconv.Itoa(*t.Operators)+t.statesText())
	}
	if t.DashboardRows != nil {
		line("dashboard rows", strconv.Itoa(*t.DashboardRows))
	}
	if t.DurationUnit != nil {
		t.DurationUnit.text(line)
	}
	line("series", strconv.Itoa(t.Series))
	line("API calls per hour", "at most "+whole(t.CallsPerHour))
	if t.MaxCallsPerMinute > 0 {
		limit := fmt.Sprintf("at most %d, and max_calls_per_minute is %d", t.CallsPerMinute, t.MaxCallsPerMinute)
		if t.CallsPerMinute > t.MaxCallsPerMinute {
			limit += ": TOO FEW, so raise it or set a ttl"
		}
		line("API calls per minute", limit)
	}
	_ = w.Flush() // a Builder returns no error

	fmt.Fprintf(w, "\n  ENDPOINT\tWINDOW\tFROM\tTO\tLATENCY\tANSWER\n")
	for _, c := range t.Calls {
		result := "OK"
		if c.Error != "" {
			result = c.Error
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%.3fs\t%s\n", c.Endpoint, c.Window, c.Start.Format(time.RFC3339), c.End.Format(time.RFC3339), c.LatencySeconds, result)
	}
	_ = w.Flush()
	t.differences(b)
}

// statesText lists the states with their counts.
func (t *Team) statesText() string {
	var all []string
	for _, s := range t.States {
		status := "without a status"
		if s.Status != "" {
			status = printable(s.Status)
		}
		all = append(all, fmt.Sprintf("%d %s", s.Operators, status))
	}
	if all == nil {
		return ""
	}
	return ": " + strings.Join(all, ", ")
}

// text adds lines with the possible units and the configured one.
func (d *DurationUnit) text(line func(name, value string)) {
	var units []string
	for _, u := range config.DurationUnits {
		possibility := "impossible"
		if slices.Contains(d.Possible, u.Name) {
			possibility = "possible"
		}
		units = append(units, u.Name+" "+possibility)
	}
	line("unit of times", fmt.Sprintf("%s (largest: %s %s in %s)", strings.Join(units, ", "), d.LargestField, number(d.LargestValue), d.LargestWindow))
	configured := d.Configured + ", which is possible"
	if !d.ConfiguredPossible {
		configured = d.Configured + ", which is IMPOSSIBLE: set duration_unit to a possible unit"
	}
	line("configured unit", configured)
}

// differences lists undocumented and implausible fields: each field once, with
// its windows.
func (t *Team) differences(b *strings.Builder) {
	var order []string
	windows := make(map[string][]string)
	record := func(c Call, problem, where string) {
		problem = c.Endpoint + ": " + problem
		if windows[problem] == nil {
			order = append(order, problem)
		}
		windows[problem] = append(windows[problem], where)
	}
	read := false
	for _, c := range t.Calls {
		read = read || c.Error == ""
		for _, field := range c.UnknownFields {
			record(c, field+" is unknown", c.Window)
		}
		for _, field := range c.MissingFields {
			record(c, field+" is missing", c.Window)
		}
		for _, i := range c.ImplausibleValues {
			record(c, i.Field+" "+i.Problem, fmt.Sprintf("%s: %d times", c.Window, i.Times))
		}
	}
	switch {
	case order != nil:
		b.WriteString("\n  Not as documented, or implausible:\n")
	case read:
		b.WriteString("\n  All answers are as documented, and plausible.\n")
	}
	for _, problem := range order {
		fmt.Fprintf(b, "  - %s (%s)\n", problem, strings.Join(windows[problem], ", "))
	}
}

func answer(yes *bool) string {
	switch {
	case yes == nil:
		return "not known"
	case *yes:
		return "yes"
	}
	return "no"
}

// whole returns a number of calls, rounded up.
func whole(v float64) string { return number(math.Ceil(v)) }

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// printable returns a text from the API without characters that control a
// terminal.
func printable(text string) string {
	shown := []rune(text)
	for i, c := range shown {
		if !unicode.IsPrint(c) {
			shown[i] = unicode.ReplacementChar
		}
	}
	if len(shown) > maxShown {
		return string(shown[:maxShown]) + "…"
	}
	return string(shown)
}
