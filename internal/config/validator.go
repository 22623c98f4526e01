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

// validator validates a YAML node against the Go type that it is decoded into. The YAML
// library's KnownFields is not sufficient: it has no effect when a node is decoded, its
// errors have no key path and quote values, and it accepts nulls and merge keys.
type validator struct {
	// nullable means that any value may be null, and that lists may be empty and
	// contain duplicates.
	nullable bool
	// checkText validates the text of a scalar if its type does not do that. It may be
	// nil.
	checkText func(key, text string, t reflect.Type) error
}

// enum is a scalar type with a fixed set of values.
type enum interface {
	choices() []string
}

// checker is a struct with rules that involve several keys.
type checker interface {
	// check returns an error if the values, decoded from the node, are invalid.
	check(node *yaml.Node) error
}

var (
	nodeType = reflect.TypeFor[yaml.Node]()
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// check validates the value of a key. The key is empty if it is not fixed by the Go type.
func (v validator) check(key string, node *yaml.Node, t reflect.Type) error {
	node = resolveAlias(node)
	nullable := v.nullable || t.Kind() == reflect.Pointer
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
		return v.mapping(node, t)
	case isNull(node):
		return errorAt(node, "has no value: give it one, or leave the key out")
	case kind == reflect.Slice:
		return v.list(key, node, t.Elem(), nullable)
	default:
		return v.scalar(key, node, t)
	}
}

// mapping validates a mapping. null is a mapping without keys.
func (v validator) mapping(node *yaml.Node, t reflect.Type) error {
	known, types := keysOf(t)
	advice := "use keys of your choice"
	if known != nil {
		advice = "use one of " + strings.Join(known, ", ")
	}
	if node.Kind != yaml.MappingNode && !isNull(node) {
		return errorAt(node, "needs keys with values, not %s: %s", kindOf(node), advice)
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := resolveAlias(node.Content[i])
		name := key.Value
		switch {
		case key.Kind != yaml.ScalarNode:
			return errorAt(node.Content[i], "a key is %s: use a string", kindOf(key))
		case key.ShortTag() == "!!merge":
			return errorAt(key, `unknown key "<<": use defaults for settings that teams share`)
		case known != nil && !slices.Contains(known, name):
			return errorAt(key, "unknown key %s: %s", quoteKey(name), advice)
		case lines[name] > 0:
			return errorAt(key, "the key %s is already on line %d: keep one of them", quoteKey(name), lines[name])
		}
		lines[name] = key.Line
		path := name
		if known == nil {
			path, name = quoteKey(name), ""
		}
		if err := v.check(name, node.Content[i+1], types[name]); err != nil {
			return prefixKey(path, err)
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

// list validates a list and its entries. key is the key of the list.
func (v validator) list(key string, node *yaml.Node, element reflect.Type, nullable bool) error {
	switch {
	case node.Kind != yaml.SequenceNode:
		return errorAt(node, "needs a list such as [a, b], not %s", kindOf(node))
	case v.nullable || len(node.Content) > 0:
	case nullable:
		return errorAt(node, "the list is empty: add an entry, or write null for none")
	default:
		return errorAt(node, "the list is empty: add an entry")
	}
	lines := map[string]int{}
	for _, entry := range node.Content {
		if err := v.check(key, entry, element); err != nil {
			return err
		}
		if entry = resolveAlias(entry); !v.nullable && entry.Kind == yaml.ScalarNode {
			if line := lines[entry.Value]; line > 0 {
				return errorAt(entry, "the same entry is already on line %d: keep one of them", line)
			}
			lines[entry.Value] = entry.Line
		}
	}
	return nil
}

// scalar validates a scalar. Errors do not quote it because it may be a misplaced secret.
func (v validator) scalar(key string, node *yaml.Node, t reflect.Type) error {
	if node.Kind != yaml.ScalarNode {
		return errorAt(node, "needs a single value, not %s", kindOf(node))
	}
	var text string // decoded if the tag is !!binary
	err := decode(node, &text)
	if err != nil {
		return err
	}
	switch value := reflect.New(t).Interface().(type) {
	case encoding.TextUnmarshaler:
		err = value.UnmarshalText([]byte(text))
	case enum:
		if known := value.choices(); !slices.Contains(known, text) {
			err = fmt.Errorf("unknown value: use one of %s", strings.Join(known, ", "))
		}
	case *bool:
		if node.Decode(value) != nil {
			err = errors.New("needs true or false")
		}
	default:
		if v.checkText != nil {
			err = v.checkText(key, text, t)
		}
	}
	if err != nil {
		return errorAt(node, "%w", err)
	}
	return nil
}

// keysOf returns the known keys of a struct or map in order, and the types of their values.
// For a map with arbitrary keys it returns no keys, and the type of the values under the
// key "". It omits the keys for a secret manager, which the exporter does not support.
func keysOf(t reflect.Type) (keys []string, types map[string]reflect.Type) {
	types = map[string]reflect.Type{}
	if t.Kind() == reflect.Map {
		if names, ok := reflect.New(t.Key()).Interface().(enum); ok {
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
			inlined, inlinedTypes := keysOf(field.Type)
			keys = append(keys, inlined...)
			maps.Copy(types, inlinedTypes)
		default:
			keys = append(keys, name)
			types[name] = field.Type
		}
	}
	return keys, types
}

// severalDigits matches a text with more digits than any known key.
var severalDigits = regexp.MustCompile(`(?s)\d.*\d`)

// quoteKey quotes a key for an error. It returns only the size of a key that is longer or
// has more digits than any known key, because that may be a secret: a missing or misplaced
// colon makes it a key.
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
