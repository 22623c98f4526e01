package checkalerts

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestMetricNames(t *testing.T) {
	for expr, want := range map[string][]string{
		`max by (job) (up{job=~".*chattonic.*"}) == 0 or absent(up{job="x"}) - 1`:                    {"up"},
		`label_replace(max by (team) (up == 0), "a", "$1", "b", "(.+)")`:                             {"up"},
		"a:b:c > 2 * d # comment x\nunless min_over_time(e[30m]) == 0":                               {"a:b:c", "d", "e"},
		`a offset 1w and ignoring (code) b{code="200"} offset 10m`:                                   {"a", "b"},
		`sum without (x) (rate(c_total[5m])) / on (team) group_right () (count by (y) (d > bool 1))`: {"c_total", "d"},
		`time() - max by (team, window) (chattonic_scrape_collector_last_success_timestamp_seconds)`: {"chattonic_scrape_collector_last_success_timestamp_seconds"},
		`1e3 + Inf`: nil,
	} {
		assert.Equal(t, want, metricNames(expr), expr)
	}
	rules, err := shippedRules()
	require.NoError(t, err)
	needs := make(map[string][]string)
	for _, r := range rules {
		if r.name() != "ChattonicWatchdog" && r.name() != "ChattonicTeamLabelHidden" { // one needs nothing, one looks at any series
			assert.NotEmpty(t, r.needs, r.name())
		}
		needs[r.name()] = r.needs
	}
	assert.Equal(t, []string{"team:chattonic_operators_at_work:count", "team:chattonic_queries_in_progress_not_offline:sum", "team:chattonic_queries_pending:max", "team:chattonic_within_business_hours:max"}, needs["ChattonicQueueUnattended"])
	assert.Equal(t, []string{"chattonic_exporter_api_requests_total"}, needs["ChattonicTokenRejected"])
	assert.Equal(t, []string{"chattonic_operator_at_work", "chattonic_queries_pending"}, needs["team:chattonic_operators_at_work:count"])
	assert.Len(t, queueAlerts(rules), 5)
}

func TestEssentialRules(t *testing.T) {
	rules, err := shippedRules()
	require.NoError(t, err)
	essential := make(map[string]bool)
	for _, r := range rules {
		essential[r.name()] = r.essential
	}
	for name, want := range map[string]bool{
		"ChattonicQueueUnattended": true, "ChattonicExporterDown": true, "ChattonicTeamAPIFailing": true, "ChattonicNPSLow": false,
		"team:chattonic_queries_pending:max": true, "team:chattonic_within_business_hours:max": true, "team:chattonic_load:ratio": false,
	} {
		assert.Equal(t, want, essential[name], name)
	}
}

func TestWithoutBlanks(t *testing.T) {
	assert.Equal(t, `a{b="c # d"}+e`, withoutBlanks("a{b=\"c # d\"} # comment\n  + e"))
	assert.NotEqual(t, withoutBlanks(`a{b="c d"}`), withoutBlanks(`a{b="cd"}`))
}

func TestParseMatchers(t *testing.T) {
	yes, no := new(true), new(false)
	for text, want := range map[string][]matcher{
		`area=queue`:                    {{Name: "area", Value: "queue", IsEqual: yes}},
		`area="queue"`:                  {{Name: "area", Value: "queue", IsEqual: yes}},
		` area =~ "a|b" `:               {{Name: "area", Value: "a|b", IsRegex: true, IsEqual: yes}},
		`"a b"!="c, \"d\""`:             {{Name: "a b", Value: `c, "d"`, IsEqual: no}},
		`{a!~"x", b="y",}`:              {{Name: "a", Value: "x", IsRegex: true, IsEqual: no}, {Name: "b", Value: "y", IsEqual: yes}},
		`a=`:                            {{Name: "a", IsEqual: yes}},
		`alertname=~"Chattonic(Que).*"`: {{Name: "alertname", Value: "Chattonic(Que).*", IsRegex: true, IsEqual: yes}},
	} {
		found, err := parseMatchers(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, found, text)
	}
	for _, text := range []string{"a", "=b", `a="b" c="d"`} {
		_, err := parseMatchers(text)
		require.Error(t, err, text)
	}
	_, err := matchersOf(nil, map[string]string{"a": "("}, nil)
	require.ErrorContains(t, err, "the matcher of the label a cannot be read")
}

