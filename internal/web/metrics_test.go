package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/collector"
	"chattonic_exporter/internal/calendar"
	"chattonic_exporter/internal/teams"
)

// sizedTeams is a TeamSet of teams of different sizes, all of whose texts hold
// their codename.
type sizedTeams map[string]*collector.Team

func (s sizedTeams) Teams() (teams []*collector.Team, release func()) { return nil, func() {} }

func (s sizedTeams) Team(codename string) ([]*collector.Team, func()) {
	return []*collector.Team{s[codename]}, func() {}
}

func (s sizedTeams) Codenames() []string { return nil }

// sizedTeam returns a team of n operators.
func sizedTeam(t *testing.T, codename string, n int) *collector.Team {
	t.Helper()
	var operators []string
	for i := range n {
		operators = append(operators, fmt.Sprintf(`{"_id": "%s-%d", "displayName": "%[1]s \u00e9 %[3]d", "originsName": "%[1]s", "status": "%[1]s", "onlineTime": %[2]d, "nps": -1.25, "profile": %d}`, codename, i*7919%10007, i%13, i))
	}
	bodies := canned{
		"operator": []byte(`{"status": true, "operators": [` + strings.Join(operators, ",") + `], "queryPending": 3}`),
		"bigquery": []byte(`[{"date": "0", "totalUsers": ` + fmt.Sprint(n) + `}]`),
	}
	client, err := chattonic.New("http://chat-tonic.example", codename, chattonic.WithHTTPClient(&http.Client{Transport: bodies}), chattonic.WithClock(func() time.Time { return noon }))
	require.NoError(t, err)
	poller := teams.NewSharedAPI(client, teams.SharedOptions{Timeout: time.Minute, Limit: semaphore.NewWeighted(100)})
	t.Cleanup(poller.Close)
	window, err := calendar.ParseWindow("24h")
	require.NoError(t, err)
	return collector.NewTeam(collector.Settings{
		Codename: codename, API: poller, Collectors: []chattonic.Endpoint{"operators", "dashboard"},
		Windows: []collector.WindowSpec{window}, Location: time.UTC, DurationUnit: time.Second,
	})
}

// Buffers are used again and again, by scrapes of all teams at the same time. In a
// bubble no time passes, so that pages of the same team are the same.
func TestScrapesHaveNothingOfOtherTeams(t *testing.T) {
	synctest.Test(t, scrapesHaveNothingOfOtherTeams)
}

func scrapesHaveNothingOfOtherTeams(t *testing.T) {
	sizes := map[string]int{"acme": 1, "globex": 3, "initech": 40, "umbrella": 150, "hooli": 400}
	teams := sizedTeams{}
	for codename, n := range sizes {
		teams[codename] = sizedTeam(t, codename, n)
	}
	handler, err := New(Options{Teams: teams, Registry: prometheus.NewRegistry(), Logger: log.NewNopLogger(), ScrapeTimeout: time.Minute, Now: func() time.Time { return noon }})
	require.NoError(t, err)
	scrape := func(codename, accept, encoding string) string {
		r := httptest.NewRequest(http.MethodGet, "/probe?target="+codename, http.NoBody)
		r.Header.Set("Accept", accept)
		r.Header.Set("Accept-Encoding", encoding)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		body := io.Reader(w.Body)
		if w.Header().Get("Content-Encoding") == "gzip" {
			unpacked, err := gzip.NewReader(body)
			if !assert.NoError(t, err) { //nolint:testifylint // It is not the test's goroutine.
				return ""
			}
			body = unpacked
		}
		var text bytes.Buffer
		_, err := text.ReadFrom(body)
		assert.NoError(t, err) //nolint:testifylint // It is not the test's goroutine.
		return text.String()
	}
	text, openMetrics := "text/plain", string(expfmt.NewFormat(expfmt.TypeOpenMetrics))
	want := make(map[string]string)
	for codename, n := range sizes {
		for _, accept := range []string{text, openMetrics} {
			page := scrape(codename, accept, "identity")
			require.Equal(t, n, strings.Count(page, "\nchattonic_operator_info{"))
			for other := range sizes {
				require.True(t, other == codename || !strings.Contains(page, other), "%s in the page of %s", other, codename)
			}
			want[codename+accept] = page
		}
	}
	var scrapers sync.WaitGroup
	for i := range 8 {
		scrapers.Go(func() {
			for k := range 3 {
				for codename := range sizes {
					accept := []string{text, openMetrics}[(i+k)%2]
					if got := scrape(codename, accept, []string{"gzip", "identity"}[i/2%2]); got != want[codename+accept] {
						t.Errorf("the page of %s is another one while other teams are scraped", codename)
					}
				}
			}
		})
	}
	scrapers.Wait()
}

