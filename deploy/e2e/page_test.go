package e2e

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// browsers are the usual program names of Chromium.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

func browserProgram(t *testing.T) string {
	t.Helper()
	names := browsers
	if name := os.Getenv("CHROMIUM_BIN"); name != "" {
		names = []string{name}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	require.Fail(t, "no Chromium found to test the pages: install it (on Debian: apt-get install chromium), or set CHROMIUM_BIN to its path", "looked for %v", names)
	return ""
}

// browser is a tab of Chromium, with the problems recorded in it.
type browser struct {
	context.Context

	mu      sync.Mutex
	host    string
	trouble []string
}

// openBrowser starts a Chromium that records console messages, exceptions and
// requests to other hosts.
func openBrowser(t *testing.T, host string) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browserProgram(t)), chromedp.WSURLReadTimeout(time.Minute), chromedp.UserDataDir(t.TempDir()))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // root cannot use the sandbox
	}
	ctx, end := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(end)
	ctx, end = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(end)
	ctx, end = chromedp.NewContext(ctx)
	t.Cleanup(end)
	b := &browser{Context: ctx, host: host}
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			b.note("console message of type %s", e.Type)
		case *runtime.EventExceptionThrown:
			b.note("exception: %v", e.ExceptionDetails)
		case *log.EventEntryAdded:
			b.note("log, %s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		case *network.EventRequestWillBeSent:
			if u, err := url.Parse(e.Request.URL); err != nil || u.Host != b.host {
				b.note("request to another host: %s", e.Request.URL)
			}
		}
	}))
	return b
}

func (b *browser) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trouble = append(b.trouble, fmt.Sprintf(format, args...))
}

// troubles returns the recorded problems, except those that contain a text.
func (b *browser) troubles(except string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.trouble), func(trouble string) bool { return except != "" && strings.Contains(trouble, except) })
}

func (b *browser) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	require.NoError(t, chromedp.Do(b.Context, actions...))
}

// run evaluates an expression in the page.
func (b *browser) run(t *testing.T, expression string) {
	t.Helper()
	value[any](t, b, expression)
}

// value returns the value of an expression in the page.
func value[T any](t *testing.T, b *browser, expression string) T {
	t.Helper()
	v, err := chromedp.Run(b.Context, chromedp.Evaluate[T](expression))
	require.NoError(t, err, expression)
	return v
}

// await waits until an expression is true in the page.
func (b *browser) await(t *testing.T, expression string) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !value[bool](t, b, expression); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			require.Fail(t, "timeout: not true: "+expression, value[string](t, b, "document.body.innerText"))
		}
	}
}

func (b *browser) open(t *testing.T, address string, width, height int64) {
	t.Helper()
	b.do(t, chromedp.EmulateViewport(width, height), chromedp.Navigate(address))
}

// scheme sets the colour scheme of the page to light or dark.
func (b *browser) scheme(t *testing.T, name string) {
	t.Helper()
	_, err := chromedp.Call(b.Context, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
	require.NoError(t, err)
}

// shoot saves a screenshot of the page, with go test -artifacts.
func (b *browser) shoot(t *testing.T, name string) {
	t.Helper()
	picture, err := chromedp.Run(b.Context, chromedp.FullScreenshot(100))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(t.ArtifactDir(), name+".png"), picture, 0o600))
}

// tabTo presses Tab until an expression is true, like a keyboard user.
func (b *browser) tabTo(t *testing.T, expression string) {
	t.Helper()
	for range 40 {
		b.do(t, chromedp.KeyEvent(kb.Tab))
		if value[bool](t, b, expression) {
			return
		}
	}
	require.Fail(t, "Tab does not reach "+expression)
}

