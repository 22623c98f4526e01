package config

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/calendar"
)

// leastFile is a whole file, as an example in errors.
const leastFile = `teams: [{codename: acme, base_url: "https://chat-tonic.example", http_client: {authorization: {credentials_file: /run/secrets/acme}}}]`

// settings are the keys of a team that the defaults may hold too, but for
// http_client. Each value is read on its own.
var settings = []struct {
	key  string
	read func(value *yaml.Node, team *Team) error
}{
	{"base_url", readBaseURL},
	{"windows", readWindows},
	{"timezone", readTimezone},
	{"duration_unit", readDurationUnit},
	{"date_format_group", readDateFormatGroup},
	{"delay", func(value *yaml.Node, team *Team) error { return readDuration(value, &team.Delay) }},
	{"ttl", readTTL},
	{"collectors", readCollectors},
	{"operator_names", readOperatorNames},
	{"thresholds", readThresholds},
	{"business_hours", readBusinessHours}, // after their default, timezone
}

// defaultKeys and teamKeys are the keys of the defaults and of a team.
var defaultKeys, teamKeys = func() (defaults, team []string) {
	for _, s := range settings {
		defaults = append(defaults, s.key)
	}
	defaults = append(defaults, "http_client")
	return defaults, append([]string{"codename"}, defaults...)
}()

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

// reader reads the teams of one file.
type reader struct {
	directory string // what relative paths are relative to
	defaults  map[string]*yaml.Node
	lines     map[string]int // of the codenames so far
}

func parse(name string, data []byte) (*Config, error) {
	root, err := readDocument(data)
	if err != nil {
		return nil, err
	}
	parts, err := mapping(root, []string{"defaults", "teams"})
	if err != nil {
		return nil, err
	}
	r := &reader{directory: filepath.Dir(name), lines: map[string]int{}}
	if defaults := parts["defaults"]; defaults != nil {
		if err := r.readDefaults(defaults); err != nil {
			return nil, inScope("defaults", err)
		}
	}
	teams := parts["teams"]
	switch {
	case teams == nil:
		return nil, at(root, "no teams: a file needs at least %s", leastFile)
	case isNull(teams), teams.Kind == yaml.SequenceNode && len(teams.Content) == 0:
		return nil, at(teams, "no teams: a file needs at least %s", leastFile)
	case teams.Kind != yaml.SequenceNode:
		return nil, inKey("teams", at(teams, "needs a list, not %s: a file needs at least %s", kindOf(teams), leastFile))
	}
	config := &Config{}
	for i, node := range teams.Content {
		team, err := r.readTeam(target(node))
		if err != nil {
			return nil, inScope(teamScope(target(node), i), err)
		}
		config.Teams = append(config.Teams, team)
	}
	return config, nil
}

// teamScope names a team for errors by its codename, if it has one.
func teamScope(node *yaml.Node, index int) string {
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		value := target(node.Content[i+1])
		if target(node.Content[i]).Value == "codename" && value.Kind == yaml.ScalarNode && value.Value != "" {
			return fmt.Sprintf("team %q", value.Value)
		}
	}
	return fmt.Sprintf("team number %d", index+1)
}

// readDefaults checks each of the defaults by itself, also those that no team
// comes to use. What depends on several keys is up to the teams.
func (r *reader) readDefaults(node *yaml.Node) error {
	values, err := mapping(node, defaultKeys)
	if err != nil {
		return err
	}
	var scratch Team
	if err := readSettings(values, &scratch); err != nil {
		return err
	}
	if value := values["http_client"]; value != nil {
		if err := (httpClientCheck{}).check(value); err != nil {
			return inKey("http_client", err)
		}
	}
	r.defaults = values
	return nil
}

func (r *reader) readTeam(node *yaml.Node) (Team, error) {
	team := builtIn()
	own, err := mapping(node, teamKeys)
	if err != nil {
		return team, err
	}
	if err := r.readCodename(node, own["codename"], &team); err != nil {
		return team, err
	}
	values := map[string]*yaml.Node{}
	for _, key := range defaultKeys {
		if value := merge(r.defaults[key], own[key]); value != nil {
			values[key] = value
		}
	}
	if err := readSettings(values, &team); err != nil {
		return team, err
	}
	if team.BaseURL == "" {
		return team, at(node, "base_url is missing and has no default: give the API's, such as https://chat-tonic.example, here or in defaults")
	}
	team.HTTPClient, err = r.readHTTPClient(node, values["http_client"])
	return team, err
}

func readSettings(values map[string]*yaml.Node, team *Team) error {
	for _, s := range settings {
		value := values[s.key]
		if value == nil {
			continue
		}
		if err := s.read(value, team); err != nil {
			return inKey(s.key, err)
		}
	}
	return nil
}

func (r *reader) readCodename(node, value *yaml.Node, team *Team) error {
	if value == nil {
		return at(node, "codename is missing: use the one in the API's URLs")
	}
	codename, err := scalar(value)
	if err != nil {
		return inKey("codename", err)
	}
	if err := chattonic.CheckCodename(codename); err != nil {
		return inKey("codename", at(value, "%w", err))
	}
	if line, taken := r.lines[codename]; taken {
		return inKey("codename", at(value, "the team on line %d has it already: give each team its own", line))
	}
	r.lines[codename] = value.Line
	team.Codename = codename
	return nil
}

