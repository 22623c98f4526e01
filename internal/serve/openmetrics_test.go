package serve

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Strict parsers of OpenMetrics refuse a page on which a family comes twice, a counter has no
// suffix _total, or the end is missing.
func TestOpenMetricsIsStrict(t *testing.T) {
	f := newFixture(t)
	url, _ := f.run(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	page := string(body)
	assert.Contains(t, resp.Header.Get("Content-Type"), "application/openmetrics-text")
	types, family := map[string]string{}, ""
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		if rest, found := strings.CutPrefix(line, "# TYPE "); found {
			name, kind, _ := strings.Cut(rest, " ")
			assert.NotContains(t, types, name, "a family comes once")
			types[name], family = kind, name
			continue
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, _, _ := strings.Cut(strings.Split(line, " ")[0], "{")
		assert.True(t, strings.HasPrefix(name, family), "%s stands below %s", name, family)
		if types[family] == "counter" {
			assert.Regexp(t, "_(total|created)$", name)
		}
	}
	assert.Greater(t, len(types), 30)
	assert.Equal(t, "gauge", types["go_goroutines"])
	assert.Equal(t, "gauge", types["go_memory_classes_heap_objects_bytes"], "which a dashboard shows")
	assert.Equal(t, 1, strings.Count(page, "# EOF\n"))
	assert.True(t, strings.HasSuffix(page, "# EOF\n"))
}
