// Package exposition writes gauges in the text formats of Prometheus and OpenMetrics.
//
// Many samples of a scrape have the same labels. They are rendered once, by
// [AppendLabel], and a [Writer] copies them into each line.
package exposition

import (
	"io"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// chunkSize is the number of bytes that a Writer buffers before it writes them.
const chunkSize = 64 << 10

// Writer writes metric families of gauges. Close must be called at the end.
type Writer struct {
	out         io.Writer
	openMetrics bool
	timestamp   string // of each sample, with a leading space
	name        string // of the current family
	header      int    // offset of the family's header in buf; -1 once it has samples
	buf         []byte
	err         error
}

// buffers pools the buffers of Writers. Without it, a scrape of a small team allocates
// more bytes than it writes.
var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, chunkSize+chunkSize/4)) }}

// NewWriter returns a Writer for the OpenMetrics text format or, if openMetrics is false,
// for the Prometheus text format.
func NewWriter(out io.Writer, openMetrics bool) *Writer {
	buf, _ := buffers.Get().(*[]byte)
	return &Writer{out: out, openMetrics: openMetrics, header: -1, buf: (*buf)[:0]}
}

// SetTimestamp sets the timestamp of the following samples, with millisecond precision.
// It is written in the OpenMetrics format: seconds since 1970.
func (w *Writer) SetTimestamp(t time.Time) {
	w.timestamp = " " + strconv.FormatFloat(float64(t.UnixMilli())/1e3, 'f', -1, 64)
}

// Family starts a metric family. A family without samples is not written.
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

// Sample writes a sample of the family. The rendered labels are concatenated without
// separators, so the caller must add a comma between labels.
func (w *Writer) Sample(value float64, labels ...[]byte) {
	w.header = -1
	b := append(append(w.buf, w.name...), '{')
	for _, l := range labels {
		b = append(b, l...)
	}
	b = appendNumber(append(b, '}', ' '), value, w.openMetrics)
	w.buf = append(append(b, w.timestamp...), '\n')
	if len(w.buf) >= chunkSize {
		w.write()
	}
}

// Flush writes the buffered bytes. It returns the first error of the underlying
// io.Writer. More families may follow.
func (w *Writer) Flush() error {
	w.dropEmptyFamily()
	w.write()
	return w.err
}

// Close releases the Writer's buffer without writing it. Call Flush before.
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

// OpenMetrics escapes quotes in HELP texts, the Prometheus format does not.
var (
	plainHelpEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	helpEscaper      = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

// AppendLabel appends a label such as team="acme" and escapes its value.
func AppendLabel(b []byte, name, value string) []byte {
	b = append(append(b, name...), '=', '"')
	// Few values need escaping. strings.ContainsAny takes four times as long.
	if strings.IndexByte(value, '"') >= 0 || strings.IndexByte(value, '\\') >= 0 || strings.IndexByte(value, '\n') >= 0 {
		value = helpEscaper.Replace(value)
	}
	return append(append(b, value...), '"')
}

// appendNumber appends a number in the same format as prometheus/common.
func appendNumber(b []byte, v float64, openMetrics bool) []byte {
	if v == math.Trunc(v) && math.Abs(v) < 1e6 { // larger numbers have an exponent in the format g
		b = strconv.AppendInt(b, int64(v), 10)
		if openMetrics {
			b = append(b, ".0"...)
		}
		return b
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64) // never looks like an integer
}
