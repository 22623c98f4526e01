package collector

import (
	"fmt"
	"strings"

	"github.com/go-kit/log/level"

	"chattonic_exporter/chattonic"
)

// contract is how an endpoint's answer departs from the documented one, and what
// cannot be in it.
type contract struct {
	endpoint chattonic.Text
	chattonic.Contract
	implausible []Implausible
}

// contractTable is the metrics of how the answers depart from the documentation.
var contractTable = newTable("",
	[]label[contract]{
		{name: "endpoint", of: func(c *contract) fmt.Stringer { return c.endpoint }},
	},
	row[contract]{
		name: "chattonic_api_contract_violations", present: true, source: "Found in the API's answer",
		help: "Fields of the endpoint's last answer that are not as documented, by kind; each counts once, however many operators or rows show it, and unknown ones up to 20.",
		by:   "kind",
		values: []value[contract]{
			{func(c *contract) number { return count(len(c.Unknown)) }, "unknown_field"},
			{func(c *contract) number { return count(len(c.Missing)) }, "missing_field"},
			{func(c *contract) number { return count(len(c.implausibleFields())) }, "implausible_value"},
		},
	},
)

// implausibleFields returns each field once, and what is wrong with it.
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

// contract returns how an answer departs from the documented one, and warns of it
// where that has changed.
func (c *Collector) contract(t *Team, e chattonic.Endpoint, a chattonic.Answer) contract {
	k := contract{chattonic.Text(e), a.Meta().Contract, FindImplausible(e, a, t.DurationUnit)}
	if problems := k.String(); t.isNew(e, problems) {
		level.Warn(c.logger).Log("msg", `an answer is not as documented, so its metrics may be wrong; for details run "chattonic_exporter check teams"`,
			"team", t.Codename, "endpoint", e, "fields", problems)
	}
	return k
}

// String returns the names of all fields with what is wrong, or "" where nothing
// is.
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

// isNew says whether the problems of an endpoint's answer differ from those that
// were last warned of. Where there are none for a while, as in the night without
// operators, the same problems are not new again.
func (t *Team) isNew(e chattonic.Endpoint, problems string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if problems == "" || t.warned[e] == problems {
		return false
	}
	t.warned[e] = problems
	return true
}
