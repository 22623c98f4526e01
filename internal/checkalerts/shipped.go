package checkalerts

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	shipped "chattonic_exporter/deploy/prometheus"
)

// areaQueue is the label area of the alerts about queues.
const areaQueue = "queue"

// rule is a rule of the shipped files.
type rule struct {
	Record        string            `yaml:"record"`
	Alert         string            `yaml:"alert"`
	Expr          string            `yaml:"expr"`
	For           model.Duration    `yaml:"for"`
	KeepFiringFor model.Duration    `yaml:"keep_firing_for"`
	Labels        map[string]string `yaml:"labels"`

	file string
	// needs are the names of the metrics in the expression.
	needs []string
	// essential says that an alert about a queue, or about the exporter or the API
	// without which there is none, is or needs this rule.
	essential bool
}

func (r *rule) name() string { return r.Record + r.Alert }

// kind is the rule's type in Prometheus's API.
func (r *rule) kind() string {
	if r.Alert == "" {
		return "recording"
	}
	return "alerting"
}

// String names the rule for people.
func (r *rule) String() string {
	if r.Alert == "" {
		return r.Record
	}
	if scope := r.Labels["scope"]; scope != "" {
		return r.Alert + " (scope " + scope + ")"
	}
	return r.Alert
}

// shippedRules returns the rules of the shipped files, which nobody changes.
var shippedRules = sync.OnceValues(readShippedRules)

func readShippedRules() ([]*rule, error) {
	names, err := fs.Glob(shipped.Rules, "rules/*.yml")
	if err != nil {
		return nil, fmt.Errorf("listing the shipped rules: %w", err)
	}
	var all []*rule
	for _, name := range names {
		text, err := shipped.Rules.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading the shipped rules: %w", err)
		}
		var file struct {
			Groups []struct {
				Rules []*rule `yaml:"rules"`
			} `yaml:"groups"`
		}
		if err := yaml.Unmarshal(text, &file); err != nil {
			return nil, fmt.Errorf("reading the shipped rules in %s: %w", name, err)
		}
		for _, group := range file.Groups {
			for _, r := range group.Rules {
				r.file, r.needs = path.Base(name), metricNames(r.Expr)
				all = append(all, r)
			}
		}
	}
	for _, r := range all {
		if r.Alert != "" && r.Labels["area"] != "quality" {
			markEssential(all, r)
		}
	}
	return all, nil
}

func markEssential(all []*rule, r *rule) {
	if r.essential {
		return
	}
	r.essential = true
	for _, other := range all {
		if other.Record != "" && slices.Contains(r.needs, other.Record) {
			markEssential(all, other)
		}
	}
}

// maybeAbsent are metrics that a healthy set-up may lack.
var maybeAbsent = map[string]bool{
	"chattonic_api_paused_until_timestamp_seconds": true, // no API has asked for a pause
	"team:chattonic_within_business_hours:max":     true, // no business hours are configured
	"team_window:chattonic_occupancy:ratio":        true, // nobody was online
	"team_window:chattonic_nps:weighted":           true, // no responses
	"team_window:chattonic_nps_responses:sum":      true,
	"chattonic_dashboard_messages_received":        true, // the collector dashboard is switched off
}

var (
	promComment  = regexp.MustCompile(`(?m)#.*$`)
	promText     = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'`)
	promBraces   = regexp.MustCompile(`\{[^}]*\}|\[[^\]]*\]`)
	promLabels   = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	promDuration = regexp.MustCompile(`\boffset\s+-?\w+`)
	promFunction = regexp.MustCompile(`[a-zA-Z_]\w*\s*\(`)
	promName     = regexp.MustCompile(`(?:^|[^\w:.])([a-zA-Z_:][\w:]*)`)
)

var promOperators = []string{"and", "or", "unless", "bool", "sum", "max", "min", "avg", "count", "group", "inf", "nan", "by", "without", "on", "ignoring", "group_left", "group_right"}

// metricNames returns the names of the metrics in an expression of the shipped
// rules, in alphabetical order. It is no parser of PromQL in general: names of
// metrics in quotes or in __name__ are not found.
func metricNames(expr string) (names []string) {
	for _, leftOut := range []*regexp.Regexp{promComment, promText, promBraces, promDuration, promLabels} {
		expr = leftOut.ReplaceAllString(expr, " ")
	}
	expr = promFunction.ReplaceAllStringFunc(expr, func(text string) string {
		if name := strings.TrimSpace(strings.TrimSuffix(text, "(")); slices.Contains(promOperators, name) {
			return text
		}
		return " ("
	})
	for _, found := range promName.FindAllStringSubmatch(expr, -1) {
		if !slices.Contains(promOperators, strings.ToLower(found[1])) {
			names = append(names, found[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// withoutBlanks returns an expression without comments and blanks outside quoted
// text, which do not change its meaning where words stay apart: it is for
// comparison alone.
func withoutBlanks(expr string) string {
	var b strings.Builder
	for {
		quoted := promText.FindStringIndex(expr)
		plain := expr
		if quoted != nil {
			plain = expr[:quoted[0]]
		}
		b.WriteString(strings.Join(strings.Fields(promComment.ReplaceAllString(plain, "")), ""))
		if quoted == nil {
			return b.String()
		}
		b.WriteString(expr[quoted[0]:quoted[1]])
		expr = expr[quoted[1]:]
	}
}

// queueAlerts returns the shipped alerts about queues.
func queueAlerts(rules []*rule) (alerts []*rule) {
	for _, r := range rules {
		if r.Alert != "" && r.Labels["area"] == areaQueue {
			alerts = append(alerts, r)
		}
	}
	return alerts
}

// seconds returns a number of seconds as a duration.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
