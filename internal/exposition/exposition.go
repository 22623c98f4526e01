// Package exposition writes gauges as text, in the formats of Prometheus and
// OpenMetrics, straight from where their values are.
//
// The idea: samples differ by little. What many of them share, such as the
// labels of an operator or those of a team and window, is rendered once, by
// [AppendLabel], and a [Writer] copies it into each line. Only the number is
// rendered anew. No sample exists as anything but its line, and the page never
// exists as a whole: the Writer passes on what it has in large pieces.
//
// What is written is what the encoders of prometheus/common write, to the byte.
package exposition

import (
	"io"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pieceSize is the number of bytes from which on a Writer passes on what it has:
// enough to be worth a system call, and few enough to stay in a processor's cache
// until they are compressed.
const pieceSize = 256 << 10

// Writer writes families of gauges, one after the other.
type Writer struct {
	out         io.Writer
	openMetrics bool
	line        []byte // the name of the family and what follows it in each line
	end         []byte // of each line
	buf         []byte
	head        int // where in buf the family begins, as long as it has no samples
	empty       bool
	err         error
}

// writers are to be used again: what they have room for takes longer to
// allocate than a small page to write.
var writers = sync.Pool{New: func() any { return new(Writer) }}

// NewWriter returns a Writer in the format of OpenMetrics or of Prometheus,
// which Close ends.
func NewWriter(out io.Writer, openMetrics bool) *Writer {
	w, _ := writers.Get().(*Writer)
	*w = Writer{out: out, openMetrics: openMetrics, line: w.line[:0], end: append(w.end[:0], '\n'), buf: w.buf[:0]}
	return w
}

// Stamp has the samples from here on carry a time, to the millisecond. It is for
// OpenMetrics, whose times are in seconds since 1970.
func (w *Writer) Stamp(at time.Time) {
	ms := at.UnixMilli()
	w.end = strconv.AppendInt(append(w.end[:0], ' '), ms/1000, 10)
	if rest := ms % 1000; rest != 0 {
		w.end = append(w.end, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
	}
	w.end = append(w.end, '\n')
}

// Family begins a family. One that gets no samples is not written.
func (w *Writer) Family(name, help string) {
	w.dropEmpty()
	w.head, w.empty = len(w.buf), true
	w.line = append(append(w.line[:0], name...), '{')
	w.buf = append(append(append(w.buf, "# HELP "...), name...), ' ')
	w.buf = appendHelp(w.buf, help, w.openMetrics)
	w.buf = append(append(append(w.buf, "\n# TYPE "...), name...), " gauge\n"...)
}

// Sample writes a sample of the family. own are labels as AppendLabel makes
// them, each with a comma after it, and shared are further ones, at least one,
// with commas between them.
func (w *Writer) Sample(own, shared []byte, value float64) {
	w.empty = false
	b := append(append(append(w.buf, w.line...), own...), shared...)
	b = append(appendNumber(append(b, '}', ' '), value, w.openMetrics), w.end...)
	if w.buf = b; len(b) >= pieceSize {
		w.pass()
	}
}

// Flush passes on what is left, and returns the first error of the underlying
// writer. The Writer can be used on.
func (w *Writer) Flush() error {
	w.dropEmpty()
	w.pass()
	return w.err
}

// Close gives the Writer up. What was not flushed is lost.
func (w *Writer) Close() {
	*w = Writer{line: w.line, end: w.end, buf: w.buf}
	writers.Put(w)
}

func (w *Writer) dropEmpty() {
	if w.empty {
		w.buf, w.empty = w.buf[:w.head], false
	}
}

func (w *Writer) pass() {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.out.Write(w.buf)
	}
	w.buf = w.buf[:0]
}

// AppendLabel appends a label, such as team="acme".
func AppendLabel(b []byte, name, value string) []byte {
	b = append(append(b, name...), '=', '"')
	return append(appendEscaped(b, value, '"'), '"')
}

// appendHelp escapes quotes in one format only.
func appendHelp(b []byte, help string, openMetrics bool) []byte {
	if openMetrics {
		return appendEscaped(b, help, '"')
	}
	return appendEscaped(b, help, '\\')
}

// appendEscaped appends text with a backslash before each backslash, line break
// and quote. The line break becomes the letter n.
func appendEscaped(b []byte, text string, quote byte) []byte {
	if strings.IndexByte(text, quote) < 0 && strings.IndexByte(text, '\\') < 0 && strings.IndexByte(text, '\n') < 0 {
		return append(b, text...)
	}
	from := 0
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '\n':
			c = 'n'
		case c != '\\' && c != quote:
			continue
		}
		b = append(append(b, text[from:i]...), '\\', c)
		from = i + 1
	}
	return append(b, text[from:]...)
}

