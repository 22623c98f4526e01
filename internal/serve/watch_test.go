package serve

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/config"
)

// watched runs reloadOnChange on a configuration file, in a bubble with fake time. write
// replaces the file as Kubernetes does.
func watched(t *testing.T, autoReload bool) (e *exporter, write func(text string)) {
	t.Helper()
	folder := t.TempDir()
	token := filepath.Join(folder, "token")
	require.NoError(t, os.WriteFile(token, []byte("token"), 0o600))
	path := filepath.Join(folder, "exporter.yml")
	write = func(text string) {
		next := filepath.Join(folder, "next")
		require.NoError(t, os.WriteFile(next, []byte("defaults: {base_url: 'http://127.0.0.1:1', http_client: {authorization: {credentials_file: token}}}\n"+text), 0o600))
		require.NoError(t, os.Chtimes(next, time.Time{}, time.Unix(1, 0)), "a link to an older file")
		require.NoError(t, os.Rename(next, path))
	}
	write("teams: [{codename: acme}]")
	source := config.Flags{File: path}
	e, err := start(Options{
		Client: cli.Client{Source: source, Load: source.Load, RequestTimeout: time.Second, MaxBody: 1 << 20, MaxCalls: 1},
		Logger: log.NewNopLogger(), AutoReload: autoReload,
	})
	require.NoError(t, err)
	t.Cleanup(e.teams.Close)
	done := e.reloadOnChange(t.Context(), nil)
	t.Cleanup(func() { <-done }) // the context has ended
	return e, write
}

func TestConfigurationFileIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, write := watched(t, true)
		write("teams: [{codename: globex}]")
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, []string{"globex"}, e.teams.Codenames())

		write("teams: [{codename: globex}, {codenam: acme}]")
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, []string{"globex"}, e.teams.Codenames(), "the last valid one stays")

		write("teams: [{codename: globex}, {codename: acme}]")
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, []string{"globex", "acme"}, e.teams.Codenames())
	})
}

// A file that an editor writes piece by piece is read when it no longer changes.
func TestConfigurationFileIsReadWhenItIsComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, write := watched(t, true)
		time.Sleep(watchInterval / 2)
		for _, codename := range []string{"a", "b", "c", "d"} {
			write("teams: [{codename: " + codename + "}]")
			time.Sleep(watchInterval)
			synctest.Wait()
			assert.Equal(t, []string{"acme"}, e.teams.Codenames())
		}
		time.Sleep(watchInterval)
		synctest.Wait()
		assert.Equal(t, []string{"d"}, e.teams.Codenames())
	})
}

func TestConfigurationFileIsNotReadAgainWithoutAutoReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, write := watched(t, false)
		write("teams: [{codename: globex}]")
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, []string{"acme"}, e.teams.Codenames())
	})
}

// A file that is gone is a change: the active configuration is no longer that of the file.
func TestConfigurationFileThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, write := watched(t, true)
		require.NoError(t, os.Remove(e.file.path))
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.False(t, e.reloadFailed().IsZero(), "it is said")
		assert.Equal(t, []string{"acme"}, e.teams.Codenames(), "the last valid one stays")

		write("teams: [{codename: acme}]")
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.True(t, e.reloadFailed().IsZero())
	})
}
