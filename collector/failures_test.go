package collector

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
)

// errorsAPI fails with an error for each window, or succeeds.
type errorsAPI map[string]error

func (a errorsAPI) Read(_ context.Context, _ chattonic.Endpoint, w chattonic.Window) (chattonic.Answer, error) {
	if err := a[w.Name]; err != nil {
		return nil, err
	}
	return &chattonic.Operators{Metadata: chattonic.Metadata{Window: w}}, nil
}

func TestFailuresAreLoggedWhenTheyBeginChangeAndEnd(t *testing.T) {
	failure := func(cause chattonic.Cause, status int, detail string) error {
		return chattonic.Error{Endpoint: chattonic.EndpointOperators, StatusCode: status, Cause: cause, Detail: detail}
	}
	var (
		http429  = failure(chattonic.CauseStatus, 429, "HTTP 429, paused until 05:10")
		later429 = failure(chattonic.CauseStatus, 429, "HTTP 429, paused until 05:12")
		http500  = failure(chattonic.CauseStatus, 500, "HTTP 500")
		slow     = failure(chattonic.CauseTimeout, 0, "no answer before the deadline")
		slower   = failure(chattonic.CauseTimeout, 0, "no complete answer before the timeout")
		refused  = failure(chattonic.CauseConnection, 0, "connection refused")
		canceled = failure(chattonic.CauseCanceled, 0, "canceled")
	)
	const none = ""
	for _, steps := range [][]struct {
		after      time.Duration
		day, today error
		want       string // windows and errors, separated by semicolons
	}{
		{ // begins, continues, ends, and begins again
			{0, nil, nil, none},
			{0, http500, http500, "24h,today HTTP 500"},
			{time.Minute, http500, http500, none},
			{time.Minute, http500, nil, none},
			{time.Minute, nil, nil, "again 3m0s"},
			{time.Minute, nil, nil, none},
			{time.Minute, nil, http500, "today HTTP 500"},
		},
		{ // from time to time
			{0, http500, http500, "24h,today HTTP 500"},
			{10*time.Minute - 1, http500, http500, none},
			{1, http500, nil, "24h HTTP 500"},
			{9 * time.Minute, http500, http500, none},
			{-time.Hour, http500, http500, "24h,today HTTP 500"},
			{0, nil, nil, "again 1ns"},
		},
		{ // changes
			{0, slow, http429, "24h no answer before the deadline;today HTTP 429, paused until 05:10"},
			{time.Minute, http429, slower, none},
			{time.Minute, later429, later429, none},
			{time.Minute, refused, http500, "24h connection refused;today HTTP 500"},
			{time.Minute, slow, refused, none},
			{time.Minute, errDown, errDown, "24h,today down"},
			{5 * time.Minute, slow, refused, "24h no answer before the deadline"},
		},
		{ // a client that disconnects says nothing about the API
			{0, canceled, canceled, none},
			{0, http500, canceled, "24h HTTP 500"},
			{time.Minute, canceled, canceled, none},
			{time.Minute, nil, canceled, none},
			{time.Minute, http500, http500, none},
			{time.Minute, nil, nil, "again 4m0s"},
		},
	} {
		api := errorsAPI{}
		now := noon
		team := newTeam(t, api, func(s *Settings) {
			s.Windows, s.Collectors = windows(t, "24h", "today"), []chattonic.Endpoint{chattonic.EndpointOperators}
		})
		for i, step := range steps {
			now = now.Add(step.after)
			api["24h"], api["today"] = step.day, step.today
			var logs bytes.Buffer
			New(t.Context(), log.NewLogfmtLogger(&logs), func() time.Time { return now }, team).Fetch()
			var want strings.Builder
			for line := range strings.SplitSeq(step.want, ";") {
				first, rest, _ := strings.Cut(line, " ")
				switch {
				case line == none:
				case first == "again":
					fmt.Fprintf(&want, "level=info msg=\"API requests succeed again\" team=acme collector=operators failed_for=%s\n", rest)
				case rest == "down":
					fmt.Fprintf(&want, "level=error msg=\"API request failed\" team=acme collector=operators windows=%s err=down\n", first)
				default:
					fmt.Fprintf(&want, "level=error msg=\"API request failed\" team=acme collector=operators windows=%s err=\"requesting the operators endpoint: %s\"\n", first, rest)
				}
			}
			require.Equal(t, want.String(), logs.String(), "step %d", i)
		}
	}
}

// Each endpoint of each team has its own failures.
func TestFailuresOfEndpointsAreSeparate(t *testing.T) {
	api := operators("24h")
	acme, globex := newTeam(t, api, nil), newTeam(t, api, func(s *Settings) { s.Codename = "globex" })
	_, logged := scrape(t, acme)
	assert.Equal(t, 1, strings.Count(logged, "\n"))
	api.operators = nil
	_, logged = scrape(t, acme, globex)
	assert.Equal(t, 3, strings.Count(logged, "level=error"), logged)
	api.operators = operators("24h").operators
	_, logged = scrape(t, acme, globex)
	assert.Equal(t, 2, strings.Count(logged, "succeed again"), logged)
	assert.Equal(t, 2, strings.Count(logged, "\n"), logged)
}
