package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // time zones where the machine has none

	promconfig "github.com/prometheus/common/config"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/calendar"
)

// inDirectory makes a directory of files the working directory.
func inDirectory(t *testing.T, files map[string]string) string {
	t.Helper()
	directory := t.TempDir()
	for name, content := range files {
		path := filepath.Join(directory, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	t.Chdir(directory)
	return directory
}

// secret is what no error may tell.
const secret = "s3cr3t"

var testFiles = map[string]string{
	"token":      secret + "\n",
	"other":      secret,
	"empty":      " \n",
	"two-lines":  secret + "\n" + secret,
	"not-a-cert": secret,
}

// mustParse returns the teams of a file that is right.
func mustParse(t *testing.T, text string) []Team {
	t.Helper()
	config, err := Parse("exporter.yml", []byte(text))
	require.NoError(t, err)
	return config.Teams
}

func windowNames(team Team) (names []string) {
	for _, window := range team.Windows {
		names = append(names, window.Name())
	}
	return names
}

func TestExample(t *testing.T) {
	inDirectory(t, testFiles)
	teams := mustParse(t, `
defaults:                       # any key of a team; a team overrides it
  base_url: https://chat-tonic.example
  windows: [24h]                # rolling durations, or today, yesterday, this_week, this_month
  timezone: UTC                 # IANA name
  duration_unit: seconds        # milliseconds, seconds, minutes
  date_format_group: "%Y-%m-%d %H"
  delay: 0s
  ttl: {operators: 0s, dashboard: 0s}
  collectors: [operators, dashboard]
  http_client: {}
teams:
  - codename: acme
    http_client: {authorization: {credentials_file: token}}
    windows: [1h, today]
    thresholds: {queries_pending: 10}
`)
	require.Len(t, teams, 1)
	team := teams[0]
	assert.Equal(t, []string{"1h", "today"}, windowNames(team))
	team.Windows = nil
	ten := 10.0
	client := promconfig.DefaultHTTPClientConfig
	client.ProxyFromEnvironment = true
	client.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: "token"}
	assert.Equal(t, Team{
		Codename:        "acme",
		BaseURL:         "https://chat-tonic.example",
		Location:        time.UTC,
		DurationUnit:    time.Second,
		DateFormatGroup: "%Y-%m-%d %H",
		TTL:             map[chattonic.Endpoint]time.Duration{"operators": 0, "dashboard": 0},
		Collectors:      []chattonic.Endpoint{"operators", "dashboard"},
		AtWork:          []string{"online"},
		OperatorNames:   true,
		Thresholds:      Thresholds{QueriesPending: &ten},
		HTTPClient:      client,
	}, team)
}

func TestBuiltInDefaults(t *testing.T) {
	inDirectory(t, testFiles)
	teams := mustParse(t, strings.ReplaceAll(minimalFile, "/run/secrets/acme", "token"))
	require.Len(t, teams, 1)
	team := teams[0]
	assert.Equal(t, []string{"24h"}, windowNames(team))
	team.Windows = nil
	client := promconfig.DefaultHTTPClientConfig
	client.ProxyFromEnvironment = true
	client.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: "token"}
	assert.Equal(t, Team{
		Codename:        "acme",
		BaseURL:         "https://chat-tonic.example",
		Location:        time.UTC,
		DurationUnit:    time.Second,
		DateFormatGroup: chattonic.DefaultDateFormatGroup,
		TTL:             map[chattonic.Endpoint]time.Duration{},
		Collectors:      chattonic.ReadEndpoints(),
		AtWork:          []string{"online"},
		OperatorNames:   true,
		HTTPClient:      client,
	}, team)

	team.Collectors[0] = "changed"
	assert.NotContains(t, chattonic.ReadEndpoints(), chattonic.Endpoint("changed"), "a team's collectors are its own")
}

