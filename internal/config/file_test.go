package config

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	notRegular = "not a regular file: use a regular file"
	hung       = "the file system does not answer: check the mount that holds the file"
)

func TestReadToken(t *testing.T) {
	inDirectory(t, map[string]string{
		"token":   " token\r\n",
		"longest": strings.Repeat("a", 64<<10),
		"longer":  strings.Repeat("a", 64<<10) + "\n",
		"empty":   "\n",
	})
	require.NoError(t, os.Symlink("token", "link"))
	require.NoError(t, os.Symlink("fifo", "link-to-fifo"))
	require.NoError(t, syscall.Mkfifo("fifo", 0o600))
	for path, want := range map[string]struct{ token, err string }{
		"token":        {token: "token"},
		"link":         {token: "token"},
		"longest":      {token: strings.Repeat("a", 64<<10)},
		"longer":       {err: "the file is larger than 64 KiB: write only the access token into it"},
		"/dev/zero":    {err: notRegular},
		"fifo":         {err: notRegular},
		"link-to-fifo": {err: notRegular},
		".":            {err: notRegular},
		"empty":        {err: "the file is empty: write the value into it"},
		"absent":       {err: "the file cannot be read: no such file or directory: check that it exists and that this user may read it"},
	} {
		token, err := ReadToken(t.Context(), path)
		assert.Equal(t, want.token, token, path)
		if want.err != "" {
			assert.EqualError(t, err, want.err, path)
		} else {
			assert.NoError(t, err, path)
		}
	}
}

// TestFIFOInsteadOfAFile holds that neither a start nor a reload waits for a writer.
func TestFIFOInsteadOfAFile(t *testing.T) {
	inDirectory(t, testFiles)
	require.NoError(t, syscall.Mkfifo("fifo", 0o600))
	start := time.Now()
	_, err := Single(Flags{URL: "https://chat-tonic.example", Codename: "acme", TokenFile: "fifo"})
	assert.EqualError(t, err, "--chattonic.token-file: "+notRegular)
	_, err = Parse("exporter.yml", []byte(client("authorization: {credentials_file: fifo}")))
	assert.EqualError(t, err, `exporter.yml:5: team "acme": http_client.authorization.credentials_file: `+notRegular)
	assert.Less(t, time.Since(start), fileTimeout)
}

// TestHungFile holds that a file that cannot be read costs its callers at most the
// timeout, and a single goroutine, and that it is read again once the file answers.
func TestHungFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads atomic.Int32
		mount := make(chan struct{})
		files := fileReader{read: func(path string) ([]byte, error) {
			if path == "healthy" {
				return []byte("token"), nil
			}
			reads.Add(1)
			<-mount
			return []byte("late"), nil
		}}
		start := time.Now()
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				_, err := files.get("hung", nil)
				assert.EqualError(t, err, hung)
				assert.Equal(t, fileTimeout, time.Since(start))
			})
		}
		callers.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := files.get("hung", ctx.Done())
			assert.EqualError(t, err, hung)
			assert.Equal(t, time.Second, time.Since(start), "the deadline of the call")
		})
		content, err := files.get("healthy", nil)
		require.NoError(t, err)
		assert.Equal(t, "token", string(content))
		assert.Zero(t, time.Since(start), "other files are not affected")
		callers.Wait()

		_, err = files.get("hung", nil)
		assert.EqualError(t, err, hung)
		assert.Equal(t, fileTimeout, time.Since(start), "a file that is known to hang costs no more time")
		assert.EqualValues(t, 1, reads.Load())

		close(mount)
		synctest.Wait()
		content, err = files.get("hung", nil)
		require.NoError(t, err)
		assert.Equal(t, "late", string(content))
		assert.EqualValues(t, 2, reads.Load(), "read anew")
	})
}

// TestHungTokenFileIsRefused holds that a start and a reload do not wait for a mount.
func TestHungTokenFileIsRefused(t *testing.T) {
	inDirectory(t, testFiles)
	former := files
	defer func() { files = former }()
	synctest.Test(t, func(t *testing.T) {
		mount := make(chan struct{})
		defer close(mount)
		files = &fileReader{read: func(string) ([]byte, error) {
			<-mount
			return nil, errors.New("too late")
		}}
		_, err := Parse("exporter.yml", []byte(client("authorization: {credentials_file: token}")))
		assert.EqualError(t, err, `exporter.yml:5: team "acme": http_client.authorization.credentials_file: `+hung)
		_, err = Single(Flags{URL: "https://chat-tonic.example", Codename: "acme", TokenFile: "token"})
		assert.EqualError(t, err, "--chattonic.token-file: "+hung)
	})
}
