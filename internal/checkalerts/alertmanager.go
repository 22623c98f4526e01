package checkalerts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// checkAlertmanager makes the checks that ask Alertmanager.
func (c *checker) checkAlertmanager(ctx context.Context) {
	c.findAlertmanager(ctx)
	if c.alertmanager == nil {
		return
	}
	alerts, err := c.alerts(ctx, nil)
	if err != nil {
		c.unchecked(checkInhibition, err)
	} else {
		c.checkDelivery(alerts)
	}
	c.checkSilences(ctx)
	c.config, err = c.readConfig(ctx)
	if err != nil {
		c.unchecked(checkRoutes, err)
		return
	}
	if alerts != nil {
		c.checkInhibition(alerts)
	}
	c.checkRoutes()
}

// findAlertmanager asks each Alertmanager whether it is ready. One is enough, because
// those of a cluster share silences and notifications.
func (c *checker) findAlertmanager(ctx context.Context) {
	var servers []*server
	if c.given != nil {
		servers = []*server{c.given}
	} else {
		for _, address := range c.known {
			u, err := parseURL(address)
			if err != nil {
				c.unchecked(checkAlertmanager, fmt.Errorf("the address of an Alertmanager in Prometheus: %w", err))
				continue
			}
			servers = append(servers, &server{"Alertmanager", u, c.anonymous})
		}
	}
	for _, s := range servers {
		c.report.Alertmanagers = append(c.report.Alertmanagers, s.base.String())
		if _, err := s.get(ctx, "-/ready", nil); err != nil {
			do := "Start Alertmanager."
			if c.given == nil {
				do += " If it is only not to be reached from here, give its address and credentials: --alertmanager.url, --http.config.file."
			}
			c.report.add(checkAlertmanager, Failed, err.Error(), do)
			continue
		}
		c.report.add(checkAlertmanager, OK, s.String()+" is ready", "")
		if c.alertmanager == nil {
			c.alertmanager = s
		}
	}
	if c.alertmanager == nil {
		c.report.add(checkAlertmanager, Failed, "no Alertmanager can be asked: delivery, silences, inhibition and routes are not checked", "")
	}
}

// alert is an alert of Alertmanager's API.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Fingerprint string            `json:"fingerprint"`
	Receivers   []struct {
		Name string `json:"name"`
	} `json:"receivers"`
	Status struct {
		State       string   `json:"state"`
		InhibitedBy []string `json:"inhibitedBy"`
		SilencedBy  []string `json:"silencedBy"`
		MutedBy     []string `json:"mutedBy"`
	} `json:"status"`
}

func (c *checker) alerts(ctx context.Context, filter []string) (alerts []alert, err error) {
	alerts = []alert{}
	err = c.alertmanager.getJSON(ctx, "api/v2/alerts", url.Values{"filter": filter}, &alerts)
	return alerts, err
}

// checkDelivery compares the alerts that fire in Prometheus with Alertmanager's.
func (c *checker) checkDelivery(alerts []alert) {
	if c.firing == nil {
		return // Prometheus did not tell
	}
	var lost []string
	for _, firing := range c.firing {
		name, team := firing.Metric["alertname"], firing.Metric["team"]
		if !slices.ContainsFunc(alerts, func(a alert) bool { return a.Labels["alertname"] == name && a.Labels["team"] == team }) {
			lost = append(lost, alertOf(name, team))
		}
	}
	slices.Sort(lost)
	lost = slices.Compact(lost)
	switch {
	case lost != nil:
		c.report.add(checkDelivery, Failed, "fires in Prometheus, but Alertmanager does not have it: "+list(lost), "Is this the Alertmanager that Prometheus sends to? If it is, Prometheus's log says why sending fails.")
	case len(c.firing) == 0:
		c.report.add(checkDelivery, Skipped, "no alert of the exporter has fired for a minute, so none shows that alerts reach Alertmanager", "")
	default:
		c.report.add(checkDelivery, OK, "Alertmanager has all alerts that fire in Prometheus", "")
	}
}

