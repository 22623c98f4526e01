// Package simulator simulates the stats API of Chat-Tonic: an [http.Handler] for
// tests and demonstrations. All of its data is made up.
//
// What happens in a team follows from its seed, codename, size, time zone and
// scenarios alone. For each request the steps and the queries of every operator
// are computed anew, with their times, and those in the window are counted. So the
// answers over [a, b) and [b, c) add up to the one over [a, c), for any instants
// to the millisecond, and nothing after the clock's present exists.
//
// Operators work in shifts, take breaks, and handle up to two queries at a time.
// A bot serves some of the users who come; the others have a query, which waits,
// is assigned to an operator, and is resolved or fails. Users who wait too long
// give up, which fails their query. Some of the users whose query is resolved
// answer the NPS question. A simulated day runs from 04:00 to 04:00, local time of
// the contact centre. The first one is 2020-01-01.
//
// Where the API is not documented, the simulator has conventions that it does not
// share with the real one: durations are seconds with up to three decimals,
// scores are shares from 0 to 100 (nps from -100 to 100), an unknown team is a
// 404, and refusals carry {"status":false,"message":…}.
package simulator

import (
	"bytes"
	"cmp"
	_ "embed" // for the documented answers
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"chattonic_exporter/chattonic"
)

// dateForm is the documented form of dates, which are in UTC.
const dateForm = "2006-01-02T15:04:05.000Z"

//go:embed fixtures/operators.json
var operatorsFixture []byte

//go:embed fixtures/dashboard.json
var dashboardFixture []byte

// OperatorsFixture returns the documented answer of the operators endpoint.
func OperatorsFixture() []byte { return bytes.Clone(operatorsFixture) }

// DashboardFixture returns the documented answer of the dashboard endpoint.
func DashboardFixture() []byte { return bytes.Clone(dashboardFixture) }

// endpoint is what a Server answers.
type endpoint struct {
	name       chattonic.Endpoint
	path       string
	parameters []string
	documented []byte
}

var endpoints = []endpoint{
	{chattonic.EndpointOperators, "operator", []string{"startDate", "endDate"}, operatorsFixture},
	{chattonic.EndpointDashboard, "bigquery", []string{"startDate", "endDate", "dateFormatGroup", "queryName"}, dashboardFixture},
	{chattonic.EndpointNPS, "nps/export", []string{"startDate", "endDate", "typeUser"}, nil},
}

// Team is a simulated team.
type Team struct {
	// Codename names the team in the path of requests.
	Codename string
	// Token is the access token that requests must bear.
	Token string
	// Seed, with the codename and the number of operators, decides everything
	// that happens in the team.
	Seed uint64
	// Operators is the number of operators, from 1 to 20000.
	Operators int
	// Documented has the team answer with the documented answers, byte for
	// byte, instead of simulated ones.
	Documented bool
	// Buckets has the dashboard answer with one row for each bucket of
	// dateFormatGroup (which may use %Y, %m, %d, %H and %%) instead of the
	// documented single row with the date "0".
	Buckets bool
}

// Options is what a Server simulates.
type Options struct {
	// Teams holds at least one team.
	Teams []Team
	// Now is the clock; time.Now if nil. It may jump in either direction.
	Now func() time.Time
	// Location is the time zone of the contact centre; UTC if nil.
	Location *time.Location
}

// Export is an NPS export that was asked for and, were this the real API, sent
// by e-mail.
type Export struct {
	// Codename is the team's.
	Codename string
	// Window is what the report is about.
	Window chattonic.Window
	// UserType says whose answers the report holds.
	UserType chattonic.UserType
}

// Server is a simulated Chat-Tonic. It is safe for concurrent use, and starts no
// goroutines.
type Server struct {
	now    func() time.Time
	mux    http.ServeMux
	closed chan struct{}
	once   sync.Once
	teams  []*team // in the order of Options

	mu      sync.Mutex // also for what changes in teams
	exports []Export
}

type team struct {
	Team
	history history
	faults  map[chattonic.Endpoint]Fault
	calls   map[chattonic.Endpoint]int
}

