// Package exposition writes gauges as text in the formats of Prometheus and
// OpenMetrics.
//
// A scrape has many samples that differ in little but their number. Their labels
// are rendered once, by [AppendLabel], and a [Writer] copies them into each line.
package exposition

import (
	"io"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pieceSize is the number of bytes that a Writer collects before it writes them.
const pieceSize = 64 << 10

// Writer writes metric families of gauges, one after the other.
type Writer struct {
	out         io.Writer
	openMetrics bool
	timestamp   string // of each sample, with the blank before it
	name        string // of the family
	header      int    // where buf has the family's header while it has no samples, or -1
	buf         []byte
	err         error
}

// buffers keeps the buffers of Writers. Without it each scrape of a small team
// allocates more than all it writes.
var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, pieceSize+pieceSize/4)) }}

// NewWriter returns a Writer in the format of OpenMetrics or of Prometheus. Close
// ends it.
func NewWriter(out io.Writer, openMetrics bool) *Writer {
	buf, _ := buffers.Get().(*[]byte)
	return &Writer{out: out, openMetrics: openMetrics, header: -1, buf: (*buf)[:0]}
}

// SetTimestamp gives a timestamp in milliseconds to the samples that follow. Its
// form is that of OpenMetrics: seconds since 1970.
func (w *Writer) SetTimestamp(at time.Time) {
	w.timestamp = " " + strconv.FormatFloat(float64(at.UnixMilli())/1e3, 'f', -1, 64)
}

// Family begins a metric family. A family without samples is not written.
func (w *Writer) Family(name, help string) {
	w.dropEmptyFamily()
	w.name, w.header = name, len(w.buf)
	w.buf = append(append(append(w.buf, "# HELP "...), name...), ' ')
	if w.openMetrics {
		w.buf = append(w.buf, helpEscaper.Replace(help)...)
	} else {
		w.buf = append(w.buf, plainHelpEscaper.Replace(help)...)
	}
	w.buf = append(append(append(w.buf, "\n# TYPE "...), name...), " gauge\n"...)
}

// Sample writes a sample of the family. The pieces of labels are joined as they
// are: each label is rendered by AppendLabel, with a comma before the next one.
func (w *Writer) Sample(value float64, labels ...[]byte) {
	w.header = -1
	b := append(append(w.buf, w.name...), '{')
	for _, l := range labels {
		b = append(b, l...)
	}
	b = appendNumber(append(b, '}', ' '), value, w.openMetrics)
	w.buf = append(append(b, w.timestamp...), '\n')
	if len(w.buf) >= pieceSize {
		w.write()
	}
}

// Flush writes what is left and returns the first error of the underlying
// io.Writer. More families may follow.
func (w *Writer) Flush() error {
	w.dropEmptyFamily()
	w.write()
	return w.err
}

// Close releases the Writer's buffer. It does not flush.
func (w *Writer) Close() {
	buf := w.buf
	*w = Writer{}
	buffers.Put(&buf)
}

func (w *Writer) dropEmptyFamily() {
	if w.header >= 0 {
		w.buf, w.header = w.buf[:w.header], -1
	}
}

func (w *Writer) write() {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.out.Write(w.buf)
	}
	w.buf = w.buf[:0]
}

// HELP texts of OpenMetrics escape quotes, those of Prometheus do not.
var (
	plainHelpEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	helpEscaper      = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// AppendLabel appends a label, such as team="acme".
func AppendLabel(b []byte, name, value string) []byte {
	b = append(append(b, name...), '=', '"')
	// Few values need it, and strings.ContainsAny takes four times as long.
	if strings.IndexByte(value, '"') >= 0 || strings.IndexByte(value, '\\') >= 0 || strings.IndexByte(value, '\n') >= 0 {
		value = helpEscaper.Replace(value)
	}
	return append(append(b, value...), '"')
}

// appendNumber appends a number as the encoders of prometheus/common write it.
func appendNumber(b []byte, v float64, openMetrics bool) []byte {
	if v == math.Trunc(v) && math.Abs(v) < 1e6 { // from there on the format g has an exponent
		b = strconv.AppendInt(b, int64(v), 10)
		if openMetrics {
			b = append(b, ".0"...)
		}
		return b
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64) // which has a point, an exponent or a name
}
