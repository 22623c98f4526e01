package main

import (
	"bytes"
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFilesAreMade holds that the JSON files are those that the code makes.
func TestFilesAreMade(t *testing.T) {
	for name, want := range files() {
		got, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(want, got), "%s differs from the code: run make dashboards", name)
	}
}

// TestFilesAreDashboards decodes the JSON files strictly, as what Grafana expects.
func TestFilesAreDashboards(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	for name := range files() {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		var d dashboard.Dashboard                           //nolint:staticcheck // Grafana 10 and 11 do not know its successor.
		if err := d.UnmarshalJSONStrict(text); err != nil { // of a type that can be empty
			assert.Empty(t, err.Error(), name)
		}
	}
}

var verb = regexp.MustCompile(`\$\w+`)

// TestCataloguesAreComplete holds that the languages have the same keys, and use the same
// variables in their texts.
func TestCataloguesAreComplete(t *testing.T) {
	all := languages()
	for _, l := range all[1:] {
		assert.Equal(t, slices.Sorted(maps.Keys(all[0].texts)), slices.Sorted(maps.Keys(l.texts)), l.suffix)
		for key, text := range all[0].texts {
			assert.ElementsMatch(t, verb.FindAllString(text, -1), verb.FindAllString(l.texts[key], -1), "%s%s", key, l.suffix)
			assert.NotEmpty(t, l.texts[key], "%s%s", key, l.suffix)
		}
	}
	assert.Panics(t, func() { all[0].T("no such key") })
}

// TestTextsAreUsed holds that no text is left over.
func TestTextsAreUsed(t *testing.T) {
	used := map[string]bool{}
	for _, name := range []string{"house.go", "wallboard.go", "team.go", "operators.go"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`\bT\("([^"]+)"\)`).FindAllStringSubmatch(string(text), -1) {
			used[m[1]] = true
		}
	}
	for _, name := range []string{"team", "window", "operator", "job"} {
		used["variable."+name], used["variable."+name+".d"] = true, true
	}
	assert.Equal(t, slices.Sorted(maps.Keys(languages()[0].texts)), slices.Sorted(maps.Keys(used)))
}
