// Package cli is what the commands have in common on the command line: the flags
// of several commands, the names of environment variables, what is said about a
// wrong command line, and help.
package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"chattonic_exporter/internal/usage"
)

// Program is the name of the program.
const Program = "chattonic_exporter"

// Shared declares a flag that several commands have with the same meaning, and so
// with the same environment variable.
func Shared(cmd *kingpin.CmdClause, name, help string) *kingpin.FlagClause {
	return cmd.Flag(name, help).Envar(variable(name))
}

var separators = regexp.MustCompile(`\W+`)

// variable returns the name of the environment variable of a flag, with the words
// of the command before it where the flag is that command's alone.
func variable(words ...string) string {
	return strings.ToUpper(separators.ReplaceAllString(strings.Join(append([]string{Program}, words...), "_"), "_"))
}

// complete gives each flag without an environment variable one, and has errors
// about a value name its flag. The default command's variables have no command in
// their names.
func complete(app *kingpin.Application) {
	for _, model := range app.Model().Commands {
		completeCommand(app.GetCommand(model.Name))
	}
}

func completeCommand(cmd *kingpin.CmdClause) {
	model := cmd.Model()
	for _, f := range model.Flags {
		flag := cmd.GetFlag(f.Name)
		switch {
		case f.Envar != "":
		case model.Default:
			flag.Envar(variable(f.Name))
		default:
			flag.Envar(variable(model.FullCommand, f.Name))
		}
		flag.SetValue(&value{wrapped{f.Value}, flag})
	}
	for _, sub := range model.Commands {
		completeCommand(cmd.GetCommand(sub.Name))
	}
}

// wrapped is the value of a flag, of whatever type.
type wrapped struct{ kingpin.Value }

// IsBoolFlag says whether the flag needs no value.
func (w wrapped) IsBoolFlag() bool {
	b, ok := w.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// IsCumulative says whether the flag may be repeated.
func (w wrapped) IsCumulative() bool {
	c, ok := w.Value.(interface{ IsCumulative() bool })
	return ok && c.IsCumulative()
}

// value is a value whose errors are for people.
type value struct {
	wrapped
	flag *kingpin.FlagClause
}

// Set names the flag in its error, and says what to write.
func (v *value) Set(text string) error {
	err := v.Value.Set(text)
	if err == nil {
		return nil
	}
	flag := v.flag.Model()
	where := "--" + flag.Name
	if flag.Envar != "" && os.Getenv(flag.Envar) == text {
		where += " ($" + flag.Envar + ")"
	}
	// kingpin's text, which has no type.
	if _, allowed, ok := strings.Cut(err.Error(), "enum value must be one of "); ok {
		allowed, _, _ = strings.Cut(allowed, ", got ")
		return fmt.Errorf("%s %q is unknown: use one of %s", where, text, strings.ReplaceAll(allowed, ",", ", "))
	}
	if number, ok := errors.AsType[*strconv.NumError](err); ok {
		err = number.Err
	}
	if len(flag.Default) > 0 {
		return fmt.Errorf("%s %q: %w: use a value such as %s", where, text, err, flag.Default[0])
	}
	return fmt.Errorf("%s %q: %w", where, text, err)
}

// checked is a value that has to pass a check besides being parsed.
type checked struct {
	wrapped
	check func(text string) error
}

// Set sets the value and checks it.
func (c *checked) Set(text string) error {
	if err := c.Value.Set(text); err != nil {
		return err
	}
	return c.check(text)
}

// check has a flag, whose variable is declared, refuse values.
func check(flag *kingpin.FlagClause, check func(text string) error) {
	flag.SetValue(&checked{wrapped{flag.Model().Value}, check})
}

// CheckAddress has a flag refuse what is no address to listen on.
func CheckAddress(flag *kingpin.FlagClause) {
	check(flag, func(text string) error {
		if strings.HasPrefix(text, "vsock://") {
			return nil
		}
		_, _, err := net.SplitHostPort(text)
		return err
	})
}

// Parse returns the command that args name, with its flags set. It is empty where
// help or the version was asked for and has been written to stdout.
func Parse(app *kingpin.Application, args []string, stdout io.Writer) (command string, err error) {
	complete(app)
	app.UsageTemplate(helpTemplate)
	var text, failure bytes.Buffer
	app.UsageWriter(&text).ErrorWriter(&failure)
	ended, status := false, 0
	app.Terminate(func(code int) { ended, status = true, max(status, code) })
	command, err = app.Parse(args)
	switch {
	case status != 0: // help about a command that there is not
		_, problem, _ := strings.Cut(strings.TrimSpace(failure.String()), ": error: ")
		return "", usage.Errorf("%s: see %s --help", problem, Program)
	case ended:
		_, err = io.Copy(stdout, &text)
		return "", err
	case err != nil:
		return "", usage.Errorf("%w%s: see %s --help", err, advice(app, args), strings.Join(append([]string{Program}, commandWords(app, args)...), " "))
	}
	return command, nil
}

// commandWords returns the words at the beginning of args that name a command.
func commandWords(app *kingpin.Application, args []string) []string {
	for n, find := 0, app.GetCommand; ; n++ {
		if n == len(args) || find(args[n]) == nil {
			return args[:n:n]
		}
		find = find(args[n]).GetCommand
	}
}

// advice says what to write instead of what an earlier version had, or in another
// order. It is about a command line that cannot be parsed.
func advice(app *kingpin.Application, args []string) string {
	words := commandWords(app, args)
	switch {
	case slices.Contains(args, "--once"):
		return ` (instead of --once, use the command "scrape")`
	case len(args) > 0 && args[0] == "check-config":
		return ` (instead of "check-config FILE", use "check config FILE")`
	case slices.Equal(words, []string{"check"}):
		return ` (use "check config FILE" or "check teams")`
	case len(words) == 0 && slices.ContainsFunc(args, func(arg string) bool { return app.GetCommand(arg) != nil }):
		return " (a command goes before its flags)"
	case len(words) == 0 && len(args) > 0 && !strings.HasPrefix(args[0], "-"):
		return " (there is no such command)"
	}
	return ""
}
