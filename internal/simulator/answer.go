package simulator

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
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
	m := t.log.model
	sums := make([]tally, m.operators)
	err := t.log.parts(ctx, t.log.clamp(start, end, now), func(p part) {
		for i := range sums {
			if p.whole {
				sums[i].add(1, p.tallies[i])
				continue
			}
			to, from := p.operators.at(i, p.to), p.operators.at(i, p.from)
			sums[i].add(1, to.tallyAt(p.to))
			sums[i].add(-1, from.tallyAt(p.from))
		}
	})
	if err != nil {
		return nil, err
	}
	present := t.present(now)
	able := 0
	body := make([]byte, 0, 512*m.operators+64)
	body = append(body, `{"status":true,"operators":[`...)
	for i := range sums {
		if i > 0 {
			body = append(body, ',')
		}
		status := present.operators[i]
		known := able < len(m.able) && int(m.able[able]) == i
		if known {
			able++
		}
		body = t.appendOperator(body, i, known, status, &sums[i])
	}
	body = append(body, `],"queryPending":`...)
	body = strconv.AppendInt(body, present.pending, 10)
	return append(body, '}'), nil
}

func (t *team) appendOperator(b []byte, i int, known bool, now operatorNow, sums *tally) []byte {
	b = append(b, t.heads[i]...)
	if known {
		b = append(b, `,"status":"`...)
		b = append(b, [...]string{stateOffline: "offline", stateOnline: "online", stateAway: "away"}[now.state]...)
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

// operatorNow is the present state of an operator. login is when the operator
// last came, in seconds since 1970, or 0.
type operatorNow struct {
	state state
	load  uint8
	login int64
}

// presentState is what holds now, whatever the window.
type presentState struct {
	operators []operatorNow
	pending   int64
}

// online counts the operators who are online.
func (p *presentState) online() (count int) {
	for _, o := range p.operators {
		if o.state == stateOnline {
			count++
		}
	}
	return count
}

func (t *team) present(now time.Time) presentState {
	p := presentState{operators: make([]operatorNow, t.log.model.operators)}
	d, at := t.log.lastDay(now.UnixMilli())
	if d == nil {
		return p
	}
	for i := range p.operators {
		o := d.operators.at(i, at)
		login := d.loginsBefore[i]
		if second := d.operators.login(i, at); second >= 0 {
			login = d.start + int64(second)
		}
		p.operators[i] = operatorNow{state: o.state, load: o.load, login: login}
	}
	p.pending = int64(teamAt(d.timeline, at).pending)
	return p
}

// row is a row of the dashboard.
type row struct {
	date                                   string
	totals                                 messageSums
	newUsers, activeUsers, received, sent  int64
	arrivals, queries, assigned, abandoned int64
	resolved, failed                       int64
	answers, promoters, detractors         int64
	pending, progress                      int64
}

// dashboard returns the answer of the dashboard endpoint: one row with the date
// "0", or one row for each bucket of the format where the team is set so.
func (t *team) dashboard(ctx context.Context, format string, start, end, now time.Time) ([]byte, error) {
	window := t.log.clamp(start, end, now)
	groups := []bucket{{date: "0", spans: []span{window}}}
	if t.Buckets {
		groups = buckets(format, window)
	}
	body := []byte{'['}
	for i, group := range groups {
		r, err := t.row(ctx, group)
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

func (t *team) row(ctx context.Context, group bucket) (row, error) {
	r := row{date: group.date}
	var users userSet
	for _, s := range group.spans {
		err := t.log.parts(ctx, s, func(p part) { r.add(p, &users) })
		if err != nil {
			return row{}, err
		}
	}
	r.activeUsers = users.len()
	t.addState(&r, group.spans[len(group.spans)-1].to)
	return r, nil
}

// add adds what happened in a part of a day.
func (r *row) add(p part, users *userSet) {
	var from teamState
	to := p.last
	if p.whole {
		users.addAll(p.users)
	} else {
		from, to = teamAt(p.timeline, p.from), teamAt(p.timeline, p.to)
		users.addArrivals(&p.demand, int64(from.arrivals), int64(to.arrivals), int64(from.extras), int64(to.extras))
	}
	extras := int64(to.extras - from.extras)
	receivedTo, sentTo := messagesOf(int64(to.arrivals))
	receivedFrom, sentFrom := messagesOf(int64(from.arrivals))
	r.received += receivedTo - receivedFrom + extras
	r.sent += sentTo - sentFrom + extras
	r.newUsers += p.demand.newBefore(int64(to.arrivals)) - p.demand.newBefore(int64(from.arrivals))
	r.arrivals += int64(to.arrivals-from.arrivals) + extras
	r.queries += int64(to.queries - from.queries)
	r.assigned += int64(to.assigned - from.assigned)
	r.abandoned += int64(to.abandoned - from.abandoned)
	r.resolved += int64(to.resolved - from.resolved)
	r.failed += int64(to.failed - from.failed)
	r.answers += int64(to.nps.answers - from.nps.answers)
	r.promoters += int64(to.nps.promoters - from.nps.promoters)
	r.detractors += int64(to.nps.detractors - from.nps.detractors)
}

// addState adds what holds at a time in milliseconds since 1970.
func (t *team) addState(r *row, at int64) {
	d, inDay := t.log.lastDay(at)
	if d == nil {
		r.totals = t.log.totals(0)
		return
	}
	state := teamAt(d.timeline, inDay)
	received, sent := messagesOf(int64(state.arrivals))
	extras := t.log.extras(at)
	r.pending, r.progress = int64(state.pending), int64(state.progress)
	r.totals = t.log.totals(d.number)
	r.totals.users += d.demand.newBefore(int64(state.arrivals))
	r.totals.received += received + extras
	r.totals.sent += sent + extras
}

// append appends the row as a JSON object.
func (r *row) append(b []byte) []byte {
	date, err := json.Marshal(r.date)
	if err != nil { // a string always has a JSON form
		panic(err)
	}
	b = append(append(b, `{"date":`...), date...)
	for _, count := range []struct {
		name  string
		value int64
	}{
		{"totalUsers", r.totals.users},
		{"newUsers", r.newUsers},
		{"activeUsers", r.activeUsers},
		{"totalMessagesReceived", r.totals.received},
		{"messagesReceived", r.received},
		{"totalMessagesSent", r.totals.sent},
		{"messagesSent", r.sent},
		{"pending", r.pending},
		{"progress", r.progress},
		{"resolved", r.resolved},
		{"failed", r.failed},
	} {
		b = strconv.AppendInt(appendName(b, count.name), count.value, 10)
	}
	attended, asked := r.assigned, r.assigned+r.abandoned
	completed := r.resolved + r.failed - r.abandoned
	for _, score := range []struct {
		name  string
		part  float64
		whole int64
	}{
		{"userEfficiency", 100 * float64(r.arrivals-r.queries), r.arrivals},
		{"attention", 100 * float64(attended), asked},
		{"resolution", 100 * float64(r.resolved), completed},
		{"attentionAndResolution", 100 * ratio(float64(attended), asked) * float64(r.resolved), completed},
		{"nps", 100 * float64(r.promoters-r.detractors), r.answers},
		{"csat", 100 * float64(r.answers-r.detractors), r.answers},
	} {
		b = appendScore(appendName(b, score.name), score.part, score.whole)
	}
	return append(b, '}')
}

func appendName(b []byte, name string) []byte {
	return append(append(append(b, `,"`...), name...), `":`...)
}
