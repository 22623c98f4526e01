package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	teamKeyList   = "codename, display_name, base_url, windows, timezone, duration_unit, date_format_group, delay, ttl, max_calls_per_minute, collectors, at_work, operator_names, forecasts, thresholds, business_hours, http_client"
	clientKeyList = "basic_auth, authorization, oauth2, bearer_token, bearer_token_file, tls_config, follow_redirects, enable_http2, proxy_url, no_proxy, proxy_from_environment, proxy_connect_header, http_headers"
)

// endpoints are the known ones, as errors list them.
var endpoints = strings.Join(endpoint("").choices(), ", ")

// acme returns a file whose team acme has the lines from line 5 on.
func acme(lines string) string {
	return "teams:\n- codename: acme\n  base_url: https://chat-tonic.example\n" +
		"  http_client: {authorization: {credentials_file: token}}\n  " + strings.ReplaceAll(lines, "\n", "\n  ")
}

// client returns a file whose team acme has the lines below its http_client
// from line 5 on.
func client(lines string) string {
	return "teams:\n- codename: acme\n  base_url: https://chat-tonic.example\n  http_client:\n    " + strings.ReplaceAll(lines, "\n", "\n    ")
}

// defaults returns a file that has the lines in its defaults from line 2 on.
func defaults(lines string) string {
	return "defaults:\n  " + strings.ReplaceAll(lines, "\n", "\n  ") + "\n" +
		"teams:\n- codename: acme\n  http_client: {authorization: {credentials_file: token}}"
}

type errorTest struct{ text, want string }

func testErrors(t *testing.T, tests map[string]errorTest) {
	t.Helper()
	inDirectory(t, testFiles)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			config, err := Parse("exporter.yml", []byte(test.text))
			assert.Nil(t, config)
			assert.EqualError(t, err, "exporter.yml:"+test.want)
			if err != nil {
				assert.NotContains(t, err.Error(), secret)
			}
		})
	}
}

func TestFileErrors(t *testing.T) {
	testErrors(t, map[string]errorTest{
		"empty file":            {"", "1: the file is empty: it needs at least " + minimalFile},
		"comments alone":        {"# nothing\n", "1: the file is empty: it needs at least " + minimalFile},
		"empty document":        {"---\n", "2: no teams: a file needs at least " + minimalFile},
		"several documents":     {minimalFile + "\n---\n" + minimalFile, "2: the file contains more than one YAML document: keep one"},
		"bad second document":   {"teams: []\n---\n{", "3: not YAML: did not find expected node content: check indentation and quotes from here on"},
		"not YAML":              {"teams:\n- codename: acme\n\tbase_url: x\n", "2: not YAML: found a tab character that violates indentation: check indentation and quotes from here on"},
		"not YAML, no line":     {"\x01", " not YAML: control characters are not allowed: check indentation and quotes from here on"},
		"unknown anchor":        {client("authorization: {credentials: *" + secret + "}"), " an alias has no anchor: put a value that begins with * in quotes"},
		"a list":                {"[acme]", "1: needs keys with values, not a list: use one of defaults, teams"},
		"a word":                {"acme", "1: needs keys with values, not a single value: use one of defaults, teams"},
		"unknown key":           {"default: {}\n" + minimalFile, `1: unknown key "default": use one of defaults, teams`},
		"duplicate key":         {"teams: []\n\nteams: []", `3: the key "teams" is already on line 1: keep one of them`},
		"key is a list":         {"[a]: b", "1: a key is a list: use a string"},
		"merge key":             {"teams:\n- codename: acme\n  <<: {windows: [1h]}", `3: team "acme": unknown key "<<": use defaults for settings that teams share`},
		"no teams":              {"# empty\ndefaults: {}", "2: no teams: a file needs at least " + minimalFile},
		"teams without value":   {"defaults:\nteams:", "2: no teams: a file needs at least " + minimalFile},
		"empty list of teams":   {"teams: []", "1: no teams: a file needs at least " + minimalFile},
		"teams not a list":      {"teams: {codename: acme}", "1: teams: needs a list, not keys with values: a file needs at least " + minimalFile},
		"team not a mapping":    {"teams: [acme]", "1: team number 1: needs keys with values, not a single value: use one of " + teamKeyList},
		"team without a name":   {"teams:\n- base_url: http://x", "2: team number 1: codename is missing: use the one in the API's URLs"},
		"team with an empty":    {"teams:\n- codename: ''", "2: team number 1: codename: the codename is empty: use the one in the API's URLs"},
		"team with no codename": {"teams:\n- codename:", "2: team number 1: codename: has no value: give it one, or leave the key out"},
		"codename a list":       {"teams:\n- codename: [a]", "2: team number 1: codename: needs a single value, not a list"},
		"codename of dots":      {"teams:\n- codename: ..", `2: team "..": codename: the codename cannot be "..": use the one in the API's URLs`},
		"two teams of one name": {acme("windows: [1h]") + "\n- codename: acme", `6: team "acme": codename: the team on line 2 has the same codename: give each team a different one`},
		"the second team":       {acme("windows: [1h]") + "\n- codename: b\n  window: [1h]", `7: team "b": unknown key "window": use one of ` + teamKeyList},
	})
}

