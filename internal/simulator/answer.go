package simulator

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"chattonic_exporter/chattonic"
)

const (
	// visitsEach is how many users the bot serves on a usual day for each
	// operator of the team.
	visitsEach = 60
	// newEvery is of how many visits one is by a user who comes for the first time.
	newEvery = 7
)

var (
	// hourly is how many of 178 visits are in each hour of the simulated day.
	hourly = [24]float64{3, 3, 4, 5, 8, 11, 13, 13, 11, 9, 10, 11, 11, 11, 10, 9, 8, 7, 5, 4, 3, 3, 3, 3}
	// weekdays weighs the days from Monday on.
	weekdays = [7]float64{1.25, 1.05, 1, 1, 1, 0.6, 0.5}

	givenNames  = [...]string{"Abril", "Bruno", "Camila", "Dante", "Emilia", "Facundo", "Irene", "Joaquín", "Nicolás", "Renata"}
	familyNames = [...]string{"Acosta", "Benítez", "Cabrera", "Figueroa", "Giménez", "Herrera", "Núñez", "Ojeda", "Quiroga", "Vega"}
	origins     = [...]string{"Ventas", "Soporte", "Facturación", "Otras consultas"}
)

// profile is what of an operator's answer never changes.
type profile struct {
	Name        map[string]string `json:"name"`
	Origins     []string          `json:"origins"`
	Profile     int               `json:"profile"`
	ID          string            `json:"_id"`
	DisplayName string            `json:"displayName"`
	OriginsName string            `json:"originsName"`
}

func newProfile(seed, operator uint64) *profile {
	id := func(number uint64) string { return fmt.Sprintf("%016x%08x", mix(seed), number) }
	random := key(seed, forName, operator)
	given, family := givenNames[random%uint64(len(givenNames))], familyNames[random>>16%uint64(len(familyNames))]
	p := &profile{
		Name: map[string]string{"givenName": given, "familyName": family}, DisplayName: given + " " + family,
		Origins: []string{}, OriginsName: "all", Profile: 500, ID: id(operator),
	}
	if operator%3 > 0 {
		origin := random >> 32 % uint64(len(origins))
		p.Origins, p.OriginsName = []string{id(1<<24 + origin)}, origins[origin]
	}
	return p
}

// operator is an operator of the answer.
type operator struct {
	*profile
	Status               state   `json:"status,omitempty"`
	OnlineTime           float64 `json:"onlineTime"`
	AwayTime             float64 `json:"awayTime"`
	FreeTime             float64 `json:"freeTime"`
	QueriesResolved      int64   `json:"queriesResolved"`
	AvgDurationResolved  float64 `json:"avgDurationResolved"`
	QueriesAssigned      int64   `json:"queriesAssigned"`
	SumDuration          float64 `json:"sumDuration"`
	NPS                  float64 `json:"nps"`
	LastConnection       any     `json:"lastConnection"`
	NumberOfResponsesNPS int64   `json:"numberOfResponsesNps"`
	QueryInProgress      int64   `json:"queryInProgress"`
}

// operators returns the answer of the operators endpoint.
func (h history) operators(ctx context.Context, window chattonic.Window, now time.Time) any {
	from, to := h.clamp(window, now)
	answer := struct {
		Status       bool       `json:"status"`
		Operators    []operator `json:"operators"`
		QueryPending int64      `json:"queryPending"`
	}{Status: true}
	for i, r := range h.records(ctx, from, to, now.UnixMilli()) {
		o := operator{
			profile: h.profiles[i], Status: r.state,
			OnlineTime: seconds(r.online), AwayTime: seconds(r.away), FreeTime: seconds(r.free),
			QueriesAssigned: r.assigned, QueriesResolved: r.ended.resolved(),
			SumDuration: seconds(r.handled), AvgDurationResolved: seconds(r.handled) / float64(max(1, r.ended.resolved())),
			NPS: r.ended.nps(), NumberOfResponsesNPS: r.ended.answers(), QueryInProgress: r.load,
		}
		if r.login != 0 {
			o.LastConnection = time.Unix(r.login, 0).UTC().Format(dateForm)
		}
		answer.Operators = append(answer.Operators, o)
		answer.QueryPending += r.waiting
	}
	return answer
}

func seconds(millis int64) float64 { return float64(millis) / 1000 }

// percent returns x of count in percent, to two decimals.
func percent(x, count int64) float64 {
	return math.Round(10000*float64(x)/float64(max(1, count))) / 100
}

// row is a row of the dashboard.
type row struct {
	Date                   string  `json:"date"`
	TotalUsers             int64   `json:"totalUsers"`
	NewUsers               int64   `json:"newUsers"`
	ActiveUsers            int64   `json:"activeUsers"`
	TotalMessagesReceived  int64   `json:"totalMessagesReceived"`
	MessagesReceived       int64   `json:"messagesReceived"`
	TotalMessagesSent      int64   `json:"totalMessagesSent"`
	MessagesSent           int64   `json:"messagesSent"`
	Pending                int64   `json:"pending"`
	Progress               int64   `json:"progress"`
	Resolved               int64   `json:"resolved"`
	Failed                 int64   `json:"failed"`
	UserEfficiency         float64 `json:"userEfficiency"`
	Attention              float64 `json:"attention"`
	Resolution             float64 `json:"resolution"`
	AttentionAndResolution float64 `json:"attentionAndResolution"`
	NPS                    float64 `json:"nps"`
	CSAT                   float64 `json:"csat"`

	// What the scores are computed from.
	visits, extras, arrived, assigned int64
	ended                             endings
}

