package teams

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/collector"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/simulator"
)

// gate is a simulated API that remembers the Authorization headers that came.
type gate struct {
	mu   sync.Mutex
	seen []string
}

func (g *gate) take() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := g.seen
	g.seen = nil
	return seen
}

func startGate(t *testing.T, token string) (g *gate, url string) {
	t.Helper()
	api, err := simulator.New(simulator.Options{Teams: []simulator.Team{{Codename: "acme", Token: token, Documented: true}}})
	require.NoError(t, err)
	g = new(gate)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.seen = append(g.seen, r.Header.Values("Authorization")...)
		g.mu.Unlock()
		api.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return g, server.URL
}

// scrape asks the only endpoint of the team, and returns whether it is up and
// what was logged.
func scrape(t *testing.T, f *Set) (isUp bool, logs string) {
	t.Helper()
	teams, release := f.Teams()
	defer release()
	var b strings.Builder
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector.New(t.Context(), log.NewLogfmtLogger(log.NewSyncWriter(&b)), nil, teams...))
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == "chattonic_up" {
			isUp = family.GetMetric()[0].GetGauge().GetValue() == 1
		}
	}
	return isUp, b.String()
}

func TestTokenFileIsReadForEachCall(t *testing.T) {
	const current, former = "current-token", "former-token"
	for name, key := range map[string]string{"authorization": "authorization: {credentials_file: %s}", "bearer token": "bearer_token_file: %s"} {
		t.Run(name, func(t *testing.T) {
			seen, url := startGate(t, current)
			path := filepath.Join(t.TempDir(), "token")
			write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
			rename := func(text string) {
				require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
				require.NoError(t, os.Rename(path+".new", path))
			}
			write(former)
			f, _ := newSet(t)
			c, err := config.Parse("test", []byte("teams:\n  - {codename: acme, base_url: "+url+", collectors: [operators], http_client: {"+strings.ReplaceAll(key, "%s", path)+"}}\n"))
			require.NoError(t, err)
			require.NoError(t, f.Apply(c))

			const none = "requesting the operators endpoint: the request could not be sent: reading the access token from "
			for _, step := range []struct {
				name   string
				change func()
				up     bool
				sent   []string // what the API saw
				logged string
			}{
				{"a token that is not accepted", func() {}, false, []string{"Bearer " + former}, "HTTP 401"},
				{"replaced by rename", func() { rename(current + "\n") }, true, []string{"Bearer " + current}, ""},
				{"emptied in place", func() { write("") }, false, nil, none + path + ": the file is empty: write the value into it"},
				{"blank", func() { write(" \n\t\n") }, false, nil, ""}, // the same reason, which is logged
				{"back, in place", func() { write(current) }, true, []string{"Bearer " + current}, ""},
				{"removed", func() { require.NoError(t, os.Remove(path)) }, false, nil, none + path + ": the file cannot be read: no such file or directory: check that it exists and that this user may read it"},
				{"a directory in its place", func() { require.NoError(t, os.Mkdir(path, 0o700)) }, false, nil, none + path + ": not a regular file: use a regular file"},
				{"back, by rename", func() {
					require.NoError(t, os.Remove(path))
					rename(current)
				}, true, []string{"Bearer " + current}, ""},
				{"a FIFO in its place", func() {
					require.NoError(t, os.Remove(path))
					require.NoError(t, syscall.Mkfifo(path, 0o600))
				}, false, nil, none + path + ": not a regular file: use a regular file"},
				{"a regular file again", func() { rename(current) }, true, []string{"Bearer " + current}, ""},
				{"larger than a token", func() { write(strings.Repeat(current, 10_000)) }, false, nil, none + path + ": the file is larger than 64 KiB: write only the access token into it"},
				{"two lines", func() { write(current + "\n" + former) }, false, nil, none + path + ": the access token contains a line break or another control character: keep only the token, on one line"},
				{"back once more", func() { write("  " + current + "\r\n") }, true, []string{"Bearer " + current}, ""},
			} {
				step.change()
				isUp, logs := scrape(t, f)
				assert.Equal(t, step.up, isUp, step.name)
				assert.Equal(t, step.sent, seen.take(), step.name)
				if step.logged == "" {
					assert.NotContains(t, logs, "level=error", step.name)
				} else {
					assert.Contains(t, logs, step.logged, step.name)
				}
				assert.NotContains(t, logs, current, step.name)
				assert.NotContains(t, logs, former, step.name)
			}
		})
	}
}
