package checkalerts

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// alertmanagerConfig is what the checks need of Alertmanager's configuration.
type alertmanagerConfig struct {
	Route             *route           `yaml:"route"`
	InhibitRules      []inhibitRule    `yaml:"inhibit_rules"`
	Receivers         []map[string]any `yaml:"receivers"`
	TimeIntervals     []namedInterval  `yaml:"time_intervals"`
	MuteTimeIntervals []namedInterval  `yaml:"mute_time_intervals"` // its name before 0.24
}

// route is a node of the routing tree.
type route struct {
	Receiver            string            `yaml:"receiver"`
	Match               map[string]string `yaml:"match"`
	MatchRE             map[string]string `yaml:"match_re"`
	Matchers            []string          `yaml:"matchers"`
	Continue            bool              `yaml:"continue"`
	GroupWait           *model.Duration   `yaml:"group_wait"`
	MuteTimeIntervals   []string          `yaml:"mute_time_intervals"`
	ActiveTimeIntervals []string          `yaml:"active_time_intervals"`
	Routes              []*route          `yaml:"routes"`

	matchers []matcher
}

// inhibitRule mutes alerts while others fire.
type inhibitRule struct {
	SourceMatch    map[string]string `yaml:"source_match"`
	SourceMatchRE  map[string]string `yaml:"source_match_re"`
	SourceMatchers []string          `yaml:"source_matchers"`
	TargetMatch    map[string]string `yaml:"target_match"`
	TargetMatchRE  map[string]string `yaml:"target_match_re"`
	TargetMatchers []string          `yaml:"target_matchers"`
	Equal          []string          `yaml:"equal"`

	source, target []matcher
}

// namedInterval is a time interval that routes name.
type namedInterval struct {
	Name      string         `yaml:"name"`
	Intervals []timeInterval `yaml:"time_intervals"`
}

// timeInterval is a set of times. Empty fields allow any.
type timeInterval struct {
	Times []struct {
		Start string `yaml:"start_time"`
		End   string `yaml:"end_time"`
	} `yaml:"times"`
	Weekdays    []string `yaml:"weekdays"`
	DaysOfMonth []string `yaml:"days_of_month"`
	Months      []string `yaml:"months"`
	Years       []string `yaml:"years"`
	Location    string   `yaml:"location"`
}

