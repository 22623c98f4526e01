package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
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

// profiles returns, for each operator, the parts of its JSON object that never
// change: what comes before the status, and originsName.
func profiles(m *model) (heads, originsNames [][]byte) {
	for i := range m.operators {
		k := key(m.seed, forName, uint64(i))
		given := givenNames[k%uint64(len(givenNames))]
		family := familyNames[k>>16%uint64(len(familyNames))]
		display := fmt.Sprintf("%s %s", given, family)
		ids, originsName := "", "all"
		if i%3 > 0 {
			origin := k >> 32 % uint64(len(origins))
			ids, originsName = fmt.Sprintf("%q", hexID(key(m.seed, forName)+origin)), origins[origin]
		}
		heads = append(heads, fmt.Appendf(nil,
			`{"name":{"givenName":%q,"familyName":%q},"origins":[%s],"profile":%d,"_id":%q,"displayName":%q`,
			given, family, ids, profile, hexID(k+uint64(i)<<48), display))
		originsNames = append(originsNames, fmt.Appendf(nil, `%q`, originsName))
	}
	return heads, originsNames
}

// hexID returns an identifier of 24 hexadecimal digits.
func hexID(key uint64) string { return fmt.Sprintf("%016x%08x", mix(key), uint32(mix(key+1))) }

// operators returns the answer of the operators endpoint.
func (t *team) operators(ctx context.Context, start, end, now time.Time) ([]byte, error) {
	h := t.history()
	window := h.clamp(start, end, now)
	sums, err := h.sums(ctx, window.from, window.to)
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
	b = append(b, t.heads[i]...)
	if able {
		b = append(b, `,"status":"`...)
		b = append(b, [...]string{offline: "offline", online: "online", away: "away"}[now.state]...)
		b = append(b, '"')
	}
	b = appendMillis(append(b, `,"onlineTime":`...), sums.online)
	b = appendMillis(append(b, `,"awayTime":`...), sums.away)
	b = appendMillis(append(b, `,"freeTime":`...), sums.free)
	b = strconv.AppendInt(append(b, `,"queriesResolved":`...), sums.resolved, 10)
	b = strconv.AppendFloat(append(b, `,"avgDurationResolved":`...), ratio(float64(sums.handled)/1000, sums.resolved), 'f', -1, 64)
	b = strconv.AppendInt(append(b, `,"queriesAssigned":`...), sums.assigned, 10)
	b = appendMillis(append(b, `,"sumDuration":`...), sums.handled)
	b = appendScore(append(b, `,"nps":`...), 100*float64(sums.promoters-sums.detractors), sums.answers)
	b = append(b, `,"lastConnection":`...)
	if now.login == 0 {
		b = append(b, "null"...)
	} else {
		b = time.Unix(now.login, 0).UTC().AppendFormat(append(b, '"'), dateForm+`"`)
	}
	b = strconv.AppendInt(append(b, `,"numberOfResponsesNps":`...), sums.answers, 10)
	b = strconv.AppendInt(append(b, `,"queryInProgress":`...), int64(now.load), 10)
	b = append(append(b, `,"originsName":`...), t.originsNames[i]...)
	return append(b, '}')
}

