package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/alecthomas/kingpin/v2"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/healthcheck"
	"chattonic_exporter/internal/simulator"
	"chattonic_exporter/internal/testkit"
	"chattonic_exporter/internal/usage"
)

// asProgram is the variable that makes the test binary run as the exporter.
const asProgram = "BE_THE_EXPORTER"

// hangUpFirst is the variable that makes such an exporter receive SIGHUP before
// main.
const hangUpFirst = "HANG_UP_FIRST"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		if os.Getenv(hangUpFirst) != "" {
			_ = syscall.Kill(os.Getpid(), syscall.SIGHUP)
		}
		main()
		return
	}
	// These variables set flags. Tests set their own.
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "CHATTONIC_EXPORTER_") {
			if err := os.Unsetenv(name); err != nil {
				panic(err)
			}
		}
	}
	// Standard input must not be a terminal, even if the tests run in one.
	null, err := os.Open(os.DevNull)
	if err != nil {
		panic(err)
	}
	os.Stdin = null
	goleak.VerifyTestMain(m)
}

// waitTimeout is how long a test waits for an event, also on a busy machine. It
// does not measure anything.
const waitTimeout = 45 * time.Second

const (
	free  = "--web.listen-address=127.0.0.1:0"
	token = "made-up-token"
)

// client uses a new connection for each request, so that none stays open.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// command runs a command and waits for its end.
func command(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, log bytes.Buffer
	err = run(t.Context(), args, &out, &log)
	return out.String(), log.String(), err
}

// exporter is an exporter that runs in this process.
type exporter struct {
	url    string
	stderr testkit.Buffer
	cancel func()
	ended  chan error
}

// startExporter runs an exporter on a free port until the test ends. The test
// fails if the exporter returns an error.
func startExporter(t *testing.T, args ...string) *exporter {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	e := &exporter{cancel: cancel, ended: make(chan error, 1)}
	go func() { e.ended <- run(ctx, append(args, free), io.Discard, &e.stderr) }()
	t.Cleanup(func() { e.stop(t) })
	listening := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
	require.Eventually(t, func() bool {
		parts := listening.FindStringSubmatch(e.stderr.String())
		if parts != nil {
			e.url = "http://" + parts[1]
		}
		return parts != nil || len(e.ended) > 0
	}, waitTimeout, 5*time.Millisecond)
	require.NotEmpty(t, e.url, "the exporter does not serve: %s", &e.stderr)
	return e
}

// stop ends the exporter. It can be called more than once.
func (e *exporter) stop(t *testing.T) {
	t.Helper()
	e.cancel()
	select {
	case err := <-e.ended:
		e.ended <- err
		require.NoError(t, err)
	case <-time.After(waitTimeout):
		require.Fail(t, "the exporter does not end")
	}
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := client.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(read)
}

// metrics parses the text format.
func metrics(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	return families
}

// up returns the values of chattonic_up by team.
func up(t *testing.T, text string) map[string]float64 {
	t.Helper()
	teams := map[string]float64{}
	for _, m := range metrics(t, text)["chattonic_up"].GetMetric() {
		require.Len(t, m.GetLabel(), 1)
		teams[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
	}
	return teams
}

// simulated is a simulated Chat-Tonic with the documented answers for acme and beta.
type simulated struct {
	*simulator.Server
	url string
}

func startAPI(t *testing.T) simulated {
	t.Helper()
	api, err := simulator.New(simulator.Options{Teams: []simulator.Team{
		{Codename: "acme", Token: token, Documented: true},
		{Codename: "beta", Token: token, Documented: true},
	}})
	require.NoError(t, err)
	server := httptest.NewServer(api)
	t.Cleanup(func() { api.Close(); server.Close() })
	return simulated{api, server.URL}
}

// config returns a configuration file with teams of this API.
func (s simulated) config(codenames ...string) string {
	text := fmt.Sprintf("defaults:\n  base_url: %s\n  collectors: [operators, dashboard]\n  http_client: {authorization: {credentials: %s}}\nteams:\n", s.url, token)
	for _, codename := range codenames {
		text += fmt.Sprintf("  - codename: %s\n", codename)
	}
	return text
}

// write replaces a file atomically, because a reload can read it at any time.
func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	write(t, path, text)
	return path
}

func TestNoTeam(t *testing.T) {
	const want = "no team is configured: set --chattonic.url, --chattonic.codename and --chattonic.token-file for one team, " +
		"or --config.file for several teams, or try simulated data with --demo"
	for _, args := range [][]string{{}, {"serve"}, {"scrape"}, {"check", "teams"}, {"nps-export", "--user-type=all", "--window=24h", "--yes"}} {
		stdout, stderr, err := command(t, args...)
		require.EqualError(t, err, want)
		assert.Equal(t, 2, usage.ExitCode(err))
		assert.Empty(t, stdout)
		assert.Empty(t, stderr)
	}
}

func TestSourcesOfTeams(t *testing.T) {
	path := file(t, "teams.yml", startAPI(t).config("acme"))
	const demo = "--demo uses simulated teams: remove --config.file, --chattonic.url and the other flags of a single team, and CHATTONIC_EXPORTER_TOKEN"
	const several = "--config.file cannot be combined with --chattonic.url and the other flags of a single team, or CHATTONIC_EXPORTER_TOKEN: set only --config.file, or only the others"
	for _, c := range []struct {
		token, want string
		args        []string
	}{
		{"", demo, []string{"--demo", "--config.file=" + path}},
		{"", demo, []string{"--demo", "--chattonic.url=https://chat-tonic.example"}},
		{"", demo, []string{"--demo", "--chattonic.codename=acme"}},
		{"", demo, []string{"--demo", "--chattonic.token-file=" + path}},
		{token, demo, []string{"--demo"}},
		{"", several, []string{"--config.file=" + path, "--chattonic.url=https://chat-tonic.example"}},
		{"", several, []string{"--config.file=" + path, "--chattonic.codename=acme"}},
		{"", several, []string{"--config.file=" + path, "--chattonic.token-file=" + path}},
		{token, several, []string{"--config.file=" + path}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Setenv("CHATTONIC_EXPORTER_TOKEN", c.token)
			for _, args := range [][]string{append(c.args, free), append([]string{"scrape"}, c.args...)} {
				stdout, _, err := command(t, args...)
				require.EqualError(t, err, c.want)
				assert.Equal(t, 2, usage.ExitCode(err))
				assert.Empty(t, stdout)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct{ arg, want string }{
		{"--chattonic.request-timeout=0s", `--chattonic.request-timeout "0s": it must be more than 0: use a value such as 30s`},
		{"--chattonic.request-timeout=-1s", `--chattonic.request-timeout "-1s": it must be more than 0: use a value such as 30s`},
		{"--chattonic.request-timeout=30", `--chattonic.request-timeout "30": time: missing unit in duration "30": use a value such as 30s`},
		{"--chattonic.max-body-size=0B", `--chattonic.max-body-size "0B": it must be more than 0: use a value such as 64MiB`},
		{"--chattonic.max-calls=0", `--chattonic.max-calls "0": it must be more than 0: use a value such as 100`},
		{"--chattonic.max-calls=-1", `--chattonic.max-calls "-1": it must be more than 0: use a value such as 100`},
		{"--chattonic.max-calls=many", `--chattonic.max-calls "many": invalid syntax: use a value such as 100`},
	} {
		for _, words := range [][]string{{"serve"}, {"scrape"}, {"backfill"}, {"check", "teams"}} {
			_, _, err := command(t, append(words, c.arg)...)
			require.EqualError(t, err, c.want+": see chattonic_exporter "+strings.Join(words, " ")+" --help")
			assert.Equal(t, 2, usage.ExitCode(err))
		}
	}
	_, _, err := command(t, "--demo", free, "--web.max-scrapes=-1")
	require.EqualError(t, err, "--web.max-scrapes must be 0, for no limit, or more")
	assert.Equal(t, 2, usage.ExitCode(err))
}

func TestVersionAndHelp(t *testing.T) {
	stdout, stderr, err := command(t, "--version")
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(stdout, "chattonic_exporter, version "), stdout)
	assert.Empty(t, stderr)

	help := func(args ...string) string {
		stdout, stderr, err := command(t, args...)
		require.NoError(t, err)
		assert.Empty(t, stderr)
		return strings.Join(strings.Fields(stdout), " ")
	}
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}} {
		text := help(args...)
		for _, want := range []string{"usage: chattonic_exporter", "serve (default)", "scrape", "simulate", "backfill", "nps-export", "check teams", "check config <FILE>", "healthcheck", "chattonic_exporter <command> --help", "--demo", "CHATTONIC_EXPORTER_TOKEN"} {
			assert.Contains(t, text, want)
		}
	}
	assert.Contains(t, help("serve", "--help"), "--web.listen-address=:10042")
	text := help("nps-export", "--help")
	assert.Contains(t, text, "all, promoter, passive, detractor")
	assert.NotContains(t, text, "--demo")
}

