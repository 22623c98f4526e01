package collector

import (
	"fmt"
	"strings"

	"github.com/go-kit/log/level"

	"chattonic_exporter/chattonic"
)

// contract holds the differences between an endpoint's answer and the documented one,
// and the implausible values in it.
type contract struct {
	endpoint chattonic.Text
	chattonic.Contract
	implausible []Implausible
}

// contractTable defines the metrics about contract violations.
var contractTable = newTable("",
	[]label[contract]{
		{name: "endpoint", get: func(c *contract) fmt.Stringer { return c.endpoint }},
	},
	row[contract]{
		name: "chattonic_api_contract_violations", current: true, source: fromAnswer,
		help:    "Number of fields of the endpoint's last answer that differ from the documentation, by kind. A field counts once, however many operators or rows are affected. At most 20 unknown fields are counted.",
		byLabel: "kind",
		values: []value[contract]{
			{func(c *contract) number { return integer(len(c.Unknown)) }, "unknown_field"},
			{func(c *contract) number { return integer(len(c.Missing)) }, "missing_field"},
			{func(c *contract) number { return integer(len(c.implausibleFields())) }, "implausible_value"},
		},
	},
)

// implausibleFields returns each implausible field once, with its problems.
func (c *contract) implausibleFields() (fields []string) {
	last := ""
	for _, i := range c.implausible {
		if i.Field == last {
			fields[len(fields)-1] += " and " + string(i.Problem)
			continue
		}
		fields = append(fields, i.Field+" "+string(i.Problem))
		last = i.Field
	}
	return fields
}

// contract returns the contract violations of an answer. It logs a warning if they differ
// from the last ones.
func (c *Collector) contract(t *Team, e chattonic.Endpoint, a chattonic.Answer) contract {
	k := contract{chattonic.Text(e), a.Meta().Contract, FindImplausible(e, a, t.DurationUnit)}
	if problems := k.String(); t.warningChanged(e, problems) {
		level.Warn(c.logger).Log("msg", "API answer differs from the documentation, so its metrics may be wrong",
			"team", t.Codename, "endpoint", e, "fields", problems, "advice", "run chattonic_exporter check teams for details")
	}
	return k
}

// String returns a list of all affected fields with their problems, or "" if there are
// none.
func (c *contract) String() string {
	var all []string
	for _, field := range c.Unknown {
		all = append(all, field+" is unknown")
	}
	for _, field := range c.Missing {
		all = append(all, field+" is missing")
	}
	return strings.Join(append(all, c.implausibleFields()...), ", ")
}

// warningChanged reports whether the problems of an endpoint's answer differ from those of
// the last warning. An answer without problems does not reset that, so a problem that
// disappears overnight, when there are no operators, is not logged again each morning.
func (t *Team) warningChanged(e chattonic.Endpoint, problems string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if problems == "" || t.lastWarning[e] == problems {
		return false
	}
	t.lastWarning[e] = problems
	return true
}