// appendMillis appends milliseconds as seconds with up to three decimals.
func appendMillis(b []byte, ms int64) []byte {
	b = strconv.AppendInt(b, ms/1000, 10)
	if rest := ms % 1000; rest != 0 {
		b = append(b, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
	}
	return b
}

// appendScore appends part/whole, or 0 of nothing, to two decimals.
func appendScore(b []byte, part float64, whole int64) []byte {
	return strconv.AppendFloat(b, math.Round(100*ratio(part, whole))/100, 'f', -1, 64)
}

// ratio is 0 where whole is.
func ratio(part float64, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return part / float64(whole)
}

// row is a row of the dashboard.
type row struct {
	date              string
	users, usersBy    userSums // in the row's time, and of all time until its end
	activeUsers       int64
	operators         tally
	extras, givenUp   int64 // what scenarios add to the queries of the operators
	pending, progress int64
}

// dashboard returns the answer of the dashboard endpoint: one row with the date
// "0", or one row for each bucket of the format where the team is set so.
func (t *team) dashboard(ctx context.Context, format string, start, end, now time.Time) ([]byte, error) {
	h := t.history()
	window := h.clamp(start, end, now)
	groups := []bucket{{date: "0", spans: []span{window}}}
	if t.Buckets {
		groups = buckets(format, window)
	}
	body := []byte{'['}
	for i, group := range groups {
		r, err := h.row(ctx, group)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = r.append(body)
	}
	return append(body, ']'), nil
}

// clamp moves the ends of a window into what has happened by now.
func (h history) clamp(start, end, now time.Time) span {
	latest := max(h.origin(), now.UnixMilli())
	inside := func(t time.Time) int64 { return min(latest, max(h.origin(), t.UnixMilli())) }
	return span{inside(start), inside(end)}
}

// row returns the row of a bucket. What waits and is in progress is that at its
// end.
func (h history) row(ctx context.Context, group bucket) (r row, err error) {
	r.date = group.date
	for _, s := range group.spans {
		total, err := h.total(ctx, s.from, s.to)
		if err != nil {
			return row{}, err
		}
		givenUp, err := h.givenUp(ctx, s.from, s.to)
		if err != nil {
			return row{}, err
		}
		r.operators.add(1, &total)
		r.givenUp += givenUp
		r.extras += h.extras(s.from, s.to)
		r.usersBy = h.userSums(s.to)
		r.users.add(1, r.usersBy)
		r.users.add(-1, h.userSums(s.from))
	}
	r.activeUsers = h.activeUsers(r.users.visits+r.extras, r.users.users)
	end := group.spans[len(group.spans)-1].to
	for _, p := range h.presences(end) {
		r.progress += int64(p.load)
	}
	r.pending, err = h.waiting(ctx, end)
	return r, err
}

// append appends the row as a JSON object.
func (r *row) append(b []byte) []byte {
	date, err := json.Marshal(r.date)
	if err != nil { // a string always has a JSON form
		panic(err)
	}
	o := &r.operators
	abandoned := o.abandoned + r.givenUp
	b = append(append(b, `{"date":`...), date...)
	for _, count := range []struct {
		name  string
		value int64
	}{
		{"totalUsers", r.usersBy.users},
		{"newUsers", r.users.users},
		{"activeUsers", r.activeUsers},
		{"totalMessagesReceived", r.usersBy.received},
		{"messagesReceived", r.users.received},
		{"totalMessagesSent", r.usersBy.sent},
		{"messagesSent", r.users.sent},
		{"pending", r.pending},
		{"progress", r.progress},
		{"resolved", o.resolved},
		{"failed", o.failed + abandoned},
	} {
		b = strconv.AppendInt(appendName(b, count.name), count.value, 10)
	}
	queries, completed := o.arrived+r.extras, o.resolved+o.failed
	asked := o.assigned + abandoned
	for _, score := range []struct {
		name  string
		part  float64
		whole int64
	}{
		{"userEfficiency", 100 * float64(r.users.visits), r.users.visits + queries},
		{"attention", 100 * float64(o.assigned), asked},
		{"resolution", 100 * float64(o.resolved), completed},
		{"attentionAndResolution", 100 * ratio(float64(o.assigned), asked) * float64(o.resolved), completed},
		{"nps", 100 * float64(o.promoters-o.detractors), o.answers},
		{"csat", 100 * float64(o.answers-o.detractors), o.answers},
	} {
		b = appendScore(appendName(b, score.name), score.part, score.whole)
	}
	return append(b, '}')
}

func appendName(b []byte, name string) []byte {
	return append(append(append(b, `,"`...), name...), `":`...)
}
