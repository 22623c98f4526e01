package backfill

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// killedAfterRename leaves the files of a run that was killed after it had renamed
// its output, and returns the output.
func killedAfterRename(t *testing.T, s *simulated, o Options) string {
	t.Helper()
	want := uninterrupted(t, o)
	c, err := o.Load()
	require.NoError(t, err)
	p, err := o.plan(c)
	require.NoError(t, err)
	f, err := newFetcher(o, p)
	require.NoError(t, err)
	defer f.close()
	w, err := openWorkDir(o.Output, p.settings, false)
	require.NoError(t, err)
	defer w.close()
	require.NoError(t, o.fetchAll(t.Context(), p, f, w))
	require.NoError(t, w.assemble())
	require.NoError(t, w.rename())
	assert.Equal(t, want, read(t, o.Output))
	s.calls.Store(0)
	return want
}

func TestKilledAfterRename(t *testing.T) {
	s := simulate(t, nil)
	for name, test := range map[string]struct {
		then func(dir string) error
		want string
	}{
		"before clean-up": {func(string) error { return nil }, " is complete already, with "},
		"during clean-up": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "chattonic_operator_info.segment")), os.Remove(filepath.Join(dir, "chattonic_dashboard_rows.segment")))
		}, " is complete already, with "},
		"after the last file": {func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)) }, " is complete already. "},
	} {
		t.Run(name, func(t *testing.T) {
			o := s.options(t)
			want := killedAfterRename(t, s, o)
			require.NoError(t, test.then(o.Output+".partial"))
			require.EqualError(t, Run(t.Context(), o), "--output "+o.Output+" exists: name another file, or remove it")
			var out bytes.Buffer
			o.Resume, o.Out = true, &out
			require.NoError(t, Run(t.Context(), o))
			assert.Contains(t, out.String(), o.Output+test.want)
			assert.Zero(t, s.calls.Load())
			assert.Equal(t, want, read(t, o.Output))
			assert.Equal(t, []string{"past.om"}, names(t, filepath.Dir(o.Output)))
			require.EqualError(t, Run(t.Context(), o), "--output "+o.Output+" exists: name another file, or remove it", "there is nothing to resume")
		})
	}
}

func TestOtherOutputIsNotComplete(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	want := killedAfterRename(t, s, o)
	o.Resume = true
	const exists = " exists: name another file, or remove it"
	require.NoError(t, os.WriteFile(o.Output, []byte(want[1:]), 0o600))
	require.EqualError(t, Run(t.Context(), o), "--output "+o.Output+exists)
	other := o
	other.End = "2021-12-03"
	require.NoError(t, os.WriteFile(o.Output, []byte(want), 0o600))
	require.ErrorContains(t, Run(t.Context(), other), " was started with --end ")
	assert.Equal(t, want, read(t, o.Output))
	require.NoError(t, os.Remove(o.Output))
	require.NoError(t, Run(t.Context(), o))
	assert.Equal(t, want, read(t, o.Output))
	assert.Zero(t, s.calls.Load(), "without the output it is assembled again")
}

func TestOutputToStdout(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	t.Chdir(t.TempDir())
	o.Output = "-"
	require.EqualError(t, Run(t.Context(), o), "--output - is not supported: name a file, because promtool reads the samples from a file")
	assert.Zero(t, s.calls.Load())
}

// A failed write, sync or close leaves no file.
func TestWriteFileFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	failed := errors.New("no space left")
	for name, write := range map[string]func(*os.File) error{
		"write": func(f *os.File) error { _, err := f.WriteString("half"); return errors.Join(err, failed) },
		"sync":  func(f *os.File) error { _, err := f.WriteString("half"); return errors.Join(err, f.Close()) },
	} {
		require.Error(t, writeFile(path, 0o600, write), name)
		assert.NoFileExists(t, path, name)
	}
	require.NoError(t, writeFile(path, 0o600, func(f *os.File) error { _, err := f.WriteString("all"); return err }))
	assert.Equal(t, "all", read(t, path))
}

func TestOutputOfFailedRun(t *testing.T) {
	s := simulate(t, nil)
	o := s.options(t)
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(o.Output), "other"), nil, 0o600))
	s.intercept(func(call int, w http.ResponseWriter) bool {
		if call == 30 {
			w.WriteHeader(http.StatusForbidden)
		}
		return call == 30
	})
	require.Error(t, Run(t.Context(), o))
	// A file that an earlier attempt left does not set the mode of the output.
	require.NoError(t, os.WriteFile(filepath.Join(o.Output+".partial", assembledName), []byte("half"), 0o600))
	o.Resume = true
	require.NoError(t, Run(t.Context(), o))
	info, err := os.Stat(o.Output)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o644), info.Mode())
	assert.Equal(t, []string{"other", "past.om"}, names(t, filepath.Dir(o.Output)))
}