func alertOf(name, team string) string {
	if team == "" {
		return name
	}
	return name + " of " + team
}

// queueLabels returns the labels that each alert about a queue of each team has.
func (c *checker) queueLabels() (all []map[string]string) {
	teams := c.report.Teams
	if len(teams) == 0 {
		teams = []string{""}
	}
	for _, team := range teams {
		for _, r := range queueAlerts(c.rules) {
			labels := maps.Clone(c.external)
			if labels == nil {
				labels = make(map[string]string)
			}
			maps.Copy(labels, r.Labels)
			labels["alertname"] = r.Alert
			if team != "" {
				labels["team"] = team
			}
			all = append(all, labels)
		}
	}
	return all
}

// checkSilences looks for silences that match an alert about a queue.
func (c *checker) checkSilences(ctx context.Context) {
	var silences []struct {
		ID        string    `json:"id"`
		CreatedBy string    `json:"createdBy"`
		Comment   string    `json:"comment"`
		EndsAt    time.Time `json:"endsAt"`
		Matchers  []matcher `json:"matchers"`
		Status    struct {
			State string `json:"state"`
		} `json:"status"`
	}
	if err := c.alertmanager.getJSON(ctx, "api/v2/silences", nil, &silences); err != nil {
		c.unchecked(checkSilences, err)
		return
	}
	good := true
	for _, s := range silences {
		if s.Status.State != "active" {
			continue
		}
		if err := compile(s.Matchers); err != nil {
			good = false
			c.unchecked(checkSilences, fmt.Errorf("silence %s: %w", s.ID, err))
			continue
		}
		var names, teams []string
		for _, labels := range c.queueLabels() {
			if matchAll(s.Matchers, labels) {
				names = append(names, labels["alertname"])
				teams = append(teams, labels["team"])
			}
		}
		if names == nil {
			continue
		}
		good = false
		c.report.add(checkSilences, Failed, fmt.Sprintf("a silence of %s until %s (%s) mutes %s", s.CreatedBy, s.EndsAt.UTC().Format("2006-01-02 15:04 UTC"), s.Comment, alertOf(list(unique(names)), list(unique(teams)))),
			"Wait, or end it: amtool silence expire "+s.ID)
	}
	if good {
		c.report.add(checkSilences, OK, "no silence matches an alert about a queue", "")
	}
}

func unique(items []string) []string {
	items = slices.Clone(items)
	slices.Sort(items)
	return slices.Compact(items)
}

// readConfig reads Alertmanager's configuration.
func (c *checker) readConfig(ctx context.Context) (*alertmanagerConfig, error) {
	var status struct {
		Config struct {
			Original string `json:"original"`
		} `json:"config"`
	}
	if err := c.alertmanager.getJSON(ctx, "api/v2/status", nil, &status); err != nil {
		return nil, err
	}
	return parseConfig(status.Config.Original)
}

