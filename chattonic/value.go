package chattonic

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Number is a number of an answer, which may be absent. Its zero value is
// absent: the API leaves fields out, and a missing count is not a count of 0.
type Number struct {
	value   float64
	present bool
}

// NumberOf returns a Number that is present.
func NumberOf(value float64) Number { return Number{value: value, present: true} }

// Float64 returns the number as it came, and whether there was one.
func (n Number) Float64() (value float64, present bool) { return n.value, n.present }

// String returns the number in the shortest decimal form without an exponent,
// or "" where it is absent.
func (n Number) String() string {
	if !n.present {
		return ""
	}
	return strconv.FormatFloat(n.value, 'f', -1, 64)
}

// UnmarshalJSON reads a number, a string that holds one, or null for absent.
func (n *Number) UnmarshalJSON(data []byte) error {
	*n = Number{}
	if string(data) == "null" {
		return nil
	}
	value, err := parseNumber(unquote(data))
	if err != nil {
		return typeError[Number](data)
	}
	*n = NumberOf(value)
	return nil
}

// Timestamp is a point in time of an answer, which may be absent. Its zero
// value is absent.
type Timestamp struct {
	seconds float64
	present bool
}

// TimestampOf returns a Timestamp that is present, to the millisecond.
func TimestampOf(t time.Time) Timestamp {
	return Timestamp{seconds: float64(t.UnixMilli()) / 1e3, present: true}
}

// Float64 returns the seconds since 1970 in UTC, and whether there was a time.
func (t Timestamp) Float64() (seconds float64, present bool) { return t.seconds, t.present }

// UnmarshalJSON reads an RFC 3339 string, milliseconds since 1970, or null for
// absent. The API documents only null, so both usual forms are understood.
func (t *Timestamp) UnmarshalJSON(data []byte) error {
	*t = Timestamp{}
	if string(data) == "null" {
		return nil
	}
	text := unquote(data)
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		*t = TimestampOf(at)
		return nil
	}
	milliseconds, err := parseNumber(text)
	if err != nil {
		return typeError[Timestamp](data)
	}
	*t = Timestamp{seconds: milliseconds / 1e3, present: true}
	return nil
}

// Text is a string of an answer. An absent one is empty.
type Text string

// String returns the text.
func (t Text) String() string { return string(t) }

// parseNumber reads what JSON calls a number, which leaves out the names,
// underscores and hexadecimal digits that strconv knows besides.
func parseNumber(text string) (float64, error) {
	if text == "" || strings.Trim(text, "0123456789+-.eE") != "" || text[0] == '+' {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(text, 64)
}

// unquote returns the text of a JSON string without escapes, and any other
// value as it is. Neither numbers nor dates need escapes.
func unquote(data []byte) string {
	if len(data) >= 2 && data[0] == '"' {
		data = data[1 : len(data)-1]
	}
	return string(data)
}

// typeError names the kind of a value that cannot be a T, never the value.
// The decoder adds the field's name to it.
func typeError[T any](data []byte) error {
	kind := "out-of-range number"
	switch data[0] {
	case '"':
		kind = "string"
	case '{':
		kind = "object"
	case '[':
		kind = "array"
	case 't', 'f':
		kind = "bool"
	}
	return &json.UnmarshalTypeError{Value: kind, Type: reflect.TypeFor[T]()}
}
