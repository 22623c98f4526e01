package web

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/simulator"
)

// secondOperator is the one with a status of the documented two.
const secondOperator = "5f286ede4dbdcf209af"

// tooLate is the cause of all that ends with the scrape's deadline.
const tooLate = "no answer before the scrape's deadline"

// always meets the same at each endpoint.
func always(f simulator.Fault) func(chattonic.Endpoint) simulator.Fault {
	return func(chattonic.Endpoint) simulator.Fault { return f }
}

// by meets what an HTTP handler does.
func by(handle http.HandlerFunc) func(chattonic.Endpoint) simulator.Fault {
	return always(simulator.Fault{Handler: handle})
}

// body answers with a body.
func body(text string) func(chattonic.Endpoint) simulator.Fault {
	return always(simulator.Fault{Body: []byte(text)})
}

// edited is the documented answer with the value at a path replaced by what may
// be no JSON. Elements of the path are keys and indexes.
func edited(e chattonic.Endpoint, raw string, path ...any) string {
	const mark = "the value that is replaced"
	var answer any
	must(json.Unmarshal(fixtureOf(e), &answer))
	at := answer
	for i, element := range path {
		last := i == len(path)-1
		switch at := at.(type) {
		case map[string]any:
			if last {
				at[element.(string)] = mark
			}
		case []any:
			if last {
				at[element.(int)] = mark
			}
		}
		if !last {
			at = child(at, element)
		}
	}
	text, err := json.Marshal(answer)
	must(err)
	before, after, found := strings.Cut(string(text), strconv.Quote(mark))
	if !found {
		panic(fmt.Sprintf("no value at %v", path))
	}
	return before + raw + after
}

func child(parent, element any) any {
	switch parent := parent.(type) {
	case map[string]any:
		return parent[element.(string)]
	case []any:
		return parent[element.(int)]
	}
	panic(fmt.Sprintf("nothing is in %v", parent))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func fixtureOf(e chattonic.Endpoint) []byte {
	if e == chattonic.EndpointOperators {
		return simulator.OperatorsFixture()
	}
	return simulator.DashboardFixture()
}

// item is the path of a thing with many fields: an operator, or a row.
func item(e chattonic.Endpoint) []any {
	if e == chattonic.EndpointOperators {
		return []any{"operators", 1}
	}
	return []any{0}
}

// inItem answers with another value of a field of an operator or row.
func inItem(field, raw string) func(chattonic.Endpoint) simulator.Fault {
	return func(e chattonic.Endpoint) simulator.Fault {
		return body(edited(e, raw, append(item(e), field)...))(e)
	}
}

func statusFaults() (faults []fault) {
	page := []byte("<!DOCTYPE html><title>No</title><p>Bearer " + faultToken)
	add := func(status int, name, retryAfter string, slow bool) {
		faults = append(faults, fault{
			group: "status", name: strings.TrimSpace(fmt.Sprint(status, " ", name)), cause: fmt.Sprintf("HTTP %d", status), slow: slow,
			pauses: status == 401 || status == 429,
			meets:  always(simulator.Fault{Status: status, RetryAfter: retryAfter, Body: page, ContentType: "text/html"}),
		})
	}
	for _, status := range []int{400, 401, 403, 404, 408, 418, 500, 501, 300, 304} {
		add(status, "", "", false)
	}
	for _, status := range []int{429, 502, 503, 504} {
		add(status, "", "", true)
	}
	add(429, "retry after a second", "1", true)
	add(429, "retry after the scrape", "5", true)
	add(429, "retry after an hour", "3600", false)
	add(429, "retry in a second", noon.Add(time.Second).Format(http.TimeFormat), true)
	add(429, "retry tomorrow", noon.Add(24*time.Hour).Format(http.TimeFormat), false)
	for i := range faults {
		if f := &faults[i]; f.pauses && strings.Contains(f.name, "retry") && !f.slow {
			f.pausedUntil = "1.6383636e+09" // in an hour, which is the maximum
		}
	}
	return append(faults,
		fault{group: "status", name: "503 once", slow: true, meets: always(simulator.Fault{Status: 503, Times: 1})},
		fault{group: "status", name: "429 once, retry after 0", requests: 2, meets: always(simulator.Fault{Status: 429, RetryAfter: "0", Times: 1})},
	)
}

// reset sends something and resets the connection.
func reset(before string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return // the client has gone away
		}
		_, _ = io.WriteString(conn, before)
		if tcp, ok := conn.(*net.TCPConn); ok {
			time.Sleep(20 * time.Millisecond) // a reset overtakes what was not yet read
			_ = tcp.SetLinger(0)              // makes Close a reset, unless it is closed already
		}
		_ = conn.Close()
	}
}

