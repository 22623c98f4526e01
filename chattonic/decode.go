package chattonic

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxText is the maximum length in bytes of a string, which may become a label.
const maxText = 4096

// maxTexts is the maximum length of a list of strings. It limits the memory of an answer.
const maxTexts = 100

func wrongType(kind string) error { return &fieldError{problem: "has the wrong type: " + kind} }

// kindNames holds the names of JSON types in errors.
var kindNames = map[jsontext.Kind]string{'n': "null", 't': "bool", 'f': "bool", '"': "string", '0': "number", '{': "object", '[': "array"}

// schema holds the documented members of a JSON object.
type schema struct {
	path    string         // prefix of the members' names in errors, such as "operators."
	members []member       // in the documented order
	indices map[string]int // of members, by name
}

// member is a documented member of an object.
type member struct {
	name     string
	quoted   string        // the name as a JSON string
	field    int           // index of the struct field
	kind     jsontext.Kind // values of others are skipped; 0 if they are errors
	optional bool          // a documented object lacks it
	nested   *schema       // of the objects in the value, or nil if it holds none
}

// schemaOf returns the schema of the objects that are decoded into a struct type. The
// tag json holds the member's name. The tag optional:"true" marks a member that
// objects may lack.
func schemaOf(path string, t reflect.Type) *schema {
	s := &schema{path: path, indices: make(map[string]int)}
	for i := range t.NumField() {
		field := t.Field(i)
		m := member{name: field.Tag.Get("json"), field: i, optional: field.Tag.Get("optional") == "true"}
		if m.name == "-" {
			continue
		}
		m.quoted = strconv.Quote(m.name)
		switch fieldType := field.Type; {
		case fieldType.Kind() == reflect.Slice && fieldType.Elem().Kind() == reflect.Struct:
			m.nested = schemaOf(path+m.name+".", fieldType.Elem())
		case fieldType == reflect.TypeFor[OperatorName]():
			m.nested, m.kind = schemaOf(path+m.name+".", fieldType), '{'
		case fieldType == reflect.TypeFor[[]Text]():
			m.kind = '['
		}
		s.indices[m.name] = len(s.members)
		s.members = append(s.members, m)
	}
	return s
}

// find returns the index of the member with the name, a JSON string, or -1. Members
// mostly come in the documented order, so it tries the next two before the map: one
// member may be missing.
func (s *schema) find(name jsontext.Value, next int) int {
	for i := next; i < min(next+2, len(s.members)); i++ {
		if string(name) == s.members[i].quoted {
			return i
		}
	}
	if i, ok := s.indices[unquote(name)]; ok {
		return i
	}
	return -1
}

// pointers returns pointers to the fields of a struct, in the order of the members. For a
// member that is an object it returns the pointers to the fields of that.
func (s *schema) pointers(item reflect.Value) []any {
	fields := make([]any, len(s.members))
	for i, m := range s.members {
		field := item.Field(m.field)
		if fields[i] = field.Addr().Interface(); m.nested != nil && field.Kind() == reflect.Struct {
			fields[i] = m.nested.pointers(field)
		}
	}
	return fields
}

// decoder decodes an answer strictly: names are case-sensitive, and duplicate fields are
// errors.
type decoder struct {
	response
	json     *jsontext.Decoder
	maxItems int    // maximum length of a list
	itemName string // plural noun for the items in errors
	contract Contract
}

// decode decodes an answer into target, a pointer to a struct or to a slice of structs,
// and returns the differences from the documented answer. A list may have at most
// maxItems items; the error about a longer list calls them itemName.
func decode(r response, target any, maxItems int, itemName string) (Contract, error) {
	if err := r.checkStart(); err != nil {
		return Contract{}, err
	}
	d := &decoder{response: r, maxItems: maxItems, itemName: itemName}
	// object finds duplicate fields itself, which is faster than the library.
	d.json = jsontext.NewDecoder(r.body, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	into := reflect.ValueOf(target).Elem()
	var err error
	switch {
	case into.Kind() != reflect.Slice:
		s := schemaOf("", into.Type())
		err = d.object(s, s.pointers(into))
	case d.json.PeekKind() == '{':
		var answer statusField
		if err = d.object(schemaOf("", reflect.TypeFor[statusField]()), []any{&answer.Status}); err == nil {
			err = cmp.Or(answer.check(), wrongType("object"))
		}
	default:
		err = d.list(into, schemaOf("", into.Type().Elem()))
	}
	if err == nil {
		if _, err = d.json.ReadToken(); errors.Is(err, io.EOF) {
			slices.Sort(d.contract.Unknown)
			slices.Sort(d.contract.Missing)
			return d.contract, nil
		}
	}
	if field := new(fieldError); errors.As(err, &field) || errors.Is(err, errStatusFalse) {
		return Contract{}, err
	}
	// The library's error may quote the answer, so only the offset is reported.
	offset := d.json.InputOffset()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		offset = syntax.ByteOffset
	}
	return Contract{}, fmt.Errorf("the answer is not valid JSON after %d bytes", offset)
}

// open reads the opening bracket of an object or array.
func (d *decoder) open(bracket jsontext.Kind) error {
	if kind := d.json.PeekKind(); kind != bracket && kindNames[kind] != "" {
		return wrongType(kindNames[kind])
	}
	_, err := d.json.ReadToken()
	return err
}

