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

// protect adds two protections to a handler. It forbids browsers to guess the content type,
// because answers may contain text of customers and operators. It logs a panic with its
// stack and closes the connection. Of the panic's value it logs only the type, or the text
// of a runtime error, because other values could contain secrets.
func (h *handler) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if value != http.ErrAbortHandler { //nolint:errorlint // net/http compares it in the same way.
				text := fmt.Sprintf("%T", value)
				if err, ok := value.(runtime.Error); ok {
					text = err.Error()
				}
				level.Error(h.Logger).Log("msg", "HTTP handler panicked, please report this bug",
					"request", r.Pattern, "panic", text, "stack", string(debug.Stack()))
			}
			panic(http.ErrAbortHandler) // so that the client does not accept a partial response
		}()
		next.ServeHTTP(w, r)
	})
}

// limitScrapes returns a middleware that limits the number of concurrent scrapes of all its
// handlers. It refuses further scrapes immediately, because waiting scrapes would use the
// resources that the limit protects. A maximum of 0 means no limit.
func limitScrapes(maximum int64) func(http.HandlerFunc) http.HandlerFunc {
	slots := semaphore.NewWeighted(cmp.Or(maximum, math.MaxInt64))
	return func(scrape http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if !slots.TryAcquire(1) {
				w.Header().Set("Retry-After", "1")
				http.Error(w, fmt.Sprintf("too many concurrent scrapes, the maximum is %d: retry later, or raise --web.max-scrapes", maximum), http.StatusServiceUnavailable)
				return
			}
			defer slots.Release(1)
			scrape(w, r)
		}
	}
}