// trickle sends something a byte at a time until nobody listens.
func trickle(text string, pause time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return // the client has gone away
		}
		defer conn.Close()
		for _, c := range []byte(text) {
			if _, err := conn.Write([]byte{c}); err != nil {
				return
			}
			time.Sleep(pause)
		}
	}
}

// flood sends something again and again until nobody listens.
func flood(header, text string) http.HandlerFunc {
	part := []byte(text)
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return // the client has gone away
		}
		defer conn.Close()
		_, err = io.WriteString(conn, header)
		for err == nil {
			_, err = conn.Write(part)
		}
	}
}

// certificate is the server's, to be trusted by a team.
func certificate(server *httptest.Server) string {
	return strconv.Quote(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
}

func networkFaults() []fault {
	const (
		group  = "network"
		header = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	)
	settings := func(base, tls string) string {
		return "    base_url: " + base + "\n    http_client: {tls_config: {" + tls + "}}\n"
	}
	broken := "(connection reset by peer|the connection broke)"
	return []fault{
		{group: group, name: "refused", cause: "connection refused", slow: true, sockets: true, way: func(_, _ *httptest.Server) string {
			return settings("http://127.0.0.1:1", "")
		}},
		{group: group, name: "name not resolved", cause: "the host name .* cannot be resolved", way: func(_, _ *httptest.Server) string {
			return settings("http://"+strings.Repeat("a", 64)+".example", "") // too long for a name, so that nobody is asked
		}},
		{group: group, name: "TLS authority unknown", cause: "TLS: x509: certificate signed by unknown authority", way: func(_, secure *httptest.Server) string {
			return settings(secure.URL, "")
		}},
		{group: group, name: "TLS name wrong", cause: "TLS: x509: certificate is valid for .* not other.test", way: func(_, secure *httptest.Server) string {
			return settings(secure.URL, "server_name: other.test, ca: "+certificate(secure))
		}},
		{group: group, name: "no TLS", cause: "TLS: the server does not speak TLS", way: func(plain, _ *httptest.Server) string {
			return settings(strings.Replace(plain.URL, "http", "https", 1), "")
		}},
		{group: group, name: "all is well over TLS", way: func(_, secure *httptest.Server) string {
			return settings(secure.URL, "ca: "+certificate(secure))
		}},
		{group: group, name: "reset before the answer", cause: broken, slow: true, sockets: true, meets: by(reset(""))},
		{group: group, name: "reset in the body", cause: broken, slow: true, sockets: true, meets: by(reset(header + "Content-Length: 1000\r\n\r\n{"))},
		{group: group, name: "closed in the body", cause: broken, slow: true, meets: always(simulator.Fault{Cut: simulator.CutInBody})},
		{group: group, name: "closed once", slow: true, meets: always(simulator.Fault{Cut: simulator.CutBeforeHeader, Times: 1})},
		{group: group, name: "no header", cause: tooLate, slow: true, meets: always(simulator.Fault{Delay: time.Hour})},
		{group: group, name: "slow header", cause: tooLate, slow: true, meets: by(trickle(header+"X-Slow: "+strings.Repeat("x", 1000), 50*time.Millisecond))},
		{group: group, name: "slow body", cause: tooLate, slow: true, meets: func(e chattonic.Endpoint) simulator.Fault {
			return simulator.Fault{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for _, c := range fixtureOf(e) {
					_, _ = w.Write([]byte{c})
					_ = http.NewResponseController(w).Flush()
					select {
					case <-r.Context().Done():
						return
					case <-time.After(time.Second):
					}
				}
			})}
		}},
		{group: group, name: "endless header", cause: "invalid HTTP response", only: chattonic.EndpointOperators, alone: true, allocates: 80 << 20, meets: by(flood(header, "X-More: "+strings.Repeat(faultToken, 1000)+"\r\n"))},
		{group: group, name: "not HTTP", cause: "invalid HTTP response", meets: by(flood("", faultToken+"\r\n"))},
	}
}

// bomb is a gigabyte of blanks, in gzip.
func bomb() []byte {
	var part bytes.Buffer
	w := gzip.NewWriter(&part)
	_, err := w.Write(bytes.Repeat([]byte(" "), 1<<20))
	must(err)
	must(w.Close())
	return bytes.Repeat(part.Bytes(), 1<<10)
}

