package backfill

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/version"

	"chattonic_exporter/collector"
	"chattonic_exporter/internal/calendar"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/usage"
)

// minRate is the lowest accepted rate in API calls per second.
const minRate = 0.001

// plan is a checked set of options: which teams and times to fetch.
type plan struct {
	teams []team
	start time.Time
	step  time.Duration
	steps int
	// fullest is a step with the most API calls.
	fullest int
	// settings are all settings that change the samples.
	settings []setting
}

// team is a configured team with the selected windows only.
type team struct {
	config.Team
	// windowedOnly says that the team's first window is not selected.
	windowedOnly bool
}

// setting is a setting that must not change between a run and the run that resumes
// it.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// at returns the time of a step.
func (p *plan) at(step int) time.Time { return p.start.Add(time.Duration(step) * p.step) }

// windowsAt returns the windows of a team to request at a time, and whether the
// team's first window is among them. It omits windows without length, such as today
// at midnight: the API may reject them.
func (t *team) windowsAt(at time.Time) (windows []collector.WindowSpec, first bool) {
	for i, w := range t.Windows {
		if !isEmpty(w, at.Add(-t.Delay).In(t.Location)) {
			windows = append(windows, w)
			first = first || i == 0 && !t.windowedOnly
		}
	}
	return windows, first
}

func isEmpty(w calendar.WindowSpec, end time.Time) bool {
	window := w.At(end)
	return !window.Start.Before(window.End)
}

// calls returns the number of API calls of a step.
func (p *plan) calls(step int) (n int) {
	for i := range p.teams {
		windows, _ := p.teams[i].windowsAt(p.at(step))
		n += len(windows) * len(p.teams[i].Collectors)
	}
	return n
}

// totalCalls returns the number of API calls of all steps.
func (p *plan) totalCalls() (n int) {
	// Most teams share their windows, so each different one is computed once.
	type key struct {
		window calendar.WindowSpec
		zone   string
		delay  time.Duration
	}
	callsOf, zones := map[key]int{}, map[string]*time.Location{}
	for _, t := range p.teams {
		zones[t.Location.String()] = t.Location
		for _, w := range t.Windows {
			callsOf[key{w, t.Location.String(), t.Delay}] += len(t.Collectors)
		}
	}
	for k, calls := range callsOf {
		for step := range p.steps {
			if !isEmpty(k.window, p.at(step).Add(-k.delay).In(zones[k.zone])) {
				n += calls
			}
		}
	}
	return n
}

// fullestStep returns the last of the steps with the most API calls.
func (p *plan) fullestStep() (fullest int) {
	all, most := 0, -1
	for _, t := range p.teams {
		all += len(t.Windows) * len(t.Collectors)
	}
	for step := p.steps - 1; step >= 0 && most < all; step-- {
		if calls := p.calls(step); calls > most {
			fullest, most = step, calls
		}
	}
	return fullest
}

// plan checks all options, before any API call.
func (o *Options) plan(c *config.Config) (*plan, error) {
	if o.Output == "" && !o.DryRun {
		return nil, usage.Errorf("--output is required: name the file to write")
	}
	if o.Output == "-" {
		return nil, usage.Errorf("--output - is not supported: name a file, because promtool reads the samples from a file")
	}
	teams, err := o.teams(c.Teams)
	if err != nil {
		return nil, err
	}
	p := &plan{teams: teams}
	step, err := model.ParseDuration(o.Step)
	if p.step = time.Duration(step); err != nil || p.step <= 0 || p.step%time.Second != 0 {
		return nil, usage.Errorf("--step %q is not a duration in whole seconds: use one such as 5m, 1h or 1d", o.Step)
	}
	if p.start, err = o.time("--start", o.Start, teams); err != nil {
		return nil, err
	}
	end, err := o.time("--end", o.End, teams)
	switch {
	case err != nil:
		return nil, err
	case end.Before(p.start):
		return nil, usage.Errorf("--end %s is before --start %s", o.End, o.Start)
	case end.After(o.Now()):
		return nil, usage.Errorf("--end %s is in the future: use a time up to now", o.End)
	}
	p.steps = 1 + int(end.Sub(p.start)/p.step)
	if p.fullest = p.fullestStep(); p.calls(p.fullest) == 0 {
		return nil, usage.Errorf("all windows are empty at each step, such as today at midnight: use another --start or --step, or other windows")
	}
	p.settings = append([]setting{
		{"version of the exporter", version.Version},
		{"--start", p.start.Format(time.RFC3339)},
		{"--end", end.Format(time.RFC3339)},
		{"--step", step.String()},
	}, describe(teams)...)
	return p, nil
}