// exact bounds the whole numbers of which each, and each decimal fraction made
// of its digits, is the only one as short that a float64 can stand for.
const exact = 1e15

// appendNumber appends a number in the shortest form from which it can be read
// again. That takes a search in general; but nearly all numbers of the API are
// counts, or have few decimal places. For those a division tells whether the
// digits are right.
func appendNumber(b []byte, v float64, openMetrics bool) []byte {
	if n := int64(v); float64(n) == v && n > -exponentFrom && n < exponentFrom {
		b = appendCount(b, n)
		if openMetrics {
			b = append(b, ".0"...)
		}
		return b
	}
	if scaled := v * 1e6; math.Abs(scaled) < exact {
		if n := int64(math.RoundToEven(scaled)); float64(n)/1e6 == v {
			return appendDecimal(b, n, 6)
		}
	} else if scaled := v * 1e3; math.Abs(scaled) < exact {
		if n := int64(math.RoundToEven(scaled)); float64(n)/1e3 == v {
			return appendDecimal(b, n, 3)
		}
	}
	switch {
	case math.IsNaN(v):
		return append(b, "NaN"...)
	case math.IsInf(v, +1):
		return append(b, "+Inf"...)
	case math.IsInf(v, -1):
		return append(b, "-Inf"...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64) // which has a point or an exponent
}

// appendCount appends a whole number that is mostly small, without the detour by
// which strconv takes those of any size.
func appendCount(b []byte, n int64) []byte {
	switch {
	case n < 0:
		return appendCount(append(b, '-'), -n)
	case n < 10:
		return append(b, byte('0'+n))
	case n < 100:
		return append(b, byte('0'+n/10), byte('0'+n%10))
	case n >= 1000:
		b = appendCount(b, n/1000)
	}
	return append(b, byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10))
}

// exponentFrom is from where on strconv's format g writes an exponent.
const exponentFrom = 1e6

// appendDecimal appends n with the decimal point before its last places digits,
// as strconv's format g does: with an exponent from a million on and below a
// ten-thousandth, and without zeros at the end. It is not for whole numbers that
// need no exponent.
func appendDecimal(b []byte, n int64, places int) []byte {
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	var array [20]byte
	digits := strconv.AppendInt(array[:0], n, 10)
	point := len(digits) - places // before the digit of this number, which may be none
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	switch {
	case point > 6 || point < -3:
		b = append(b, digits[0])
		if len(digits) > 1 {
			b = append(append(b, '.'), digits[1:]...)
		}
		return appendExponent(b, point-1)
	case point <= 0:
		return append(append(b, "0.000"[:2-point]...), digits...)
	}
	return append(append(append(b, digits[:point]...), '.'), digits[point:]...)
}

// appendExponent appends an exponent, which has two digits at least.
func appendExponent(b []byte, exponent int) []byte {
	b = append(b, 'e')
	if exponent < 0 {
		b, exponent = append(b, '-'), -exponent
	} else {
		b = append(b, '+')
	}
	if exponent < 10 {
		b = append(b, '0')
	}
	return strconv.AppendInt(b, int64(exponent), 10)
}
