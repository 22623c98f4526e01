// Package config loads the settings of the teams from a YAML file or, for a single team,
// from flags and the environment.
//
// A file is validated strictly. Errors have the format "FILE:LINE: what is wrong: what to
// do" and never quote a secret.
package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"
	"go.yaml.in/yaml/v3"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/calendar"
	"chattonic_exporter/internal/usage"
)

// Config is a configuration: the settings of all teams.
type Config struct {
	// Teams holds at least one team, in the order of the file. No two have the
	// same codename.
	Teams []Team
}

// Team holds the settings of one team, with defaults applied.
type Team struct {
	// Codename names the team in the API's URLs.
	Codename string
	// DisplayName is the name of the team on the pages. Empty means the codename.
	DisplayName string
	// BaseURL is the API's base URL, such as https://chat-tonic.example.
	BaseURL string
	// Windows holds at least one window, without duplicates. Metrics without the label
	// window come from the answers for the first one.
	Windows []calendar.WindowSpec
	// Location is the time zone of the calendar windows.
	Location *time.Location
	// DurationUnit is the unit of the API's durations, such as onlineTime: a
	// millisecond, a second or a minute. The API does not document it.
	DurationUnit time.Duration
	// DateFormatGroup is the strftime-like format by which the dashboard groups its rows.
	DateFormatGroup string
	// Delay is the time between the end of a window and now. It is for data that the API
	// provides late.
	Delay time.Duration
	// TTL is how long an answer of an endpoint is reused by later scrapes. An endpoint
	// without a TTL is requested at each scrape.
	TTL map[chattonic.Endpoint]time.Duration
	// MaxCallsPerMinute is the maximum number of HTTP requests to the API in any minute. 0
	// means no limit.
	MaxCallsPerMinute int
	// Collectors holds at least one of chattonic.ReadEndpoints, in their order.
	Collectors []chattonic.Endpoint
	// AtWork holds the states in which an operator is at work, at least one. Letter case
	// does not count.
	AtWork []string
	// OperatorNames enables labels with the operators' names and the origins of their
	// queries, in addition to the operators' ids.
	OperatorNames bool
	// Forecasts shows on the pages how the team's queue is likely to change. That assumes
	// that an assigned query has left the queue, which is not documented.
	Forecasts bool
	// Thresholds holds the team's alert thresholds.
	Thresholds Thresholds
	// BusinessHours are the hours in which alerts about the team's queue fire. Nil means
	// at any time.
	BusinessHours *calendar.BusinessHours
	// HTTPClient holds the HTTP settings: access token, TLS, proxy. The proxy is the
	// environment's unless the file sets another or none. Its file paths are
	// resolved against the directory of the configuration file.
	HTTPClient promconfig.HTTPClientConfig
}

// Thresholds holds the alert thresholds of a team.
type Thresholds struct {
	// QueriesPending is the threshold for the number of pending queries, at least 0. It
	// is nil if not configured.
	QueriesPending *float64
}

// DurationUnit is a possible unit of the API's durations.
type DurationUnit struct {
	// Name is the name of the unit in a configuration file.
	Name string
	// Unit is the duration of one unit.
	Unit time.Duration
}

// DurationUnits holds the supported units, shortest first.
var DurationUnits = []DurationUnit{
	{"milliseconds", time.Millisecond},
	{"seconds", time.Second},
	{"minutes", time.Minute},
}

// TokenVariable is the environment variable that may hold the access token of a
// single team.
const TokenVariable = "CHATTONIC_EXPORTER_TOKEN"

// Flags holds the values of the flags and environment variables about teams: either the
// path of a file, or the settings of a single team.
type Flags struct {
	// File is the path of the configuration file, from --config.file.
	File string
	// URL is the API's base URL, from --chattonic.url.
	URL string
	// Codename names the team in the API's URLs, from --chattonic.codename.
	Codename string
	// TokenFile is the path of the access token file, from --chattonic.token-file.
	TokenFile string
	// Token is the access token itself, from CHATTONIC_EXPORTER_TOKEN.
	Token string

	// These settings of a single team have the format of a file's key. Windows is a list
	// with commas. An empty text means the default.
	Windows, Timezone, DurationUnit, QueriesPending string
}

// Load returns the configuration from the file or for the single team. It fails if the
// flags set neither or both.
func (f Flags) Load() (*Config, error) {
	single := f != Flags{File: f.File}
	switch {
	case f.File != "" && single:
		return nil, usage.Errorf("--config.file cannot be combined with --chattonic.url and the other flags of a single team, or CHATTONIC_EXPORTER_TOKEN: set only --config.file, or only the others")
	case f.File != "":
		return Load(f.File)
	case single:
		return Single(f)
	}
	return nil, usage.Errorf("no team is configured: set --chattonic.url, --chattonic.codename and --chattonic.token-file for one team, or --config.file for several teams, or try simulated data with --demo")
}

