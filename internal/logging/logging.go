// Package logging creates the exporter's loggers.
package logging

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	sloggokit "github.com/tjhop/slog-gokit"
)

// Levels holds the valid minimum levels of a logger.
var Levels = []string{"debug", "info", "warn", "error"}

// Formats holds the valid formats of log lines.
var Formats = []string{"logfmt", "json"}

// New returns a logger that writes messages of the level or above to w, and a slog.Logger
// with the same output for libraries that need one. It fails if the level is not in Levels
// or the format is not in Formats.
func New(w io.Writer, levelName, format string) (log.Logger, *slog.Logger, error) {
	allowed, err := level.Parse(levelName)
	if err != nil {
		return nil, nil, fmt.Errorf("unknown log level %q: use one of %v", levelName, Levels)
	}
	var slogLevel slog.Level
	if err := slogLevel.UnmarshalText([]byte(levelName)); err != nil {
		return nil, nil, fmt.Errorf("unknown log level %q: use one of %v", levelName, Levels)
	}
	var base log.Logger
	switch format {
	case "logfmt":
		base = log.NewLogfmtLogger(log.NewSyncWriter(w))
	case "json":
		base = log.NewJSONLogger(log.NewSyncWriter(w))
	default:
		return nil, nil, fmt.Errorf("unknown log format %q: use one of %v", format, Formats)
	}
	base = level.NewFilter(base, level.Allow(allowed))
	// The slog handler adds the keys time and caller itself, so it gets the logger
	// without them.
	slogger := slog.New(sloggokit.NewGoKitHandler(base, slogLevel))
	return log.With(base, "time", log.DefaultTimestampUTC, "caller", log.DefaultCaller), slogger, nil
}
