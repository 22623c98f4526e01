package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// problem is an error at a place in the file.
type problem struct {
	line  int    // 0 where it is not known
	scope string // such as `team "acme"`, or empty
	path  string // keys below the scope, joined by dots, or empty
	err   error
}

func (p *problem) Error() string {
	text := p.err.Error()
	if p.path != "" {
		text = p.path + ": " + text
	}
	if p.scope != "" {
		text = p.scope + ": " + text
	}
	return text
}

func (p *problem) Unwrap() error { return p.err }

func at(node *yaml.Node, format string, args ...any) error {
	return &problem{line: node.Line, err: fmt.Errorf(format, args...)}
}

// inKey says of a problem that it lies below the key.
func inKey(key string, err error) error {
	var p *problem
	if errors.As(err, &p) {
		p.path = strings.TrimSuffix(key+"."+p.path, ".")
	}
	return err
}

// inScope says of a problem which part of the file it lies in.
func inScope(scope string, err error) error {
	var p *problem
	if errors.As(err, &p) {
		p.scope = scope
	}
	return err
}

var digits = regexp.MustCompile(`\d`)

// yamlLine is how the YAML library gives the line of an error.
var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// readDocument returns the root of a file that holds exactly one document.
func readDocument(data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, next yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, &problem{line: 1, err: errors.New("the file is empty: it needs at least " + leastFile)}
	case err != nil:
		return nil, syntaxProblem(err)
	}
	switch err := decoder.Decode(&next); {
	case errors.Is(err, io.EOF):
		return target(document.Content[0]), nil
	case err != nil:
		return nil, syntaxProblem(err)
	default:
		return nil, at(&next, "a second document begins: keep one per file")
	}
}

// syntaxProblem tells of an error of the YAML library without what it quotes
// of the file: a password that begins with * looks like an alias.
func syntaxProblem(err error) error {
	text := err.Error()
	if strings.Contains(text, "unknown anchor") {
		return &problem{err: errors.New("an alias has no anchor: put a value that begins with * in quotes")}
	}
	p := &problem{}
	if match := yamlLine.FindStringSubmatch(text); match != nil {
		p.line, _ = strconv.Atoi(match[1]) // the form leaves only digits
		text = text[len(match[0]):]
	}
	p.err = fmt.Errorf("not YAML: %s: check indentation and quotes from here on", strings.TrimPrefix(text, "yaml: "))
	return p
}

// target returns what an alias stands for, and any other node itself.
func target(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// entry is one key of a mapping with its value.
type entry struct {
	key   *yaml.Node
	value *yaml.Node
}

// entries returns the keys and values of a mapping. It fails where a key comes
// twice or is none of the known, unless those are nil. No value at all is an
// empty mapping.
func entries(node *yaml.Node, known []string) ([]entry, error) {
	switch {
	case isNull(node):
		return nil, nil
	case node.Kind != yaml.MappingNode:
		return nil, at(node, "needs keys with values, not %s: use %s", kindOf(node), listOf(known))
	}
	var found []entry
	first := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := target(node.Content[i]), target(node.Content[i+1])
		switch line, twice := first[key.Value]; {
		case key.Kind != yaml.ScalarNode:
			return nil, at(node.Content[i], "a key is %s: use a word", kindOf(key))
		case key.ShortTag() == "!!merge":
			return nil, at(key, "unknown key \"<<\": use defaults for what teams share")
		case known != nil && !slices.Contains(known, key.Value):
			return nil, at(key, "unknown key %s: use %s", quoteKey(key), listOf(known))
		case twice:
			return nil, at(key, "the key %s is already on line %d: keep one of them", quoteKey(key), line)
		}
		first[key.Value] = key.Line
		found = append(found, entry{key, value})
	}
	return found, nil
}

// mapping returns the values of a mapping by key, as entries does.
func mapping(node *yaml.Node, known []string) (map[string]*yaml.Node, error) {
	found, err := entries(node, known)
	if err != nil {
		return nil, err
	}
	values := map[string]*yaml.Node{}
	for _, e := range found {
		values[e.key.Value] = e.value
	}
	return values, nil
}

func listOf(known []string) string {
	if known == nil {
		return "keys of your choice"
	}
	return "one of " + strings.Join(known, ", ")
}

// quoteKey leaves out a key that is longer or has more digits than any known:
// where the colon is forgotten or misplaced it may be a secret.
func quoteKey(key *yaml.Node) string {
	if len(key.Value) > 40 || len(digits.FindAllString(key.Value, 2)) > 1 {
		return fmt.Sprintf("of %d bytes", len(key.Value))
	}
	return strconv.Quote(key.Value)
}

// merge returns the value of a key for a team, where either may be nil: its
// own, or the one of the defaults. Mappings are merged by their own keys, of
// which the team's are taken as they are.
func merge(defaults, own *yaml.Node) *yaml.Node {
	switch {
	case own == nil:
		return defaults
	case defaults == nil || defaults.Kind != yaml.MappingNode:
		return own
	case isNull(own):
		return defaults
	case own.Kind != yaml.MappingNode:
		return own
	}
	merged := *own
	merged.Content = slices.Clone(own.Content)
	for i := 0; i+1 < len(defaults.Content); i += 2 {
		if !hasKey(own, target(defaults.Content[i]).Value) {
			merged.Content = append(merged.Content, defaults.Content[i], defaults.Content[i+1])
		}
	}
	return &merged
}

func hasKey(mapping *yaml.Node, key string) bool {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if target(mapping.Content[i]).Value == key {
			return true
		}
	}
	return false
}

// scalar returns the text of a single value.
func scalar(node *yaml.Node) (string, error) {
	switch {
	case isNull(node):
		return "", at(node, "has no value: give one or leave the key out")
	case node.Kind != yaml.ScalarNode:
		return "", at(node, "needs a single value, not %s", kindOf(node))
	}
	return node.Value, nil
}

// orLeaveOut is what else can be done about the empty list of an optional key.
const orLeaveOut = ", or leave the key out"

// list returns the elements of a list, which is not empty. What else can be done
// about an empty one is added to the example.
func list(node *yaml.Node, example, otherwise string) (elements []*yaml.Node, err error) {
	switch {
	case node.Kind != yaml.SequenceNode:
		return nil, at(node, "needs a list such as %s, not %s", example, kindOf(node))
	case len(node.Content) == 0:
		return nil, at(node, "the list is empty: give one such as %s%s", example, otherwise)
	}
	for _, element := range node.Content {
		elements = append(elements, target(element))
	}
	return elements, nil
}

// uniqueTexts returns the elements of a list of single values, as list does. None
// may come twice.
func uniqueTexts(node *yaml.Node, example, otherwise string) ([]*yaml.Node, error) {
	elements, err := list(node, example, otherwise)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, element := range elements {
		text, err := scalar(element)
		if err != nil {
			return nil, err
		}
		if seen[text] {
			return nil, at(element, "%q comes twice: keep one of them", text)
		}
		seen[text] = true
	}
	return elements, nil
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
