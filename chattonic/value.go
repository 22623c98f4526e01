package chattonic

import (
	"math"
	"strconv"
	"time"
)

// Number is a number of an answer, which may be absent. Its zero value is
// absent: the API leaves fields out, and a missing count is not a count of 0.
type Number struct {
	// bits are those of the number, with those of absent flipped. An answer
	// holds many: a bool beside each would double what it takes.
	bits uint64
}

// absent is a NaN that comes from no calculation and no text.
const absent = 0x7ff8_0000_6e6f_6e65

// NumberOf returns a Number that is present.
func NumberOf(value float64) Number { return Number{math.Float64bits(value) ^ absent} }

// Float64 returns the number as it came, and whether there was one.
func (n Number) Float64() (value float64, present bool) {
	if n.bits == 0 {
		return 0, false
	}
	return math.Float64frombits(n.bits ^ absent), true
}

// String returns the number in the shortest decimal form without an exponent,
// or "" where it is absent.
func (n Number) String() string {
	value, present := n.Float64()
	if !present {
		return ""
	}
	if n := int(value); float64(n) == value && n != 0 { // 0 has a sign
		return strconv.Itoa(n)
	}
	return strconv.FormatFloat(value, 'f', -1, 64)
}

// Timestamp is a point in time of an answer, which may be absent. Its zero
// value is absent.
type Timestamp struct{ seconds Number }

// TimestampOf returns a Timestamp that is present, to the millisecond.
func TimestampOf(t time.Time) Timestamp { return timestampOf(float64(t.UnixMilli())) }

func timestampOf(milliseconds float64) Timestamp { return Timestamp{NumberOf(milliseconds / 1e3)} }

// Float64 returns the seconds since 1970 in UTC, and whether there was a time.
func (t Timestamp) Float64() (seconds float64, present bool) { return t.seconds.Float64() }

// Text is a string of an answer. An absent one is empty.
type Text string

// String returns the text.
func (t Text) String() string { return string(t) }
