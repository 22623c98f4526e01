package collector

import (
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBusinessHoursAreOfTheScrape(t *testing.T) {
	for want, within := range map[string]bool{"1": true, "0": false} {
		var moment time.Time
		team := newTeam(t, &fakeAPI{err: errDown}, func(s *Settings) {
			s.Delay = time.Hour
			s.WithinBusinessHours = func(at time.Time) bool {
				moment = at
				return within
			}
		})
		registry := prometheus.NewPedanticRegistry()
		require.NoError(t, registry.Register(New(t.Context(), log.NewNopLogger(), func() time.Time { return noon }, team)))
		assert.Equal(t, []string{`chattonic_within_business_hours{team="acme"} ` + want}, of(gathered(t, registry), "chattonic_within_business_hours"))
		assert.Equal(t, noon, moment, "not the end of the windows")
	}
}

func TestNothingIsSaidWithoutBusinessHours(t *testing.T) {
	samples, _ := scrape(t, newTeam(t, &fakeAPI{err: errDown}, nil))
	assert.Empty(t, of(samples, "chattonic_within"))
	assert.NotEmpty(t, samples)
}
