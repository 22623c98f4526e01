package web

import (
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
)

func stylesheet(t *testing.T, name string) string {
	t.Helper()
	text, err := fs.ReadFile(assets, name)
	require.NoError(t, err)
	return regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(string(text), "")
}

// contrast is the contrast of two colours by the Web Content Accessibility Guidelines.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	luminance := func(color string) float64 {
		if len(color) == 4 {
			color = "#" + strings.Repeat(color[1:2], 2) + strings.Repeat(color[2:3], 2) + strings.Repeat(color[3:4], 2)
		}
		var sum float64
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			v, err := strconv.ParseUint(color[1+2*i:3+2*i], 16, 8)
			require.NoError(t, err, color)
			c := float64(v) / 255
			if c <= 0.04045 {
				c /= 12.92
			} else {
				c = math.Pow((c+0.055)/1.055, 2.4)
			}
			sum += weight * c
		}
		return sum
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// variables returns the colours of the first rule of a stylesheet that defines them after
// the text.
func variables(t *testing.T, css, after string) map[string]string {
	t.Helper()
	_, rest, found := strings.Cut(css, after)
	require.True(t, found)
	rest, _, _ = strings.Cut(rest, "}")
	all := map[string]string{}
	for _, m := range regexp.MustCompile(`--(\w+): (#[0-9a-f]{3,6})\b`).FindAllStringSubmatch(rest, -1) {
		all[m[1]] = m[2]
	}
	require.NotEmpty(t, all)
	return all
}

func TestColours(t *testing.T) {
	status, wall := stylesheet(t, "status.css"), stylesheet(t, "wall.css")
	dark := variables(t, status, "prefers-color-scheme: dark")
	for name, theme := range map[string]map[string]string{"light": variables(t, status, ":root"), "dark": dark} {
		for _, text := range []string{"text", "quiet", "link", "bad", "good"} {
			for _, ground := range []string{"ground", "raised"} {
				assert.GreaterOrEqual(t, contrast(t, theme[text], theme[ground]), 4.5, "%s: %s on %s", name, text, ground)
			}
		}
		for _, state := range []string{"alarm", "warn", "unknown", "normal"} {
			assert.GreaterOrEqual(t, contrast(t, theme[state], theme["ground"]), 3.0, "%s: %s", name, state)
		}
	}
	theme := variables(t, wall, ":root")
	const tile = "#1b1f24"
	assert.Contains(t, wall, "background: "+tile)
	for _, ground := range []string{theme["ground"], tile} {
		assert.GreaterOrEqual(t, contrast(t, theme["text"], ground), 7.0, "figures")
		assert.GreaterOrEqual(t, contrast(t, theme["quiet"], ground), 7.0)
		for _, state := range []string{"alarm", "warn", "unknown", "normal"} {
			assert.GreaterOrEqual(t, contrast(t, theme[state], ground), 3.0, state)
		}
	}
}

// Texts on the wall can be read from five metres, and nothing moves.
func TestWallStyle(t *testing.T) {
	wall := stylesheet(t, "wall.css")
	sizes := regexp.MustCompile(`font(?:-size)?: ([^;}]*)`).FindAllStringSubmatch(wall, -1)
	require.Greater(t, len(sizes), 10)
	for _, size := range sizes {
		if strings.HasPrefix(size[1], "inherit") {
			continue
		}
		vmin := regexp.MustCompile(`^([\d.]+)vmin`).FindStringSubmatch(size[1])
		require.NotNil(t, vmin, size[0])
		n, err := strconv.ParseFloat(vmin[1], 64)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, n, 5.0, size[0])
	}
	for _, css := range []string{wall, stylesheet(t, "status.css")} {
		assert.NotRegexp(t, `animation|transition|blink|marquee|@keyframes`, css)
	}
}

func TestWall(t *testing.T) {
	var configured strings.Builder
	for i := range 13 {
		fmt.Fprintf(&configured, "  - {codename: team%02d, display_name: Team %[1]d, collectors: [operators]}\n", i)
	}
	f := startPages(t, "  - codename: acme\n", nil)
	assert.Contains(t, f.page(t, "/wall"), `data-tiles="1"`)
	f.apply(t, configured.String())
	page := f.page(t, "/wall")
	assert.Equal(t, 10, strings.Count(page, `<section class="tile"`))
	assert.Contains(t, page, "more teams: ? 3</span>")

	f.apply(t, "  - {codename: acme, collectors: [operators]}\n  - {codename: globex, collectors: [operators]}\n")
	require.NoError(t, f.api.SetFault("acme", chattonic.EndpointOperators, operatorsAnswer("1", `{"_id": "a", "displayName": "Ana", "status": "online"}`)))
	require.NoError(t, f.api.SetFault("globex", chattonic.EndpointOperators, operatorsAnswer("51", `{"_id": "a", "displayName": "Ana", "status": "away"}`)))
	f.scrape(t.Context())
	f.scrape(t.Context())
	f.clock.pass(10e9)
	f.scrape(t.Context())
	page = f.page(t, "/wall")
	assert.Less(t, strings.Index(page, `data-key="globex"`), strings.Index(page, `data-key="acme"`), "the worst first")
	for _, path := range []string{"/wall", "/wall/globex"} {
		page := f.page(t, path)
		assert.Contains(t, page, "nobody at work", path)
		assert.NotContains(t, page, "Ana", "no names")
		assert.NotRegexp(t, `<(a|button|input|select|summary)\b`, page, "no controls")
	}
	assert.Equal(t, http.StatusNotFound, f.ask(t, "/wall/nobody").Code)
	f.apply(t, "  - {codename: acme}\n")
	assert.Contains(t, f.page(t, "/wall?lang=es"), "todavía sin datos")
}
