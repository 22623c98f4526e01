package chattonic

import "time"

// Window is the interval of time [Start, End) that an answer is about.
type Window struct {
	// Name is what the window is called in a configuration, such as "24h" or
	// "today". The API does not see it.
	Name string
	// Start is the first instant of the window.
	Start time.Time
	// End is the first instant after the window.
	End time.Time
}