const (
	// waiting is the numbers of waiting queries, from top to bottom.
	waiting = `Array.from(document.querySelectorAll('#teams tbody td.waiting'), cell => Number(cell.dataset.sort))`
	// codenames is the codenames of the visible rows.
	codenames = `Array.from(document.querySelectorAll('#teams tbody tr:not([hidden])'), row => row.dataset.key)`
	// states is what the visible rows show as their states.
	states = `Array.from(document.querySelectorAll('#teams tbody tr:not([hidden])'), row => row.dataset.shown)`
	// focused is the text of the focused element.
	focused = `document.activeElement.textContent`
	// announced is what a screen reader was told last.
	announced = `document.querySelector('#announcement').textContent`
	// headline is the headline without the sign.
	headline = `document.querySelector('#headline').innerText.replace(/^\S+\s+/, '')`
	// refresh makes the page fetch new data immediately.
	refresh = `document.dispatchEvent(new Event('visibilitychange'))`
	// wide is by how many pixels the page is wider than its window.
	wide = `document.documentElement.scrollWidth - document.documentElement.clientWidth`
	// later makes four minutes pass in the page alone.
	later = `(() => { const now = Date.now; Date.now = () => now() + 240000; })()`
)

// longName is a codename that cannot be wrapped.
var longName = "customer-care-" + strings.Repeat("x", 90)

// queues replaces the queue lengths and the states of operators in the answers of a
// simulated Chat-Tonic with those that a test sets, independent of the time of day.
type queues struct {
	mu      sync.Mutex
	pending map[string]int    // by codename
	status  map[string]string // by codename; online unless set
}

func (q *queues) set(pending map[string]int, status map[string]string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending, q.status = pending, status
}

var (
	operatorsPath   = regexp.MustCompile(`^/api/v1/([^/]+)/stats/operator$`)
	queryPendingKey = regexp.MustCompile(`"queryPending":\s*\d+`)
	statusKey       = regexp.MustCompile(`"status":\s*"[^"]*"`)
)

// adapt changes the answers that pass through.
func (q *queues) adapt(resp *http.Response) error {
	asked := operatorsPath.FindStringSubmatch(resp.Request.URL.Path)
	if asked == nil || resp.StatusCode != http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	body = queryPendingKey.ReplaceAll(body, fmt.Appendf(nil, `"queryPending": %d`, q.pending[asked[1]]))
	body = statusKey.ReplaceAll(body, fmt.Appendf(nil, `"status": %q`, cmp.Or(q.status[asked[1]], "online")))
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// pages is an exporter with a simulated Chat-Tonic whose queues a test sets.
type pages struct {
	*queues
	exporter, simulator string // URLs
	end                 func() // kills the exporter
}

// startPages runs an exporter for teams, of which each is a codename, perhaps followed by
// further settings, with further flags.
func startPages(t *testing.T, operators int, teams []string, flags ...string) *pages {
	t.Helper()
	p := &pages{queues: &queues{}}
	api, listen := "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: api}) },
		ModifyResponse: p.adapt,
	})
	t.Cleanup(proxy.Close)
	args, config := []string{"simulate", "--listen-address=" + api, fmt.Sprint("--operators=", operators)}, fmt.Sprintf(`
defaults:
  base_url: %s
  windows: [24h, today]
  http_client: {authorization: {credentials: simulated}}
  thresholds: {queries_pending: 6}
teams:
`, proxy.URL)
	for _, team := range teams {
		codename, _, _ := strings.Cut(team, ",")
		args, config = append(args, "--team="+codename), config+"  - {codename: "+team+"}\n"
	}
	background(t, exec.Command(exporterProgram(t), args...))
	get(t, "http://"+api+"/")
	program := exec.Command(exporterProgram(t), append([]string{"--config.file=" + writeText(t, filepath.Join(t.TempDir(), "exporter.yml"), config), "--web.listen-address=" + listen}, flags...)...)
	background(t, program)
	p.exporter, p.simulator, p.end = "http://"+listen, "http://"+api, func() { require.NoError(t, program.Process.Kill()) }
	return p
}

