package e2e

import (
	"bytes"
	"context"
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
	// pending is the numbers in the column Pending, from top to bottom.
	pending = `Array.from(document.querySelectorAll('#teams tbody tr'), row => Number.parseInt(row.cells[1].textContent))`
	// codenames is the codenames of the visible rows.
	codenames = `Array.from(document.querySelectorAll('#teams tbody tr:not([hidden]) th'), cell => cell.textContent)`
	// focused is the text of the focused element.
	focused = `document.activeElement.textContent`
	// refresh makes the page fetch new data immediately.
	refresh = `document.dispatchEvent(new Event('visibilitychange'))`
	// wide is by how many pixels the page is wider than its window.
	wide = `document.documentElement.scrollWidth - document.documentElement.clientWidth`
	// faint is the texts with a contrast to their background below 4.5, the minimum
	// of the Web Content Accessibility Guidelines at level AA.
	faint = `(() => {
		const parse = color => color.match(/[\d.]+/g).map(Number);
		const light = color => {
			const [r, g, b] = parse(color).map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
			return 0.2126 * r + 0.7152 * g + 0.0722 * b;
		};
		const behind = element => {
			for (; element; element = element.parentElement) {
				const color = getComputedStyle(element).backgroundColor;
				if (parse(color)[3] !== 0) return color;
			}
			return 'rgb(255, 255, 255)';
		};
		const found = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		while (walker.nextNode()) {
			const element = walker.currentNode.parentElement;
			if (!walker.currentNode.textContent.trim() || element.closest('noscript, [hidden]')) continue;
			const [x, y] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
			const contrast = (x + 0.05) / (y + 0.05);
			if (contrast < 4.5) found.add(contrast.toFixed(2) + ' ' + walker.currentNode.textContent.trim());
		}
		return Array.from(found);
	})()`
)

// longName is a codename that cannot be wrapped.
var longName = "customer-care-" + strings.Repeat("x", 90)

// queues replaces the queue lengths in the answers of a simulated Chat-Tonic with
// those that a test sets, independent of the time of day.
type queues struct {
	mu      sync.Mutex
	pending map[string]int // by codename
}

func (q *queues) set(pending map[string]int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = pending
}

var (
	operatorsPath   = regexp.MustCompile(`^/api/v1/([^/]+)/stats/operator$`)
	queryPendingKey = regexp.MustCompile(`"queryPending":\s*\d+`)
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
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

// simulatedTeams runs the exporter with a simulated Chat-Tonic whose queues the test
// sets. It returns the URLs of both and a function that kills the exporter.
func simulatedTeams(t *testing.T, q *queues) (exporter, simulator string, end func()) {
	t.Helper()
	api, listen := "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: api}) },
		ModifyResponse: q.adapt,
	})
	t.Cleanup(proxy.Close)
	args, config := []string{"simulate", "--listen-address=" + api}, fmt.Sprintf(`
defaults:
  base_url: %s
  windows: [24h, today]
  http_client: {authorization: {credentials: simulated}}
  thresholds: {queries_pending: 6}
teams:
`, proxy.URL)
	for _, team := range []string{"acme", "globex", longName} {
		args, config = append(args, "--team="+team), config+"  - codename: "+team+"\n"
	}
	background(t, exec.Command(exporterProgram(t), args...))
	get(t, "http://"+api+"/")
	program := exec.Command(exporterProgram(t), "--config.file="+writeText(t, filepath.Join(t.TempDir(), "exporter.yml"), config), "--web.listen-address="+listen)
	background(t, program)
	get(t, "http://"+listen+"/-/ready")
	return "http://" + listen, "http://" + api, func() { require.NoError(t, program.Process.Kill()) }
}

