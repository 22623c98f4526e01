{{- define "chattonic.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Leaves room for what is appended: names of CronJobs have at most 52 characters. */}}
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

{{- /* The codenames that have a target of their own, as JSON. */}}
{{- define "chattonic.probeTeams" -}}
{{- $teams := .Values.probe.teams }}
{{- if not $teams }}
{{- range .Values.config.teams }}{{ $teams = append $teams .codename }}{{ end }}
{{- end }}
{{- if not $teams }}
{{- fail "probe.enabled needs codenames: name them in config.teams or, with existingConfigSecret or demo, in probe.teams" }}
{{- end }}
{{- toJson $teams }}
{{- end }}

{{- /* What the pods of the exporter and of the NPS export have in common. */}}
{{- define "chattonic.podSpec" -}}
serviceAccountName: {{ include "chattonic.serviceAccountName" . }}
automountServiceAccountToken: false
{{- /* Kubernetes would set variables such as CHATTONIC_EXPORTER_PORT for a
       Service of that name, and the exporter's flags are variables of that kind. */}}
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

{{- /* What their containers have in common. */}}
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

{{- /* What the schema cannot say in words that help. */}}
{{- define "chattonic.validate" -}}
{{- $teams := or .Values.config.teams .Values.existingConfigSecret }}
{{- if and .Values.demo $teams }}
{{- fail "demo serves simulated teams only: set demo to false, or leave out config.teams and existingConfigSecret" }}
{{- end }}
{{- if not (or .Values.demo $teams) }}
{{- fail "there is no team to ask: name one in config.teams, or a Secret with the file in existingConfigSecret, or set demo to true" }}
{{- end }}
{{- if and .Values.config.teams .Values.existingConfigSecret }}
{{- fail "config.teams and existingConfigSecret are both set: keep one" }}
{{- end }}
{{- if and .Values.autoscaling.enabled (not .Values.probe.enabled) }}
{{- fail "autoscaling.enabled needs probe.enabled: replicas that are scraped on /metrics each ask for every team, so that more of them are more load" }}
{{- end }}
{{- if and .Values.npsExport.enabled .Values.demo }}
{{- fail "npsExport.enabled needs real teams: set demo to false" }}
{{- end }}
{{- end }}