// scrape scrapes all teams n times.
func (p *pages) scrape(t *testing.T, n int) {
	t.Helper()
	for range n {
		get(t, p.exporter+"/metrics")
	}
}

// TestPagesInABrowser tests the pages for people in a browser.
func TestPagesInABrowser(t *testing.T) {
	p := startPages(t, 25, []string{"acme", "globex", longName})
	get(t, p.exporter+"/-/ready")
	p.set(map[string]int{"acme": 3, "globex": 12, longName: 0}, nil)
	b := openBrowser(t, strings.TrimPrefix(p.exporter, "http://"))

	b.open(t, p.exporter, 1280, 800)
	assert.Equal(t, []string{"acme", "globex", longName}, value[[]string](t, b, codenames))
	assert.Equal(t, "acme: no data yet · and 2 more teams", value[string](t, b, headline))
	p.scrape(t, 2)
	b.open(t, p.exporter, 1280, 800)
	require.Equal(t, []int{12, 3, 0}, value[[]int](t, b, waiting), "the most urgent first")
	assert.Equal(t, "globex: 12 waiting, 6 above limit", value[string](t, b, headline))
	assert.Equal(t, "12 · globex", value[string](t, b, `document.title`))

	t.Run("keyboard", func(t *testing.T) { testKeyboard(t, b) })
	t.Run("refresh", func(t *testing.T) { testRefresh(t, b, p) })
	t.Run("age", func(t *testing.T) { testAge(t, b, p) })
	t.Run("team", func(t *testing.T) { testTeamPage(t, b, p.exporter) })
	t.Run("without script", func(t *testing.T) { testWithoutScript(t, b, p.exporter) })
	assert.Empty(t, b.troubles(""), "no error in the console, no violation of the policy, no request to another host")

	b.open(t, p.exporter+"/wall", 1280, 800)
	p.end()
	b.run(t, `window.stays = true; `+refresh)
	b.await(t, `document.querySelector('#problem').textContent.startsWith('The exporter does not answer.')`)
	assert.Equal(t, "⚠ no connection", value[string](t, b, `document.title`))
	assert.True(t, value[bool](t, b, `(r => document.elementFromPoint(r.left + r.width / 2, r.top + r.height / 2).id === 'problem')(document.querySelector('#problem').getBoundingClientRect())`), "over everything")
	b.run(t, later)
	b.await(t, `Array.from(document.querySelectorAll('.tile'), tile => tile.dataset.shown).every(shown => shown === 'unknown')`)
	assert.True(t, value[bool](t, b, `window.stays`))

	// The browser does record such problems.
	b.run(t, `document.head.append(Object.assign(document.createElement('style'), {textContent: 'p { color: red }'})); console.error('x'); fetch('http://localhost:1/').catch(() => 0); 1`)
	for _, want := range []string{"Content Security Policy directive 'style-src", "Content Security Policy directive: \"connect-src", "type error"} {
		require.Eventually(t, func() bool { return strings.Contains(strings.Join(b.troubles(""), "\n"), want) }, 10*time.Second, 50*time.Millisecond, "%s: %v", want, b.troubles(""))
	}
}

