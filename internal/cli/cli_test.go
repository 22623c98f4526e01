package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/go-kit/log/level"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/usage"
)

// commands holds the options of the commands in the tests.
type commands struct {
	serve, backfill, report Client
	log                     Log
	address                 []string
	fast                    bool
	rate                    int
}

func (c *commands) app() *kingpin.Application {
	app := kingpin.New(Program, "Does things.").Version("1.2.3")
	cmd := app.Command("serve", "Serve.").Default()
	c.serve.Flags(cmd)
	c.log.Flags(cmd)
	address := cmd.Flag("web.address", "Address.").Default(":1")
	address.StringsVar(&c.address)
	CheckAddress(address)
	cmd = app.Command("backfill", "Fill.")
	c.backfill.Flags(cmd)
	cmd.Flag("fast", "Fast.").BoolVar(&c.fast)
	cmd.Flag("rate", "Rate.").IntVar(&c.rate)
	check := app.Command("check", "Check.")
	cmd = check.Command("report", "Check a report.")
	c.report.CallFlags(cmd)
	cmd.Flag("rate", "Rate.").IntVar(&c.rate)
	check.Command("config", "Check a file.").Arg("FILE", "The file.").Required().String()
	return app
}

func parse(t *testing.T, args ...string) (c commands, command, stdout string, err error) {
	t.Helper()
	var out bytes.Buffer
	command, err = Parse(c.app(), args, &out)
	return c, command, out.String(), err
}

func TestParse(t *testing.T) {
	t.Setenv(config.TokenVariable, "s3cret")
	defaults := Client{Source: config.Flags{Token: "s3cret"}, RequestTimeout: 30 * time.Second, MaxBody: 64 << 20, MaxCalls: 100}
	c, command, _, err := parse(t)
	require.NoError(t, err)
	assert.Equal(t, "serve", command)
	assert.Equal(t, commands{serve: defaults, log: Log{"info", "logfmt"}, address: []string{":1"}}, c)

	c, command, _, err = parse(t, "--config.file=teams.yml", "--chattonic.max-body-size=1KiB", "--web.address=:2", "--web.address=vsock://:3")
	require.NoError(t, err)
	assert.Equal(t, "serve", command)
	assert.Equal(t, "teams.yml", c.serve.Source.File)
	assert.EqualValues(t, 1024, c.serve.MaxBody)
	assert.Equal(t, []string{":2", "vsock://:3"}, c.address)

	c, command, _, err = parse(t, "backfill", "--fast", "--chattonic.url=http://x", "--chattonic.codename=acme", "--chattonic.token-file=token", "--chattonic.max-calls=3", "--chattonic.request-timeout=1m")
	require.NoError(t, err)
	assert.Equal(t, "backfill", command)
	assert.Equal(t, Client{
		Source:         config.Flags{URL: "http://x", Codename: "acme", TokenFile: "token", Token: "s3cret"},
		RequestTimeout: time.Minute, MaxBody: 64 << 20, MaxCalls: 3,
	}, c.backfill)
	assert.Equal(t, commands{backfill: c.backfill, fast: true}, c)

	c, command, _, err = parse(t, "check", "report")
	require.NoError(t, err)
	assert.Equal(t, "check report", command)
	assert.Zero(t, c.report.MaxCalls)
}

func TestVariables(t *testing.T) {
	t.Setenv("CHATTONIC_EXPORTER_CHATTONIC_URL", "http://shared")
	t.Setenv("CHATTONIC_EXPORTER_WEB_ADDRESS", ":2\n:3")
	t.Setenv("CHATTONIC_EXPORTER_RATE", "1")
	t.Setenv("CHATTONIC_EXPORTER_BACKFILL_RATE", "2")
	t.Setenv("CHATTONIC_EXPORTER_CHECK_REPORT_RATE", "3")
	c, _, _, err := parse(t)
	require.NoError(t, err)
	assert.Equal(t, "http://shared", c.serve.Source.URL)
	assert.Equal(t, []string{":2", ":3"}, c.address)
	c, _, _, err = parse(t, "backfill")
	require.NoError(t, err)
	assert.Equal(t, "http://shared", c.backfill.Source.URL)
	assert.Equal(t, 2, c.rate)
	c, _, _, err = parse(t, "check", "report")
	require.NoError(t, err)
	assert.Equal(t, "http://shared", c.report.Source.URL)
	assert.Equal(t, 3, c.rate)
}

