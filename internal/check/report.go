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

// Report is what was found. Its JSON is the output of the command.
type Report struct {
	// ScrapeIntervalSeconds and Servers are what CallsPerHour is for.
	ScrapeIntervalSeconds float64 `json:"scrape_interval_seconds"`
	Servers               int     `json:"servers"`
	// CallsPerHour and Series are the sums over all teams.
	CallsPerHour float64 `json:"calls_per_hour"`
	Series       int     `json:"series"`
	// Teams are in the order of the configuration.
	Teams []Team `json:"teams"`
}

// Team is what was found of a team.
type Team struct {
	// Codename is the team's.
	Codename string `json:"codename"`
	// OK says whether all was read.
	OK bool `json:"ok"`
	// Error says why the team could not be asked at all, and is empty where it
	// was. What calls met stands with them.
	Error string `json:"error"`
	// Reachable says whether an HTTP server answered. It is null where no request
	// could be made.
	Reachable *bool `json:"reachable"`
	// TokenAccepted says whether the API took the access token: true where it
	// gave data for it, false where it answered 401 or 403 and gave none, and
	// null where neither tells.
	TokenAccepted *bool `json:"token_accepted"`
	// Calls are in the order of the windows and of the collectors in the
	// configuration.
	Calls []Call `json:"calls"`
	// Operators is the number of operators in the first window's answer, and
	// States counts them by state, most first. Without an answer they are null.
	Operators *int    `json:"operators"`
	States    []State `json:"states"`
	// DashboardRows is the number of rows in the first window's answer; null
	// without one.
	DashboardRows *int `json:"dashboard_rows"`
	// DurationUnit says what the times of operators can count; null where no
	// answer has any.
	DurationUnit *DurationUnit `json:"duration_unit"`
	// Series is the number of series that the team's metrics have, as the answers
	// are now and without the exporter's own metrics.
	Series int `json:"series"`
	// CallsPerHour is the most calls to the API that scraping makes, without
	// those that are repeated because they failed.
	CallsPerHour float64 `json:"calls_per_hour"`
}

// Call is a call to the API.
type Call struct {
	// Endpoint is operators or dashboard.
	Endpoint string `json:"endpoint"`
	// Window is the window's name, and Start and End are what was asked for, in
	// the team's time zone.
	Window string    `json:"window"`
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	// LatencySeconds is how long it took, with repetitions.
	LatencySeconds float64 `json:"latency_seconds"`
	// Error says why nothing was read; empty where it was.
	Error string `json:"error"`
	// UnknownFields and MissingFields are those of chattonic.Contract.
	UnknownFields []string `json:"unknown_fields"`
	MissingFields []string `json:"missing_fields"`
	// ImplausibleValues are what cannot be, in the configured duration unit.
	ImplausibleValues []Implausible `json:"implausible_values"`
}

// Implausible is a field with values that cannot be.
type Implausible struct {
	// Field is the field, and Problem says what is wrong with it.
	Field   string `json:"field"`
	Problem string `json:"problem"`
	// Times is how many operators or rows have it.
	Times int `json:"times"`
}

// State is a state of operators.
type State struct {
	// Status is the state as the API names it; empty where it gives none.
	Status string `json:"status"`
	// Operators is how many are in it.
	Operators int `json:"operators"`
}

// DurationUnit is what the times of operators can count: nobody is online longer
// than the window.
type DurationUnit struct {
	// Configured is the unit in the configuration, and ConfiguredPossible says
	// whether it is a possible one.
	Configured         string `json:"configured"`
	ConfiguredPossible bool   `json:"configured_possible"`
	// Possible are the units that it can be. Small times leave all of them open.
	Possible []string `json:"possible"`
	// LargestField, LargestValue and LargestWindow are the time that is the
	// largest in relation to its window.
	LargestField  string  `json:"largest_field"`
	LargestValue  float64 `json:"largest_value"`
	LargestWindow string  `json:"largest_window"`
}

// sum completes the report, and returns the codenames of teams of which not all
// was read.
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

// failedTeam is a team that cannot be asked.
func failedTeam(t config.Team, err error) Team {
	return Team{Codename: t.Codename, Error: err.Error(), Calls: []Call{}, States: nil}
}

