package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseTime(t *testing.T) {
	for _, c := range []struct{ text, zone, want string }{
		{"2021-11-01", "UTC", "2021-11-01T00:00:00Z"},
		{"2021-11-01", "America/Argentina/Buenos_Aires", "2021-11-01T03:00:00Z"},
		{"2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00Z"}, // whose clocks skipped midnight
		{"2021-11-01T03:00:00Z", "America/Argentina/Buenos_Aires", "2021-11-01T03:00:00Z"},
		{"2021-11-01T03:00:00.5+02:00", "UTC", "2021-11-01T01:00:00.5Z"},
	} {
		zone, err := time.LoadLocation(c.zone)
		require.NoError(t, err)
		at, err := ParseTime(c.text, zone)
		require.NoError(t, err)
		assert.Equal(t, c.want, at.UTC().Format(time.RFC3339Nano), c.text)
	}
	for _, text := range []string{"", "yesterday", "2021-11", "2021-11-31", "2021-11-01 03:00", "1635735600"} {
		_, err := ParseTime(text, time.UTC)
		require.EqualError(t, err, `"`+text+`" is not a time: use one such as 2021-11-01 or 2021-11-01T03:00:00Z`)
	}
}
