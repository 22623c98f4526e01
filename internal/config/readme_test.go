package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExampleOfTheREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(readme), "```yaml\n")
	require.True(t, found)
	example, _, found := strings.Cut(rest, "```\n")
	require.True(t, found)
	dir := t.TempDir()
	for _, name := range []string{"acme.token", "globex.token"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("secret"), 0o600))
	}
	c, err := Parse(filepath.Join(dir, "exporter.yml"), []byte(example))
	require.NoError(t, err)
	require.Len(t, c.Teams, 2)
	assert.Equal(t, "acme", c.Teams[0].Codename)
	assert.Equal(t, "1h", c.Teams[1].Windows[0].Name())
}
