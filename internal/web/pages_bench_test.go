package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"golang.org/x/sync/semaphore"

	"chattonic_exporter/chattonic"
)

// cannedAPI answers at once, or has a dashboard that fails.
type cannedAPI struct {
	operators *chattonic.Operators
	fails     bool
}

func (c cannedAPI) Operators(context.Context, chattonic.Window) (*chattonic.Operators, error) {
	return c.operators, nil
}

func (c cannedAPI) Dashboard(context.Context, chattonic.Window) (*chattonic.Dashboard, error) {
	if c.fails {
		return nil, chattonic.Error{Endpoint: chattonic.EndpointDashboard, Detail: "HTTP 404, the team was not found: check the base URL and the codename"}
	}
	return &chattonic.Dashboard{}, nil
}

func unlimited() *semaphore.Weighted { return semaphore.NewWeighted(1000) }

// ask returns what the pages answer.
func askPage(o pageOptions, path string) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	for pattern, handler := range statusPageHandlers(o) {
		mux.HandleFunc(pattern, handler)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
	return w
}

// TestManyTeamsAreShownSoon has a bound that is a hundred times what it takes, for
// busy machines: it is there for what grows with the square of the teams.
func TestManyTeamsAreShownSoon(t *testing.T) {
	o := pageOptions{Teams: manyTeams(t, 1000, 5)}
	begin := time.Now()
	w := askPage(o, "/")
	assert.Less(t, time.Since(begin), 45*time.Second)
	page := w.Body.String()
	assert.Len(t, rows(t, page, "teams"), 1000)
	assert.Equal(t, 1000, strings.Count(page, "<tr role=\"row\" data-key="))
}

func BenchmarkPages(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		o := pageOptions{Teams: manyTeams(b, n, 30)}
		b.Run(fmt.Sprintf("overview/teams=%d", n), func(b *testing.B) {
			for b.Loop() {
				askPage(o, "/")
			}
		})
	}
	for _, n := range []int{10, 100, 1000} {
		o := pageOptions{Teams: manyTeams(b, 1, n)}
		b.Run(fmt.Sprintf("team/operators=%d", n), func(b *testing.B) {
			for b.Loop() {
				askPage(o, "/teams/team-0")
			}
		})
	}
}

// Read answers for the endpoint.
func (c cannedAPI) Read(ctx context.Context, e chattonic.Endpoint, w chattonic.Window) (chattonic.Answer, error) {
	if e == chattonic.EndpointDashboard {
		return c.Dashboard(ctx, w)
	}
	return c.Operators(ctx, w)
}
