package web

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"chattonic_exporter/chattonic"
)

// tableCell is a value on a page: its text, and the value to sort by.
type tableCell struct{ Text, Sort string }

// noCell is the cell without a value.
var noCell = tableCell{Text: "–"}

// cell shows a number, rounded to two decimal places.
func (t translator) cell(v float64) tableCell {
	text := t.Number(v)
	if math.Abs(v) >= 1e15 {
		text = strconv.FormatFloat(v, 'g', 4, 64)
	}
	return tableCell{text, strconv.FormatFloat(v, 'g', -1, 64)}
}

func (t translator) countCell(n int) tableCell { return t.cell(float64(n)) }

// numberCell shows a number that may be absent.
func (t translator) numberCell(n chattonic.Number) tableCell {
	v, present := n.Float64()
	if !present {
		return noCell
	}
	return t.cell(v)
}

// durationCell shows a number of units as hours, minutes and seconds.
func (t translator) durationCell(n chattonic.Number, unit time.Duration) tableCell {
	value, present := n.Float64()
	seconds := math.Round(value * unit.Seconds())
	if !present || seconds < 0 || seconds > 1e9 {
		return t.numberCell(n) // not a plausible duration
	}
	whole := int64(seconds)
	return tableCell{fmt.Sprintf("%d:%02d:%02d", whole/3600, whole/60%60, whole%60), strconv.FormatInt(whole, 10)}
}

// timeCell shows a time of an answer in the time zone of now.
func (t translator) timeCell(at chattonic.Timestamp, now time.Time) tableCell {
	seconds, present := at.Float64()
	if !present || math.Abs(seconds) > 1e11 { // the year has more than four digits
		return noCell
	}
	return tableCell{t.Clock(time.UnixMilli(int64(seconds*1e3)), now), strconv.FormatFloat(seconds, 'f', 3, 64)}
}

// reason returns the text of an error without the endpoint, which the pages show separately.
// Errors of the client contain no text from answers and no token.
func reason(err error) string {
	if e := new(chattonic.Error); errors.As(err, e) {
		return e.Detail
	}
	return err.Error()
}
