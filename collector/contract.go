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
	implausible []chattonic.Implausible
}

// contractTable is the metrics of how the answers depart from the documentation.
var contractTable = newTable(
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

// contract returns what an answer for the team's first window has for the table, and
// warns of it where that is news.
func (c *Collector) contract(t *Team, s *scope, k contract) *part[contract] {
	if told := k.String(); t.isNews(k.endpoint.String(), told) {
		level.Warn(c.logger).Log("msg", `an answer is not as documented, so its metrics may be wrong; for details run "chattonic_exporter check"`,
			"team", t.Codename, "endpoint", k.endpoint, "fields", told)
	}
	return &part[contract]{table: contractTable, scope: s, items: []contract{k}}
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

// isNews says whether an endpoint has something wrong with it that is not what
// was told of it last. Where nothing is wrong in between, as in the night when
// there are no operators, the same is no news again.
func (t *Team) isNews(endpoint, wrong string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if wrong == "" || t.told[endpoint] == wrong {
		return false
	}
	t.told[endpoint] = wrong
	return true
}