// teams returns the selected teams in the order of the configuration.
func (o *Options) teams(configured []config.Team) (teams []team, err error) {
	var codenames, windows []string
	for _, t := range configured {
		codenames = append(codenames, t.Codename)
		if len(o.Codenames) > 0 && !slices.Contains(o.Codenames, t.Codename) {
			continue
		}
		names := windowNames(t)
		windows = append(windows, names...)
		teams = append(teams, team{Team: t, windowedOnly: len(o.Windows) > 0 && !slices.Contains(o.Windows, names[0])})
	}
	for _, codename := range o.Codenames {
		if !slices.Contains(codenames, codename) {
			return nil, usage.Errorf("--team %q is not configured: use %s", codename, strings.Join(codenames, ", "))
		}
	}
	if len(o.Windows) == 0 {
		return teams, nil
	}
	slices.Sort(windows)
	windows = slices.Compact(windows)
	for _, window := range o.Windows {
		if !slices.Contains(windows, window) {
			return nil, usage.Errorf("--window %q is not configured: use %s", window, strings.Join(windows, ", "))
		}
	}
	for i := range teams {
		t := &teams[i]
		has := strings.Join(windowNames(t.Team), ", ")
		t.Windows = slices.DeleteFunc(slices.Clone(t.Windows), func(w calendar.WindowSpec) bool { return !slices.Contains(o.Windows, w.Name()) })
		if len(t.Windows) == 0 {
			return nil, usage.Errorf("--window selects no window of team %q, which has %s: add one of these, or select other teams with --team", t.Codename, has)
		}
	}
	return teams, nil
}

func windowNames(t config.Team) (names []string) {
	for _, w := range t.Windows {
		names = append(names, w.Name())
	}
	return names
}

// time parses --start or --end. A date must be the same time for all teams, because
// their samples have the same times.
func (*Options) time(flag, text string, teams []team) (at time.Time, err error) {
	if text == "" {
		return at, usage.Errorf("--start and --end are required")
	}
	for i, t := range teams {
		of, err := config.ParseTime(text, t.Location)
		if err != nil {
			return at, usage.Errorf("%s %w", flag, err)
		}
		if i > 0 && !of.Equal(at) {
			return at, usage.Errorf("%s %s is ambiguous: teams %q and %q have different time zones: use a time such as %s, or run once per time zone with --team",
				flag, text, teams[0].Codename, t.Codename, at.UTC().Format(time.RFC3339))
		}
		at = of
	}
	switch {
	// Prometheus may parse a fraction as one millisecond less.
	case at.Nanosecond() != 0:
		return at, usage.Errorf("%s %s has a fraction of a second: use whole seconds", flag, text)
	case at.Unix() < 0:
		return at, usage.Errorf("%s %s is before 1970: use a later time", flag, text)
	}
	return at.UTC(), nil
}

// describe returns the configuration that changes the samples of teams. How the API
// is reached, such as the access token, may differ between runs.
func describe(teams []team) (settings []setting) {
	var codenames []string
	for _, t := range teams {
		codenames = append(codenames, t.Codename)
		for _, s := range []setting{
			{"base_url", t.BaseURL},
			{"windows", strings.Join(windowNames(t.Team), ", ")},
			{"first window", strconv.FormatBool(!t.windowedOnly)},
			{"timezone", t.Location.String()},
			{"duration_unit", t.DurationUnit.String()},
			{"date_format_group", t.DateFormatGroup},
			{"delay", t.Delay.String()},
			{"collectors", strings.Trim(fmt.Sprint(t.Collectors), "[]")},
			{"operator_names", strconv.FormatBool(t.OperatorNames)},
		} {
			settings = append(settings, setting{fmt.Sprintf("%s of team %q", s.Name, t.Codename), s.Value})
		}
	}
	return append([]setting{{"list of teams", strings.Join(codenames, ", ")}}, settings...)
}
