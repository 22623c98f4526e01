// Package cli parses the command line. It holds the flags that several commands
// share, the names of environment variables, usage errors and help.
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
	"unicode"

	"github.com/alecthomas/kingpin/v2"

	"chattonic_exporter/internal/usage"
)

// Program is the name of the program.
const Program = "chattonic_exporter"

// Shared declares a flag that has the same meaning, and the same environment
// variable, in several commands.
func Shared(cmd *kingpin.CmdClause, name, help string) *kingpin.FlagClause {
	return cmd.Flag(name, help).Envar(variable(name))
}

var separators = regexp.MustCompile(`\W+`)

// variable returns the name of a flag's environment variable. The words are the
// name of the flag, after the name of its command if only that command has it.
func variable(words ...string) string {
	return strings.ToUpper(separators.ReplaceAllString(strings.Join(append([]string{Program}, words...), "_"), "_"))
}

// complete sets the missing environment variables, and makes errors about a value
// name the flag. Variables of the default command do not contain its name.
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

// wrapped is the value of a flag of any type.
type wrapped struct{ kingpin.Value }

// IsBoolFlag reports whether the flag needs no value.
func (w wrapped) IsBoolFlag() bool {
	b, ok := w.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// IsCumulative reports whether the flag can be repeated.
func (w wrapped) IsCumulative() bool {
	c, ok := w.Value.(interface{ IsCumulative() bool })
	return ok && c.IsCumulative()
}

// value is a value whose errors name the flag and a valid value.
type value struct {
	wrapped
	flag *kingpin.FlagClause
}

// Set parses the value.
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
	// This error of kingpin has no type.
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

// checked is a value that is checked after it is parsed.
type checked struct {
	wrapped
	check func(text string) error
}

// Set parses and checks the value.
func (c *checked) Set(text string) error {
	if err := c.Value.Set(text); err != nil {
		return err
	}
	return c.check(text)
}

// check adds a check to a flag whose variable is declared.
func check(flag *kingpin.FlagClause, check func(text string) error) {
	flag.SetValue(&checked{wrapped{flag.Model().Value}, check})
}

// Addresses returns the addresses in a text, between which are commas or white space.
func Addresses(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

// addresses is a flag's list of addresses to listen on. A variable cannot be repeated as a flag
// can, so one value can hold several addresses.
type addresses struct{ wrapped }

// Set parses, checks and adds the addresses.
func (a *addresses) Set(text string) error {
	list := Addresses(text)
	if len(list) == 0 || len(list) > 1 && !a.IsCumulative() {
		list = []string{text}
	}
	for _, address := range list {
		if err := checkAddress(address); err != nil {
			return err
		}
		if err := a.Value.Set(address); err != nil {
			return err
		}
	}
	return nil
}

func checkAddress(address string) error {
	if strings.HasPrefix(address, "vsock://") {
		return nil
	}
	_, _, err := net.SplitHostPort(address)
	return err
}

// CheckAddress makes a flag accept only addresses to listen on.
func CheckAddress(flag *kingpin.FlagClause) {
	flag.SetValue(&addresses{wrapped{flag.Model().Value}})
}

// Parse parses args, sets the flags and returns the name of the command. The name
// is empty after --help and --version, whose output goes to stdout.
func Parse(app *kingpin.Application, args []string, stdout io.Writer) (command string, err error) {
	complete(app)
	app.UsageTemplate(helpTemplate)
	var text, failure bytes.Buffer
	app.UsageWriter(&text).ErrorWriter(&failure)
	ended, status := false, 0
	app.Terminate(func(code int) { ended, status = true, max(status, code) })
	command, err = app.Parse(args)
	switch {
	case status != 0: // help for an unknown command
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

// commandWords returns the words of the command at the beginning of args.
func commandWords(app *kingpin.Application, args []string) []string {
	for n, find := 0, app.GetCommand; ; n++ {
		if n == len(args) || find(args[n]) == nil {
			return args[:n:n]
		}
		find = find(args[n]).GetCommand
	}
}

// advice returns a hint for a command line that cannot be parsed: what replaces
// the syntax of an earlier version, or which order is correct.
func advice(app *kingpin.Application, args []string) string {
	words := commandWords(app, args)
	switch {
	case slices.Contains(args, "--once"):
		return ` (use the command "scrape" instead of --once)`
	case len(args) > 0 && args[0] == "check-config":
		return ` (use "check config FILE" instead of "check-config FILE")`
	case slices.Equal(words, []string{"check"}):
		return ` (use "check config FILE" or "check teams")`
	case len(words) == 0 && slices.ContainsFunc(args, func(arg string) bool { return app.GetCommand(arg) != nil }):
		return " (write the command before its flags)"
	case len(words) == 0 && len(args) > 0 && !strings.HasPrefix(args[0], "-"):
		return " (unknown command)"
	}
	return ""
}
