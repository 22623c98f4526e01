// Package stack runs the simulated Chat-Tonic, the exporter, Prometheus and
// Alertmanager on the loopback interface, with the shipped files.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// token is for the simulated API, so it is not a secret.
const token = "simulated"

// Options configure the stack.
type Options struct {
	// Root is the path of the repository.
	Root string
	// Dir is for data, logs and generated configuration. It must exist.
	Dir string
	// Exporter is the path of the exporter.
	Exporter string
	// Tools is the folder that contains prometheus and alertmanager.
	Tools string
	// Teams are the codenames of the simulated API. The first Configured of them,
	// or all if that is 0, are in the exporter's configuration.
	Teams      []string
	Configured int
	// Scenario is the initial scenario of the teams. Empty means an ordinary day,
	// on which a queue may be long at some hours.
	Scenario string
	// Closed are the teams that are outside their business hours, and stay so for
	// the next days.
	Closed []string
	// MultiTeam makes each team a separate target.
	MultiTeam bool
	// Adapt changes a shipped file before it is used. nil means no change.
	Adapt func(text string) string
	// Ports are the ports of the four programs.
	Ports Ports
}

// Ports are the ports of the stack.
type Ports struct{ Simulator, Exporter, Prometheus, Alertmanager int }

// Shipped are the ports that the shipped files contain.
var Shipped = Ports{Simulator: 10043, Exporter: 10042, Prometheus: 9090, Alertmanager: 9093}

// Stack holds the running programs.
type Stack struct {
	Options
	launcher *launcher
	programs []*Process // in the order of their start
	exporter *Process
}

// Start starts all programs. If it fails, none is left running.
func Start(ctx context.Context, o Options) (*Stack, error) {
	s := &Stack{Options: o, launcher: newLauncher()}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context) error {
	args := []string{"simulate", "--listen-address", address(s.Ports.Simulator), "--token", token}
	for _, team := range s.Teams {
		args = append(args, "--team", team)
	}
	if s.Scenario != "" {
		args = append(args, "--scenario", s.Scenario)
	}
	if _, err := s.run(ctx, "simulator", s.SimulatorURL()+"/", s.Exporter, args...); err != nil {
		return err
	}
	configured := s.Configured
	if configured == 0 {
		configured = len(s.Teams)
	}
	if err := s.Configure(s.Teams[:configured]); err != nil {
		return err
	}
	if err := s.StartExporter(ctx); err != nil {
		return err
	}
	alertmanager, err := s.file("alertmanager", "alertmanager.yml")
	if err != nil {
		return err
	}
	if _, err := s.run(ctx, "alertmanager", s.AlertmanagerURL()+"/-/ready", filepath.Join(s.Tools, "alertmanager"),
		"--config.file", alertmanager, "--storage.path", filepath.Join(s.Dir, "alertmanager-data"),
		"--web.listen-address", address(s.Ports.Alertmanager), "--cluster.listen-address", ""); err != nil {
		return err
	}
	name := "prometheus.yml"
	if s.MultiTeam {
		name = "prometheus-multi-team.yml"
	}
	prometheus, err := s.file("prometheus", name)
	if err != nil {
		return err
	}
	_, err = s.run(ctx, "prometheus", s.PrometheusURL()+"/-/ready", filepath.Join(s.Tools, "prometheus"),
		"--config.file", prometheus, "--storage.tsdb.path", filepath.Join(s.Dir, "prometheus-data"),
		"--web.listen-address", address(s.Ports.Prometheus))
	return err
}

// StartExporter starts the exporter, initially or after KillExporter.
func (s *Stack) StartExporter(ctx context.Context) (err error) {
	args := []string{"--config.file", s.exporterConfig(), "--web.listen-address", address(s.Ports.Exporter)}
	if s.MultiTeam {
		args = append(args, "--no-web.teams-on-metrics")
	}
	s.exporter, err = s.run(ctx, "exporter", s.ExporterURL()+"/-/ready", s.Exporter, args...)
	return err
}

// KillExporter kills the exporter, like a crash.
func (s *Stack) KillExporter() { s.exporter.Kill() }

func (s *Stack) run(ctx context.Context, name, ready, program string, args ...string) (*Process, error) {
	p, err := s.launcher.start(ctx, s.Dir, name, ready, program, args...)
	if err == nil {
		s.programs = append(s.programs, p)
	}
	return p, err
}

// Configure writes the exporter's configuration, with a threshold of five
// pending queries for each team.
func (s *Stack) Configure(teams []string) error {
	var file strings.Builder
	fmt.Fprintf(&file, `defaults:
  base_url: %s
  windows: [24h, 1h, today]
  http_client: {authorization: {credentials: %s}}
  thresholds: {queries_pending: 5}
teams:
`, s.SimulatorURL(), token)
	for _, team := range teams {
		fmt.Fprintf(&file, "  - codename: %s\n", team)
		if slices.Contains(s.Closed, team) {
			day := strings.ToLower(time.Now().UTC().AddDate(0, 0, 4).Weekday().String())
			fmt.Fprintf(&file, "    business_hours: {hours: [{days: [%s], from: \"00:00\", to: \"24:00\"}]}\n", day)
		}
	}
	if err := os.WriteFile(s.exporterConfig(), []byte(file.String()), 0o600); err != nil {
		return fmt.Errorf("configuring the exporter: %w", err)
	}
	return nil
}

func (s *Stack) exporterConfig() string { return filepath.Join(s.Dir, "exporter.yml") }

// file returns the path of a file in a folder of deploy/: the shipped file, or its
// adapted copy in a copy of the folder.
func (s *Stack) file(folder, name string) (string, error) {
	shipped := filepath.Join(s.Root, "deploy", folder)
	if s.Adapt == nil {
		return filepath.Join(shipped, name), nil
	}
	copied := filepath.Join(s.Dir, folder)
	files := os.DirFS(shipped)
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		target := filepath.Join(copied, path)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		return os.WriteFile(target, []byte(s.Adapt(string(text))), 0o600)
	})
	if err != nil {
		return "", fmt.Errorf("adapting deploy/%s: %w", folder, err)
	}
	return filepath.Join(copied, name), nil
}

// Stop stops all programs, in reverse order of their start.
func (s *Stack) Stop() error {
	var failures []error
	for i := len(s.programs) - 1; i >= 0; i-- {
		failures = append(failures, s.programs[i].Stop())
	}
	s.launcher.close()
	return errors.Join(failures...)
}

// SimulatorURL returns the URL of the simulated API and its page.
func (s *Stack) SimulatorURL() string { return "http://" + address(s.Ports.Simulator) }

// ExporterURL returns the URL of the exporter.
func (s *Stack) ExporterURL() string { return "http://" + address(s.Ports.Exporter) }

// PrometheusURL returns the URL of Prometheus.
func (s *Stack) PrometheusURL() string { return "http://" + address(s.Ports.Prometheus) }

// AlertmanagerURL returns the URL of Alertmanager.
func (s *Stack) AlertmanagerURL() string { return "http://" + address(s.Ports.Alertmanager) }

func address(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
