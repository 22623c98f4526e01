package chattonic

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	// maxDepth bounds how deep an answer is nested. The documented ones have
	// a depth of four.
	maxDepth = 64
	// maxText bounds a string in bytes, because it may become a label of every
	// sample of its operator.
	maxText = 4096
)

// errDepth is an answer that is nested deeper than maxDepth.
var errDepth = fmt.Errorf("the answer is nested deeper than %d levels", maxDepth)

// fieldError is a value that is JSON but not what is documented. It never holds
// the value.
type fieldError struct {
	path    string // such as operators.nps, or empty for the answer as a whole
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

// reader reads an answer in a single pass, and strictly: encoding/json takes
// names of other letter case for a field's, and the last of several values, and
// that quietly. The fields of a struct are found by their json tags.
type reader struct {
	body  []byte
	at    int // the next byte
	depth int
}

// decode reads an answer that is a single value, with read.
func decode(body []byte, read func(r *reader) error) error {
	r := &reader{body: body}
	if err := read(r); err != nil {
		return err
	}
	r.space()
	if r.at != len(body) {
		return r.syntax()
	}
	return nil
}

// syntax says where the answer is no JSON: by the number of bytes up to there.
func (r *reader) syntax() error {
	return fmt.Errorf("the answer is not valid JSON at byte %d", min(r.at+1, len(r.body)))
}

// numberKind stands for the several bytes that a number can begin with.
const numberKind = '0'

// kindNames are the kinds of values, by the byte that each begins with.
var kindNames = [256]string{'n': "null", '"': "string", '{': "object", '[': "array", 't': "bool", 'f': "bool", numberKind: "number"}

// kind tells of which kind the next value is, by its first byte.
func (r *reader) kind() (byte, error) {
	r.space()
	if r.at == len(r.body) {
		return 0, r.syntax()
	}
	switch c := r.body[r.at]; {
	case c == '-', c >= '0' && c <= '9':
		return numberKind, nil
	case kindNames[c] != "":
		return c, nil
	}
	return 0, r.syntax()
}

func wrongType(kind string) error { return &fieldError{problem: "is of the wrong type: " + kind} }

// value reads a value into what target points to. null leaves it as it is.
func (r *reader) value(target any) error {
	kind, err := r.kind()
	if err != nil {
		return err
	}
	if kind == 'n' {
		return r.literal("null")
	}
	switch target := target.(type) {
	case *Number:
		target.value, err = r.number(kind)
		target.present = err == nil
		return err
	case *Timestamp:
		target.seconds, err = r.timestamp(kind)
		target.present = err == nil
		return err
	case *Text:
		*target, err = r.text(kind)
		return err
	case **bool:
		*target, err = r.boolean(kind)
		return err
	case *[]Operator:
		*target, err = list[Operator](r, operatorFields)
		return err
	}
	panic(fmt.Sprintf("chattonic: a field of an answer cannot be a %T", target))
}

// fields is where the fields of a struct are, by their names in the API.
type fields map[string]int

func fieldsOf[T any]() fields {
	found, t := fields{}, reflect.TypeFor[T]()
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("json"); name != "-" {
			found[name] = i
		}
	}
	return found
}

// object reads an object into item, which is new. Members without a field are
// passed over.
func object[T any](r *reader, known fields, item *T) error {
	kind, err := r.kind()
	if err != nil {
		return err
	}
	if kind != '{' {
		return wrongType(kindNames[kind])
	}
	into := reflect.ValueOf(item).Elem()
	var seen uint64 // a bit for each field
	return r.members(func(name []byte) error {
		i, found := known[string(name)]
		if !found {
			return r.skip()
		}
		if seen&(1<<i) != 0 {
			return &fieldError{string(name), "comes twice"}
		}
		seen |= 1 << i
		if err := r.value(into.Field(i).Addr().Interface()); err != nil {
			return inField(string(name), err)
		}
		return nil
	})
}

