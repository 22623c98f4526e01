package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"reflect"
	"strings"

	promconfig "github.com/prometheus/common/config"
	"go.yaml.in/yaml/v3"

	"chattonic_exporter/chattonic"
)

const noAuthentication = "no access token: set authorization.credentials_file to a file that holds it"

// readHTTPClient returns the HTTP client of a team from the value of its key, or
// nil. Relative paths are relative to the directory.
func readHTTPClient(value, team *yaml.Node, directory string) (promconfig.HTTPClientConfig, error) {
	client := promconfig.DefaultHTTPClientConfig
	if value == nil {
		return client, at(team, noAuthentication)
	}
	if err := checkHTTPClient(value, &directory); err != nil {
		return client, err
	}
	if err := decode(value, &client); err != nil {
		if _, located := errors.AsType[*problem](err); !located {
			err = at(value, "%w: correct it here or in defaults, whose keys stay unless the team sets them (null drops one)", err)
		}
		return client, err
	}
	if !authenticates(client) {
		return client, at(value, noAuthentication)
	}
	client.SetDirectory(directory)
	if oauth2 := client.OAuth2; oauth2 != nil {
		// SetDirectory leaves this one out.
		oauth2.ClientCertificateKeyFile = promconfig.JoinDir(directory, oauth2.ClientCertificateKeyFile)
		if err := checkTLS(value, &oauth2.TLSConfig); err != nil {
			return client, inKey("oauth2", err)
		}
	}
	return client, checkTLS(value, &client.TLSConfig)
}

// checkTLS checks that the certificates, keys and versions can be used.
func checkTLS(node *yaml.Node, config *promconfig.TLSConfig) error {
	if _, err := promconfig.NewTLSConfig(config); err != nil {
		return inKey("tls_config", at(node, "%w: correct the certificates or versions", err))
	}
	return nil
}

// authenticates says whether requests of the client carry anything that proves
// who sends them.
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
)

// checkHTTPClient checks the form of an http_client and, unless the directory
// that their paths are relative to is nil, the files that it names.
func checkHTTPClient(node *yaml.Node, directory *string) error {
	text := func(key, text string, t reflect.Type) error {
		isFile := strings.HasSuffix(key, "_file") || key == "files"
		switch {
		case t == urlType:
			if _, err := url.Parse(text); err != nil { // an error that may quote a password
				return errors.New("not a URL: use one such as http://proxy.example:3128")
			}
		case t == tlsVersionType:
			if _, known := promconfig.TLSVersions[text]; !known {
				return errors.New("unknown TLS version: use one of TLS10, TLS11, TLS12, TLS13")
			}
		case text == "":
		case key == "credentials" || key == "bearer_token":
			return chattonic.CheckToken(text)
		case !isFile || directory == nil:
		case key == "credentials_file" || key == "bearer_token_file":
			return checkTokenFile(promconfig.JoinDir(*directory, text))
		default:
			_, err := readFile(promconfig.JoinDir(*directory, text))
			return err
		}
		return nil
	}
	return form{nullable: true, text: text}.check("", node, reflect.TypeFor[promconfig.HTTPClientConfig]())
}

// readFile returns the content of a file without white space around it. It fails
// where that is empty. The file is read again for later requests, so that a pipe
// does not do. Errors do not name the file, as the path may be a secret in the
// wrong place.
func readFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return "", errors.New("not a regular file: name one")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the file cannot be read: %w: name one that exists and that this user may read", cause(err))
	}
	content := strings.TrimSpace(string(data))
	if content == "" {
		return "", errors.New("the file is empty: write into it what it is for")
	}
	return content, nil
}

func checkTokenFile(path string) error {
	token, err := readFile(path)
	if err != nil {
		return err
	}
	return chattonic.CheckToken(token)
}

// cause leaves the path out of an error of the file system.
func cause(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}
