package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"

	promconfig "github.com/prometheus/common/config"
	"go.yaml.in/yaml/v3"

	"chattonic_exporter/chattonic"
)

const noAuthentication = "no access token: set http_client.authorization.credentials_file to a file that holds it"

// readHTTPClient returns the HTTP client of the team at the node. The value is
// that of its key, or nil.
func (r *reader) readHTTPClient(team, value *yaml.Node) (promconfig.HTTPClientConfig, error) {
	client := promconfig.DefaultHTTPClientConfig
	if value == nil {
		return client, at(team, noAuthentication)
	}
	if err := (httpClientCheck{directory: r.directory, files: true}).check(value); err != nil {
		return client, inKey("http_client", err)
	}
	if err := value.Decode(&client); err != nil {
		return client, inKey("http_client", decodeProblem(value, err))
	}
	if !authenticates(client) {
		return client, at(value, noAuthentication)
	}
	client.SetDirectory(r.directory)
	if oauth2 := client.OAuth2; oauth2 != nil {
		// SetDirectory leaves this one out.
		oauth2.ClientCertificateKeyFile = promconfig.JoinDir(r.directory, oauth2.ClientCertificateKeyFile)
		if err := checkTLS(value, &oauth2.TLSConfig); err != nil {
			return client, inKey("http_client", inKey("oauth2", err))
		}
	}
	if err := checkTLS(value, &client.TLSConfig); err != nil {
		return client, inKey("http_client", err)
	}
	return client, nil
}

// checkTLS checks that the certificates and keys are such.
func checkTLS(node *yaml.Node, config *promconfig.TLSConfig) error {
	if _, err := promconfig.NewTLSConfig(config); err != nil {
		return inKey("tls_config", at(node, "%w: correct the certificates or versions", err))
	}
	return nil
}

// decodeProblem tells of keys that do not go together. What the YAML library
// has to say quotes values, and so does not get through.
func decodeProblem(value *yaml.Node, err error) error {
	if !strings.HasPrefix(err.Error(), "yaml: ") {
		return at(value, "%w: correct it here or in defaults, whose keys stay unless the team sets them (null drops one)", err)
	}
	return at(value, "a value cannot be read: compare it with Prometheus's http_config, whose form this has")
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

// httpClientCheck checks an http_client against the Go type it is decoded to,
// because the YAML library, when it decodes a node, takes unknown keys and
// quotes values in errors.
type httpClientCheck struct {
	directory string // what relative paths are relative to
	files     bool   // whether the files that are named are looked at
}

var (
	urlType        = reflect.TypeFor[promconfig.URL]()
	tlsVersionType = reflect.TypeFor[promconfig.TLSVersion]()
)

func (c httpClientCheck) check(node *yaml.Node) error {
	return c.value("", node, reflect.TypeFor[promconfig.HTTPClientConfig]())
}

// value checks a value of the type. The field is the key that it has in a Go
// struct, or empty where the file's author chose the key.
func (c httpClientCheck) value(field string, node *yaml.Node, t reflect.Type) error {
	node = target(node)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if isNull(node) {
		return nil
	}
	switch {
	case t == urlType:
		return checkURL(node)
	case t == tlsVersionType:
		return checkTLSVersion(node)
	case t.Kind() == reflect.Struct:
		fields, others := structKeys(t)
		return c.keys(node, fields, others)
	case t.Kind() == reflect.Map:
		return c.keys(node, nil, t.Elem())
	case t.Kind() == reflect.Slice:
		return c.list(field, node, t.Elem())
	case t.Kind() == reflect.Bool:
		var value bool
		if node.Decode(&value) != nil {
			return at(node, "needs true or false")
		}
	case t.Kind() == reflect.String:
		return c.text(field, node)
	}
	return nil
}

// structKey is a key that belongs to a field of a Go struct.
type structKey struct {
	name string
	t    reflect.Type
}

// structKeys returns the keys of a struct's fields in order or, where it takes
// any key, the type of their values. Keys for a secret manager are left out, as
// the exporter has none.
func structKeys(t reflect.Type) (keys []structKey, others reflect.Type) {
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		switch {
		case !field.IsExported() || strings.HasSuffix(name, "_ref"):
		case options != "inline":
			keys = append(keys, structKey{name, field.Type})
		case field.Type.Kind() == reflect.Map:
			others = field.Type.Elem()
		default:
			inlined, _ := structKeys(field.Type)
			keys = append(keys, inlined...)
		}
	}
	return keys, others
}

// keys checks a mapping of the fields or, unless that is nil, of any keys with
// values of the type others.
func (c httpClientCheck) keys(node *yaml.Node, fields []structKey, others reflect.Type) error {
	var known []string
	if others == nil {
		for _, field := range fields {
			known = append(known, field.name)
		}
	}
	found, err := entries(node, known)
	if err != nil {
		return err
	}
	for _, e := range found {
		path, name, t := quoteKey(e.key), "", others
		if i := slices.Index(known, e.key.Value); i >= 0 {
			path, name, t = known[i], known[i], fields[i].t
		}
		if err := c.value(name, e.value, t); err != nil {
			return inKey(path, err)
		}
	}
	return nil
}

func (c httpClientCheck) list(field string, node *yaml.Node, element reflect.Type) error {
	if node.Kind != yaml.SequenceNode {
		return at(node, "needs a list, not %s", kindOf(node))
	}
	for _, value := range node.Content {
		if err := c.value(field, value, element); err != nil {
			return err
		}
	}
	return nil
}

// text checks a single value: what a token may hold, and that a file that is
// named can be used.
func (c httpClientCheck) text(field string, node *yaml.Node) error {
	text, err := scalar(node)
	if err != nil || text == "" {
		return err
	}
	path := promconfig.JoinDir(c.directory, text)
	switch isFile := strings.HasSuffix(field, "_file") || field == "files"; {
	case field == "credentials" || field == "bearer_token":
		err = chattonic.CheckToken(text)
	case !isFile || !c.files:
		return nil
	case field == "credentials_file" || field == "bearer_token_file":
		err = checkTokenFile(path)
	default:
		_, err = readSecretFile(path)
	}
	if err != nil {
		return at(node, "%w", err)
	}
	return nil
}

func checkURL(node *yaml.Node) error {
	text, err := scalar(node)
	if err != nil {
		return err
	}
	if _, err := url.Parse(text); err != nil { // an error that may quote a password
		return at(node, "not a URL: use one such as http://proxy.example:3128")
	}
	return nil
}

func checkTLSVersion(node *yaml.Node) error {
	text, err := scalar(node)
	if err != nil {
		return err
	}
	if _, known := promconfig.TLSVersions[text]; !known {
		return at(node, "unknown TLS version: use one of TLS10, TLS11, TLS12, TLS13")
	}
	return nil
}

// readSecretFile returns the content of a file without white space around it.
// It fails where that is empty. The file is read again for later requests, so
// a pipe does not do.
func readSecretFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%q cannot be read: %w: name a file that exists", path, cause(err))
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%q is not a regular file: name one", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%q cannot be read: %w: give this user the right to", path, cause(err))
	}
	content := strings.TrimSpace(string(data))
	if content == "" {
		return "", fmt.Errorf("%q is empty: write into it what it is for", path)
	}
	return content, nil
}

func checkTokenFile(path string) error {
	token, err := readSecretFile(path)
	if err != nil {
		return err
	}
	if err := chattonic.CheckToken(token); err != nil {
		return fmt.Errorf("%q: %w", path, err)
	}
	return nil
}

// cause leaves out the path of an error of the file system, which is told
// beside it.
func cause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
