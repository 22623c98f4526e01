package npsexport

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	announcement = `Chat-Tonic will send the NPS report of team "acme", user type promoter, from 2021-11-01T00:00:00-03:00 to 2021-12-01T00:00:00-03:00, by e-mail to the owner of the access token.` + "\n"
	question     = "Send it? [y/N] "
	done         = "Chat-Tonic accepted the request and will send the e-mail. Whether it arrives is not known here.\n"
	uncertain    = "it is not known whether the e-mail was sent: look in the mailbox before you try again: requesting the nps_export endpoint: "
)

// november is the month in the time zone of the team acme.
var november = chattonic.Window{
	Start: time.Date(2021, 11, 1, 3, 0, 0, 0, time.UTC),
	End:   time.Date(2021, 12, 1, 3, 0, 0, 0, time.UTC),
}

// simulated is a simulated Chat-Tonic with the teams acme, in Brazil, and
// beta, in UTC.
type simulated struct {
	*simulator.Server
	url string
}

func simulate(t *testing.T) simulated {
	t.Helper()
	var teams []simulator.Team
	for _, codename := range []string{"acme", "beta"} {
		teams = append(teams, simulator.Team{Codename: codename, Token: "secret-" + codename, Documented: true})
	}
	api, err := simulator.New(simulator.Options{Teams: teams})
	require.NoError(t, err)
	server := httptest.NewServer(api)
	t.Cleanup(func() { api.Close(); server.Close() })
	return simulated{api, server.URL}
}

// options returns options for the report of acme over november, without the
// question.
func options(t *testing.T, url string, more ...string) Options {
	t.Helper()
	file := fmt.Sprintf(`
defaults: {base_url: %q}
teams:
  - {codename: acme, timezone: America/Sao_Paulo, http_client: {authorization: {credentials: secret-acme}}}
`, url)
	c, err := config.Parse("teams.yml", []byte(file+strings.Join(more, "")))
	require.NoError(t, err)
	return Options{
		Client:   cli.Client{Load: func() (*config.Config, error) { return c, nil }, RequestTimeout: 5 * time.Second, MaxBody: 1 << 20},
		UserType: chattonic.UserTypePromoter, Start: "2021-11-01", End: "2021-12-01",
		Yes: true, UserAgent: "test", Out: &bytes.Buffer{},
	}
}

const beta = "  - {codename: beta, http_client: {authorization: {credentials: secret-beta}}}\n"

func output(t *testing.T, o Options) string {
	t.Helper()
	out, ok := o.Out.(*bytes.Buffer)
	require.True(t, ok)
	return out.String()
}

func TestSend(t *testing.T) {
	api := simulate(t)
	o := options(t, api.url)
	before := goleak.IgnoreCurrent()
	require.NoError(t, Run(t.Context(), o))
	goleak.VerifyNone(t, before) // no connection stays open
	assert.Equal(t, announcement+done, output(t, o))
	assert.Equal(t, []simulator.Export{{Codename: "acme", Window: november, UserType: "promoter"}}, api.Exports())
	assert.Equal(t, 1, api.Calls("acme", chattonic.EndpointNPS))
}

func TestQuestion(t *testing.T) {
	for _, c := range []struct {
		answer string
		send   bool
	}{
		{"y\n", true},
		{"Y\n", true},
		{"yes\n", true},
		{"YES\n", true},
		{" y \r\n", true},
		{"y\nn\n", true},
		{"n\n", false},
		{"\n", false},
		{"", false},
		{"no\n", false},
		{"yep\n", false},
		{"ye\n", false},
		{"n\ny\n", false},
		{"y", false}, // the input ended before the answer
	} {
		t.Run(fmt.Sprintf("%q", c.answer), func(t *testing.T) {
			api := simulate(t)
			o := options(t, api.url)
			o.Yes, o.In = false, strings.NewReader(c.answer)
			err := Run(t.Context(), o)
			if c.send {
				require.NoError(t, err)
				assert.Equal(t, announcement+question+done, output(t, o))
				assert.Len(t, api.Exports(), 1)
				return
			}
			require.EqualError(t, err, "nothing was sent")
			assert.Equal(t, announcement+question, output(t, o))
			assert.Zero(t, api.Calls("acme", chattonic.EndpointNPS))
		})
	}
}

