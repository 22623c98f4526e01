package config

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"chattonic_exporter/internal/calendar"
)

// hoursExample is a list of hours, as an example in errors.
const hoursExample = `[{days: [monday, friday], from: "09:00", to: "18:00"}]`

// weekdays are the names of the days, from time.Sunday on.
var weekdays = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

func readBusinessHours(value *yaml.Node, team *Team) error {
	values, err := mapping(value, []string{"timezone", "hours"})
	if err != nil {
		return err
	}
	location := team.Location
	if zone := values["timezone"]; zone != nil {
		if location, err = readLocation(zone); err != nil {
			return inKey("timezone", err)
		}
	}
	hours := values["hours"]
	switch {
	case hours == nil && len(values) > 0:
		return at(value, "hours is missing: give some, such as %s", hoursExample)
	case hours == nil, isNull(hours): // null drops those of the defaults
		return nil
	}
	intervals, err := readHours(hours)
	if err != nil {
		return inKey("hours", err)
	}
	team.BusinessHours = &calendar.BusinessHours{Location: location, Intervals: intervals}
	return nil
}

func readHours(value *yaml.Node) (intervals []calendar.Interval, err error) {
	elements, err := list(value, hoursExample, ", or null where the team has none")
	if err != nil {
		return nil, err
	}
	for _, element := range elements {
		more, err := readIntervals(element)
		if err != nil {
			return nil, err
		}
		intervals = append(intervals, more...)
	}
	return intervals, nil
}

// readIntervals returns the hours of an element of the list, one for each day.
func readIntervals(element *yaml.Node) (intervals []calendar.Interval, err error) {
	keys := []string{"days", "from", "to"}
	values, err := mapping(element, keys)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if value := values[key]; value == nil || isNull(value) {
			return nil, at(element, "%s is missing: give days, from and to, such as %s", key, hoursExample)
		}
	}
	from, err := readTimeOfDay(values["from"])
	if err != nil {
		return nil, inKey("from", err)
	}
	to := 24 * 60
	if end := values["to"]; end.Value != "24:00" {
		if to, err = readTimeOfDay(end); err != nil {
			return nil, inKey("to", err)
		}
	}
	if from == to {
		return nil, at(element, `from and to are both %q: use "00:00" and "24:00" for a whole day`, values["from"].Value)
	}
	days, err := readDays(values["days"])
	if err != nil {
		return nil, inKey("days", err)
	}
	for _, day := range days {
		intervals = append(intervals, calendar.Interval{Day: day, From: from, To: to})
	}
	return intervals, nil
}

func readDays(value *yaml.Node) (days []time.Weekday, err error) {
	elements, err := uniqueTexts(value, "[monday, friday]", "")
	if err != nil {
		return nil, err
	}
	for _, element := range elements {
		day := slices.Index(weekdays, element.Value)
		if day < 0 {
			return nil, at(element, "unknown day %q: use one of %s", element.Value, strings.Join(weekdays, ", "))
		}
		days = append(days, time.Weekday(day))
	}
	return days, nil
}

// readTimeOfDay returns the minutes from midnight to a time such as 09:00.
func readTimeOfDay(value *yaml.Node) (minutes int, err error) {
	text, err := scalar(value)
	if err != nil {
		return 0, err
	}
	clock, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("09:00") { // the library takes 9:00, too
		return 0, at(value, `%q is not a time of day: use one from "00:00" to "23:59", and as an end also "24:00"`, text)
	}
	return clock.Hour()*60 + clock.Minute(), nil
}
