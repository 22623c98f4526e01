package cli_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/usage"
)

func TestRoutePrefix(t *testing.T) {
	for _, test := range []struct{ url, prefix, want string }{
		{"", "", ""},
		{"", "/", ""},
		{"", "chat", "/chat"},
		{"", "/chat/", "/chat"},
		{"", "/a/b", "/a/b"},
		{"https://example.org", "", ""},
		{"https://example.org/", "", ""},
		{"https://example.org/chat/", "", "/chat"},
		{"https://example.org/chat", "/", ""},
		{"http://example.org:8080/a/b", "/c", "/c"},
	} {
		got, err := cli.RoutePrefix(test.url, test.prefix)
		require.NoError(t, err, test)
		assert.Equal(t, test.want, got, test)
	}
	for _, test := range []struct{ url, prefix, want string }{
		{"example.org/chat", "", "--web.external-url needs http:// or https://"},
		{"ftp://example.org", "", "--web.external-url needs"},
		{"https:///chat", "", "--web.external-url needs"},
		{"https://me:secret@example.org/", "", "--web.external-url needs"},
		{"https://example.org/?a=b", "", "--web.external-url needs"},
		{"'https://example.org'", "", "--web.external-url needs"},
		{"", "/a b", "must consist of plain names"},
		{"", "/{a}", "must consist of plain names"},
		{"", "/a/../b", "must consist of plain names"},
		{"", "/a//b", "must consist of plain names"},
		{"https://example.org/a%20b", "", "must consist of plain names"},
	} {
		_, err := cli.RoutePrefix(test.url, test.prefix)
		require.ErrorContains(t, err, test.want, test)
		assert.NotContains(t, err.Error(), "secret")
		assert.Equal(t, 2, usage.ExitCode(err), test)
	}
}