// Single returns the configuration of a single team without a configuration file. It fails
// unless the URL, the codename and exactly one source of the access token are set and
// valid.
func Single(f Flags) (*Config, error) {
	switch {
	case f.URL == "":
		return nil, usage.Errorf("--chattonic.url is not set: set it to the API's base URL, such as https://chat-tonic.example, or use --config.file")
	case f.Codename == "":
		return nil, usage.Errorf("--chattonic.codename is not set: set it to the codename of the team, or use --config.file")
	}
	if _, err := chattonic.ParseBaseURL(f.URL); err != nil {
		return nil, usage.Errorf("--chattonic.url: %w", err)
	}
	if err := chattonic.CheckCodename(f.Codename); err != nil {
		return nil, usage.Errorf("--chattonic.codename: %w", err)
	}
	authorization, err := singleAuthorization(f)
	if err != nil {
		return nil, err
	}
	settings, err := f.settings()
	if err != nil {
		return nil, err
	}
	settings.BaseURL = baseURL(f.URL)
	team := settings.team(f.Codename)
	team.HTTPClient = defaultHTTPClient()
	team.HTTPClient.Authorization = authorization
	return &Config{Teams: []Team{team}}, nil
}

// settings returns the settings of a single team, except its URL. The flags are validated and
// decoded like the keys of a file.
func (f Flags) settings() (settings, error) {
	s := defaultSettings()
	text := func(value string) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.TrimSpace(value)}
	}
	windows := &yaml.Node{Kind: yaml.SequenceNode}
	for name := range strings.SplitSeq(f.Windows, ",") {
		windows.Content = append(windows.Content, text(name))
	}
	for _, flag := range []struct {
		name, value string
		node        *yaml.Node
		into        any
	}{
		{"--chattonic.windows", f.Windows, windows, &s.Windows},
		{"--chattonic.timezone", f.Timezone, text(f.Timezone), &s.Timezone},
		{"--chattonic.duration-unit", f.DurationUnit, text(f.DurationUnit), &s.DurationUnit},
		{"--chattonic.queries-pending-threshold", f.QueriesPending, text(f.QueriesPending), &s.Thresholds.QueriesPending},
	} {
		if flag.value == "" {
			continue
		}
		err := validator{}.check("", flag.node, reflect.TypeOf(flag.into).Elem())
		if err == nil {
			err = decode(flag.node, flag.into)
		}
		if err != nil {
			return s, usage.Errorf("%s: %w", flag.name, err)
		}
	}
	for i, window := range s.Windows {
		if slices.Contains(s.Windows[:i], window) {
			return s, usage.Errorf("--chattonic.windows: %s comes twice: keep one of them", window.Name())
		}
	}
	return s, nil
}

// singleAuthorization returns the authorization of a single team. White space around the
// token is ignored, as in a token file.
func singleAuthorization(f Flags) (*promconfig.Authorization, error) {
	token := strings.TrimSpace(f.Token)
	switch {
	case f.TokenFile != "" && token != "":
		return nil, usage.Errorf("both --chattonic.token-file and CHATTONIC_EXPORTER_TOKEN are set: keep one of them")
	case f.TokenFile == "" && token == "":
		return nil, usage.Errorf("no access token: set --chattonic.token-file to a file that contains it, or CHATTONIC_EXPORTER_TOKEN to the token itself")
	case f.TokenFile != "":
		if _, err := readToken(f.TokenFile, nil); err != nil {
			return nil, fmt.Errorf("--chattonic.token-file: %w", err)
		}
	default:
		if err := chattonic.CheckToken(token); err != nil {
			return nil, usage.Errorf("CHATTONIC_EXPORTER_TOKEN: %w", err)
		}
	}
	return &promconfig.Authorization{
		Type:            "Bearer",
		Credentials:     promconfig.Secret(token),
		CredentialsFile: f.TokenFile,
	}, nil
}

// Load reads and validates the configuration file at path. Errors contain the path and, if
// known, the line and the key.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: reading the configuration file: %w: check the path and the read permission", path, cause(err))
	}
	return Parse(path, data)
}

// Parse parses and validates the content of a configuration file. name is the path of the
// file: it is used in errors, and relative paths in the file are relative to its directory.
// The files that the configuration refers to must exist. Errors contain the name and, if
// known, the line and the key.
func Parse(name string, data []byte) (*Config, error) {
	config, err := parse(name, data)
	if err == nil {
		return config, nil
	}
	if p, ok := errors.AsType[*locatedError](err); ok && p.line > 0 {
		return nil, fmt.Errorf("%s:%d: %w", name, p.line, err)
	}
	return nil, fmt.Errorf("%s: %w", name, err)
}
