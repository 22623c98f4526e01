package simulator

import (
	"bytes"
	"cmp"
	_ "embed" // for the documented answers
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"chattonic_exporter/chattonic"
)

const (
	// dateForm is the documented form of dates, which are in UTC.
	dateForm = "2006-01-02T15:04:05.000Z"
	// maxOperators bounds the size of a team.
	maxOperators = 20_000
	// maxExports bounds how many exports a Server remembers.
	maxExports = 1000
)

// endpoints is the table of what a Server answers, with the documented
// parameters besides startDate and endDate.
var endpoints = []struct {
	Name       chattonic.Endpoint
	path       string
	parameters []string
}{
	{chattonic.EndpointOperators, "operator", nil},
	{chattonic.EndpointDashboard, "bigquery", []string{"dateFormatGroup", "queryName"}},
	{chattonic.EndpointNPS, "nps/export", []string{"typeUser"}},
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

//go:embed fixtures/operators.json
var operatorsFixture []byte

//go:embed fixtures/dashboard.json
var dashboardFixture []byte

// OperatorsFixture returns the documented answer of the operators endpoint.
func OperatorsFixture() []byte { return bytes.Clone(operatorsFixture) }

// DashboardFixture returns the documented answer of the dashboard endpoint.
func DashboardFixture() []byte { return bytes.Clone(dashboardFixture) }

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
	teams  []*team // in the order of Options
	mux    http.ServeMux
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	exports []Export
}

type team struct {
	Team
	heads, originsNames [][]byte

	mu      sync.Mutex
	present history
	faults  map[chattonic.Endpoint]Fault
	calls   map[chattonic.Endpoint]int
}

// history returns what happens in the team as the scenarios are now.
func (t *team) history() history {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.present
}

// setScenario starts a scenario with the next full second.
func (t *team) setScenario(s Scenario, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.present = t.present.with(s, now)
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
		s.mux.HandleFunc("/api/v1/{codename}/stats/"+e.path, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, e.Name) })
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
	operators := config.Operators
	if config.Documented {
		operators = 1 // which no answer is about
	}
	switch {
	case s.team(config.Codename) != nil:
		return errors.New("the codename is taken")
	case config.Token == "":
		return errors.New("the token is empty")
	case operators < 1 || operators > maxOperators:
		return fmt.Errorf("it has %d operators: use 1 to %d", operators, maxOperators)
	}
	seeds := []uint64{config.Seed, uint64(operators)}
	for _, c := range []byte(config.Codename) {
		seeds = append(seeds, uint64(c))
	}
	model := newModel(key(seeds...), operators, location)
	t := &team{
		Team:    config,
		present: newHistory(model),
		faults:  map[chattonic.Endpoint]Fault{},
		calls:   map[chattonic.Endpoint]int{},
	}
	t.heads, t.originsNames = profiles(model)
	s.teams = append(s.teams, t)
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

// teamsNamed returns the team with the codename, or all teams for "".
func (s *Server) teamsNamed(codename string) ([]*team, error) {
	if codename == "" {
		return s.teams, nil
	}
	if t := s.team(codename); t != nil {
		return []*team{t}, nil
	}
	var names []string
	for _, t := range s.teams {
		names = append(names, t.Codename)
	}
	return nil, fmt.Errorf("unknown team %q: use one of %s, or none for all", codename, list(names))
}

// SetScenario starts a scenario, for the team with the codename or, if that is
// empty, for all. It takes effect with the clock's next full second and
// leaves what was before as it was. It fails where a name is unknown.
func (s *Server) SetScenario(codename string, scenario Scenario) error {
	if !slices.Contains(Scenarios(), scenario) {
		return fmt.Errorf("unknown scenario %q: use one of %s", scenario, list(Scenarios()))
	}
	teams, err := s.teamsNamed(codename)
	if err != nil {
		return err
	}
	now := s.now()
	for _, t := range teams {
		t.setScenario(scenario, now)
	}
	return nil
}

// SetFault has requests meet a fault, in place of the one before: those of the
// team with the codename, or of all teams if that is empty, to the endpoint, or
// to all if that is empty. The zero Fault ends faults. It fails where a name is
// unknown.
func (s *Server) SetFault(codename string, endpoint chattonic.Endpoint, fault Fault) error {
	teams, err := s.teamsNamed(codename)
	if err != nil {
		return err
	}
	var names []chattonic.Endpoint
	for _, e := range endpoints {
		names = append(names, e.Name)
	}
	if endpoint != "" && !slices.Contains(names, endpoint) {
		return fmt.Errorf("unknown endpoint %q: use one of %s, or none for all", endpoint, list(names))
	}
	for _, e := range names {
		for _, t := range teams {
			if endpoint == "" || endpoint == e {
				t.setFault(e, fault)
			}
		}
	}
	return nil
}

// list lists names in a message.
func list[N ~string](names []N) string {
	var texts []string
	for _, name := range names {
		texts = append(texts, string(name))
	}
	return strings.Join(texts, ", ")
}

