{{- define "chattonic.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* At most 40 characters, because suffixes follow and a CronJob's name may have 52. */}}
{{- define "chattonic.fullname" -}}
{{- $name := include "chattonic.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "chattonic.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace }}
{{- end }}

{{- define "chattonic.selectorLabels" -}}
app.kubernetes.io/name: {{ include "chattonic.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "chattonic.labels" -}}
{{ include "chattonic.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The metadata of an object, from a dict of context, suffix, component, namespace, labels and annotations. */}}
{{- define "chattonic.metadata" -}}
name: {{ include "chattonic.fullname" .context }}{{ .suffix }}
namespace: {{ .namespace | default (include "chattonic.namespace" .context) }}
labels:
  {{- include "chattonic.labels" .context | nindent 2 }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "chattonic.image" -}}
{{- $registry := (.Values.global).imageRegistry | default .Values.image.registry }}
{{- with .Values.image }}
{{- with $registry }}{{ . }}/{{ end }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}
{{- end }}

{{- /* "true" if the web server may want TLS or a password, which the kubelet does not have. */}}
{{- define "chattonic.webConfig" -}}
{{- range .Values.extraArgs }}{{ if hasPrefix "--web.config.file" . }}true{{ end }}{{ end }}
{{- end }}

{{- /* The prefix of all paths, "" for none. */}}
{{- define "chattonic.routePrefix" -}}
{{- $prefix := .Values.web.routePrefix | default (urlParse .Values.web.externalUrl).path }}
{{- with trimAll "/" $prefix }}/{{ . }}{{ end }}
{{- end }}

{{- /* A probe of the kubelet, from a dict of context, probe (or none) and path. */}}
{{- define "chattonic.probe" -}}
{{- if .probe }}
{{- toYaml .probe }}
{{- else if include "chattonic.webConfig" .context }}
tcpSocket: {port: http}
{{- else }}
httpGet: {path: {{ include "chattonic.routePrefix" .context }}{{ .path }}, port: http}
timeoutSeconds: 5
{{- end }}
{{- end }}

{{- /* GOMEMLIMIT in MiB: 80 % of a memory limit in Mi or Gi. */}}
{{- define "chattonic.goMemoryLimit" -}}
{{- $limit := ((.Values.resources).limits).memory | default "" | toString }}
{{- $own := false }}
{{- range .Values.extraEnv }}{{ if eq .name "GOMEMLIMIT" }}{{ $own = true }}{{ end }}{{ end }}
{{- if and (not $own) (regexMatch "^[0-9]+(Mi|Gi)$" $limit) }}
{{- $size := regexFind "^[0-9]+" $limit | atoi }}
{{- if hasSuffix "Gi" $limit }}{{ $size = mul $size 1024 }}{{ end }}
{{- div (mul $size 80) 100 }}MiB
{{- end }}
{{- end }}

{{- /* Checks a dict of name and values. */}}
{{- define "chattonic.validateScrape" -}}
{{- $interval := include "chattonic.seconds" .values.interval | float64 }}
{{- if gt (include "chattonic.seconds" .values.scrapeTimeout | float64) $interval }}
{{- fail (printf "%s.scrapeTimeout %s is longer than the interval %s: Prometheus refuses that" .name .values.scrapeTimeout .values.interval) }}
{{- end }}
{{- end }}

{{- /* A duration such as 1m30s, in seconds. */}}
{{- define "chattonic.seconds" -}}
{{- $sum := 0.0 }}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 }}
{{- $unit := dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 }}
{{- $sum = addf $sum (mulf (regexFind "^[0-9]+" . | float64) (get $unit (regexFind "[a-z]+$" .))) }}
{{- end }}
{{- $sum }}
{{- end }}

{{- define "chattonic.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "chattonic.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "chattonic.configSecretName" -}}
{{- .Values.existingConfigSecret | default (printf "%s-config" (include "chattonic.fullname" .)) }}
{{- end }}

{{- /* The codenames of the teams with their own target, as JSON. */}}
{{- define "chattonic.probeTeams" -}}
{{- $teams := .Values.probe.teams }}
{{- if not $teams }}
{{- range .Values.config.teams }}{{ $teams = append $teams .codename }}{{ end }}
{{- with .Values.team.codename }}{{ $teams = append $teams . }}{{ end }}
{{- end }}
{{- if not $teams }}
{{- fail "probe.enabled needs codenames: list the teams in config.teams or, with existingConfigSecret or demo, in probe.teams" }}
{{- end }}
{{- toJson $teams }}
{{- end }}

{{- /* Common to the pods of the exporter and of the NPS export. */}}
{{- define "chattonic.podSpec" -}}
serviceAccountName: {{ include "chattonic.serviceAccountName" . }}
automountServiceAccountToken: false
{{- /* Otherwise Kubernetes sets variables such as CHATTONIC_EXPORTER_PORT for a
       Service of that name, and the exporter reads flags from such variables. */}}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- $volumes := include "chattonic.volumes" . }}
{{- if $volumes }}
volumes: {{- $volumes | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Common to their containers. */}}
{{- define "chattonic.container" -}}
image: {{ include "chattonic.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with .Values.securityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- $mounts := include "chattonic.volumeMounts" . }}
{{- if $mounts }}
volumeMounts: {{- $mounts | nindent 2 }}
{{- end }}
{{- end }}

{{- /* "true" if the teams are in a file. */}}
{{- define "chattonic.hasFile" -}}
{{- if or .Values.config.teams .Values.existingConfigSecret }}true{{ end }}
{{- end }}

{{- /* The arguments about teams, except --demo. The NPS export has no flags for windows, units and thresholds. */}}
{{- define "chattonic.teamArgs" -}}
{{- if include "chattonic.hasFile" .context }}
- --config.file=/etc/chattonic_exporter/exporter.yml
{{- else if not .context.Values.demo }}
{{- with .context.Values.team }}
- {{ printf "--chattonic.url=%s" .url | quote }}
- {{ printf "--chattonic.codename=%s" .codename | quote }}
- --chattonic.token-file=/run/secrets/chattonic/token
{{- with .timezone }}
- --chattonic.timezone={{ . }}
{{- end }}
{{- if $.scrapes }}
{{- with .windows }}
- --chattonic.windows={{ join "," . }}
{{- end }}
{{- with .durationUnit }}
- --chattonic.duration-unit={{ . }}
{{- end }}
{{- if not (kindIs "invalid" .queriesPendingThreshold) }}
- --chattonic.queries-pending-threshold={{ .queriesPendingThreshold }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "chattonic.volumes" -}}
{{- if include "chattonic.hasFile" . }}
- name: config
  secret: {secretName: {{ include "chattonic.configSecretName" . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.existingSecret }}
- name: tokens
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "chattonic.volumeMounts" -}}
{{- if include "chattonic.hasFile" . }}
- {name: config, mountPath: /etc/chattonic_exporter, readOnly: true}
{{- end }}
{{- if .Values.existingSecret }}
- {name: tokens, mountPath: /run/secrets/chattonic, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Checks that the schema cannot express with a helpful message. */}}
{{- define "chattonic.validate" -}}
{{- $sources := compact (list (ternary "config.teams" "" (not (empty .Values.config.teams))) (ternary "existingConfigSecret" "" (not (empty .Values.existingConfigSecret))) (ternary "team.codename" "" (not (empty .Values.team.codename)))) }}
{{- if and .Values.demo $sources }}
{{- fail (printf "demo serves simulated teams only: set demo to false, or leave out %s" (join " and " $sources)) }}
{{- end }}
{{- if not (or .Values.demo $sources) }}
{{- fail "no team is configured: set team.url and team.codename for one, or add some to config.teams, or set existingConfigSecret to a Secret with the file, or set demo to true" }}
{{- end }}
{{- if gt (len $sources) 1 }}
{{- fail (printf "%s are both set: keep one" (join " and " $sources)) }}
{{- end }}
{{- if and .Values.team.codename (not (and .Values.team.url .Values.existingSecret)) }}
{{- fail "team.codename needs team.url, and existingSecret with the access token in its key token" }}
{{- end }}
{{- if and .Values.probe.enabled .Values.scrapeConfig.enabled }}
{{- fail "probe and scrapeConfig both make each team a target: enable one" }}
{{- end }}
{{- range $name := list "serviceMonitor" "probe" "scrapeConfig" }}
{{- include "chattonic.validateScrape" (dict "name" $name "values" (get $.Values $name)) }}
{{- end }}
{{- if and .Values.autoscaling.enabled (not (or .Values.probe.enabled .Values.scrapeConfig.enabled)) }}
{{- fail "autoscaling.enabled needs probe.enabled or scrapeConfig.enabled: each replica that is scraped on /metrics calls the API for every team, so more replicas cause more load" }}
{{- end }}
{{- if and .Values.npsExport.enabled .Values.demo }}
{{- fail "npsExport.enabled needs real teams: set demo to false" }}
{{- end }}
{{- end }}
