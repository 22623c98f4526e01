package chattonic

import (
	"strconv"
	"time"
)

// Number is an optional number in an answer. Its zero value is absent: the API omits
// fields, and a missing count is not a count of 0.
type Number struct {
	value   float64
	present bool
}

// NumberOf returns a Number that is present.
func NumberOf(value float64) Number { return Number{value, true} }

// Float64 returns the number as received, and whether it is present.
func (n Number) Float64() (value float64, present bool) { return n.value, n.present }

// String returns the number in the shortest decimal form without an exponent,
// or "" if it is absent.
func (n Number) String() string {
	if !n.present {
		return ""
	}
	return strconv.FormatFloat(n.value, 'f', -1, 64)
}

// Timestamp is an optional point in time in an answer. Its zero value is absent.
type Timestamp struct{ seconds Number }

// TimestampOf returns a Timestamp that is present. It is truncated to milliseconds.
func TimestampOf(t time.Time) Timestamp { return timestampOf(float64(t.UnixMilli())) }

func timestampOf(milliseconds float64) Timestamp { return Timestamp{NumberOf(milliseconds / 1e3)} }

// Float64 returns the seconds since 1970-01-01 UTC, and whether the time is present.
func (t Timestamp) Float64() (seconds float64, present bool) { return t.seconds.Float64() }

// Text is a string in an answer. It is empty if the API omits it.
type Text string

// String returns the text.
func (t Text) String() string { return string(t) }
