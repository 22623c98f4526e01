package chattonic

import (
	"context"
	"errors"
	"time"
)

// Dashboard is the answer of the dashboard endpoint.
type Dashboard struct {
	// Window is what was asked for.
	Window Window
	// ReceivedAt is when the answer had been read.
	ReceivedAt time.Time
	// Contract is how the answer departs from the documented one.
	Contract Contract
	// Rows holds one row for each bucket of the date format, in the order in
	// which they came. The documented answer has a single one.
	Rows []DashboardRow
}

// DashboardRow is one row of the dashboard: the team's users, messages and
// queries. The scale of its scores is not documented.
type DashboardRow struct {
	// Date names the bucket. What the documented "0" stands for is not
	// documented.
	Date Text `json:"date"`

	// TotalUsers counts the users of all time.
	TotalUsers Number `json:"totalUsers"`
	// TotalMessagesReceived counts the messages received in all time.
	TotalMessagesReceived Number `json:"totalMessagesReceived"`
	// TotalMessagesSent counts the messages sent in all time.
	TotalMessagesSent Number `json:"totalMessagesSent"`

	// NewUsers counts the users who came for the first time.
	NewUsers Number `json:"newUsers"`
	// ActiveUsers counts the users who were active; one who is active in two
	// buckets counts in both.
	ActiveUsers Number `json:"activeUsers"`
	// MessagesReceived counts the messages received.
	MessagesReceived Number `json:"messagesReceived"`
	// MessagesSent counts the messages sent.
	MessagesSent Number `json:"messagesSent"`

	// Pending counts the queries that wait.
	Pending Number `json:"pending"`
	// Progress counts the queries in progress.
	Progress Number `json:"progress"`
	// Resolved counts the resolved queries.
	Resolved Number `json:"resolved"`
	// Failed counts the failed queries.
	Failed Number `json:"failed"`

	// UserEfficiency is a score of the API's own.
	UserEfficiency Number `json:"userEfficiency"`
	// Attention is a score of the API's own.
	Attention Number `json:"attention"`
	// Resolution is a score of the API's own.
	Resolution Number `json:"resolution"`
	// AttentionAndResolution is a score of the API's own.
	AttentionAndResolution Number `json:"attentionAndResolution"`
	// NPS is the net promoter score.
	NPS Number `json:"nps"`
	// CSAT is the customer satisfaction score.
	CSAT Number `json:"csat"`
}

var rowShape = newShape[DashboardRow]("", documented{})

// Dashboard asks for the team's dashboard over the window.
func (c *Client) Dashboard(ctx context.Context, window Window) (*Dashboard, error) {
	answer := &Dashboard{Window: window}
	query := [][2]string{{"dateFormatGroup", c.dateFormatGroup}, {"queryName", "dashboard"}}
	err := c.get(ctx, EndpointDashboard, window, query, func(r reply) (err error) {
		if refused(r.body) {
			return errStatusFalse
		}
		answer.Contract, err = decode(r, func(r *reader) (err error) {
			answer.Rows, err = list(r, newObject[DashboardRow](rowShape))
			return err
		})
		if err == nil && len(answer.Rows) == 0 {
			return errors.New("the list of rows is empty")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	answer.ReceivedAt = c.now()
	return answer, nil
}