func TestDefaultsErrors(t *testing.T) {
	testErrors(t, map[string]errorTest{
		"not a mapping":        {"defaults: [a]", "1: defaults: needs keys with values, not a list: use one of " + strings.TrimPrefix(teamKeyList, "codename, display_name, ")},
		"unknown key":          {defaults("delay: 0s\nwindws: [1h]"), `3: defaults: unknown key "windws": use one of ` + strings.TrimPrefix(teamKeyList, "codename, display_name, ")},
		"codename":             {defaults("codename: acme"), `2: defaults: unknown key "codename": use one of ` + strings.TrimPrefix(teamKeyList, "codename, display_name, ")},
		"a value no team uses": {"defaults: {windows: [2x]}\n" + acme("windows: [1h]"), `1: defaults: windows: unknown window: use a duration such as 24h or 7d, or today, yesterday, this_week or this_month`},
		"http_client key":      {defaults("http_client: {proxy: x}"), `2: defaults: http_client: unknown key "proxy": use one of ` + clientKeyList},
		"no base URL":          {"teams:\n- codename: acme", `2: team "acme": base_url is missing: set it here or in defaults to the API's base URL, such as https://chat-tonic.example`},
		"no access token":      {"teams:\n- codename: acme\n  base_url: http://x", `2: team "acme": http_client: no access token: set authorization.credentials_file to a file that contains it`},
		"missing file": {
			"defaults:\n  base_url: http://x\n  http_client: {authorization: {credentials_file: absent}}\nteams: [codename: acme]",
			`3: team "acme": http_client.authorization.credentials_file: the file cannot be read: no such file or directory: check that it exists and that this user may read it`,
		},
		"two ways to authenticate": {
			"defaults:\n  base_url: http://x\n  http_client: {authorization: {credentials_file: token}}\nteams:\n- codename: acme\n  http_client: {basic_auth: {username: me}}",
			`6: team "acme": http_client: at most one of basic_auth, oauth2 & authorization must be configured: correct it here or in defaults, whose keys apply unless the team sets them (null removes a key)`,
		},
		"own ttl is not a mapping": {"defaults: {ttl: {operators: 1m}}\n" + acme("ttl: 5m"), `6: team "acme": ttl: needs keys with values, not a single value: use one of ` + endpoints},
		"own ttl twice":            {"defaults: {ttl: {operators: 1m}}\n" + acme("ttl: {operators: 1m, operators: 2m}"), `6: team "acme": ttl: the key "operators" is already on line 6: keep one of them`},
	})
}

