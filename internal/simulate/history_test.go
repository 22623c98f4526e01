package simulate

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/collector"
	"chattonic_exporter/collector/exposition"
	"chattonic_exporter/internal/simulator"
	"chattonic_exporter/internal/teams"
)

var (
	historyOut  = flag.String("history.out", "", "file to which TestHistoryFile writes past samples of the demo")
	historyDays = flag.Float64("history.days", 0.05, "days that TestHistoryFile writes")
)

// historyStep is the time between two samples. It is shorter than the 5 minutes for which
// Prometheus looks back.
const historyStep = 4 * time.Minute

// TestHistoryFile writes the samples that scrapes of the demo would have had, from a simulator
// with a shifted clock: also those about the present, which the API has no past of. `make
// demo-history` gives the file to promtool. The labels are those that Prometheus adds.
func TestHistoryFile(t *testing.T) {
	end := time.Now().Truncate(historyStep)
	var now atomic.Int64
	clock := func() time.Time { return time.UnixMilli(now.Load()) }
	now.Store(end.UnixMilli())
	api, err := simulator.New(simulator.Options{Teams: demoTeams, Now: clock})
	require.NoError(t, err)
	t.Cleanup(api.Close)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	demo := &Demo{address: strings.TrimPrefix(server.URL, "http://")}
	config, err := demo.Load()
	require.NoError(t, err)
	set := teams.New(teams.Options{RequestTimeout: time.Minute, MaxBody: 64 << 20, MaxCalls: 100, Now: clock, Metrics: collector.NewExporterMetrics(prometheus.NewRegistry())})
	require.NoError(t, set.Apply(config))
	t.Cleanup(set.Close)

	path := *historyOut
	if path == "" {
		path = filepath.Join(t.TempDir(), "history.om")
	}
	file, err := os.Create(path)
	require.NoError(t, err)
	out, samples := bufio.NewWriter(file), 0
	for at := end.Add(-time.Duration(*historyDays * 24 * float64(time.Hour))); !at.After(end); at = at.Add(historyStep) {
		now.Store(at.UnixMilli())
		samples += writePast(t, out, set, clock)
	}
	_, err = out.WriteString("# EOF\n")
	require.NoError(t, err)
	require.NoError(t, out.Flush())
	require.NoError(t, file.Close())
	t.Logf("wrote %d samples", samples)
	assert.Greater(t, samples, 1000)
}

// writePast writes the samples of one scrape of all teams, and returns their number.
func writePast(t *testing.T, out *bufio.Writer, set *teams.Set, clock func() time.Time) (samples int) {
	t.Helper()
	active, release := set.Teams()
	defer release()
	var page bytes.Buffer
	w := exposition.NewWriter(&page, true)
	for _, family := range collector.New(t.Context(), log.NewNopLogger(), clock, active...).Fetch().Families() {
		family.Write(w)
	}
	require.NoError(t, w.Flush())
	w.Close()
	const labels = `job="chattonic",instance="localhost:10042"`
	fmt.Fprintf(out, "up{%s} 1 %d\n", labels, clock().Unix())
	for line := range strings.Lines(page.String()) {
		if !strings.HasPrefix(line, "#") {
			name, rest, _ := strings.Cut(strings.TrimSpace(line), "{")
			fmt.Fprintf(out, "%s{%s,%s %d\n", name, labels, rest, clock().Unix())
			samples++
		}
	}
	return samples
}