// parseConfig reads Alertmanager's configuration.
func parseConfig(text string) (*alertmanagerConfig, error) {
	c := new(alertmanagerConfig)
	if err := yaml.Unmarshal([]byte(text), c); err != nil {
		return nil, fmt.Errorf("reading Alertmanager's configuration: %w", err)
	}
	if c.Route == nil {
		return nil, errors.New("reading Alertmanager's configuration: it has no route")
	}
	if err := c.Route.prepare("", nil); err != nil {
		return nil, err
	}
	for i := range c.InhibitRules {
		r := &c.InhibitRules[i]
		var err error
		if r.source, err = matchersOf(r.SourceMatch, r.SourceMatchRE, r.SourceMatchers); err != nil {
			return nil, err
		}
		if r.target, err = matchersOf(r.TargetMatch, r.TargetMatchRE, r.TargetMatchers); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// prepare parses the matchers, and passes on what routes inherit.
func (r *route) prepare(receiver string, groupWait *model.Duration) (err error) {
	if r.Receiver == "" {
		r.Receiver = receiver
	}
	if r.GroupWait == nil {
		r.GroupWait = groupWait
	}
	if r.matchers, err = matchersOf(r.Match, r.MatchRE, r.Matchers); err != nil {
		return err
	}
	for _, child := range r.Routes {
		if err := child.prepare(r.Receiver, r.GroupWait); err != nil {
			return err
		}
	}
	return nil
}

// find returns the routes that an alert takes.
func (r *route) find(labels map[string]string) (found []*route) {
	if !matchAll(r.matchers, labels) {
		return nil
	}
	for _, child := range r.Routes {
		below := child.find(labels)
		found = append(found, below...)
		if below != nil && !child.Continue {
			break
		}
	}
	if found == nil {
		return []*route{r}
	}
	return found
}

// mutedBy returns the name of a time interval that mutes the route at a time, or "".
// An error means that the interval cannot be read.
func (c *alertmanagerConfig) mutedBy(r *route, at time.Time) (string, error) {
	for _, name := range r.MuteTimeIntervals {
		within, err := c.within(name, at)
		if err != nil {
			return "", err
		}
		if within {
			return name, nil
		}
	}
	for _, name := range r.ActiveTimeIntervals {
		within, err := c.within(name, at)
		if within || err != nil {
			return "", err
		}
	}
	if len(r.ActiveTimeIntervals) > 0 {
		return "not " + strings.Join(r.ActiveTimeIntervals, ", "), nil
	}
	return "", nil
}

func (c *alertmanagerConfig) within(name string, at time.Time) (bool, error) {
	for _, named := range append(c.TimeIntervals, c.MuteTimeIntervals...) {
		if named.Name != name {
			continue
		}
		for i := range named.Intervals {
			within, err := named.Intervals[i].contains(at)
			if err != nil {
				return false, fmt.Errorf("time interval %s: %w", name, err)
			}
			if within {
				return true, nil
			}
		}
		return false, nil
	}
	return false, fmt.Errorf("time interval %s is not defined", name)
}

// integrations counts a receiver's integrations by type, such as webhook.
func (c *alertmanagerConfig) integrations(receiver string) map[string]int {
	counts := make(map[string]int)
	for _, r := range c.Receivers {
		if r["name"] != receiver {
			continue
		}
		for key, value := range r {
			kind, isConfig := strings.CutSuffix(key, "_configs")
			if configs, isList := value.([]any); isConfig && isList && len(configs) > 0 {
				counts[kind] = len(configs)
			}
		}
	}
	return counts
}

// matcher is a condition on a label, in the form of Alertmanager's API.
type matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual *bool  `json:"isEqual"` // absent means true

	re *regexp.Regexp // set by compile
}

// compile compiles the regular expressions of matchers, which Alertmanager anchors.
func compile(matchers []matcher) error {
	for i := range matchers {
		if m := &matchers[i]; m.IsRegex {
			var err error
			if m.re, err = regexp.Compile("^(?:" + m.Value + ")$"); err != nil {
				return fmt.Errorf("the matcher of the label %s cannot be read: %w", m.Name, err)
			}
		}
	}
	return nil
}

func matchAll(matchers []matcher, labels map[string]string) bool {
	for i := range matchers {
		if m := &matchers[i]; !m.matches(labels[m.Name]) {
			return false
		}
	}
	return true
}

func (m *matcher) matches(value string) bool {
	equal := value == m.Value
	if m.IsRegex {
		equal = m.re.MatchString(value)
	}
	return equal == (m.IsEqual == nil || *m.IsEqual)
}

// matchersOf returns the matchers of a route or of an inhibition in their three forms.
func matchersOf(match, matchRE map[string]string, texts []string) (all []matcher, err error) {
	for name, value := range match {
		all = append(all, matcher{Name: name, Value: value})
	}
	for name, value := range matchRE {
		all = append(all, matcher{Name: name, Value: value, IsRegex: true})
	}
	for _, text := range texts {
		parsed, err := parseMatchers(text)
		if err != nil {
			return nil, err
		}
		all = append(all, parsed...)
	}
	return all, compile(all)
}

var (
	matcherSyntax = regexp.MustCompile(`^\s*("(?:[^"\\]|\\.)*"|[^\s"=!~,{}]+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^",{}]*)\s*(?:,|$)`)
	braced        = regexp.MustCompile(`^\s*\{(.*)\}\s*$`)
)

// parseMatchers parses one matcher, or several with commas between them.
func parseMatchers(text string) (all []matcher, err error) {
	rest := braced.ReplaceAllString(text, "$1")
	for strings.TrimSpace(rest) != "" {
		found := matcherSyntax.FindStringSubmatch(rest)
		if found == nil {
			return nil, fmt.Errorf("the matcher %s cannot be read", text)
		}
		m := matcher{Name: unquoted(found[1]), Value: unquoted(strings.TrimSpace(found[3])), IsRegex: strings.HasSuffix(found[2], "~"), IsEqual: new(found[2][0] != '!')}
		all = append(all, m)
		rest = rest[len(found[0]):]
	}
	return all, nil
}

func unquoted(text string) string {
	if value, err := strconv.Unquote(text); err == nil {
		return value
	}
	return text
}

var (
	weekdays = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
	months   = []string{"", "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}
)

// contains reports whether a time is in the interval, as Alertmanager sees it.
func (i *timeInterval) contains(at time.Time) (bool, error) {
	location := time.UTC
	if i.Location != "" {
		var err error
		if location, err = time.LoadLocation(i.Location); err != nil {
			return false, err
		}
	}
	at = at.In(location)
	within := len(i.Times) == 0
	for _, t := range i.Times {
		start, err := minuteOfDay(t.Start)
		if err != nil {
			return false, err
		}
		end, err := minuteOfDay(t.End)
		if err != nil {
			return false, err
		}
		now := at.Hour()*60 + at.Minute()
		within = within || start <= now && now < end
	}
	lastDay := time.Date(at.Year(), at.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	for _, c := range []struct {
		ranges []string
		names  []string
		value  int
		last   int // negative numbers count from here
	}{
		{i.Weekdays, weekdays, int(at.Weekday()), 0},
		{i.DaysOfMonth, nil, at.Day(), lastDay},
		{i.Months, months, int(at.Month()), 0},
		{i.Years, nil, at.Year(), 0},
	} {
		in, err := inRanges(c.ranges, c.names, c.value, c.last)
		if err != nil {
			return false, err
		}
		within = within && in
	}
	return within, nil
}

func minuteOfDay(text string) (int, error) {
	hours, minutes, _ := strings.Cut(text, ":")
	h, err := strconv.Atoi(hours)
	if err != nil {
		return 0, fmt.Errorf("the time of day %q cannot be read", text)
	}
	m, err := strconv.Atoi(minutes)
	if err != nil {
		return 0, fmt.Errorf("the time of day %q cannot be read", text)
	}
	return h*60 + m, nil
}

// inRanges reports whether a value is in one of the ranges FROM:TO, or there is none.
func inRanges(ranges, names []string, value, last int) (bool, error) {
	for _, text := range ranges {
		from, to, isRange := strings.Cut(text, ":")
		if !isRange {
			to = from
		}
		var ends [2]int
		for e, end := range [2]string{from, to} {
			n := slices.Index(names, strings.ToLower(strings.TrimSpace(end)))
			if n < 0 {
				var err error
				if n, err = strconv.Atoi(strings.TrimSpace(end)); err != nil {
					return false, fmt.Errorf("the range %q cannot be read", text)
				}
			}
			if n < 0 {
				n += last + 1
			}
			ends[e] = n
		}
		if ends[0] <= value && value <= ends[1] {
			return true, nil
		}
	}
	return len(ranges) == 0, nil
}
