package checkalerts

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// drillAlert is the name of the test alert.
const drillAlert = "ChattonicDrill"

// drill sends a test alert, waits for its notification and ends it.
func (c *checker) drill(ctx context.Context) {
	switch {
	case c.alertmanager == nil:
		c.report.add(checkDrill, Failed, "no drill: there is no Alertmanager to send it to", "See above.")
		return
	case len(c.report.Teams) == 0:
		c.report.add(checkDrill, Failed, "no drill: there is no team", "Name one with --team.")
		return
	case c.config == nil:
		c.report.add(checkDrill, Failed, "no drill: the routes are not known", "See above.")
		return
	}
	labels := maps.Clone(c.external)
	if labels == nil {
		labels = make(map[string]string)
	}
	maps.Copy(labels, map[string]string{"alertname": drillAlert, "area": areaQueue, "severity": "critical", "team": c.report.Teams[0], "drill": "true"})
	d, err := c.config.destinationOf(labels, c.Now())
	if err != nil {
		c.unchecked(checkDrill, err)
		return
	}
	limit := d.groupWait + c.Timeout
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	before, err := c.countNotifications(ctx)
	if err != nil {
		c.unchecked(checkDrill, err)
		return
	}
	start := time.Now()
	// Should this program be killed, the alert ends by itself.
	if err := c.post(ctx, labels, start, start.Add(limit+time.Minute)); err != nil {
		c.unchecked(checkDrill, err)
		return
	}
	_, _ = fmt.Fprintf(c.Progress, "Sent the alert %s of team %s. Waiting up to %s for its notification.\n", drillAlert, labels["team"], limit)
	c.awaitNotification(ctx, labels, before, start)
	ending, cancelEnding := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancelEnding()
	if err := c.post(ending, labels, start, time.Now()); err != nil {
		c.report.add(checkDrill, Failed, "the drill could not be ended: "+err.Error(), "It ends by itself in a few minutes.")
	}
}

// post sends the alert, which ends at a time.
func (c *checker) post(ctx context.Context, labels map[string]string, start, end time.Time) error {
	alerts := []map[string]any{{
		"labels": labels,
		"annotations": map[string]string{
			"summary":     "This is a drill: nothing is wrong with team " + labels["team"],
			"description": "Somebody tests with chattonic_exporter check alerts --drill whether alerts arrive. There is nothing to do.",
		},
		"startsAt": start.UTC().Format(time.RFC3339Nano),
		"endsAt":   end.UTC().Format(time.RFC3339Nano),
	}}
	answer, status, err := c.alertmanager.do(ctx, http.MethodPost, "api/v2/alerts", nil, alerts)
	if err == nil && status != http.StatusOK {
		err = c.alertmanager.refused("api/v2/alerts", status, answer)
	}
	return err
}

// notifications counts the attempts to notify and their failures, by integration.
type notifications struct{ attempts, failures map[string]float64 }

// countNotifications reads Alertmanager's own metrics. Requests count each attempt;
// notifications only count as failed after all repetitions.
func (c *checker) countNotifications(ctx context.Context) (n notifications, err error) {
	families, err := c.alertmanager.metrics(ctx)
	if err != nil {
		return n, err
	}
	sum := func(name string) map[string]float64 {
		values := make(map[string]float64)
		for _, m := range families[name].GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "integration" {
					values[label.GetValue()] += m.GetCounter().GetValue()
				}
			}
		}
		return values
	}
	n.attempts, n.failures = sum("alertmanager_notification_requests_total"), sum("alertmanager_notification_requests_failed_total")
	if len(n.attempts) == 0 {
		return n, fmt.Errorf("%s has no metric alertmanager_notification_requests_total, which counts notifications", c.alertmanager)
	}
	return n, nil
}

// awaitNotification waits until each integration that the alert is routed to has
// notified, or one has failed.
func (c *checker) awaitNotification(ctx context.Context, labels map[string]string, before notifications, start time.Time) {
	filter := []string{`alertname="` + drillAlert + `"`, `drill="true"`, fmt.Sprintf("team=%q", labels["team"])}
	tick := time.NewTicker(c.Poll)
	defer tick.Stop()
	routed := "it has not been routed"
	var waiting []string
	for {
		alerts, err := c.alerts(ctx, filter)
		var now notifications
		if err == nil {
			now, err = c.countNotifications(ctx)
		}
		if err != nil && ctx.Err() == nil {
			c.unchecked(checkDrill, err)
			return
		}
		if err == nil && len(alerts) > 0 {
			if blocked := c.blockedBy(alerts[0]); blocked != "" {
				c.report.add(checkDrill, Failed, "the drill is not notified: "+blocked, "See silences, inhibition and routes above.")
				return
			}
			var expected map[string]int
			routed, expected = c.expected(alerts[0], labels)
			var failed []string
			if waiting, failed = now.outcome(before, expected); failed != nil {
				c.report.add(checkDrill, Failed, fmt.Sprintf("the drill was routed to %s, and notifying failed: %s", routed, list(failed)), "Alertmanager's log says why. It tries again; correct address and credentials of the receiver.")
				return
			}
			if len(waiting) == 0 && len(expected) > 0 {
				c.report.add(checkDrill, OK, fmt.Sprintf("the drill was routed to %s, and notified after %s", routed, time.Since(start).Round(100*time.Millisecond)), "Ask the people on call whether they received it: Alertmanager only knows that the next server took it.")
				return
			}
		}
		select {
		case <-ctx.Done():
			c.report.add(checkDrill, Failed, fmt.Sprintf("no notification of the drill within %s: %s; waiting for %s", time.Since(start).Round(100*time.Millisecond), routed, list(waiting)),
				"Alertmanager's log says why. If other alerts of the team fire, their group_interval delays it: raise --timeout.")
			return
		case <-tick.C:
		}
	}
}

// blockedBy says what keeps Alertmanager from notifying about an alert.
func (c *checker) blockedBy(a alert) string {
	var all []string
	for _, by := range []struct {
		how string
		ids []string
	}{{"silenced by", a.Status.SilencedBy}, {"inhibited by", a.Status.InhibitedBy}, {"muted by time interval", a.Status.MutedBy}} {
		if len(by.ids) > 0 {
			all = append(all, by.how+" "+list(by.ids))
		}
	}
	if d, err := c.config.destinationOf(a.Labels, c.Now()); err == nil && len(d.receivers) == 0 && all == nil {
		_, what, _ := d.finding()
		return "alerts like it " + what
	}
	return strings.Join(all, ", ")
}

// expected returns the receivers of an alert, and how many notifications each type of
// integration makes. Receivers that are muted are left out.
func (c *checker) expected(a alert, labels map[string]string) (routed string, counts map[string]int) {
	d, err := c.config.destinationOf(labels, c.Now())
	counts = make(map[string]int)
	var names []string
	for _, r := range a.Receivers {
		names = append(names, r.Name)
		if err == nil && !slices.Contains(d.receivers, r.Name) {
			continue
		}
		for kind, n := range c.config.integrations(r.Name) {
			counts[kind] += n
		}
	}
	return list(unique(names)), counts
}

// outcome compares the counts with those before the drill.
func (n *notifications) outcome(before notifications, expected map[string]int) (waiting, failed []string) {
	for _, kind := range slices.Sorted(maps.Keys(expected)) {
		if n.failures[kind] > before.failures[kind] {
			failed = append(failed, kind)
		}
		if n.attempts[kind]-before.attempts[kind] < float64(expected[kind]) {
			waiting = append(waiting, kind)
		}
	}
	return waiting, failed
}