func readBaseURL(value *yaml.Node, team *Team) error {
	text, err := scalar(value)
	if err != nil {
		return err
	}
	if _, err := chattonic.ParseBaseURL(text); err != nil {
		return at(value, "%w", err)
	}
	team.BaseURL = text
	return nil
}

func readWindows(value *yaml.Node, team *Team) error {
	elements, err := uniqueTexts(value, "[24h, today]", orLeaveOut)
	if err != nil {
		return err
	}
	team.Windows = nil
	for _, element := range elements {
		window, err := calendar.ParseWindow(element.Value)
		if err != nil {
			return at(element, "%w", err)
		}
		team.Windows = append(team.Windows, window)
	}
	return nil
}

func readTimezone(value *yaml.Node, team *Team) (err error) {
	team.Location, err = readLocation(value)
	return err
}

func readLocation(value *yaml.Node) (*time.Location, error) {
	name, err := scalar(value)
	if err != nil {
		return nil, err
	}
	location, err := time.LoadLocation(name)
	// The library takes "" for UTC and "Local" for the machine's zone; the file
	// is to mean the same everywhere.
	if err != nil || name == "" || name == "Local" {
		return nil, at(value, "unknown time zone %q: use an IANA name such as UTC or America/Sao_Paulo", name)
	}
	return location, nil
}

func readDurationUnit(value *yaml.Node, team *Team) error {
	name, err := scalar(value)
	if err != nil {
		return err
	}
	var known []string
	for _, u := range DurationUnits {
		if u.Name == name {
			team.DurationUnit = u.Unit
			return nil
		}
		known = append(known, u.Name)
	}
	return at(value, "unknown unit %q: use one of %s", name, strings.Join(known, ", "))
}

func readDateFormatGroup(value *yaml.Node, team *Team) error {
	format, err := scalar(value)
	if err != nil {
		return err
	}
	if format == "" {
		return at(value, "the format is empty: give one such as %q, or a constant such as 0 for a single row", chattonic.DefaultDateFormatGroup)
	}
	team.DateFormatGroup = format
	return nil
}

func readDuration(value *yaml.Node, duration *time.Duration) error {
	text, err := scalar(value)
	if err != nil {
		return err
	}
	parsed, err := model.ParseDuration(text)
	if err != nil {
		return at(value, "%q is not a duration: use one such as 0s, 30s, 5m or 1h30m", text)
	}
	*duration = time.Duration(parsed)
	return nil
}

// endpointNames are the names of the endpoints with statistics.
var endpointNames = func() (names []string) {
	for _, e := range chattonic.ReadEndpoints() {
		names = append(names, string(e))
	}
	return names
}()

func readTTL(value *yaml.Node, team *Team) error {
	values, err := mapping(value, endpointNames)
	if err != nil {
		return err
	}
	ttl := maps.Clone(team.TTL) // that of the defaults stays
	if ttl == nil {
		ttl = make(map[chattonic.Endpoint]time.Duration)
	}
	for name, value := range values {
		var duration time.Duration
		if err := readDuration(value, &duration); err != nil {
			return inKey(name, err)
		}
		ttl[chattonic.Endpoint(name)] = duration
	}
	team.TTL = ttl
	return nil
}

func readCollectors(value *yaml.Node, team *Team) error {
	elements, err := uniqueTexts(value, "["+strings.Join(endpointNames, ", ")+"]", orLeaveOut)
	if err != nil {
		return err
	}
	wanted := map[chattonic.Endpoint]bool{}
	for _, element := range elements {
		if !slices.Contains(endpointNames, element.Value) {
			return at(element, "unknown collector %q: use one of %s", element.Value, strings.Join(endpointNames, ", "))
		}
		wanted[chattonic.Endpoint(element.Value)] = true
	}
	team.Collectors = slices.DeleteFunc(chattonic.ReadEndpoints(), func(e chattonic.Endpoint) bool { return !wanted[e] })
	return nil
}

func readOperatorNames(value *yaml.Node, team *Team) error {
	text, err := scalar(value)
	if err != nil {
		return err
	}
	if value.Decode(&team.OperatorNames) != nil {
		return at(value, "%q is neither: use true or false", text)
	}
	return nil
}

func readThresholds(value *yaml.Node, team *Team) error {
	const key = "queries_pending"
	values, err := mapping(value, []string{key})
	if err != nil {
		return err
	}
	number := values[key]
	if number == nil || isNull(number) { // null drops the one of the defaults
		return nil
	}
	text, err := scalar(number)
	if err != nil {
		return inKey(key, err)
	}
	threshold, err := strconv.ParseFloat(text, 64)
	if err != nil || threshold < 0 || math.IsNaN(threshold) || math.IsInf(threshold, 0) {
		return inKey(key, at(number, "%q is not a threshold: use a number of at least 0", text))
	}
	team.Thresholds.QueriesPending = &threshold
	return nil
}
