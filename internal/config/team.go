package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/calendar"
)

// minimalFile is a complete minimal file, as an example in errors.
const minimalFile = `teams: [{codename: acme, base_url: "https://chat-tonic.example", http_client: {authorization: {credentials_file: /run/secrets/acme}}}]`

// file is the schema of a configuration file.
type file struct {
	Defaults yaml.Node `yaml:"defaults"` // a mapping with the schema settings
	Teams    yaml.Node `yaml:"teams"`    // a list with the schema teamSettings
}

// teamSettings is the schema of a team.
type teamSettings struct {
	Codename    codename    `yaml:"codename"`
	DisplayName displayName `yaml:"display_name"`
	Settings    settings    `yaml:",inline"`
}

// settings is the schema of the defaults, and of a team without its codename.
type settings struct {
	BaseURL         baseURL               `yaml:"base_url"`
	Windows         []calendar.WindowSpec `yaml:"windows"`
	Timezone        timeZone              `yaml:"timezone"`
	DurationUnit    durationUnit          `yaml:"duration_unit"`
	DateFormatGroup dateFormatGroup       `yaml:"date_format_group"`
	Delay           duration              `yaml:"delay"`
	TTL             map[endpoint]duration `yaml:"ttl"`
	MaxCalls        *callsPerMinute       `yaml:"max_calls_per_minute"` // null removes the default
	Collectors      []endpoint            `yaml:"collectors"`
	AtWork          []operatorState       `yaml:"at_work"`
	OperatorNames   bool                  `yaml:"operator_names"`
	Forecasts       bool                  `yaml:"forecasts"`
	Thresholds      struct {
		QueriesPending *threshold `yaml:"queries_pending"` // null removes the default
	} `yaml:"thresholds"`
	BusinessHours businessHours `yaml:"business_hours"`
	HTTPClient    yaml.Node     `yaml:"http_client"` // with the schema promconfig.HTTPClientConfig
}

// defaultSettings returns the built-in values of the settings. The file's defaults and the
// teams override them.
func defaultSettings() settings {
	s := settings{
		Timezone: timeZone{time.UTC}, DurationUnit: "seconds", DateFormatGroup: chattonic.DefaultDateFormatGroup, OperatorNames: true,
		AtWork: []operatorState{"online"},
	}
	day, err := calendar.ParseWindow("24h")
	if err != nil {
		panic(err) // impossible: the name is a constant
	}
	s.Windows = []calendar.WindowSpec{day}
	for _, name := range endpoint("").choices() {
		s.Collectors = append(s.Collectors, endpoint(name))
	}
	return s
}

// team returns the settings of the team with the codename.
func (s *settings) team(codename string) Team {
	team := Team{
		Codename:        codename,
		BaseURL:         string(s.BaseURL),
		Windows:         s.Windows,
		Location:        s.Timezone.Location,
		DurationUnit:    DurationUnits[slices.Index(s.DurationUnit.choices(), string(s.DurationUnit))].Unit,
		DateFormatGroup: string(s.DateFormatGroup),
		Delay:           time.Duration(s.Delay),
		OperatorNames:   s.OperatorNames,
		Forecasts:       s.Forecasts,
		Thresholds:      Thresholds{QueriesPending: (*float64)(s.Thresholds.QueriesPending)},
		BusinessHours:   s.BusinessHours.inZone(s.Timezone.Location),
		TTL:             make(map[chattonic.Endpoint]time.Duration),
	}
	if s.MaxCalls != nil {
		team.MaxCallsPerMinute = int(*s.MaxCalls)
	}
	for _, state := range s.AtWork {
		team.AtWork = append(team.AtWork, string(state))
	}
	for _, e := range chattonic.ReadEndpoints() {
		if slices.Contains(s.Collectors, endpoint(e)) {
			team.Collectors = append(team.Collectors, e)
		}
		if ttl, ok := s.TTL[endpoint(e)]; ok {
			team.TTL[e] = time.Duration(ttl)
		}
	}
	return team
}

// parse implements Parse. Its errors do not contain the file and the line.
func parse(name string, data []byte) (*Config, error) {
	root, err := readDocument(data)
	if err != nil {
		return nil, err
	}
	if err := (validator{}).check("", root, reflect.TypeFor[file]()); err != nil {
		return nil, err
	}
	defaults, teams := valueOf(root, "defaults"), valueOf(root, "teams")
	if defaults != nil {
		if err := checkDefaults(defaults); err != nil {
			return nil, fmt.Errorf("defaults: %w", err)
		}
	}
	switch {
	case teams == nil:
		return nil, errorAt(root, "no teams: a file needs at least %s", minimalFile)
	case isNull(teams), teams.Kind == yaml.SequenceNode && len(teams.Content) == 0:
		return nil, errorAt(teams, "no teams: a file needs at least %s", minimalFile)
	case teams.Kind != yaml.SequenceNode:
		return nil, prefixKey("teams", errorAt(teams, "needs a list, not %s: a file needs at least %s", kindOf(teams), minimalFile))
	}
	config, lines := &Config{}, map[string]int{}
	for i, node := range teams.Content {
		node = resolveAlias(node)
		label, codename := fmt.Sprintf("number %d", i+1), valueOf(node, "codename")
		if codename != nil && codename.Kind == yaml.ScalarNode && codename.Value != "" {
			label = strconv.Quote(codename.Value)
			if line := lines[codename.Value]; line > 0 {
				return nil, fmt.Errorf("team %s: %w", label, prefixKey("codename", errorAt(codename, "the team on line %d has the same codename: give each team a different one", line)))
			}
			lines[codename.Value] = codename.Line
		}
		team, err := readTeam(node, defaults, filepath.Dir(name))
		if err != nil {
			return nil, fmt.Errorf("team %s: %w", label, err)
		}
		config.Teams = append(config.Teams, team)
	}
	return config, nil
}

// checkDefaults validates the defaults independently of the teams, because teams may
// override invalid values.
func checkDefaults(node *yaml.Node) error {
	if err := (validator{}).check("", node, reflect.TypeFor[settings]()); err != nil {
		return err
	}
	if client := valueOf(node, "http_client"); client != nil {
		return prefixKey("http_client", checkHTTPClient(client, nil))
	}
	return nil
}

// readTeam returns the team that a node defines, with the defaults applied. Relative paths
// are relative to the directory.
func readTeam(node, defaults *yaml.Node, directory string) (team Team, err error) {
	merged := merge(node, defaults, 2)
	s := teamSettings{Settings: defaultSettings()}
	if err := (validator{}).check("", merged, reflect.TypeOf(s)); err != nil {
		return team, err
	}
	if err := decode(merged, &s); err != nil {
		return team, err
	}
	switch {
	case s.Codename == "":
		return team, errorAt(node, "codename is missing: use the one in the API's URLs")
	case s.Settings.BaseURL == "":
		return team, errorAt(node, "base_url is missing: set it here or in defaults to the API's base URL, such as https://chat-tonic.example")
	}
	team = s.Settings.team(string(s.Codename))
	team.DisplayName = string(s.DisplayName)
	team.HTTPClient, err = readHTTPClient(valueOf(merged, "http_client"), node, directory)
	return team, prefixKey("http_client", err)
}
