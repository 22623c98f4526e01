package chattonic

import (
	"encoding/json"
	"errors"
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

// parseNumber reads a decimal number as JSON has them, or nearly so: 01 and 1.
// pass. The names, underscores and hexadecimal digits that strconv knows besides
// do not.
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

// unmarshalObject decodes an object into the struct that into points to. Unlike
// encoding/json by itself it takes "NPS" for another member than "nps", and of
// members with the same name the last one alone counts, null as well.
func unmarshalObject[T any](data []byte, into *T) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	if members == nil {
		return typeError[T](data)
	}
	fields := reflect.ValueOf(into).Elem()
	for i := range fields.NumField() {
		name := fields.Type().Field(i).Tag.Get("json")
		member, found := members[name]
		if !found || name == "-" {
			continue
		}
		err := json.Unmarshal(member, fields.Field(i).Addr().Interface())
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			kind.Field = strings.TrimSuffix(name+"."+kind.Field, ".")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// typeError names the kind of a value that cannot be a T, never the value.
// unmarshalObject adds the field's name to it.
func typeError[T any](data []byte) error {
	kind := "out-of-range number"
	switch data[0] {
	case 'n':
		kind = "null"
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