func TestTeamErrors(t *testing.T) {
	testErrors(t, map[string]errorTest{
		"unknown key":           {acme("windws: [1h]"), `5: team "acme": unknown key "windws": use one of ` + teamKeyList},
		"duplicate key":         {acme("delay: 0s\ndelay: 1s"), `6: team "acme": the key "delay" is already on line 5: keep one of them`},
		"bad URL":               {"teams:\n- codename: acme\n  base_url: ftp://me:" + secret + "@x", `3: team "acme": base_url: the base URL is not an http or https URL of a host: use one such as https://chat-tonic.example`},
		"URL a list":            {"teams:\n- codename: acme\n  base_url: [x]", `3: team "acme": base_url: needs a single value, not a list`},
		"unknown window":        {acme("windows:\n- 1h\n- 2x"), `7: team "acme": windows: unknown window: use a duration such as 24h or 7d, or today, yesterday, this_week or this_month`},
		"window twice":          {acme("windows: [1h, today, 1h]"), `5: team "acme": windows: the same entry is already on line 5: keep one of them`},
		"no windows":            {acme("windows: []"), `5: team "acme": windows: the list is empty: add an entry`},
		"windows without value": {acme("windows:"), `5: team "acme": windows: has no value: give it one, or leave the key out`},
		"windows not a list":    {acme("windows: 1h"), `5: team "acme": windows: needs a list such as [a, b], not a single value`},
		"window a list":         {acme("windows: [[1h]]"), `5: team "acme": windows: needs a single value, not a list`},
		"unknown time zone":     {acme("timezone: Mars/Olympus"), `5: team "acme": timezone: unknown time zone: use an IANA name such as UTC or America/Sao_Paulo`},
		"time zone Local":       {acme("timezone: Local"), `5: team "acme": timezone: unknown time zone: use an IANA name such as UTC or America/Sao_Paulo`},
		"time zone empty":       {acme("timezone: ''"), `5: team "acme": timezone: unknown time zone: use an IANA name such as UTC or America/Sao_Paulo`},
		"time zone a list":      {acme("timezone: [UTC]"), `5: team "acme": timezone: needs a single value, not a list`},
		"unknown unit":          {acme("duration_unit: hours"), `5: team "acme": duration_unit: unknown value: use one of milliseconds, seconds, minutes`},
		"unit without value":    {acme("duration_unit:"), `5: team "acme": duration_unit: has no value: give it one, or leave the key out`},
		"empty format":          {acme("date_format_group: ''"), `5: team "acme": date_format_group: the format is empty: use one such as "%Y-%m-%d %H", or a constant such as 0 for a single row`},
		"format a mapping":      {acme("date_format_group: {a: b}"), `5: team "acme": date_format_group: needs a single value, not keys with values`},
		"bad delay":             {acme("delay: 5 minutes"), `5: team "acme": delay: not a duration: use one such as 0s, 30s, 5m or 1h30m`},
		"negative delay":        {acme("delay: -5m"), `5: team "acme": delay: not a duration: use one such as 0s, 30s, 5m or 1h30m`},
		"delay a list":          {acme("delay: [5m]"), `5: team "acme": delay: needs a single value, not a list`},
		"unknown ttl":           {acme("ttl:\n  operator: 5m"), `6: team "acme": ttl: unknown key "operator": use one of ` + endpoints},
		"bad ttl":               {acme("ttl:\n  dashboard: 60"), `6: team "acme": ttl.dashboard: not a duration: use one such as 0s, 30s, 5m or 1h30m`},
		"unknown collector":     {acme("collectors: [operators, nps]"), `5: team "acme": collectors: unknown value: use one of ` + endpoints},
		"collector twice":       {acme("collectors: [operators, operators]"), `5: team "acme": collectors: the same entry is already on line 5: keep one of them`},
		"no collectors":         {acme("collectors: []"), `5: team "acme": collectors: the list is empty: add an entry`},
		"no states":             {acme("at_work: []"), `5: team "acme": at_work: the list is empty: add an entry`},
		"states without value":  {acme("at_work:"), `5: team "acme": at_work: has no value: give it one, or leave the key out`},
		"states not a list":     {acme("at_work: online"), `5: team "acme": at_work: needs a list such as [a, b], not a single value`},
		"state twice":           {acme("at_work: [busy, busy]"), `5: team "acme": at_work: the same entry is already on line 5: keep one of them`},
		"empty state":           {acme("at_work: [online, '']"), `5: team "acme": at_work: not a state: use one that the API returns, such as online, without spaces around it; check teams lists them`},
		"state with spaces":     {acme("at_work: [' online']"), `5: team "acme": at_work: not a state: use one that the API returns, such as online, without spaces around it; check teams lists them`},
		"state a list":          {acme("at_work: [[online]]"), `5: team "acme": at_work: needs a single value, not a list`},
		"no display name":       {acme("display_name: ' '"), `5: team "acme": display_name: not a display name: use a text of at most 60 printable characters`},
		"display name of lines": {acme(`display_name: "a\nb"`), `5: team "acme": display_name: not a display name: use a text of at most 60 printable characters`},
		"long display name":     {acme("display_name: " + strings.Repeat("ñ", 61)), `5: team "acme": display_name: not a display name: use a text of at most 60 printable characters`},
		"default display name":  {"defaults: {display_name: x}\n" + acme(""), `1: defaults: unknown key "display_name": use one of ` + strings.TrimPrefix(teamKeyList, "codename, display_name, ")},
		"forecasts a text":      {acme("forecasts: some"), `5: team "acme": forecasts: needs true or false`},
		"names neither":         {acme("operator_names: some"), `5: team "acme": operator_names: needs true or false`},
		"names a text":          {acme("operator_names: 'false'"), `5: team "acme": operator_names: needs true or false`},
		"names without value":   {acme("operator_names:"), `5: team "acme": operator_names: has no value: give it one, or leave the key out`},
		"names a list":          {acme("operator_names: [true]"), `5: team "acme": operator_names: needs a single value, not a list`},
		"no calls":              {acme("max_calls_per_minute: 0"), `5: team "acme": max_calls_per_minute: not a number of calls: use a whole number of at least 1, or null for no limit`},
		"negative calls":        {acme("max_calls_per_minute: -1"), `5: team "acme": max_calls_per_minute: not a number of calls: use a whole number of at least 1, or null for no limit`},
		"half a call":           {acme("max_calls_per_minute: 1.5"), `5: team "acme": max_calls_per_minute: not a number of calls: use a whole number of at least 1, or null for no limit`},
		"calls as a word":       {acme("max_calls_per_minute: many"), `5: team "acme": max_calls_per_minute: not a number of calls: use a whole number of at least 1, or null for no limit`},
		"too many calls":        {acme("max_calls_per_minute: 9999999999"), `5: team "acme": max_calls_per_minute: not a number of calls: use a whole number of at least 1, or null for no limit`},
		"unknown threshold":     {acme("thresholds: {pending: 1}"), `5: team "acme": thresholds: unknown key "pending": use one of queries_pending`},
		"negative threshold":    {acme("thresholds: {queries_pending: -1}"), `5: team "acme": thresholds.queries_pending: not a threshold: use a number of at least 0`},
		"infinite threshold":    {acme("thresholds: {queries_pending: inf}"), `5: team "acme": thresholds.queries_pending: not a threshold: use a number of at least 0`},
		"threshold not number":  {acme("thresholds: {queries_pending: NaN}"), `5: team "acme": thresholds.queries_pending: not a threshold: use a number of at least 0`},
		"threshold a word":      {acme("thresholds: {queries_pending: ten}"), `5: team "acme": thresholds.queries_pending: not a threshold: use a number of at least 0`},
		"threshold a list":      {acme("thresholds: {queries_pending: [1]}"), `5: team "acme": thresholds.queries_pending: needs a single value, not a list`},
	})
}