func TestTimeIntervals(t *testing.T) {
	at := time.Date(2021, 11, 30, 2, 30, 0, 0, time.UTC) // a Tuesday; Monday evening in Buenos Aires
	for text, want := range map[string]bool{
		`{}`: true,
		`{times: [{start_time: "02:30", end_time: "02:31"}]}`:                      true,
		`{times: [{start_time: "02:00", end_time: "02:30"}]}`:                      false,
		`{weekdays: [tuesday]}`:                                                    true,
		`{weekdays: ["monday:wednesday"]}`:                                         true,
		`{weekdays: [monday]}`:                                                     false,
		`{weekdays: [monday], location: America/Argentina/Buenos_Aires}`:           true,
		`{times: [{start_time: "20:00", end_time: "24:00"}], location: Etc/GMT+3}`: true,
		`{days_of_month: ["-1"]}`:                                                  true,
		`{days_of_month: ["1:29"]}`:                                                false,
		`{months: ["11"], years: ["2020:2022"]}`:                                   true,
		`{months: ["november:december"]}`:                                          true,
		`{months: [january]}`:                                                      false,
		`{years: [2000]}`:                                                          false,
	} {
		var i timeInterval
		require.NoError(t, yaml.Unmarshal([]byte(text), &i), text)
		within, err := i.contains(at)
		require.NoError(t, err, text)
		assert.Equal(t, want, within, text)
	}
	for _, text := range []string{`{times: [{start_time: "00:00", end_time: "1:x"}]}`, `{times: [{start_time: "00", end_time: "1:00"}]}`} {
		var i timeInterval
		require.NoError(t, yaml.Unmarshal([]byte(text), &i))
		_, err := i.contains(at)
		require.Error(t, err, text)
	}
}

func TestRoutesAreFoundAsAlertmanagerDoes(t *testing.T) {
	c, err := parseConfig(`
route:
  receiver: first
  group_wait: 10s
  routes:
    - matchers: [a="1"]
      continue: true
    - match: {a: "1"}
      receiver: second
      group_wait: 20s
      routes:
        - match_re: {b: x|y}
          receiver: third
    - matchers: ['a=~"1|2"']
      receiver: fourth
receivers: [{name: first, webhook_configs: [{}]}, {name: second, email_configs: [{}, {}]}, {name: third, webhook_configs: [{}]}]
`)
	require.NoError(t, err)
	for name, want := range map[string]struct {
		labels map[string]string
		d      destination
	}{
		"none":  {nil, destination{receivers: []string{"first"}, groupWait: 10 * time.Second}},
		"both":  {map[string]string{"a": "1"}, destination{receivers: []string{"first", "second"}, groupWait: 20 * time.Second}},
		"child": {map[string]string{"a": "1", "b": "y"}, destination{receivers: []string{"first", "third"}, groupWait: 20 * time.Second}},
		"last":  {map[string]string{"a": "2"}, destination{empty: []string{"fourth"}, groupWait: 10 * time.Second}},
	} {
		d, err := c.destinationOf(want.labels, time.Time{})
		require.NoError(t, err)
		assert.ElementsMatch(t, want.d.receivers, d.receivers, name)
		assert.ElementsMatch(t, want.d.empty, d.empty, name)
		assert.Equal(t, want.d.groupWait, d.groupWait, name)
	}
	assert.Equal(t, map[string]int{"email": 2}, c.integrations("second"))
	c.Route.matchers = []matcher{{Name: "a", Value: "1"}}
	_, err = c.destinationOf(nil, time.Time{})
	require.Error(t, err)
}

func TestTexts(t *testing.T) {
	assert.Equal(t, []string{"a bc", "defg", "hij", "kl"}, wrap("a bc defghij kl", 4))
	assert.Equal(t, []string{""}, wrap("", 4))
	assert.Equal(t, "a b://***@host �", printable("a\nb://me:secret@host \x1b"))
	assert.Empty(t, list(nil))
	assert.Equal(t, "a", list([]string{"a"}))
	assert.Equal(t, "a, b and c", list([]string{"a", "b", "c"}))
	assert.Equal(t, "a, b, c, d, e and 2 more", list([]string{"a", "b", "c", "d", "e", "f", "g"}))
}
