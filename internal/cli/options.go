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
	"chattonic_exporter/internal/logging"
)

// Client holds the flags of the commands that call the API.
type Client struct {
	// Source names the teams: in a file, or a single one.
	Source config.Flags
	// RequestTimeout is the timeout of an API call. A scrape that does not say
	// how long it may take has the same.
	RequestTimeout time.Duration
	// MaxBody is the maximum size of an API answer in bytes.
	MaxBody int64
	// MaxCalls is the maximum number of concurrent API calls.
	MaxCalls int64

	// Load reads the configuration of the teams: Source.Load, or what the demo or
	// a test has in its place. It is no flag.
	Load func() (*config.Config, error)
}

// Flags declares all flags of the struct, for a command that makes many calls.
func (c *Client) Flags(cmd *kingpin.CmdClause) {
	c.CallFlags(cmd)
	calls := Shared(cmd, "chattonic.max-calls", "Maximum number of concurrent API calls.").Default("100")
	calls.Int64Var(&c.MaxCalls)
	check(calls, func(string) error { return positive(c.MaxCalls) })
}

// CallFlags declares the flags for a command that makes a single call.
func (c *Client) CallFlags(cmd *kingpin.CmdClause) {
	Shared(cmd, "config.file", "YAML file that names the teams.").PlaceHolder("FILE").StringVar(&c.Source.File)
	Shared(cmd, "chattonic.url", "Base URL of the API, for a single team without --config.file.").PlaceHolder("URL").StringVar(&c.Source.URL)
	Shared(cmd, "chattonic.codename", "Codename of the single team.").PlaceHolder("CODENAME").StringVar(&c.Source.Codename)
	Shared(cmd, "chattonic.token-file", "File that holds the access token of the single team. The token itself may be in the variable "+config.TokenVariable+" instead.").
		PlaceHolder("FILE").StringVar(&c.Source.TokenFile)
	timeout := Shared(cmd, "chattonic.request-timeout", "Timeout of an API call.").Default("30s")
	timeout.DurationVar(&c.RequestTimeout)
	check(timeout, func(string) error { return positive(c.RequestTimeout) })
	size := Shared(cmd, "chattonic.max-body-size", "Maximum size of an API answer.").Default("64MiB")
	size.BytesVar((*units.Base2Bytes)(&c.MaxBody))
	check(size, func(string) error { return positive(c.MaxBody) })
	cmd.PreAction(func(*kingpin.ParseContext) error {
		c.Source.Token = os.Getenv(config.TokenVariable) // an argument would be seen in the list of processes
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
	Shared(cmd, "log.level", "Lowest level that is logged: "+strings.Join(logging.Levels, ", ")+".").Default("info").EnumVar(&l.Level, logging.Levels...)
	Shared(cmd, "log.format", "Format of log lines: "+strings.Join(logging.Formats, ", ")+".").Default("logfmt").EnumVar(&l.Format, logging.Formats...)
}

// New returns a logger, and the same for libraries that want a slog.Logger.
func (l *Log) New(w io.Writer) (log.Logger, *slog.Logger, error) {
	return logging.New(w, l.Level, l.Format)
}
