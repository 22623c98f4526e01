package teams

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/internal/config"
)

// TestConcurrentFirstRequestsWithOAuth2 finds a data race with the race detector.
func TestConcurrentFirstRequestsWithOAuth2(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"access_token": "x", "token_type": "Bearer"}`)
		}
	}))
	defer server.Close()
	c, err := config.Parse("test", []byte("teams:\n  - {codename: acme, base_url: "+server.URL+", http_client: {oauth2: {client_id: a, client_secret: b, token_url: "+server.URL+"/token}}}\n"))
	require.NoError(t, err)
	for range 20 {
		client, err := newHTTPClient(c.Teams[0], "test")
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
		require.NoError(t, err)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				resp, err := client.Do(req.Clone(t.Context()))
				if assert.NoError(t, err) {
					assert.NoError(t, resp.Body.Close())
				}
				client.CloseIdleConnections()
			})
		}
		all.Wait()
	}
}

type roundTrip func(r *http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestFirstAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, failing atomic.Int64
		failing.Store(2)
		f := newFirstAlone(roundTrip(func(*http.Request) (*http.Response, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			time.Sleep(time.Second)
			if failing.Add(-1) >= 0 {
				return nil, errors.New("refused")
			}
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		}))
		send := func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://test", strings.NewReader("body"))
			require.NoError(t, err)
			resp, err := f.RoundTrip(req)
			if err == nil {
				err = resp.Body.Close()
			}
			return err
		}
		f.CloseIdleConnections()
		require.Error(t, send(t.Context()))

		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { _ = send(t.Context()) }) // one of them fails
		}
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, send(short), context.DeadlineExceeded)
		f.CloseIdleConnections() // does not wait
		all.Wait()
		assert.EqualValues(t, 1, most.Load())

		begin := time.Now()
		for range 5 {
			all.Go(func() { assert.NoError(t, send(t.Context())) })
		}
		all.Wait()
		assert.EqualValues(t, 5, most.Load(), "after an answer")
		assert.Equal(t, time.Second, time.Since(begin))
		f.CloseIdleConnections()
	})
}
