// Package prometheus holds the shipped rule files, so that the program can tell
// whether a Prometheus server has loaded them.
package prometheus

import "embed"

// Rules are the files of recording rules and alerts, in the folder rules.
//
//go:embed rules/*.yml
var Rules embed.FS