// TestAddresses has several addresses in one variable, which cannot be repeated.
func TestAddresses(t *testing.T) {
	c, _, _, err := parse(t, "--web.address=:2", "--web.address=[::1]:3,vsock://:4")
	require.NoError(t, err)
	assert.Equal(t, []string{":2", "[::1]:3", "vsock://:4"}, c.address)
	for _, text := range []string{":5,127.0.0.1:6", ":5, 127.0.0.1:6", ":5\n127.0.0.1:6\n", ":5 127.0.0.1:6"} {
		t.Setenv("CHATTONIC_EXPORTER_WEB_ADDRESS", text)
		c, _, _, err = parse(t)
		require.NoError(t, err, text)
		assert.Equal(t, []string{":5", "127.0.0.1:6"}, c.address, text)
	}
	t.Setenv("CHATTONIC_EXPORTER_WEB_ADDRESS", ":5,nowhere")
	_, _, _, err = parse(t)
	require.ErrorContains(t, err, `--web.address ($CHATTONIC_EXPORTER_WEB_ADDRESS) ":5,nowhere": address nowhere: missing port in address`)
	_, _, _, err = parse(t, "--web.address=")
	require.ErrorContains(t, err, "missing port in address")
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		want string
		args []string
	}{
		{`--chattonic.request-timeout "30": time: missing unit in duration "30": use a value such as 30s: see chattonic_exporter --help`, []string{"--chattonic.request-timeout=30"}},
		{`--chattonic.max-calls "0": it must be more than 0: use a value such as 100: see chattonic_exporter serve --help`, []string{"serve", "--chattonic.max-calls=0"}},
		{`--chattonic.max-body-size "-1B": it must be more than 0: use a value such as 64MiB: see chattonic_exporter --help`, []string{"--chattonic.max-body-size=-1B"}},
		{`--web.address "x": address x: missing port in address: use a value such as :1: see chattonic_exporter --help`, []string{"--web.address=x"}},
		{`--log.format "xml" is unknown: use one of logfmt, json: see chattonic_exporter --help`, []string{"--log.format=xml"}},
		{`--rate "x": invalid syntax: see chattonic_exporter check report --help`, []string{"check", "report", "--rate=x"}},
		{`unknown long flag '--chattonic.max-calls': see chattonic_exporter check report --help`, []string{"check", "report", "--chattonic.max-calls=1"}},
		{`required argument 'FILE' not provided: see chattonic_exporter check config --help`, []string{"check", "config"}},
		{`unexpected report (unknown command): see chattonic_exporter --help`, []string{"report"}},
		{`unexpected backfill (write the command before its flags): see chattonic_exporter --help`, []string{"--log.level=info", "backfill"}},
		{`must select a subcommand of 'check' (use "check config FILE" or "check teams"): see chattonic_exporter check --help`, []string{"check"}},
		{`unexpected check-config (use "check config FILE" instead of "check-config FILE"): see chattonic_exporter --help`, []string{"check-config", "x"}},
		{`unknown long flag '--once' (use the command "scrape" instead of --once): see chattonic_exporter --help`, []string{"--once"}},
		{`expected command but got "report": see chattonic_exporter --help`, []string{"help", "report"}},
	} {
		_, command, stdout, err := parse(t, c.args...)
		require.EqualError(t, err, c.want)
		assert.Equal(t, 2, usage.ExitCode(err))
		assert.Empty(t, command)
		assert.Empty(t, stdout)
	}
	t.Setenv("CHATTONIC_EXPORTER_BACKFILL_FAST", "maybe")
	_, _, _, err := parse(t, "backfill")
	require.EqualError(t, err, `--fast ($CHATTONIC_EXPORTER_BACKFILL_FAST) "maybe": invalid syntax: see chattonic_exporter backfill --help`)
}

const wantHelp = `usage: chattonic_exporter [<command>] [<flags>]

Does things.

Commands:
  help <command>
      Show help.
  serve (default)
      Serve.
  backfill
      Fill.
  check report
      Check a report.
  check config <FILE>
      Check a file.

Flags:
  -h, --help
      Show help.
  --version
      Show application version.

Each command has its own flags. "chattonic_exporter <command> --help" lists
them with their environment variables. Without a command, serve runs.
`

type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestHelp(t *testing.T) {
	t.Setenv("COLUMNS", "80")
	for _, args := range [][]string{{"--help"}, {"help"}, {"-h"}} {
		app := new(commands).app()
		app.HelpFlag.Short('h').Help("Show help.")
		var stdout bytes.Buffer
		command, err := Parse(app, args, &stdout)
		require.NoError(t, err)
		assert.Empty(t, command)
		assert.Equal(t, wantHelp, stdout.String())
	}
	_, command, stdout, err := parse(t, "check", "config", "--help")
	require.NoError(t, err)
	assert.Empty(t, command)
	assert.Equal(t, "usage: chattonic_exporter check config <FILE>\n\nCheck a file.\n\nArgument <FILE>: The file.\n", stdout)
	_, _, stdout, err = parse(t, "backfill", "--help")
	require.NoError(t, err)
	assert.Contains(t, stdout, "\n  --[no-]fast\n      Fast.\n      $CHATTONIC_EXPORTER_BACKFILL_FAST\n")
	_, _, stdout, err = parse(t, "--version")
	require.NoError(t, err)
	assert.Equal(t, "1.2.3\n", stdout)
	_, err = Parse(new(commands).app(), []string{"--help"}, full{})
	require.ErrorIs(t, err, errFull)
	assert.Equal(t, 1, usage.ExitCode(err))
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	logger, slogger, err := (&Log{"warn", "json"}).New(&out)
	require.NoError(t, err)
	require.NoError(t, level.Info(logger).Log("msg", "hidden"))
	slogger.Warn("shown")
	assert.Contains(t, out.String(), `"msg":"shown"`)
	assert.NotContains(t, out.String(), "hidden")
	_, _, err = new(Log).New(io.Discard)
	require.Error(t, err)
}

// TestMain clears the environment, so that tests see only their own variables.
func TestMain(m *testing.M) {
	os.Clearenv()
	os.Exit(m.Run())
}