// interrupted cancels a context when it is read, as Ctrl-C at the question
// does.
type interrupted struct {
	interrupt func()
	io.Reader
}

func (i interrupted) Read(p []byte) (int, error) {
	i.interrupt()
	return i.Reader.Read(p)
}

func TestInterruptedQuestion(t *testing.T) {
	api := simulate(t)
	o := options(t, api.url)
	ctx, cancel := context.WithCancel(t.Context())
	o.Yes, o.In = false, interrupted{cancel, strings.NewReader("y\n")}
	require.EqualError(t, Run(ctx, o), "nothing was sent")
	assert.Zero(t, api.Calls("acme", chattonic.EndpointNPS))
}

func TestNobodyToAsk(t *testing.T) {
	api := simulate(t)
	o := options(t, api.url)
	o.Yes = false
	require.EqualError(t, Run(t.Context(), o), "the question cannot be asked, because the input is no terminal: use --yes")
	assert.Equal(t, announcement, output(t, o))
	assert.Zero(t, api.Calls("acme", chattonic.EndpointNPS))
}

// TestPeriod specifies the period in every way. The time zone of the team is
// three hours behind UTC. In the summers until 2019 it was two hours behind.
func TestPeriod(t *testing.T) {
	at := func(text string) time.Time {
		at, err := time.Parse(time.RFC3339Nano, text)
		require.NoError(t, err)
		return at.UTC()
	}
	now := at("2021-11-15T01:30:00.123456789Z") // the 14th in Brazil
	for name, c := range map[string]struct{ start, end, window, wantStart, wantEnd string }{
		"dates":                       {"2021-11-01", "2021-12-01", "", "2021-11-01T03:00:00Z", "2021-12-01T03:00:00Z"},
		"times in UTC":                {"2021-11-01T03:00:00Z", "2021-12-01T02:55:00.5Z", "", "2021-11-01T03:00:00Z", "2021-12-01T02:55:00.5Z"},
		"times with an offset":        {"2021-11-01T00:00:00+02:00", "2021-11-02T00:00:00-05:00", "", "2021-10-31T22:00:00Z", "2021-11-02T05:00:00Z"},
		"a date and a time":           {"2021-11-01", "2021-11-01T12:00:00Z", "", "2021-11-01T03:00:00Z", "2021-11-01T12:00:00Z"},
		"a day that begins at 01:00":  {"2018-11-04", "2018-11-05", "", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"},
		"a day with two times 23:00":  {"2018-02-17", "2018-02-18", "", "2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z"},
		"rolling":                     {"", "", "24h", "2021-11-14T01:30:00.123Z", "2021-11-15T01:30:00.123Z"},
		"today in the team's zone":    {"", "", "today", "2021-11-14T03:00:00Z", "2021-11-15T01:30:00.123Z"},
		"yesterday of the team":       {"", "", "yesterday", "2021-11-13T03:00:00Z", "2021-11-14T03:00:00Z"},
		"this month in the team's":    {"", "", "this_month", "2021-11-01T03:00:00Z", "2021-11-15T01:30:00.123Z"},
		"this week, which has begun":  {"", "", "this_week", "2021-11-08T03:00:00Z", "2021-11-15T01:30:00.123Z"},
		"several units of a duration": {"", "", "1d12h", "2021-11-13T13:30:00.123Z", "2021-11-15T01:30:00.123Z"},
	} {
		t.Run(name, func(t *testing.T) {
			api := simulate(t)
			o := options(t, api.url)
			o.Start, o.End, o.Window, o.Now = c.start, c.end, c.window, func() time.Time { return now }
			require.NoError(t, Run(t.Context(), o))
			want := chattonic.Window{Start: at(c.wantStart), End: at(c.wantEnd)}
			assert.Equal(t, []simulator.Export{{Codename: "acme", Window: want, UserType: "promoter"}}, api.Exports())
		})
	}
}

// TestClock checks a rolling window with the default clock.
func TestClock(t *testing.T) {
	api := simulate(t)
	o := options(t, api.url)
	o.Start, o.End, o.Window = "", "", "1h"
	before := time.Now().Truncate(time.Millisecond)
	require.NoError(t, Run(t.Context(), o))
	require.Len(t, api.Exports(), 1)
	window := api.Exports()[0].Window
	assert.WithinRange(t, window.End, before, time.Now())
	assert.Equal(t, time.Hour, window.End.Sub(window.Start))
}

func TestUsage(t *testing.T) {
	const noTime = " is not a time: use one such as 2021-11-01 or 2021-11-01T03:00:00Z"
	const userTypes = "--user-type is required: use one of all, promoter, passive, detractor"
	const neither = "--start and --end, or --window, are required"
	const both = "--window cannot be combined with --start and --end"
	for _, c := range []struct {
		want   string
		change func(*Options)
	}{
		{userTypes, func(o *Options) { o.UserType = "" }},
		{userTypes, func(o *Options) { o.UserType = "critic" }},
		{neither, func(o *Options) { o.Start, o.End = "", "" }},
		{neither, func(o *Options) { o.Start = "" }},
		{neither, func(o *Options) { o.End = "" }},
		{both, func(o *Options) { o.Window, o.Start = "24h", "" }},
		{both, func(o *Options) { o.Window, o.End = "24h", "" }},
		{
			`--window "fortnight": unknown window: use a duration such as 24h or 7d, or today, yesterday, this_week or this_month`,
			func(o *Options) { o.Window, o.Start, o.End = "fortnight", "", "" },
		},
		{`--start "yesterday"` + noTime, func(o *Options) { o.Start = "yesterday" }},
		{`--start "2021-11-31"` + noTime, func(o *Options) { o.Start = "2021-11-31" }},
		{`--start "2021-11-01T03:00:00"` + noTime, func(o *Options) { o.Start = "2021-11-01T03:00:00" }},
		{`--end "2021-12-01 03:00"` + noTime, func(o *Options) { o.End = "2021-12-01 03:00" }},
		{"--start 2021-12-01 is not before --end 2021-12-01", func(o *Options) { o.Start = "2021-12-01" }},
		{"--start 2021-12-02T00:00:00Z is not before --end 2021-12-01", func(o *Options) { o.Start = "2021-12-02T00:00:00Z" }},
		{`--team "gamma" is not configured: use one of acme`, func(o *Options) { o.Team = "gamma" }},
	} {
		t.Run(c.want, func(t *testing.T) {
			api := simulate(t)
			o := options(t, api.url)
			c.change(&o)
			require.EqualError(t, Run(t.Context(), o), c.want)
			assert.Empty(t, output(t, o))
			assert.Zero(t, api.Calls("acme", chattonic.EndpointNPS))
		})
	}
}

func TestTeams(t *testing.T) {
	for team, want := range map[string]string{
		"acme":  "",
		"beta":  "",
		"":      "--team is required: use one of acme, beta",
		"gamma": `--team "gamma" is not configured: use one of acme, beta`,
	} {
		t.Run(team, func(t *testing.T) {
			api := simulate(t)
			o := options(t, api.url, beta)
			o.Team = team
			err := Run(t.Context(), o)
			if want != "" {
				require.EqualError(t, err, want)
				assert.Empty(t, api.Exports())
				return
			}
			require.NoError(t, err)
			require.Len(t, api.Exports(), 1)
			assert.Equal(t, team, api.Exports()[0].Codename)
		})
	}
	t.Run("the only one by name", func(t *testing.T) {
		api := simulate(t)
		o := options(t, api.url)
		o.Team = "acme"
		require.NoError(t, Run(t.Context(), o))
		assert.Len(t, api.Exports(), 1)
	})
}

// TestFailure checks the error after each failure, and that the request is
// sent once.
func TestFailure(t *testing.T) {
	respond := func(status int, contentType, body string) simulator.Fault {
		return simulator.Fault{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})}
	}
	redirect := func(status int, to string) simulator.Fault {
		return simulator.Fault{Handler: http.RedirectHandler(to, status)}
	}
	const (
		redirected = ", a redirect, which an NPS export does not follow: check the base URL and that the access token is current"
		html       = "the answer is an HTML page, such as a login page: check the base URL and the proxy"
	)
	for name, c := range map[string]struct {
		fault simulator.Fault
		want  string
	}{
		"400": {simulator.Fault{Status: 400}, "HTTP 400"},
		"401": {simulator.Fault{Status: 401}, "HTTP 401, the access token was not accepted: check that it is current"},
		"403": {simulator.Fault{Status: 403}, "HTTP 403, the access token has no access to this team: check the token and the codename"},
		"404": {simulator.Fault{Status: 404}, "HTTP 404, the team was not found: check the base URL and the codename"},
		"408": {simulator.Fault{Status: 408}, "HTTP 408"},
		"429": {simulator.Fault{Status: 429, RetryAfter: "0"}, "HTTP 429, too many calls: lengthen the scrape interval or set a ttl"},
		"500": {simulator.Fault{Status: 500}, "HTTP 500"},
		"502": {simulator.Fault{Status: 502}, "HTTP 502"},
		"503": {simulator.Fault{Status: 503, RetryAfter: "0"}, "HTTP 503"},
		"304": {respond(304, "", ""), "HTTP 304"},
		"cut": {simulator.Fault{Cut: simulator.CutBeforeHeader}, "the connection broke before the answer was complete"},
		"status false": {
			simulator.Fault{Body: []byte(`{"status":false,"message":"do not show this"}`)},
			`Chat-Tonic refused: "status" is false`,
		},
		"success false":       {respond(200, "application/json", `{"success": false, "error": "nope"}`), `Chat-Tonic refused: "success" is false`},
		"HTML by its type":    {respond(200, "text/html; charset=utf-8", `Please log in`), html},
		"HTML by its body":    {respond(200, "application/json", "\n<html>Please log in</html>"), html},
		"too large an answer": {respond(200, "application/json", strings.Repeat(" ", 2<<20)), "the answer has more than 1048576 bytes: raise the size limit if this is expected"},
		"redirect to a login": {redirect(302, "/login"), "HTTP 302" + redirected},
		"redirect to a 404":   {redirect(302, "/done"), "HTTP 302" + redirected},
		"redirect to itself":  {redirect(307, "/api/v1/acme/stats/nps/export"), "HTTP 307" + redirected},
		"redirect elsewhere":  {redirect(301, "http://elsewhere.example/"), "HTTP 301" + redirected},
		"redirect to nowhere": {respond(302, "", ""), "HTTP 302" + redirected},
	} {
		t.Run(name, func(t *testing.T) {
			api := simulate(t)
			require.NoError(t, api.SetFault("acme", chattonic.EndpointNPS, c.fault))
			o := options(t, api.url)
			require.EqualError(t, Run(t.Context(), o), uncertain+c.want)
			assert.Equal(t, announcement, output(t, o))
			assert.Equal(t, 1, api.Calls("acme", chattonic.EndpointNPS))
		})
	}
}

