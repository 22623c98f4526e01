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

// tokenFile is the path of an access token file. The file is read for each request, so the
// token can be replaced at any time. The file reader of prometheus/common is not used
// because it also accepts an empty or invalid token.
type tokenFile string

var _ promconfig.SecretReader = tokenFile("")

// Fetch returns the token. Errors are of the type fs.PathError, whose text the client
// includes in its error.
func (f tokenFile) Fetch(context.Context) (string, error) {
	data, err := os.ReadFile(string(f))
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return "", f.unusable(fmt.Errorf("%w: create the file and make it readable for this user", err))
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
