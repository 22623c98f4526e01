package web

import (
	"cmp"
	"math"
	"slices"
	"time"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/teams"
)

const (
	// meanWaitSpan is the time over which the mean wait is estimated, and minMeanWaitSpan
	// the least.
	meanWaitSpan, minMeanWaitSpan = time.Hour, 30 * time.Minute
	// riseSpan is the time over which a forecast looks at the change of a queue.
	riseSpan = 10 * time.Minute
	// maxForecast is how far a forecast looks ahead.
	maxForecast = 30 * time.Minute
	// idlePolls is the number of answers in a row in which queries wait, operators at work
	// are free, and nothing is assigned, before the routing is suspected.
	idlePolls = 3
)

// since returns the points of the last d.
func since(trend []teams.Point, d time.Duration) []teams.Point {
	for i, p := range trend {
		if trend[len(trend)-1].At.Sub(p.At) <= d {
			return trend[i:]
		}
	}
	return nil
}

// assignedBetween returns the number of queries assigned between two times, and whether it is
// known. It is not known across midnight, when the count of the window today begins again.
func assignedBetween(counts []teams.Count, from, to time.Time, tolerance time.Duration) (n float64, known bool) {
	first, last := nearest(counts, from), nearest(counts, to)
	if first < 0 || counts[first].At.Sub(from).Abs() > tolerance || counts[last].At.Sub(to).Abs() > tolerance {
		return 0, false
	}
	between := counts[first : last+1]
	if !slices.IsSortedFunc(between, func(a, b teams.Count) int { return cmp.Compare(a.Value, b.Value) }) {
		return 0, false
	}
	return counts[last].Value - counts[first].Value, true
}

// nearest returns the index of the count that is nearest to a time, or -1 if there is none.
func nearest(counts []teams.Count, at time.Time) int {
	best := -1
	for i := range counts {
		if best < 0 || counts[i].At.Sub(at).Abs() <= counts[best].At.Sub(at).Abs() {
			best = i
		}
	}
	return best
}

// meanWait estimates the mean time that a query waits, by Little's law: the queries waiting,
// summed over the time, divided by the queries assigned in it. It assumes that an assigned
// query waits no longer, which is not documented.
func meanWait(h teams.Snapshot) (wait time.Duration, known bool) {
	trend := since(h.Trend, meanWaitSpan)
	if len(trend) < 2 {
		return 0, false
	}
	from, to := trend[0].At, trend[len(trend)-1].At
	assigned, known := assignedBetween(h.Assigned, from, to, h.ScrapeInterval)
	if !known || assigned <= 0 || to.Sub(from) < minMeanWaitSpan || gap(h, trend) {
		return 0, false
	}
	var sum float64 // of query seconds
	for i, p := range trend[1:] {
		waiting, present := trend[i].Waiting.Float64()
		next, nextPresent := p.Waiting.Float64()
		if !present || !nextPresent {
			return 0, false
		}
		sum += (waiting + next) / 2 * p.At.Sub(trend[i].At).Seconds()
	}
	return time.Duration(sum / assigned * float64(time.Second)), true
}

// Forecasts returns what is likely to happen to the queue, as sentences. They assume that an
// assigned query has left the queue, which is not documented, so a team has to enable them.
func (q *queue) Forecasts() (sentences []string) {
	if !q.status.Forecasts || q.Shown == unknown || q.Shown == old || q.Shown == closed || q.Shown == notCollected {
		return nil
	}
	if s := q.changeForecast(); s != "" {
		sentences = append(sentences, s)
	}
	if s := q.routingForecast(); s != "" {
		sentences = append(sentences, s)
	}
	return sentences
}

// changeForecast says when the queue will reach its limit or, with the limit 0, when it will
// be empty. It says nothing if chance explains the change, or answers are reused.
func (q *queue) changeForecast() string {
	trend := since(q.history.Trend, riseSpan+q.history.ScrapeInterval)
	if len(trend) < 3 || q.status.TTL[chattonic.EndpointOperators] > 0 {
		return ""
	}
	first, last := trend[0], trend[len(trend)-1]
	span := last.At.Sub(first.At)
	before, present := first.Waiting.Float64()
	assigned, known := assignedBetween(q.history.Assigned, first.At, last.At, q.history.ScrapeInterval)
	if !present || !known || span < riseSpan-q.history.ScrapeInterval || gap(q.history, trend) {
		return ""
	}
	change := q.waiting - before
	arrived := assigned + change
	if math.Abs(change) <= 2*math.Sqrt(max(0, assigned+arrived)) {
		return ""
	}
	ahead := func(distance float64) (minutes int, near bool) {
		left := time.Duration(distance / math.Abs(change) * float64(span))
		return int(math.Ceil(left.Minutes())), left <= maxForecast
	}
	minutes := int(span.Round(time.Minute).Minutes())
	if change > 0 && q.Limit > 0 && q.waiting < q.Limit {
		if left, near := ahead(q.Limit - q.waiting); near {
			return q.t.T("forecast.limit", q.t.Number(change), minutes, left)
		}
	}
	if change < 0 && q.Limit == 0 && q.waiting > 0 {
		if left, near := ahead(q.waiting); near {
			return q.t.T("forecast.empty", q.t.Number(-change), minutes, left)
		}
	}
	return ""
}

// gap reports whether there is a time without points.
func gap(h teams.Snapshot, trend []teams.Point) bool {
	for i, p := range trend[1:] {
		if p.At.Sub(trend[i].At) > oldAfter*h.ScrapeInterval {
			return true
		}
	}
	return false
}

// routingForecast says that queries wait although operators are free.
func (q *queue) routingForecast() string {
	trend := q.history.Trend
	first := len(trend)
	for first > 0 {
		waiting, _ := trend[first-1].Waiting.Float64()
		if waiting < 1 || trend[first-1].Free == 0 {
			break
		}
		first--
	}
	for ; len(trend)-first >= idlePolls; first++ { // the longest time without an assignment
		assigned, known := assignedBetween(q.history.Assigned, trend[first].At, q.Received, q.history.ScrapeInterval/2)
		if known && assigned == 0 {
			last := trend[len(trend)-1]
			return q.t.T("forecast.routing", q.t.Number(q.waiting), last.Free, int(last.At.Sub(trend[first].At).Minutes()))
		}
	}
	return ""
}