// list reads an array of objects. It is never nil.
func list[T any](r *reader, known fields) ([]T, error) {
	kind, err := r.kind()
	if err != nil {
		return nil, err
	}
	if kind != '[' {
		return nil, wrongType(kindNames[kind])
	}
	items := []T{}
	err = r.elements(func() error {
		items = append(items, *new(T))
		return object(r, known, &items[len(items)-1])
	})
	return items, err
}

// members reads an object and calls value with the name of each member, whose
// value it has to read.
func (r *reader) members(value func(name []byte) error) error {
	return r.nested('}', func() error {
		r.space()
		name, plain, err := r.string()
		if err != nil {
			return err
		}
		if !plain {
			name = []byte(unescape(name))
		}
		if !r.take(':') {
			return r.syntax()
		}
		return value(name)
	})
}

// elements reads an array and calls element at the start of each element, which
// it has to read.
func (r *reader) elements(element func() error) error { return r.nested(']', element) }

// nested reads what stands between brackets, with commas between the parts.
func (r *reader) nested(end byte, part func() error) error {
	if r.depth == maxDepth {
		return errDepth
	}
	r.depth++
	r.at++ // the bracket that kind has seen
	defer func() { r.depth-- }()
	if r.take(end) {
		return nil
	}
	for {
		if err := part(); err != nil {
			return err
		}
		if r.take(end) {
			return nil
		}
		if !r.take(',') {
			return r.syntax()
		}
	}
}

// skip passes over a value of any kind.
func (r *reader) skip() error {
	kind, err := r.kind()
	if err != nil {
		return err
	}
	switch kind {
	case '{':
		return r.members(func([]byte) error { return r.skip() })
	case '[':
		return r.elements(r.skip)
	case '"':
		_, _, err = r.string()
		return err
	case numberKind:
		_, err = r.digits()
		return err
	case 'n':
		return r.literal("null")
	}
	_, err = r.boolean(kind)
	return err
}

// number reads a number, or a string that holds one.
func (r *reader) number(kind byte) (float64, error) {
	switch kind {
	case numberKind:
		token, err := r.digits()
		if err != nil {
			return 0, err
		}
		v, err := parseNumber(token)
		if err != nil {
			return 0, wrongType("out-of-range number")
		}
		return v, nil
	case '"':
		text, _, err := r.string()
		if err != nil {
			return 0, err
		}
		v, err := parseNumber(text)
		if err != nil {
			return 0, wrongType("string")
		}
		return v, nil
	}
	return 0, wrongType(kindNames[kind])
}

// timestamp reads an RFC 3339 string or milliseconds since 1970, as seconds. The
// API documents only null, so both usual forms are understood.
func (r *reader) timestamp(kind byte) (seconds float64, err error) {
	if kind == '"' {
		start := r.at
		text, _, err := r.string()
		if err != nil {
			return 0, err
		}
		if at, err := time.Parse(time.RFC3339, string(text)); err == nil {
			return float64(at.UnixMilli()) / 1e3, nil
		}
		r.at = start
	}
	milliseconds, err := r.number(kind)
	return milliseconds / 1e3, err
}

// text reads a string, in which what is not UTF-8 becomes U+FFFD.
func (r *reader) text(kind byte) (Text, error) {
	if kind != '"' {
		return "", wrongType(kindNames[kind])
	}
	raw, plain, err := r.string()
	switch {
	case err != nil:
		return "", err
	case len(raw) > maxText:
		return "", &fieldError{problem: fmt.Sprintf("is longer than %d bytes", maxText)}
	case plain && utf8.Valid(raw):
		return Text(raw), nil
	}
	return Text(unescape(raw)), nil
}

func (r *reader) boolean(kind byte) (*bool, error) {
	switch kind {
	case 't':
		return new(true), r.literal("true")
	case 'f':
		return new(false), r.literal("false")
	}
	return nil, wrongType(kindNames[kind])
}