func bodyFaults() []fault {
	const (
		group     = "body"
		invalid   = "the answer is not valid JSON"
		operators = chattonic.EndpointOperators
		dashboard = chattonic.EndpointDashboard
	)
	long := strings.Repeat("a", 1<<20)
	zipped := bomb()
	bad := func(name, cause string, meets func(chattonic.Endpoint) simulator.Fault, only ...chattonic.Endpoint) fault {
		f := fault{group: group, name: name, cause: cause, meets: meets}
		if len(only) > 0 {
			f.only = only[0]
		}
		return f
	}
	// heavy faults are long tokens, for which the decoder's buffer grows.
	heavy := func(f fault) fault {
		f.allocates = 32 << 20
		return f
	}
	around := func(before, after string) func(chattonic.Endpoint) simulator.Fault {
		return func(e chattonic.Endpoint) simulator.Fault {
			return body(before + string(fixtureOf(e)) + after)(e)
		}
	}
	faults := []fault{
		bad("truncated", invalid, always(simulator.Fault{Truncate: true})),
		bad("empty", invalid, body("")),
		bad("blank", invalid, body(" \n")),
		bad("HTML", "the answer is an HTML page", always(simulator.Fault{Body: []byte("<!DOCTYPE html><p>Bearer " + faultToken), ContentType: "text/html"})),
		bad("null", "the answer has the wrong type: null", body("null")),
		bad("a token", "the answer has the wrong type: string", body(strconv.Quote(faultToken))),
		bad("a number", "the answer has the wrong type: number", body("1")),
		bad("[]", "the answer has the wrong type: array", body("[]"), operators),
		bad("[]", "the list of rows is empty", body("[]"), dashboard),
		bad("{}", "operators is missing", body("{}"), operators),
		bad("{}", "the answer has the wrong type: object", body("{}"), dashboard),
		bad("[null]", "the answer has the wrong type", body("[null]")),
		bad("no operators list", "operators is missing", body(`{"status":true,"queryPending":0}`), operators),
		bad("operators null", "operators is missing", body(edited(operators, "null", "operators")), operators),
		bad("operator null", "operators has the wrong type: null", body(edited(operators, "null", "operators", 1)), operators),
		bad("operator without id", "operators._id is missing", body(edited(operators, `null`, "operators", 1, "_id")), operators),
		bad("operator with an empty id", "operators._id is missing", body(edited(operators, `""`, "operators", 1, "_id")), operators),
		bad("status false", "Chat-Tonic refused", body(`{"status":false,"message":"`+faultToken+`"}`)),
		bad("followed by another", invalid, around("", "{}")),
		bad("followed by NUL", invalid, around("", "\x00")),
		bad("after a byte order mark", "begins with a byte order mark", around("\uFEFF", "")),
		bad("NaN", invalid, inItem("nps", "NaN")),
		bad("Infinity", invalid, inItem("nps", "-Infinity")),
		bad("NaN as text", "nps has the wrong type: string", inItem("nps", `"NaN"`)),
		bad("no number as text", "nps has the wrong type: string", inItem("nps", `""`)),
		bad("1e999", "nps has the wrong type: out-of-range number", inItem("nps", "1e999")),
		bad("-1e999", "nps has the wrong type: out-of-range number", inItem("nps", "-1e999")),
		bad("name as a key of its own", invalid, inItem("nps", `1,nps:2`)),
		bad("key twice", "nps is a duplicate field", inItem("nps", `1,"nps":2`)),
		bad("key twice, once escaped", "nps is a duplicate field", inItem("nps", `1,"n\u0070s":2`)),
		bad("key twice in the answer", "queryPending is a duplicate field", body(edited(operators, `1,"queryPending":1`, "queryPending")), operators),
		bad("list twice", "operators is a duplicate field", body(edited(operators, `[],"operators":[]`, "operators")), operators),
		bad("nested 10,000 deep", "not valid JSON", inItem("deep", nested(10_000))),
		bad("nested 1,000,000 deep", "not valid JSON", inItem("deep", nested(1_000_000))),
		bad("nothing but 1,000,000 brackets", "(not valid JSON|wrong type)", body(strings.Repeat("[", 1_000_000))),
		bad("objects nested 100,000 deep", "not valid JSON", inItem("deep", strings.Repeat(`{"a":`, 100_000)+"1"+strings.Repeat("}", 100_000))),
		heavy(bad("a name of 1 MB", "displayName is longer", inItem("displayName", strconv.Quote(long)), operators)),
		bad("an id of 5,000 letters", "_id is longer", inItem("_id", strconv.Quote(long[:5000])), operators),
		heavy(bad("a date of 1 MB", "date is longer", inItem("date", strconv.Quote(long)), dashboard)),
		bad("a number of 10,000 digits", "out-of-range number", inItem("nps", strings.Repeat("9", 10_000))),
		bad("gzip bomb, unasked", "compressed with gzip, which was not requested", by(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(zipped)
		})),
		bad("beyond the limit", "more than 2097152 bytes", around("", strings.Repeat(" ", maxAnswer))),
		bad("beyond the limit by its header", "more than 2097152 bytes", by(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9000000000000000000")
			_, _ = w.Write([]byte("{"))
		})),
		heavy(bad("endless", "more than 2097152 bytes", by(flood("HTTP/1.1 200 OK\r\n\r\n[", strings.Repeat(" ", 32<<10))), dashboard)),
		heavy(bad("endless", "more than 2097152 bytes", by(flood("HTTP/1.1 200 OK\r\n\r\n{", strings.Repeat(" ", 32<<10))), operators)),
	}
	return append(faults, readableFaults()...)
}

