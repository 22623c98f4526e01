package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"chattonic_exporter/chattonic"
)

// profile is the documented profile of operators.
const profile = 500

var (
	givenNames = [...]string{
		"Abril", "Bruno", "Camila", "Dante", "Emilia", "Facundo", "Gala", "Hugo", "Irene", "Joaquín",
		"Kiara", "Lautaro", "Malena", "Nicolás", "Olivia", "Pedro", "Renata", "Simón", "Tamara", "Valentín",
	}
	familyNames = [...]string{
		"Acosta", "Benítez", "Cabrera", "Domínguez", "Escobar", "Figueroa", "Giménez", "Herrera", "Ibarra", "Juárez",
		"Ledesma", "Molina", "Núñez", "Ojeda", "Paredes", "Quiroga", "Rivas", "Soria", "Toledo", "Vega",
	}
	origins = [...]string{"Ventas", "Soporte", "Facturación", "Otras consultas"}
)

// profiles returns, for each operator, the members of its JSON object that never
// change: those before the status, and originsName.
func profiles(m *model) (heads, originsNames [][]byte) {
	id := func(key uint64) string { return fmt.Sprintf("%016x%08x", mix(key), uint32(mix(key+1))) }
	for i := range m.operators {
		k := key(m.seed, forName, uint64(i))
		given := givenNames[k%uint64(len(givenNames))]
		family := familyNames[k>>16%uint64(len(familyNames))]
		ids, originsName := "", "all"
		if i%3 > 0 {
			origin := k >> 32 % uint64(len(origins))
			ids, originsName = fmt.Sprintf("%q", id(key(m.seed, forName)+origin)), origins[origin]
		}
		heads = append(heads, fmt.Appendf(nil,
			`{"name":{"givenName":%q,"familyName":%q},"origins":[%s],"profile":%d,"_id":%q,"displayName":"%s %s"`,
			given, family, ids, profile, id(k+uint64(i)<<48), given, family))
		originsNames = append(originsNames, fmt.Appendf(nil, `%q`, originsName))
	}
	return heads, originsNames
}

// operators returns the answer of the operators endpoint.
func (t *team) operators(ctx context.Context, window chattonic.Window, now time.Time) ([]byte, error) {
	h := t.history()
	past := h.clamp(window, now)
	sums, err := h.sums(ctx, past.from, past.to)
	if err != nil {
		return nil, err
	}
	pending, err := h.waiting(ctx, now.UnixMilli())
	if err != nil {
		return nil, err
	}
	body := make([]byte, 0, 512*h.operators+64)
	body = append(body, `{"status":true,"operators":[`...)
	for i, p := range h.presences(now.UnixMilli()) {
		if i > 0 {
			body = append(body, ',')
		}
		_, able := slices.BinarySearch(h.able, i)
		body = t.appendOperator(body, i, able, p, &sums[i])
	}
	body = append(body, `],"queryPending":`...)
	body = strconv.AppendInt(body, pending, 10)
	return append(body, '}'), nil
}

// appendOperator appends an operator as a JSON object. Who is not able has no
// status.
func (t *team) appendOperator(b []byte, i int, able bool, now presence, sums *tally) []byte {
	count := func(name string, n int64) { b = strconv.AppendInt(append(b, name...), n, 10) }
	decimal := func(name string, x float64) { b = strconv.AppendFloat(append(b, name...), x, 'f', -1, 64) }
	b = append(b, t.heads[i]...)
	if able {
		b = append(b, `,"status":"`...)
		b = append(b, [...]string{offline: "offline", online: "online", away: "away"}[now.state]...)
		b = append(b, '"')
	}
	decimal(`,"onlineTime":`, float64(sums.online)/1000)
	decimal(`,"awayTime":`, float64(sums.away)/1000)
	decimal(`,"freeTime":`, float64(sums.free)/1000)
	count(`,"queriesResolved":`, sums.resolved)
	decimal(`,"avgDurationResolved":`, ratio(float64(sums.handled)/1000, sums.resolved))
	count(`,"queriesAssigned":`, sums.assigned)
	decimal(`,"sumDuration":`, float64(sums.handled)/1000)
	decimal(`,"nps":`, percent(float64(sums.promoters-sums.detractors), sums.answers))
	b = append(b, `,"lastConnection":`...)
	if now.login == 0 {
		b = append(b, "null"...)
	} else {
		b = time.Unix(now.login, 0).UTC().AppendFormat(append(b, '"'), dateForm+`"`)
	}
	count(`,"numberOfResponsesNps":`, sums.answers)
	count(`,"queryInProgress":`, int64(now.load))
	b = append(append(b, `,"originsName":`...), t.originsNames[i]...)
	return append(b, '}')
}