// testKeyboard sorts and filters with the keyboard.
func testKeyboard(t *testing.T, b *browser) {
	t.Helper()
	b.do(t, chromedp.KeyEvent(kb.Tab))
	assert.Equal(t, "Skip to the content", value[string](t, b, focused), "the first focused element")
	assert.GreaterOrEqual(t, value[float64](t, b, `document.activeElement.getBoundingClientRect().top`), 0.0, "is visible")

	b.tabTo(t, `document.activeElement.id === 'filter'`)
	b.do(t, chromedp.KeyEvent("GLÖB"))
	assert.Equal(t, []string{"globex"}, value[[]string](t, b, codenames), "capitals and accents do not count")
	b.await(t, announced+` === '1 of 3 shown'`)
	b.do(t, chromedp.Reload())
	assert.Equal(t, []string{"globex"}, value[[]string](t, b, codenames), "a reload keeps the filter")
	b.tabTo(t, `document.activeElement.id === 'filter'`)
	b.do(t, chromedp.KeyEvent(strings.Repeat(kb.Backspace, 4)))
	assert.Len(t, value[[]string](t, b, codenames), 3)

	b.tabTo(t, `document.activeElement.textContent === 'Waiting'`)
	assert.Equal(t, "solid", value[string](t, b, `getComputedStyle(document.activeElement).outlineStyle`), "the focus is visible")
	b.do(t, chromedp.KeyEvent(kb.Enter))
	const sorted = `document.querySelector('#teams th[aria-sort]')?.textContent + ' ' + document.querySelector('#teams th[aria-sort]')?.getAttribute('aria-sort')`
	assert.Equal(t, "Waiting descending", value[string](t, b, sorted))
	assert.Equal(t, "Sorted by Waiting ↓", value[string](t, b, announced))
	assert.Equal(t, []int{12, 3, 0}, value[[]int](t, b, waiting))
	b.do(t, chromedp.KeyEvent(kb.Enter))
	assert.Equal(t, "Waiting ascending", value[string](t, b, sorted))
	assert.Equal(t, []int{0, 3, 12}, value[[]int](t, b, waiting))
	b.do(t, chromedp.KeyEvent(kb.Enter))
	assert.Equal(t, "undefined undefined", value[string](t, b, sorted))
	assert.Equal(t, []string{"globex", "acme", longName}, value[[]string](t, b, codenames), "by urgency")
	b.do(t, chromedp.KeyEvent(kb.Enter))
	assert.Equal(t, "Waiting", value[string](t, b, focused))
}

// testRefresh loads new data into a page that is sorted, scrolled and has the focus
// in a row that moves.
func testRefresh(t *testing.T, b *browser, p *pages) {
	t.Helper()
	assert.Equal(t, "globex", value[[]string](t, b, codenames)[0])
	b.do(t, chromedp.EmulateViewport(1280, 300))
	b.run(t, `window.scrollTo(0, 120); document.querySelector('#teams a[href="teams/globex"]').focus({preventScroll: true}); window.untouched = true`)
	ask(t, http.MethodPost, p.simulator+"/fault?team=globex&name=500")
	p.scrape(t, 1)
	b.run(t, refresh)
	b.await(t, `document.querySelector('#teams').textContent.includes('HTTP 500')`)
	assert.True(t, value[bool](t, b, `window.untouched`), "the page was not reloaded")
	assert.Equal(t, "globex", value[string](t, b, focused))
	assert.Equal(t, 120, value[int](t, b, `Math.round(window.scrollY)`))
	assert.Equal(t, "descending", value[string](t, b, `document.querySelector('#teams th[aria-sort]').getAttribute('aria-sort')`))
	assert.Equal(t, "globex", value[[]string](t, b, codenames)[0], "by the last number")
	assert.Equal(t, "unknown", value[[]string](t, b, states)[0])
	assert.Equal(t, "—", value[string](t, b, `document.querySelector('#teams td.waiting').innerText.split('\n')[0].trim()`), "the figure is none of now")
	assert.Contains(t, value[string](t, b, announced), "globex: no data since ")
	assert.Equal(t, "? · globex", value[string](t, b, `document.title`))

	before := value[string](t, b, `document.querySelector('#now').textContent`)
	time.Sleep(1100 * time.Millisecond) // the page shows seconds
	b.run(t, `document.querySelector('#announcement').textContent = 'nothing since'`)
	b.run(t, refresh)
	b.await(t, fmt.Sprintf(`document.querySelector('#now').textContent !== %q`, before))
	assert.Equal(t, "nothing since", value[string](t, b, announced), "unchanged data is not announced again")

	// The order follows the values.
	ask(t, http.MethodPost, p.simulator+"/fault?team=globex&name=none")
	p.set(map[string]int{"acme": 20, "globex": 1, longName: 5}, map[string]string{longName: "away"})
	p.scrape(t, 1)
	time.Sleep(5100 * time.Millisecond) // closer answers count as one
	p.scrape(t, 1)
	b.run(t, refresh)
	b.await(t, `document.querySelector('#teams tbody th').textContent === 'acme'`)
	assert.Equal(t, []int{20, 5, 1}, value[[]int](t, b, waiting))
	assert.Equal(t, "globex", value[string](t, b, focused), "even if its row moves")
	assert.Equal(t, longName+": 5 waiting, nobody at work · and 1 more team", value[string](t, b, headline), "before one that has somebody at work")
	assert.Contains(t, value[string](t, b, announced), "nobody at work")
}

