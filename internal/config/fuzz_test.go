package config

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"chattonic_exporter/chattonic"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"",
		minimalFile,
		"defaults: {base_url: http://x, windows: [1h, today], timezone: UTC, ttl: {operators: 5m}}\n" +
			"teams:\n- codename: a\n  http_client: {authorization: {credentials: x}}\n  collectors: [dashboard]\n" +
			"- codename: b\n  http_client: {basic_auth: {username: me, password: x}, tls_config: {min_version: TLS12}}\n  thresholds: {queries_pending: 1.5}",
		"defaults: &d {base_url: http://x, http_client: {bearer_token: x}}\nteams: [codename: *d]",
		"teams:\n- codename: a\n  <<: {base_url: http://x}\n",
		"teams: &t [*t]",
		acme("business_hours: {timezone: Europe/Madrid, hours: [{days: [friday], from: \"22:00\", to: \"02:00\"}, {days: [sunday], from: 09:00, to: 24:00}]}"),
		acme("duration_unit: minutes\ndate_format_group: 0\ndelay: 1m"),
		client("oauth2: {client_id: a, token_url: http://x, claims: {b: [c, {d: 1}]}}\nhttp_headers: {E: {values: [f]}}"),
		"teams: []\n---\nteams: []",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		config, err := Parse("exporter.yml", []byte(text))
		if err != nil {
			assert.True(t, strings.HasPrefix(err.Error(), "exporter.yml:"), err.Error())
			assert.NotContains(t, err.Error(), "\n")
			return
		}
		assert.NotEmpty(t, config.Teams)
		decoder := yaml.NewDecoder(strings.NewReader(text))
		decoder.KnownFields(true)
		require.NoError(t, decoder.Decode(&struct {
			Defaults settings       `yaml:"defaults"`
			Teams    []teamSettings `yaml:"teams"`
		}{}), "as strict as the library")
		codenames := map[string]bool{}
		for _, team := range config.Teams {
			assert.False(t, codenames[team.Codename])
			codenames[team.Codename] = true
			checkTeam(t, team)
		}
	})
}

func checkTeam(t *testing.T, team Team) {
	t.Helper()
	require.NoError(t, chattonic.CheckCodename(team.Codename))
	_, err := chattonic.ParseBaseURL(team.BaseURL)
	require.NoError(t, err)
	assert.NotEmpty(t, team.Windows)
	for _, window := range team.Windows {
		assert.NotEmpty(t, window.Name())
	}
	assert.NotNil(t, team.Location)
	assert.Contains(t, []time.Duration{time.Millisecond, time.Second, time.Minute}, team.DurationUnit)
	assert.NotEmpty(t, team.DateFormatGroup)
	assert.GreaterOrEqual(t, team.Delay, time.Duration(0))
	for e, ttl := range team.TTL {
		assert.Contains(t, chattonic.ReadEndpoints(), e)
		assert.GreaterOrEqual(t, ttl, time.Duration(0))
	}
	assert.NotEmpty(t, team.Collectors)
	assert.Subset(t, chattonic.ReadEndpoints(), team.Collectors)
	if threshold := team.Thresholds.QueriesPending; threshold != nil {
		assert.GreaterOrEqual(t, *threshold, 0.0)
	}
	if b := team.BusinessHours; b != nil {
		assert.NotNil(t, b.Location)
		assert.NotEmpty(t, b.Intervals)
		for _, i := range b.Intervals {
			assert.True(t, i.From >= 0 && i.From < 24*60 && i.To >= 0 && i.To <= 24*60 && i.From != i.To, "%+v", i)
		}
	}
	assert.True(t, authenticates(team.HTTPClient))
	assert.NoError(t, team.HTTPClient.Validate())
}
