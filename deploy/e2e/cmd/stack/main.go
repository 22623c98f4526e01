// Stack runs the simulated Chat-Tonic, the exporter, Prometheus and Alertmanager
// on the loopback interface until it is interrupted. `make stack` runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"chattonic_exporter/deploy/e2e/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "stack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	const root = "../.." // go run -C deploy/e2e ./cmd/stack
	o := stack.Options{
		Root: root, Exporter: root + "/chattonic_exporter", Tools: root + "/bin",
		Teams: []string{"acme", "globex", "initech"}, Ports: stack.Shipped,
	}
	o.Dir, err = os.MkdirTemp("", "chattonic-stack-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	s, err := stack.Start(ctx, o)
	if err != nil {
		return err
	}
	fmt.Printf("Simulated Chat-Tonic  %s\nExporter              %s\nPrometheus            %s\nAlertmanager          %s\nLogs and data         %s\nIt runs until Ctrl-C, and then removes logs and data. The first alerts come after five minutes.\n",
		s.SimulatorURL(), s.ExporterURL(), s.PrometheusURL(), s.AlertmanagerURL(), o.Dir)
	<-ctx.Done()
	return s.Stop()
}
