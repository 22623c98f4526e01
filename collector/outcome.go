package collector

import (
	"fmt"
	"time"

	"chattonic_exporter/chattonic"
)

// fromExporter is the source of what the exporter says of its own work.
const fromExporter = "From the exporter itself"

// outcome is what became of asking one endpoint for one window.
type outcome struct {
	collector   chattonic.Text
	err         error
	duration    time.Duration
	lastSuccess chattonic.Timestamp
	window      chattonic.Window // that the answer covers, or that was asked for
}

// state is what the exporter knows of a team.
type state struct {
	up        bool
	threshold chattonic.Number
	within    chattonic.Number
}

var outcomeTable = newTable("",
	[]label[outcome]{
		{name: "collector", of: func(o *outcome) fmt.Stringer { return o.collector }},
	},
	row[outcome]{
		name: "chattonic_scrape_collector_success", windowed: true, present: true, source: fromExporter,
		help:   "Whether the endpoint's answer for the window was read (1) or not (0).",
		values: one(func(o *outcome) number { return boolean(o.err == nil) }),
	},
	row[outcome]{
		name: "chattonic_scrape_collector_duration_seconds", windowed: true, present: true, source: fromExporter,
		help:   "How long the scrape took to have the endpoint's answer for the window.",
		values: one(func(o *outcome) number { return chattonic.NumberOf(o.duration.Seconds()) }),
	},
	row[outcome]{
		name: "chattonic_scrape_collector_last_success_timestamp_seconds", windowed: true, present: true, source: fromExporter,
		help:   "When the endpoint last answered for the window, in seconds since 1970; absent where it has not yet.",
		values: one(func(o *outcome) number { return o.lastSuccess }),
	},
)

var stateTable = newTable("", nil,
	row[state]{
		name: "chattonic_up", present: true, source: fromExporter,
		help:   "Whether all of the team's endpoints answered for all of its windows (1) or not (0).",
		values: one(func(s *state) number { return boolean(s.up) }),
	},
	row[state]{
		name: "chattonic_queries_pending_threshold", present: true, source: "From the configuration: thresholds.queries_pending",
		help:   "Pending queries above which the team wants to be told; absent where it is not set.",
		values: one(func(s *state) number { return s.threshold }),
	},
	row[state]{
		name: "chattonic_within_business_hours", present: true, source: "From the configuration: business_hours",
		help:   "Whether the scrape is within the team's business hours (1) or not (0); absent where none are set.",
		values: one(func(s *state) number { return s.within }),
	},
)

var windowTable = newTable("", nil,
	row[chattonic.Window]{
		name: "chattonic_window_start_timestamp_seconds", windowed: true, source: "API parameter: startDate",
		help:   "Start of the window that was asked for, in seconds since 1970.",
		values: one(func(w *chattonic.Window) number { return chattonic.TimestampOf(w.Start) }),
	},
	row[chattonic.Window]{
		name: "chattonic_window_end_timestamp_seconds", windowed: true, source: "API parameter: endDate",
		help:   "End of the window that was asked for, in seconds since 1970.",
		values: one(func(w *chattonic.Window) number { return chattonic.TimestampOf(w.End) }),
	},
)

func boolean(b bool) number {
	if b {
		return count(1)
	}
	return count(0)
}