// checkInhibition looks for alerts that inhibit those about queues now, whether or not
// these fire. An alert about a queue may inhibit another: a person is notified of one.
func (c *checker) checkInhibition(alerts []alert) {
	inhibited := make(map[string][]string) // teams by the alert that inhibits theirs
	targets := c.queueLabels()
	for _, source := range alerts {
		if source.Labels["area"] == areaQueue {
			continue
		}
		name := alertOf(source.Labels["alertname"], source.Labels["team"])
		for _, r := range c.config.InhibitRules {
			if !matchAll(r.source, source.Labels) {
				continue
			}
			for _, labels := range targets {
				if r.inhibits(source.Labels, labels) {
					inhibited[name] = append(inhibited[name], labels["team"])
				}
			}
		}
		for _, target := range alerts {
			if target.Labels["area"] == areaQueue && slices.Contains(target.Status.InhibitedBy, source.Fingerprint) && (c.Team == "" || target.Labels["team"] == c.Team) {
				inhibited[name] = append(inhibited[name], target.Labels["team"])
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(inhibited)) {
		c.report.add(checkInhibition, Failed, name+" fires and inhibits "+alertOf("the alerts about the queue", list(unique(inhibited[name]))), "End its cause: RUNBOOK.md has a section about it. Until then, somebody was notified of this alert instead.")
	}
	if len(inhibited) == 0 {
		c.report.add(checkInhibition, OK, "no other alert inhibits an alert about a queue", "")
	}
}

// inhibits reports whether an alert that matches the rule's source inhibits another.
func (r *inhibitRule) inhibits(source, target map[string]string) bool {
	for _, name := range r.Equal {
		if source[name] != target[name] {
			return false
		}
	}
	if !matchAll(r.target, target) {
		return false
	}
	// Alertmanager excludes alerts that match both sides.
	return !matchAll(r.source, target) || !matchAll(r.target, source)
}

// destination is where an alert goes now.
type destination struct {
	receivers []string // that notify somebody now
	muted     []string // with the time interval that mutes them
	empty     []string // without integrations
	groupWait time.Duration
}

// destinationOf follows the routes of an alert.
func (c *alertmanagerConfig) destinationOf(labels map[string]string, at time.Time) (d destination, err error) {
	d.groupWait = 30 * time.Second // Alertmanager's default
	routes := c.Route.find(labels)
	if len(routes) == 0 {
		return d, errors.New("the first route has matchers, which Alertmanager does not allow")
	}
	waits := time.Duration(-1)
	for _, r := range routes {
		muted, err := c.mutedBy(r, at)
		switch {
		case err != nil:
			return d, err
		case muted != "":
			d.muted = append(d.muted, fmt.Sprintf("%s (time interval %s)", r.Receiver, muted))
		case len(c.integrations(r.Receiver)) == 0:
			d.empty = append(d.empty, r.Receiver)
		default:
			d.receivers = append(d.receivers, r.Receiver)
		}
		if r.GroupWait != nil {
			waits = max(waits, time.Duration(*r.GroupWait))
		}
	}
	if waits >= 0 {
		d.groupWait = waits
	}
	d.receivers, d.muted, d.empty = unique(d.receivers), unique(d.muted), unique(d.empty)
	return d, nil
}

// finding says whether the destination is one.
func (d *destination) finding() (status Status, what, do string) {
	switch {
	case len(d.receivers) > 0 && len(d.muted)+len(d.empty) == 0:
		return OK, "go to " + list(d.receivers), ""
	case len(d.receivers) > 0:
		return Warning, "go to " + list(d.receivers) + ", but not to " + list(slices.Concat(d.muted, d.empty)), "Check mute_time_intervals and receivers of the routes."
	case len(d.muted) > 0:
		return Failed, "are muted now: " + list(d.muted), "If this is not on purpose, correct mute_time_intervals, active_time_intervals or time_intervals, including the time zone, in alertmanager.yml."
	}
	return Failed, "go nowhere: " + list(d.empty) + " has no integration", "Add an integration to the receiver in alertmanager.yml."
}

// checkRoutes follows the routes of all alerts about queues.
func (c *checker) checkRoutes() {
	type outcome struct {
		status   Status
		what, do string
	}
	alerts, teams := make(map[outcome][]string), make(map[outcome][]string)
	var order []outcome
	for _, labels := range c.queueLabels() {
		d, err := c.config.destinationOf(labels, c.Now())
		if err != nil {
			c.unchecked(checkRoutes, err)
			return
		}
		var o outcome
		o.status, o.what, o.do = d.finding()
		o.what = labels["severity"] + " alerts about a queue " + o.what
		if alerts[o] == nil {
			order = append(order, o)
		}
		alerts[o] = append(alerts[o], labels["alertname"])
		teams[o] = append(teams[o], labels["team"])
	}
	for _, o := range order {
		of := ""
		if names := unique(teams[o]); len(names) < len(c.report.Teams) {
			of = " (" + list(names) + ")"
		}
		c.report.add(checkRoutes, o.status, strings.TrimSpace(o.what+of), o.do)
	}
}
