package check

import (
	"cmp"
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/config"
)

// Report is the report. Its JSON is the output of the command.
type Report struct {
	// CallsPerHour is calculated for ScrapeIntervalSeconds and Servers.
	ScrapeIntervalSeconds float64 `json:"scrape_interval_seconds"`
	Servers               int     `json:"servers"`
	// CallsPerHour and Series are sums over all teams.
	CallsPerHour float64 `json:"calls_per_hour"`
	Series       int     `json:"series"`
	// Teams are in the order of the configuration.
	Teams []Team `json:"teams"`
}

// Team is the report on a team.
type Team struct {
	// Codename is the codename of the team.
	Codename string `json:"codename"`
	// OK says whether all API requests succeeded.
	OK bool `json:"ok"`
	// Error is the error if no request could be made, or empty. Errors of calls
	// are in Calls.
	Error string `json:"error"`
	// Reachable says whether an HTTP server answered. It is null if no request
	// could be made.
	Reachable *bool `json:"reachable"`
	// TokenAccepted says whether the API accepted the access token: true if it
	// returned data, false if it answered 401 or 403 and returned no data, null if
	// neither happened.
	TokenAccepted *bool `json:"token_accepted"`
	// Calls are in the order of the windows and the collectors in the
	// configuration.
	Calls []Call `json:"calls"`
	// Operators is the number of operators in the answer for the first window.
	// States counts them by state, the most frequent first. Both are null without
	// an answer.
	Operators *int    `json:"operators"`
	States    []State `json:"states"`
	// DashboardRows is the number of rows in the answer for the first window, or
	// null without an answer.
	DashboardRows *int `json:"dashboard_rows"`
	// DurationUnit says which units the times of operators can have. It is null if
	// no answer contains times.
	DurationUnit *DurationUnit `json:"duration_unit"`
	// Series is the number of series of the team with the current answers, without
	// the metrics of the exporter itself.
	Series int `json:"series"`
	// CallsPerHour is the maximum number of API calls by scrapes, without retries.
	CallsPerHour float64 `json:"calls_per_hour"`
	// CallsPerMinute is the maximum number of such calls in any minute, also if a
	// scrape is a little early. MaxCallsPerMinute is the configured limit, 0 for none.
	CallsPerMinute    int `json:"calls_per_minute"`
	MaxCallsPerMinute int `json:"max_calls_per_minute"`
}

