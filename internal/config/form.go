package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A form checks what a file holds against the Go type that it is decoded into.
// The YAML library finds unknown keys and wrong types, too, but names no keys
// above them, quotes values, and takes nulls and merge keys.
type form struct {
	// nullable says that any value may be null, and lists may be empty and hold
	// a value twice.
	nullable bool
	// text checks the text of the single value of a key where its type does not;
	// nil takes any.
	text func(key, text string, t reflect.Type) error
}

// A choice is a type of single values of which only some are known.
type choice interface {
	choices() []string
}

// A checker is a struct whose keys depend on each other.
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
	known, element := knownKeys(t)
	switch {
	case isNull(node):
		return nil
	case node.Kind != yaml.MappingNode:
		return at(node, "needs keys with values, not %s: use %s", kindOf(node), listOf(known))
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, name := target(node.Content[i]), target(node.Content[i]).Value
		index := slices.IndexFunc(known, func(k knownKey) bool { return k.name == name })
		switch {
		case key.Kind != yaml.ScalarNode:
			return at(node.Content[i], "a key is %s: use a word", kindOf(key))
		case key.ShortTag() == "!!merge":
			return at(key, `unknown key "<<": use defaults for what teams share`)
		case known != nil && index < 0:
			return at(key, "unknown key %s: use %s", quoteKey(name), listOf(known))
		case lines[name] > 0:
			return at(key, "the key %s is already on line %d: keep one of them", quoteKey(name), lines[name])
		}
		lines[name] = key.Line
		path, field, valueType := quoteKey(name), "", element
		if index >= 0 {
			path, field, valueType = name, name, known[index].t
		}
		if err := f.check(field, node.Content[i+1], valueType); err != nil {
			return inKey(path, err)
		}
	}
	if value, ok := reflect.New(t).Interface().(checker); ok {
		if err := decode(node, value); err != nil {
			return err
		}
		return value.check(node)
	}
	return nil
}

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
func (f form) single(key string, node *yaml.Node, t reflect.Type) (err error) {
	switch {
	case node.Kind != yaml.ScalarNode:
		return at(node, "needs a single value, not %s", kindOf(node))
	case node.ShortTag() == "!!binary":
		return at(node, "is !!binary: write it as text")
	}
	switch value := reflect.New(t).Interface().(type) {
	case encoding.TextUnmarshaler:
		err = value.UnmarshalText([]byte(node.Value))
	case choice:
		if known := value.choices(); !slices.Contains(known, node.Value) {
			err = fmt.Errorf("unknown value: use one of %s", strings.Join(known, ", "))
		}
	case *bool:
		if node.Decode(value) != nil {
			err = errors.New("needs true or false")
		}
	default:
		if f.text != nil {
			err = f.text(key, node.Value, t)
		}
	}
	if err != nil {
		return at(node, "%w", err)
	}
	return nil
}

// knownKey is a key of a mapping and the type of its value.
type knownKey struct {
	name string
	t    reflect.Type
}

// knownKeys returns the keys of a struct or map in order or, where any key may
// be used, nil and the type of their values. It leaves out keys for a secret
// manager, as the exporter has none.
func knownKeys(t reflect.Type) (known []knownKey, element reflect.Type) {
	if t.Kind() == reflect.Map {
		if names, ok := reflect.New(t.Key()).Interface().(choice); ok {
			for _, name := range names.choices() {
				known = append(known, knownKey{name, t.Elem()})
			}
		}
		return known, t.Elem()
	}
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		switch {
		case !field.IsExported() || strings.HasSuffix(name, "_ref"):
		case options != "inline":
			known = append(known, knownKey{name, field.Type})
		case field.Type.Kind() == reflect.Map:
			element = field.Type.Elem()
		default:
			inlined, _ := knownKeys(field.Type)
			known = append(known, inlined...)
		}
	}
	return known, element
}

func listOf(known []knownKey) string {
	if known == nil {
		return "keys of your choice"
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k.name
	}
	return "one of " + strings.Join(names, ", ")
}

// severalDigits is a text with more digits than any known key has.
var severalDigits = regexp.MustCompile(`(?s)\d.*\d`)

// quoteKey quotes a key, but gives only the size of one that is longer or has
// more digits than any known: where a colon is forgotten or misplaced it may be
// a secret.
func quoteKey(key string) string {
	if len(key) > 40 || severalDigits.MatchString(key) {
		return fmt.Sprintf("of %d bytes", len(key))
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
