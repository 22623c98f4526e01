package web

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var verbs = regexp.MustCompile(`%(\[\d+\])?[a-z]`)

// Every catalogue has the keys of the first, with the same verbs.
func TestCataloguesAreComplete(t *testing.T) {
	first := catalogues[0]
	require.Greater(t, len(first.texts), 100)
	for _, c := range catalogues[1:] {
		assert.Equal(t, slices.Sorted(maps.Keys(first.texts)), slices.Sorted(maps.Keys(c.texts)), c.tag)
		for key, text := range first.texts {
			assert.Equal(t, verbs.FindAllString(text, -1), verbs.FindAllString(c.texts[key], -1), "%s: %s", c.tag, key)
			assert.NotEmpty(t, strings.TrimSpace(c.texts[key]), "%s: %s", c.tag, key)
		}
	}
}

// Every key that the pages use is there, and every key that is there is used.
func TestTextsAreUsed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	used := map[string]bool{"language": true}
	for _, name := range append(files, "pages.html", "assets/status.js") {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`\.T\(?\s*"([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			used[m[1]] = true
		}
		for _, m := range regexp.MustCompile(`\.Count\("([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			used[m[1]+".one"], used[m[1]+".other"] = true, true
		}
		for _, m := range regexp.MustCompile(`\btexts\.([a-z]+)`).FindAllStringSubmatch(string(text), -1) {
			used["script."+m[1]] = true
		}
	}
	for _, c := range columns {
		used[c.Key] = true
	}
	for _, f := range dashboardTexts {
		used[f.text] = true
	}
	for day := range 7 {
		used["weekday."+string(rune('0'+day))] = true
	}
	for _, name := range []string{"today", "yesterday", "this_week", "this_month"} {
		used["window."+name] = true
	}
	delete(used, "weekday.%d")
	assert.Equal(t, slices.Sorted(maps.Keys(catalogues[0].texts)), slices.Sorted(maps.Keys(used)))
}

func TestLanguageOfARequest(t *testing.T) {
	for _, test := range []struct{ query, header, want string }{
		{"", "", "en"},
		{"", "es-AR,es;q=0.9,en;q=0.8", "es"},
		{"", "pt-BR", "pt"},
		{"", "fr,de;q=0.5", "en"},
		{"", "fr,pt;q=0.5", "pt"},
		{"", "en-GB,es;q=0.9", "en"},
		{"?lang=es", "pt", "es"},
		{"?lang=pt-BR", "", "pt"},
		{"?lang=fr", "es", "es"},
		{"?lang=%00;", "!!", "en"},
		{"?lang=" + strings.Repeat("x-", 2000), "", "en"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/"+test.query, http.NoBody)
		r.Header.Set("Accept-Language", test.header)
		assert.Equal(t, test.want, newTranslator(r).Tag(), "%.40v", test)
	}
}

func TestNumbersOfALanguage(t *testing.T) {
	for tag, want := range map[string][]string{"en": {"1,234.5", "1 response", "0 responses"}, "es": {"1.234,5", "1 respuesta", "0 respuestas"}, "pt": {"1.234,5", "1 resposta", "0 resposta"}} {
		tr := newTranslator(httptest.NewRequest(http.MethodGet, "/?lang="+tag, http.NoBody))
		assert.Equal(t, want, []string{tr.Number(1234.5), tr.Count("responses", 1), tr.Count("responses", 0)})
	}
	assert.Panics(t, func() { inEnglish().T("no such key") })
}