// TestWrongUsage checks the exit code and the message of invalid command lines.
func TestWrongUsage(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--chattonic.token=secret", "unknown long flag '--chattonic.token': see chattonic_exporter --help"},
		{"--log.level=loud", `--log.level "loud" is unknown: use one of debug, info, warn, error: see chattonic_exporter --help`},
		{"--log.format=xml", `--log.format "xml" is unknown: use one of logfmt, json: see chattonic_exporter --help`},
		{"--web.listen-address=nowhere", `--web.listen-address "nowhere": address nowhere: missing port in address: use a value such as :10042: see chattonic_exporter --help`},
		{"backfil", "unexpected backfil (unknown command): see chattonic_exporter --help"},
		{"help backfil", `expected command but got "backfil": see chattonic_exporter --help`},
		{"serve more", "unexpected more: see chattonic_exporter serve --help"},
		{"check config", "required argument 'FILE' not provided: see chattonic_exporter check config --help"},
		{"simulate --seed", "expected argument for flag '--seed': see chattonic_exporter simulate --help"},
		{"scrape --web.max-scrapes=3", "unknown long flag '--web.max-scrapes': see chattonic_exporter scrape --help"},
		{"simulate --config.file=/nope", "unknown long flag '--config.file': see chattonic_exporter simulate --help"},
		{"healthcheck --config.file=/nope", "unknown long flag '--config.file': see chattonic_exporter healthcheck --help"},
		{"check config --config.file=/nope", "unknown long flag '--config.file': see chattonic_exporter check config --help"},
		{"check teams --log.level=info", "unknown long flag '--log.level': see chattonic_exporter check teams --help"},
		{"nps-export --chattonic.max-calls=3", "unknown long flag '--chattonic.max-calls': see chattonic_exporter nps-export --help"},
		{"backfill --bogus", "unknown long flag '--bogus': see chattonic_exporter backfill --help"},
		// The syntax of earlier versions.
		{"--once --demo", `unknown long flag '--once' (use the command "scrape" instead of --once): see chattonic_exporter --help`},
		{"check-config x.yml", `unexpected check-config (use "check config FILE" instead of "check-config FILE"): see chattonic_exporter --help`},
		{"check", `must select a subcommand of 'check' (use "check config FILE" or "check teams"): see chattonic_exporter check --help`},
		{"check --output=json", `unknown long flag '--output' (use "check config FILE" or "check teams"): see chattonic_exporter check --help`},
		{"--log.level=info backfill", "unexpected backfill (write the command before its flags): see chattonic_exporter --help"},
	} {
		stdout, stderr, err := command(t, strings.Fields(c.args)...)
		require.EqualError(t, err, c.want)
		assert.Equal(t, 2, usage.ExitCode(err))
		assert.Empty(t, stdout)
		assert.Empty(t, stderr)
	}
	t.Setenv("CHATTONIC_EXPORTER_LOG_LEVEL", "loud")
	_, _, err := command(t, "--demo")
	require.EqualError(t, err, `--log.level ($CHATTONIC_EXPORTER_LOG_LEVEL) "loud" is unknown: use one of debug, info, warn, error: see chattonic_exporter --help`)
	_, _, err = command(t, "help", "serve")
	require.NoError(t, err)
}

// TestWrongUsageFoundLater has values of flags that can be parsed but not used, and
// errors that are not usage errors.
func TestWrongUsageFoundLater(t *testing.T) {
	path := "--config.file=" + file(t, "teams.yml", startAPI(t).config("acme"))
	for _, c := range []struct {
		exitCode   int
		args, want string
	}{
		{2, "backfill " + path, "--output is required: name the file to write"},
		{2, "backfill --dry-run " + path, "--start and --end are required"},
		{2, "backfill --dry-run --start=2021-11-02 --end=2021-11-01 " + path, "--end 2021-11-01 is before --start 2021-11-02"},
		{2, "backfill --dry-run --start=x --end=2021-11-01 " + path, `--start "x" is not a time: use one such as 2021-11-01 or 2021-11-01T03:00:00Z`},
		{2, "backfill --dry-run --start=2021-11-01 --end=2021-11-02 --rate=0 " + path, "--rate 0 is too low: use 0.001 calls per second or more"},
		{2, "backfill --dry-run --team=beta " + path, `--team "beta" is not configured: use acme`},
		{2, "nps-export " + path, "--user-type is required: use one of all, promoter, passive, detractor"},
		{2, "nps-export --user-type=all --window=24h --end=2021-11-01 " + path, "--window cannot be combined with --start and --end"},
		{2, "nps-export --user-type=all --window=24h --team=beta " + path, `--team "beta" is not configured: use one of acme`},
		{2, "check teams --scrape-interval=0s " + path, "--scrape-interval must be more than 0"},
		{2, "scrape --chattonic.url=chat-tonic.example --chattonic.codename=acme", "--chattonic.url: the base URL is not an http or https URL of a host"},
		{2, "healthcheck --url=localhost:10042", "--url needs http:// or https:// and a host: use a value such as http://127.0.0.1:10042/-/healthy"},
		{1, "healthcheck --url=http://127.0.0.1:1/", "checking the health of http://127.0.0.1:1/: "},
		{1, "--web.config.file=/nope " + path, `--web.config.file "/nope": open /nope: `},
		{1, "scrape --chattonic.url=http://127.0.0.1:1 --chattonic.codename=acme --chattonic.token-file=/nope", "--chattonic.token-file: "},
		{1, "backfill --start=2021-11-01 --end=2021-11-02 --resume --output=/nope/x.om " + path, "there is no /nope/x.om.partial to resume"},
	} {
		_, _, err := command(t, strings.Fields(c.args)...)
		require.ErrorContains(t, err, c.want)
		assert.Equal(t, c.exitCode, usage.ExitCode(err), c.args)
	}
}

