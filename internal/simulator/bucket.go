package simulator

import (
	"fmt"
	"strings"
	"time"
)

// span is an interval [from, to) in milliseconds since 1970.
type span struct{ from, to int64 }

// bucket is what a row of the dashboard is about: the parts of a window that a
// date format gives the same date, in order of time.
type bucket struct {
	date  string
	spans []span
}

// buckets splits a window by a date format, in UTC like the dates of requests,
// into buckets in the order of their first moments. An empty window is one.
func buckets(format string, window span) []bucket {
	if date, constant := formatDate(format, time.Time{}); constant {
		return []bucket{{date: date, spans: []span{window}}}
	}
	const hourMillis = hour * 1000
	var groups []bucket
	index := map[string]int{}
	for from := window.from; from < window.to || groups == nil; {
		to := min(window.to, (from/hourMillis+1)*hourMillis)
		date, _ := formatDate(format, time.UnixMilli(from).UTC())
		i, ok := index[date]
		if !ok {
			i = len(groups)
			index[date] = i
			groups = append(groups, bucket{date: date})
		}
		group := &groups[i]
		if last := len(group.spans) - 1; last >= 0 && group.spans[last].to == from {
			group.spans[last].to = to
		} else {
			group.spans = append(group.spans, span{from, to})
		}
		from = to
	}
	return groups
}

// directives are the parts of a date format that buckets know, and the layouts
// of package time for them.
var directives = map[byte]string{'Y': "2006", 'm': "01", 'd': "02", 'H': "15"}

// formatDate formats a time, and says whether any other one had the same form.
// "%%" is a percent sign.
func formatDate(format string, t time.Time) (date string, constant bool) {
	var b strings.Builder
	constant = true
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		layout, ok := directives[format[i]]
		if !ok {
			b.WriteByte(format[i])
			continue
		}
		b.WriteString(t.Format(layout))
		constant = false
	}
	return b.String(), constant
}

// checkDateFormat refuses what buckets do not know.
func checkDateFormat(format string) error {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		i++
		if i == len(format) || format[i] != '%' && directives[format[i]] == "" {
			return fmt.Errorf("dateFormatGroup %q has a directive other than %%Y, %%m, %%d, %%H and %%%%", format)
		}
	}
	return nil
}
