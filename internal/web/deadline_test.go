package web

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/internal/simulator"
)

// TestScrapeEndsWhenItShould scrapes an API that hangs. What Prometheus says
// cannot be trusted further than that.
func TestScrapeEndsWhenItShould(t *testing.T) {
	const (
		call   = 900 * time.Millisecond // a call may take so long
		offset = 300 * time.Millisecond
	)
	tests := map[string]struct {
		header []string
		offset time.Duration
		want   time.Duration
	}{
		"usual":                              {[]string{"1"}, offset, 700 * time.Millisecond},
		"with a fraction":                    {[]string{"0.8"}, offset, 500 * time.Millisecond},
		"no offset":                          {[]string{"0.5"}, 0, 500 * time.Millisecond},
		"an offset that leaves nothing":      {[]string{"0.3"}, offset, 300 * time.Millisecond},
		"an offset longer than all timeouts": {[]string{"0.4"}, time.Hour, 400 * time.Millisecond},
		"longer than a call":                 {[]string{"3600"}, offset, call},
		"the longest":                        {[]string{"2147483647"}, offset, call},
		"absurd":                             {[]string{"1e300"}, offset, call},
		"infinite":                           {[]string{"+Inf"}, offset, call},
		"not a number":                       {[]string{"NaN"}, offset, call},
		"negative":                           {[]string{"-5"}, offset, call},
		"zero":                               {[]string{"0"}, offset, call},
		"too small to count":                 {[]string{"1e-12"}, offset, 0},
		"with a unit":                        {[]string{"10s"}, offset, call},
		"text":                               {[]string{"soon"}, offset, call},
		"empty":                              {[]string{""}, offset, call},
		"absent":                             {nil, offset, call},
		"twice":                              {[]string{"0.8", "60"}, offset, 500 * time.Millisecond},
	}
	for name, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			m := startInMemory(t, "  - codename: acme\n  - codename: globex\n", func(_ *simulator.Team, o *Options) {
				o.ScrapeTimeout, o.TimeoutOffset = call, test.offset
			})
			hangs := "globex"
			if test.want == 0 {
				hangs = "" // all, as no team has the time to answer
			}
			require.NoError(t, m.api.SetFault(hangs, "", simulator.Fault{Delay: time.Hour}))
			var headers []string
			for _, value := range test.header {
				headers = append(headers, timeoutHeader, value)
			}
			begin := time.Now()
			w := m.ask(t.Context(), "/metrics", headers...)
			assert.Equal(t, test.want, time.Since(begin), name)
			assert.Equal(t, http.StatusOK, w.Code, name)
			assert.Equal(t, test.want > 0, up(w.Body.String(), "acme"), name)
			assert.False(t, up(w.Body.String(), "globex"), name)
		})
	}
}

// up says whether a team is up.
func up(body, team string) bool {
	return strings.Contains(body, `chattonic_up{team="`+team+`"} 1`)
}
