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

// maxText is the longest string in bytes, because a string may become a label of
// every sample of its operator.
const maxText = 4096

// fieldError is a value that is JSON but not what is documented. It never holds
// the value.
type fieldError struct {
	path    string // such as operators.nps, or empty for the whole answer
	problem string
}

func (e *fieldError) Error() string { return cmp.Or(e.path, "the answer") + " " + e.problem }

// inField adds the name of a field in front of the path of an error.
func inField(name string, err error) error {
	var e *fieldError
	if !errors.As(err, &e) {
		return err
	}
	if e.path != "" {
		name += "." + e.path
	}
	return &fieldError{name, e.problem}
}

func wrongType(kind string) error { return &fieldError{problem: "is of the wrong type: " + kind} }

// kindNames names the kinds of JSON values in errors.
var kindNames = map[jsontext.Kind]string{'n': "null", 't': "bool", 'f': "bool", '"': "string", '0': "number", '{': "object", '[': "array"}

// shape is what is documented of a JSON object.
type shape struct {
	path    string   // in front of the names of its members, such as "operators."
	members []member // in the documented order
	indices map[string]int
}

// member is a documented member of an object.
type member struct {
	name     string
	quoted   string // the name as JSON
	field    int    // index in the struct, or unused
	optional bool   // some documented object lacks it
	within   *shape // of the objects that its value holds, if it holds any
}

// unused is the field of a member whose value is not read.
const unused = -1

// shapeOf returns the shape of the objects that are read into structs of a type.
// The tag json names the member of a field; optional:"true" marks a member that
// documented objects may lack. A field _ with the tag unused is a documented
// member whose value is not read.
func shapeOf(path string, t reflect.Type) *shape {
	s := &shape{path: path, indices: make(map[string]int)}
	for i := range t.NumField() {
		field := t.Field(i)
		m := member{name: field.Tag.Get("json"), field: i, optional: field.Tag.Get("optional") == "true"}
		if name, ok := field.Tag.Lookup("unused"); ok {
			m.name, m.field = name, unused
		}
		if m.name == "-" {
			continue
		}
		m.quoted = strconv.Quote(m.name)
		switch held := field.Type; {
		case held.Kind() == reflect.Slice:
			m.within = shapeOf(path+m.name+".", held.Elem())
		case m.field == unused && held.NumField() > 0:
			m.within = shapeOf(path+m.name+".", held)
		}
		s.indices[m.name] = len(s.members)
		s.members = append(s.members, m)
	}
	return s
}

