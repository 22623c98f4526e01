package cli

import (
	"net/url"
	"strings"

	"chattonic_exporter/internal/usage"
)

// RoutePrefix returns the prefix of all paths that the exporter serves: that of
// --web.route-prefix or, without one, the path of --web.external-url. It begins with a slash
// and does not end with one, or is empty. It fails if the URL or the prefix is invalid.
func RoutePrefix(externalURL, routePrefix string) (string, error) {
	if externalURL != "" {
		u, err := url.Parse(externalURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return "", usage.Errorf("--web.external-url needs http:// or https://, a host and at most a path: use a value such as https://example.org/chattonic")
		}
		if routePrefix == "" {
			routePrefix = u.Path
		}
	}
	prefix := "/" + strings.Trim(routePrefix, "/")
	if prefix == "/" {
		return "", nil
	}
	if u, err := url.Parse(prefix); err != nil || u.EscapedPath() != prefix || strings.ContainsAny(prefix, "{}") || strings.Contains(prefix, "/.") || strings.Contains(prefix, "//") {
		return "", usage.Errorf("the path of --web.route-prefix or --web.external-url must consist of plain names: use one such as /chattonic")
	}
	return prefix, nil
}