// Calls returns how many requests of a team reached an endpoint, also those that
// were refused or met a fault. An unknown team or endpoint had none.
func (s *Server) Calls(codename string, endpoint chattonic.Endpoint) int {
	t := s.team(codename)
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[endpoint]
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
func (s *Server) serve(w http.ResponseWriter, r *http.Request, e chattonic.Endpoint) {
	codename := r.PathValue("codename")
	t := s.team(codename)
	if t == nil {
		s.send(w, r, refuse(http.StatusNotFound, fmt.Sprintf("there is no team %q", codename)), Fault{})
		return
	}
	fault := t.call(e)
	if fault.Delay > 0 && !s.wait(r.Context(), fault.Delay) || fault.Cut == CutBeforeHeader {
		panic(http.ErrAbortHandler)
	}
	if fault.Handler != nil {
		fault.Handler.ServeHTTP(w, r)
		return
	}
	a, err := fault.answer(func() (answer, error) { return s.regular(r, t, e) })
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	s.send(w, r, a, fault)
}

// answer is what is sent, if no fault meets it on the way.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func newAnswer(status int, body []byte) answer {
	return answer{status, http.Header{"Content-Type": {"application/json; charset=utf-8"}}, body}
}

// refuse returns an answer that says why there is no other one.
func refuse(status int, message string) answer {
	body, err := json.Marshal(map[string]any{"status": false, "message": message})
	if err != nil { // a string always has a JSON form
		panic(err)
	}
	a := newAnswer(status, body)
	switch status {
	case http.StatusMethodNotAllowed:
		a.header.Set("Allow", http.MethodGet)
	case http.StatusUnauthorized:
		a.header.Set("WWW-Authenticate", "Bearer")
	}
	return a
}

// regular returns the answer that a request gets without faults. It fails where
// the client has gone away.
func (s *Server) regular(r *http.Request, t *team, e chattonic.Endpoint) (answer, error) {
	q, status, err := check(r, t, e)
	if err != nil {
		return refuse(status, err.Error()), nil
	}
	var body []byte
	switch {
	case e == chattonic.EndpointNPS:
		s.export(Export{Codename: t.Codename, Window: q.window, UserType: q.userType})
	case t.Documented && e == chattonic.EndpointOperators:
		body = operatorsFixture
	case t.Documented:
		body = dashboardFixture
	case e == chattonic.EndpointOperators:
		body, err = t.operators(r.Context(), q.window, s.now())
	default:
		body, err = t.dashboard(r.Context(), q.format, q.window, s.now())
	}
	return newAnswer(http.StatusOK, body), err
}

func (s *Server) export(e Export) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exports = append(s.exports, e)
	if len(s.exports) > maxExports {
		s.exports = s.exports[1:]
	}
}

// request is what a request asks for.
type request struct {
	window   chattonic.Window
	format   string
	userType chattonic.UserType
}

// check refuses, with an HTTP status, a request that is not as documented.
func check(r *http.Request, t *team, e chattonic.Endpoint) (request, int, error) {
	if r.Method != http.MethodGet {
		return request{}, http.StatusMethodNotAllowed, errors.New("the method must be GET")
	}
	if r.Header.Get("Authorization") != "Bearer "+t.Token {
		return request{}, http.StatusUnauthorized, errors.New("the access token is missing or wrong")
	}
	for _, name := range []string{"Accept", "Content-Type"} {
		if kind, _, err := mime.ParseMediaType(r.Header.Get(name)); err != nil || kind != "application/json" {
			return request{}, http.StatusBadRequest, fmt.Errorf("the header %s must be application/json", name)
		}
	}
	q, err := checkQuery(r.URL.RawQuery, t, e)
	return q, http.StatusBadRequest, err
}

func checkQuery(rawQuery string, t *team, e chattonic.Endpoint) (q request, err error) {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return q, errors.New("the query cannot be read")
	}
	names := []string{"startDate", "endDate"}
	for _, endpoint := range endpoints {
		if endpoint.Name == e {
			names = append(names, endpoint.parameters...)
		}
	}
	for _, name := range names {
		if len(values[name]) != 1 {
			return q, fmt.Errorf("the parameter %s must be there once", name)
		}
	}
	for name := range values {
		if !slices.Contains(names, name) {
			return q, fmt.Errorf("unknown parameter %q: use %s", name, strings.Join(names, ", "))
		}
	}
	if q.window.Start, err = parseDate("startDate", values); err != nil {
		return q, err
	}
	if q.window.End, err = parseDate("endDate", values); err != nil {
		return q, err
	}
	q.format, q.userType = values.Get("dateFormatGroup"), chattonic.UserType(values.Get("typeUser"))
	switch {
	case q.window.End.Before(q.window.Start):
		err = errors.New("startDate must not be after endDate")
	case e == chattonic.EndpointDashboard && values.Get("queryName") != "dashboard":
		err = errors.New("queryName must be dashboard")
	case e == chattonic.EndpointDashboard && q.format == "":
		err = errors.New("dateFormatGroup must not be empty")
	case e == chattonic.EndpointDashboard && t.Buckets:
		err = checkDateFormat(q.format)
	case e == chattonic.EndpointNPS && !slices.Contains(chattonic.UserTypes(), q.userType):
		err = fmt.Errorf("typeUser must be one of %v", chattonic.UserTypes())
	}
	return q, err
}

func parseDate(name string, values url.Values) (time.Time, error) {
	text := values.Get(name)
	t, err := time.Parse(dateForm, text)
	if err != nil || t.Format(dateForm) != text {
		return time.Time{}, fmt.Errorf("%s must be a date such as 2021-11-01T03:00:00.000Z", name)
	}
	return t, nil
}