// overriding is a file in which teams override all of the defaults or none.
const overriding = `
defaults:
  base_url: https://one.example
  windows: [7d, this_month]
  timezone: America/Sao_Paulo
  duration_unit: minutes
  date_format_group: 0
  delay: 5m
  ttl: {operators: 30s, dashboard: 1h30m}
  max_calls_per_minute: 60
  collectors: [dashboard]
  at_work: [online, On call]
  operator_names: false
  thresholds: {queries_pending: 2.5}
  http_client: {authorization: {credentials: ` + secret + `}}
teams:
  - codename: heir
  - codename: 42
    base_url: http://two.example/api
    windows: [yesterday]
    timezone: UTC
    duration_unit: milliseconds
    date_format_group: "%Y"
    delay: 0s
    ttl: {operators: 0s}
    max_calls_per_minute: 1
    collectors: [dashboard, operators]
    at_work: [busy]
    operator_names: true
    thresholds: {queries_pending: 0}
    http_client: {basic_auth: {username: me, password_file: token}, authorization: null}
  - codename: "none"
    ttl:
    max_calls_per_minute: null
    thresholds: {queries_pending: null}
`

func TestEverySettingFromDefaultsAndFromTheTeam(t *testing.T) {
	inDirectory(t, testFiles)
	teams := mustParse(t, overriding)
	require.Len(t, teams, 3)
	saoPaulo, err := time.LoadLocation("America/Sao_Paulo")
	require.NoError(t, err)

	heir := teams[0]
	assert.Equal(t, "heir", heir.Codename)
	assert.Equal(t, "https://one.example", heir.BaseURL)
	assert.Equal(t, []string{"7d", "this_month"}, windowNames(heir))
	assert.Equal(t, saoPaulo, heir.Location)
	assert.Equal(t, time.Minute, heir.DurationUnit)
	assert.Equal(t, "0", heir.DateFormatGroup)
	assert.Equal(t, 5*time.Minute, heir.Delay)
	assert.Equal(t, map[chattonic.Endpoint]time.Duration{"operators": 30 * time.Second, "dashboard": 90 * time.Minute}, heir.TTL)
	assert.Equal(t, []chattonic.Endpoint{"dashboard"}, heir.Collectors)
	assert.Equal(t, []string{"online", "On call"}, heir.AtWork)
	assert.False(t, heir.OperatorNames)
	assert.Equal(t, 60, heir.MaxCallsPerMinute)
	require.NotNil(t, heir.Thresholds.QueriesPending)
	assert.InDelta(t, 2.5, *heir.Thresholds.QueriesPending, 0)
	assert.Equal(t, &promconfig.Authorization{Type: "Bearer", Credentials: secret}, heir.HTTPClient.Authorization)

	other := teams[1]
	assert.Equal(t, "42", other.Codename)
	assert.Equal(t, "http://two.example/api", other.BaseURL)
	assert.Equal(t, []string{"yesterday"}, windowNames(other))
	assert.Equal(t, time.UTC, other.Location)
	assert.Equal(t, time.Millisecond, other.DurationUnit)
	assert.Equal(t, "%Y", other.DateFormatGroup)
	assert.Zero(t, other.Delay)
	assert.Equal(t, map[chattonic.Endpoint]time.Duration{"operators": 0, "dashboard": 90 * time.Minute}, other.TTL, "the other key of the defaults stays")
	assert.Equal(t, []chattonic.Endpoint{"operators", "dashboard"}, other.Collectors, "in the known order")
	assert.Equal(t, []string{"busy"}, other.AtWork, "not added to those of the defaults")
	assert.True(t, other.OperatorNames)
	assert.Equal(t, 1, other.MaxCallsPerMinute)
	require.NotNil(t, other.Thresholds.QueriesPending)
	assert.Zero(t, *other.Thresholds.QueriesPending)
	assert.Nil(t, other.HTTPClient.Authorization, "null drops the one of the defaults")
	assert.Equal(t, &promconfig.BasicAuth{Username: "me", PasswordFile: "token"}, other.HTTPClient.BasicAuth)

	assert.Equal(t, heir.TTL, teams[2].TTL, "a mapping without keys overrides none")
	assert.Zero(t, teams[2].MaxCallsPerMinute, "null drops the one of the defaults")
	assert.Nil(t, teams[2].Thresholds.QueriesPending, "null drops the one of the defaults")
}

