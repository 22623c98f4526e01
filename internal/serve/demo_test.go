package serve

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
)

// A demo has data without Prometheus, below the prefix, and its scrapes end with it.
func TestDemoScrapesItself(t *testing.T) {
	f := newFixture(t)
	f.Simulated, f.StatusPage, f.ExternalURL = true, true, "https://example.org/chat/"
	f.Simulator = http.RedirectHandler("elsewhere", http.StatusFound)
	url, end := f.run(t)
	require.Eventually(t, func() bool { return f.api.Calls("globex", chattonic.EndpointDashboard) == 1 }, waitTimeout, time.Millisecond)
	assert.Contains(t, get(t, url+"/chat/"), "All data is simulated.")
	require.NoError(t, end())
}

func TestInvalidPrefix(t *testing.T) {
	f := newFixture(t)
	f.ExternalURL = "example.org"
	require.ErrorContains(t, Run(t.Context(), f.Options), "--web.external-url needs http:// or https://")
}