// dashboard returns the answer of the dashboard endpoint: one row for each date
// that the format gives to hours of the window (in UTC, like the dates of
// requests); without a format, one row with the date "0".
func (h history) dashboard(ctx context.Context, format string, window chattonic.Window, now time.Time) any {
	from, to := h.clamp(window, now)
	var rows []row
	index := map[string]int{}
	for from < to || rows == nil {
		date, end := "0", to
		if format != "" {
			date, end = dateFormat(time.UnixMilli(from).UTC()).Replace(format), min(to, (from/(hour*1000)+1)*hour*1000)
		}
		i, known := index[date]
		if !known {
			i = len(rows)
			index[date] = i
			rows = append(rows, row{Date: date})
		}
		rows[i].add(ctx, h, from, end)
		from = end
	}
	return rows
}

// add adds what happens in [from, to), in milliseconds since 1970. What waits and
// what is in progress is that at the end.
func (r *row) add(ctx context.Context, h history, from, to int64) {
	r.Pending, r.Progress = 0, 0
	for _, record := range h.records(ctx, from, to, to) {
		r.Pending += record.waiting
		r.Progress += record.load
		r.arrived += record.arrived
		r.assigned += record.assigned
		for outcome, n := range record.ended {
			r.ended[outcome] += n
		}
	}
	before, after, extras := h.visits(from), h.visits(to), h.extras(to)
	r.visits += after - before
	r.extras += extras - h.extras(from)
	r.NewUsers += after/newEvery - before/newEvery
	r.ActiveUsers = h.activeUsers(r.visits+r.extras, r.NewUsers)
	earlier := 1000*int64(len(h.profiles)) + int64(h.seed%1000) // users before the history begins
	r.TotalUsers = earlier + after/newEvery
	r.MessagesReceived, r.TotalMessagesReceived = 7*r.visits+r.extras, 12*earlier+7*after+extras
	r.MessagesSent, r.TotalMessagesSent = 9*r.visits+r.extras, 15*earlier+9*after+extras
	r.Resolved, r.Failed = r.ended.resolved(), r.ended[failed]+r.ended[gaveUp]
	r.UserEfficiency = percent(r.visits, r.visits+r.arrived)
	r.Attention = percent(r.assigned, r.assigned+r.ended[gaveUp])
	r.Resolution = percent(r.Resolved, r.Resolved+r.ended[failed])
	r.AttentionAndResolution = math.Round(r.Attention*r.Resolution) / 100
	r.NPS = r.ended.nps()
	r.CSAT = percent(r.ended[promoter]+r.ended[passive], r.ended.answers())
}

// clamp returns the ends of a window, moved into what has happened by now, in
// milliseconds since 1970.
func (h history) clamp(window chattonic.Window, now time.Time) (from, to int64) {
	first := h.dayStart(0) * 1000
	inside := func(t time.Time) int64 { return max(first, min(now.UnixMilli(), t.UnixMilli())) }
	return inside(window.Start), inside(window.End)
}

// dateFormat returns what writes a time by a date format.
func dateFormat(t time.Time) *strings.Replacer {
	return strings.NewReplacer("%%", "%", "%Y", t.Format("2006"), "%m", t.Format("01"), "%d", t.Format("02"), "%H", t.Format("15"))
}

// extras counts the further queries of all backlogs until a time in milliseconds
// since 1970.
func (h history) extras(until int64) (count int64) {
	for _, p := range h.periods {
		if p.scenario == ScenarioBacklog {
			passed := max(0, min(until, p.to*1000)-p.from*1000)
			count += (passed + extraEvery*1000 - 1) / (extraEvery * 1000)
		}
	}
	return count
}

// visits counts the users whom the bot serves from the beginning of the history
// until a time in milliseconds since 1970.
func (h history) visits(until int64) (count int64) {
	today := h.dayOf(until / 1000)
	dayVisits := func(number int) float64 {
		return math.Floor(float64(visitsEach*len(h.profiles)) * weekdays[day{number: number}.weekday()])
	}
	for number := range today {
		count += int64(dayVisits(number))
	}
	hours, passed := float64(until-h.dayStart(today)*1000)/(hour*1000), 0.0
	for i, weight := range hourly {
		passed += weight * min(1, max(0, hours-float64(i)))
	}
	return count + int64(dayVisits(today)*passed/178)
}

// activeUsers returns how many users are behind visits, of which some are by new
// users: as many of the regular users come as there are further visits, or all.
func (h history) activeUsers(visits, newUsers int64) int64 {
	return newUsers + min(visits-newUsers, int64(3*visitsEach*len(h.profiles)))
}