func TestBusinessHours(t *testing.T) {
	inDirectory(t, testFiles)
	teams := mustParse(t, `
defaults:
  base_url: https://chat-tonic.example
  timezone: America/Sao_Paulo
  http_client: {authorization: {credentials_file: token}}
  business_hours:
    hours:
      - {days: [monday, friday], from: "09:30", to: "18:00"}
      - {days: [sunday], from: 20:00, to: 24:00}
teams:
  - codename: heir
  - codename: elsewhere
    timezone: Europe/Madrid
    business_hours:
  - codename: of its own
    business_hours: {timezone: UTC, hours: [{days: [saturday], from: "22:00", to: "02:00"}]}
  - codename: same hours in another zone
    business_hours: {timezone: Asia/Tokyo}
  - codename: none
    business_hours: {hours: null}
`)
	require.Len(t, teams, 5)
	usual := []calendar.Interval{
		{Day: time.Monday, From: 570, To: 1080}, {Day: time.Friday, From: 570, To: 1080}, {Day: time.Sunday, From: 1200, To: 1440},
	}
	own := []calendar.Interval{{Day: time.Saturday, From: 1320, To: 120}}
	for i, want := range []struct {
		zone  string
		hours []calendar.Interval
	}{{"America/Sao_Paulo", usual}, {"Europe/Madrid", usual}, {"UTC", own}, {"Asia/Tokyo", usual}} {
		require.NotNil(t, teams[i].BusinessHours, teams[i].Codename)
		assert.Equal(t, want.zone, teams[i].BusinessHours.Location.String(), teams[i].Codename)
		assert.Equal(t, want.hours, teams[i].BusinessHours.Intervals, teams[i].Codename)
	}
	assert.Nil(t, teams[4].BusinessHours, "null drops those of the defaults")
	assert.Nil(t, mustParse(t, acme("business_hours: {}"))[0].BusinessHours)
}

func TestHTTPClientMerge(t *testing.T) {
	inDirectory(t, testFiles)
	teams := mustParse(t, `
defaults:
  base_url: https://chat-tonic.example
  http_client:
    authorization: {type: Special, credentials: `+secret+`}
    tls_config: {server_name: inner.example, insecure_skip_verify: true}
    proxy_url: http://proxy.example:3128
    follow_redirects: false
teams:
  - codename: a
    http_client: {authorization: {credentials_file: token}}
  - codename: b
    http_client: {tls_config: {min_version: TLS13}, proxy_url: null, enable_http2: false}
`)
	require.Len(t, teams, 2)
	a, b := teams[0].HTTPClient, teams[1].HTTPClient
	assert.Equal(t, &promconfig.Authorization{Type: "Bearer", CredentialsFile: "token"}, a.Authorization, "replaced as a whole")
	assert.Equal(t, promconfig.TLSConfig{ServerName: "inner.example", InsecureSkipVerify: true}, a.TLSConfig)
	assert.Equal(t, "http://proxy.example:3128", a.ProxyURL.String())
	assert.False(t, a.FollowRedirects)
	assert.True(t, a.EnableHTTP2)

	assert.Equal(t, &promconfig.Authorization{Type: "Special", Credentials: secret}, b.Authorization)
	assert.Equal(t, promconfig.TLSConfig{MinVersion: promconfig.TLSVersions["TLS13"]}, b.TLSConfig, "replaced as a whole")
	assert.Nil(t, b.ProxyURL.URL)
	assert.False(t, b.EnableHTTP2)
}