// TestPagesInABrowser tests the status pages in a browser.
func TestPagesInABrowser(t *testing.T) {
	q := &queues{pending: map[string]int{"acme": 3, "globex": 12, longName: 0}}
	exporter, simulator, end := simulatedTeams(t, q)
	b := openBrowser(t, strings.TrimPrefix(exporter, "http://"))
	scrape := func() { get(t, exporter+"/metrics") }

	b.open(t, exporter, 1280, 800)
	assert.Equal(t, []string{"acme", "globex", longName}, value[[]string](t, b, codenames))
	assert.Contains(t, value[string](t, b, `document.querySelector('#summary').textContent`), "3 not scraped yet")
	scrape()
	b.open(t, exporter, 1280, 800)
	require.Equal(t, []int{3, 12, 0}, value[[]int](t, b, pending))

	t.Run("keyboard", func(t *testing.T) { testKeyboard(t, b) })
	t.Run("refresh", func(t *testing.T) { testRefresh(t, b, simulator, q, scrape) })
	t.Run("team", func(t *testing.T) { testTeamPage(t, b, exporter) })
	ask(t, http.MethodPost, simulator+"/fault?team="+longName+"&name=401") // for the following tests
	scrape()
	t.Run("sizes", func(t *testing.T) { testSizes(t, b, exporter) })
	t.Run("without script", func(t *testing.T) { testWithoutScript(t, b, exporter) })
	assert.Empty(t, b.troubles("/teams/nobody"), "no error in the console, no violation of the policy, no request to another host")

	b.open(t, exporter, 1280, 800)
	end()
	b.run(t, refresh)
	b.await(t, `document.querySelector('#problem').textContent.startsWith('The exporter does not respond. The data shown is old.')`)
	assert.Len(t, value[[]string](t, b, codenames), 3, "the rows stay")
	assert.Equal(t, value[string](t, b, `document.querySelector('#problem').textContent`), value[string](t, b, `document.querySelector('#announcement').textContent`))

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
	b.do(t, chromedp.KeyEvent("GLOB"))
	assert.Equal(t, []string{"globex"}, value[[]string](t, b, codenames))
	b.await(t, `document.querySelector('#announcement').textContent === '1 of 3 shown'`)
	b.do(t, chromedp.KeyEvent(strings.Repeat(kb.Backspace, 4)))
	assert.Len(t, value[[]string](t, b, codenames), 3)

	b.tabTo(t, `document.activeElement.textContent === 'Pending'`)
	assert.Equal(t, "solid", value[string](t, b, `getComputedStyle(document.activeElement).outlineStyle`), "the focus is visible")
	b.do(t, chromedp.KeyEvent(kb.Enter))
	const sorted = `document.querySelector('#teams th[aria-sort]')?.textContent + ' ' + document.querySelector('#teams th[aria-sort]')?.getAttribute('aria-sort')`
	assert.Equal(t, "Pending descending", value[string](t, b, sorted))
	assert.Equal(t, "Sorted by Pending, descending", value[string](t, b, `document.querySelector('#announcement').textContent`))
	assert.Equal(t, []int{12, 3, 0}, value[[]int](t, b, pending))
	b.do(t, chromedp.KeyEvent(kb.Enter))
	assert.Equal(t, "Pending ascending", value[string](t, b, sorted))
	assert.Equal(t, []int{0, 3, 12}, value[[]int](t, b, pending))
	b.do(t, chromedp.KeyEvent(kb.Enter))
	assert.Equal(t, "undefined undefined", value[string](t, b, sorted))
	assert.Equal(t, []string{"acme", "globex", longName}, value[[]string](t, b, codenames), "in the original order")
	b.do(t, chromedp.KeyEvent(kb.Enter))
	assert.Equal(t, "Pending", value[string](t, b, focused))
}

