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

{{- define "chattonic.selectorLabels" -}}
app.kubernetes.io/name: {{ include "chattonic.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "chattonic.labels" -}}
{{ include "chattonic.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "chattonic.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
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
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
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
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- with .Values.extraEnv }}
env: {{- toYaml . | nindent 2 }}
{{- end }}
{{- $mounts := include "chattonic.volumeMounts" . }}
{{- if $mounts }}
volumeMounts: {{- $mounts | nindent 2 }}
{{- end }}
{{- end }}

{{- define "chattonic.configArg" -}}
{{- if not .Values.demo }}
- --config.file=/etc/chattonic_exporter/exporter.yml
{{- end }}
{{- end }}

{{- define "chattonic.volumes" -}}
{{- if not .Values.demo }}
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
{{- if not .Values.demo }}
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
{{- $teams := or .Values.config.teams .Values.existingConfigSecret }}
{{- if and .Values.demo $teams }}
{{- fail "demo serves simulated teams only: set demo to false, or leave out config.teams and existingConfigSecret" }}
{{- end }}
{{- if not (or .Values.demo $teams) }}
{{- fail "no team is configured: add one to config.teams, or set existingConfigSecret to a Secret with the file, or set demo to true" }}
{{- end }}
{{- if and .Values.config.teams .Values.existingConfigSecret }}
{{- fail "config.teams and existingConfigSecret are both set: keep one" }}
{{- end }}
{{- if and .Values.autoscaling.enabled (not .Values.probe.enabled) }}
{{- fail "autoscaling.enabled needs probe.enabled: each replica that is scraped on /metrics calls the API for every team, so more replicas cause more load" }}
{{- end }}
{{- if and .Values.npsExport.enabled .Values.demo }}
{{- fail "npsExport.enabled needs real teams: set demo to false" }}
{{- end }}
{{- end }}
