package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// locatedError is an error at a position in the file.
type locatedError struct {
	line int    // 0 if unknown
	path string // keys joined by dots; may be empty
	err  error
}

func (p *locatedError) Error() string {
	if p.path == "" {
		return p.err.Error()
	}
	return p.path + ": " + p.err.Error()
}

func (p *locatedError) Unwrap() error { return p.err }

// errorAt returns an error at the line of a node.
func errorAt(node *yaml.Node, format string, args ...any) error {
	return &locatedError{line: node.Line, err: fmt.Errorf(format, args...)}
}

// prefixKey prepends a key to the path of an error.
func prefixKey(key string, err error) error {
	if p, ok := errors.AsType[*locatedError](err); ok {
		p.path = strings.TrimSuffix(key+"."+p.path, ".")
	}
	return err
}

// readDocument returns the root of a file. It fails unless the file contains exactly one
// document.
func readDocument(data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, next yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, &locatedError{line: 1, err: errors.New("the file is empty: it needs at least " + minimalFile)}
	} else if err != nil {
		return nil, syntaxError(err)
	}
	if err := decoder.Decode(&next); err == nil {
		return nil, errorAt(&next, "the file contains more than one YAML document: keep one")
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxError(err)
	}
	return resolveAlias(document.Content[0]), nil
}

// syntaxError converts an error of the YAML library. It removes text that the library quotes
// from the file: a password that begins with * looks like an alias.
func syntaxError(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.Contains(text, "unknown anchor") {
		return &locatedError{err: errors.New("an alias has no anchor: put a value that begins with * in quotes")}
	}
	line := 0
	if before, after, found := strings.Cut(text, ": "); found {
		if _, err := fmt.Sscanf(before, "line %d", &line); err == nil {
			text = after
		}
	}
	return &locatedError{line: line, err: fmt.Errorf("not YAML: %s: check indentation and quotes from here on", text)}
}

// decode decodes a validated node. It replaces errors of the YAML library, because they
// quote values.
func decode(node *yaml.Node, value any) error {
	err := node.Decode(value)
	if err != nil && strings.HasPrefix(err.Error(), "yaml: ") {
		return errorAt(node, "a value cannot be read: look for a tag such as !!int, a duplicate key, or an alias within its own anchor")
	}
	return err
}

// resolveAlias returns the node that an alias refers to. It returns other nodes, and nil,
// unchanged.
func resolveAlias(node *yaml.Node) *yaml.Node {
	if node != nil && node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// valueIndex returns the index of the value of a key in the content of a mapping, or -1.
func valueIndex(mapping *yaml.Node, key string) int {
	for i := 0; mapping.Kind == yaml.MappingNode && i+1 < len(mapping.Content); i += 2 {
		if resolveAlias(mapping.Content[i]).Value == key {
			return i + 1
		}
	}
	return -1
}

// valueOf returns the value of a key of a mapping, or nil.
func valueOf(mapping *yaml.Node, key string) *yaml.Node {
	if i := valueIndex(mapping, key); i >= 0 {
		return resolveAlias(mapping.Content[i])
	}
	return nil
}

// merge returns a copy of a mapping with the keys of the defaults added that it lacks. If
// both have a mapping as the value of a key, those are merged too, up to the given number
// of levels. A null mapping has no keys. The defaults may be nil.
func merge(mapping, defaults *yaml.Node, levels int) *yaml.Node {
	mapping, defaults = resolveAlias(mapping), resolveAlias(defaults)
	switch {
	case levels == 0, defaults == nil, defaults.Kind != yaml.MappingNode:
		return mapping
	case isNull(mapping):
		return defaults
	case mapping.Kind != yaml.MappingNode:
		return mapping
	}
	merged := *mapping
	merged.Content = slices.Clone(mapping.Content)
	for i := 0; i+1 < len(defaults.Content); i += 2 {
		key, value := defaults.Content[i], defaults.Content[i+1]
		if index := valueIndex(mapping, resolveAlias(key).Value); index < 0 {
			merged.Content = append(merged.Content, key, value)
		} else {
			merged.Content[index] = merge(mapping.Content[index], value, levels-1)
		}
	}
	return &merged
}