// commandModels returns the commands that can be run.
func commandModels(t *testing.T) []*kingpin.CmdModel {
	t.Helper()
	app := new(commands).app()
	_, err := cli.Parse(app, []string{"healthcheck"}, io.Discard)
	require.NoError(t, err)
	for _, flag := range app.Model().Flags {
		assert.Empty(t, flag.Envar, flag.Name)
	}
	models := app.Model().FlattenedCommands()
	require.Len(t, models, 10) // with help
	return models
}

// sharedFlags have the same meaning and the same variable in all commands that
// accept them.
var sharedFlags = []string{
	"config.file", "chattonic.url", "chattonic.codename", "chattonic.token-file", "chattonic.windows", "chattonic.timezone", "chattonic.duration-unit",
	"chattonic.queries-pending-threshold", "chattonic.request-timeout", "chattonic.max-body-size", "chattonic.max-calls",
	"log.level", "log.format", "demo",
}

// TestFlags checks that each flag has its own environment variable, and that no
// flag takes a token, which the list of processes would show. The token of the
// simulated API protects nothing.
func TestFlags(t *testing.T) {
	upper := func(words ...string) string {
		return "CHATTONIC_EXPORTER_" + strings.ToUpper(regexp.MustCompile(`\W`).ReplaceAllString(strings.Join(words, "_"), "_"))
	}
	seen := map[string]*kingpin.FlagModel{}
	for _, cmd := range commandModels(t) {
		for _, flag := range cmd.Flags {
			name := cmd.FullCommand + " --" + flag.Name
			want := upper(cmd.FullCommand, flag.Name)
			if cmd.Default || slices.Contains(sharedFlags, flag.Name) {
				want = upper(flag.Name)
			}
			assert.Equal(t, want, flag.Envar, name)
			assert.NotEqual(t, config.TokenVariable, flag.Envar)
			if name != "simulate --token" {
				assert.NotRegexp(t, `(token|password|secret)$`, flag.Name)
			}
			assert.NotEmpty(t, flag.Help, name)
			if other := seen[flag.Envar]; other != nil {
				assert.Contains(t, sharedFlags, flag.Name, "%s and another flag have the variable %s", name, flag.Envar)
				assert.Equal(t, []any{other.Name, other.Help, other.Default}, []any{flag.Name, flag.Help, flag.Default})
			}
			seen[flag.Envar] = flag
		}
	}
	assert.Greater(t, len(seen), 40)
	for variable, name := range map[string]string{healthcheck.ListenAddressVariable: "web.listen-address", healthcheck.WebConfigVariable: "web.config.file"} {
		require.NotNil(t, seen[variable])
		assert.Equal(t, name, seen[variable].Name)
	}
	assert.Equal(t, []string{healthcheck.DefaultAddress}, seen[healthcheck.ListenAddressVariable].Default)
}

// TestVariablesOfOtherCommands checks that a command ignores the variables of others.
func TestVariablesOfOtherCommands(t *testing.T) {
	path := file(t, "teams.yml", startAPI(t).config("acme"))
	for _, name := range []string{"OUTPUT", "BACKFILL_OUTPUT", "URL", "SIMULATE_TOKEN", "TEAM", "WINDOW"} {
		t.Setenv("CHATTONIC_EXPORTER_"+name, "november.om")
	}
	t.Setenv("CHATTONIC_EXPORTER_CHECK_TEAMS_OUTPUT", "json")
	stdout, _, err := command(t, "check", "teams", "--config.file="+path)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(stdout, "{"), stdout)
}

// TestHelpOfCommands checks that help lists all flags with their variables, fits a
// terminal, and shows no values from the environment.
func TestHelpOfCommands(t *testing.T) {
	t.Setenv("COLUMNS", "80")
	t.Setenv(config.TokenVariable, hiddenToken)
	t.Setenv("CHATTONIC_EXPORTER_SIMULATE_TOKEN", hiddenToken)
	texts := map[string][]*kingpin.FlagModel{"": nil, "check": nil}
	for _, cmd := range commandModels(t) {
		texts[cmd.FullCommand] = cmd.Flags
	}
	application, _, err := command(t, "--help")
	require.NoError(t, err)
	for words, flags := range texts {
		text, _, err := command(t, append(strings.Fields(words), "--help")...)
		require.NoError(t, err)
		again, _, err := command(t, append([]string{"help"}, strings.Fields(words)...)...)
		require.NoError(t, err)
		if words != "help" {
			assert.Equal(t, text, again, words)
		}
		assert.Contains(t, application, "\n  "+words)
		assert.NotContains(t, text, hiddenToken)
		for line := range strings.Lines(text) {
			assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
		}
		for _, flag := range flags {
			assert.Regexp(t, `(?m)^  --(\[no-\])?`+regexp.QuoteMeta(flag.Name)+`(=|$)`, text)
			assert.Contains(t, text, "\n      $"+flag.Envar+"\n")
		}
	}
}

// TestSingle configures a single team with flags and variables.
func TestSingle(t *testing.T) {
	api := startAPI(t)
	tokenFile := file(t, "token", token+"\n")
	for name, c := range map[string]struct {
		args      []string
		variables map[string]string
	}{
		"flags": {[]string{"--chattonic.url=" + api.url, "--chattonic.codename=acme", "--chattonic.token-file=" + tokenFile}, nil},
		"variables": {nil, map[string]string{
			"CHATTONIC_URL": api.url, "CHATTONIC_CODENAME": "acme", "CHATTONIC_TOKEN_FILE": tokenFile,
		}},
		"a token variable": {nil, map[string]string{
			"CHATTONIC_URL": api.url, "CHATTONIC_CODENAME": "acme", "TOKEN": token,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range c.variables {
				t.Setenv("CHATTONIC_EXPORTER_"+name, value)
			}
			before := api.Calls("acme", chattonic.EndpointOperators)
			stdout, stderr, err := command(t, append([]string{"scrape"}, c.args...)...)
			require.NoError(t, err)
			assert.Equal(t, map[string]float64{"acme": 1}, up(t, stdout))
			assert.Contains(t, stdout, `operator="Chamo Operator"`)
			assert.NotContains(t, stdout+stderr, token)
			assert.Equal(t, before+1, api.Calls("acme", chattonic.EndpointOperators))
		})
	}
}

