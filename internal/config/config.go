// Package config reads which teams the exporter asks about and how: from a
// YAML file, or for a single team from flags and the environment.
//
// A file is read strictly. Every error has the form FILE:LINE: what is wrong:
// what to do about it, and never quotes a secret.
package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/calendar"
	"chattonic_exporter/internal/usage"
)

// Config holds the settings of all teams.
type Config struct {
	// Teams holds at least one team, in the order of the file. No two have the
	// same codename.
	Teams []Team
}

// Team is one team's settings after defaults have been applied.
type Team struct {
	// Codename names the team in the API's URLs.
	Codename string
	// BaseURL is the API's base URL, such as https://chat-tonic.example.
	BaseURL string
	// Windows holds at least one window, each once. What has no window label
	// is taken from the answer for the first.
	Windows []calendar.WindowSpec
	// Location is the time zone of the calendar windows.
	Location *time.Location
	// DurationUnit is how long one unit of onlineTime and the API's other
	// durations lasts: a millisecond, a second or a minute. The API does not
	// document it.
	DurationUnit time.Duration
	// DateFormatGroup is the format by which the dashboard groups its rows.
	DateFormatGroup string
	// Delay is how long before now a window ends, for data that comes late.
	Delay time.Duration
	// TTL is how long answers of an endpoint serve further scrapes. An endpoint
	// without one is asked at each scrape.
	TTL map[chattonic.Endpoint]time.Duration
	// Collectors holds at least one of chattonic.ReadEndpoints, in their order.
	Collectors []chattonic.Endpoint
	// OperatorNames says whether metrics name the operators and the origins of
	// their queries, besides the operators' ids.
	OperatorNames bool
	// Thresholds holds what alerts compare the team's values with.
	Thresholds Thresholds
	// BusinessHours are when alerts about the team's queue are wanted, or nil
	// where none are configured: at any time.
	BusinessHours *calendar.BusinessHours
	// HTTPClient says how to reach the API: access token, TLS, proxy. Its file
	// paths no longer depend on the directory of the configuration file.
	HTTPClient promconfig.HTTPClientConfig
}

// Thresholds holds what alerts compare a team's values with.
type Thresholds struct {
	// QueriesPending is a number of waiting queries of at least 0, or nil where
	// none is configured.
	QueriesPending *float64
}

// DurationUnit is a unit that the API's durations may count.
type DurationUnit struct {
	// Name is what the unit is called in a file.
	Name string
	// Unit is how long it lasts.
	Unit time.Duration
}

// DurationUnits are the known units, the shortest first.
var DurationUnits = []DurationUnit{
	{"milliseconds", time.Millisecond},
	{"seconds", time.Second},
	{"minutes", time.Minute},
}

// TokenVariable is the environment variable that may hold the access token of a
// single team.
const TokenVariable = "CHATTONIC_EXPORTER_TOKEN"

// Flags is what flags and the environment say about teams: which file names
// them, or else what there is to know of a single one.
type Flags struct {
	// File is the path of the file, from --config.file.
	File string
	// URL is the API's base URL, from --chattonic.url.
	URL string
	// Codename names the team in the API's URLs, from --chattonic.codename.
	Codename string
	// TokenFile is the path of a file that holds the access token, from
	// --chattonic.token-file.
	TokenFile string
	// Token is the access token itself, from CHATTONIC_EXPORTER_TOKEN.
	Token string
}

// Load returns the configuration that the flags name, of the file or of the
// single team. It fails where they name none, or both.
func (f Flags) Load() (*Config, error) {
	single := f != Flags{File: f.File}
	switch {
	case f.File != "" && single:
		return nil, usage.Errorf("--config.file goes without --chattonic.url, --chattonic.codename, --chattonic.token-file and CHATTONIC_EXPORTER_TOKEN")
	case f.File != "":
		return Load(f.File)
	case single:
		return Single(f)
	}
	return nil, usage.Errorf("there is no team to ask: name one with --chattonic.url, --chattonic.codename and --chattonic.token-file, or several with --config.file; or look around with chattonic_exporter --demo")
}

// Single returns the configuration of one team without a file. It fails unless
// the URL, the codename and exactly one source of the access token are given
// and can be used.
func Single(f Flags) (*Config, error) {
	switch {
	case f.URL == "":
		return nil, usage.Errorf("--chattonic.url is not set: give the API's base URL, such as https://chat-tonic.example, or name a file of teams with --config.file")
	case f.Codename == "":
		return nil, usage.Errorf("--chattonic.codename is not set: give the codename of the team, or name a file of teams with --config.file")
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
	settings := builtIn()
	settings.BaseURL = baseURL(f.URL)
	team := settings.team(f.Codename)
	team.HTTPClient = promconfig.DefaultHTTPClientConfig
	team.HTTPClient.Authorization = authorization
	return &Config{Teams: []Team{team}}, nil
}

// singleAuthorization checks where the access token of a single team comes
// from. White space around the token itself does not count, as in a file.
func singleAuthorization(f Flags) (*promconfig.Authorization, error) {
	token := strings.TrimSpace(f.Token)
	switch {
	case f.TokenFile != "" && token != "":
		return nil, usage.Errorf("both --chattonic.token-file and CHATTONIC_EXPORTER_TOKEN are set: keep one of them")
	case f.TokenFile == "" && token == "":
		return nil, usage.Errorf("no access token: set --chattonic.token-file to a file that holds it, or CHATTONIC_EXPORTER_TOKEN to the token itself")
	case f.TokenFile != "":
		if err := checkTokenFile(f.TokenFile); err != nil {
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

// Load reads and checks the configuration file at path. Every error names the
// file and, where there is one, the line and the key.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: the configuration file cannot be read: %w: check the path and that this user may read it", path, cause(err))
	}
	return Parse(path, data)
}

// Parse reads and checks a configuration from memory. The name stands for the
// file in errors, and relative paths of files in it are relative to the name's
// directory. Every file it names must exist. Every error names the file and,
// where there is one, the line and the key.
func Parse(name string, data []byte) (*Config, error) {
	config, err := parse(name, data)
	if err == nil {
		return config, nil
	}
	if p, ok := errors.AsType[*problem](err); ok && p.line > 0 {
		return nil, fmt.Errorf("%s:%d: %w", name, p.line, err)
	}
	return nil, fmt.Errorf("%s: %w", name, err)
}