// find returns the index of the member with the name, which is JSON, or -1.
// Answers mostly have the documented order, so it tries the next two members
// before it looks the name up: one may be left out.
func (s *shape) find(name jsontext.Value, next int) int {
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

// pointers returns pointers to the fields of a struct, in the order of the
// members; nil for an unused one.
func (s *shape) pointers(item reflect.Value) []any {
	fields := make([]any, len(s.members))
	for i, m := range s.members {
		if m.field != unused {
			fields[i] = item.Field(m.field).Addr().Interface()
		}
	}
	return fields
}

// decoder reads an answer strictly: names are exact, and no field may come twice.
type decoder struct {
	response
	json     *jsontext.Decoder
	maxItems int // of a list
	items    string
	contract Contract
}

// decode reads an answer into what target points to, a struct or a list of
// structs, and returns how the answer departs from the documented one. A list has
// at most maxItems items, which are called items in the error.
func decode(r response, target any, maxItems int, items string) (Contract, error) {
	d := &decoder{response: r, maxItems: maxItems, items: items}
	// A field that comes twice is found without the library, which takes longer.
	d.json = jsontext.NewDecoder(r.body, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	into := reflect.ValueOf(target).Elem()
	var err error
	switch {
	case into.Kind() != reflect.Slice:
		s := shapeOf("", into.Type())
		err = d.object(s, s.pointers(into))
	case d.json.PeekKind() == '{':
		var answer refusal
		if err = d.object(shapeOf("", reflect.TypeFor[refusal]()), []any{&answer.Status}); err == nil {
			err = cmp.Or(answer.check(), wrongType("object"))
		}
	default:
		err = d.list(into, shapeOf("", into.Type().Elem()))
	}
	if err == nil {
		if _, err = d.json.ReadToken(); errors.Is(err, io.EOF) {
			slices.Sort(d.contract.Unknown)
			slices.Sort(d.contract.Missing)
			return d.contract, nil
		}
	}
	var field *fieldError
	if errors.As(err, &field) || errors.Is(err, errStatusFalse) {
		return Contract{}, err
	}
	// What the library says may quote the answer.
	at := d.json.InputOffset()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		at = syntax.ByteOffset
	}
	return Contract{}, fmt.Errorf("the answer is not valid JSON after %d bytes", at)
}

// begin reads the bracket at the begin of an object or array.
func (d *decoder) begin(bracket jsontext.Kind) error {
	if kind := d.json.PeekKind(); kind != bracket && kindNames[kind] != "" {
		return wrongType(kindNames[kind])
	}
	_, err := d.json.ReadToken()
	return err
}

// object reads an object into its fields.
func (d *decoder) object(s *shape, fields []any) error {
	if err := d.begin('{'); err != nil {
		return err
	}
	var seen uint64 // a bit for each member
	next := 0
	for d.json.PeekKind() != '}' {
		name, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		i := s.find(name, next)
		if i < 0 {
			d.unknown(s.path, unquote(name))
			if err := d.json.SkipValue(); err != nil {
				return err
			}
			continue
		}
		next = i + 1
		m, field := &s.members[i], fields[i]
		if seen&(1<<i) != 0 && field != nil {
			return inField(m.name, &fieldError{problem: "comes twice"})
		}
		seen |= 1 << i
		if err := d.value(m, field); err != nil {
			return inField(m.name, err)
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

// unknown records a member that is not documented.
func (d *decoder) unknown(path, name string) {
	if len(d.contract.Unknown) == maxUnknown {
		return
	}
	if field := path + d.shown(name); !slices.Contains(d.contract.Unknown, field) {
		d.contract.Unknown = append(d.contract.Unknown, field)
	}
}

// value reads the value of a member into what the field points to. null leaves
// the field as it is.
func (d *decoder) value(m *member, field any) error {
	if m.within != nil {
		switch kind := d.json.PeekKind(); {
		case field == nil && kind == '{':
			return d.object(m.within, make([]any, len(m.within.members)))
		case field != nil && kind != 'n':
			return d.list(reflect.ValueOf(field).Elem(), m.within)
		}
		return d.json.SkipValue()
	}
	raw, err := d.json.ReadValue()
	if err != nil || field == nil || raw.Kind() == 'n' {
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

// list reads an array of objects. The list is not nil then.
func (d *decoder) list(into reflect.Value, s *shape) error {
	if err := d.begin('['); err != nil {
		return err
	}
	list := reflect.MakeSlice(into.Type(), 0, 0)
	item := reflect.New(into.Type().Elem()).Elem()
	fields := s.pointers(item)
	start := d.json.InputOffset()
	for d.json.PeekKind() != ']' {
		if list.Len() == d.maxItems {
			return &fieldError{problem: fmt.Sprintf("has more than %d %s", d.maxItems, d.items)}
		}
		item.SetZero()
		if err := d.object(s, fields); err != nil {
			return err
		}
		if list.Len() == 0 && d.size > 0 {
			// As many items as there are if all are as long, and an eighth more.
			likely := int(d.size / (d.json.InputOffset() - start))
			list = reflect.MakeSlice(into.Type(), 0, min(likely+likely/8, d.maxItems))
		}
		list = reflect.Append(list, item)
	}
	into.Set(list)
	_, err := d.json.ReadToken()
	return err
}

// number returns the value of a number, or of a string that holds one.
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
		// strconv takes names, underscores, hexadecimal digits and a plus sign, too.
		if err != nil || digits[0] == '+' || strings.ContainsFunc(digits, notDecimal) {
			return 0, wrongType("string")
		}
		return v, nil
	}
	return 0, wrongType(kindNames[raw.Kind()])
}

func notDecimal(r rune) bool { return !strings.ContainsRune("0123456789+-.eE", r) }

// timestamp returns the time of an RFC 3339 string, or of milliseconds since
// 1970. The API documents only null, so both usual forms are understood.
func timestamp(raw jsontext.Value) (Timestamp, error) {
	var at time.Time
	if raw.Kind() == '"' && at.UnmarshalText(raw[1:len(raw)-1]) == nil {
		return TimestampOf(at), nil
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

// unquote returns the text of a JSON string. What is not UTF-8 becomes U+FFFD.
func unquote(raw jsontext.Value) string {
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1])
	}
	unquoted, _ := jsontext.AppendUnquote(nil, raw) // an error says that U+FFFD was needed
	return string(unquoted)
}
