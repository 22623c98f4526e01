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

// maxShown is how many characters of a text of the API are shown to people.
const maxShown = 40

// text returns the report for people.
func (r *Report) text() string {
	var b strings.Builder
	read := 0
	for i := range r.Teams {
		t := &r.Teams[i]
		if t.OK {
			read++
		}
		t.text(&b)
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "All was read of %d of %d teams. Together: %d series, and at most %s calls to the API in an hour, with %d Prometheus servers that scrape every %s.\n",
		read, len(r.Teams), r.Series, whole(r.CallsPerHour), r.Servers, time.Duration(r.ScrapeIntervalSeconds*float64(time.Second)))
	return b.String()
}

func (t *Team) text(b *strings.Builder) {
	if t.Error != "" {
		fmt.Fprintf(b, "Team %s cannot be asked: %s\n", t.Codename, t.Error)
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
	line("calls per hour", "at most "+whole(t.CallsPerHour))
	_ = w.Flush() // a Builder takes all

	fmt.Fprintf(w, "\n  ENDPOINT\tWINDOW\tFROM\tTO\tLATENCY\tANSWER\n")
	for _, c := range t.Calls {
		outcome := "read"
		if c.Error != "" {
			outcome = c.Error
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%.3fs\t%s\n", c.Endpoint, c.Window, c.Start.Format(time.RFC3339), c.End.Format(time.RFC3339), c.LatencySeconds, outcome)
	}
	_ = w.Flush()
	t.departures(b)
}

// statesText counts the states.
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

// text says of each unit whether it can be, and of the configured one.
func (d *DurationUnit) text(line func(name, value string)) {
	var verdicts []string
	for _, u := range config.DurationUnits {
		verdict := "impossible"
		if slices.Contains(d.Possible, u.Name) {
			verdict = "possible"
		}
		verdicts = append(verdicts, u.Name+" "+verdict)
	}
	line("unit of times", fmt.Sprintf("%s (by the largest, %s %s in %s)", strings.Join(verdicts, ", "), d.LargestField, number(d.LargestValue), d.LargestWindow))
	configured := d.Configured + ", which is possible"
	if !d.ConfiguredPossible {
		configured = d.Configured + ", which is IMPOSSIBLE: set duration_unit to a possible one"
	}
	line("configured unit", configured)
}

// departures says what is not as documented: each thing once, with the windows
// that show it.
func (t *Team) departures(b *strings.Builder) {
	var order []string
	windows := make(map[string][]string)
	note := func(c Call, what, where string) {
		what = c.Endpoint + ": " + what
		if windows[what] == nil {
			order = append(order, what)
		}
		windows[what] = append(windows[what], where)
	}
	read := false
	for _, c := range t.Calls {
		read = read || c.Error == ""
		for _, field := range c.UnknownFields {
			note(c, field+" is unknown", c.Window)
		}
		for _, field := range c.MissingFields {
			note(c, field+" is missing", c.Window)
		}
		for _, i := range c.ImplausibleValues {
			note(c, i.Field+" "+i.Problem, fmt.Sprintf("%s: %d times", c.Window, i.Times))
		}
	}
	switch {
	case order != nil:
		b.WriteString("\n  Not as documented, or implausible:\n")
	case read:
		b.WriteString("\n  All that was read is as documented, and plausible.\n")
	}
	for _, what := range order {
		fmt.Fprintf(b, "  - %s (%s)\n", what, strings.Join(windows[what], ", "))
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

// whole returns a number of calls, which are whole ones.
func whole(v float64) string { return number(math.Ceil(v)) }

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// printable returns a text of the API as it may stand on a terminal.
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