// testAge lets data become old while no new page comes.
func testAge(t *testing.T, b *browser, p *pages) {
	t.Helper()
	for _, path := range []string{"/", "/teams/acme", "/wall", "/wall/acme"} {
		p.scrape(t, 1)
		b.open(t, p.exporter+path, 1280, 800)
		const row = `document.querySelector('[data-received]')`
		require.NotEqual(t, "unknown", value[string](t, b, row+`.dataset.shown`), path)
		b.run(t, `window.fetch = () => new Promise(() => {})`) // no answer, and no error
		b.run(t, `Date.now = (now => () => now() + 31000)(Date.now)`)
		b.await(t, row+`.dataset.shown === 'old'`)
		assert.Contains(t, value[string](t, b, row+`.innerText`), "data of ", path)
		b.run(t, later)
		b.await(t, row+`.dataset.shown === 'unknown'`)
		assert.Contains(t, value[string](t, b, row+`.innerText`), "no data since", path)
		assert.Contains(t, value[string](t, b, row+`.innerText`), "—", path)
	}
}

func testTeamPage(t *testing.T, b *browser, exporter string) {
	t.Helper()
	b.open(t, exporter+"/teams/acme", 1280, 900)
	const names = `Array.from(document.querySelectorAll('#operators tbody th'), cell => cell.textContent)`
	came := value[[]string](t, b, names)
	require.Len(t, came, 25)
	b.tabTo(t, `document.activeElement.textContent === 'Operator'`)
	b.do(t, chromedp.KeyEvent(kb.Enter))
	sorted := value[[]string](t, b, names)
	assert.NotEqual(t, came, sorted)
	assert.True(t, value[bool](t, b, `(names => names.every((name, i) => i === 0 || names[i - 1].localeCompare(name) <= 0))(`+names+`)`), "%v", sorted)
	assert.LessOrEqual(t, value[int](t, b, `document.querySelectorAll('#calls tbody tr').length`), 20)
	b.run(t, refresh)
	time.Sleep(500 * time.Millisecond)
	assert.Equal(t, sorted, value[[]string](t, b, names))
	b.run(t, `document.querySelector('.choices a[href*="window=24h"]').click()`)
	b.await(t, `document.readyState === 'complete' && document.querySelector('.choices [aria-current]').textContent === '24h'`)
}

func testWithoutScript(t *testing.T, b *browser, exporter string) {
	t.Helper()
	script := func(off bool) {
		_, err := chromedp.Call(b.Context, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off})
		require.NoError(t, err)
	}
	script(true)
	defer script(false)
	b.open(t, exporter, 1280, 800)
	assert.Len(t, value[[]string](t, b, codenames), 3)
	assert.Equal(t, 0, value[int](t, b, `document.querySelectorAll('button, .filter:not([hidden])').length`), "no controls without a function")
	assert.Equal(t, "30", value[string](t, b, `document.querySelector('meta[http-equiv="refresh"]').content`), "it renews itself")
}

