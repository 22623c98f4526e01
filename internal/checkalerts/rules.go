package checkalerts

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"
)

// loadedRule is a rule that Prometheus has loaded.
type loadedRule struct {
	Type           string            `json:"type"`
	Name           string            `json:"name"`
	Query          string            `json:"query"`
	Duration       float64           `json:"duration"`
	KeepFiringFor  float64           `json:"keepFiringFor"`
	Labels         map[string]string `json:"labels"`
	Health         string            `json:"health"`
	LastError      string            `json:"lastError"`
	LastEvaluation time.Time         `json:"lastEvaluation"`

	interval time.Duration // of its group
	used     bool          // as another shipped rule of the same name
}

// checkRules compares the loaded rules with the shipped ones.
func (c *checker) checkRules(ctx context.Context) {
	var data struct {
		Groups []struct {
			Interval float64       `json:"interval"`
			Rules    []*loadedRule `json:"rules"`
		} `json:"groups"`
	}
	if err := c.prometheus.getData(ctx, "api/v1/rules", url.Values{"exclude_alerts": {"true"}}, &data); err != nil {
		c.unchecked(checkRules, err)
		return
	}
	loaded := make(map[string][]*loadedRule)
	for _, group := range data.Groups {
		for _, r := range group.Rules {
			r.interval = seconds(group.Interval)
			loaded[r.Type+" "+r.Name] = append(loaded[r.Type+" "+r.Name], r)
		}
	}
	missing := make(map[*rule]bool)
	faulty := make(map[ruleFault][]string) // names of rules
	var order []ruleFault
	good := 0
	pairs := pairRules(c.rules, loaded)
	for _, r := range c.rules {
		found := pairs[r]
		if found == nil {
			missing[r] = true
			continue
		}
		faults := c.faultOf(ctx, r, found)
		for _, fault := range faults {
			if faulty[fault] == nil {
				order = append(order, fault)
			}
			faulty[fault] = append(faulty[fault], r.String())
		}
		if faults == nil {
			good++
		}
	}
	c.reportMissing(missing)
	for _, fault := range order {
		c.report.add(checkRules, fault.status, list(faulty[fault])+": "+fault.what, fault.do)
	}
	if good > 0 {
		c.report.add(checkRules, OK, fmt.Sprintf("%d of %d shipped rules are loaded, healthy and unchanged", good, len(c.rules)), "")
	}
}

// pairRules finds the loaded rule that each shipped one corresponds to. Where several have
// a name, the most similar ones belong together.
func pairRules(rules []*rule, loaded map[string][]*loadedRule) map[*rule]*loadedRule {
	pairs := make(map[*rule]*loadedRule)
	for wanted := 3; wanted >= 0; wanted-- {
		for _, r := range rules {
			for _, candidate := range loaded[r.kind()+" "+r.name()] {
				if pairs[r] == nil && !candidate.used && candidate.similarity(r) >= wanted {
					pairs[r], candidate.used = candidate, true
				}
			}
		}
	}
	return pairs
}

// similarity is 3 if labels and expression are those of a shipped rule, 2 if only the
// labels are, 1 if only the expression is, and 0 otherwise. But it is -1 if the
// scopes differ, which tell the alerts of one name apart.
func (l *loadedRule) similarity(r *rule) (n int) {
	if l.Labels["scope"] != r.Labels["scope"] {
		return -1
	}
	if maps.Equal(l.Labels, r.Labels) {
		n += 2
	}
	if withoutBlanks(l.Query) == withoutBlanks(r.Expr) {
		n++
	}
	return n
}

// severity returns Failed for a rule without which alerts about a queue, the exporter or
// the API fail, and Warning for others.
func severity(r *rule) Status {
	if r.essential {
		return Failed
	}
	return Warning
}

// reportMissing reports the rules that are not loaded, a whole file at once.
func (c *checker) reportMissing(missing map[*rule]bool) {
	total, lacking := make(map[string]int), make(map[string][]*rule)
	for _, r := range c.rules {
		total[r.file]++
		if missing[r] {
			lacking[r.file] = append(lacking[r.file], r)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(lacking)) {
		if len(lacking[file]) == total[file] {
			c.report.add(checkRules, Failed, fmt.Sprintf("none of the %d rules of %s is loaded", total[file], file), fmt.Sprintf("Add deploy/prometheus/rules/%s to rule_files and reload Prometheus. If it does not load, promtool check rules says why.", file))
			continue
		}
		names := make(map[Status][]string)
		for _, r := range lacking[file] {
			names[severity(r)] = append(names[severity(r)], r.String())
		}
		for _, status := range []Status{Failed, Warning} {
			if names[status] != nil {
				c.report.add(checkRules, status, fmt.Sprintf("not loaded: %s of %s", list(names[status]), file), "Put the rules back, or replace the file by the shipped one, and reload Prometheus.")
			}
		}
	}
}

// ruleFault is what is wrong with a loaded rule. Rules with the same fault share a
// finding.
type ruleFault struct {
	status   Status
	what, do string
}

// faultOf returns what is wrong with a loaded rule, or nothing.
func (c *checker) faultOf(ctx context.Context, r *rule, found *loadedRule) (faults []ruleFault) {
	switch {
	case found.Health == "unknown":
		return []ruleFault{{severity(r), "not evaluated yet", fmt.Sprintf("Check again after the evaluation interval of %s.", found.interval)}}
	case found.Health != "ok":
		return []ruleFault{{severity(r), "cannot be evaluated (" + found.LastError + ")", "Correct the rule, or the series that it needs: several sources of one series are a frequent reason."}}
	case c.now.Sub(found.LastEvaluation) > max(lateScrapes*found.interval, minimumAge):
		return []ruleFault{{severity(r), fmt.Sprintf("not evaluated for 3 intervals of %s", found.interval), "Look for overload in Prometheus's log and in prometheus_rule_group_iterations_missed_total."}}
	}
	changed := func(what string) {
		faults = append(faults, ruleFault{Warning, "loaded with " + what, "If this is not on purpose, use the shipped file and reload Prometheus."})
	}
	same, err := c.sameExpression(ctx, r.Expr, found.Query)
	switch {
	case err != nil:
		faults = append(faults, ruleFault{Failed, "cannot be compared with the shipped rule: " + err.Error(), "Compare the files."})
	case !same:
		changed("another expression than the shipped one")
	}
	if is, was := seconds(found.Duration), time.Duration(r.For); is != was {
		changed(fmt.Sprintf("for: %s instead of %s", is, was))
	}
	if is, was := seconds(found.KeepFiringFor), time.Duration(r.KeepFiringFor); is != was {
		changed(fmt.Sprintf("keep_firing_for: %s instead of %s", is, was))
	}
	if !maps.Equal(found.Labels, r.Labels) {
		changed("other labels than the shipped ones, by which routes and inhibitions select alerts")
	}
	return faults
}

// sameExpression reports whether two expressions are the same but for comments and
// layout. In doubt it has Prometheus format both.
func (c *checker) sameExpression(ctx context.Context, shipped, loaded string) (bool, error) {
	if withoutBlanks(shipped) == withoutBlanks(loaded) {
		return true, nil
	}
	var formatted [2]string
	for i, expr := range []string{shipped, loaded} {
		if err := c.prometheus.getData(ctx, "api/v1/format_query", url.Values{"query": {expr}}, &formatted[i]); err != nil {
			return false, err
		}
	}
	return formatted[0] == formatted[1], nil
}