func TestTimeout(t *testing.T) {
	api := simulate(t)
	require.NoError(t, api.SetFault("acme", chattonic.EndpointNPS, simulator.Fault{Delay: time.Hour}))
	o := options(t, api.url)
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(45*time.Second, cancel).Stop() // if nothing ends the call
	var err error
	// On a busy machine the timeout can pass before the request arrives.
	for o.RequestTimeout = 100 * time.Millisecond; api.Calls("acme", chattonic.EndpointNPS) == 0 && ctx.Err() == nil; o.RequestTimeout *= 2 {
		o.Out = new(bytes.Buffer)
		err = Run(ctx, o)
	}
	require.EqualError(t, err, uncertain+"no complete answer before the timeout")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Equal(t, 1, api.Calls("acme", chattonic.EndpointNPS))
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	api := simulate(t)
	require.NoError(t, api.SetFault("acme", chattonic.EndpointNPS, simulator.Fault{
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() }),
	}))
	require.EqualError(t, Run(ctx, options(t, api.url)), uncertain+"canceled before the answer was complete")

	api = simulate(t)
	require.EqualError(t, Run(ctx, options(t, api.url)), "nothing was sent: requesting the nps_export endpoint: canceled before the answer was complete")
	assert.Zero(t, api.Calls("acme", chattonic.EndpointNPS))
}

