package cli

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	sloggokit "github.com/tjhop/slog-gokit"
)

// LogLevels holds the valid minimum levels of a logger.
var LogLevels = []string{"debug", "info", "warn", "error"}

// LogFormats holds the valid formats of log lines.
var LogFormats = []string{"logfmt", "json"}

// NewLogger returns a logger that writes messages of the level or above to w, and a slog.Logger
// with the same output for libraries that need one. It fails if the level is not in LogLevels
// or the format is not in LogFormats.
func NewLogger(w io.Writer, levelName, format string) (log.Logger, *slog.Logger, error) {
	allowed, err := level.Parse(levelName)
	if err != nil {
		return nil, nil, fmt.Errorf("unknown log level %q: use one of %v", levelName, LogLevels)
	}
	var slogLevel slog.Level
	if err := slogLevel.UnmarshalText([]byte(levelName)); err != nil {
		return nil, nil, fmt.Errorf("unknown log level %q: use one of %v", levelName, LogLevels)
	}
	var base log.Logger
	switch format {
	case "logfmt":
		base = log.NewLogfmtLogger(log.NewSyncWriter(w))
	case "json":
		base = log.NewJSONLogger(log.NewSyncWriter(w))
	default:
		return nil, nil, fmt.Errorf("unknown log format %q: use one of %v", format, LogFormats)
	}
	base = level.NewFilter(base, level.Allow(allowed))
	// The slog handler adds the keys time and caller itself, so it gets the logger
	// without them.
	slogger := slog.New(sloggokit.NewGoKitHandler(base, slogLevel))
	return log.With(base, "time", log.DefaultTimestampUTC, "caller", log.DefaultCaller), slogger, nil
}