// nested is an array in an array and so on.
func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// readableFaults are odd answers that say what they mean nevertheless.
func readableFaults() []fault {
	const (
		group     = "readable body"
		operators = chattonic.EndpointOperators
	)
	info := func(name string) string {
		return `chattonic_operator_info{operator="` + name + `",operator_id="` + secondOperator + `",origins="all",profile="500",team="TEAM"}`
	}
	named := func(name string) func(chattonic.Endpoint) samples {
		return func(chattonic.Endpoint) samples { return samples{info("Chamo Operator"): "", info(name): "1"} }
	}
	pending := func(value string) func(chattonic.Endpoint) samples {
		return func(chattonic.Endpoint) samples { return samples{`chattonic_queries_pending{team="TEAM"}`: value} }
	}
	second := func() string {
		var answer struct{ Operators []json.RawMessage }
		must(json.Unmarshal(simulator.OperatorsFixture(), &answer))
		return string(answer.Operators[1])
	}()
	return []fault{
		{group: group, name: "operator twice", only: operators, meets: body(edited(operators, second+`,{"_id":"`+secondOperator+`","nps":99,"status":"away"}`, "operators", 1)), violates: "missing_field", violations: 15},
		{group: group, name: "name not UTF-8", only: operators, meets: inItem("displayName", "\"a\xffb\xc0\""), samples: named("a\uFFFDb\uFFFD")},
		{group: group, name: "half of a surrogate pair", only: operators, meets: inItem("displayName", `"a\ud800b"`), samples: named("a\uFFFDb")},
		{group: group, name: "name with quotes and a line break", only: operators, meets: inItem("displayName", `"a\"\\\nb"`), samples: named(`a\"\\\nb`)},
		{group: group, name: "number as text", only: operators, meets: body(edited(operators, `"42"`, "queryPending")), samples: pending("42")},
		{group: group, name: "number beyond 2^53", only: operators, meets: body(edited(operators, "9007199254740993", "queryPending")), samples: pending("9.007199254740992e+15")},
		{group: group, name: "negative count", only: operators, meets: body(edited(operators, "-5", "queryPending")), samples: pending("-5"), violates: "implausible_value", violations: 1},
		{group: group, name: "number near the greatest", only: operators, meets: body(edited(operators, "1e308", "queryPending")), samples: pending("1e+308")},
		{group: group, name: "count with a fraction", only: operators, meets: body(edited(operators, "-0.25", "queryPending")), samples: pending("-0.25"), violates: "implausible_value", violations: 1},
		{group: group, name: "unknown field", meets: inItem("shoeSize", `{"eu":[42,{"wide":true}],"note":"`+faultToken+`"}`), violates: "unknown_field", violations: 1},
		{group: group, name: "unknown field of 100 kB", meets: inItem("photo", strconv.Quote(strings.Repeat("a", 100_000))), violates: "unknown_field", violations: 1},
		{group: group, name: "unknown field that is not UTF-8", meets: inItem("photo", "\"\xff\xfe\""), violates: "unknown_field", violations: 1},
		{group: group, name: "unknown number beyond all", meets: inItem("big", "1e999"), violates: "unknown_field", violations: 1},
		{group: group, name: "field of other letter case", meets: inItem("NPS", "99"), violates: "unknown_field", violations: 1},
		{group: group, name: "white space", meets: func(e chattonic.Endpoint) simulator.Fault {
			return body("\r\n\t " + string(fixtureOf(e)) + strings.Repeat(" \n", 10_000))(e)
		}},
		{group: group, name: "another content type", meets: func(e chattonic.Endpoint) simulator.Fault {
			return simulator.Fault{Body: fixtureOf(e), ContentType: "text/plain"}
		}},
		{group: group, name: "status 206", meets: func(e chattonic.Endpoint) simulator.Fault {
			return simulator.Fault{Body: fixtureOf(e), Status: http.StatusPartialContent}
		}},
	}
}