// judge says what the calls tell of a team.
func (o *Options) judge(t config.Team, calls map[asked]call, series int) Team {
	found := Team{Codename: t.Codename, OK: true, Calls: []Call{}, Series: series}
	times := &timesSeen{possible: slices.Clone(config.DurationUnits)}
	for w, window := range t.Windows {
		for _, endpoint := range t.Collectors {
			made := calls[asked{endpoint, window.Name()}]
			found.add(endpoint, made, t.DurationUnit)
			found.CallsPerHour += o.callsPerHour(t.TTL[endpoint])
			switch a := made.answer.(type) {
			case *chattonic.Operators:
				times.see(a)
				if w == 0 {
					operators := collector.Unique(a.Operators)
					found.Operators, found.States = new(len(operators)), states(operators)
				}
			case *chattonic.Dashboard:
				if w == 0 {
					found.DashboardRows = new(len(a.Rows))
				}
			}
		}
	}
	found.DurationUnit = times.unit(t.DurationUnit)
	return found
}

// add adds a call, and what it says about the connection to the API.
func (t *Team) add(e chattonic.Endpoint, made call, unit time.Duration) {
	c := Call{
		Endpoint: string(e), Window: made.window.Name, Start: made.window.Start, End: made.window.End,
		LatencySeconds: made.latency.Seconds(), UnknownFields: []string{}, MissingFields: []string{}, ImplausibleValues: []Implausible{},
	}
	if made.err != nil {
		c.Error = made.err.Error()
		t.OK = false
		t.fail(made.err)
	} else {
		t.Reachable, t.TokenAccepted = new(true), new(true)
		contract := made.answer.Meta().Contract
		c.UnknownFields = append(c.UnknownFields, contract.Unknown...)
		c.MissingFields = append(c.MissingFields, contract.Missing...)
		for _, i := range collector.FindImplausible(e, made.answer, unit) {
			c.ImplausibleValues = append(c.ImplausibleValues, Implausible{i.Field, string(i.Problem), i.Count})
		}
	}
	t.Calls = append(t.Calls, c)
}

// fail notes what a failure tells of the way to the API, where no other call has
// told of more.
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

// callsPerHour returns the most calls that one endpoint and window get: a server
// whose scrape made a call makes the next with the first scrape after the ttl,
// and all of them together none within it.
func (o *Options) callsPerHour(ttl time.Duration) float64 {
	scrapes := max(1, math.Ceil(float64(ttl)/float64(o.ScrapeInterval)))
	calls := float64(o.Servers) * float64(time.Hour) / (scrapes * float64(o.ScrapeInterval))
	if ttl > 0 {
		calls = min(calls, float64(time.Hour)/float64(ttl))
	}
	return calls
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

// timesSeen is what the times of operators tell of their unit.
type timesSeen struct {
	largest  DurationUnit
	share    float64 // of the window, if that had as many units as seconds
	any      bool
	possible []config.DurationUnit
}

// see looks at the times in an answer.
func (s *timesSeen) see(a *chattonic.Operators) {
	window := a.Window.End.Sub(a.Window.Start).Seconds()
	if window <= 0 {
		return // as of today, at its very beginning
	}
	for i := range a.Operators {
		op := &a.Operators[i]
		for _, spent := range [...]struct {
			field string
			n     chattonic.Number
		}{{"operators.onlineTime", op.OnlineTime}, {"operators.awayTime", op.AwayTime}, {"operators.freeTime", op.FreeTime}} {
			v, present := spent.n.Float64()
			if present && (!s.any || v/window > s.share) {
				s.any, s.share = true, v/window
				s.largest.LargestField, s.largest.LargestValue, s.largest.LargestWindow = spent.field, v, a.Window.Name
			}
		}
	}
	s.possible = slices.DeleteFunc(s.possible, func(u config.DurationUnit) bool {
		return slices.ContainsFunc(collector.FindImplausible(chattonic.EndpointOperators, a, u.Unit), func(i collector.Implausible) bool { return i.Problem == collector.ProblemTooLong })
	})
}

// unit says which units are possible, and whether the configured one is; nil
// where no time was seen.
func (s *timesSeen) unit(configured time.Duration) *DurationUnit {
	if !s.any {
		return nil
	}
	found := s.largest
	found.Possible = []string{}
	for _, u := range s.possible {
		found.Possible = append(found.Possible, u.Name)
		found.ConfiguredPossible = found.ConfiguredPossible || u.Unit == configured
	}
	known := slices.IndexFunc(config.DurationUnits, func(u config.DurationUnit) bool { return u.Unit == configured })
	found.Configured = config.DurationUnits[known].Name
	return &found
}