func (r *reader) literal(want string) error {
	for i := range len(want) {
		if r.at == len(r.body) || r.body[r.at] != want[i] {
			return r.syntax()
		}
		r.at++
	}
	return nil
}

// string reads a string and returns what is between the quotes, which is plain
// where it has no escapes.
func (r *reader) string() (raw []byte, plain bool, err error) {
	if r.at == len(r.body) || r.body[r.at] != '"' {
		return nil, false, r.syntax()
	}
	r.at++
	start := r.at
	for plain = true; r.at < len(r.body); r.at++ {
		switch c := r.body[r.at]; {
		case c == '"':
			r.at++
			return r.body[start : r.at-1], plain, nil
		case c < ' ':
			return nil, false, r.syntax()
		case c == '\\':
			plain = false
			if err := r.escape(); err != nil {
				return nil, false, err
			}
		}
	}
	return nil, false, r.syntax()
}

// escape passes over a backslash and all but the last byte of its escape.
func (r *reader) escape() error {
	r.at++
	if r.at == len(r.body) {
		return r.syntax()
	}
	switch r.body[r.at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		for range 4 {
			r.at++
			if r.at == len(r.body) || !isHex(r.body[r.at]) {
				return r.syntax()
			}
		}
		return nil
	}
	return r.syntax()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

// unescape returns the text of a string that string has read.
func unescape(raw []byte) (text string) {
	quoted := make([]byte, 0, len(raw)+2)
	quoted = append(append(append(quoted, '"'), raw...), '"')
	if err := json.Unmarshal(quoted, &text); err != nil {
		panic("chattonic: a string that was read is none: " + err.Error())
	}
	return text
}

// digits reads a number as JSON writes it.
func (r *reader) digits() ([]byte, error) {
	start := r.at
	r.sign("-")
	if r.at < len(r.body) && r.body[r.at] == '0' {
		r.at++ // and no further digit
	} else if !r.someDigits() {
		return nil, r.syntax()
	}
	if r.at < len(r.body) && r.body[r.at] == '.' {
		r.at++
		if !r.someDigits() {
			return nil, r.syntax()
		}
	}
	if r.at < len(r.body) && r.body[r.at]|0x20 == 'e' {
		r.at++
		r.sign("+-")
		if !r.someDigits() {
			return nil, r.syntax()
		}
	}
	return r.body[start:r.at], nil
}

func (r *reader) sign(signs string) {
	for i := range len(signs) {
		if r.at < len(r.body) && r.body[r.at] == signs[i] {
			r.at++
			return
		}
	}
}

func (r *reader) someDigits() bool {
	start := r.at
	for r.at < len(r.body) && r.body[r.at]-'0' <= 9 {
		r.at++
	}
	return r.at > start
}

func (r *reader) space() {
	for r.at < len(r.body) {
		switch r.body[r.at] {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return
		}
	}
}

// take passes over c, and white space before it, where it comes next.
func (r *reader) take(c byte) bool {
	r.space()
	if r.at < len(r.body) && r.body[r.at] == c {
		r.at++
		return true
	}
	return false
}

var errNoNumber = errors.New("not a number")

// parseNumber reads a decimal number as JSON has them, or nearly so: 01 and 1.
// pass. The names, underscores and hexadecimal digits that strconv knows besides
// do not.
func parseNumber(text []byte) (float64, error) {
	whole, small := 0, len(text) > 0 && len(text) <= 15 // exact in a float64
	for _, c := range text {
		switch {
		case c >= '0' && c <= '9':
			whole = whole*10 + int(c-'0')
		case c == '-', c == '+', c == '.', c|0x20 == 'e':
			small = false
		default:
			return 0, errNoNumber
		}
	}
	if small {
		return float64(whole), nil
	}
	if len(text) == 0 || text[0] == '+' {
		return 0, errNoNumber
	}
	return strconv.ParseFloat(string(text), 64)
}
