package cli

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writers log the same message at each level, in the order of LogLevels.
var writers = map[string]func(log.Logger, *slog.Logger){
	"go-kit": func(logger log.Logger, _ *slog.Logger) {
		level.Debug(logger).Log("msg", "a message", "at", "debug")
		level.Info(logger).Log("msg", "a message", "at", "info")
		level.Warn(logger).Log("msg", "a message", "at", "warn")
		level.Error(logger).Log("msg", "a message", "at", "error")
	},
	"slog": func(_ log.Logger, logger *slog.Logger) {
		logger.Debug("a message", "at", "debug")
		logger.Info("a message", "at", "info")
		logger.Warn("a message", "at", "warn")
		logger.Error("a message", "at", "error")
	},
}

// field is a key and its value as they stand in a line. A key that is there
// twice is two fields.
type field struct{ key, value string }

var readers = map[string]func(t *testing.T, line string) []field{
	"logfmt": func(t *testing.T, line string) (fields []field) {
		t.Helper()
		form := regexp.MustCompile(`^(\w+)=("[^"]*"|[^" ]*)(?: |$)`)
		for line != "" {
			parts := form.FindStringSubmatch(line)
			require.NotNil(t, parts, "no field at %q", line)
			fields = append(fields, field{parts[1], strings.Trim(parts[2], `"`)})
			line = line[len(parts[0]):]
		}
		return fields
	},
	"json": func(t *testing.T, line string) (fields []field) {
		t.Helper()
		decoder := json.NewDecoder(strings.NewReader(line))
		var texts []string
		for decoder.More() || texts == nil {
			token, err := decoder.Token()
			require.NoError(t, err)
			if text, ok := token.(string); ok {
				texts = append(texts, text)
			}
		}
		require.Zero(t, len(texts)%2, "a value of %s is no string", line)
		for pair := range slices.Chunk(texts, 2) {
			fields = append(fields, field{pair[0], pair[1]})
		}
		return fields
	},
}

func TestLines(t *testing.T) {
	for _, format := range LogFormats {
		for writer, write := range writers {
			t.Run(format+" "+writer, func(t *testing.T) {
				var out bytes.Buffer
				logger, slogger, err := NewLogger(&out, "debug", format)
				require.NoError(t, err)
				before := time.Now().Add(-time.Second)
				write(logger, slogger)

				lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
				require.Len(t, lines, len(LogLevels))
				for i, line := range lines {
					values := map[string]string{}
					fields := readers[format](t, line)
					for _, f := range fields {
						values[f.key] = f.value
					}
					assert.Len(t, fields, 5, "in %s", line)
					require.ElementsMatch(t, []string{"time", "caller", "level", "msg", "at"}, keys(fields))
					assert.Equal(t, "a message", values["msg"])
					assert.Equal(t, LogLevels[i], values["level"])
					assert.Equal(t, LogLevels[i], values["at"])
					assert.Regexp(t, `^log_test\.go:\d+$`, values["caller"])
					stamp, err := time.Parse(time.RFC3339Nano, values["time"])
					require.NoError(t, err)
					assert.WithinRange(t, stamp, before, time.Now().Add(time.Second))
				}
			})
		}
	}
}

func keys(fields []field) (keys []string) {
	for _, f := range fields {
		keys = append(keys, f.key)
	}
	return keys
}

func TestLevels(t *testing.T) {
	for i, least := range LogLevels {
		for writer, write := range writers {
			t.Run(least+" "+writer, func(t *testing.T) {
				var out bytes.Buffer
				logger, slogger, err := NewLogger(&out, least, "logfmt")
				require.NoError(t, err)
				write(logger, slogger)

				var logged []string
				for _, parts := range regexp.MustCompile(`\bat=(\w+)`).FindAllStringSubmatch(out.String(), -1) {
					logged = append(logged, parts[1])
				}
				assert.Equal(t, LogLevels[i:], logged)
			})
		}
	}
}

func TestUnknown(t *testing.T) {
	for _, c := range []struct{ level, format, want string }{
		{"loud", "logfmt", `unknown log level "loud": use one of [debug info warn error]`},
		{"", "logfmt", `unknown log level "": use one of [debug info warn error]`},
		{" info", "logfmt", `unknown log level " info": use one of [debug info warn error]`},
		{"info", "xml", `unknown log format "xml": use one of [logfmt json]`},
		{"info", "", `unknown log format "": use one of [logfmt json]`},
	} {
		logger, slogger, err := NewLogger(&bytes.Buffer{}, c.level, c.format)
		require.EqualError(t, err, c.want)
		assert.Nil(t, logger)
		assert.Nil(t, slogger)
	}
}