// TestProxyFromEnvironment holds that HTTP_PROXY, HTTPS_PROXY and NO_PROXY count unless
// http_client says otherwise, also for the server of OAuth 2.0.
func TestProxyFromEnvironment(t *testing.T) {
	inDirectory(t, testFiles)
	t.Setenv("HTTPS_PROXY", "http://environment.example:1")
	t.Setenv("HTTP_PROXY", "http://environment.example:2")
	t.Setenv("NO_PROXY", "inner.example")
	proxy := func(p promconfig.ProxyConfig, target string) string {
		via, err := p.Proxy()(httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody))
		require.NoError(t, err)
		if via == nil {
			return ""
		}
		return via.Host
	}
	const auth = "authorization: {credentials_file: token}\n"
	for lines, want := range map[string][3]string{
		auth:                                      {"environment.example:1", "environment.example:2", ""},
		auth + "proxy_from_environment: true":     {"environment.example:1", "environment.example:2", ""},
		auth + "proxy_from_environment: null":     {"environment.example:1", "environment.example:2", ""},
		auth + "proxy_url: null":                  {"environment.example:1", "environment.example:2", ""},
		auth + "proxy_url: http://file.example:3": {"file.example:3", "file.example:3", "file.example:3"},
		auth + "proxy_url: http://file.example:3\nno_proxy: chat-tonic.example":          {"", "file.example:3", "file.example:3"},
		auth + "proxy_url: http://file.example:3\nproxy_from_environment: false":         {"file.example:3", "file.example:3", "file.example:3"},
		"oauth2: {client_id: me, token_url: http://x, proxy_url: http://file.example:3}": {"environment.example:1", "environment.example:2", ""},
		auth + "proxy_from_environment: true\nproxy_connect_header: {A: [b]}":            {"environment.example:1", "environment.example:2", ""},
	} {
		p := mustParse(t, client(lines))[0].HTTPClient.ProxyConfig
		for i, target := range []string{"https://chat-tonic.example", "http://other.example", "https://inner.example"} {
			assert.Equal(t, want[i], proxy(p, target), "%s %s", lines, target)
		}
	}
	for _, lines := range []string{"proxy_from_environment: false", `proxy_url: ""`} {
		p := mustParse(t, client(auth+lines))[0].HTTPClient.ProxyConfig
		assert.Nil(t, p.Proxy(), lines)
	}
	oauth2 := mustParse(t, client("oauth2: {client_id: me, token_url: http://x}\nproxy_from_environment: false"))[0].HTTPClient
	assert.Nil(t, oauth2.Proxy())
	assert.Equal(t, "environment.example:2", proxy(oauth2.OAuth2.ProxyConfig, "http://x.example"))
	single, err := Single(Flags{URL: "https://chat-tonic.example", Codename: "acme", TokenFile: "token"})
	require.NoError(t, err)
	assert.Equal(t, "environment.example:1", proxy(single.Teams[0].HTTPClient.ProxyConfig, "https://chat-tonic.example"))

	teams := mustParse(t, "defaults: {base_url: http://x, http_client: {"+strings.TrimSpace(auth)+", proxy_from_environment: false}}\nteams: [{codename: a}, {codename: b, http_client: {proxy_from_environment: null}}]")
	assert.Nil(t, teams[0].HTTPClient.Proxy(), "from the defaults")
	assert.NotNil(t, teams[1].HTTPClient.Proxy(), "null removes a key")
}

func TestListsOfHTTPClientMayBeEmptyOrRepeat(t *testing.T) {
	inDirectory(t, testFiles)
	teams := mustParse(t, client("authorization: {credentials_file: token}\nhttp_headers: {X-Team: {values: [a, a], secrets: []}}"))
	assert.Equal(t, []string{"a", "a"}, teams[0].HTTPClient.HTTPHeaders.Headers["X-Team"].Values)
}

