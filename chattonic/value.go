package chattonic

import (
	"math"
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

// MarshalJSON returns the number as JSON, or null if it is absent.
func (n Number) MarshalJSON() ([]byte, error) {
	if !n.present {
		return []byte("null"), nil
	}
	return []byte(strconv.FormatFloat(n.value, 'g', -1, 64)), nil
}

// Timestamp is an optional point in time in an answer. Its zero value is absent.
type Timestamp struct{ seconds Number }

// TimestampOf returns a Timestamp that is present. It is truncated to milliseconds.
func TimestampOf(t time.Time) Timestamp { return timestampOf(float64(t.UnixMilli())) }

func timestampOf(milliseconds float64) Timestamp { return Timestamp{NumberOf(milliseconds / 1e3)} }

// Float64 returns the seconds since 1970-01-01 UTC, and whether the time is present.
func (t Timestamp) Float64() (seconds float64, present bool) { return t.seconds.Float64() }

// Time returns the time in UTC, to the millisecond, and whether it is present.
func (t Timestamp) Time() (at time.Time, present bool) {
	seconds, present := t.Float64()
	if !present {
		return at, false
	}
	return time.UnixMilli(int64(math.Round(seconds * 1e3))).UTC(), true
}

// MarshalJSON returns the time as the API writes it, such as "2021-12-01T11:30:00.000Z", or
// null if it is absent.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	at, present := t.Time()
	if !present {
		return []byte("null"), nil
	}
	return []byte(at.Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// Text is a string in an answer. It is empty if the API omits it.
type Text string

// String returns the text.
func (t Text) String() string { return string(t) }
