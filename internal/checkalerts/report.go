package checkalerts

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Status is the outcome of a check.
type Status string

// What a finding can be. Only Failed makes the command fail.
const (
	// OK is as it should be.
	OK Status = "ok"
	// Warning is something to know that keeps no alert about a queue from a person.
	Warning Status = "warning"
	// Failed would keep an alert from a person, or could not be checked.
	Failed Status = "failed"
	// Skipped cannot be checked in this set-up, which is no fault.
	Skipped Status = "skipped"
)

// The names of the checks.
const (
	checkPrometheus    = "prometheus"
	checkTargets       = "targets"
	checkLabels        = "labels"
	checkRules         = "rules"
	checkTeams         = "teams"
	checkSeries        = "series"
	checkAlertmanager  = "alertmanager"
	checkNotifications = "notifications"
	checkDelivery      = "delivery"
	checkSilences      = "silences"
	checkInhibition    = "inhibition"
	checkRoutes        = "routes"
	checkDrill         = "drill"
)

// Finding is one line of the report.
type Finding struct {
	// Check is the name of the check.
	Check string `json:"check"`
	// Status is ok, warning, failed or skipped.
	Status Status `json:"status"`
	// What is what was found.
	What string `json:"what"`
	// Do is what to do about it; empty where there is nothing to do.
	Do string `json:"do"`
}

// Report is what was found. Its JSON is the output of the command.
type Report struct {
	// OK says whether no finding failed.
	OK bool `json:"ok"`
	// Prometheus and Alertmanagers are the URLs that were asked.
	Prometheus    string   `json:"prometheus"`
	Alertmanagers []string `json:"alertmanagers"`
	// Teams are the teams whose alerts were checked.
	Teams []string `json:"teams"`
	// Findings are in the order of the checks, at least one for each.
	Findings []Finding `json:"findings"`
}

// add adds a finding. The texts can come from servers.
func (r *Report) add(check string, status Status, what, do string) {
	r.Findings = append(r.Findings, Finding{check, status, printable(what), printable(do)})
	r.OK = r.OK && status != Failed
}

func (r *Report) count(status Status) (n int) {
	for _, f := range r.Findings {
		if f.Status == status {
			n++
		}
	}
	return n
}

// The columns of the table: 80 characters in all.
const (
	statusWidth = 9
	checkWidth  = 15
	textWidth   = 80 - statusWidth - checkWidth
)

// text returns the report for people.
func (r *Report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-*s%-*s%s\n", statusWidth, "STATUS", checkWidth, "CHECK", "WHAT AND WHAT TO DO")
	for _, f := range r.Findings {
		lines := wrap(f.What, textWidth)
		if f.Do != "" {
			for i, line := range wrap(f.Do, textWidth-3) {
				lines = append(lines, map[bool]string{true: "-> ", false: "   "}[i == 0]+line)
			}
		}
		for i, line := range lines {
			status, check := "", ""
			if i == 0 {
				status, check = strings.ToUpper(string(f.Status)), f.Check
			}
			fmt.Fprintf(&b, "%-*s%-*s%s\n", statusWidth, status, checkWidth, check, line)
		}
	}
	b.WriteByte('\n')
	switch failed := r.count(Failed); failed {
	case 0:
		b.WriteString("Nothing that was checked keeps an alert about a queue from a person.\n")
	case 1:
		b.WriteString("1 check failed: an alert about a queue might not reach a person.\n")
	default:
		fmt.Fprintf(&b, "%d checks failed: an alert about a queue might not reach a person.\n", failed)
	}
	return b.String()
}

// wrap breaks a text into lines of at most width characters. A longer word is cut.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		runes := []rune(word)
		for ; len(runes) > width; runes = runes[width:] {
			lines = append(lines, string(runes[:width]))
		}
		line = string(runes)
	}
	return append(lines, line)
}

// userInfo is the user and the password in a URL.
var userInfo = regexp.MustCompile(`://[^/?#\s"']*@`)

// printable returns a text as it may stand on a terminal, without passwords of
// URLs.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return ' '
		case !unicode.IsPrint(c):
			return unicode.ReplacementChar
		}
		return c
	}, userInfo.ReplaceAllString(text, "://***@"))
}

// maxNamed is how many items a finding names.
const maxNamed = 5

// list names items, but not too many.
func list(items []string) string {
	if len(items) > maxNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(items[:maxNamed], ", "), len(items)-maxNamed)
	}
	var b strings.Builder
	for i, item := range items {
		switch i {
		case 0:
		case len(items) - 1:
			b.WriteString(" and ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(item)
	}
	return b.String()
}

// number counts items: "1 team", "2 teams".
func number(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