func redirectFaults() []fault {
	const (
		group = "redirect"
		away  = "redirected to another host, port or scheme"
	)
	answers := func(status int, location func(*http.Request) string) func(chattonic.Endpoint) simulator.Fault {
		return by(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", location(r))
			w.WriteHeader(status)
		})
	}
	to := func(location func(*http.Request) string) func(chattonic.Endpoint) simulator.Fault {
		return answers(http.StatusFound, location)
	}
	onceTo := func(status int) func(chattonic.Endpoint) simulator.Fault {
		return func(e chattonic.Endpoint) simulator.Fault {
			f := answers(status, func(r *http.Request) string { // the same for the API, but not the same text
				rest := strings.TrimPrefix(r.URL.RequestURI(), "/api/v1/")
				return fmt.Sprintf("http://%s/api/v1/%%%02X%s", r.Host, rest[0], rest[1:])
			})(e)
			f.Times = 1
			return f
		}
	}
	port := func(r *http.Request) string { return r.Host[strings.LastIndexByte(r.Host, ':'):] }
	return []fault{
		{group: group, name: "to the same host, 302", requests: 2, meets: onceTo(http.StatusFound)},
		{group: group, name: "to the same host, 308", requests: 2, meets: onceTo(http.StatusPermanentRedirect)},
		{group: group, name: "to another host", cause: away, meets: to(func(r *http.Request) string { return "http://localhost" + port(r) + r.URL.RequestURI() })},
		{group: group, name: "to another host, with the token", cause: away, meets: to(func(*http.Request) string { return "http://" + faultToken + ".example/?" + faultToken })},
		{group: group, name: "to another port", cause: away, meets: to(func(*http.Request) string { return "http://127.0.0.1:1/" })},
		{group: group, name: "to http from https", cause: away, way: func(_, secure *httptest.Server) string {
			return "    base_url: " + secure.URL + "\n    http_client: {tls_config: {ca: " + certificate(secure) + "}}\n"
		}, meets: to(func(r *http.Request) string { return "http://" + r.Host + r.URL.RequestURI() })},
		{group: group, name: "in a loop", cause: "redirected in a loop", meets: to(func(r *http.Request) string { return r.URL.RequestURI() })},
		{group: group, name: "to nowhere", cause: "(invalid HTTP response|HTTP 302)", meets: to(func(*http.Request) string { return "" })},
		{group: group, name: "to what is no URL", cause: "invalid HTTP response", meets: to(func(*http.Request) string { return "http://[" + faultToken })},
		{group: group, name: "to a file", cause: away, meets: to(func(*http.Request) string { return "file:///etc/passwd" })},
	}
}

// kind is what a documented field holds.
type kind int

const (
	numbers kind = iota
	texts
	flags
	times
	lists
	ignored
)

// kindsOf are the fields that do not hold numbers; the status of an answer is
// another than that of an operator.
var kindsOf = map[string]kind{
	"status": flags, "operators": lists, "operators.status": texts, "operators._id": texts, "operators.displayName": texts,
	"operators.originsName": texts, "operators.lastConnection": times, "operators.name": ignored, "operators.origins": ignored, "date": texts,
}

// wrongValues are values that a field of a kind must not have.
var wrongValues = map[kind][]string{
	numbers: {`"` + faultToken + `"`, "true", "[{}]"},
	texts:   {"12", "false", "{}"},
	flags:   {`"true"`, "1", "[]"},
	times:   {`"yesterday"`, "true", "{}"},
	lists:   {`"none"`, "1", "true", "{}"},
}