// New returns a Server. It fails where the options name no team, or one that
// cannot be simulated.
func New(options Options) (*Server, error) {
	s := &Server{now: options.Now, closed: make(chan struct{})}
	if s.now == nil {
		s.now = time.Now
	}
	if len(options.Teams) == 0 {
		return nil, errors.New("there is no team to simulate: name at least one")
	}
	for _, e := range endpoints {
		s.mux.HandleFunc("/api/v1/{codename}/stats/"+e.path, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, e) })
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.send(w, r, refuse(http.StatusNotFound, "there is no such endpoint: use /api/v1/{codename}/stats/ with operator, bigquery or nps/export"), Fault{})
	})
	for _, config := range options.Teams {
		if err := s.addTeam(config, cmp.Or(options.Location, time.UTC)); err != nil {
			return nil, fmt.Errorf("team %q cannot be simulated: %w", config.Codename, err)
		}
	}
	return s, nil
}

func (s *Server) addTeam(config Team, location *time.Location) error {
	if err := chattonic.CheckCodename(config.Codename); err != nil {
		return err
	}
	if config.Documented {
		config.Operators = 1 // which no answer is about
	}
	switch {
	case s.team(config.Codename) != nil:
		return errors.New("the codename is taken")
	case config.Token == "":
		return errors.New("the token is empty")
	case config.Operators < 1 || config.Operators > 20_000:
		return fmt.Errorf("it has %d operators: use 1 to 20000", config.Operators)
	}
	seed := fnv.New64a()
	fmt.Fprintln(seed, config.Seed, config.Operators, config.Codename)
	s.teams = append(s.teams, &team{
		Team: config, history: newHistory(mix(seed.Sum64()), config.Operators, location),
		faults: map[chattonic.Endpoint]Fault{}, calls: map[chattonic.Endpoint]int{},
	})
	return nil
}

func (s *Server) team(codename string) *team {
	for _, t := range s.teams {
		if t.Codename == codename {
			return t
		}
	}
	return nil
}

// change changes the team with the codename, or all teams for "".
func (s *Server) change(codename string, change func(*team)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	found := false
	for _, t := range s.teams {
		if codename == "" || codename == t.Codename {
			change(t)
			found = true
		}
		names = append(names, t.Codename)
	}
	if !found {
		return fmt.Errorf("unknown team %q: use one of %s, or none for all", codename, strings.Join(names, ", "))
	}
	return nil
}

// SetScenario starts a scenario, for the team with the codename or, if that is
// empty, for all. It takes effect with the clock's next full second and
// leaves what was before as it was. It fails where a name is unknown.
func (s *Server) SetScenario(codename string, scenario Scenario) error {
	var names []string
	for _, known := range scenarios {
		if known.Name == scenario {
			now := s.now()
			return s.change(codename, func(t *team) { t.history = t.history.with(scenario, now) })
		}
		names = append(names, string(known.Name))
	}
	return fmt.Errorf("unknown scenario %q: use one of %s", scenario, strings.Join(names, ", "))
}

// SetFault has requests meet a fault, in place of the one before: those of the
// team with the codename, or of all teams if that is empty, to the endpoint, or
// to all if that is empty. The zero Fault ends faults. It fails where a name is
// unknown.
func (s *Server) SetFault(codename string, endpoint chattonic.Endpoint, fault Fault) error {
	var names []string
	var chosen []chattonic.Endpoint
	for _, e := range endpoints {
		names = append(names, string(e.name))
		if endpoint == "" || endpoint == e.name {
			chosen = append(chosen, e.name)
		}
	}
	if chosen == nil {
		return fmt.Errorf("unknown endpoint %q: use one of %s, or none for all", endpoint, strings.Join(names, ", "))
	}
	return s.change(codename, func(t *team) {
		for _, name := range chosen {
			t.faults[name] = fault
		}
	})
}

// Calls returns how many requests of a team reached an endpoint, also those that
// were refused or met a fault. An unknown team or endpoint had none.
func (s *Server) Calls(codename string, endpoint chattonic.Endpoint) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.team(codename); t != nil {
		return t.calls[endpoint]
	}
	return 0
}

// Exports returns the NPS exports that were asked for, at most the last 1000, in
// the order in which they came.
func (s *Server) Exports() []Export {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.exports)
}

// Close ends all waiting in faults, now and in future: what was to be delayed or
// endless is cut. Other requests are still answered.
func (s *Server) Close() { s.once.Do(func() { close(s.closed) }) }

