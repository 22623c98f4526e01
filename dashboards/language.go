package main

import (
	"embed"
	"fmt"

	"go.yaml.in/yaml/v3"
)

//go:embed languages/*.yml
var catalogueFiles embed.FS

// language is a language of the dashboards with its texts by key, from languages/TAG.yml.
type language struct {
	suffix string // of uids and files
	texts  map[string]string
}

// languages returns all languages. The first has no suffix.
func languages() (all []language) {
	for _, name := range []string{"en", "es", "pt"} {
		l := language{suffix: "-" + name}
		if name == "en" {
			l.suffix = ""
		}
		data, err := catalogueFiles.ReadFile("languages/" + name + ".yml")
		if err == nil {
			err = yaml.Unmarshal(data, &l.texts)
		}
		if err != nil {
			panic(err) // impossible: the files are embedded and tested
		}
		all = append(all, l)
	}
	return all
}

// T returns the text with the key.
func (l language) T(key string) string {
	text, found := l.texts[key]
	if !found {
		panic(fmt.Sprintf("languages/*%s.yml has no text %s", l.suffix, key)) // a test builds all
	}
	return text
}

// tag returns the tag of the dashboards of the language.
func (l language) tag() string { return "chattonic" + l.suffix }
