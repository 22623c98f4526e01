package collector

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"chattonic_exporter/chattonic"
)

func TestOperatorNamesCanBeLeftOut(t *testing.T) {
	ana := chattonic.Operator{ID: "a1", DisplayName: "Ana", Profile: chattonic.NumberOf(500), OriginsName: "Boutique", Status: "online", NPS: chattonic.NumberOf(7)}
	named := newTeam(t, operators("24h", ana), only("operators"))
	hidden := newTeam(t, operators("24h", ana), func(s *Settings) { s.Codename, s.HideOperatorNames = "globex", true })
	samples, _ := scrape(t, named, hidden)
	assert.Equal(t, []string{
		`chattonic_operator_info{operator="",operator_id="a1",origins="",profile="500",team="globex"} 1`,
		`chattonic_operator_info{operator="Ana",operator_id="a1",origins="Boutique",profile="500",team="acme"} 1`,
	}, of(samples, "chattonic_operator_info"))
	ofBoth := func(prefix string) (acme, globex []string) {
		for _, sample := range of(samples, prefix) {
			if strings.Contains(sample, `team="globex"`) {
				globex = append(globex, strings.Replace(sample, "globex", "acme", 1))
				continue
			}
			acme = append(acme, sample)
		}
		return acme, globex
	}
	for _, prefix := range []string{"chattonic_operator_status", "chattonic_operator_nps"} {
		acme, globex := ofBoth(prefix)
		assert.NotEmpty(t, acme)
		assert.Equal(t, acme, globex, "all the rest is the same")
	}
}

// TestPersonalLabels holds which labels tell who somebody is, and that no other
// label of an operator comes from a text that does.
func TestPersonalLabels(t *testing.T) {
	var personal, others []string
	for _, r := range operatorTable.rows {
		for _, l := range append(operatorTable.itemLabels, r.labels...) {
			if l.personal {
				personal = append(personal, l.name)
			} else if !slices.Contains(others, l.name) {
				others = append(others, l.name)
			}
		}
	}
	assert.Equal(t, []string{"operator", "origins"}, personal)
	assert.Equal(t, []string{"operator_id", "profile"}, others)
}