// object decodes an object into the fields.
func (d *decoder) object(s *schema, fields []any) error {
	if err := d.open('{'); err != nil {
		return err
	}
	var seen uint64 // bit i is set if member i was found
	next := 0
	for d.json.PeekKind() != '}' {
		name, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		i := s.find(name, next)
		if i < 0 {
			d.addUnknown(s.path, unquote(name))
			if err := d.json.SkipValue(); err != nil {
				return err
			}
			continue
		}
		next = i + 1
		m, field := &s.members[i], fields[i]
		if seen&(1<<i) != 0 {
			return prefixField(m.name, &fieldError{problem: "is a duplicate field"})
		}
		seen |= 1 << i
		if err := d.value(m, field); err != nil {
			return prefixField(m.name, err)
		}
	}
	for i, m := range s.members {
		if seen&(1<<i) == 0 && !m.optional && !slices.Contains(d.contract.Missing, s.path+m.name) {
			d.contract.Missing = append(d.contract.Missing, s.path+m.name)
		}
	}
	_, err := d.json.ReadToken()
	return err
}

// addUnknown records an undocumented member.
func (d *decoder) addUnknown(path, name string) {
	if len(d.contract.Unknown) == maxUnknown {
		return
	}
	if field := path + d.safeName(name); !slices.Contains(d.contract.Unknown, field) {
		d.contract.Unknown = append(d.contract.Unknown, field)
	}
}

// value decodes the value of a member into the variable that field points to, or into the
// fields of an object. null does not change the variable.
func (d *decoder) value(m *member, field any) (err error) {
	if kind := d.json.PeekKind(); kind == 'n' || m.kind != 0 && kind != m.kind {
		return d.json.SkipValue()
	}
	switch field := field.(type) {
	case []any:
		return d.object(m.nested, field)
	case *[]Text:
		*field, err = d.texts()
		return err
	}
	if m.nested != nil {
		return d.list(reflect.ValueOf(field).Elem(), m.nested)
	}
	raw, err := d.json.ReadValue()
	if err != nil {
		return err
	}
	switch field := field.(type) {
	case *Number:
		field.value, err = number(raw)
		field.present = true
	case *Text:
		*field, err = text(raw)
	case *Timestamp:
		*field, err = timestamp(raw)
	case **bool:
		if kind := raw.Kind(); kind != 't' && kind != 'f' {
			return wrongType(kindNames[kind])
		}
		*field = new(raw.Kind() == 't')
	default:
		panic(fmt.Sprintf("chattonic: a field of an answer cannot be a %T", field))
	}
	return err
}

// list decodes an array of objects into a slice. An empty array becomes an empty slice,
// not nil.
func (d *decoder) list(into reflect.Value, s *schema) error {
	if err := d.open('['); err != nil {
		return err
	}
	list := reflect.MakeSlice(into.Type(), 0, 0)
	item := reflect.New(into.Type().Elem()).Elem()
	fields := s.pointers(item)
	start := d.json.InputOffset()
	for d.json.PeekKind() != ']' {
		if list.Len() == d.maxItems {
			return &fieldError{problem: fmt.Sprintf("has more than %d %s", d.maxItems, d.itemName)}
		}
		item.SetZero()
		if err := d.object(s, fields); err != nil {
			return err
		}
		if list.Len() == 0 && d.size > 0 {
			// Estimate the number of items from the size of the first, plus an eighth.
			estimate := int(d.size / (d.json.InputOffset() - start))
			list = reflect.MakeSlice(into.Type(), 0, min(estimate+estimate/8, d.maxItems))
		}
		list = reflect.Append(list, item)
	}
	into.Set(list)
	_, err := d.json.ReadToken()
	return err
}

// texts decodes the first maxTexts strings of an array. It skips other values.
func (d *decoder) texts() (list []Text, err error) {
	if err := d.open('['); err != nil {
		return nil, err
	}
	for list = []Text{}; d.json.PeekKind() != ']'; {
		raw, err := d.json.ReadValue()
		if err != nil {
			return nil, err
		}
		if one, err := text(raw); err == nil && len(list) < maxTexts {
			list = append(list, one)
		}
	}
	_, err = d.json.ReadToken()
	return list, err
}

// number decodes a number, or a string that contains one.
func number(raw jsontext.Value) (float64, error) {
	switch raw.Kind() {
	case '0':
		v, err := strconv.ParseFloat(string(raw), 64)
		if err != nil {
			return 0, wrongType("out-of-range number")
		}
		return v, nil
	case '"':
		digits := string(raw[1 : len(raw)-1])
		v, err := strconv.ParseFloat(digits, 64)
		// strconv also accepts names, underscores, hexadecimal digits and a plus sign.
		if err != nil || digits[0] == '+' || strings.ContainsFunc(digits, notDecimal) {
			return 0, wrongType("string")
		}
		return v, nil
	}
	return 0, wrongType(kindNames[raw.Kind()])
}

func notDecimal(r rune) bool { return !strings.ContainsRune("0123456789+-.eE", r) }

// timestamp decodes an RFC 3339 string, or milliseconds since 1970. The documentation
// shows only null, so both common formats are accepted.
func timestamp(raw jsontext.Value) (Timestamp, error) {
	var t time.Time
	if raw.Kind() == '"' && t.UnmarshalText(raw[1:len(raw)-1]) == nil {
		return TimestampOf(t), nil
	}
	milliseconds, err := number(raw)
	return timestampOf(milliseconds), err
}

func text(raw jsontext.Value) (Text, error) {
	switch {
	case raw.Kind() != '"':
		return "", wrongType(kindNames[raw.Kind()])
	case len(raw)-len(`""`) > maxText:
		return "", &fieldError{problem: fmt.Sprintf("is longer than %d bytes", maxText)}
	}
	return Text(unquote(raw)), nil
}

// unquote returns the text of a JSON string. Invalid UTF-8 becomes U+FFFD.
func unquote(raw jsontext.Value) string {
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1])
	}
	unquoted, _ := jsontext.AppendUnquote(nil, raw) // the error only reports invalid UTF-8
	return string(unquoted)
}
