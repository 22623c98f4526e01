package chattonic

import "time"

// Window is the time interval [Start, End) that an answer covers.
type Window struct {
	// Name is the name of the window in the configuration, such as "24h" or "today".
	// It is not sent to the API.
	Name string
	// Start is the first instant of the window.
	Start time.Time
	// End is the first instant after the window.
	End time.Time
}