// ServeHTTP answers a request like the stats API would. Some faults cut the
// connection by a panic with http.ErrAbortHandler, as net/http provides for.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// serve answers a request to an endpoint.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, e endpoint) {
	codename := r.PathValue("codename")
	t := s.team(codename)
	if t == nil {
		s.send(w, r, refuse(http.StatusNotFound, fmt.Sprintf("there is no team %q", codename)), Fault{})
		return
	}
	fault := s.call(t, e.name)
	s.pause(r, fault.Delay)
	switch {
	case fault.Cut == CutBeforeHeader:
		panic(http.ErrAbortHandler)
	case fault.Handler != nil:
		fault.Handler.ServeHTTP(w, r)
	default:
		a, replaced := fault.answer()
		if !replaced {
			a = s.answer(r, t, e)
		}
		if r.Context().Err() != nil { // the answer was cut short, for a client that has gone
			panic(http.ErrAbortHandler)
		}
		s.send(w, r, a, fault)
	}
}

// answer is what is sent, if no fault meets it on the way.
type answer struct {
	status int
	body   []byte
}

// encode returns the JSON of what has one.
func encode(value any) []byte {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return body
}

// refuse returns an answer that says why there is no other one.
func refuse(status int, message string) answer {
	return answer{status, encode(map[string]any{"status": false, "message": message})}
}

// answer returns the answer that a request gets without faults.
func (s *Server) answer(r *http.Request, t *team, e endpoint) answer {
	switch {
	case r.Method != http.MethodGet:
		return refuse(http.StatusMethodNotAllowed, "the method must be GET")
	case r.Header.Get("Authorization") != "Bearer "+t.Token:
		return refuse(http.StatusUnauthorized, "the access token is missing or wrong")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return refuse(http.StatusBadRequest, "the query cannot be read")
	}
	window, err := check(r.Header, query, t, e)
	if err != nil {
		return refuse(http.StatusBadRequest, err.Error())
	}
	s.mu.Lock()
	h := t.history
	if e.name == chattonic.EndpointNPS {
		s.exports = append(s.exports, Export{Codename: t.Codename, Window: window, UserType: chattonic.UserType(query.Get("typeUser"))})
		s.exports = s.exports[max(0, len(s.exports)-1000):]
	}
	s.mu.Unlock()
	format := ""
	if t.Buckets {
		format = query.Get("dateFormatGroup")
	}
	switch {
	case t.Documented || e.name == chattonic.EndpointNPS:
		return answer{http.StatusOK, e.documented}
	case e.name == chattonic.EndpointOperators:
		return answer{http.StatusOK, encode(h.operators(r.Context(), window, s.now()))}
	}
	return answer{http.StatusOK, encode(h.dashboard(r.Context(), format, window, s.now()))}
}

// check returns the window that a request is about. It fails where the request is
// not as documented.
func check(header http.Header, query url.Values, t *team, e endpoint) (window chattonic.Window, err error) {
	for _, name := range []string{"Accept", "Content-Type"} {
		if kind, _, err := mime.ParseMediaType(header.Get(name)); err != nil || kind != "application/json" {
			return window, fmt.Errorf("the header %s must be application/json", name)
		}
	}
	for _, name := range e.parameters {
		if len(query[name]) != 1 {
			return window, fmt.Errorf("the parameter %s must be there once", name)
		}
	}
	for name := range query {
		if !slices.Contains(e.parameters, name) {
			return window, fmt.Errorf("unknown parameter %q: use %s", name, strings.Join(e.parameters, ", "))
		}
	}
	for i, date := range []*time.Time{&window.Start, &window.End} {
		name := e.parameters[i]
		*date, err = time.Parse(dateForm, query.Get(name))
		if err != nil || date.Format(dateForm) != query.Get(name) {
			return window, fmt.Errorf("%s must be a date such as 2021-11-01T03:00:00.000Z", name)
		}
	}
	format := query.Get("dateFormatGroup")
	switch {
	case window.End.Before(window.Start):
		err = errors.New("startDate must not be after endDate")
	case e.name == chattonic.EndpointDashboard && query.Get("queryName") != "dashboard":
		err = errors.New("queryName must be dashboard")
	case e.name == chattonic.EndpointDashboard && format == "":
		err = errors.New("dateFormatGroup must not be empty")
	case t.Buckets && strings.Contains(dateFormat(time.Time{}).Replace(strings.ReplaceAll(format, "%%", "")), "%"):
		err = fmt.Errorf("dateFormatGroup %q has a directive other than %%Y, %%m, %%d, %%H and %%%%", format)
	case e.name == chattonic.EndpointNPS && !slices.Contains(chattonic.UserTypes(), chattonic.UserType(query.Get("typeUser"))):
		err = fmt.Errorf("typeUser must be one of %v", chattonic.UserTypes())
	}
	return window, err
}
