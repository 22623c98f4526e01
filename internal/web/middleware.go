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

	"chattonic_exporter/collector"
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
				refuse(w, fmt.Sprintf("too many concurrent scrapes, the maximum is %d: retry later, or raise --web.max-scrapes", maximum))
				return
			}
			defer slots.Release(1)
			scrape(w, r)
		}
	}
}

func refuse(w http.ResponseWriter, reason string) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, reason, http.StatusServiceUnavailable)
}

// awaited limits the number of API answers that concurrent scrapes wait for. A few scrapes
// of many teams whose calls hang would otherwise use as much memory as thousands of scrapes
// of one team.
type awaited struct {
	slots   *semaphore.Weighted
	maximum int64
}

// newAwaited returns a limit. A maximum of 0 means no limit.
func newAwaited(maximum int64) awaited {
	maximum = cmp.Or(maximum, math.MaxInt64)
	return awaited{semaphore.NewWeighted(maximum), maximum}
}

// acquire reports whether a scrape of the teams may start. If so, the caller must call
// release at its end.
func (a awaited) acquire(teams []*collector.Team) (release func(), ok bool) {
	var answers int64
	for _, t := range teams {
		answers += int64(len(t.Windows) * len(t.Collectors))
	}
	answers = min(answers, a.maximum) // otherwise a scrape of very many teams could never start
	return func() { a.slots.Release(answers) }, a.slots.TryAcquire(answers)
}
