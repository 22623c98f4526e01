package collector

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the README's table of metrics instead of comparing with it")

func TestREADMEListsTheMetrics(t *testing.T) {
	const (
		readme = "../README.md"
		begin  = "<!-- metrics: made from the tables in collector/ by go test ./collector -run README -update -->\n"
		end    = "<!-- end of metrics -->\n"
	)
	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), begin)
	require.True(t, found, "the table begins with %s", begin)
	table, after, found := strings.Cut(rest, end)
	require.True(t, found, "the table ends with %s", end)

	var want strings.Builder
	want.WriteString("| metric | type | labels | what it is |\n| --- | --- | --- | --- |\n")
	for _, m := range Metrics() {
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", m.Name, m.Type, strings.Join(m.Labels, ", "), m.Help)
	}
	if *update {
		require.NoError(t, os.WriteFile(readme, []byte(before+begin+want.String()+end+after), 0o600))
		return
	}
	assert.Equal(t, want.String(), table, "run go test ./collector -run README -update")
}