func TestScrapeDemo(t *testing.T) {
	stdout, stderr, err := command(t, "scrape", "--demo")
	require.NoError(t, err)
	assert.Contains(t, stderr, "all data is simulated")
	assert.Equal(t, map[string]float64{"sales": 1, "support": 1, "billing": 1}, up(t, stdout))

	var want, got []string
	for _, m := range collector.Metrics() {
		if m.Type == "gauge" && !strings.HasPrefix(m.Name, "chattonic_exporter_") && m.Name != "chattonic_api_paused_until_timestamp_seconds" {
			want = append(want, m.Name)
		}
	}
	for name, family := range metrics(t, stdout) {
		got = append(got, name)
		assert.Equal(t, dto.MetricType_GAUGE, family.GetType(), name)
	}
	assert.Greater(t, len(want), 30)
	assert.ElementsMatch(t, want, got) // no go_ and no process_ metrics
}

func TestScrapeWithTeamDown(t *testing.T) {
	api := startAPI(t)
	require.NoError(t, api.SetFault("beta", "", simulator.Fault{Status: http.StatusInternalServerError}))
	stdout, stderr, err := command(t, "scrape", "--config.file="+file(t, "teams.yml", api.config("acme", "beta")))
	require.EqualError(t, err, "API requests failed for these teams: beta: see the log")
	assert.Equal(t, map[string]float64{"acme": 1, "beta": 0}, up(t, stdout))
	assert.Regexp(t, `level=(warn|error) .*beta.*HTTP 500`, stderr)
	teams := map[string]int{}
	for _, m := range metrics(t, stdout)["chattonic_operator_info"].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "team" {
				teams[l.GetValue()]++
			}
		}
	}
	assert.Equal(t, map[string]int{"acme": 2}, teams)
}

func TestServeDemo(t *testing.T) {
	e := startExporter(t, "--demo", "--log.format=logfmt")
	status, body := get(t, e.url+"/metrics")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, map[string]float64{"sales": 1, "support": 1, "billing": 1}, up(t, body))
	assert.Contains(t, body, "\ngo_goroutines ")
	assert.Contains(t, body, "\nchattonic_exporter_build_info{")

	_, landing := get(t, e.url+"/")
	assert.Contains(t, landing, "All data is simulated")
	assert.Regexp(t, `level=warn .*msg="DEMO: all data is simulated, no real Chat-Tonic is asked" switch=/simulator/`, e.stderr.String())
	_, control := get(t, e.url+"/simulator/")
	assert.Contains(t, control, "Simulated Chat-Tonic")
	e.stop(t)
	_, err := client.Get(e.url)
	require.ErrorContains(t, err, "connection refused")
}

// TestEnd stops the exporter while a scrape waits for the API.
func TestEnd(t *testing.T) {
	api := startAPI(t)
	require.NoError(t, api.SetFault("acme", chattonic.EndpointOperators, simulator.Fault{Delay: time.Second}))
	e := startExporter(t, "--config.file="+file(t, "teams.yml", api.config("acme")))
	type answer struct {
		status int
		body   string
	}
	answers := make(chan answer, 1)
	go func() {
		resp, err := client.Get(e.url + "/metrics")
		if err != nil {
			answers <- answer{0, err.Error()}
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		answers <- answer{resp.StatusCode, fmt.Sprintf("%s%v", body, err)}
	}()
	require.Eventually(t, func() bool { return api.Calls("acme", chattonic.EndpointOperators) == 1 }, waitTimeout, 5*time.Millisecond)
	require.Empty(t, answers, "the scrape is not in flight")
	e.stop(t)
	got := <-answers
	assert.Equal(t, http.StatusOK, got.status, got.body)
	assert.Contains(t, got.body, "\nchattonic_up{team=\"acme\"} 1\n")
	_, err := client.Get(e.url)
	require.ErrorContains(t, err, "connection refused")
}

func TestReload(t *testing.T) {
	// A signal before the exporter handles it would end the test.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	api := startAPI(t)
	path := file(t, "teams.yml", api.config("acme"))
	e := startExporter(t, "--config.file="+path)
	teams := func() string {
		_, body := get(t, e.url+"/sd")
		return strings.Join(regexp.MustCompile(`"targets":\["(\w+)"\]`).FindAllString(body, -1), "")
	}
	hangUpUntil := func(what func() bool) {
		t.Helper()
		require.Eventually(t, func() bool {
			assert.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
			return what()
		}, waitTimeout, 50*time.Millisecond)
	}
	successful := func() float64 {
		_, body := get(t, e.url+"/metrics")
		samples := metrics(t, body)["chattonic_exporter_config_last_reload_successful"].GetMetric()
		require.Len(t, samples, 1)
		return samples[0].GetGauge().GetValue()
	}
	assert.Equal(t, `"targets":["acme"]`, teams())
	assert.InDelta(t, 1, successful(), 0)

	const both = `"targets":["acme"]"targets":["beta"]`
	write(t, path, api.config("acme", "beta"))
	hangUpUntil(func() bool { return teams() == both })
	assert.Contains(t, e.stderr.String(), `msg="the configuration was reloaded" teams=2`)

	write(t, path, "teams: nobody\n")
	hangUpUntil(func() bool { return strings.Contains(e.stderr.String(), "level=error") })
	assert.Contains(t, e.stderr.String(), `msg="reloading the configuration failed, the last one stays active" err="`+path+":1: ")
	assert.Equal(t, both, teams())
	assert.InDelta(t, 0, successful(), 0)

	write(t, path, api.config("beta"))
	hangUpUntil(func() bool { return teams() == `"targets":["beta"]` })
	assert.Eventually(t, func() bool { return successful() == 1 }, waitTimeout, 5*time.Millisecond)
}

// TestHangUpBeforeMain sends SIGHUP to a process that has just started.
func TestHangUpBeforeMain(t *testing.T) {
	path := file(t, "teams.yml", startAPI(t).config("acme"))
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "--config.file="+path, free)
	cmd.Env = append(os.Environ(), hangUpFirst+"=1", asProgram+"=1")
	output := new(testkit.Buffer)
	cmd.Stderr = output
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	require.Eventually(t, func() bool {
		return strings.Contains(output.String(), `msg="the configuration was reloaded" teams=1`) && strings.Contains(output.String(), "Listening on") || len(ended) > 0
	}, waitTimeout, 5*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, <-ended, output)

	for _, args := range [][]string{{"check", "config", path}, {"scrape", "--config.file=" + path}} {
		_, err := program(t, []string{hangUpFirst + "=1"}, args...)
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "SIGHUP ends other commands")
	}
	_, err = program(t, nil, "check", "config", path)
	require.NoError(t, err)
}

// TestHangUpIsHandledFirst holds that SIGHUP is handled before the packages of
// others are initialized, which takes most of the time before main.
func TestHangUpIsHandledFirst(t *testing.T) {
	output, err := program(t, []string{"GODEBUG=inittrace=1"}, "--version")
	require.NoError(t, err)
	first := strings.Index(output, "\ninit chattonic_exporter/internal/hangup @")
	require.Positive(t, first)
	assert.NotContains(t, output[:first], "init github.com/prometheus/")
}

