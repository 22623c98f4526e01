package config

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/calendar"
)

// The types of scalars in a file. Their errors do not quote the text.
type (
	codename        string
	displayName     string
	baseURL         string
	dateFormatGroup string
	duration        time.Duration
	operatorState   string
	threshold       float64
	callsPerMinute  int
	timeOfDay       int // minutes since midnight
	timeZone        struct{ *time.Location }
)

// UnmarshalText parses a codename.
func (c *codename) UnmarshalText(text []byte) error {
	*c = codename(text)
	return chattonic.CheckCodename(string(text))
}

// maxDisplayName is the maximum length of a display name in characters.
const maxDisplayName = 60

// UnmarshalText parses a display name.
func (n *displayName) UnmarshalText(text []byte) error {
	*n = displayName(text)
	if strings.TrimSpace(string(text)) == "" || utf8.RuneCount(text) > maxDisplayName || bytes.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("not a display name: use a text of at most %d printable characters", maxDisplayName)
	}
	return nil
}

// UnmarshalText parses a base URL.
func (u *baseURL) UnmarshalText(text []byte) error {
	*u = baseURL(text)
	_, err := chattonic.ParseBaseURL(string(text))
	return err
}

// UnmarshalText parses a date format.
func (f *dateFormatGroup) UnmarshalText(text []byte) error {
	*f = dateFormatGroup(text)
	if len(text) == 0 {
		return fmt.Errorf("the format is empty: use one such as %q, or a constant such as 0 for a single row", chattonic.DefaultDateFormatGroup)
	}
	return nil
}

// UnmarshalText parses the name of a state. White space around it is refused, because no
// state of the API would equal it.
func (s *operatorState) UnmarshalText(text []byte) error {
	*s = operatorState(text)
	if len(text) == 0 || strings.TrimSpace(string(text)) != string(text) {
		return errors.New("not a state: use one that the API returns, such as online, without spaces around it; check teams lists them")
	}
	return nil
}

// UnmarshalText parses a duration such as 5m.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := model.ParseDuration(string(text))
	*d = duration(parsed)
	if err != nil {
		return errors.New("not a duration: use one such as 0s, 30s, 5m or 1h30m")
	}
	return nil
}

// UnmarshalText parses a number of at least 0.
func (t *threshold) UnmarshalText(text []byte) error {
	number, err := strconv.ParseFloat(string(text), 64)
	*t = threshold(number)
	if err != nil || number < 0 || math.IsNaN(number) || math.IsInf(number, 0) {
		return errors.New("not a threshold: use a number of at least 0")
	}
	return nil
}

// UnmarshalText parses a whole number of at least 1.
func (c *callsPerMinute) UnmarshalText(text []byte) error {
	number, err := strconv.ParseUint(string(text), 10, 31)
	*c = callsPerMinute(number)
	if err != nil || number == 0 {
		return errors.New("not a number of calls: use a whole number of at least 1, or null for no limit")
	}
	return nil
}

// UnmarshalText parses a time from 00:00 to 24:00.
func (t *timeOfDay) UnmarshalText(text []byte) error {
	if string(text) == "24:00" {
		*t = 24 * 60
		return nil
	}
	clock, err := time.Parse("15:04", string(text))
	*t = timeOfDay(clock.Hour()*60 + clock.Minute())
	if err != nil || len(text) != len("09:00") { // time.Parse also accepts 9:00
		return errors.New(`not a time of day: use one from "00:00" to "23:59", and as an end also "24:00"`)
	}
	return nil
}

// UnmarshalText parses the name of a time zone. It refuses "" and "Local", which
// time.LoadLocation accepts: the meaning of a file must not depend on the machine.
func (z *timeZone) UnmarshalText(text []byte) (err error) {
	name := string(text)
	z.Location, err = time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return errors.New("unknown time zone: use an IANA name such as UTC or America/Sao_Paulo")
	}
	return nil
}

// endpoint is the name of one of chattonic.ReadEndpoints.
type endpoint string

func (endpoint) choices() (names []string) {
	for _, e := range chattonic.ReadEndpoints() {
		names = append(names, string(e))
	}
	return names
}

// durationUnit is the name of one of DurationUnits.
type durationUnit string

func (durationUnit) choices() (names []string) {
	for _, u := range DurationUnits {
		names = append(names, u.Name)
	}
	return names
}

// weekday is the name of a day of the week.
type weekday string

// weekdays holds the names of the days, indexed by time.Weekday.
var weekdays = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

func (weekday) choices() []string { return weekdays }

// businessHours is the schema of business hours.
type businessHours struct {
	Timezone timeZone    `yaml:"timezone"`
	Hours    *[]interval `yaml:"hours"` // null removes the default
}

// interval is the schema of an entry of hours.
type interval struct {
	Days []weekday  `yaml:"days"`
	From *timeOfDay `yaml:"from"`
	To   *timeOfDay `yaml:"to"`
}

// hoursExample is an example of hours in errors.
const hoursExample = `[{days: [monday, friday], from: "09:00", to: "18:00"}]`

func (businessHours) check(node *yaml.Node) error {
	if len(node.Content) > 0 && valueOf(node, "hours") == nil {
		return errorAt(node, "hours is missing: add a list such as %s", hoursExample)
	}
	return nil
}

func (i interval) check(node *yaml.Node) error {
	switch {
	case i.Days == nil, i.From == nil, i.To == nil:
		return errorAt(node, "days, from or to is missing: set all three, such as %s", hoursExample)
	case *i.From == *i.To:
		return errorAt(node, `from and to are the same: use "00:00" and "24:00" for a whole day`)
	case *i.From == 24*60:
		return errorAt(node, `from is "24:00": use "00:00" of the next day`)
	}
	return nil
}

// inZone returns the business hours, or nil if there are none. zone is the time zone if
// business_hours does not set one.
func (b businessHours) inZone(zone *time.Location) *calendar.BusinessHours {
	if b.Hours == nil {
		return nil
	}
	if b.Timezone.Location != nil {
		zone = b.Timezone.Location
	}
	hours := &calendar.BusinessHours{Location: zone}
	for _, i := range *b.Hours {
		for _, day := range i.Days {
			hours.Intervals = append(hours.Intervals, calendar.Interval{
				Day: time.Weekday(slices.Index(weekdays, string(day))), From: int(*i.From), To: int(*i.To),
			})
		}
	}
	return hours
}