// failingOnce takes all but the first piece.
type failingOnce struct {
	http.ResponseWriter
	writes *int
}

func (f failingOnce) Write(b []byte) (int, error) {
	if *f.writes++; *f.writes == 1 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

// The rest of a page that broke would be taken for a whole one.
func TestNothingFollowsAPageThatBroke(t *testing.T) {
	f, handler, _ := startHandler(t, allTeams)
	for _, accept := range []string{"text/plain", string(expfmt.NewFormat(expfmt.TypeOpenMetrics))} {
		writes := 0
		before := strings.Count(f.logs.String(), "writing metrics failed")
		r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
		r.Header.Set("Accept", accept)
		handler.ServeHTTP(failingOnce{httptest.NewRecorder(), &writes}, r)
		assert.Equal(t, 1, writes, accept)
		assert.Equal(t, before+1, strings.Count(f.logs.String(), "writing metrics failed"), accept)
	}
}

func TestRequestsThatWantNoTeamMakeNoCall(t *testing.T) {
	f := start(t, allTeams, nil)
	const counter = "chattonic_exporter_api_requests_total"
	calls := func() string {
		_, body := f.ask(t, http.MethodGet, "/metrics?name[]="+counter)
		return body
	}
	before := calls()
	require.Contains(t, before, counter)
	openMetrics, protobuf := string(expfmt.NewFormat(expfmt.TypeOpenMetrics)), string(expfmt.NewFormat(expfmt.TypeProtoDelim))
	for _, accept := range []string{"text/plain", openMetrics, protobuf} {
		for _, path := range []string{"/metrics", "/probe?target=acme"} {
			resp, body := f.ask(t, http.MethodHead, path, "Accept", accept)
			assert.Equal(t, http.StatusOK, resp.StatusCode)
			assert.Contains(t, resp.Header.Get("Content-Type"), strings.Split(accept, ";")[0])
			assert.Empty(t, body)
		}
		f.ask(t, http.MethodGet, "/metrics?name[]=nothing&name[]=go_goroutines", "Accept", accept)
		f.ask(t, http.MethodGet, "/probe?target=acme&name[]="+counter, "Accept", accept)
		assert.Equal(t, before, calls(), accept)
	}
	resp, _ := f.ask(t, http.MethodHead, "/probe?target=nobody")
	assert.Equal(t, http.StatusBadRequest, resp.StatusCode)
	_, body := f.ask(t, http.MethodGet, "/metrics?name[]=chattonic_up&name[]=nothing")
	assert.Contains(t, body, `chattonic_up{team="acme"} 1`)
	assert.NotEqual(t, before, calls())
}

// Answers are compressed by gzip only, which every client takes that compresses.
func TestOtherCompressionsAreNotOffered(t *testing.T) {
	_, handler, _ := startHandler(t, allTeams)
	for accept, want := range map[string]string{"zstd": "", "zstd, gzip": "gzip", "br, zstd": "", "gzip;q=0": "", "": ""} {
		r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
		r.Header.Set("Accept-Encoding", accept)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		assert.Equal(t, want, w.Header().Get("Content-Encoding"), accept)
	}
}