// program runs the test binary as the exporter, for a command that ends by itself.
func program(t *testing.T, environment []string, args ...string) (output string, err error) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), append(environment, asProgram+"=1")...)
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// certificate creates a certificate for 127.0.0.1 and returns its files.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool = x509.NewCertPool()
	pool.AddCert(cert)
	return file(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		file(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))), pool
}

// passwordHash is the bcrypt hash of "correct horse", at the least cost.
const passwordHash = "$2a$04$2xZNodn6f6o7VPxuAkuGkuWVT3pQBXj68CcUu1BgesbPpK2oWRTRa"

func TestTLSAndPassword(t *testing.T) {
	certFile, keyFile, pool := certificate(t)
	webConfig := file(t, "web.yml", fmt.Sprintf("tls_server_config: {cert_file: %q, key_file: %q}\nbasic_auth_users: {prometheus: %s}\n", certFile, keyFile, passwordHash))
	api := startAPI(t)
	e := startExporter(t, "--web.config.file="+webConfig, "--config.file="+file(t, "teams.yml", api.config("acme")))

	secure := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
	for _, c := range []struct {
		user, password string
		want           int
	}{
		{"prometheus", "correct horse", http.StatusOK},
		{"prometheus", "wrong horse", http.StatusUnauthorized},
		{"nobody", "correct horse", http.StatusUnauthorized},
		{"", "", http.StatusUnauthorized},
	} {
		for _, path := range []string{"/metrics", "/", "/teams/acme", "/assets/status.js", "/sd", "/probe?target=acme"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(e.url, "http:", "https:", 1)+path, http.NoBody)
			require.NoError(t, err)
			if c.user != "" {
				req.SetBasicAuth(c.user, c.password)
			}
			resp, err := secure.Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			assert.Equal(t, c.want, resp.StatusCode, "%s as %q", path, c.user)
		}
	}
	status, _ := get(t, e.url+"/metrics")
	assert.Equal(t, http.StatusBadRequest, status)
}

// TestClientCertificates makes handshakes with clients that the exporter must
// accept and with clients that it must refuse.
func TestClientCertificates(t *testing.T) {
	serverCert, serverKey, pool := certificate(t)
	knownCert, knownKey, _ := certificate(t)
	strangeCert, strangeKey, _ := certificate(t)
	webConfig := file(t, "web.yml", fmt.Sprintf("tls_server_config: {cert_file: %q, key_file: %q, client_auth_type: RequireAndVerifyClientCert, client_ca_file: %q}\n", serverCert, serverKey, knownCert))
	api := startAPI(t)
	e := startExporter(t, "--web.config.file="+webConfig, "--config.file="+file(t, "teams.yml", api.config("acme")))
	load := func(cert, key string) []tls.Certificate {
		pair, err := tls.LoadX509KeyPair(cert, key)
		require.NoError(t, err)
		return []tls.Certificate{pair}
	}
	known, strange := load(knownCert, knownKey), load(strangeCert, strangeKey)
	for name, c := range map[string]struct {
		certs    []tls.Certificate
		min, max uint16
		want     string // the error, or empty if the client is accepted
	}{
		"unknown certificate": {strange, tls.VersionTLS12, tls.VersionTLS13, "remote error: tls: "},
		"no certificate":      {nil, tls.VersionTLS12, tls.VersionTLS13, "remote error: tls: "},
		"TLS 1.2 without one": {nil, tls.VersionTLS12, tls.VersionTLS12, "remote error: tls: "},
		"TLS 1.1":             {known, tls.VersionTLS10, tls.VersionTLS11, "protocol version"},
		"TLS 1.0":             {known, tls.VersionTLS10, tls.VersionTLS10, "protocol version"},
		"TLS 1.2":             {known, tls.VersionTLS12, tls.VersionTLS12, ""},
		"TLS 1.3":             {known, tls.VersionTLS13, tls.VersionTLS13, ""},
	} {
		secure := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			RootCAs: pool, MinVersion: c.min, MaxVersion: c.max,
			// Unlike Certificates, it sends the certificate to a server with another CA, too.
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if c.certs == nil {
					return new(tls.Certificate), nil
				}
				return &c.certs[0], nil
			},
		}}}
		before := api.Calls("acme", chattonic.EndpointOperators)
		resp, err := secure.Get(strings.Replace(e.url, "http:", "https:", 1) + "/metrics")
		if c.want == "" {
			require.NoError(t, err, name)
			require.NoError(t, resp.Body.Close())
			assert.Equal(t, http.StatusOK, resp.StatusCode, name)
			assert.Equal(t, before+1, api.Calls("acme", chattonic.EndpointOperators), name)
			continue
		}
		require.ErrorContains(t, err, c.want, name)
		assert.Equal(t, before, api.Calls("acme", chattonic.EndpointOperators), name)
	}
	status, _ := get(t, e.url+"/metrics")
	assert.Equal(t, http.StatusBadRequest, status, "plain HTTP")
}

func TestCannotServe(t *testing.T) {
	var listen net.ListenConfig
	taken, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	path := file(t, "teams.yml", startAPI(t).config("acme"))
	address := taken.Addr().String()
	_, _, err = command(t, "--config.file="+path, "--web.listen-address="+address)
	require.EqualError(t, err, "serving HTTP: listen tcp "+address+": bind: address already in use")

	missing := filepath.Join(t.TempDir(), "web.yml")
	_, _, err = command(t, "--config.file="+path, free, "--web.config.file="+missing)
	require.EqualError(t, err, "--web.config.file \""+missing+"\": open "+missing+": no such file or directory")

	_, _, err = command(t, "--config.file="+missing, free)
	require.ErrorContains(t, err, missing+": reading the configuration file: no such file or directory")
}

func TestCheckConfig(t *testing.T) {
	api := startAPI(t)
	path := file(t, "teams.yml", api.config("acme", "beta"))
	stdout, _, err := command(t, "check", "config", path)
	require.NoError(t, err)
	assert.Equal(t, path+" is valid, teams: 2\n", stdout)
	assert.Zero(t, api.Calls("acme", chattonic.EndpointOperators))

	path = file(t, "teams.yml", api.config("acme", "acme"))
	stdout, _, err = command(t, "check", "config", path)
	require.ErrorContains(t, err, path+":7: ")
	require.ErrorContains(t, err, "the team on line 6 has the same codename")
	assert.Empty(t, stdout)

	path = filepath.Join(t.TempDir(), "none.yml")
	stdout, _, err = command(t, "check", "config", path)
	require.EqualError(t, err, path+": reading the configuration file: no such file or directory: check the path and the read permission")
	assert.Empty(t, stdout)
}

