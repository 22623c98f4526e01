package simulator_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/simulator"
)

// ask asks the operators endpoint, and waits no longer than given.
func (w *world) ask(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(w.t.Context(), timeout)
	defer cancel()
	// A call with a deadline would be tried again.
	_, err := w.client.Operators(once{ctx}, chattonic.Window{Start: noon.Add(-time.Hour), End: noon})
	return err
}

// once hides the deadline of a context.
type once struct{ context.Context }

func (once) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

func TestFaultsAsTheClientMeetsThem(t *testing.T) {
	t.Parallel()
	named := func(name string) simulator.Fault {
		fault, err := simulator.NamedFault(name)
		require.NoError(t, err)
		return fault
	}
	for name, c := range map[string]struct {
		fault simulator.Fault
		cause chattonic.Cause
	}{
		"500":         {named("500"), chattonic.CauseStatus},
		"429":         {named("429"), chattonic.CauseStatus},
		"cut":         {named("cut"), chattonic.CauseConnection},
		"cut_body":    {named("cut_body"), chattonic.CauseConnection},
		"truncated":   {named("truncated"), chattonic.CauseAnswer},
		"malformed":   {named("malformed"), chattonic.CauseAnswer},
		"html":        {named("html"), chattonic.CauseAnswer},
		"wrong_types": {named("wrong_types"), chattonic.CauseAnswer},
		"endless":     {named("endless"), chattonic.CauseTimeout},
		"hang":        {named("hang"), chattonic.CauseTimeout},
		"drip":        {named("drip"), chattonic.CauseTimeout},
		"redirect":    {simulator.Fault{Redirect: "https://elsewhere.example/"}, chattonic.CauseRedirect},
		"empty body":  {simulator.Fault{Body: []byte{}}, chattonic.CauseAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "UTC", noon, simulator.Team{Operators: 30})
				require.NoError(t, w.ask(time.Second))
				require.NoError(t, w.SetFault("acme", chattonic.EndpointOperators, c.fault))
				var failure chattonic.Error
				require.ErrorAs(t, w.ask(time.Second), &failure)
				assert.Equal(t, c.cause, failure.Cause, failure)
				w.row(noon, noon) // which is another endpoint
				require.NoError(t, w.SetFault("", "", simulator.Fault{}))
				require.NoError(t, w.ask(time.Second))
				assert.Equal(t, 3, w.Calls("acme", chattonic.EndpointOperators))
			})
		})
	}
}

func TestFaultsAsTheyAreSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "UTC", noon, simulator.Team{Documented: true})
	ask := func(f simulator.Fault) (*http.Response, string) {
		require.NoError(t, w.SetFault("", "", f))
		return w.do(http.MethodGet, "/api/v1/acme/stats/operator", asked()["operator"], nil)
	}
	resp, body := ask(simulator.Fault{Status: http.StatusServiceUnavailable, RetryAfter: "7"})
	assert.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	assert.Equal(t, "7", resp.Header.Get("Retry-After"))
	assert.JSONEq(t, `{"status":false,"message":"this is a simulated fault"}`, body)

	resp, _ = ask(simulator.Fault{Redirect: "/elsewhere", Status: http.StatusTemporaryRedirect})
	assert.Equal(t, http.StatusTemporaryRedirect, resp.StatusCode)
	assert.Equal(t, "/elsewhere", resp.Header.Get("Location"))
	resp, _ = ask(simulator.Fault{Redirect: "/elsewhere"})
	assert.Equal(t, http.StatusFound, resp.StatusCode)

	resp, body = ask(simulator.Fault{Status: http.StatusBadGateway, Body: []byte("no"), ContentType: "text/plain"})
	assert.Equal(t, []any{http.StatusBadGateway, "text/plain", "no"}, []any{resp.StatusCode, resp.Header.Get("Content-Type"), body})

	resp, body = ask(simulator.Fault{Status: http.StatusNotModified, Body: []byte("no")})
	assert.Equal(t, []any{http.StatusNotModified, ""}, []any{resp.StatusCode, body}, "a status without a body")

	_, body = ask(simulator.Fault{Truncate: true})
	fixture := string(simulator.OperatorsFixture())
	assert.Equal(t, fixture[:len(fixture)/2], body)

	_, body = ask(simulator.Fault{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) })})
	assert.Equal(t, "/api/v1/acme/stats/operator", body)
}

func TestSlowFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "UTC", noon, simulator.Team{Documented: true})
		for _, fault := range []simulator.Fault{{Delay: time.Hour}, {Drip: time.Minute}, {Delay: time.Hour, Drip: time.Minute}} {
			require.NoError(t, w.SetFault("", "", fault))
			start := time.Now()
			_, body := w.do(http.MethodGet, "/api/v1/acme/stats/operator", asked()["operator"], nil)
			assert.Equal(t, string(simulator.OperatorsFixture()), body)
			pieces := (len(body) + 63) / 64
			assert.Equal(t, fault.Delay+time.Duration(pieces)*fault.Drip, time.Since(start))
		}
	})
}

func TestAFaultMayBeLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "UTC", noon, simulator.Team{Documented: true})
	require.NoError(t, w.SetFault("", chattonic.EndpointOperators, simulator.Fault{Status: 500, Times: 2}))
	require.Error(t, w.ask(time.Minute))
	require.Error(t, w.ask(time.Minute))
	require.NoError(t, w.ask(time.Minute))
}

func TestExportsAndFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "UTC", noon, simulator.Team{Operators: 1})
	for cut, exports := range map[simulator.Cut]int{simulator.CutBeforeHeader: 0, simulator.CutInBody: 1} {
		require.NoError(t, w.SetFault("", chattonic.EndpointNPS, simulator.Fault{Cut: cut}))
		before := len(w.Exports())
		require.Error(t, w.client.ExportNPS(t.Context(), chattonic.Window{Start: noon, End: noon}, chattonic.UserTypeAll))
		assert.Len(t, w.Exports(), before+exports)
	}
}

func TestCloseEndsWhatWaits(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]simulator.Fault{
		"hang":    {Delay: time.Hour},
		"drip":    {Drip: time.Hour},
		"endless": {Endless: true, Drip: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "UTC", noon, simulator.Team{Documented: true})
				require.NoError(t, w.SetFault("", "", fault))
				done := make(chan error, 1)
				start := time.Now()
				go func() { done <- w.ask(24 * time.Hour) }()
				time.Sleep(time.Minute)
				w.Close()
				require.Error(t, <-done)
				assert.Equal(t, time.Minute, time.Since(start))
				w.Close()
				require.NoError(t, w.SetFault("", "", simulator.Fault{}))
				require.NoError(t, w.ask(time.Minute))
			})
		})
	}
}

func TestAClientThatIsGoneIsNotWorkedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "UTC", noon, simulator.Team{Operators: 1})
	for endpoint, query := range asked() {
		if endpoint == "nps/export" {
			continue
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/acme/stats/"+endpoint+"?"+query.Encode(), http.NoBody)
		require.NoError(t, err)
		req.Header = http.Header{"Accept": {"application/json"}, "Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}}
		assert.PanicsWithValue(t, http.ErrAbortHandler, func() { w.ServeHTTP(failingWriter{}, req) })
	}
}

func TestADelayEndsWithItsClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "UTC", noon, simulator.Team{Operators: 1})
		require.NoError(t, w.SetFault("", "", simulator.Fault{Delay: time.Hour}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/acme/stats/operator", http.NoBody)
		require.NoError(t, err)
		start := time.Now()
		assert.PanicsWithValue(t, http.ErrAbortHandler, func() { w.ServeHTTP(failingWriter{}, req) })
		assert.Equal(t, time.Second, time.Since(start))
	})
}

// failingWriter is a connection that is gone.
type failingWriter struct{}

func (failingWriter) Header() http.Header       { return http.Header{} }
func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
func (failingWriter) WriteHeader(int)           {}

func TestAnEndlessBodyEndsWithItsClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "UTC", noon, simulator.Team{Operators: 1})
	require.NoError(t, w.SetFault("", "", simulator.Fault{Endless: true}))
	req, err := http.NewRequest(http.MethodGet, "/api/v1/acme/stats/operator", http.NoBody)
	require.NoError(t, err)
	assert.PanicsWithValue(t, http.ErrAbortHandler, func() { w.ServeHTTP(failingWriter{}, req) })

	client := newClient(t, w.transport, "acme", chattonic.WithMaxBody(100_000))
	_, err = client.Operators(t.Context(), chattonic.Window{Start: noon, End: noon})
	var failure chattonic.Error
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, chattonic.CauseSize, failure.Cause)
}
