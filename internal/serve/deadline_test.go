package serve

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/internal/simulator"
)

// TestTimeoutsReachTheScrape scrapes an API that hangs. It would hang, too, if
// the options did not end the scrape. Tests of the package web check the exact
// times.
func TestTimeoutsReachTheScrape(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		call, offset time.Duration
		header       string
	}{
		"of a call":  {300 * time.Millisecond, 0, ""},
		"the offset": {time.Hour, time.Hour - 300*time.Millisecond, "3600"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.RequestTimeout, f.TimeoutOffset = test.call, test.offset
			require.NoError(t, f.api.SetFault("", "", simulator.Fault{Delay: time.Hour}))
			url, _ := f.run(t)
			ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
			defer cancel()
			req := request(t, http.MethodGet, url+"/metrics").WithContext(ctx)
			req.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", test.header)
			r := ask(http.DefaultClient, req)
			require.NoError(t, r.err)
			assert.Equal(t, http.StatusOK, r.status)
			assert.False(t, up(r.body, "acme"))
			assert.GreaterOrEqual(t, r.took, 300*time.Millisecond)
		})
	}
}

// up reports whether a team is up.
func up(body, team string) bool {
	return strings.Contains(body, `chattonic_up{team="`+team+`"} 1`)
}

func TestNegativeOffsetIsRefused(t *testing.T) {
	f := newFixture(t)
	f.TimeoutOffset = -time.Nanosecond
	const want = "--scrape.timeout-offset must be 0s or more"
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it would return at once
	require.EqualError(t, Run(ctx, f.Options), want)
}