func TestAnchorsAndAliases(t *testing.T) {
	inDirectory(t, testFiles)
	teams := mustParse(t, `
defaults: &shared
  base_url: &url https://chat-tonic.example
  http_client: &client {authorization: &auth {credentials_file: &file token}}
teams:
  - codename: a
    base_url: *url
    http_client: *client
    windows: &windows [1h, &day 1d]
  - &b
    codename: b
    windows: *windows
    http_client: {authorization: *auth}
  - codename: c
    windows: [*day]
    http_client: {authorization: {credentials_file: *file}}
`)
	require.Len(t, teams, 3)
	for _, team := range teams {
		assert.Equal(t, "token", team.HTTPClient.Authorization.CredentialsFile)
		assert.Equal(t, "https://chat-tonic.example", team.BaseURL)
	}
	assert.Equal(t, []string{"1h", "1d"}, windowNames(teams[1]))
	assert.Equal(t, []string{"1d"}, windowNames(teams[2]))
}

// certificate returns a certificate that signs itself and its key, as PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

func TestRelativePaths(t *testing.T) {
	cert, key := certificate(t)
	directory := inDirectory(t, map[string]string{
		"etc/exporter.yml": `
defaults: {base_url: "https://chat-tonic.example"}
teams:
  - codename: a
    http_client:
      authorization: {credentials_file: secrets/token}
      tls_config: {ca_file: ca, cert_file: ca, key_file: key}
      http_headers: {X-Key: {files: [secrets/header]}}
  - codename: b
    http_client:
      oauth2:
        client_id: me
        token_url: https://login.example
        grant_type: urn:ietf:params:oauth:grant-type:jwt-bearer
        client_certificate_key_file: key
        tls_config: {ca_file: ca}
        endpoint_params: {some_file: not a path}
        claims: {any: [thing, {of: 1}]}
  - codename: c
    http_client: {bearer_token_file: secrets/token}
`,
		"etc/ca": cert, "etc/key": key, "etc/secrets/token": secret, "etc/secrets/header": secret,
	})
	for _, path := range []string{"etc/exporter.yml", filepath.Join(directory, "etc", "exporter.yml")} {
		config, err := Load(path)
		require.NoError(t, err)
		require.Len(t, config.Teams, 3)
		base := filepath.Dir(path)
		a, b, c := config.Teams[0].HTTPClient, config.Teams[1].HTTPClient, config.Teams[2].HTTPClient
		assert.Equal(t, filepath.Join(base, "secrets", "token"), a.Authorization.CredentialsFile)
		assert.Equal(t, filepath.Join(base, "ca"), a.TLSConfig.CAFile)
		assert.Equal(t, filepath.Join(base, "ca"), a.TLSConfig.CertFile)
		assert.Equal(t, filepath.Join(base, "key"), a.TLSConfig.KeyFile)
		assert.Equal(t, []string{filepath.Join(base, "secrets", "header")}, a.HTTPHeaders.Headers["X-Key"].Files)
		assert.Equal(t, filepath.Join(base, "key"), b.OAuth2.ClientCertificateKeyFile)
		assert.Equal(t, filepath.Join(base, "ca"), b.OAuth2.TLSConfig.CAFile)
		assert.Equal(t, filepath.Join(base, "secrets", "token"), c.Authorization.CredentialsFile)
	}
}

func TestLoadWithoutFile(t *testing.T) {
	inDirectory(t, map[string]string{"file": "x"})
	_, err := Load("absent.yml")
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.EqualError(t, err, "absent.yml: reading the configuration file: no such file or directory: check the path and the read permission")
	_, err = Load("file/below.yml")
	assert.EqualError(t, err, "file/below.yml: reading the configuration file: not a directory: check the path and the read permission")
}

