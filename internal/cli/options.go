package cli

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/alecthomas/units"
	"github.com/go-kit/log"

	"chattonic_exporter/internal/config"
)

// Client holds the flags of the commands that call the API.
type Client struct {
	// Source is where the teams are configured: a file, or flags for a single team.
	Source config.Flags
	// RequestTimeout is the timeout of an API call, and of scrapes without a timeout
	// header.
	RequestTimeout time.Duration
	// MaxBody is the maximum size of an API answer in bytes.
	MaxBody int64
	// MaxCalls is the maximum number of concurrent API calls.
	MaxCalls int64

	// Load reads the configuration of the teams. It is Source.Load, except in the
	// demo and in tests. No flag sets it.
	Load func() (*config.Config, error)
}

// Flags declares all flags of Client, for a command that makes many calls.
func (c *Client) Flags(cmd *kingpin.CmdClause) {
	c.CallFlags(cmd)
	Shared(cmd, "chattonic.windows", "Windows of the single team, with commas: durations, or today, yesterday, this_week, this_month. Default: 24h.").
		PlaceHolder("WINDOWS").StringVar(&c.Source.Windows)
	Shared(cmd, "chattonic.duration-unit", "Unit of the times in the API of the single team: milliseconds, seconds or minutes. Default: seconds.").
		PlaceHolder("UNIT").StringVar(&c.Source.DurationUnit)
	Shared(cmd, "chattonic.queries-pending-threshold", "Threshold of the single team for alerts about waiting queries. Default: none.").
		PlaceHolder("NUMBER").StringVar(&c.Source.QueriesPending)
	calls := Shared(cmd, "chattonic.max-calls", "Maximum number of concurrent API calls.").Default("100")
	calls.Int64Var(&c.MaxCalls)
	check(calls, func(string) error { return positive(c.MaxCalls) })
}

// CallFlags declares the flags of a command that makes a single call.
func (c *Client) CallFlags(cmd *kingpin.CmdClause) {
	Shared(cmd, "config.file", "YAML configuration file with the teams.").PlaceHolder("FILE").StringVar(&c.Source.File)
	Shared(cmd, "chattonic.url", "Base URL of the API, for a single team without --config.file.").PlaceHolder("URL").StringVar(&c.Source.URL)
	Shared(cmd, "chattonic.codename", "Codename of the single team.").PlaceHolder("CODENAME").StringVar(&c.Source.Codename)
	Shared(cmd, "chattonic.token-file", "File with the access token of the single team. Alternatively set the token itself in the variable "+config.TokenVariable+".").
		PlaceHolder("FILE").StringVar(&c.Source.TokenFile)
	Shared(cmd, "chattonic.timezone", "Time zone of the single team, for windows such as today. Default: UTC.").PlaceHolder("ZONE").StringVar(&c.Source.Timezone)
	timeout := Shared(cmd, "chattonic.request-timeout", "Timeout of an API call.").Default("30s")
	timeout.DurationVar(&c.RequestTimeout)
	check(timeout, func(string) error { return positive(c.RequestTimeout) })
	size := Shared(cmd, "chattonic.max-body-size", "Maximum size of an API answer.").Default("64MiB")
	size.BytesVar((*units.Base2Bytes)(&c.MaxBody))
	check(size, func(string) error { return positive(c.MaxBody) })
	cmd.PreAction(func(*kingpin.ParseContext) error {
		c.Source.Token = os.Getenv(config.TokenVariable) // an argument would be visible in the list of processes
		return nil
	})
}

func positive[T int64 | time.Duration](value T) error {
	if value <= 0 {
		return errors.New("it must be more than 0")
	}
	return nil
}

// Log holds the flags of the commands that log.
type Log struct{ Level, Format string }

// Flags declares the flags.
func (l *Log) Flags(cmd *kingpin.CmdClause) {
	Shared(cmd, "log.level", "Minimum level of log lines: "+strings.Join(LogLevels, ", ")+".").Default("info").EnumVar(&l.Level, LogLevels...)
	Shared(cmd, "log.format", "Format of log lines: "+strings.Join(LogFormats, ", ")+".").Default("logfmt").EnumVar(&l.Format, LogFormats...)
}

// New returns a logger, also as a slog.Logger for libraries that need one.
func (l *Log) New(w io.Writer) (log.Logger, *slog.Logger, error) {
	return NewLogger(w, l.Level, l.Format)
}
