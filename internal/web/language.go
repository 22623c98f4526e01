package web

import (
	"embed"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

//go:embed languages/*.yml
var catalogueFiles embed.FS

// catalogue holds the texts of the pages in one language, by key. They are in
// languages/TAG.yml.
type catalogue struct {
	tag   language.Tag
	texts map[string]string
}

// catalogues holds the languages of the pages. The first is the default.
var catalogues = []*catalogue{readCatalogue(language.English), readCatalogue(language.Spanish), readCatalogue(language.Portuguese)}

var languageMatcher = func() language.Matcher {
	tags := make([]language.Tag, len(catalogues))
	for i, c := range catalogues {
		tags[i] = c.tag
	}
	return language.NewMatcher(tags)
}()

// readCatalogue reads an embedded catalogue.
func readCatalogue(tag language.Tag) *catalogue {
	c := &catalogue{tag: tag}
	data, err := catalogueFiles.ReadFile("languages/" + tag.String() + ".yml")
	if err == nil {
		err = yaml.Unmarshal(data, &c.texts)
	}
	if err != nil {
		panic(err) // impossible: the files are embedded and tested
	}
	return c
}

// translator writes texts and numbers in the language of one request.
type translator struct {
	*catalogue
	printer *message.Printer
}

// newTranslator returns a translator for the language of the parameter lang or, without one,
// of the header Accept-Language.
func newTranslator(r *http.Request) translator {
	_, i := language.MatchStrings(languageMatcher, r.URL.Query().Get("lang"), r.Header.Get("Accept-Language"))
	return translator{catalogues[i], message.NewPrinter(catalogues[i].tag)}
}

// Tag returns the tag of the language, such as "es".
func (t translator) Tag() string { return t.tag.String() }

// T returns the text with the key. The arguments replace the verbs in it.
func (t translator) T(key string, args ...any) string {
	text, found := t.texts[key]
	if !found {
		panic(fmt.Sprintf("the catalogue %s has no text %s", t.tag, key)) // a test looks for all keys
	}
	if len(args) == 0 {
		return text
	}
	return t.printer.Sprintf(text, args...)
}

// Count returns the text for a number of items: that with the suffix .one or .other, in which
// the number is the first argument.
func (t translator) Count(key string, n int, args ...any) string {
	form := ".other"
	if plural.Cardinal.MatchPlural(t.tag, n, 0, 0, 0, 0) == plural.One {
		form = ".one"
	}
	return t.T(key+form, append([]any{n}, args...)...)
}

// Number returns a number with at most two decimal places.
func (t translator) Number(v float64) string {
	return t.printer.Sprint(number.Decimal(v, number.MaxFractionDigits(2)))
}

// Texts returns the texts that the script of the pages needs, by the last part of their keys.
func (t translator) Texts() map[string]string {
	texts := make(map[string]string)
	for key, text := range t.texts {
		if name, found := strings.CutPrefix(key, "script."); found {
			texts[name] = text
		}
	}
	return texts
}

// Languages returns the tags of all languages with their own names.
func (translator) Languages() (all []struct{ Tag, Name string }) {
	for _, c := range catalogues {
		all = append(all, struct{ Tag, Name string }{c.tag.String(), c.texts["language"]})
	}
	return all
}

// Age returns a text such as "5 min".
func (t translator) Age(age time.Duration) string {
	switch seconds := max(0, int64(age/time.Second)); {
	case seconds < 60:
		return t.T("script.seconds", seconds)
	case seconds < 3600:
		return t.T("script.minutes", seconds/60)
	case seconds < 2*86400:
		return t.T("script.hours", seconds/3600, seconds/60%60)
	default:
		return t.T("script.days", seconds/86400)
	}
}

// WindowName returns the name of a window: calendar periods are translated.
func (t translator) WindowName(name string) string {
	if text, found := t.texts["window."+name]; found {
		return text
	}
	return name
}

// Clock returns the time of day of at, with the weekday unless it is the day of now.
func (t translator) Clock(at, now time.Time) string {
	at = at.In(now.Location())
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return at.Format("15:04")
	}
	if days := at.Sub(now).Abs(); days > 6*24*time.Hour {
		return at.Format("2006-01-02 15:04")
	}
	return t.T(fmt.Sprintf("weekday.%d", at.Weekday())) + at.Format(" 15:04")
}
