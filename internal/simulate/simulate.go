// Package simulate serves a simulated Chat-Tonic: as a command, and inside the
// exporter for its demo.
package simulate

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/simulator"
	"chattonic_exporter/internal/usage"
)

// shutdown is how long requests may take to end after the server.
const shutdown = 2 * time.Second

// Options are the flags of the command.
type Options struct {
	// Listen is the address to serve on.
	Listen string
	// Codenames are the teams' codenames, and Token is the token of all.
	Codenames []string
	Token     string
	// Operators is the number of operators of each team.
	Operators int
	// Seed decides everything that happens.
	Seed uint64
	// Timezone is where the contact centre is.
	Timezone string
	// Scenario is the first scenario.
	Scenario string
	// Buckets has the dashboard answer with a row for each bucket.
	Buckets bool
	// Documented has all teams answer with the documented answers.
	Documented bool
	// Out is where the command says what it serves.
	Out io.Writer
}

// Flags declares the flags of the command.
func (o *Options) Flags(cmd *kingpin.CmdClause) {
	address := cmd.Flag("listen-address", "Address to serve on.").Default("127.0.0.1:10043")
	address.StringVar(&o.Listen)
	cli.CheckAddress(address)
	cmd.Flag("team", "Codename of a team. May be repeated.").Default("acme").StringsVar(&o.Codenames)
	cmd.Flag("token", "Access token that requests must bear. It guards no secret.").Default("simulated").StringVar(&o.Token)
	cmd.Flag("operators", "Number of operators of each team.").Default("25").IntVar(&o.Operators)
	cmd.Flag("seed", "Seed of all that happens: the same seed, the same day.").Default("1").Uint64Var(&o.Seed)
	cmd.Flag("timezone", "Time zone of the contact centre.").Default("UTC").StringVar(&o.Timezone)
	var scenarios []string
	for _, scenario := range simulator.Scenarios() {
		scenarios = append(scenarios, string(scenario))
	}
	cmd.Flag("scenario", "What goes on at first: "+strings.Join(scenarios, ", ")+".").Default(scenarios[0]).EnumVar(&o.Scenario, scenarios...)
	cmd.Flag("buckets", "Answer with a dashboard row for each bucket of dateFormatGroup. Default: off.").BoolVar(&o.Buckets)
	cmd.Flag("documented", "Answer with the documented answers only. Default: off.").BoolVar(&o.Documented)
}

// Run serves the API, and a page to switch scenarios and faults at /, until ctx
// ends.
func Run(ctx context.Context, o Options) error {
	zone, err := time.LoadLocation(o.Timezone)
	if err != nil {
		return usage.Errorf("--timezone %q is unknown: use an IANA name such as Europe/Madrid", o.Timezone)
	}
	var teams []simulator.Team
	for i, codename := range o.Codenames {
		teams = append(teams, simulator.Team{
			Codename: codename, Token: o.Token, Seed: o.Seed + uint64(i), Operators: o.Operators, Buckets: o.Buckets, Documented: o.Documented,
		})
	}
	simulated, err := simulator.New(simulator.Options{Teams: teams, Location: zone})
	if err != nil {
		return usage.Error{Err: err} // all of it comes from flags
	}
	if err := simulated.SetScenario("", simulator.Scenario(o.Scenario)); err != nil {
		return err
	}
	listener, err := listen(ctx, o.Listen)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(o.Out, "Simulated Chat-Tonic API: http://%[1]s\nPage to switch scenarios and faults: http://%[1]s/\nTeams: %[2]s\nAccess token: %[3]s\n",
		listener.Addr(), strings.Join(o.Codenames, ", "), o.Token); err != nil {
		listener.Close()
		return fmt.Errorf("saying what is simulated: %w", err)
	}
	return serve(ctx, listener, simulated)
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serving the simulated API: %w", err)
	}
	return listener, nil
}

// serve serves the API and its control page until ctx ends. Requests that hang on
// purpose end with it. It fails when the server ends before.
func serve(ctx context.Context, listener net.Listener, simulated *simulator.Server) error {
	mux := http.NewServeMux()
	mux.Handle("/api/", simulated)
	mux.Handle("/", simulated.Control())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	var failure error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failure = server.Serve(listener)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	simulated.Close()
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdown)
	defer cancel()
	if server.Shutdown(deadline) != nil {
		_ = server.Close() // what is left had its time
	}
	<-ended
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serving the simulated API: %w", failure)
}

// Demo is a simulated Chat-Tonic with a configuration of teams that ask it.
type Demo struct {
	// Control is the page to switch what happens.
	Control http.Handler

	address string
	end     context.CancelFunc
	ended   chan struct{}
}

// demoToken is for the demo's own API on loopback and guards nothing.
const demoToken = "simulated"

// demoTeams are teams of different sizes, so that dashboards have something to
// tell apart.
var demoTeams = []simulator.Team{
	{Codename: "sales", Token: demoToken, Seed: 1, Operators: 12},
	{Codename: "support", Token: demoToken, Seed: 2, Operators: 30},
	{Codename: "billing", Token: demoToken, Seed: 3, Operators: 10},
}

// demoHours are the business hours of teams that are not there all the time.
var demoHours = map[string]string{
	"billing": `, business_hours: {hours: [{days: [monday, tuesday, wednesday, thursday, friday], from: "08:00", to: "20:00"}]}`,
}

// demoNames are the teams' names on the pages.
var demoNames = map[string]string{"sales": "Sales", "support": "Support", "billing": "Billing"}

// StartDemo serves a simulated API on a free port of the loopback interface, and says in the
// log that it is one. Close ends it. The exporter serves the page to switch what happens at
// simulator/.
func StartDemo(ctx context.Context, logger log.Logger) (*Demo, error) {
	simulated, err := simulator.New(simulator.Options{Teams: demoTeams})
	if err != nil {
		return nil, err
	}
	listener, err := listen(ctx, "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	d := &Demo{Control: simulated.Control(), address: listener.Addr().String(), end: end, ended: make(chan struct{})}
	level.Warn(logger).Log("msg", "DEMO: all data is simulated, no real Chat-Tonic is asked", "switch", "/simulator/")
	go func() {
		defer close(d.ended)
		_ = serve(ctx, listener, simulated) // the exporter shows that no team answers
	}()
	return d, nil
}

// Load returns the configuration of the demo's teams.
func (d *Demo) Load() (*config.Config, error) {
	var file strings.Builder
	fmt.Fprintf(&file, `
defaults:
  base_url: http://%s
  windows: [24h, 1h, today]
  http_client: {authorization: {credentials: %s}}
teams:
`, d.address, demoToken)
	for _, t := range demoTeams {
		fmt.Fprintf(&file, "  - {codename: %s, display_name: %s, forecasts: true, thresholds: {queries_pending: %d}%s}\n", t.Codename, demoNames[t.Codename], t.Operators/2, demoHours[t.Codename])
	}
	return config.Parse("demo", []byte(file.String()))
}

// Close ends the simulated API, also where ctx has ended.
func (d *Demo) Close(context.Context) {
	d.end()
	<-d.ended
}
