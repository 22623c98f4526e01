package exposition

import (
	"bytes"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// encoded is what the encoders of prometheus/common make of a family of one
// gauge with the label team.
func encoded(t *testing.T, help, team string, value float64, openMetrics bool) string {
	t.Helper()
	name, label := "queries", "team"
	family := &dto.MetricFamily{
		Name: &name, Help: &help, Type: dto.MetricType_GAUGE.Enum(),
		Metric: []*dto.Metric{{Label: []*dto.LabelPair{{Name: &label, Value: &team}}, Gauge: &dto.Gauge{Value: &value}}},
	}
	var b bytes.Buffer
	var err error
	if openMetrics {
		_, err = expfmt.MetricFamilyToOpenMetrics(&b, family)
	} else {
		_, err = expfmt.MetricFamilyToText(&b, family)
	}
	require.NoError(t, err)
	return b.String()
}

// written is what a Writer makes of it.
func written(t *testing.T, help, team string, value float64, openMetrics bool) string {
	t.Helper()
	var b strings.Builder
	w := NewWriter(&b, openMetrics)
	w.Family("queries", help)
	w.Sample(value, AppendLabel(nil, "team", team))
	require.NoError(t, w.Flush())
	return b.String()
}

// numbers are the edges of the ways in which a number is written.
var numbers = []float64{
	0, 1, 2, 9, 10, 100, 999_999, 1_000_000, 1_000_001, 1_234_567, 100_000_000, 2_700_000, 123_456_789_012_345, 999_999_999_999_999, 1e15, 1e15 + 2, 1e16,
	1 << 53, 1<<53 + 2, math.MaxUint64, 1e20, 1e21, 1e22, 1e100, math.MaxFloat64, math.Inf(1), math.NaN(),
	0.5, 0.25, 0.1, 0.01, 0.001, 0.0001, 0.00001, 0.000001, 0.0000001, 0.00012, 0.000123, 1.5, 1.15, 12.34, 99.99, 125.53, 1234.567891, 999_999.5, 1_000_000.5,
	1_638_359_998.5, 1_638_359_998.123, 1638359998.1234567, 0.1 + 0.2, 1.0 / 3, 2.0 / 3, 1e-300, 5e-324, 0.30000000000000004, 4.35, 1.005, 2.675, 8.41,
	33.333333, 100.000001, 1e14 + 0.5, 99999999.99,
}

func TestNumbers(t *testing.T) {
	for _, positive := range numbers {
		for _, v := range []float64{positive, -positive} {
			for _, openMetrics := range []bool{false, true} {
				assert.Equal(t, encoded(t, "Help.", "acme", v, openMetrics), written(t, "Help.", "acme", v, openMetrics))
			}
		}
	}
	for n := range 200_000 {
		v := float64(n) / 1000
		if got, want := string(appendNumber(nil, v, false)), encodedNumber(v); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
}

func TestTexts(t *testing.T) {
	for _, text := range []string{"", "acme", `a "quoted" \ name`, "two\nlines\n", `\`, `"`, "\n", "é\u2028😀", `\n`, "\t\r\x00"} {
		for _, openMetrics := range []bool{false, true} {
			assert.Equal(t, encoded(t, text, text, 1, openMetrics), written(t, text, text, 1, openMetrics), "%q", text)
		}
	}
}

func TestFamilies(t *testing.T) {
	var b strings.Builder
	w := NewWriter(&b, false)
	w.Family("none", "No samples.")
	w.Family("some", "Some samples.")
	w.Sample(1, []byte(`operator_id="a",`), []byte(`team="acme",window="24h"`))
	w.Sample(2, []byte(`operator_id="b",`), []byte(`team="acme",window="24h"`))
	w.Family("none_again", "No samples.")
	require.NoError(t, w.Flush())
	w.Family("none_at_last", "No samples.")
	require.NoError(t, w.Flush())
	w.Family("later", "After a flush.")
	w.Sample(3, []byte(`team="acme"`))
	require.NoError(t, w.Flush())
	assert.Equal(t, `# HELP some Some samples.
# TYPE some gauge
some{operator_id="a",team="acme",window="24h"} 1
some{operator_id="b",team="acme",window="24h"} 2
# HELP later After a flush.
# TYPE later gauge
later{team="acme"} 3
`, b.String())
}

func TestSamplesCanCarryATime(t *testing.T) {
	at := func(text string) time.Time {
		moment, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return moment
	}
	var b strings.Builder
	w := NewWriter(&b, true)
	w.Family("queries", "Help.")
	w.Sample(1, []byte(`team="acme"`))
	for _, text := range []string{"1970-01-01T00:00:00Z", "2021-12-01T03:00:00+03:00", "2021-12-01T00:00:00.5Z", "2021-12-01T00:00:00.012Z", "2021-12-01T00:00:00.0009Z"} {
		w.SetTimestamp(at(text))
		w.Sample(1, []byte(`team="acme"`))
	}
	w.Sample(2, []byte(`team="globex"`))
	require.NoError(t, w.Flush())
	w.Close()
	assert.Equal(t, `# HELP queries Help.
# TYPE queries gauge
queries{team="acme"} 1.0
queries{team="acme"} 1.0 0
queries{team="acme"} 1.0 1638316800
queries{team="acme"} 1.0 1638316800.5
queries{team="acme"} 1.0 1638316800.012
queries{team="acme"} 1.0 1638316800
queries{team="globex"} 2.0 1638316800
`, b.String())
	for range 100 { // one of which is the same again
		assert.NotContains(t, written(t, "Help.", "acme", 1, true), "1638316800")
	}
}

// pieces counts what is written to it, and fails from the last on.
type pieces struct {
	sizes []int
	last  int
}

var errGone = errors.New("gone")

func (p *pieces) Write(b []byte) (int, error) {
	p.sizes = append(p.sizes, len(b))
	if len(p.sizes) == p.last {
		return 0, errGone
	}
	return len(b), nil
}

func TestLargePagesComeInPieces(t *testing.T) {
	line := len("queries{team=\"acme\"} 1\n")
	for last, want := range map[int]error{0: nil, 2: errGone} {
		out := &pieces{last: last}
		w := NewWriter(out, false)
		w.Family("queries", "Help.")
		for range 100_000 {
			w.Sample(1, []byte(`team="acme"`))
		}
		require.ErrorIs(t, w.Flush(), want)
		total := 0
		for i, size := range out.sizes {
			total += size
			assert.Less(t, size, chunkSize+line)
			assert.True(t, size >= chunkSize || i == len(out.sizes)-1)
		}
		if last == 0 {
			assert.Equal(t, len("# HELP queries Help.\n# TYPE queries gauge\n")+100_000*line, total)
		} else {
			assert.Len(t, out.sizes, last, "nothing is written after an error")
		}
	}
}

// encodedNumber is how the encoders write a number that is not 0, 1 or -1.
func encodedNumber(v float64) string {
	var b bytes.Buffer
	name := "n"
	family := &dto.MetricFamily{Name: &name, Type: dto.MetricType_GAUGE.Enum(), Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: &v}}}}
	_, _ = expfmt.MetricFamilyToText(&b, family) // a Buffer takes everything
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), "# TYPE n gauge\nn "), "\n")
}