// ratio returns x/count, and 0 for a count of 0.
func ratio(x float64, count int64) float64 {
	if count == 0 {
		return 0
	}
	return x / float64(count)
}

// percent returns ratio in percent, to two decimals.
func percent(x float64, count int64) float64 { return math.Round(10000*ratio(x, count)) / 100 }

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
}

// dashboard returns the answer of the dashboard endpoint: one row with the date
// "0", or one row for each bucket of the format where the team is set so.
func (t *team) dashboard(ctx context.Context, format string, window chattonic.Window, now time.Time) ([]byte, error) {
	h := t.history()
	past := h.clamp(window, now)
	groups := []bucket{{date: "0", spans: []span{past}}}
	if t.Buckets {
		groups = buckets(format, past)
	}
	var rows []row
	for _, group := range groups {
		r, err := h.row(ctx, group)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return json.Marshal(rows)
}

// row returns the row of a bucket. What waits, what is in progress and the totals
// of all time are those at its end.
func (h history) row(ctx context.Context, group bucket) (row, error) {
	var sums tally
	var users, allUsers userSums
	var extras, end int64
	for _, s := range group.spans {
		total, err := h.total(ctx, s.from, s.to)
		if err != nil {
			return row{}, err
		}
		sums.add(1, &total)
		givenUp, err := h.givenUp(ctx, s.from, s.to)
		if err != nil {
			return row{}, err
		}
		sums.abandoned += givenUp
		extras += h.extras(s.from, s.to)
		end, allUsers = s.to, h.userSums(s.to)
		users.add(1, allUsers)
		users.add(-1, h.userSums(s.from))
	}
	pending, err := h.waiting(ctx, end)
	r := row{
		Date:       group.date,
		TotalUsers: allUsers.users, NewUsers: users.users, ActiveUsers: h.activeUsers(users.visits+extras, users.users),
		TotalMessagesReceived: allUsers.received, MessagesReceived: users.received,
		TotalMessagesSent: allUsers.sent, MessagesSent: users.sent,
		Pending: pending, Resolved: sums.resolved, Failed: sums.failed + sums.abandoned,
		UserEfficiency: percent(float64(users.visits), users.visits+sums.arrived+extras),
		Attention:      percent(float64(sums.assigned), sums.assigned+sums.abandoned),
		Resolution:     percent(float64(sums.resolved), sums.resolved+sums.failed),
		NPS:            percent(float64(sums.promoters-sums.detractors), sums.answers),
		CSAT:           percent(float64(sums.answers-sums.detractors), sums.answers),
	}
	r.AttentionAndResolution = math.Round(r.Attention*r.Resolution) / 100
	for _, p := range h.presences(end) {
		r.Progress += int64(p.load)
	}
	return r, err
}

// span is an interval [from, to) in milliseconds since 1970.
type span struct{ from, to int64 }

// clamp moves the ends of a window into what has happened by now.
func (h history) clamp(window chattonic.Window, now time.Time) span {
	latest := max(h.origin(), now.UnixMilli())
	inside := func(t time.Time) int64 { return min(latest, max(h.origin(), t.UnixMilli())) }
	return span{inside(window.Start), inside(window.End)}
}

// bucket is what a row of the dashboard is about: the spans of a window that a
// date format gives the same date, in order of time.
type bucket struct {
	date  string
	spans []span
}

// buckets splits a window by a date format, in UTC like the dates of requests,
// into buckets in the order of their first moments. An empty window is one.
func buckets(format string, window span) []bucket {
	const hourMillis = hour * 1000
	var groups []bucket
	index := map[string]int{}
	for from := window.from; from < window.to || groups == nil; {
		to := min(window.to, (from/hourMillis+1)*hourMillis)
		date := formatDate(format, time.UnixMilli(from).UTC())
		i, known := index[date]
		if !known {
			i = len(groups)
			index[date] = i
			groups = append(groups, bucket{date: date})
		}
		spans := &groups[i].spans
		if last := len(*spans) - 1; last >= 0 && (*spans)[last].to == from {
			(*spans)[last].to = to
		} else {
			*spans = append(*spans, span{from, to})
		}
		from = to
	}
	return groups
}

// formatDate formats a time by a date format that checkDateFormat allows.
func formatDate(format string, t time.Time) string {
	return strings.NewReplacer("%%", "%", "%Y", t.Format("2006"), "%m", t.Format("01"), "%d", t.Format("02"), "%H", t.Format("15")).Replace(format)
}

// checkDateFormat refuses what formatDate does not know.
func checkDateFormat(format string) error {
	if strings.Contains(strings.NewReplacer("%%", "", "%Y", "", "%m", "", "%d", "", "%H", "").Replace(format), "%") {
		return fmt.Errorf("dateFormatGroup %q has a directive other than %%Y, %%m, %%d, %%H and %%%%", format)
	}
	return nil
}