// TestUnreachable checks the error if no request was sent.
func TestUnreachable(t *testing.T) {
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	free := listener.Addr().String()
	require.NoError(t, listener.Close())
	err = Run(t.Context(), options(t, "http://"+free))
	require.EqualError(t, err, "nothing was sent: requesting the nps_export endpoint: the connection failed: dial: connect: connection refused")

	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshake fails
	server.StartTLS()
	t.Cleanup(server.Close)
	err = Run(t.Context(), options(t, server.URL))
	require.ErrorContains(t, err, "nothing was sent: requesting the nps_export endpoint: TLS: x509: certificate signed by unknown authority")
}

// TestCredentials removes files of the client after the configuration was
// read.
func TestCredentials(t *testing.T) {
	api := simulate(t)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("secret-beta\n"), 0o600))
	o := options(t, api.url, fmt.Sprintf("  - {codename: beta, http_client: {authorization: {credentials_file: %q}}}\n", file))
	o.Team = "beta"
	require.NoError(t, Run(t.Context(), o))
	require.NoError(t, os.Remove(file))
	err := Run(t.Context(), o)
	require.ErrorContains(t, err, "nothing was sent: requesting the nps_export endpoint: the request could not be sent: ")
	assert.Equal(t, 1, api.Calls("beta", chattonic.EndpointNPS))

	o = options(t, api.url)
	c, err := o.Load()
	require.NoError(t, err)
	c.Teams[0].HTTPClient.TLSConfig.CAFile = filepath.Join(t.TempDir(), "none.pem")
	err = Run(t.Context(), o)
	require.ErrorContains(t, err, `nothing was sent: team "acme": http_client: `)
	assert.Zero(t, api.Calls("acme", chattonic.EndpointNPS))
}

func TestFlags(t *testing.T) {
	parse := func(args ...string) (Options, error) {
		var o Options
		app := kingpin.New("test", "").Terminate(nil)
		o.Flags(app.Command("nps-export", ""))
		_, err := app.Parse(append([]string{"nps-export"}, args...))
		return o, err
	}
	limits := cli.Client{RequestTimeout: 30 * time.Second, MaxBody: 64 << 20}
	o, err := parse("--team=acme", "--user-type=passive", "--start=2021-11-01", "--end=2021-12-01", "--window=24h", "--yes")
	require.NoError(t, err)
	assert.Equal(t, Options{Client: limits, Team: "acme", UserType: chattonic.UserTypePassive, Start: "2021-11-01", End: "2021-12-01", Window: "24h", Yes: true}, o)

	o, err = parse()
	require.NoError(t, err)
	assert.Equal(t, Options{Client: limits}, o)

	_, err = parse("--user-type=critic")
	require.EqualError(t, err, "enum value must be one of all,promoter,passive,detractor, got 'critic'")
}