func TestCauseIsKept(t *testing.T) {
	inDirectory(t, nil)
	_, err := Parse("exporter.yml", []byte(client("authorization: {credentials_file: absent}")))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestUnreadableFiles(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("the superuser may read any file")
	}
	inDirectory(t, testFiles)
	require.NoError(t, os.Chmod("token", 0))
	_, err := Load("token")
	require.EqualError(t, err, "token: reading the configuration file: permission denied: check the path and the read permission")
	_, err = Single(Flags{URL: "https://chat-tonic.example", Codename: "acme", TokenFile: "token"})
	assert.EqualError(t, err, `--chattonic.token-file: the file cannot be read: permission denied: check that it exists and that this user may read it`)
}

func TestSingle(t *testing.T) {
	inDirectory(t, testFiles)
	client := promconfig.DefaultHTTPClientConfig
	client.ProxyFromEnvironment = true
	client.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: "token"}
	config, err := Single(Flags{URL: "https://chat-tonic.example", Codename: "acme", TokenFile: "token"})
	require.NoError(t, err)
	require.Len(t, config.Teams, 1)
	team := config.Teams[0]
	assert.Equal(t, []string{"24h"}, windowNames(team))
	team.Windows = nil
	assert.Equal(t, Team{
		Codename:        "acme",
		BaseURL:         "https://chat-tonic.example",
		Location:        time.UTC,
		DurationUnit:    time.Second,
		DateFormatGroup: chattonic.DefaultDateFormatGroup,
		TTL:             map[chattonic.Endpoint]time.Duration{},
		Collectors:      chattonic.ReadEndpoints(),
		AtWork:          []string{"online"},
		OperatorNames:   true,
		HTTPClient:      client,
	}, team)

	config, err = Single(Flags{
		URL: "https://chat-tonic.example", Codename: "acme", TokenFile: "token",
		Windows: "today, 7d", Timezone: "America/Sao_Paulo", DurationUnit: "minutes", QueriesPending: "2.5",
	})
	require.NoError(t, err)
	team = config.Teams[0]
	assert.Equal(t, []string{"today", "7d"}, windowNames(team))
	assert.Equal(t, "America/Sao_Paulo", team.Location.String())
	assert.Equal(t, time.Minute, team.DurationUnit)
	assert.Equal(t, new(2.5), team.Thresholds.QueriesPending)

	config, err = Single(Flags{URL: "https://chat-tonic.example", Codename: "acme", Token: " " + secret + "\n"})
	require.NoError(t, err)
	assert.Equal(t, &promconfig.Authorization{Type: "Bearer", Credentials: secret}, config.Teams[0].HTTPClient.Authorization)
}

