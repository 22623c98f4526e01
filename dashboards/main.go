// Dashboards makes the Grafana dashboards: JSON files beside its code, in each language.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	for name, text := range files() {
		if err := os.WriteFile(name, text, 0o644); err != nil { //nolint:gosec // files of a repository
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// files returns the content of all files by their names.
func files() map[string][]byte {
	all := make(map[string][]byte)
	for i, l := range languages() {
		boards := []*board{wallboard(l), team(l), operators(l)}
		if i == 0 {
			boards = append(boards, exporter(l))
		}
		for _, b := range boards {
			text, err := json.MarshalIndent(b.Dashboard, "", "  ")
			if err != nil {
				panic(err) // impossible: it consists of texts and numbers
			}
			all[*b.Uid+".json"] = append(text, '\n')
		}
	}
	return all
}
