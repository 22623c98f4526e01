// Package npsexport is the command that requests an NPS report, which
// Chat-Tonic sends by e-mail.
package npsexport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"chattonic_exporter/chattonic"
	"chattonic_exporter/internal/calendar"
	"chattonic_exporter/internal/cli"
	"chattonic_exporter/internal/config"
	"chattonic_exporter/internal/teams"
	"chattonic_exporter/internal/usage"
)

// Options select the report.
type Options struct {
	cli.Client

	// Team is the codename of the team. It can be empty if only one team is
	// configured.
	Team string
	// UserType selects the answers in the report.
	UserType chattonic.UserType
	// Start and End are the bounds of the report: a time as in RFC 3339, or a
	// date, which means its start in the time zone of the team.
	Start, End string
	// Window is the name of a window that ends now. It replaces Start and End.
	Window string
	// Yes skips the question.
	Yes bool
	// UserAgent is the User-Agent header of the request.
	UserAgent string

	// In is the terminal that answers the question, or nil without a terminal.
	In io.Reader
	// Out receives messages and the question.
	Out io.Writer
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Flags declares the flags of the command.
func (o *Options) Flags(cmd *kingpin.CmdClause) {
	o.CallFlags(cmd)
	userTypes := userTypes()
	cmd.Flag("team", "Codename of the team. Default: the configured team, if there is only one.").PlaceHolder("CODENAME").StringVar(&o.Team)
	cmd.Flag("user-type", "Users whose answers are in the report: "+strings.Join(userTypes, ", ")+". Required.").PlaceHolder("TYPE").EnumVar((*string)(&o.UserType), userTypes...)
	cmd.Flag("start", "Start of the report: a date in the time zone of the team, or a time as in RFC 3339.").PlaceHolder("TIME").StringVar(&o.Start)
	cmd.Flag("end", "End of the report (exclusive), in the same format.").PlaceHolder("TIME").StringVar(&o.End)
	cmd.Flag("window", "Window that ends now, instead of --start and --end: 24h, 7d, today, yesterday, this_week, this_month.").PlaceHolder("WINDOW").StringVar(&o.Window)
	cmd.Flag("yes", "Do not ask for confirmation. Default: off.").BoolVar(&o.Yes)
}

func userTypes() (names []string) {
	for _, userType := range chattonic.UserTypes() {
		names = append(names, string(userType))
	}
	return names
}

// Run prints what will be sent, asks for confirmation, and requests the
// report. It returns an error unless Chat-Tonic accepted the request.
func Run(ctx context.Context, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	c, err := o.Load()
	if err != nil {
		return err
	}
	if !slices.Contains(chattonic.UserTypes(), o.UserType) {
		return usage.Errorf("--user-type is required: use one of %s", strings.Join(userTypes(), ", "))
	}
	team, err := o.team(c.Teams)
	if err != nil {
		return err
	}
	window, err := o.window(team)
	if err != nil {
		return err
	}
	printf := func(format string, a ...any) { _, _ = fmt.Fprintf(o.Out, format, a...) }
	printf("Chat-Tonic will send the NPS report of team %q, user type %s, from %s to %s, by e-mail to the owner of the access token.\n",
		team.Codename, o.UserType, window.Start.In(team.Location).Format(time.RFC3339), window.End.In(team.Location).Format(time.RFC3339))
	if !o.Yes {
		if o.In == nil {
			return usage.Errorf("the question cannot be asked, because the input is no terminal: use --yes")
		}
		printf("Send it? [y/N] ")
		answer, err := bufio.NewReader(o.In).ReadString('\n')
		answer = strings.ToLower(strings.TrimSpace(answer))
		if err != nil || ctx.Err() != nil || answer != "y" && answer != "yes" {
			return errors.New("nothing was sent")
		}
	}
	if err := o.send(ctx, team, window); err != nil {
		return err
	}
	printf("Chat-Tonic accepted the request and will send the e-mail. Whether it arrives is not known here.\n")
	return nil
}

func (o *Options) team(configured []config.Team) (config.Team, error) {
	var codenames []string
	for _, t := range configured {
		if t.Codename == o.Team || o.Team == "" && len(configured) == 1 {
			return t, nil
		}
		codenames = append(codenames, t.Codename)
	}
	if o.Team == "" {
		return config.Team{}, usage.Errorf("--team is required: use one of %s", strings.Join(codenames, ", "))
	}
	return config.Team{}, usage.Errorf("--team %q is not configured: use one of %s", o.Team, strings.Join(codenames, ", "))
}

func (o *Options) window(t config.Team) (chattonic.Window, error) {
	var none chattonic.Window
	if o.Window != "" {
		if o.Start != "" || o.End != "" {
			return none, usage.Errorf("--window cannot be combined with --start and --end")
		}
		spec, err := calendar.ParseWindow(o.Window)
		if err != nil {
			return none, usage.Errorf("--window %q: %w", o.Window, err)
		}
		return spec.At(o.Now().In(t.Location)), nil
	}
	if o.Start == "" || o.End == "" {
		return none, usage.Errorf("--start and --end, or --window, are required")
	}
	start, err := config.ParseTime(o.Start, t.Location)
	if err != nil {
		return none, usage.Errorf("--start %w", err)
	}
	end, err := config.ParseTime(o.End, t.Location)
	if err != nil {
		return none, usage.Errorf("--end %w", err)
	}
	if !start.Before(end) {
		return none, usage.Errorf("--start %s is not before --end %s", o.Start, o.End)
	}
	return chattonic.Window{Start: start, End: end}, nil
}

func (o *Options) send(ctx context.Context, t config.Team, window chattonic.Window) error {
	client, httpClient, err := teams.NewClient(t, o.UserAgent, chattonic.WithMaxBody(o.MaxBody))
	if err != nil {
		return fmt.Errorf("nothing was sent: team %q: %w", t.Codename, err)
	}
	defer httpClient.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, o.RequestTimeout)
	defer cancel()
	var connected atomic.Bool // the request can have been sent from then on
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	switch err := client.ExportNPS(ctx, window, o.UserType); {
	case err == nil:
		return nil
	case !connected.Load():
		return fmt.Errorf("nothing was sent: %w", err)
	default:
		return fmt.Errorf("it is not known whether the e-mail was sent: look in the mailbox before you try again: %w", err)
	}
}