// testRefresh loads new data into a page that is sorted, scrolled and has the focus
// in a row that moves.
func testRefresh(t *testing.T, b *browser, simulator string, q *queues, scrape func()) {
	t.Helper()
	assert.Equal(t, "globex", value[[]string](t, b, codenames)[0])
	b.do(t, chromedp.EmulateViewport(1280, 300))
	b.run(t, `window.scrollTo(0, 120); document.querySelector('#teams a[href="/teams/globex"]').focus({preventScroll: true}); window.untouched = true`)
	ask(t, http.MethodPost, simulator+"/fault?team=globex&name=500")
	scrape()
	b.run(t, refresh)
	b.await(t, `document.querySelector('#teams').textContent.includes('HTTP 500')`)
	assert.True(t, value[bool](t, b, `window.untouched`), "the page was not reloaded")
	assert.Equal(t, "globex", value[string](t, b, focused))
	assert.Equal(t, 120, value[int](t, b, `Math.round(window.scrollY)`))
	assert.Equal(t, "descending", value[string](t, b, `document.querySelector('#teams th[aria-sort]').getAttribute('aria-sort')`))
	assert.Equal(t, "globex", value[[]string](t, b, codenames)[0], "by the last successful answer")
	assert.Contains(t, value[string](t, b, `document.querySelector('#teams .failing .age').textContent`), "old: ")
	assert.Equal(t, "3 teams: 2 answering, 1 failing", value[string](t, b, `document.querySelector('#announcement').textContent`))

	before := value[string](t, b, `document.querySelector('#now').textContent`)
	time.Sleep(1100 * time.Millisecond) // the page shows seconds
	b.run(t, `document.querySelector('#announcement').textContent = 'nothing since'`)
	b.run(t, refresh)
	b.await(t, fmt.Sprintf(`document.querySelector('#now').textContent !== %q`, before))
	assert.Equal(t, "nothing since", value[string](t, b, `document.querySelector('#announcement').textContent`), "unchanged data is not announced again")

	// The order follows the values.
	ask(t, http.MethodPost, simulator+"/fault?team=globex&name=none")
	q.set(map[string]int{"acme": 20, "globex": 1, longName: 7})
	scrape()
	b.run(t, refresh)
	b.await(t, `document.querySelector('#teams tbody th').textContent === 'acme'`)
	assert.Equal(t, []int{20, 7, 1}, value[[]int](t, b, pending))
	assert.Equal(t, "globex", value[string](t, b, focused), "even if its row moves")
	assert.Equal(t, "3 teams: 3 answering, 0 failing", value[string](t, b, `document.querySelector('#announcement').textContent`))
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
	assert.Positive(t, value[int](t, b, `document.querySelectorAll('#calls tbody tr').length`))
	assert.LessOrEqual(t, value[int](t, b, `document.querySelectorAll('#calls tbody tr').length`), 20)
	b.run(t, refresh)
	time.Sleep(500 * time.Millisecond)
	assert.Equal(t, sorted, value[[]string](t, b, names))
}

// testSizes tests the pages at the sizes of a phone, a desktop and a wallboard, in
// both colour schemes.
func testSizes(t *testing.T, b *browser, exporter string) {
	t.Helper()
	for _, size := range []struct {
		name          string
		width, height int64
	}{{"phone", 360, 740}, {"desk", 1280, 800}, {"wall", 1920, 1080}, {"large wall", 3840, 2160}} {
		for _, scheme := range []string{"light", "dark"} {
			b.scheme(t, scheme)
			for name, path := range map[string]string{"teams": "/", "team": "/teams/acme", "failing": "/teams/" + longName, "unknown": "/teams/nobody"} {
				b.open(t, exporter+path, size.width, size.height)
				what := strings.Join([]string{size.name, scheme, name}, " ")
				assert.Zero(t, value[int](t, b, wide), "%s: the page does not scroll sideways", what)
				assert.Empty(t, value[[]string](t, b, faint), what)
				ground := value[string](t, b, `getComputedStyle(document.body).backgroundColor`)
				assert.Equal(t, map[string]string{"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}[scheme], ground, what)
				b.shoot(t, strings.ReplaceAll(what, " ", "-"))
			}
		}
	}
	b.scheme(t, "light")

	// On a phone the rows of teams have another layout, but keep the role of rows.
	b.open(t, exporter, 360, 740)
	tree, err := chromedp.Call(b.Context, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	require.NoError(t, err)
	roles := make(map[string]int)
	for _, n := range tree.Nodes {
		if n.Role != nil {
			roles[strings.Trim(string(n.Role.Value), `"`)]++
		}
	}
	assert.Equal(t, []int{1, 4, 8, 3, 21}, []int{roles["table"], roles["row"], roles["columnheader"], roles["rowheader"], roles["cell"]}, "tables, rows, headers of columns and rows, cells: %v", roles)
	size := value[float64](t, b, `Number.parseFloat(getComputedStyle(document.querySelector('#teams td')).fontSize)`)
	b.open(t, exporter, 1920, 1080)
	assert.Greater(t, value[float64](t, b, `Number.parseFloat(getComputedStyle(document.querySelector('#teams td')).fontSize)`), 2*size, "large on a wall")
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
	assert.Contains(t, value[string](t, b, `document.body.innerText`), "Reload the page to update it.")
}
