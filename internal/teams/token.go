package teams

import (
	"context"
	"io/fs"

	promconfig "github.com/prometheus/common/config"

	"chattonic_exporter/internal/config"
)

// tokenFile is the path of an access token file. The file is read for each request, so the
// token can be replaced at any time. The file reader of prometheus/common is not used
// because it also accepts an empty or invalid token, and waits for a FIFO or a hung mount.
type tokenFile string

var _ promconfig.SecretReader = tokenFile("")

// Fetch returns the token. Errors are of the type fs.PathError, whose text the client
// includes in its error.
func (f tokenFile) Fetch(ctx context.Context) (string, error) {
	token, err := config.ReadToken(ctx, string(f))
	if err != nil {
		return "", &fs.PathError{Op: "reading the access token from", Path: string(f), Err: err}
	}
	return token, nil
}

// Description names the file.
func (f tokenFile) Description() string { return "file " + string(f) }

// Immutable says that the token may change.
func (tokenFile) Immutable() bool { return false }
