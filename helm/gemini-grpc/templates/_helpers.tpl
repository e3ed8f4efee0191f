{{/* The name of the chart, for the label app.kubernetes.io/name. */}}
{{- define "gemini-grpc.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* The name of all objects. The longest that is added is "-headless", and a name has 63 characters at most. */}}
{{- define "gemini-grpc.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "gemini-grpc.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "gemini-grpc.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "gemini-grpc.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "gemini-grpc.serviceAccountName" -}}
{{- default (ternary (include "gemini-grpc.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "gemini-grpc.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* What pods are selected by. It never changes: a Deployment's selector cannot. */}}
{{- define "gemini-grpc.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gemini-grpc.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The head of an object: (list $ suffix), or (list $ suffix labels annotations) with maps. */}}
{{- define "gemini-grpc.metadata" -}}
{{- $ := index . 0 }}
{{- $labels := dict }}
{{- $annotations := dict }}
{{- if gt (len .) 2 }}
{{- $labels = index . 2 }}
{{- $annotations = index . 3 }}
{{- end }}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" $.Chart.AppVersion
  "app.kubernetes.io/managed-by" $.Release.Service -}}
name: {{ include "gemini-grpc.fullname" $ }}{{ index . 1 }}
namespace: {{ include "gemini-grpc.namespace" $ }}
labels:
  {{- include "gemini-grpc.selectorLabels" $ | nindent 2 }}
  {{- toYaml (merge (dict) $labels $.Values.commonLabels $own) | nindent 2 }}
{{- with merge (dict) $annotations $.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
The names of the Deployment's pods, as a regular expression: a ReplicaSet's hash, and five characters for each pod. What
follows the name has one hyphen, so that a release called NAME-canary has no part in it. Kubernetes cuts the name and the
hash at 58 characters together, the last hyphen included.
*/}}
{{- define "gemini-grpc.podPattern" -}}
{{- $name := include "gemini-grpc.fullname" . }}
{{- printf "%s-[0-9a-z]+-%s[0-9a-z]{5}" $name (ternary "?" "" (gt (len $name) 46)) }}
{{- end }}

{{/* A whole number as the API server keeps it where it is a quantity: 2000 is 2k. */}}
{{- define "gemini-grpc.wholeQuantity" -}}
{{- $number := int64 . }}
{{- $suffix := "" }}
{{- range list "k" "M" }}
{{- if and $number (eq (mod $number 1000) 0) }}
{{- $number = div $number 1000 }}
{{- $suffix = . }}
{{- end }}
{{- end }}
{{- $number }}{{ $suffix }}
{{- end }}

{{/* A scalar as the text of a variable. YAML's numbers are floats here, which would print as 6.7e+07. */}}
{{- define "gemini-grpc.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* The longest that a pod may take to stop: SIGTERM's delay and drain, cutting connections, the last export. */}}
{{- define "gemini-grpc.gracePeriod" -}}
{{- $drain := max .Values.config.drainDelay .Values.config.drainTimeout | ceil }}
{{- add .Values.preStopSleep $drain 10 }}
{{- end }}

{{/* The gateway's URL, for clients in the cluster. */}}
{{- define "gemini-grpc.url" -}}
{{- printf "%s://%s.%s.svc:%v" (ternary "https" "http" .Values.tls.enabled) (include "gemini-grpc.fullname" .) (include "gemini-grpc.namespace" .) .Values.service.port }}
{{- end }}

{{- define "gemini-grpc.hasKey" -}}
{{- if or .Values.apiKey.existingSecret .Values.apiKey.value }}true{{ end }}
{{- end }}

{{/* The Secret with the key of the gateway. */}}
{{- define "gemini-grpc.keySecret" -}}
{{- default (printf "%s-key" (include "gemini-grpc.fullname" .)) .Values.apiKey.existingSecret }}
{{- end }}

{{/* The Secret with the certificate that callers see. */}}
{{- define "gemini-grpc.tlsSecret" -}}
{{- ternary (printf "%s-tls" (include "gemini-grpc.fullname" .)) .Values.tls.secret .Values.tls.certManager.enabled }}
{{- end }}

{{- define "gemini-grpc.hasClientCA" -}}
{{- if or .Values.tls.clientCA.configMap .Values.tls.clientCA.secret }}true{{ end }}
{{- end }}

{{/* Whether anything is in the chart's own ConfigMap. */}}
{{- define "gemini-grpc.hasConfigMap" -}}
{{- if or .Values.callers.toml .Values.catalog.toml .Values.logFilter }}true{{ end }}
{{- end }}

{{/* The names under which the pods are reached. */}}
{{- define "gemini-grpc.dnsNames" -}}
{{- $names := list }}
{{- $namespace := include "gemini-grpc.namespace" . }}
{{- $services := list (include "gemini-grpc.fullname" .) }}
{{- if .Values.service.headless.enabled }}
{{- $services = append $services (printf "%s-headless" (include "gemini-grpc.fullname" .)) }}
{{- end }}
{{- range $services }}
{{- $names = concat $names (list . (printf "%s.%s" . $namespace) (printf "%s.%s.svc" . $namespace) (printf "%s.%s.svc.cluster.local" . $namespace)) }}
{{- end }}
{{- toYaml (concat $names .Values.tls.certManager.dnsNames | uniq) }}
{{- end }}

{{/* The port of a URL, which may be that of its scheme. */}}
{{- define "gemini-grpc.portOf" -}}
{{- with regexFind ":[0-9]+$" .host }}{{ trimPrefix ":" . }}{{ else }}{{ ternary "80" "443" (eq .scheme "http") }}{{ end }}
{{- end }}

{{/* The pod of `helm test`. No label that pods of the gateway are selected by, or it would be called itself. */}}
{{- define "gemini-grpc.testLabels" -}}
app.kubernetes.io/name: {{ include "gemini-grpc.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