func TestBusinessHoursErrors(t *testing.T) {
	const (
		scope   = `: team "acme": business_hours`
		example = `[{days: [monday, friday], from: "09:00", to: "18:00"}]`
		notTime = `: use one from "00:00" to "23:59", and as an end also "24:00"`
	)
	hours := func(lines string) string {
		return acme("business_hours:\n  hours:\n  - " + strings.ReplaceAll(lines, "\n", "\n    "))
	}
	testErrors(t, map[string]errorTest{
		"not a mapping":         {acme("business_hours: always"), "5" + scope + ": needs keys with values, not a single value: use one of timezone, hours"},
		"unknown key":           {acme("business_hours:\n  zone: UTC"), "6" + scope + `: unknown key "zone": use one of timezone, hours`},
		"no hours":              {acme("business_hours:\n  timezone: UTC"), "6" + scope + ": hours is missing: add a list such as " + example},
		"unknown time zone":     {acme("business_hours:\n  timezone: Mars/Olympus\n  hours: null"), "6" + scope + `.timezone: unknown time zone: use an IANA name such as UTC or America/Sao_Paulo`},
		"empty list":            {acme("business_hours:\n  hours: []"), "6" + scope + ".hours: the list is empty: add an entry, or write null for none"},
		"hours not a list":      {acme("business_hours:\n  hours: {days: [monday]}"), "6" + scope + ".hours: needs a list such as [a, b], not keys with values"},
		"hours a word":          {hours("monday"), "7" + scope + ".hours: needs keys with values, not a single value: use one of days, from, to"},
		"hours with a zone":     {hours("timezone: UTC"), "7" + scope + `.hours: unknown key "timezone": use one of days, from, to`},
		"no days":               {hours("from: 09:00\nto: 18:00"), "7" + scope + ".hours: days, from or to is missing: set all three, such as " + example},
		"no end":                {hours("days: [monday]\nfrom: 09:00"), "7" + scope + ".hours: days, from or to is missing: set all three, such as " + example},
		"unknown day":           {hours("days: [monday,\n  tue]\nfrom: 09:00\nto: 18:00"), "8" + scope + `.hours.days: unknown value: use one of sunday, monday, tuesday, wednesday, thursday, friday, saturday`},
		"day twice":             {hours("days: [monday, monday]\nfrom: 09:00\nto: 18:00"), "7" + scope + `.hours.days: the same entry is already on line 7: keep one of them`},
		"days empty":            {hours("days: []\nfrom: 09:00\nto: 18:00"), "7" + scope + ".hours.days: the list is empty: add an entry"},
		"days a word":           {hours("days: monday\nfrom: 09:00\nto: 18:00"), "7" + scope + ".hours.days: needs a list such as [a, b], not a single value"},
		"bad beginning":         {hours("days: [monday]\nfrom: 9:00\nto: 18:00"), "8" + scope + `.hours.from: not a time of day` + notTime},
		"beginning at the end":  {hours("days: [monday]\nfrom: 24:00\nto: 18:00"), "7" + scope + `.hours: from is "24:00": use "00:00" of the next day`},
		"beginning not there":   {hours("days: [monday]\nfrom:\nto: 18:00"), "7" + scope + ".hours: days, from or to is missing: set all three, such as " + example},
		"bad end":               {hours("days: [monday]\nfrom: 09:00\nto: 24:01"), "9" + scope + `.hours.to: not a time of day` + notTime},
		"end with seconds":      {hours("days: [monday]\nfrom: 09:00\nto: 18:00:00"), "9" + scope + `.hours.to: not a time of day` + notTime},
		"end a list":            {hours("days: [monday]\nfrom: 09:00\nto: [18:00]"), "9" + scope + ".hours.to: needs a single value, not a list"},
		"no time":               {hours("days: [monday]\nfrom: 09:00\nto: 09:00"), "7" + scope + `.hours: from and to are the same: use "00:00" and "24:00" for a whole day`},
		"in the second element": {acme("business_hours:\n  hours:\n  - {days: [monday], from: 09:00, to: 18:00}\n  - {days: [friday], from: 09:00, to: 9h}"), "8" + scope + `.hours.to: not a time of day` + notTime},
		"in defaults":           {defaults("business_hours:\n  hours: soon"), "3: defaults: business_hours.hours: needs a list such as [a, b], not a single value"},
	})
}