func TestSingleErrors(t *testing.T) {
	inDirectory(t, testFiles)
	const address = "https://chat-tonic.example"
	for name, test := range map[string]struct {
		flags Flags
		want  string
	}{
		"nothing":               {Flags{}, "--chattonic.url is not set: set it to the API's base URL, such as https://chat-tonic.example, or use --config.file"},
		"no URL":                {Flags{Codename: "acme", TokenFile: "token"}, "--chattonic.url is not set: set it to the API's base URL, such as https://chat-tonic.example, or use --config.file"},
		"no codename":           {Flags{URL: address, TokenFile: "token"}, "--chattonic.codename is not set: set it to the codename of the team, or use --config.file"},
		"bad URL":               {Flags{URL: "ftp://me:" + secret + "@x", Codename: "acme", TokenFile: "token"}, `--chattonic.url: the base URL is not an http or https URL of a host: use one such as https://chat-tonic.example`},
		"bad codename":          {Flags{URL: address, Codename: "..", TokenFile: "token"}, `--chattonic.codename: the codename cannot be "..": use the one in the API's URLs`},
		"codename not UTF-8":    {Flags{URL: address, Codename: "a\xff", TokenFile: "token"}, `--chattonic.codename: the codename "a\xff" is not valid UTF-8: use the one in the API's URLs`},
		"token and file":        {Flags{URL: address, Codename: "acme", TokenFile: "token", Token: secret}, "both --chattonic.token-file and CHATTONIC_EXPORTER_TOKEN are set: keep one of them"},
		"unknown window":        {Flags{URL: address, Codename: "acme", TokenFile: "token", Windows: "24h,tody"}, "--chattonic.windows: unknown window: use a duration such as 24h or 7d, or today, yesterday, this_week or this_month"},
		"window twice":          {Flags{URL: address, Codename: "acme", TokenFile: "token", Windows: "24h, 24h"}, "--chattonic.windows: 24h comes twice: keep one of them"},
		"unknown zone":          {Flags{URL: address, Codename: "acme", TokenFile: "token", Timezone: "Local"}, "--chattonic.timezone: unknown time zone: use an IANA name such as UTC or America/Sao_Paulo"},
		"unknown unit":          {Flags{URL: address, Codename: "acme", TokenFile: "token", DurationUnit: "hours"}, "--chattonic.duration-unit: unknown value: use one of milliseconds, seconds, minutes"},
		"negative threshold":    {Flags{URL: address, Codename: "acme", TokenFile: "token", QueriesPending: "-1"}, "--chattonic.queries-pending-threshold: not a threshold: use a number of at least 0"},
		"neither token or file": {Flags{URL: address, Codename: "acme"}, "no access token: set --chattonic.token-file to a file that contains it, or CHATTONIC_EXPORTER_TOKEN to the token itself"},
		"blank token":           {Flags{URL: address, Codename: "acme", Token: " \n"}, "no access token: set --chattonic.token-file to a file that contains it, or CHATTONIC_EXPORTER_TOKEN to the token itself"},
		"token of two lines":    {Flags{URL: address, Codename: "acme", Token: secret + "\n" + secret}, "CHATTONIC_EXPORTER_TOKEN: the access token contains a line break or another control character: keep only the token, on one line"},
		"missing file":          {Flags{URL: address, Codename: "acme", TokenFile: "absent"}, `--chattonic.token-file: the file cannot be read: no such file or directory: check that it exists and that this user may read it`},
		"empty file":            {Flags{URL: address, Codename: "acme", TokenFile: "empty"}, `--chattonic.token-file: the file is empty: write the value into it`},
		"file is a directory":   {Flags{URL: address, Codename: "acme", TokenFile: "."}, `--chattonic.token-file: not a regular file: use a regular file`},
		"file of two lines":     {Flags{URL: address, Codename: "acme", TokenFile: "two-lines"}, `--chattonic.token-file: the access token contains a line break or another control character: keep only the token, on one line`},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := Single(test.flags)
			assert.Nil(t, config)
			assert.EqualError(t, err, test.want)
		})
	}
}

// TestSpoiledTokens has tokens as editors and copying spoil them.
func TestSpoiledTokens(t *testing.T) {
	inDirectory(t, nil)
	for text, want := range map[string]string{
		"\xef\xbb\xbftok\r\n": "the access token begins with a byte order mark: save the file as UTF-8 without BOM",
		"Bearer tok\n":        "the access token begins with the word Bearer: write only the token, because the word is added to it",
		"\"tok\"\n":           "the access token begins or ends with a quotation mark: write the token without quotation marks",
		"tok\u200b\n":         "the access token contains an invisible character, such as a zero-width space: type it, or copy it as plain text",
	} {
		require.NoError(t, os.WriteFile("token", []byte(text), 0o600))
		_, err := ReadToken(t.Context(), "token")
		assert.EqualError(t, err, want)
		_, err = Single(Flags{URL: "https://chat-tonic.example", Codename: "acme", TokenFile: "token"})
		assert.EqualError(t, err, "--chattonic.token-file: "+want)
		_, err = Single(Flags{URL: "https://chat-tonic.example", Codename: "acme", Token: text})
		assert.EqualError(t, err, "CHATTONIC_EXPORTER_TOKEN: "+want)
		_, err = Parse("exporter.yml", []byte(client("authorization: {credentials_file: token}")))
		assert.EqualError(t, err, `exporter.yml:5: team "acme": http_client.authorization.credentials_file: `+want)
		_, err = Parse("exporter.yml", []byte(client("bearer_token: !!binary "+base64.StdEncoding.EncodeToString([]byte(strings.TrimSpace(text))))))
		assert.EqualError(t, err, `exporter.yml:5: team "acme": http_client.bearer_token: `+want)
	}
}

