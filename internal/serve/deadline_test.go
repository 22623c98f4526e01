package serve

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
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
		// slack is for the answer's way here on a busy machine.
		slack = time.Second
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
	begin := make(chan struct{})
	results := make(map[string]*result)
	var scrapes sync.WaitGroup
	for name, test := range tests {
		f := newFixture(t)
		f.RequestTimeout, f.TimeoutOffset = call, test.offset
		require.NoError(t, f.api.SetFault("globex", "", simulator.Fault{Delay: time.Hour}))
		url, _ := f.run(t)
		req := request(t, http.MethodGet, url+"/metrics")
		req.Header["X-Prometheus-Scrape-Timeout-Seconds"] = test.header
		r := new(result)
		results[name] = r
		scrapes.Go(func() { // all at the same time, each of its own exporter
			<-begin
			*r = ask(http.DefaultClient, req)
		})
	}
	close(begin)
	scrapes.Wait()
	for name, test := range tests {
		r := results[name]
		require.NoError(t, r.err, name)
		assert.Equal(t, http.StatusOK, r.status, name)
		assert.Equal(t, test.want > 0, up(r.body, "acme"), name)
		assert.False(t, up(r.body, "globex"), name)
		assert.GreaterOrEqual(t, r.took, test.want, name)
		assert.Less(t, r.took, test.want+slack, name)
	}
}

// up says whether a team is up.
func up(body, team string) bool {
	return strings.Contains(body, `chattonic_up{team="`+team+`"} 1`)
}

func TestNegativeOffsetIsRefused(t *testing.T) {
	f := newFixture(t)
	f.TimeoutOffset = -time.Nanosecond
	const want = "--scrape.timeout-offset is less than 0, so that scrapes would be answered after Prometheus has gone: use 0s or more"
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.EqualError(t, Run(ctx, f.Options), want)
}