func TestHTTPClientErrors(t *testing.T) {
	const team = `: team "acme": `
	longKey := strings.Repeat(secret, 10)
	const oauth2 = "oauth2:\n  client_id: me\n  token_url: http://login.example\n  "
	testErrors(t, map[string]errorTest{
		"not a mapping":          {"teams:\n- codename: acme\n  base_url: http://x\n  http_client: " + secret, "4" + team + "http_client: needs keys with values, not a single value: use one of " + clientKeyList},
		"unknown key":            {client("proxy: x"), "5" + team + `http_client: unknown key "proxy": use one of ` + clientKeyList},
		"unknown key below":      {client("authorization:\n  credential_file: token"), "6" + team + `http_client.authorization: unknown key "credential_file": use one of type, credentials, credentials_file`},
		"key of a manager":       {client("authorization:\n  credentials_ref: token"), "6" + team + `http_client.authorization: unknown key "credentials_ref": use one of type, credentials, credentials_file`},
		"unknown key deep below": {client(oauth2 + "tls_config:\n    ca_fil: x"), "9" + team + `http_client.oauth2.tls_config: unknown key "ca_fil": use one of ca, cert, key, ca_file, cert_file, key_file, server_name, insecure_skip_verify, min_version, max_version`},
		"unknown key in header":  {client("http_headers: {X-Team: {value: [a]}}"), "5" + team + `http_client.http_headers."X-Team": unknown key "value": use one of values, secrets, files`},
		"short token for a key":  {client("authorization: {t0k3n: x}"), "5" + team + "http_client.authorization: unknown key <5 bytes>: use one of type, credentials, credentials_file"},
		"token for a key":        {client("authorization: {" + longKey + "}"), "5" + team + "http_client.authorization: unknown key <60 bytes>: use one of type, credentials, credentials_file"},
		"token for a mapping":    {client("authorization: " + secret), "5" + team + "http_client.authorization: needs keys with values, not a single value: use one of type, credentials, credentials_file"},
		"longest key quoted":     {client("authorization: {" + strings.Repeat("k", 40) + ": x}"), "5" + team + `http_client.authorization: unknown key "` + strings.Repeat("k", 40) + `": use one of type, credentials, credentials_file`},
		"key too long to quote":  {client("authorization: {" + strings.Repeat("k", 41) + ": x}"), "5" + team + "http_client.authorization: unknown key <41 bytes>: use one of type, credentials, credentials_file"},
		"key of one digit":       {client("authorization: {oauth2: x}"), "5" + team + `http_client.authorization: unknown key "oauth2": use one of type, credentials, credentials_file`},
		"token for a header":     {client("http_headers: {" + longKey + ": {value: [a]}}"), "5" + team + `http_client.http_headers.<60 bytes>: unknown key "value": use one of values, secrets, files`},
		"binary token":           {client("authorization: {credentials: !!binary Cg==}"), "5" + team + "http_client.authorization.credentials: the access token contains a line break or another control character: keep only the token, on one line"},
		"empty TLS version":      {client("tls_config: {min_version: ''}"), "5" + team + "http_client.tls_config.min_version: unknown TLS version: use one of TLS10, TLS11, TLS12, TLS13"},
		"duplicate key":          {client("authorization:\n  credentials: a\n  credentials: b"), "7" + team + `http_client.authorization: the key "credentials" is already on line 6: keep one of them`},
		"duplicate key in a map": {client("proxy_connect_header: {A: [x], A: [y]}"), "5" + team + `http_client.proxy_connect_header: the key "A" is already on line 5: keep one of them`},
		"headers a list":         {client("http_headers: [a]"), "5" + team + "http_client.http_headers: needs keys with values, not a list: use keys of your choice"},
		"not a boolean":          {client("follow_redirects: " + secret), "5" + team + "http_client.follow_redirects: needs true or false"},
		"not a list":             {client("http_headers: {A: {secrets: " + secret + "}}"), "5" + team + `http_client.http_headers."A".secrets: needs a list such as [a, b], not a single value`},
		"not a single value":     {client("authorization: {credentials: [" + secret + "]}"), "5" + team + "http_client.authorization.credentials: needs a single value, not a list"},
		"bad proxy":              {client("proxy_url: http://me:" + secret + "@a b"), "5" + team + "http_client.proxy_url: not a URL: use one such as http://proxy.example:3128"},
		"proxy a list":           {client("proxy_url: [a]"), "5" + team + "http_client.proxy_url: needs a single value, not a list"},
		"TLS version":            {client("tls_config: {min_version: 1.2}"), "5" + team + "http_client.tls_config.min_version: unknown TLS version: use one of TLS10, TLS11, TLS12, TLS13"},
		"TLS version a list":     {client("tls_config: {min_version: [TLS12]}"), "5" + team + "http_client.tls_config.min_version: needs a single value, not a list"},
		"what YAML cannot read":  {client("authorization: {credentials: !!int " + secret + "}"), "5" + team + "http_client.authorization.credentials: a value cannot be read: look for a tag such as !!int, a duplicate key, or an alias within its own anchor"},
		"duplicate claim":        {client(oauth2 + "claims: {a: {" + secret + ": 1, " + secret + ": 2}}"), "5" + team + "http_client: a value cannot be read: look for a tag such as !!int, a duplicate key, or an alias within its own anchor"},
		"endless alias":          {client(oauth2 + "claims: &c {self: *c}"), "5" + team + "http_client: a value cannot be read: look for a tag such as !!int, a duplicate key, or an alias within its own anchor"},
		"reserved header":        {client("http_headers: {authorization: {secrets: [" + secret + "]}}"), "5" + team + `http_client: setting header "Authorization" is not allowed: correct it here or in defaults, whose keys apply unless the team sets them (null removes a key)`},
		"token and file": {
			client("authorization:\n  credentials: " + secret + "\n  credentials_file: token"),
			"5" + team + "http_client: at most one of authorization credentials & credentials_file must be configured: correct it here or in defaults, whose keys apply unless the team sets them (null removes a key)",
		},
		"nothing":               {client("enable_http2: true"), "5" + team + "http_client: no access token: set authorization.credentials_file to a file that contains it"},
		"neither token or file": {client("authorization: {type: Bearer}"), "5" + team + "http_client: no access token: set authorization.credentials_file to a file that contains it"},
		"empty token":           {client("authorization: {credentials: ''}"), "5" + team + "http_client: no access token: set authorization.credentials_file to a file that contains it"},
		"empty basic_auth":      {client("basic_auth: {}"), "5" + team + "http_client: no access token: set authorization.credentials_file to a file that contains it"},
		"token of two lines":    {client("authorization: {credentials: \"" + secret + "\\n" + secret + "\"}"), "5" + team + "http_client.authorization.credentials: the access token contains a line break or another control character: keep only the token, on one line"},
		"old key of two lines":  {client("bearer_token: \"" + secret + "\\n" + secret + "\""), "5" + team + "http_client.bearer_token: the access token contains a line break or another control character: keep only the token, on one line"},
		"file of two lines":     {client("authorization: {credentials_file: two-lines}"), "5" + team + `http_client.authorization.credentials_file: the access token contains a line break or another control character: keep only the token, on one line`},
		"missing token file":    {client("authorization:\n  credentials_file: absent"), "6" + team + `http_client.authorization.credentials_file: the file cannot be read: no such file or directory: check that it exists and that this user may read it`},
		"empty token file":      {client("bearer_token_file: empty"), "5" + team + `http_client.bearer_token_file: the file is empty: write the value into it`},
		"token file a device":   {client("authorization: {credentials_file: /dev/null}"), "5" + team + `http_client.authorization.credentials_file: not a regular file: use a regular file`},
		"missing password file": {client("basic_auth: {username: me, password_file: absent}"), "5" + team + `http_client.basic_auth.password_file: the file cannot be read: no such file or directory: check that it exists and that this user may read it`},
		"missing header file":   {client("http_headers: {X-Team: {files: [token, absent]}}"), "5" + team + `http_client.http_headers."X-Team".files: the file cannot be read: no such file or directory: check that it exists and that this user may read it`},
		"missing CA file":       {client("tls_config: {ca_file: absent}"), "5" + team + `http_client.tls_config.ca_file: the file cannot be read: no such file or directory: check that it exists and that this user may read it`},
		"not a CA":              {client("authorization: {credentials_file: token}\ntls_config: {ca_file: not-a-cert}"), "5" + team + "http_client.tls_config: unable to use specified CA cert file not-a-cert: correct the certificates or versions"},
		"not a CA for oauth2":   {client(oauth2 + "tls_config: {ca: " + secret + "}"), "5" + team + "http_client.oauth2.tls_config: unable to use specified CA cert inline: correct the certificates or versions"},
	})
}

// TestNoValueIsQuoted has a token where each value should be.
func TestNoValueIsQuoted(t *testing.T) {
	inDirectory(t, testFiles)
	keys, _ := keysOf(reflect.TypeFor[settings]())
	for _, key := range keys {
		for _, value := range []string{secret, "[" + secret + "]", "{" + secret + ": " + secret + "}", "{" + secret + "}", "{timezone: " + secret + "}", "{queries_pending: " + secret + "}", "{operators: " + secret + "}"} {
			text := "teams:\n- codename: acme\n  " + key + ": " + value
			if key != "base_url" {
				text += "\n  base_url: http://x"
			}
			_, err := Parse("exporter.yml", []byte(text))
			if key == "date_format_group" && value == secret || key == "at_work" && value == "["+secret+"]" { // any text is a format or a state
				continue
			}
			require.ErrorContains(t, err, "exporter.yml:3: team \"acme\": "+key, value)
			assert.NotContains(t, err.Error(), secret, "%s: %s", key, value)
		}
	}
}
