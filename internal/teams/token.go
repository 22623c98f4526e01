package teams

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	promconfig "github.com/prometheus/common/config"

	"chattonic_exporter/chattonic"
)

// tokenFile is a file whose access token is read anew for each request, so that
// it can be replaced at any time. The library's own reader would send what it
// finds, also nothing.
type tokenFile string

var _ promconfig.SecretReader = tokenFile("")

// Fetch returns the token. Its errors name the file, say what to do, and are of
// the type that the client passes on.
func (f tokenFile) Fetch(context.Context) (string, error) {
	data, err := os.ReadFile(string(f))
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return "", f.unusable(fmt.Errorf("%w: put the file there, for this user to read", err))
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", f.unusable(errors.New("the file is empty: write the access token into it"))
	}
	if err := chattonic.CheckToken(token); err != nil {
		return "", f.unusable(err)
	}
	return token, nil
}

func (f tokenFile) unusable(err error) error {
	return &fs.PathError{Op: "reading the access token from", Path: string(f), Err: err}
}

// Description names the file.
func (f tokenFile) Description() string { return "file " + string(f) }

// Immutable says that the token may change.
func (tokenFile) Immutable() bool { return false }
