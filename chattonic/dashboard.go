package chattonic

import (
	"context"
	"errors"
)

// Dashboard is the answer of the dashboard endpoint.
type Dashboard struct {
	Metadata

	// Rows holds one row for each bucket of the date format, in the order of the
	// answer. There is at least one. The documented answer has exactly one.
	Rows []DashboardRow
}

// DashboardRow is one row of the dashboard: the team's users, messages and
// queries. The scale of its scores is not documented. The fields are in the order
// of the documented answer.
type DashboardRow struct {
	// Date names the bucket. The example in the documentation is "0"; its meaning is
	// not documented.
	Date Text `json:"date"`
	// TotalUsers counts the users of all time.
	TotalUsers Number `json:"totalUsers"`
	// NewUsers counts the new users.
	NewUsers Number `json:"newUsers"`
	// ActiveUsers counts the active users. A user who is active in two buckets counts
	// in both.
	ActiveUsers Number `json:"activeUsers"`
	// TotalMessagesReceived counts the messages received in all time.
	TotalMessagesReceived Number `json:"totalMessagesReceived"`
	// MessagesReceived counts the messages received.
	MessagesReceived Number `json:"messagesReceived"`
	// TotalMessagesSent counts the messages sent in all time.
	TotalMessagesSent Number `json:"totalMessagesSent"`
	// MessagesSent counts the messages sent.
	MessagesSent Number `json:"messagesSent"`
	// Pending counts the pending queries.
	Pending Number `json:"pending"`
	// Progress counts the queries in progress.
	Progress Number `json:"progress"`
	// Resolved counts the resolved queries.
	Resolved Number `json:"resolved"`
	// Failed counts the failed queries.
	Failed Number `json:"failed"`
	// UserEfficiency is a score computed by the API.
	UserEfficiency Number `json:"userEfficiency"`
	// Attention is a score computed by the API.
	Attention Number `json:"attention"`
	// Resolution is a score computed by the API.
	Resolution Number `json:"resolution"`
	// AttentionAndResolution is a score computed by the API.
	AttentionAndResolution Number `json:"attentionAndResolution"`
	// NPS is the net promoter score.
	NPS Number `json:"nps"`
	// CSAT is the customer satisfaction score.
	CSAT Number `json:"csat"`
}

// Dashboard returns the team's dashboard for the window. Its errors are of the type
// [Error].
func (c *Client) Dashboard(ctx context.Context, window Window) (*Dashboard, error) {
	return read[*Dashboard](ctx, c, EndpointDashboard, window)
}

func (d *Dashboard) target() any { return &d.Rows }

func (d *Dashboard) check() error {
	if len(d.Rows) == 0 {
		return errors.New("the list of rows is empty")
	}
	return nil
}
