{{/* The name of the chart, for the label app.kubernetes.io/name. */}}
{{- define "gemini-grpc.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* The name of all objects. The longest that is added is "-headless", and a name has 63 characters at most. */}}
{{- define "gemini-grpc.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimAll "-" }}
{{- else if contains (include "gemini-grpc.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimAll "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "gemini-grpc.name" .) | trunc 50 | trimAll "-" }}
{{- end }}
{{- end }}

{{- define "gemini-grpc.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "gemini-grpc.serviceAccountName" -}}
{{- default (ternary (include "gemini-grpc.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "gemini-grpc.image" -}}
{{- $repository := .Values.image.repository }}
{{- with .Values.image.registry }}
{{- /* What is before the first slash is a registry if it looks like a host. */}}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") }}
{{- end }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* What pods are selected by. It never changes: a Deployment's selector cannot. */}}
{{- define "gemini-grpc.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gemini-grpc.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
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
name: {{ print (include "gemini-grpc.fullname" $) (index . 1) | quote }}
namespace: {{ include "gemini-grpc.namespace" $ | quote }}
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
{{- if kindIs "float64" . }}{{ toJson . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* The longest that a pod may take to stop: SIGTERM's delay and drain, cutting connections, the last export. */}}
{{- define "gemini-grpc.gracePeriod" -}}
{{- $drain := maxf .Values.config.drainDelay .Values.config.drainTimeout | ceil }}
{{- add .Values.preStopSleep $drain 10 }}
{{- end }}

{{/*
How pods spread: as the values say, completed by what selects the pods, or over nodes and zones. Pods of an older version
do not count, or an upgrade would spread around them.
*/}}
{{- define "gemini-grpc.topologySpread" -}}
{{- $constraints := .Values.topologySpreadConstraints }}
{{- if and (not $constraints) .Values.topologySpread }}
{{- $constraints = list (dict "topologyKey" "kubernetes.io/hostname") (dict "topologyKey" "topology.kubernetes.io/zone") }}
{{- end }}
{{- $completed := list }}
{{- range $constraints }}
{{- $default := dict "maxSkew" 1 "whenUnsatisfiable" "ScheduleAnyway" }}
{{- if not .labelSelector }}
{{- $_ := set $default "labelSelector" (dict "matchLabels" (include "gemini-grpc.selectorLabels" $ | fromYaml)) }}
{{- $_ := set $default "matchLabelKeys" (list "pod-template-hash") }}
{{- end }}
{{- $completed = append $completed (merge (dict) . $default) }}
{{- end }}
{{- toYaml $completed }}
{{- end }}

{{/*
How many pods there are, if this upgrade takes them down to one: autoscaling takes replicas out of the manifest. Where Helm
applies on the server's side that is so if it alone has set replicas; otherwise if nothing scales the Deployment yet.
*/}}
{{- define "gemini-grpc.dip" -}}
{{- if and .Release.IsUpgrade .Values.autoscaling.enabled }}
{{- $name := include "gemini-grpc.fullname" . }}
{{- $namespace := include "gemini-grpc.namespace" . }}
{{- $live := lookup "apps/v1" "Deployment" $namespace $name }}
{{- $owners := dict }}
{{- range dig "metadata" "managedFields" list $live }}
{{- $spec := dig "fieldsV1" "f:spec" dict . }}
{{- $isHelm := hasKey $spec "f:template" }}
{{- if and $isHelm (eq .operation "Apply") }}
{{- $_ := set $owners "helm" (hasKey $spec "f:replicas") }}
{{- else if and (not $isHelm) (hasKey $spec "f:replicas") }}
{{- $_ := set $owners "other" true }}
{{- end }}
{{- end }}
{{- $dips := false }}
{{- if hasKey $owners "helm" }}
{{- $dips = and $owners.helm (not $owners.other) }}
{{- else if eq .Values.autoscaling.type "hpa" }}
{{- $dips = not (lookup "autoscaling/v2" "HorizontalPodAutoscaler" $namespace $name) }}
{{- else if eq .Values.autoscaling.type "keda" }}
{{- $dips = not (lookup "keda.sh/v1alpha1" "ScaledObject" $namespace $name) }}
{{- end }}
{{- $pods := dig "spec" "replicas" 0 $live | int }}
{{- if and $dips (gt $pods 1) }}{{ $pods }}{{ end }}
{{- end }}
{{- end }}

{{/* The gateway's URL, for clients in the cluster. */}}
{{- define "gemini-grpc.url" -}}
{{- printf "%s://%s.%s.svc:%v" (ternary "https" "http" .Values.tls.enabled) (include "gemini-grpc.fullname" .) (include "gemini-grpc.namespace" .) .Values.service.port }}
{{- end }}

{{- define "gemini-grpc.hasKey" -}}
{{- if or .Values.apiKey.existingSecret .Values.apiKey.value .Values.apiKey.file }}true{{ end }}
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

{{/* What the Services' port speaks. That it speaks HTTP/2 in plaintext is not said with TLS. */}}
{{- define "gemini-grpc.appProtocol" -}}
{{- if not (and .Values.tls.enabled (eq .Values.service.appProtocol "kubernetes.io/h2c")) }}{{ .Values.service.appProtocol }}{{ end }}
{{- end }}

{{/*
The spec of a Service: (list own more), where more is from the values and takes precedence. Its ports complete the chart's
port of the same name, or are added.
*/}}
{{- define "gemini-grpc.serviceSpec" -}}
{{- $own := index . 0 }}
{{- $more := index . 1 }}
{{- $ports := $own.ports }}
{{- range $port := $more.ports }}
{{- $known := false }}
{{- range $own.ports }}
{{- if eq .name $port.name }}
{{- $known = true }}
{{- $_ := mergeOverwrite . $port }}
{{- end }}
{{- end }}
{{- if not $known }}
{{- $ports = append $ports $port }}
{{- end }}
{{- end }}
{{- toYaml (merge (dict "ports" $ports) (omit $more "ports") $own) }}
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
app.kubernetes.io/name: {{ printf "%s-test" (include "gemini-grpc.name" .) | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}
