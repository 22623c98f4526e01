package config

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// form checks what a file holds against the Go type that it is decoded into. The
// YAML library's KnownFields is not enough: it is lost when a node is decoded,
// its errors have no path of keys and quote values, and it accepts nulls and
// merge keys.
type form struct {
	// nullable says that any value may be null, and lists may be empty and hold
	// a value twice.
	nullable bool
	// text checks the text of the single value of a key where its type does not;
	// nil takes any.
	text func(key, text string, t reflect.Type) error
}

// choice is a type of single values of which only some are known.
type choice interface {
	choices() []string
}

// checker is a struct whose keys depend on each other.
type checker interface {
	// check returns what is wrong with the values, which come from the node.
	check(node *yaml.Node) error
}

var (
	nodeType = reflect.TypeFor[yaml.Node]()
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// check checks the value of a key. The key is empty where the file's author
// chose it.
func (f form) check(key string, node *yaml.Node, t reflect.Type) error {
	node = target(node)
	nullable := f.nullable || t.Kind() == reflect.Pointer
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	kind := t.Kind()
	if t == urlType || reflect.PointerTo(t).Implements(textType) {
		kind = reflect.String
	}
	switch {
	case t == nodeType, kind == reflect.Interface, isNull(node) && nullable:
		return nil
	case kind == reflect.Struct, kind == reflect.Map:
		return f.mapping(node, t)
	case isNull(node):
		return at(node, "has no value: give it one, or leave the key out")
	case kind == reflect.Slice:
		return f.list(key, node, t.Elem(), nullable)
	default:
		return f.single(key, node, t)
	}
}

// mapping checks a mapping, of which null is one without keys.
func (f form) mapping(node *yaml.Node, t reflect.Type) error {
	known, types := keysOf(t)
	advice := "use keys of your choice"
	if known != nil {
		advice = "use one of " + strings.Join(known, ", ")
	}
	if node.Kind != yaml.MappingNode && !isNull(node) {
		return at(node, "needs keys with values, not %s: %s", kindOf(node), advice)
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := target(node.Content[i])
		name := key.Value
		switch {
		case key.Kind != yaml.ScalarNode:
			return at(node.Content[i], "a key is %s: use a word", kindOf(key))
		case key.ShortTag() == "!!merge":
			return at(key, `unknown key "<<": use defaults for what teams share`)
		case known != nil && !slices.Contains(known, name):
			return at(key, "unknown key %s: %s", quoteKey(name), advice)
		case lines[name] > 0:
			return at(key, "the key %s is already on line %d: keep one of them", quoteKey(name), lines[name])
		}
		lines[name] = key.Line
		path := name
		if known == nil {
			path, name = quoteKey(name), ""
		}
		if err := f.check(name, node.Content[i+1], types[name]); err != nil {
			return inKey(path, err)
		}
	}
	value, ok := reflect.New(t).Interface().(checker)
	if !ok {
		return nil
	}
	if err := decode(node, value); err != nil {
		return err
	}
	return value.check(node)
}

// list checks a list and its entries. The key is that of the list.
func (f form) list(key string, node *yaml.Node, element reflect.Type, nullable bool) error {
	switch {
	case node.Kind != yaml.SequenceNode:
		return at(node, "needs a list such as [a, b], not %s", kindOf(node))
	case f.nullable || len(node.Content) > 0:
	case nullable:
		return at(node, "the list is empty: add an entry, or write null for none")
	default:
		return at(node, "the list is empty: add an entry")
	}
	lines := map[string]int{}
	for _, entry := range node.Content {
		if err := f.check(key, entry, element); err != nil {
			return err
		}
		if entry = target(entry); !f.nullable && entry.Kind == yaml.ScalarNode {
			if line := lines[entry.Value]; line > 0 {
				return at(entry, "the same entry is already on line %d: keep one of them", line)
			}
			lines[entry.Value] = entry.Line
		}
	}
	return nil
}

// single checks a single value. Errors do not quote it, as it may be a secret
// in the wrong place.
func (f form) single(key string, node *yaml.Node, t reflect.Type) error {
	if node.Kind != yaml.ScalarNode {
		return at(node, "needs a single value, not %s", kindOf(node))
	}
	var text string // of !!binary, what it encodes
	err := decode(node, &text)
	if err != nil {
		return err
	}
	switch value := reflect.New(t).Interface().(type) {
	case encoding.TextUnmarshaler:
		err = value.UnmarshalText([]byte(text))
	case choice:
		if known := value.choices(); !slices.Contains(known, text) {
			err = fmt.Errorf("unknown value: use one of %s", strings.Join(known, ", "))
		}
	case *bool:
		if node.Decode(value) != nil {
			err = errors.New("needs true or false")
		}
	default:
		if f.text != nil {
			err = f.text(key, text, t)
		}
	}
	if err != nil {
		return at(node, "%w", err)
	}
	return nil
}

// keysOf returns the keys of a struct or map in order, and the types of their
// values. Where the file's author chooses the keys, it returns none, and the type
// of the values under the key "". It leaves out the keys for a secret manager, as
// the exporter has none.
func keysOf(t reflect.Type) (keys []string, types map[string]reflect.Type) {
	types = map[string]reflect.Type{}
	if t.Kind() == reflect.Map {
		if names, ok := reflect.New(t.Key()).Interface().(choice); ok {
			keys = names.choices()
		}
		for _, key := range keys {
			types[key] = t.Elem()
		}
		types[""] = t.Elem()
		return keys, types
	}
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		switch {
		case !field.IsExported() || strings.HasSuffix(name, "_ref"):
		case options == "inline":
			inlined, of := keysOf(field.Type)
			keys = append(keys, inlined...)
			maps.Copy(types, of)
		default:
			keys = append(keys, name)
			types[name] = field.Type
		}
	}
	return keys, types
}

// severalDigits is a text with more digits than any known key has.
var severalDigits = regexp.MustCompile(`(?s)\d.*\d`)

// quoteKey quotes a key, but gives only the size of one that is longer or has
// more digits than any known: where a colon is forgotten or misplaced it may be
// a secret.
func quoteKey(key string) string {
	if len(key) > 40 || severalDigits.MatchString(key) {
		return fmt.Sprintf("<%d bytes>", len(key))
	}
	return strconv.Quote(key)
}

func kindOf(node *yaml.Node) string {
	switch {
	case isNull(node):
		return "nothing"
	case node.Kind == yaml.MappingNode:
		return "keys with values"
	case node.Kind == yaml.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}