// TestCheck checks the number of series against a scrape, and the exit codes.
func TestCheck(t *testing.T) {
	api := startAPI(t)
	path := file(t, "teams.yml", api.config("acme", "beta"))
	scrape, _, err := command(t, "scrape", "--config.file="+path)
	require.NoError(t, err)
	samples := strings.Count(scrape, "\n") - strings.Count(scrape, "\n#") - 1
	stdout, stderr, err := command(t, "check", "teams", "--config.file="+path, "--output=json", "--servers=2")
	require.NoError(t, err)
	assert.Empty(t, stderr)
	var report struct {
		Series       int
		CallsPerHour float64 `json:"calls_per_hour"`
		Teams        []struct{ Codename string }
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	assert.Equal(t, samples, report.Series)
	assert.InDelta(t, 2*2*2*60, report.CallsPerHour, 0)
	assert.Len(t, report.Teams, 2)

	t.Setenv(config.TokenVariable, token)
	stdout, _, err = command(t, "check", "teams", "--chattonic.url="+api.url, "--chattonic.codename=acme")
	require.NoError(t, err)
	assert.Regexp(t, `^Team acme\n  reachable +yes\n  token accepted +yes\n`, stdout)
	assert.NotContains(t, stdout, token)
	require.NoError(t, os.Unsetenv(config.TokenVariable))

	require.NoError(t, api.SetFault("beta", "", simulator.Fault{Status: http.StatusUnauthorized}))
	for _, c := range []struct {
		want   int
		args   []string
		stderr string
	}{
		{1, []string{"check", "teams", "--config.file=" + path}, "API requests failed for these teams: beta: see the report"},
		{2, []string{"check", "teams"}, "no team is configured: "},
		{1, []string{"check", "teams", "--config.file=" + path + "x"}, "reading the configuration file"},
		{2, []string{"check", "teams", "--config.file=" + path, "--output=xml"}, `--output "xml" is unknown: use one of text, json: see chattonic_exporter check teams --help`},
		{2, []string{"check", "teams", "--config.file=" + path, "--bogus"}, "unknown long flag '--bogus': see chattonic_exporter check teams --help"},
		{2, []string{"check", "teams", "--config.file=" + path, "--servers=0"}, "--servers must be 1 or more"},
		{2, []string{"check", "teams", "--config.file=" + path, "--chattonic.request-timeout=0s"}, "must be more than 0"},
		{2, []string{"check", "config", "--bogus"}, "unknown long flag '--bogus': see chattonic_exporter check config --help"},
		{1, []string{"check", "config", path + "x"}, "reading the configuration file"},
		{1, []string{"check", "alerts", "--prometheus.url=http://127.0.0.1:1"}, "an alert about a queue might not reach a person: 2 checks failed; the report says what to do"},
		{2, []string{"check", "alerts"}, "required flag(s) '--prometheus.url' not provided"},
		{2, []string{"check", "alerts", "--prometheus.url=http://me:" + token + "@127.0.0.1:1"}, "--prometheus.url: it must not contain a user or a password"},
		{2, []string{"--bogus"}, "unknown long flag '--bogus': see chattonic_exporter --help"},
	} {
		self, err := os.Executable()
		require.NoError(t, err)
		cmd := exec.CommandContext(t.Context(), self, c.args...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		err = cmd.Run()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		assert.Equal(t, c.want, exit.ExitCode(), c.args)
		assert.Contains(t, stderr.String(), c.stderr)
	}
}

func TestHealthcheck(t *testing.T) {
	api := startAPI(t)
	e := startExporter(t, "--config.file="+file(t, "teams.yml", api.config("acme")))
	t.Setenv(healthcheck.ListenAddressVariable, strings.TrimPrefix(e.url, "http://"))
	for _, args := range [][]string{{"healthcheck"}, {"healthcheck", "--url=" + e.url + "/-/healthy"}} {
		stdout, stderr, err := command(t, args...)
		require.NoError(t, err)
		assert.Empty(t, stdout+stderr)
	}
	assert.Zero(t, api.Calls("acme", chattonic.EndpointOperators))
	e.stop(t)
	_, _, err := command(t, "healthcheck")
	require.ErrorContains(t, err, "connection refused")
}

// TestHealthcheckOfTLSAndPassword checks an exporter that the command has neither a
// certificate nor a password for, with the environment of the exporter.
func TestHealthcheckOfTLSAndPassword(t *testing.T) {
	certFile, keyFile, _ := certificate(t)
	server := fmt.Sprintf("tls_server_config: {cert_file: %q, key_file: %q", certFile, keyFile)
	users := "basic_auth_users: {prometheus: " + passwordHash + "}\n"
	api := startAPI(t)
	teams := file(t, "teams.yml", api.config("acme"))
	for name, text := range map[string]string{
		"TLS": server + "}\n", "passwords": users, "TLS and passwords": server + "}\n" + users,
		"client certificates": server + fmt.Sprintf(", client_auth_type: RequireAndVerifyClientCert, client_ca_file: %q}\n", certFile),
	} {
		t.Run(name, func(t *testing.T) {
			webConfig := file(t, "web.yml", text)
			e := startExporter(t, "--config.file="+teams, "--web.config.file="+webConfig)
			t.Setenv(healthcheck.ListenAddressVariable, strings.TrimPrefix(e.url, "http://"))
			t.Setenv(healthcheck.WebConfigVariable, webConfig)
			_, _, err := command(t, "healthcheck")
			require.NoError(t, err)
		})
	}
}

func TestSimulate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout testkit.Buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"simulate", "--listen-address=127.0.0.1:0", "--team=gamma", "--token=" + token, "--documented"}, &stdout, io.Discard)
	}()
	require.Eventually(t, func() bool { return strings.Contains(stdout.String(), "Access token: "+token+"\n") }, waitTimeout, 5*time.Millisecond)
	url := regexp.MustCompile(`API: (\S+)`).FindStringSubmatch(stdout.String())
	require.NotNil(t, url)

	t.Setenv("CHATTONIC_EXPORTER_TOKEN", token)
	metrics, _, err := command(t, "scrape", "--chattonic.url="+url[1], "--chattonic.codename=gamma")
	require.NoError(t, err)
	assert.Equal(t, map[string]float64{"gamma": 1}, up(t, metrics))
	cancel()
	require.NoError(t, <-ended)
}

func TestNPSExport(t *testing.T) {
	api := startAPI(t)
	path := file(t, "teams.yml", api.config("acme", "beta"))
	report := []string{"nps-export", "--config.file=" + path, "--team=beta", "--start=2021-11-01", "--end=2021-12-01"}

	_, _, err := command(t, report...)
	require.EqualError(t, err, "--user-type is required: use one of all, promoter, passive, detractor")
	_, _, err = command(t, append(report, "--user-type=critic")...)
	require.EqualError(t, err, `--user-type "critic" is unknown: use one of all, promoter, passive, detractor: see chattonic_exporter nps-export --help`)
	report = append(report, "--user-type=detractor")
	_, _, err = command(t, report...)
	require.EqualError(t, err, "the question cannot be asked, because the input is no terminal: use --yes")
	assert.Zero(t, api.Calls("beta", chattonic.EndpointNPS))

	stdout, stderr, err := command(t, append(report, "--yes")...)
	require.NoError(t, err)
	assert.Contains(t, stdout, `team "beta", user type detractor, from 2021-11-01T00:00:00Z to 2021-12-01T00:00:00Z`)
	assert.NotContains(t, stdout+stderr, token)
	assert.Equal(t, []simulator.Export{{
		Codename: "beta", UserType: chattonic.UserTypeDetractor,
		Window: chattonic.Window{Start: time.Date(2021, 11, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2021, 12, 1, 0, 0, 0, 0, time.UTC)},
	}}, api.Exports())

	// The timeout of API calls applies.
	require.NoError(t, api.SetFault("beta", chattonic.EndpointNPS, simulator.Fault{Delay: time.Hour}))
	_, _, err = command(t, append(report, "--yes", "--chattonic.request-timeout=300ms")...)
	require.EqualError(t, err, "it is not known whether the e-mail was sent: look in the mailbox before you try again: requesting the nps_export endpoint: no complete answer before the timeout")
}

