package chattonic

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"reflect"
	"slices"
	"strconv"
	"strings"
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
	// textShare is which part of an answer its texts may be, and maxTexts the
	// number of bytes of them that are kept together: a single one keeps all.
	textShare, maxTexts = 8, 16 << 10
	// maxState is the number of bytes up to which a text may be a state.
	maxState = 8
	// exactDigits is how many digits a float64 always has room for.
	exactDigits = 15
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
	reply
	at    int // the next byte
	depth int
	texts strings.Builder // what texts are parts of
	// states are some of the short texts so far, which mostly come again.
	states [8]Text
	found  Contract
}

// decode reads an answer that is a single value, with read, and returns how it
// departs from the documented one. Nothing that was read holds on to the body.
func decode(answer reply, read func(r *reader) error) (Contract, error) {
	r := &reader{reply: answer}
	if err := read(r); err != nil {
		return Contract{}, err
	}
	r.space()
	if r.at != len(r.body) {
		return Contract{}, r.syntax()
	}
	slices.Sort(r.found.Unknown)
	slices.Sort(r.found.Missing)
	return r.found, nil
}

// unknown notes a member that is not documented.
func (r *reader) unknown(path string, name []byte) {
	if len(r.found.Unknown) == maxUnknown {
		return
	}
	if field := path + r.shown(name); !slices.Contains(r.found.Unknown, field) {
		r.found.Unknown = append(r.found.Unknown, field)
	}
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
		v, err := r.number(kind)
		*target = NumberOf(v)
		return err
	case *Timestamp:
		*target, err = r.timestamp(kind)
		return err
	case *Text:
		*target, err = r.text(kind)
		return err
	case **bool:
		*target, err = r.boolean(kind)
		return err
	case *[]Operator:
		*target, err = list(r, newObject[Operator](operatorShape))
		return err
	}
	panic(fmt.Sprintf("chattonic: a field of an answer cannot be a %T", target))
}

// short reads a number that has few digits and no exponent, as most have, in a
// single look at it. It says whether there was one: a float64 stands for its
// digits and for the power of ten, and so the quotient is the nearest to it.
func (r *reader) short(into *Number) bool {
	b, at := r.body, r.at
	negative := at < len(b) && b[at] == '-'
	if negative {
		at++
	}
	start, n := at, uint64(0)
	for ; at < len(b) && b[at]-'0' <= 9; at++ {
		n = n*10 + uint64(b[at]-'0')
	}
	whole, places := at-start, 0
	if at < len(b) && b[at] == '.' {
		point := at
		for at++; at < len(b) && b[at]-'0' <= 9; at++ {
			n = n*10 + uint64(b[at]-'0')
		}
		if places = at - point - 1; places == 0 {
			return false
		}
	}
	if at == len(b) || b[at]|0x20 == 'e' || whole == 0 || whole+places > exactDigits || b[start] == '0' && whole > 1 {
		return false
	}
	r.at = at
	v := float64(n)
	if places > 0 {
		v /= powersOfTen[places]
	}
	if negative {
		v = -v
	}
	*into = NumberOf(v)
	return true
}

