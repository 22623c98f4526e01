package cli

// helpTemplate is kingpin's, but with what a flag says below it, so that names of
// variables fit into 80 columns, and with the way to the flags of the commands.
const helpTemplate = `{{define "Args"}}{{range .Args}} <{{.Name}}>{{end}}{{end -}}

{{define "Flags"}}{{range .}}{{if not .Hidden}}  {{FormatFlag false .}}
{{.Help|Wrap 6}}{{with .Envar}}      ${{.}}
{{end}}{{end}}{{end}}{{end -}}

{{define "Commands"}}{{range .FlattenedCommands}}{{if not .Hidden}}  {{.FullCommand}}{{template "Args" .}}{{if .Default}} (default){{end}}
{{.Help|Wrap 6}}{{end}}{{end}}{{end -}}

{{with .Context.SelectedCommand -}}
usage: {{$.App.Name}} {{.}}{{if .Commands}} <command>{{end}}{{if .Flags}} [<flags>]{{end}}{{template "Args" .}}

{{.Help|Wrap 0}}{{if .Commands}}
Commands:
{{template "Commands" .}}{{end}}{{if .Flags}}
Flags, each with its environment variable:
{{template "Flags" .Flags}}{{end}}{{else -}}
usage: {{.App.Name}} [<command>] [<flags>]

{{.App.Help|Wrap 0}}
Commands:
{{template "Commands" .App}}
Flags:
{{range .App.Flags}}{{if not .Hidden}}  {{with .Short}}-{{Char .}}, {{end}}--{{.Name}}
{{.Help|Wrap 6}}{{end}}{{end}}
Each command has flags of its own; "{{.App.Name}} <command> --help" shows
them, with the environment variable of each. Without a command they are
those of serve.
{{end}}{{range .Context.Args}}
Argument <{{.Name}}>: {{.Help}}
{{end}}`