func FuzzWriter(f *testing.F) {
	for _, v := range numbers {
		f.Add("a \"help\"\nwith \\", "acme", v)
	}
	f.Fuzz(func(t *testing.T, help, team string, v float64) {
		if !utf8.ValidString(team) || !utf8.ValidString(help) {
			return
		}
		for _, openMetrics := range []bool{false, true} {
			assert.Equal(t, encoded(t, help, team, v, openMetrics), written(t, help, team, v, openMetrics))
		}
	})
}

func TestWhatWasNotFlushedIsInNoOtherPage(t *testing.T) {
	for range 100 { // as a pool gives back what it wants to
		w := NewWriter(io.Discard, false)
		w.Family("queries", "Help.")
		w.Sample(1, []byte(`team="acme"`))
		w.Close()
		require.Equal(t, encoded(t, "Help.", "globex", 2, true), written(t, "Help.", "globex", 2, true))
	}
}

// A buffer that was given back twice would be that of two pages.
func TestClosingTwiceGivesNothingBackTwice(t *testing.T) {
	for range 100 { // as a pool gives back what it wants to
		w := NewWriter(io.Discard, false)
		w.Close()
		w.Close()
		var first, second strings.Builder
		one, other := NewWriter(&first, false), NewWriter(&second, false)
		one.Family("first", "Help.")
		other.Family("other", "Help.")
		one.Sample(1, []byte(`team="acme"`))
		other.Sample(2, []byte(`team="globex"`))
		require.NoError(t, one.Flush())
		require.NoError(t, other.Flush())
		require.NotContains(t, first.String(), "other")
		require.NotContains(t, second.String(), "first")
		one.Close()
		other.Close()
	}
}

func TestBuffersAreUsedAgain(t *testing.T) {
	const pages = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range pages {
		NewWriter(io.Discard, false).Close()
	}
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(pages*chunkSize/2))
}