var powersOfTen = [exactDigits + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// shape is what is known of objects before they are read.
type shape struct {
	path  string         // before the names of the members, such as "operators."
	names map[string]int // of the members that are documented
	// indices are those of the fields in the struct. Their members are the first,
	// and those without a field follow, whose own shape is in within where they
	// are objects.
	indices []int
	within  []*shape
	// required are the members that the documented answer always has: a bit for
	// each.
	required uint64
}

// newShape returns the shape of objects that are read to a T, whose members are
// found by their json tags.
func newShape[T any](path string, besides documented) *shape {
	s := &shape{path: path, names: make(map[string]int)}
	into := reflect.TypeFor[T]()
	for i := range into.NumField() {
		if name := into.Field(i).Tag.Get("json"); name != "-" {
			s.names[name] = len(s.names)
			s.indices = append(s.indices, i)
		}
	}
	for _, member := range besides.unused {
		var within *shape
		if member.members != nil {
			within = newShape[struct{}](path+member.name+".", documented{unused: member.members})
		}
		s.names[member.name] = len(s.names)
		s.within = append(s.within, within)
	}
	s.required = 1<<len(s.names) - 1
	for _, name := range besides.optional {
		s.required &^= 1 << s.names[name]
	}
	return s
}

// object is where an object is read to: a T, again and again.
type object[T any] struct {
	*shape
	item   T
	fields []field // of the item, and then the members without one
	// missing are the required members that some object has not: a bit for each.
	missing uint64
	// members are those that came so far, in their order. Objects of a list
	// mostly have the same: to compare with what is expected next takes less
	// time than to read a name and to look it up.
	members []member
}

// field is a pointer to a field, which is of one type, or none for a documented
// member without a field.
type field struct {
	number *Number
	text   *Text
	any    any
	// within reads the members of such a member where it is an object.
	within *object[struct{}]
}

// member is the member of an object as it was written, up to its value, and the
// field of its name, or none.
type member struct {
	text  string
	field int
}

const (
	none = -1
	// maxMembers bounds how many members are remembered.
	maxMembers = 64
)

func newObject[T any](s *shape) *object[T] {
	o := &object[T]{shape: s, fields: make([]field, len(s.names))}
	into := reflect.ValueOf(&o.item).Elem()
	for i, index := range s.indices {
		pointer := into.Field(index).Addr().Interface()
		number, _ := pointer.(*Number)
		text, _ := pointer.(*Text)
		o.fields[i] = field{number: number, text: text, any: pointer}
	}
	for i, within := range s.within {
		if within != nil {
			o.fields[len(s.indices)+i].within = newObject[struct{}](within)
		}
	}
	return o
}

// read reads an object into the item, and passes over members without a field.
func (o *object[T]) read(r *reader) error {
	kind, err := r.kind()
	if err != nil {
		return err
	}
	if kind != '{' {
		return wrongType(kindNames[kind])
	}
	o.item = *new(T)
	var seen uint64 // a bit for each field
	next := 0       // of members
	more, err := r.open('}')
	for ; more && err == nil; more, err = r.more('}') {
		i, err := o.member(r, &next)
		if err != nil {
			return err
		}
		if i == none {
			if err := r.skip(); err != nil {
				return err
			}
			continue
		}
		f := &o.fields[i]
		if seen&(1<<i) != 0 && f.any != nil {
			return o.inField(i, &fieldError{problem: "comes twice"})
		}
		seen |= 1 << i
		switch {
		case f.number != nil && r.short(f.number):
			continue
		case f.text != nil && r.at < len(r.body) && r.body[r.at] == '"':
			*f.text, err = r.text('"')
		case f.any == nil:
			err = r.pass(f.within)
		default:
			err = r.value(f.any)
		}
		if err != nil {
			return o.inField(i, err)
		}
	}
	if o.required&^seen&^o.missing != 0 {
		o.miss(r, seen)
	}
	return err
}

// miss notes the documented members that an object has not.
func (o *object[T]) miss(r *reader, seen uint64) {
	for name, i := range o.names {
		if o.required&^seen&^o.missing&(1<<i) != 0 {
			r.found.Missing = append(r.found.Missing, o.path+name)
		}
	}
	o.missing |= o.required &^ seen
}

// pass passes over a member without a field, whose members are those of within.
func (r *reader) pass(within *object[struct{}]) error {
	r.space()
	if within != nil && r.at < len(r.body) && r.body[r.at] == '{' {
		return within.read(r)
	}
	return r.skip()
}

// member reads a name and its colon, and returns the field. It expects it to be
// the next of the members or, as one may be left out, that after it.
func (o *object[T]) member(r *reader, next *int) (field int, err error) {
	r.space()
	start := r.at
	for i := *next; i < len(o.members) && i < *next+2; i++ {
		m := &o.members[i]
		if end := start + len(m.text); end <= len(r.body) && string(r.body[start:end]) == m.text {
			r.at, *next = end, i+1
			return m.field, nil
		}
	}
	name, err := r.name()
	if err != nil {
		return none, err
	}
	field, found := o.names[string(name)]
	if !found {
		field = none
		r.unknown(o.path, name)
	}
	m := member{string(r.body[start:r.at]), field}
	switch known := slices.Index(o.members, m); {
	case known >= 0:
		*next = known + 1
	case len(o.members) < maxMembers:
		o.members = slices.Insert(o.members, *next, m)
		*next++
	}
	return field, nil
}

// inField adds the name of a field in front of the path of an error.
func (o *object[T]) inField(field int, err error) error {
	for name, i := range o.names {
		if i == field {
			return inField(name, err)
		}
	}
	return err
}

// list reads an array of objects, each with o. It is never nil.
func list[T any](r *reader, o *object[T]) ([]T, error) {
	kind, err := r.kind()
	if err != nil {
		return nil, err
	}
	if kind != '[' {
		return nil, wrongType(kindNames[kind])
	}
	items := []T{}
	start := r.at
	more, err := r.open(']')
	for ; more && err == nil; more, err = r.more(']') {
		if err := o.read(r); err != nil {
			return nil, err
		}
		if len(items) == cap(items) {
			// As many as there may be if the others are as long, and some more, as
			// to grow again is to copy; but no more memory than the body has.
			rest, size := len(r.body)-r.at, int(reflect.TypeFor[T]().Size())
			likely := rest / max(1, (r.at-start)/(len(items)+1))
			items = slices.Grow(items, min(likely+likely/8, rest/size)+1)
		}
		items = append(items, o.item)
	}
	return items, err
}

// name reads the name of a member, and its colon.
func (r *reader) name() ([]byte, error) {
	name, form, err := r.string()
	if err != nil {
		return nil, err
	}
	if form == escaped {
		name = []byte(unescape(name))
	}
	if !r.take(':') {
		return nil, r.syntax()
	}
	return name, nil
}

// open passes over the bracket that kind has seen, and says whether anything
// stands between it and its end.
func (r *reader) open(end byte) (more bool, err error) {
	if r.depth == maxDepth {
		return false, errDepth
	}
	r.at++
	if r.take(end) {
		return false, nil
	}
	r.depth++
	return true, nil
}

// more passes over the comma or the end behind one of the parts that stand
// between brackets, and says whether there is another.
func (r *reader) more(end byte) (more bool, err error) {
	switch {
	case r.take(','):
		return true, nil
	case r.take(end):
		r.depth--
		return false, nil
	}
	return false, r.syntax()
}

// skip passes over a value of any kind.
func (r *reader) skip() error {
	kind, err := r.kind()
	if err != nil {
		return err
	}
	switch kind {
	case '{':
		more, err := r.open('}')
		for ; more && err == nil; more, err = r.more('}') {
			r.space()
			if _, err := r.name(); err != nil {
				return err
			}
			if err := r.skip(); err != nil {
				return err
			}
		}
		return err
	case '[':
		more, err := r.open(']')
		for ; more && err == nil; more, err = r.more(']') {
			if err := r.skip(); err != nil {
				return err
			}
		}
		return err
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

// timestamp reads an RFC 3339 string or milliseconds since 1970. The API
// documents only null, so both usual forms are understood.
func (r *reader) timestamp(kind byte) (Timestamp, error) {
	if kind == '"' {
		start := r.at
		text, _, err := r.string()
		if err != nil {
			return Timestamp{}, err
		}
		var at time.Time
		if at.UnmarshalText(text) == nil {
			return TimestampOf(at), nil
		}
		r.at = start
	}
	milliseconds, err := r.number(kind)
	return timestampOf(milliseconds), err
}

// text reads a string, in which what is not UTF-8 becomes U+FFFD.
func (r *reader) text(kind byte) (Text, error) {
	if kind != '"' {
		return "", wrongType(kindNames[kind])
	}
	raw, form, err := r.string()
	switch {
	case err != nil:
		return "", err
	case len(raw) > maxText:
		return "", &fieldError{problem: fmt.Sprintf("is longer than %d bytes", maxText)}
	case form == ascii, form == plain && utf8.Valid(raw):
		return r.keep(raw), nil
	}
	return Text(unescape(raw)), nil
}

// keep returns a copy of the text. Those of an answer share their memory, in
// pieces: one by one they would be most of what an answer allocates.
func (r *reader) keep(raw []byte) Text {
	if n := len(raw); n > 0 && n <= maxState {
		known := &r.states[(n+int(raw[n-1]))%len(r.states)]
		if string(*known) != string(raw) {
			*known = r.copied(raw)
		}
		return *known
	}
	return r.copied(raw)
}

func (r *reader) copied(raw []byte) Text {
	if r.texts.Cap()-r.texts.Len() < len(raw) {
		r.texts = strings.Builder{}
		r.texts.Grow(max(len(raw), min(len(r.body)/textShare, maxTexts)))
	}
	start := r.texts.Len()
	r.texts.Write(raw)
	return Text(r.texts.String()[start:])
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

// form is what a string is made of.
type form int

const (
	ascii form = iota
	// plain strings have no escapes.
	plain
	escaped
)

// string reads a string and returns what is between the quotes, and its form.
// It looks at eight bytes at a time.
func (r *reader) string() (raw []byte, f form, err error) {
	if r.at == len(r.body) || r.body[r.at] != '"' {
		return nil, ascii, r.syntax()
	}
	r.at++
	start := r.at
	var high uint64 // the bits that ASCII does not use
	for {
		for ; r.at+8 <= len(r.body); r.at += 8 {
			word := binary.LittleEndian.Uint64(r.body[r.at:])
			if special := specialBytes(word); special != 0 {
				n := bits.TrailingZeros64(special) / 8
				high |= word & (1<<(8*n) - 1)
				r.at += n
				break
			}
			high |= word
		}
		for ; r.at < len(r.body) && r.body[r.at] != '"' && r.body[r.at] != '\\' && r.body[r.at] >= ' '; r.at++ {
			high |= uint64(r.body[r.at])
		}
		switch {
		case r.at == len(r.body) || r.body[r.at] < ' ':
			return nil, ascii, r.syntax()
		case r.body[r.at] == '"':
			r.at++
			raw = r.body[start : r.at-1]
			if f == ascii && high&eachByte(0x80) != 0 {
				f = plain
			}
			return raw, f, nil
		}
		f = escaped
		if err := r.escape(); err != nil {
			return nil, ascii, err
		}
		r.at++
	}
}

// eachByte returns a word of eight times the byte.
func eachByte(b byte) uint64 { return uint64(b) * 0x0101010101010101 }

// specialBytes returns a word whose lowest bit that is set is in the first byte
// of word that is a quote, a backslash or a control character, or 0 where none
// is: a byte minus one has its high bit set, where the byte has not, if it is 0.
func specialBytes(word uint64) uint64 {
	quote, backslash := word^eachByte('"'), word^eachByte('\\')
	return ((quote-eachByte(1))&^quote | (backslash-eachByte(1))&^backslash | (word-eachByte(' '))&^word) & eachByte(0x80)
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

// space passes over white space, which most answers have little of.
func (r *reader) space() {
	if r.at < len(r.body) && r.body[r.at] > ' ' {
		return
	}
	r.spaces()
}

func (r *reader) spaces() {
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
	if r.at < len(r.body) && r.body[r.at] == c {
		r.at++
		return true
	}
	return r.takeBehindSpace(c)
}

func (r *reader) takeBehindSpace(c byte) bool {
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
	whole, small := 0, len(text) > 0 && len(text) <= exactDigits
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