func TestBackfill(t *testing.T) {
	api := startAPI(t)
	output := filepath.Join(t.TempDir(), "past.om")
	past := []string{
		"backfill", "--config.file=" + file(t, "teams.yml", api.config("acme", "beta")), "--team=beta", "--window=24h",
		"--start=2021-11-01", "--end=2021-11-01T12:00:00Z", "--step=6h", "--rate=1000", "--output=" + output,
	}
	stdout, _, err := command(t, append(past, "--dry-run")...)
	require.NoError(t, err)
	assert.Contains(t, stdout, "3 steps from 2021-11-01T00:00:00Z to 2021-11-01T12:00:00Z, every 6h, for 1 teams.\n6 API calls")
	assert.Equal(t, 1, api.Calls("beta", chattonic.EndpointOperators))
	assert.NoFileExists(t, output)

	// The limits of API calls apply.
	_, _, err = command(t, append(past, "--chattonic.max-body-size=100B")...)
	require.ErrorContains(t, err, "the answer has more than 100 bytes")
	assert.NoDirExists(t, output+".partial")
	_, _, err = command(t, append(past, "--chattonic.max-calls=0")...)
	require.EqualError(t, err, `--chattonic.max-calls "0": it must be more than 0: use a value such as 100: see chattonic_exporter backfill --help`)
	_, _, err = command(t, append(past, "--resume")...)
	require.EqualError(t, err, "there is no "+output+".partial to resume: start without --resume")

	stdout, stderr, err := command(t, past...)
	require.NoError(t, err)
	assert.Contains(t, stdout, " samples to "+output+". ")
	text, err := os.ReadFile(output)
	require.NoError(t, err)
	assert.Contains(t, string(text), "\nchattonic_dashboard_new_users{team=\"beta\",window=\"24h\"} 1211.0 1635768000\n")
	assert.NotContains(t, stdout+stderr+string(text), token)
	assert.Zero(t, api.Calls("acme", chattonic.EndpointOperators))
	_, _, err = command(t, past...)
	require.EqualError(t, err, "--output "+output+" exists: name another file, or remove it")
}

// TestWebFlags checks the flags that limit what is served.
func TestWebFlags(t *testing.T) {
	api := startAPI(t)
	path := file(t, "teams.yml", api.config("acme"))
	statuses := func(e *exporter, limited bool) (reload, profile, second int) {
		resp, err := client.Post(e.url+"/-/reload", "", nil)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		profile, _ = get(t, e.url+"/debug/pprof/cmdline")
		answers := make(chan struct{})
		before := api.Calls("acme", chattonic.EndpointOperators)
		require.NoError(t, api.SetFault("acme", chattonic.EndpointOperators, simulator.Fault{Times: 1, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-answers })}))
		first := make(chan struct{})
		go func() {
			defer close(first)
			resp, err := client.Get(e.url + "/metrics")
			if assert.NoError(t, err) {
				assert.NoError(t, resp.Body.Close())
			}
		}()
		require.Eventually(t, func() bool { return api.Calls("acme", chattonic.EndpointOperators) > before }, waitTimeout, 5*time.Millisecond)
		if !limited { // with a limit the first scrape waits until the second has been refused
			time.AfterFunc(300*time.Millisecond, func() { close(answers) })
		}
		second, _ = get(t, e.url+"/metrics")
		if limited {
			close(answers)
		}
		<-first
		return resp.StatusCode, profile, second
	}
	reload, profile, second := statuses(startExporter(t, "--config.file="+path), false)
	assert.Equal(t, []int{http.StatusOK, http.StatusNotFound, http.StatusOK}, []int{reload, profile, second}, "by default")
	reload, profile, second = statuses(startExporter(t, "--config.file="+path, "--no-web.enable-reload", "--web.enable-pprof", "--web.max-scrapes=1"), true)
	assert.Equal(t, []int{http.StatusNotFound, http.StatusOK, http.StatusServiceUnavailable}, []int{reload, profile, second})
}

// TestStatusPage checks that the pages exist by default, show the last scrape, and
// can be switched off.
func TestStatusPage(t *testing.T) {
	api := startAPI(t)
	path := file(t, "teams.yml", api.config("acme"))
	shown := startExporter(t, "--config.file="+path)
	_, page := get(t, shown.url+"/")
	assert.Contains(t, page, "acme: no data yet")
	_, _ = get(t, shown.url+"/metrics")
	_, page = get(t, shown.url+"/")
	assert.Contains(t, page, "0 waiting. The team is within its limit.")
	status, page := get(t, shown.url+"/teams/acme")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, page, "Chamo Operator")

	hidden := startExporter(t, "--config.file="+path, "--no-web.status-page")
	status, _ = get(t, hidden.url+"/teams/acme")
	assert.Equal(t, http.StatusNotFound, status)
	_, page = get(t, hidden.url+"/")
	assert.Contains(t, page, "Prometheus metrics of Chat-Tonic teams")
	assert.NotContains(t, page, "acme")
}

// TestDemoScrapesItself checks that the pages of a demo have data without Prometheus, and that
// its scenarios can be switched below a prefix.
func TestDemoScrapesItself(t *testing.T) {
	e := startExporter(t, "--demo", "--web.external-url=http://example.org/chat/")
	assert.Eventually(t, func() bool {
		_, page := get(t, e.url+"/chat/")
		return strings.Count(page, "data-received=") == 3
	}, waitTimeout, 10*time.Millisecond)
	resp, err := client.PostForm(e.url+"/chat/simulator/scenario", url.Values{"team": {"sales"}, "name": {"backlog"}})
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, "team sales: scenario backlog is active\n", string(body))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url+"/chat/simulator/scenario?name=quiet", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	foreign, err := client.Do(req)
	require.NoError(t, err)
	defer foreign.Body.Close()
	assert.Equal(t, http.StatusForbidden, foreign.StatusCode, "a page of another site must not switch anything")
	e.stop(t)
}

// hiddenToken is the token that TestTokenIsNowhere searches for.
const hiddenToken = "unique-t0ken-Zq9wX4"

