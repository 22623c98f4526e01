// Package checkalerts is the command that tells whether an alert about a queue
// would reach a person now. It asks Prometheus and Alertmanager over their APIs, and
// compares what they have loaded with the shipped rules.
package checkalerts

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"chattonic_exporter/internal/usage"
)

// The values of Options.Output.
const (
	outputText = "text"
	outputJSON = "json"
)

// endTimeout is how long ending a drill may take, also after an interrupt.
const endTimeout = 10 * time.Second

// Options say what is checked and how the result is reported.
type Options struct {
	// PrometheusURL and AlertmanagerURL are base URLs. Without the second,
	// Alertmanagers are asked at the addresses that Prometheus has.
	PrometheusURL   string
	AlertmanagerURL string
	// HTTPConfigFile has the settings of the HTTP client, such as passwords, for the
	// two URLs.
	HTTPConfigFile string
	// Drill says whether to send a test alert.
	Drill bool
	// Team is the only team to check; empty means all.
	Team string
	// Output is the format of the report: text or json.
	Output string
	// Timeout is the maximum duration of the checks. A drill has the same again,
	// after the time that Alertmanager collects alerts of a group.
	Timeout time.Duration

	// UserAgent is the User-Agent header of requests.
	UserAgent string
	// Out is where the report goes, and Progress where a drill says that it waits.
	Out      io.Writer
	Progress io.Writer
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Poll is the interval at which a drill asks Alertmanager; 0 means half a second.
	Poll time.Duration
}

// Flags declares the flags of the command.
func (o *Options) Flags(cmd *kingpin.CmdClause) {
	cmd.Flag("prometheus.url", "Base URL of Prometheus.").Required().PlaceHolder("URL").StringVar(&o.PrometheusURL)
	cmd.Flag("alertmanager.url", "Base URL of Alertmanager. By default the addresses at which Prometheus has it, without credentials.").PlaceHolder("URL").StringVar(&o.AlertmanagerURL)
	cmd.Flag("http.config.file", "YAML file with the HTTP client settings for the given URLs, such as basic_auth and tls_config, as in Prometheus's configuration.").PlaceHolder("FILE").StringVar(&o.HTTPConfigFile)
	cmd.Flag("drill", "Send a test alert to Alertmanager, which notifies the people on call, and wait for its notification.").BoolVar(&o.Drill)
	cmd.Flag("team", "Codename of the only team to check. By default all teams; a drill is then about the first.").PlaceHolder("CODENAME").StringVar(&o.Team)
	cmd.Flag("output", "Format of the report: text or json.").Default(outputText).EnumVar(&o.Output, outputText, outputJSON)
	cmd.Flag("timeout", "Maximum duration of the checks. A drill can take as long again, after the group_wait of its route.").Default("30s").DurationVar(&o.Timeout)
}

// Run checks and reports. It fails if a finding does, and reports nothing if ctx ends
// before it is done.
func Run(ctx context.Context, o Options) error {
	c, err := newChecker(o)
	if err != nil {
		return err
	}
	checking, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	c.checkPrometheus(checking)
	c.checkAlertmanager(checking)
	if o.Drill && ctx.Err() == nil {
		c.drill(ctx)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("checking the alerts: %w before all was checked", context.Cause(ctx))
	}
	if err := c.write(); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if !c.report.OK {
		return fmt.Errorf("an alert about a queue might not reach a person: %s failed; the report says what to do", number(c.report.count(Failed), "check"))
	}
	return nil
}

// checker is one run of the command.
type checker struct {
	Options
	report *Report
	rules  []*rule

	prometheus *server
	// given is Alertmanager at the URL of the command line, or nil.
	given *server
	// anonymous sends no credentials.
	anonymous *http.Client

	// What is found on the way:

	// now is the time of Prometheus.
	now time.Time
	// interval is the longest scrape interval of the exporter's targets.
	interval time.Duration
	// external are the labels that Prometheus adds to all alerts.
	external map[string]string
	// known are the URLs of Alertmanagers that Prometheus has.
	known []string
	// firing are the alerts that have fired for a minute in Prometheus; nil if it did
	// not tell.
	firing []sample

	alertmanager *server // the first that is ready, or nil
	config       *alertmanagerConfig
}

func newChecker(o Options) (*checker, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Poll == 0 {
		o.Poll = 500 * time.Millisecond
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Timeout <= 0 {
		return nil, usage.Errorf("--timeout must be more than 0")
	}
	prometheusURL, err := parseURL(o.PrometheusURL)
	if err != nil {
		return nil, usage.Errorf("--prometheus.url: %w", err)
	}
	var alertmanagerURL *url.URL
	if o.AlertmanagerURL != "" {
		if alertmanagerURL, err = parseURL(o.AlertmanagerURL); err != nil {
			return nil, usage.Errorf("--alertmanager.url: %w", err)
		}
	}
	client, err := newClient(o.HTTPConfigFile, o.UserAgent)
	if err != nil {
		return nil, err
	}
	anonymous, err := newClient("", o.UserAgent)
	if err != nil {
		return nil, err
	}
	rules, err := shippedRules()
	if err != nil {
		return nil, err
	}
	c := &checker{
		Options: o, rules: rules, anonymous: anonymous, interval: time.Minute, now: o.Now(),
		prometheus: &server{"Prometheus", prometheusURL, client},
		report:     &Report{OK: true, Prometheus: prometheusURL.String(), Alertmanagers: []string{}, Teams: []string{}},
	}
	if alertmanagerURL != nil {
		c.given = &server{"Alertmanager", alertmanagerURL, client}
	}
	if o.Team != "" {
		c.report.Teams = append(c.report.Teams, o.Team)
	}
	return c, nil
}

// unchecked reports that something could not be checked.
func (c *checker) unchecked(check string, err error) {
	c.report.add(check, Failed, "cannot be checked: "+err.Error(), "Correct this, then check again.")
}

func (c *checker) write() error {
	if c.Output == outputJSON {
		encoder := json.NewEncoder(c.Out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(c.report)
	}
	_, err := io.WriteString(c.Out, c.report.text())
	return err
}

// isExporterJob reports whether a job is the exporter's, as the shipped alerts select
// it: by .*chattonic.*
func isExporterJob(job string) bool { return strings.Contains(job, "chattonic") }
