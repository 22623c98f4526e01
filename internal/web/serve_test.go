package web

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/simulator"
)

var pagesListen = flag.String("pages.listen", "", "address on which TestServePages serves pages until it is killed")

// TestServePages serves pages of teams in several states with three hours of history, always
// the same, for `make screenshots`. Without -pages.listen it only makes the history.
func TestServePages(t *testing.T) {
	f := startPages(t, "  - codename: acme\n", nil)
	var teams []simulator.Team
	for i, codename := range []string{"support", "sales", "billing", "returns", "night", "partners"} {
		teams = append(teams, simulator.Team{Codename: codename, Token: "secret", Seed: uint64(i + 3), Operators: []int{30, 14, 8, 10, 6, 5}[i]})
	}
	zone, err := time.LoadLocation("America/Argentina/Buenos_Aires")
	require.NoError(t, err)
	api, err := simulator.New(simulator.Options{Teams: teams, Now: f.clock.Now, Location: zone})
	require.NoError(t, err)
	t.Cleanup(api.Close)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	upstream := &http.Server{Handler: api, ReadHeaderTimeout: time.Minute}
	go func() { _ = upstream.Serve(listener) }()
	t.Cleanup(func() { _ = upstream.Close() })
	f.url = "http://" + listener.Addr().String()
	const settings = "forecasts: true, timezone: America/Argentina/Buenos_Aires, windows: [24h, 1h, today]"
	f.apply(t, fmt.Sprintf(`
  - {codename: support, display_name: Customer support, thresholds: {queries_pending: 12}, %[1]s}
  - {codename: sales, display_name: Sales, thresholds: {queries_pending: 8}, %[1]s}
  - {codename: billing, display_name: Billing, %[1]s}
  - {codename: returns, display_name: Returns, %[1]s}
  - {codename: night, display_name: Night shift, business_hours: {hours: [{days: [wednesday], from: "20:00", to: "24:00"}]}, %[1]s}
  - {codename: partners, display_name: Partners, %[1]s}
`, settings))
	const minutes = 180
	for i := range minutes {
		f.clock.pass(time.Minute) // from 09:00 to 12:00 there
		switch minutes - 1 - i {
		case 3:
			require.NoError(t, api.SetScenario("support", simulator.Scenario("backlog")))
		case 6:
			require.NoError(t, api.SetFault("partners", chattonic.EndpointOperators, simulator.Fault{Status: http.StatusInternalServerError}))
		}
		f.scrape(t.Context())
	}
	f.clock.pass(4 * time.Second)
	page := f.page(t, "/")
	require.Equal(t, "unattended", shownState(t, page, "support"))
	require.Equal(t, "unknown", shownState(t, page, "partners"))
	require.Equal(t, "closed", shownState(t, page, "night"))
	if *pagesListen != "" {
		server := &http.Server{Addr: *pagesListen, Handler: f, ReadHeaderTimeout: time.Minute}
		require.NoError(t, server.ListenAndServe())
	}
}
