package collector

import (
	"fmt"
	"time"

	"chattonic_exporter/chattonic"
)

// The sources of metrics that do not come from a single field of the API.
const (
	fromExporter = "Source: exporter"
	fromAnswer   = "Source: content of the API's answer"
)

// outcome is the outcome of requesting one endpoint for one window.
type outcome struct {
	collector   chattonic.Text
	err         error
	duration    time.Duration
	lastSuccess chattonic.Timestamp
	window      chattonic.Window // of the answer, or the requested one after a failure
}

// teamState is the state of a team at the time of a scrape.
type teamState struct {
	up        bool
	threshold chattonic.Number
	open      chattonic.Number // 1 within business hours, 0 outside
}

var outcomeTable = newTable("",
	[]label[outcome]{
		{name: "collector", get: func(o *outcome) fmt.Stringer { return o.collector }},
	},
	row[outcome]{
		name: "chattonic_scrape_collector_success", windowed: true, current: true, source: fromExporter,
		help:   "Whether the request to the endpoint for the window succeeded (1) or failed (0).",
		values: single(func(o *outcome) number { return boolean(o.err == nil) }),
	},
	row[outcome]{
		name: "chattonic_scrape_collector_duration_seconds", windowed: true, current: true, source: fromExporter,
		help:   "Seconds the scrape waited for the endpoint's answer for the window.",
		values: single(func(o *outcome) number { return chattonic.NumberOf(o.duration.Seconds()) }),
	},
	row[outcome]{
		name: "chattonic_scrape_collector_last_success_timestamp_seconds", windowed: true, current: true, source: fromExporter,
		help:   "Unix time in seconds of the endpoint's last successful answer for the window; absent before the first.",
		values: single(func(o *outcome) number { return o.lastSuccess }),
	},
)

var teamStateTable = newTable("", nil,
	row[teamState]{
		name: "chattonic_up", current: true, source: fromExporter,
		help:   "Whether the requests to all endpoints of the team succeeded for all windows (1) or not (0).",
		values: single(func(s *teamState) number { return boolean(s.up) }),
	},
	row[teamState]{
		name: "chattonic_queries_pending_threshold", current: true, source: "Configuration key: thresholds.queries_pending",
		help:   "Alert threshold for the number of pending queries; absent if not configured.",
		values: single(func(s *teamState) number { return s.threshold }),
	},
	row[teamState]{
		name: "chattonic_within_business_hours", current: true, source: "Configuration key: business_hours",
		help:   "Whether the scrape is within the team's business hours (1) or not (0); absent if none are configured.",
		values: single(func(s *teamState) number { return s.open }),
	},
)

var windowTable = newTable("", nil,
	row[chattonic.Window]{
		name: "chattonic_window_start_timestamp_seconds", windowed: true, source: "API parameter: startDate",
		help:   "Unix time in seconds of the start of the requested window.",
		values: single(func(w *chattonic.Window) number { return chattonic.TimestampOf(w.Start) }),
	},
	row[chattonic.Window]{
		name: "chattonic_window_end_timestamp_seconds", windowed: true, source: "API parameter: endDate",
		help:   "Unix time in seconds of the end of the requested window.",
		values: single(func(w *chattonic.Window) number { return chattonic.TimestampOf(w.End) }),
	},
)

// apiPause is a pause that the API asked for.
type apiPause struct {
	endpoint chattonic.Text
	until    chattonic.Timestamp
}

var pauseTable = newTable("",
	[]label[apiPause]{
		{name: "endpoint", get: func(p *apiPause) fmt.Stringer { return p.endpoint }},
	},
	row[apiPause]{
		name: "chattonic_api_paused_until_timestamp_seconds", current: true, source: fromExporter,
		help:   "Unix time in seconds until which the endpoint is not requested because the API answered HTTP 429 or 503; absent without a pause.",
		values: single(func(p *apiPause) number { return p.until }),
	},
)

func boolean(b bool) number {
	if b {
		return integer(1)
	}
	return integer(0)
}