// startProgram runs the test binary as the exporter in a new process. The function
// end stops it with a dump of all goroutines, and returns its output.
func startProgram(t *testing.T, environment []string, args ...string) (url string, process *os.Process, end func() string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, append(args, free)...)
	cmd.Env = append(os.Environ(), append(environment, asProgram+"=1", "GOTRACEBACK=system")...)
	said := new(testkit.Buffer)
	cmd.Stdout, cmd.Stderr = said, said
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	listening := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
	require.Eventually(t, func() bool { return listening.MatchString(said.String()) || len(ended) > 0 }, waitTimeout, 10*time.Millisecond)
	parts := listening.FindStringSubmatch(said.String())
	require.NotNil(t, parts, said)
	return "http://" + parts[1], cmd.Process, func() string {
		require.NoError(t, cmd.Process.Signal(syscall.SIGQUIT))
		err := <-ended
		ended <- err
		require.Error(t, err)
		return said.String()
	}
}

// tokenFaults returns answers that fail, and answers that quote the token.
func tokenFaults(elsewhere string) map[string]simulator.Fault {
	quote := func(status int, contentType, body string) simulator.Fault {
		return simulator.Fault{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("X-Quote", r.Header.Get("Authorization"))
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, body, r.Header.Get("Authorization"))
		})}
	}
	return map[string]simulator.Fault{
		"none":              {},
		"refused":           {Status: http.StatusUnauthorized},
		"broken":            {Status: http.StatusInternalServerError},
		"cut":               {Cut: simulator.CutBeforeHeader, Times: 1},
		"redirect":          {Redirect: elsewhere + "/?token=" + hiddenToken},
		"quoted in error":   quote(http.StatusForbidden, "application/json", `{"status": false, "message": %q}`),
		"quoted in HTML":    quote(http.StatusOK, "text/html", `<html>%s</html>`),
		"quoted in JSON":    quote(http.StatusOK, "application/json", `{"status": false, "message": %q}`),
		"quoted as number":  quote(http.StatusOK, "application/json", `{"status": true, "queryPending": %q, "operators": []}`),
		"quoted as key":     quote(http.StatusOK, "application/json", `{"status": true, %[1]q: 1, %[1]q: 2, "operators": []}`),
		"quoted and broken": quote(http.StatusOK, "application/json", `{"status": true, "operators": [{"_id": %q`),
		"quoted in status": {Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 xx %[1]s\r\n%[1]s\r\n\r\n", r.Header.Get("Authorization"))
				_ = conn.Close()
			}
		})},
	}
}

// TestTokenIsNowhere configures the token in every way, lets the API accept, refuse
// and quote it, and searches all output of the exporter for it.
func TestTokenIsNowhere(t *testing.T) {
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	tokenFile := file(t, "token", hiddenToken+"\n")
	for name, way := range map[string]struct {
		environment []string
		args        []string
		client      string // the http_client of a configuration file
	}{
		"environment":      {environment: []string{config.TokenVariable + "=" + hiddenToken}},
		"file by a flag":   {args: []string{"--chattonic.token-file=" + tokenFile}},
		"file":             {client: fmt.Sprintf("authorization: {credentials_file: %q}", tokenFile)},
		"inline":           {client: "authorization: {credentials: " + hiddenToken + "}"},
		"inline as bearer": {client: "bearer_token: " + hiddenToken},
		"inline as header": {client: "authorization: {credentials: " + hiddenToken + "}, http_headers: {X-Key: {secrets: [" + hiddenToken + "]}}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, err := simulator.New(simulator.Options{Teams: []simulator.Team{{Codename: "acme", Token: hiddenToken, Documented: true}}})
			require.NoError(t, err)
			server := httptest.NewServer(api)
			t.Cleanup(func() { api.Close(); server.Close() })
			args, config := []string{"--chattonic.url=" + server.URL, "--chattonic.codename=acme"}, ""
			if way.client != "" {
				config = file(t, "teams.yml", fmt.Sprintf("teams: [{codename: acme, base_url: %q, http_client: {%s}}]\n", server.URL, way.client))
				args = []string{"--config.file=" + config}
			}
			url, process, end := startProgram(t, way.environment, slices.Concat(args, way.args, []string{"--log.level=debug", "--web.enable-pprof"})...)
			texts := map[string]string{}
			faults := tokenFaults(elsewhere.URL)
			// A token that was rejected is not tried again for a minute.
			names := append(slices.DeleteFunc(slices.Collect(maps.Keys(faults)), func(fault string) bool { return fault == "refused" }), "refused")
			for _, fault := range names {
				require.NoError(t, api.SetFault("acme", "", faults[fault]))
				_, texts["/metrics with fault "+fault] = get(t, url+"/metrics")
			}
			assert.Contains(t, texts["/metrics with fault none"], `chattonic_up{team="acme"} 1`, "the token is used")
			for _, fault := range []string{"refused", "redirect", "quoted in JSON"} {
				assert.Contains(t, texts["/metrics with fault "+fault], `chattonic_up{team="acme"} 0`, fault)
			}
			for _, path := range []string{
				"/", "/teams/acme", "/teams/nobody", "/probe?target=acme", "/probe?target=nobody", "/sd", "/config", "/-/config", "/api/v1/status/config", "/debug/vars", "/-/healthy", "/-/ready", "/-/reload",
				"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/pprof/heap", "/debug/pprof/heap?debug=1", "/debug/pprof/allocs?debug=1",
				"/debug/pprof/goroutine?debug=1", "/debug/pprof/goroutine?debug=2", "/debug/pprof/block?debug=1", "/debug/pprof/mutex?debug=1", "/debug/pprof/threadcreate?debug=1",
				"/debug/pprof/trace?seconds=0.1",
			} {
				_, texts[path] = get(t, url+path)
			}
			assert.Contains(t, texts["/debug/pprof/cmdline"], "--web.enable-pprof")
			if config != "" {
				// The token in the wrong places.
				for i, text := range []string{"teams: " + hiddenToken, hiddenToken + ": 1", "teams: [{codename: acme, base_url: 'http://x', http_client: {authorization: " + hiddenToken + "}}]", "\t" + hiddenToken} {
					write(t, config, text)
					resp, err := client.Post(url+"/-/reload", "", nil)
					require.NoError(t, err)
					body, err := io.ReadAll(resp.Body)
					require.NoError(t, err)
					require.NoError(t, resp.Body.Close())
					assert.Equal(t, http.StatusInternalServerError, resp.StatusCode)
					texts[fmt.Sprint("reload ", i)] = string(body)
				}
			}
			for _, name := range []string{"cmdline", "comm", "status"} {
				text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", process.Pid, name))
				require.NoError(t, err)
				texts["/proc "+name] = string(text)
			}
			assert.Contains(t, texts["/proc cmdline"], "--log.level=debug")
			texts["output"] = end()
			assert.Contains(t, texts["output"], "level=error")
			assert.Contains(t, texts["output"], "goroutine ")
			for where, text := range texts {
				assert.NotContains(t, unpacked(t, text), hiddenToken, where)
			}
		})
	}
}

// unpacked returns the text, decompressed if it is compressed, as profiles are.
func unpacked(t *testing.T, text string) string {
	t.Helper()
	if !strings.HasPrefix(text, "\x1f\x8b") {
		return text
	}
	reader, err := gzip.NewReader(strings.NewReader(text))
	require.NoError(t, err)
	unpacked, err := io.ReadAll(reader)
	require.NoError(t, err)
	return string(unpacked)
}
