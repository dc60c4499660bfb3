{{/* Name of everything in this release. */}}
{{- define "hermes-operator.name" -}}
{{- if contains "hermes-operator" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-hermes-operator" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "hermes-operator.selector" -}}
app.kubernetes.io/name: hermes-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hermes-operator.labels" -}}
{{ include "hermes-operator.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: hermes
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "hermes-operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "hermes-operator.name" .) }}{{ else }}{{ required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "hermes-operator.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ .Values.image.tag }}{{ end }}
{{- end }}

{{/* "true" or empty: is an object of the Prometheus operator wanted? Arguments: enabled, kind, context. */}}
{{- define "hermes-operator.wants" -}}
{{- if eq (toString .enabled) "auto" }}{{ if .context.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind) }}true{{ end }}{{ else if eq (toString .enabled) "true" }}true{{ end }}
{{- end }}

{{/* Rights on the objects of a mesh, needed in every served namespace. */}}
{{- define "hermes-operator.rules" -}}
- apiGroups: [hermesmesh.io]
  resources: [hermesmeshes]
  verbs: [get, list, watch, patch]
- apiGroups: [hermesmesh.io]
  resources: [hermesmeshes/status, hermesmeshes/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, create, patch, delete]
# By name only: the operator can neither list nor watch Secrets.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, create, patch, delete]
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors]
  verbs: [get, list, create, patch, delete]
{{- end }}
