package simulator

import (
	"cmp"
	"context"
	_ "embed" // for the page
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"chattonic_exporter/chattonic"
)

//go:embed control.html
var controlPage string

var controlTemplate = template.Must(template.New("control").Parse(controlPage))

// Control returns a handler that shows, at GET /, what is simulated, and that
// switches it:
//
//	POST /scenario?team=CODENAME&name=SCENARIO
//	POST /fault?team=CODENAME&endpoint=ENDPOINT&name=FAULT
//
// Without a team or endpoint all are meant. The parameters may also come as a
// form. The answer is a text that says what is active, or 400 and what can be
// chosen from; a browser is sent back to the page. It asks for no credentials.
func (s *Server) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.showControl)
	mux.HandleFunc("POST /scenario", control(func(team, _, name string) (string, error) {
		return "scenario " + name, s.SetScenario(team, Scenario(name))
	}))
	mux.HandleFunc("POST /fault", control(func(team, endpoint, name string) (string, error) {
		fault, err := NamedFault(name)
		if err == nil {
			err = s.SetFault(team, chattonic.Endpoint(endpoint), fault)
		}
		return "fault " + name + " for " + oneOrAll("endpoint", endpoint), err
	}))
	return mux
}

// control answers a request to switch something.
func control(change func(team, endpoint, name string) (active string, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		team := r.FormValue("team")
		active, err := change(team, r.FormValue("endpoint"), r.FormValue("name"))
		switch {
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
		case strings.Contains(r.Header.Get("Accept"), "text/html"):
			w.Header().Set("Location", "./") // also where the handler is under a prefix
			w.WriteHeader(http.StatusSeeOther)
		default:
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			fmt.Fprintf(w, "%s: %s is active\n", oneOrAll("team", team), active) //nolint:gosec // plain text, of names that were found in a table
		}
	}
}

func oneOrAll(kind, name string) string {
	if name == "" {
		return "all " + kind + "s"
	}
	return kind + " " + name
}

// controlRows returns the teams as the control page shows them.
func (s *Server) controlRows(ctx context.Context) (rows []map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now().UnixMilli()
	for _, t := range s.teams {
		pending, onlineNow := int64(0), 0
		for _, record := range t.history.records(ctx, now, now, now) {
			pending += record.waiting
			if record.state == online {
				onlineNow++
			}
		}
		var faults []string
		for _, e := range endpoints {
			if label := t.faults[e.name].label(); label != "none" {
				faults = append(faults, fmt.Sprintf("%s (%s)", e.name, label))
			}
		}
		rows = append(rows, map[string]any{
			"Team": t.Team, "Pending": pending, "Online": onlineNow, "Faults": cmp.Or(strings.Join(faults, ", "), "none"),
			"Scenario": t.history.periods[len(t.history.periods)-1].scenario,
		})
	}
	return rows
}

func (s *Server) showControl(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	_ = controlTemplate.Execute(w, map[string]any{ // fails only when the client has disconnected
		"Now": s.now().UTC().Format("2006-01-02 15:04:05 UTC"), "Teams": s.controlRows(r.Context()), "Scenarios": scenarios, "Faults": namedFaults,
	})
}