// TestPagesBehindProxies opens the pages behind a proxy that removes a path, and behind one
// that does not.
func TestPagesBehindProxies(t *testing.T) {
	for name, test := range map[string]struct {
		flags []string
		strip bool
	}{
		"that strips the path": {nil, true},
		"that does not":        {[]string{"--web.external-url=http://example.org/chat/tonic/"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPages(t, 5, []string{"acme", "a/b"}, test.flags...)
			target, err := url.Parse(p.exporter)
			require.NoError(t, err)
			var proxy http.Handler = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
			if test.strip {
				proxy = http.StripPrefix("/chat/tonic", proxy)
			}
			server := httptest.NewServer(proxy)
			t.Cleanup(server.Close)
			home := server.URL + "/chat/tonic/"
			get(t, home+"-/ready")
			get(t, home+"metrics")
			b := openBrowser(t, strings.TrimPrefix(server.URL, "http://"))
			for _, path := range []string{"", "teams/acme", "teams/a%2Fb", "wall", "wall/a%2Fb", "documentation"} {
				b.open(t, home+path+"?lang=es", 1280, 800)
				assert.NotEqual(t, "rgba(0, 0, 0, 0)", value[string](t, b, `getComputedStyle(document.body).backgroundColor`), "the style sheet is loaded: %s", path)
				assert.Equal(t, 0, value[int](t, b, `document.querySelectorAll('a[href^="/"], [src^="/"], link[href^="/"]').length`), path)
			}
			b.open(t, home, 1280, 800)
			b.run(t, refresh)
			time.Sleep(300 * time.Millisecond)
			b.run(t, `document.querySelector('#teams a[href="teams/a%2fb"], #teams a[href="teams/a%2Fb"]').click()`)
			b.await(t, `document.readyState === 'complete' && document.querySelector('h1').textContent === 'a/b'`)
			b.run(t, `document.querySelector('nav a').click()`)
			b.await(t, `document.readyState === 'complete' && document.querySelector('#headline') !== null`)
			assert.Empty(t, b.troubles(""))
		})
	}
}

// axeVersion and axeSum pin axe-core, the checker of the Web Content Accessibility
// Guidelines: its version and the SHA-256 of its file.
const (
	axeVersion = "4.14.1"
	axeSum     = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
)

// axe returns axe-core. It is downloaded from the npm registry once, into bin/.
func axe(t *testing.T) string {
	t.Helper()
	path := filepath.Join("..", "..", "bin", "axe-"+axeVersion+".min.js")
	script, err := os.ReadFile(path)
	if err != nil {
		script = downloadAxe(t)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, script, 0o600))
	}
	require.Equal(t, axeSum, fmt.Sprintf("%x", sha256.Sum256(script)), "axe-core is not the file that this test pins: remove %s", path)
	return string(script)
}

func downloadAxe(t *testing.T) (script []byte) {
	t.Helper()
	address := "https://registry.npmjs.org/axe-core/-/axe-core-" + axeVersion + ".tgz"
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
		require.NoError(c, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(c, err, "axe-core is downloaded once from the npm registry")
		defer resp.Body.Close()
		require.Equal(c, http.StatusOK, resp.StatusCode, address)
		unpacked, err := gzip.NewReader(resp.Body)
		require.NoError(c, err)
		for archive := tar.NewReader(unpacked); ; {
			file, err := archive.Next()
			require.NoError(c, err)
			if file.Name == "package/axe.min.js" {
				script, err = io.ReadAll(archive)
				require.NoError(c, err)
				return
			}
		}
	}, time.Minute, time.Second)
	return script
}

// violations returns what of the levels A and AA a page violates.
func violations(t *testing.T, b *browser, script string) string {
	t.Helper()
	b.run(t, script+"; 1")
	v, err := chromedp.Run(b.Context, chromedp.Evaluate[string](`axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations']})
		.then(result => result.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html + ' ' + n.failureSummary).join('; ')).join('\n'))`, chromedp.EvalAwaitPromise))
	require.NoError(t, err)
	return v
}