// readValues are values that a field of a kind may have, with their samples. ""
// is no sample, and same is no change.
var readValues = map[kind]map[string]string{
	numbers: {"-9007199254740993": "-9.007199254740992e+15", "null": ""},
	times:   {`"2021-12-01T11:00:00.500Z"`: "1.6383564005e+09", "1638356400500": "1.6383564005e+09"},
	ignored: {`"` + faultToken + `"`: same, "12": same, "true": same, "null": same, "{}": same, "[]": same},
}

const same = "same"

// anySign are the fields whose numbers may be negative.
var anySign = regexp.MustCompile(`^(operators\.)?(nps|profile|csat|userEfficiency|attention|resolution|attentionAndResolution)$`)

// fieldFaults has every documented field hold what it should not, and what it
// may.
func fieldFaults(undisturbed samples) (faults []fault) {
	add := func(e chattonic.Endpoint, name string, path ...any) {
		kind := kindsOf[name]
		for i, raw := range wrongValues[kind] {
			faults = append(faults, fault{
				group: "wrong type", name: name + " " + raw, only: e, alone: i > 0, meets: body(edited(e, raw, path...)),
				cause: regexp.QuoteMeta(name) + " has the wrong type: (string|bool|object|array|number|out-of-range number)",
			})
		}
		for i, raw := range slices.Sorted(maps.Keys(readValues[kind])) {
			f := fault{group: "readable field", name: name + " " + raw, only: e, alone: i > 0, meets: body(edited(e, raw, path...))}
			switch value := readValues[kind][raw]; {
			case name == "operators.profile":
				f.samples = func(chattonic.Endpoint) samples { return profile(value) }
			case value != same:
				f.samples = func(chattonic.Endpoint) samples { return samples{sampleOf(undisturbed, e, name): value} }
			}
			switch {
			case name == "operators.name" && raw == "{}":
				f.violates, f.violations = "missing_field", 2
			case strings.HasPrefix(raw, "-") && !anySign.MatchString(name):
				f.violates, f.violations = "implausible_value", 1
			}
			faults = append(faults, f)
		}
	}
	var answer struct{ Operators []map[string]any }
	var top map[string]any
	must(json.Unmarshal(simulator.OperatorsFixture(), &answer))
	must(json.Unmarshal(simulator.OperatorsFixture(), &top))
	for name := range top {
		add(chattonic.EndpointOperators, name, name)
	}
	for name := range answer.Operators[1] {
		add(chattonic.EndpointOperators, "operators."+name, "operators", 1, name)
	}
	var rows []map[string]any
	must(json.Unmarshal(simulator.DashboardFixture(), &rows))
	for name := range rows[0] {
		add(chattonic.EndpointDashboard, name, 0, name)
	}
	return faults
}

// profile is the samples of another profile, which is a label.
func profile(value string) samples {
	if value != "" {
		number, err := strconv.ParseFloat(value, 64)
		must(err)
		value = strconv.FormatFloat(number, 'f', -1, 64)
	}
	const info = `chattonic_operator_info{operator="Chamo Operator",operator_id="` + secondOperator + `",origins="all",profile="%s",team="TEAM"}`
	return samples{fmt.Sprintf(info, "500"): "", fmt.Sprintf(info, value): "1"}
}

// sampleOf returns the sample of a field, without its team.
func sampleOf(undisturbed samples, e chattonic.Endpoint, field string) string {
	field = field[strings.LastIndexByte(field, '.')+1:]
	if field == "lastConnection" {
		return `chattonic_operator_last_connection_timestamp_seconds{operator_id="` + secondOperator + `",team="TEAM"}`
	}
	prefix := map[chattonic.Endpoint]string{chattonic.EndpointOperators: "chattonic_(operator|queries)_", chattonic.EndpointDashboard: "chattonic_dashboard_"}[e]
	for _, m := range collector.Metrics() {
		_, source, _ := strings.Cut(m.Help, "API field: ")
		if !regexp.MustCompile("^"+prefix).MatchString(m.Name) || !slices.Contains(strings.Split(strings.TrimSuffix(source, "."), ", "), field) {
			continue
		}
		for sample := range undisturbed {
			if !strings.HasPrefix(sample, m.Name+"{") || !strings.Contains(sample, `team="acme"`) ||
				strings.Contains(sample, "operator_id=") && !strings.Contains(sample, secondOperator) ||
				strings.Contains(sample, "state=") && !strings.Contains(sample, `state="`+strings.Replace(field, "progress", "in_progress", 1)+`"`) {
				continue
			}
			return strings.Replace(sample, "acme", "TEAM", 1)
		}
	}
	panic("no sample of " + field)
}