func TestVariablesInSecrets(t *testing.T) {
	inDirectory(t, testFiles)
	const want = "names a variable, which is not replaced by its value: write the token into a file and name it in authorization.credentials_file, or for a single team without a configuration file use CHATTONIC_EXPORTER_TOKEN"
	for lines, at := range map[string]string{
		"authorization:\n  credentials: ${ACME_TOKEN}":           "6: team \"acme\": http_client.authorization.credentials",
		"authorization: {credentials: $ACME_TOKEN}":              "5: team \"acme\": http_client.authorization.credentials",
		"authorization: {credentials: \"Bearer ${ACME_TOKEN}\"}": "5: team \"acme\": http_client.authorization.credentials",
		"authorization: {credentials: \"${ACME_TOKEN:-none}\"}":  "5: team \"acme\": http_client.authorization.credentials",
		"bearer_token: $acme_token":                              "5: team \"acme\": http_client.bearer_token",
	} {
		_, err := Parse("exporter.yml", []byte(client(lines)))
		assert.EqualError(t, err, "exporter.yml:"+at+": "+want, lines)
	}
	const file = "names a variable, which is not replaced by its value: write the secret into a file and name it in the key that ends in _file (for http_headers, files)"
	for lines, at := range map[string]string{
		"basic_auth: {username: me, password: $PASSWORD}":                                           "http_client.basic_auth.password",
		"oauth2: {client_id: me, token_url: http://x, client_secret: \"${SECRET}\"}":                "http_client.oauth2.client_secret",
		"authorization: {credentials_file: token}\nhttp_headers: {X-Key: {secrets: [\"k${KEY}\"]}}": `http_client.http_headers."X-Key".secrets`,
	} {
		_, err := Parse("exporter.yml", []byte(client(lines)))
		assert.ErrorContains(t, err, at+": "+file, lines)
	}
	_, err := Parse("exporter.yml", []byte(defaults("base_url: http://x\nhttp_client: {authorization: {credentials: $TOKEN}}")))
	assert.EqualError(t, err, "exporter.yml:3: defaults: http_client.authorization.credentials: "+want)
	for _, password := range []string{"$", "$1", "a$b", "$a-b", "pa$$word", "${", "$(x)"} {
		_, err := Parse("exporter.yml", []byte(client("basic_auth: {username: me, password: '"+password+"'}")))
		assert.NoError(t, err, password)
	}
}

// TestHTTPClientTypes fails when a newer library adds to the type of
// http_client what the check does not know how to check.
func TestHTTPClientTypes(t *testing.T) {
	seen := 0
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		seen++
		switch {
		case typ == urlType, typ == tlsVersionType:
		case typ.Kind() == reflect.Pointer, typ.Kind() == reflect.Slice, typ.Kind() == reflect.Map:
			visit(typ.Elem())
		case typ.Kind() == reflect.Struct:
			keys, types := keysOf(typ)
			assert.NotEqual(t, len(keys) > 0, types[""] != nil, "%s must have keys of its own or any, not both", typ)
			for _, of := range types {
				visit(of)
			}
		default:
			assert.Contains(t, []reflect.Kind{reflect.String, reflect.Bool, reflect.Interface}, typ.Kind(), typ.String())
		}
	}
	visit(reflect.TypeFor[promconfig.HTTPClientConfig]())
	assert.Greater(t, seen, 50)
}
