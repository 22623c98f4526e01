package backfill

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// limitFileSize makes writes beyond a file size fail, as on a full disk. It returns
// a function that removes the limit.
func limitFileSize(t *testing.T, bytes uint64) (remove func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ)
	var before syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: before.Max}))
	remove = func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before)) }
	t.Cleanup(remove)
	return remove
}

func TestFullDisk(t *testing.T) {
	// The limit would also hold for what go test writes, so a child process has it.
	const child = "TEST_FULL_DISK"
	if os.Getenv(child) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		output, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", output)
		require.Contains(t, string(output), "--- PASS: TestFullDisk/in_the_output")
		return
	}
	s := simulate(t, nil)
	o := s.options(t)
	want := uninterrupted(t, o)
	total, largest := uint64(len(want)), uint64(0)
	for _, f := range metricSizes(want) {
		largest = max(largest, f)
	}
	require.Less(t, largest+100, total-100)
	for name, test := range map[string]struct {
		limit uint64
		want  string
	}{
		"in a segment":  {largest / 2, "writing a segment: "},
		"in the output": {total - 100, "assembling the output: "},
	} {
		t.Run(name, func(t *testing.T) {
			o := s.options(t)
			remove := limitFileSize(t, test.limit)
			err := Run(t.Context(), o)
			remove()
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "file too large: free disk space in "+filepath.Dir(o.Output))
			require.ErrorContains(t, err, "run again with --resume")
			assert.NoFileExists(t, o.Output)
			assert.NoFileExists(t, filepath.Join(o.Output+".partial", assembledName))
			o.Resume = true
			require.NoError(t, Run(t.Context(), o))
			assert.Equal(t, want, read(t, o.Output))
		})
	}
}

func TestUmask(t *testing.T) {
	s := simulate(t, nil)
	for umask, want := range map[int]os.FileMode{0o022: 0o644, 0o077: 0o600, 0o002: 0o644} {
		o := s.options(t)
		before := syscall.Umask(umask)
		err := Run(t.Context(), o)
		syscall.Umask(before)
		require.NoError(t, err)
		info, err := os.Stat(o.Output)
		require.NoError(t, err)
		assert.Equal(t, want, info.Mode())
	}
}

// metricSizes returns the number of bytes of each metric in a file.
func metricSizes(file string) (sizes []uint64) {
	for i, block := range strings.Split(file, "# HELP ") {
		if i > 0 {
			sizes = append(sizes, uint64(len(block)))
		}
	}
	return sizes
}