// Call is an API call.
type Call struct {
	// Endpoint is operators or dashboard.
	Endpoint string `json:"endpoint"`
	// Window is the name of the window. Start and End are its bounds in the time
	// zone of the team.
	Window string    `json:"window"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	// LatencySeconds is the duration, including retries.
	LatencySeconds float64 `json:"latency_seconds"`
	// Error is the error, or empty if the call succeeded.
	Error string `json:"error"`
	// UnknownFields and MissingFields are those of chattonic.Contract.
	UnknownFields []string `json:"unknown_fields"`
	MissingFields []string `json:"missing_fields"`
	// ImplausibleValues are fields with impossible values, in the configured
	// duration unit.
	ImplausibleValues []Implausible `json:"implausible_values"`
}

// Implausible is a field with impossible values.
type Implausible struct {
	// Field is the name of the field. Problem says what is wrong.
	Field   string `json:"field"`
	Problem string `json:"problem"`
	// Times is the number of operators or rows with the problem.
	Times int `json:"times"`
}

// State is a state of operators.
type State struct {
	// Status is the state in the answer, or empty if it has none.
	Status string `json:"status"`
	// Operators is the number of operators in the state.
	Operators int `json:"operators"`
}

// DurationUnit says which units the times of operators can have. The limit is
// the window: no operator is online for longer.
type DurationUnit struct {
	// Configured is the unit in the configuration. ConfiguredPossible says whether
	// it is possible.
	Configured         string `json:"configured"`
	ConfiguredPossible bool   `json:"configured_possible"`
	// Possible are the possible units. With small times, all units are.
	Possible []string `json:"possible"`
	// LargestField, LargestValue and LargestWindow describe the largest time in
	// relation to its window.
	LargestField  string  `json:"largest_field"`
	LargestValue  float64 `json:"largest_value"`
	LargestWindow string  `json:"largest_window"`
}

// sum calculates the sums, and returns the codenames of teams with failed API
// requests.
func (r *Report) sum() (failed []string) {
	for i := range r.Teams {
		t := &r.Teams[i]
		r.CallsPerHour += t.CallsPerHour
		r.Series += t.Series
		if !t.OK {
			failed = append(failed, t.Codename)
		}
	}
	return failed
}

// failedTeam returns the report on a team without requests.
func failedTeam(t config.Team, err error) Team {
	return Team{Codename: t.Codename, Error: err.Error(), Calls: []Call{}, States: nil, MaxCallsPerMinute: t.MaxCallsPerMinute}
}

// summarize returns the report on a team with these calls.
func (o *Options) summarize(t config.Team, calls map[callKey]call, series int) Team {
	team := Team{Codename: t.Codename, OK: true, Calls: []Call{}, Series: series, MaxCallsPerMinute: t.MaxCallsPerMinute}
	times := &unitFinder{possible: slices.Clone(config.DurationUnits)}
	for w, window := range t.Windows {
		for _, endpoint := range t.Collectors {
			result := calls[callKey{endpoint, window.Name()}]
			team.add(endpoint, result, t.DurationUnit)
			team.CallsPerHour += o.callsPerHour(t.TTL[endpoint])
			team.CallsPerMinute += o.callsPerMinute(t.TTL[endpoint])
			switch a := result.answer.(type) {
			case *chattonic.Operators:
				times.add(a)
				if w == 0 {
					operators := collector.Unique(a.Operators)
					team.Operators, team.States = new(len(operators)), states(operators)
				}
			case *chattonic.Dashboard:
				if w == 0 {
					team.DashboardRows = new(len(a.Rows))
				}
			}
		}
	}
	team.DurationUnit = times.unit(t.DurationUnit)
	return team
}

// add adds a call, and updates Reachable and TokenAccepted.
func (t *Team) add(e chattonic.Endpoint, result call, unit time.Duration) {
	c := Call{
		Endpoint: string(e), Window: result.window.Name, Start: result.window.Start, End: result.window.End,
		LatencySeconds: result.latency.Seconds(), UnknownFields: []string{}, MissingFields: []string{}, ImplausibleValues: []Implausible{},
	}
	if result.err != nil {
		c.Error = result.err.Error()
		t.OK = false
		t.fail(result.err)
	} else {
		t.Reachable, t.TokenAccepted = new(true), new(true)
		contract := result.answer.Meta().Contract
		c.UnknownFields = append(c.UnknownFields, contract.Unknown...)
		c.MissingFields = append(c.MissingFields, contract.Missing...)
		for _, i := range collector.FindImplausible(e, result.answer, unit) {
			c.ImplausibleValues = append(c.ImplausibleValues, Implausible{i.Field, string(i.Problem), i.Count})
		}
	}
	t.Calls = append(t.Calls, c)
}

// fail updates Reachable and TokenAccepted after an error. Results of
// successful calls take precedence.
func (t *Team) fail(err error) {
	var failure chattonic.Error
	if !errors.As(err, &failure) {
		return
	}
	switch {
	case failure.StatusCode != 0:
		t.Reachable = new(true)
	case t.Reachable == nil && failure.Cause != chattonic.CauseRequest:
		t.Reachable = new(false)
	}
	refused := failure.StatusCode == http.StatusUnauthorized || failure.StatusCode == http.StatusForbidden
	if refused && t.TokenAccepted == nil {
		t.TokenAccepted = new(false)
	}
}

// callsPerHour returns the maximum number of calls for one endpoint and
// window. A server whose scrape made a call makes the next one with the first
// scrape after the ttl. Within the ttl, no server makes another one.
func (o *Options) callsPerHour(ttl time.Duration) float64 {
	calls := float64(o.Servers) * float64(time.Hour) / float64(o.between(ttl))
	if ttl > 0 {
		calls = min(calls, float64(time.Hour)/float64(ttl))
	}
	return calls
}

// callsPerMinute is callsPerHour for any minute, which has a call at both of its ends.
func (o *Options) callsPerMinute(ttl time.Duration) int {
	calls := o.Servers * (1 + int(time.Minute/o.between(ttl)))
	if ttl > 0 {
		calls = min(calls, 1+int(time.Minute/ttl))
	}
	return calls
}

// between returns the time between the calls of one server.
func (o *Options) between(ttl time.Duration) time.Duration {
	scrapes := max(1, math.Ceil(float64(ttl)/float64(o.ScrapeInterval)))
	return time.Duration(scrapes) * o.ScrapeInterval
}

// states counts the states of operators.
func states(operators []chattonic.Operator) []State {
	counts := make(map[string]int)
	for i := range operators {
		counts[operators[i].Status.String()]++
	}
	all := make([]State, 0, len(counts))
	for status, n := range counts {
		all = append(all, State{status, n})
	}
	slices.SortFunc(all, func(a, b State) int {
		return cmp.Or(cmp.Compare(b.Operators, a.Operators), strings.Compare(a.Status, b.Status))
	})
	return all
}

// unitFinder finds the possible units of the times of operators.
type unitFinder struct {
	largest  DurationUnit
	share    float64 // of the window in seconds
	any      bool
	possible []config.DurationUnit
}

// add excludes units by the times in an answer.
func (s *unitFinder) add(a *chattonic.Operators) {
	window := a.Window.End.Sub(a.Window.Start).Seconds()
	if window <= 0 {
		return // today, at midnight
	}
	for i := range a.Operators {
		op := &a.Operators[i]
		for _, seen := range [...]struct {
			field string
			n     chattonic.Number
		}{{"operators.onlineTime", op.OnlineTime}, {"operators.awayTime", op.AwayTime}, {"operators.freeTime", op.FreeTime}} {
			v, present := seen.n.Float64()
			if present && (!s.any || v/window > s.share) {
				s.any, s.share = true, v/window
				s.largest.LargestField, s.largest.LargestValue, s.largest.LargestWindow = seen.field, v, a.Window.Name
			}
		}
	}
	s.possible = slices.DeleteFunc(s.possible, func(u config.DurationUnit) bool {
		return slices.ContainsFunc(collector.FindImplausible(chattonic.EndpointOperators, a, u.Unit), func(i collector.Implausible) bool { return i.Problem == collector.ProblemTooLong })
	})
}

// unit returns the result, or nil without times.
func (s *unitFinder) unit(configured time.Duration) *DurationUnit {
	if !s.any {
		return nil
	}
	result := s.largest
	result.Possible = []string{}
	for _, u := range s.possible {
		result.Possible = append(result.Possible, u.Name)
		result.ConfiguredPossible = result.ConfiguredPossible || u.Unit == configured
	}
	known := slices.IndexFunc(config.DurationUnits, func(u config.DurationUnit) bool { return u.Unit == configured })
	result.Configured = config.DurationUnits[known].Name
	return &result
}