// TestPagesAreAccessible checks pages in several languages, colour schemes and widths: a
// sample of them, or all with PAGES=all.
func TestPagesAreAccessible(t *testing.T) {
	script := axe(t)
	p := startPages(t, 25, []string{"acme", "globex, display_name: Atención al cliente", longName, "nobody", "night, business_hours: {hours: [{days: [" + strings.ToLower(time.Now().UTC().AddDate(0, 0, 3).Weekday().String()) + "], from: \"09:00\", to: \"18:00\"}]}"})
	get(t, p.exporter+"/-/ready")
	p.set(map[string]int{"acme": 3, "globex": 12}, nil)
	p.scrape(t, 2)
	ask(t, http.MethodPost, p.simulator+"/fault?team="+longName+"&name=401")
	p.scrape(t, 1)
	b := openBrowser(t, strings.TrimPrefix(p.exporter, "http://"))
	all, n := os.Getenv("PAGES") == "all", 0
	for _, path := range []string{"/", "/teams/acme", "/teams/" + longName, "/wall", "/wall/globex", "/documentation", "/teams/unknown"} {
		for i, width := range []int64{320, 390, 800, 1100, 1280, 1920} {
			for k, lang := range []string{"en", "es", "pt"} {
				for s, scheme := range []string{"light", "dark"} {
					if n++; !all && (k != (n/6+i)%3 || s != i%2) {
						continue
					}
					what := fmt.Sprint(path, " ", width, " ", lang, " ", scheme)
					b.scheme(t, scheme)
					b.open(t, p.exporter+path+"?lang="+lang, width, map[bool]int64{true: 740, false: 1080}[width < 1000])
					assert.Zero(t, value[int](t, b, wide), "%s: the page does not scroll sideways", what)
					assert.Empty(t, violations(t, b, script), what)
				}
			}
		}
	}
	assert.Empty(t, b.troubles("/teams/unknown"))

	// On a phone the rows of teams have another layout, but keep the role of rows.
	b.open(t, p.exporter, 360, 740)
	tree, err := chromedp.Call(b.Context, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	require.NoError(t, err)
	roles := make(map[string]int)
	for _, n := range tree.Nodes {
		if n.Role != nil {
			roles[strings.Trim(string(n.Role.Value), `"`)]++
		}
	}
	assert.Equal(t, []int{1, 6, 5}, []int{roles["table"], roles["row"], roles["rowheader"]}, "tables, rows, headers of rows: %v", roles)

	b.run(t, `document.querySelector('h1').innerHTML = '<img src="x">'`)
	assert.Contains(t, violations(t, b, script), "image-alt", "it does find violations")
}

// TestWallFits checks that all tiles of a wall are in sight and large enough.
func TestWallFits(t *testing.T) {
	var teams []string
	for i := range 13 {
		teams = append(teams, fmt.Sprintf("team%02d, display_name: %q", i, []string{"Sales", "Atención al cliente zona norte", "Suporte técnico de pagamentos internacionais"}[i%3]))
	}
	for _, n := range []int{1, 2, 4, 6, 8, 10, 13} {
		p := startPages(t, 3, teams[:n])
		get(t, p.exporter+"/-/ready")
		pending := map[string]int{}
		for i := range n {
			pending[fmt.Sprintf("team%02d", i)] = []int{0, 5, 1234, 51}[i%4]
		}
		p.set(pending, map[string]string{"team03": "away"})
		p.scrape(t, 2)
		b := openBrowser(t, strings.TrimPrefix(p.exporter, "http://"))
		for _, path := range []string{"/wall", "/wall/team00"} {
			for _, size := range [][2]int64{{1920, 1080}, {1080, 1920}} {
				what := fmt.Sprint(n, path, size)
				b.open(t, p.exporter+path+"?lang=es", size[0], size[1])
				assert.Empty(t, value[[]string](t, b, `Array.from(document.querySelectorAll('.tile, .tile .figure, .tile h1, .tile h2, .tile .word, .tile dd, footer span'), e => [e, e.getBoundingClientRect()])
					.filter(([e, r]) => r.width && (r.left < 0 || r.top < 0 || r.right > innerWidth + 1 || r.bottom > innerHeight + 1 || e.classList.contains('tile') && e.scrollHeight > e.clientHeight + 1))
					.map(([e, r]) => e.className + ' ' + e.innerText + ' ' + r.left + ' ' + r.top + ' ' + r.right + ' ' + r.bottom + ' ' + e.scrollHeight + '>' + e.clientHeight)`), what)
				assert.GreaterOrEqual(t, value[float64](t, b, `Math.min(...Array.from(document.querySelectorAll('.tile *, footer *'), e => Number.parseFloat(getComputedStyle(e).fontSize)))`), 0.05*1080, what)
				b.shoot(t, fmt.Sprint("wall-", n, strings.ReplaceAll(path, "/", "-"), size[0]))
			}
		}
		assert.True(t, value[bool](t, b, `document.querySelector('#sound').hidden`))
		b.open(t, p.exporter+"/wall?chime=on", 1920, 1080)
		assert.False(t, value[bool](t, b, `document.querySelector('#sound').hidden`), "sound only where somebody switched it on")
		assert.Empty(t, b.troubles(""))
	}
}

// TestManyOperators sorts a table of 1,000 operators.
func TestManyOperators(t *testing.T) {
	p := startPages(t, 1000, []string{"acme"})
	get(t, p.exporter+"/-/ready")
	p.scrape(t, 1)
	b := openBrowser(t, strings.TrimPrefix(p.exporter, "http://"))
	b.open(t, p.exporter+"/teams/acme", 1280, 800)
	took := value[float64](t, b, `(() => {
		const begin = performance.now();
		Array.from(document.querySelectorAll('#operators thead button')).find(button => button.textContent === 'Resolved').click();
		document.body.offsetHeight;
		return performance.now() - begin;
	})()`)
	t.Logf("sorting 1,000 operators took %.0f ms", took)
	assert.True(t, value[bool](t, b, `(rows => rows.length === 1000 && rows.every((n, i) => i === 0 || rows[i - 1] >= n))(Array.from(document.querySelectorAll('#operators tbody tr'), row => Number(row.cells[4].dataset.sort)))`))
}

// TestScreenshots makes the pictures of the README, in deploy/screenshots, of pages that are
// always the same. It runs with `make screenshots`.
func TestScreenshots(t *testing.T) {
	if os.Getenv("SCREENSHOTS") == "" {
		t.Skip("make screenshots makes them")
	}
	address := "127.0.0.1:" + freePort(t)
	server := filepath.Join(t.TempDir(), "pages")
	_, stderr, err := execute(t, os.Environ(), "go", "test", "-C", filepath.Join("..", ".."), "-c", "-o", server, "./internal/web")
	require.NoError(t, err, stderr)
	background(t, exec.Command(server, "-test.run=^TestServePages$", "-pages.listen="+address))
	get(t, "http://"+address+"/")
	b := openBrowser(t, address)
	for _, picture := range []struct {
		name, path, scheme string
		width, height      int64
	}{
		{"wall", "/wall", "dark", 1920, 1080},
		{"phone", "/", "dark", 390, 844},
		{"team", "/teams/sales", "light", 1280, 900},
		{"backlog", "/", "light", 1280, 720},
	} {
		b.scheme(t, picture.scheme)
		b.open(t, "http://"+address+picture.path, picture.width, picture.height)
		image, err := chromedp.Run(b.Context, chromedp.CaptureScreenshot())
		require.NoError(t, err)
		assert.LessOrEqual(t, len(image), 150<<10, picture.name)
		require.NoError(t, os.MkdirAll(filepath.Join("..", "screenshots"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join("..", "screenshots", picture.name+".png"), image, 0o644))
	}
}
