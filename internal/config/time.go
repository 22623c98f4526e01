package config

import (
	"fmt"
	"time"

	"chattonic_exporter/internal/calendar"
)

// ParseTime reads a time from a flag: as in RFC 3339, or a date such as
// 2021-11-01, whose first instant in the zone is meant. It fails for anything
// else, with the text and no name of a flag.
func ParseTime(text string, zone *time.Location) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	noon, err := time.ParseInLocation(time.DateOnly+"T15", text+"T12", zone)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time: use one such as 2021-11-01 or 2021-11-01T03:00:00Z", text)
	}
	return calendar.StartOfDay(noon), nil
}
