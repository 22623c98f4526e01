package serve

import (
	"testing"

	"github.com/alecthomas/kingpin/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStatusPageIsThereUnlessItIsSwitchedOff(t *testing.T) {
	for _, c := range []struct {
		want string
		args []string
	}{
		{"no data yet", nil},
		{"Prometheus metrics of Chat-Tonic teams", []string{"--no-web.status-page"}},
	} {
		f := newFixture(t)
		var o Options
		app := kingpin.New("chattonic_exporter", "").Terminate(nil)
		o.Flags(app.Command("serve", ""))
		_, err := app.Parse(append([]string{"serve", "--web.listen-address=127.0.0.1:0"}, c.args...))
		require.NoError(t, err)
		f.Listen, f.StatusPage = o.Listen, o.StatusPage
		url, _ := f.run(t)
		assert.Contains(t, get(t, url+"/"), c.want)
	}
}
