package config

import (
	"fmt"
	"time"

	"chattonic_exporter/internal/calendar"
)

// ParseTime parses the value of a flag: a time in the format of RFC 3339, or a date such as
// 2021-11-01, which means its first instant in the time zone. The error quotes the text but
// does not name the flag.
func ParseTime(text string, zone *time.Location) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	noon, err := time.ParseInLocation(time.DateOnly+"T15", text+"T12", zone)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time: use one such as 2021-11-01 or 2021-11-01T03:00:00Z", text)
	}
	return calendar.StartOfDay(noon), nil
}
