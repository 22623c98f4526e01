package web

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"runtime/debug"

	"github.com/go-kit/log/level"
	"golang.org/x/sync/semaphore"
)

// guard has browsers take every answer for what it says it is, as it may quote
// what customers and operators wrote. Of a panic it logs where it was and not
// what it says, which could be anything.
func (h *handler) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		defer func() {
			said := recover()
			if said == nil {
				return
			}
			if said != http.ErrAbortHandler { //nolint:errorlint // net/http itself compares it so.
				what := fmt.Sprintf("%T", said)
				if failure, ok := said.(runtime.Error); ok {
					what = failure.Error()
				}
				level.Error(h.Logger).Log("msg", "a request was not answered, which is a bug in the exporter: please report it",
					"request", r.Pattern, "panic", what, "stack", string(debug.Stack()))
			}
			panic(http.ErrAbortHandler) // the client is not to take half an answer for a whole one
		}()
		next.ServeHTTP(w, r)
	})
}

// limit returns what makes handlers of scrapes refuse at once those that are
// beyond the number, in all. To have them wait would hold what the limit is to
// save.
func limit(scrapes int64) func(http.HandlerFunc) http.HandlerFunc {
	places := semaphore.NewWeighted(cmp.Or(scrapes, math.MaxInt64))
	return func(scrape http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if !places.TryAcquire(1) {
				w.Header().Set("Retry-After", "1")
				http.Error(w, fmt.Sprintf("%d scrapes are being answered, which is the limit: come back later, or raise --web.max-scrapes", scrapes), http.StatusServiceUnavailable)
				return
			}
			defer places.Release(1)
			scrape(w, r)
		}
	}
}
