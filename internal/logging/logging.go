// Package logging makes the exporter's loggers.
package logging

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	sloggokit "github.com/tjhop/slog-gokit"
)

// Levels are the levels that a logger can be limited to.
var Levels = []string{"debug", "info", "warn", "error"}

// Formats are the formats of log lines.
var Formats = []string{"logfmt", "json"}

// New returns a logger that writes to w what is of the level or above, and the
// same for libraries that want a slog.Logger. It fails for a level or format
// that is not among Levels and Formats.
func New(w io.Writer, levelName, format string) (log.Logger, *slog.Logger, error) {
	allowed, err := level.Parse(levelName)
	if err != nil {
		return nil, nil, fmt.Errorf("unknown log level %q: use one of %v", levelName, Levels)
	}
	var slogLevel slog.Level
	if err := slogLevel.UnmarshalText([]byte(levelName)); err != nil {
		return nil, nil, fmt.Errorf("unknown log level %q: use one of %v", levelName, Levels)
	}
	var bare log.Logger
	switch format {
	case "logfmt":
		bare = log.NewLogfmtLogger(log.NewSyncWriter(w))
	case "json":
		bare = log.NewJSONLogger(log.NewSyncWriter(w))
	default:
		return nil, nil, fmt.Errorf("unknown log format %q: use one of %v", format, Formats)
	}
	bare = level.NewFilter(bare, level.Allow(allowed))
	// The handler stamps time and caller by itself, under these names, so it is
	// given the logger from before they are added.
	slogger := slog.New(sloggokit.NewGoKitHandler(bare, slogLevel))
	return log.With(bare, "time", log.DefaultTimestampUTC, "caller", log.DefaultCaller), slogger, nil
}
