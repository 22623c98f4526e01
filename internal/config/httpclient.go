package config

import (
	"errors"
	"net/url"
	"reflect"
	"regexp"
	"strings"

	promconfig "github.com/prometheus/common/config"
	"go.yaml.in/yaml/v3"

	"chattonic_exporter/chattonic"
)

const noAuthentication = "no access token: set authorization.credentials_file to a file that contains it"

// readHTTPClient returns the HTTP client settings of a team. value is the value of
// http_client, or nil if the team has none. Relative paths are relative to the directory.
func readHTTPClient(value, team *yaml.Node, directory string) (promconfig.HTTPClientConfig, error) {
	client := promconfig.DefaultHTTPClientConfig
	if value == nil {
		return client, errorAt(team, noAuthentication)
	}
	if err := checkHTTPClient(value, &directory); err != nil {
		return client, err
	}
	if err := decode(value, &client); err != nil {
		if _, located := errors.AsType[*locatedError](err); !located {
			err = errorAt(value, "%w: correct it here or in defaults, whose keys apply unless the team sets them (null removes a key)", err)
		}
		return client, err
	}
	if !authenticates(client) {
		return client, errorAt(value, noAuthentication)
	}
	proxyByDefault(value, &client.ProxyConfig)
	client.SetDirectory(directory)
	if oauth2 := client.OAuth2; oauth2 != nil {
		proxyByDefault(valueOf(value, "oauth2"), &oauth2.ProxyConfig)
		// SetDirectory does not set this path.
		oauth2.ClientCertificateKeyFile = promconfig.JoinDir(directory, oauth2.ClientCertificateKeyFile)
		if err := checkTLS(value, &oauth2.TLSConfig); err != nil {
			return client, prefixKey("oauth2", err)
		}
	}
	return client, checkTLS(value, &client.TLSConfig)
}

// defaultHTTPClient returns the HTTP client settings of a team without http_client.
func defaultHTTPClient() promconfig.HTTPClientConfig {
	client := promconfig.DefaultHTTPClientConfig
	client.ProxyFromEnvironment = true
	return client
}

// proxyByDefault makes the variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY count unless the
// mapping sets a key that decides about the proxy. The library ignores them by default.
func proxyByDefault(mapping *yaml.Node, proxy *promconfig.ProxyConfig) {
	for _, key := range []string{"proxy_url", "proxy_from_environment"} {
		if value := valueOf(mapping, key); value != nil && !isNull(value) {
			return
		}
	}
	proxy.ProxyFromEnvironment = true
}

// checkTLS returns an error if the certificates, keys or versions cannot be used.
func checkTLS(node *yaml.Node, config *promconfig.TLSConfig) error {
	if _, err := promconfig.NewTLSConfig(config); err != nil {
		return prefixKey("tls_config", errorAt(node, "%w: correct the certificates or versions", err))
	}
	return nil
}

// authenticates reports whether the client sends credentials.
func authenticates(client promconfig.HTTPClientConfig) bool {
	switch {
	case client.OAuth2 != nil:
		return true
	case client.BasicAuth != nil:
		b := client.BasicAuth
		return b.Username != "" || b.UsernameFile != "" || b.Password != "" || b.PasswordFile != ""
	case client.Authorization != nil:
		return client.Authorization.Credentials != "" || client.Authorization.CredentialsFile != ""
	default:
		return false
	}
}

var (
	urlType        = reflect.TypeFor[promconfig.URL]()
	tlsVersionType = reflect.TypeFor[promconfig.TLSVersion]()
	secretType     = reflect.TypeFor[promconfig.Secret]()
)

// namesVariable matches a secret that is the name of a variable, or contains one in braces.
var namesVariable = regexp.MustCompile(`^\$[A-Za-z_][A-Za-z0-9_]*$|\$\{[A-Za-z_]`)

// variableError returns the error for a secret that names a variable.
func variableError(key string) error {
	advice := "write the secret into a file and name it in the key that ends in _file (for http_headers, files)"
	if key == "credentials" || key == "bearer_token" {
		advice = "write the token into a file and name it in authorization.credentials_file, or for a single team without a configuration file use " + TokenVariable
	}
	return errors.New("names a variable, which is not replaced by its value: " + advice)
}

// checkHTTPClient validates the value of http_client. If the directory is not nil, it also
// checks the files that the value refers to; relative paths are relative to it.
func checkHTTPClient(node *yaml.Node, directory *string) error {
	checkText := func(key, text string, t reflect.Type) error {
		isFile := strings.HasSuffix(key, "_file") || key == "files"
		switch {
		case t == urlType:
			if _, err := url.Parse(text); err != nil { // the error may quote a password
				return errors.New("not a URL: use one such as http://proxy.example:3128")
			}
		case t == tlsVersionType:
			if _, known := promconfig.TLSVersions[text]; !known {
				return errors.New("unknown TLS version: use one of TLS10, TLS11, TLS12, TLS13")
			}
		case text == "":
		case t == secretType && namesVariable.MatchString(text):
			return variableError(key)
		case key == "credentials" || key == "bearer_token":
			return chattonic.CheckToken(text)
		case !isFile || directory == nil:
		case key == "credentials_file" || key == "bearer_token_file":
			_, err := readToken(promconfig.JoinDir(*directory, text), nil)
			return err
		default:
			_, err := readFile(promconfig.JoinDir(*directory, text), nil)
			return err
		}
		return nil
	}
	return validator{nullable: true, checkText: checkText}.check("", node, reflect.TypeFor[promconfig.HTTPClientConfig]())
}
