package serve

import (
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/internal/config"
)

// TestReloadStorm sends many reloads and signals at once, while the
// configuration changes between valid ones and an invalid one.
func TestReloadStorm(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP) // signals that arrive after the end of the exporter
	defer signal.Stop(signals)
	f := newFixture(t)
	url, end := f.run(t)
	const (
		one, both = "  - codename: acme\n", "  - codename: acme\n  - codename: globex\n"
		changed   = "  - {codename: acme, windows: [1h, 24h]}\n  - {codename: globex, delay: 1m}\n"
		broken    = "  - codenam: acme\n"
	)
	stop := make(chan struct{})
	var all sync.WaitGroup
	background := func(every time.Duration, do func(i int)) {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(every):
					do(i)
				}
			}
		})
	}
	background(time.Millisecond, func(i int) { f.configure([]string{one, both, changed, broken}[i%4]) })
	background(time.Millisecond, func(int) { assert.NoError(t, syscall.Kill(syscall.Getpid(), syscall.SIGHUP)) })
	scrape, reload := request(t, http.MethodGet, url+"/metrics"), request(t, http.MethodPost, url+"/-/reload")
	scrapes := make(chan result, 100_000)
	for range 4 {
		background(0, func(int) { scrapes <- ask(http.DefaultClient, scrape) })
	}
	var clients sync.WaitGroup
	answers := make(chan result, 20*8)
	for range 20 {
		clients.Go(func() {
			for range 8 {
				answers <- ask(http.DefaultClient, reload)
			}
		})
	}
	clients.Wait()
	close(stop)
	all.Wait()
	close(answers)
	close(scrapes)
	for r := range scrapes {
		require.NoError(t, r.err)
		assert.Equal(t, http.StatusOK, r.status)
		assert.True(t, up(r.body, "acme"), "it is in all configurations")
	}
	counted := map[int]int{}
	for r := range answers {
		require.NoError(t, r.err)
		counted[r.status]++
		if r.status == http.StatusOK {
			assert.Equal(t, "reloaded\n", r.body)
			continue
		}
		assert.Equal(t, http.StatusInternalServerError, r.status)
		assert.Contains(t, r.body, "the active configuration is unchanged: exporter.yml:5: ")
	}
	assert.Positive(t, counted[http.StatusOK], "some configurations were valid")
	assert.Positive(t, counted[http.StatusInternalServerError], "some were not")

	f.configure(one)
	r := ask(http.DefaultClient, reload)
	require.NoError(t, r.err)
	require.Equal(t, http.StatusOK, r.status)
	body := get(t, url+"/metrics")
	assert.Contains(t, body, "chattonic_exporter_config_last_reload_successful 1")
	assert.NotContains(t, body, `team="globex"`, "a removed team leaves nothing behind")
	http.DefaultClient.CloseIdleConnections()
	require.NoError(t, end())
	assert.Positive(t, strings.Count(f.logs.String(), `msg="the configuration was reloaded"`))
}

// TestReloadsDoNotOvertakeEachOther starts a reload while another one has read
// the configuration and is slow to apply it.
func TestReloadsDoNotOvertakeEachOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.configure("  - codename: acme\n")
	slow, read := new(atomic.Bool), make(chan struct{})
	f.Load = func() (*config.Config, error) {
		c, err := f.load()
		if slow.CompareAndSwap(true, false) {
			close(read)
			time.Sleep(300 * time.Millisecond)
		}
		return c, err
	}
	url, _ := f.run(t)
	slow.Store(true)
	reload, again := request(t, http.MethodPost, url+"/-/reload"), request(t, http.MethodPost, url+"/-/reload")
	former := make(chan result, 1)
	go func() { former <- ask(http.DefaultClient, reload) }()
	<-read
	f.configure("  - codename: globex\n")
	assert.Equal(t, "reloaded\n", ask(http.DefaultClient, again).body)
	assert.Equal(t, "reloaded\n", (<-former).body)
	body := get(t, url+"/sd")
	assert.Contains(t, body, "globex", "the last one read is active")
	assert.NotContains(t, body, "acme")
}

// TestWaitingReloadsAreMerged starts many reloads while one runs.
func TestWaitingReloadsAreMerged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	loads, proceed := new(atomic.Int64), make(chan struct{})
	f.Load = func() (*config.Config, error) {
		if loads.Add(1) == 2 {
			<-proceed
		}
		return f.load()
	}
	e, err := start(f.Options)
	require.NoError(t, err)
	defer e.teams.Close()
	var reloads sync.WaitGroup
	reload := func() { assert.NoError(t, e.reload()) }
	reloads.Go(reload)
	require.Eventually(t, func() bool { return loads.Load() == 2 }, waitTimeout, time.Millisecond)
	f.configure("  - codename: globex\n") // the running reload can miss it
	var called atomic.Int64
	for range 100 {
		reloads.Go(func() {
			called.Add(1)
			reload()
		})
	}
	require.Eventually(t, func() bool { return called.Load() == 100 }, waitTimeout, time.Millisecond)
	time.Sleep(200 * time.Millisecond) // until all wait
	close(proceed)
	reloads.Wait()
	assert.EqualValues(t, 3, loads.Load(), "the first configuration, the running reload, and one for all that waited")
	assert.Equal(t, []string{"globex"}, e.teams.Codenames())
	assert.Equal(t, 2, strings.Count(f.logs.String(), `msg="the configuration was reloaded"`))
}

// TestPagesSayThatAReloadFailed holds that an old configuration does not look like the file.
func TestPagesSayThatAReloadFailed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.StatusPage = true
	f.configure("  - codename: acme\n")
	url, _ := f.run(t)
	reload := request(t, http.MethodPost, url+"/-/reload")
	const failed = "The configuration could not be loaded since"
	assert.NotContains(t, get(t, url+"/"), failed)
	f.configure("  - codenam: acme\n")
	require.Equal(t, http.StatusInternalServerError, ask(http.DefaultClient, reload).status)
	assert.Contains(t, get(t, url+"/"), failed)
	assert.Contains(t, get(t, url+"/teams/acme"), failed)
	require.Equal(t, http.StatusInternalServerError, ask(http.DefaultClient, reload).status)
	assert.Contains(t, get(t, url+"/?lang=es"), "La configuración no se pudo cargar desde")
	f.configure("  - codename: acme\n")
	require.Equal(t, http.StatusOK, ask(http.DefaultClient, reload).status)
	assert.NotContains(t, get(t, url+"/"), failed)
}
