package simulator

import (
	"fmt"
	"strings"
)

// Scenario is what goes on in a simulated team.
type Scenario string

// The scenarios.
const (
	// ScenarioNormal is the ordinary day of a contact centre.
	ScenarioNormal Scenario = "normal"
	// ScenarioBacklog has everybody offline. Queries keep arriving, and one more
	// every three seconds, at any hour; none is assigned. Back to normal, all
	// return within a minute and the queue drains over some minutes.
	ScenarioBacklog Scenario = "backlog"
	// ScenarioQuiet has the bot serve all users: no query arrives, and those that
	// wait are given up at once. Operators work as ever.
	ScenarioQuiet Scenario = "quiet"
)

// scenarios is the table of them, with what they are, in a few words.
var scenarios = []struct {
	Name Scenario
	Help string
}{
	{ScenarioNormal, "an ordinary day"},
	{ScenarioBacklog, "nobody works, and queries pile up"},
	{ScenarioQuiet, "the bot serves everybody, and no query waits"},
}

// Scenarios returns the names of all scenarios.
func Scenarios() (names []Scenario) {
	for _, s := range scenarios {
		names = append(names, s.Name)
	}
	return names
}

// checkScenario refuses an unknown name with the list of the known ones.
func checkScenario(name Scenario) error {
	var names []string
	for _, s := range scenarios {
		if s.Name == name {
			return nil
		}
		names = append(names, string(s.Name))
	}
	return fmt.Errorf("unknown scenario %q: use one of %s", name, strings.Join(names, ", "))
}
