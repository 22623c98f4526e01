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

// problem is an error at a place in the file.
type problem struct {
	line int    // 0 where it is not known
	path string // keys joined by dots, or empty
	err  error
}

func (p *problem) Error() string {
	if p.path == "" {
		return p.err.Error()
	}
	return p.path + ": " + p.err.Error()
}

func (p *problem) Unwrap() error { return p.err }

// at returns a problem at the line of a node.
func at(node *yaml.Node, format string, args ...any) error {
	return &problem{line: node.Line, err: fmt.Errorf(format, args...)}
}

// inKey adds a key to the front of a problem's path.
func inKey(key string, err error) error {
	if p, ok := errors.AsType[*problem](err); ok {
		p.path = strings.TrimSuffix(key+"."+p.path, ".")
	}
	return err
}

// readDocument returns the root of a file that holds exactly one document.
func readDocument(data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, next yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, &problem{line: 1, err: errors.New("the file is empty: it needs at least " + leastFile)}
	} else if err != nil {
		return nil, syntaxProblem(err)
	}
	if err := decoder.Decode(&next); err == nil {
		return nil, at(&next, "a second document begins: keep one per file")
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxProblem(err)
	}
	return target(document.Content[0]), nil
}

// syntaxProblem returns what the YAML library cannot read, without what it quotes
// of the file: a password that begins with * looks like an alias.
func syntaxProblem(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.Contains(text, "unknown anchor") {
		return &problem{err: errors.New("an alias has no anchor: put a value that begins with * in quotes")}
	}
	line := 0
	if before, after, found := strings.Cut(text, ": "); found {
		if _, err := fmt.Sscanf(before, "line %d", &line); err == nil {
			text = after
		}
	}
	return &problem{line: line, err: fmt.Errorf("not YAML: %s: check indentation and quotes from here on", text)}
}

// decode decodes a node that has passed a check of its form. What the YAML
// library says quotes values, and so is not passed on.
func decode(node *yaml.Node, value any) error {
	err := node.Decode(value)
	if err != nil && strings.HasPrefix(err.Error(), "yaml: ") {
		return at(node, "a value cannot be read: look for a tag such as !!int, a key that comes twice, or an alias within its own anchor")
	}
	return err
}

// target returns what an alias stands for, and any other node, or nil, itself.
func target(node *yaml.Node) *yaml.Node {
	if node != nil && node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// valueIndex returns where the content of a mapping has the value of a key, or -1.
func valueIndex(mapping *yaml.Node, key string) int {
	for i := 0; mapping.Kind == yaml.MappingNode && i+1 < len(mapping.Content); i += 2 {
		if target(mapping.Content[i]).Value == key {
			return i + 1
		}
	}
	return -1
}

// valueOf returns the value of a key of a mapping, or nil.
func valueOf(mapping *yaml.Node, key string) *yaml.Node {
	if i := valueIndex(mapping, key); i >= 0 {
		return target(mapping.Content[i])
	}
	return nil
}

// merge returns a mapping with the keys of the defaults, which may be nil, that it
// does not have. Where both have a mapping below a key, those are merged, too, as
// many levels deep as asked for. A mapping that is null has no keys.
func merge(mapping, defaults *yaml.Node, levels int) *yaml.Node {
	mapping, defaults = target(mapping), target(defaults)
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
		if index := valueIndex(mapping, target(key).Value); index < 0 {
			merged.Content = append(merged.Content, key, value)
		} else {
			merged.Content[index] = merge(mapping.Content[index], value, levels-1)
		}
	}
	return &merged
}
