package cli

// helpTemplate is a template for kingpin. It prints the help of a flag below the
// flag, so that the names of variables fit into 80 columns.
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
Each command has its own flags. "{{.App.Name}} <command> --help" lists
them with their environment variables. Without a command, serve runs.
{{end}}{{range .Context.Args}}
Argument <{{.Name}}>: {{.Help}}
{{end}}`
