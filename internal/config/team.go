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

// leastFile is a whole file, as an example in errors.
const leastFile = `teams: [{codename: acme, base_url: "https://chat-tonic.example", http_client: {authorization: {credentials_file: /run/secrets/acme}}}]`

// file is the form of a file.
type file struct {
	Defaults yaml.Node `yaml:"defaults"` // of the form settings
	Teams    yaml.Node `yaml:"teams"`    // a list of the form teamSettings
}

// teamSettings is the form of a team.
type teamSettings struct {
	Codename codename `yaml:"codename"`
	Settings settings `yaml:",inline"`
}

// settings is the form of the defaults, and of a team but for its codename.
type settings struct {
	BaseURL         baseURL               `yaml:"base_url"`
	Windows         []calendar.WindowSpec `yaml:"windows"`
	Timezone        timeZone              `yaml:"timezone"`
	DurationUnit    durationUnit          `yaml:"duration_unit"`
	DateFormatGroup dateFormatGroup       `yaml:"date_format_group"`
	Delay           duration              `yaml:"delay"`
	TTL             map[endpoint]duration `yaml:"ttl"`
	Collectors      []endpoint            `yaml:"collectors"`
	OperatorNames   bool                  `yaml:"operator_names"`
	Thresholds      struct {
		QueriesPending *threshold `yaml:"queries_pending"` // null drops that of the defaults
	} `yaml:"thresholds"`
	BusinessHours businessHours `yaml:"business_hours"`
	HTTPClient    yaml.Node     `yaml:"http_client"` // of the form promconfig.HTTPClientConfig
}

// builtIn returns the settings of a team that neither itself nor the file's
// defaults say anything about.
func builtIn() settings {
	s := settings{
		Timezone: timeZone{time.UTC}, DurationUnit: "seconds", DateFormatGroup: chattonic.DefaultDateFormatGroup, OperatorNames: true,
	}
	day, err := calendar.ParseWindow("24h")
	if err != nil {
		panic(err) // a constant that the tests cover
	}
	s.Windows = []calendar.WindowSpec{day}
	for _, name := range endpoint("").choices() {
		s.Collectors = append(s.Collectors, endpoint(name))
	}
	return s
}

// team returns the settings as those of a team with a codename.
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
		Thresholds:      Thresholds{QueriesPending: (*float64)(s.Thresholds.QueriesPending)},
		BusinessHours:   s.BusinessHours.inZone(s.Timezone.Location),
		TTL:             make(map[chattonic.Endpoint]time.Duration),
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

// parse is Parse, but its errors do not begin with the file and the line.
func parse(name string, data []byte) (*Config, error) {
	root, err := readDocument(data)
	if err != nil {
		return nil, err
	}
	if err := (form{}).check("", root, reflect.TypeFor[file]()); err != nil {
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
		return nil, at(root, "no teams: a file needs at least %s", leastFile)
	case isNull(teams), teams.Kind == yaml.SequenceNode && len(teams.Content) == 0:
		return nil, at(teams, "no teams: a file needs at least %s", leastFile)
	case teams.Kind != yaml.SequenceNode:
		return nil, inKey("teams", at(teams, "needs a list, not %s: a file needs at least %s", kindOf(teams), leastFile))
	}
	config, lines := &Config{}, map[string]int{}
	for i, node := range teams.Content {
		node = target(node)
		scope, codename := fmt.Sprintf("number %d", i+1), valueOf(node, "codename")
		if codename != nil && codename.Kind == yaml.ScalarNode && codename.Value != "" {
			scope = strconv.Quote(codename.Value)
			if line := lines[codename.Value]; line > 0 {
				return nil, fmt.Errorf("team %s: %w", scope, inKey("codename", at(codename, "the team on line %d has it already: give each team its own", line)))
			}
			lines[codename.Value] = codename.Line
		}
		team, err := readTeam(node, defaults, filepath.Dir(name))
		if err != nil {
			return nil, fmt.Errorf("team %s: %w", scope, err)
		}
		config.Teams = append(config.Teams, team)
	}
	return config, nil
}

// checkDefaults checks the defaults by themselves, also those that no team comes
// to use.
func checkDefaults(node *yaml.Node) error {
	if err := (form{}).check("", node, reflect.TypeFor[settings]()); err != nil {
		return err
	}
	if client := valueOf(node, "http_client"); client != nil {
		return inKey("http_client", checkHTTPClient(client, nil))
	}
	return nil
}

// readTeam reads the team at a node. Relative paths are relative to the directory.
func readTeam(node, defaults *yaml.Node, directory string) (team Team, err error) {
	merged := merge(node, defaults, 2)
	s := teamSettings{Settings: builtIn()}
	if err := (form{}).check("", merged, reflect.TypeOf(s)); err != nil {
		return team, err
	}
	if err := decode(merged, &s); err != nil {
		return team, err
	}
	switch {
	case s.Codename == "":
		return team, at(node, "codename is missing: use the one in the API's URLs")
	case s.Settings.BaseURL == "":
		return team, at(node, "base_url is missing and has no default: give the API's, such as https://chat-tonic.example, here or in defaults")
	}
	team = s.Settings.team(string(s.Codename))
	team.HTTPClient, err = readHTTPClient(valueOf(merged, "http_client"), node, directory)
	return team, inKey("http_client", err)
}
