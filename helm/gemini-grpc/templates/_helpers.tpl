{{/* The name of the chart, for the label app.kubernetes.io/name. */}}
{{- define "gemini-grpc.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* The name of all objects. A name has at most 63 characters, and the longest suffix is "-headless"; 50 leaves room for it. */}}
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
{{- /* The part before the first slash is a registry if it looks like a host name. */}}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") }}
{{- end }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* The labels by which pods are selected. They never change, because the selector of a Deployment is immutable. */}}
{{- define "gemini-grpc.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gemini-grpc.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* The metadata of an object. Arguments: (list $ suffix), or (list $ suffix labels annotations) with two maps. */}}
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
A regular expression for the names of the Deployment's pods: NAME, a hyphen, the hash of the ReplicaSet, a hyphen, and five
characters of the pod. Hash and characters contain no hyphen, so pods of a release called NAME-canary do not match.
Kubernetes cuts everything before the five characters to 58, so with a long name the second hyphen may be missing.
*/}}
{{- define "gemini-grpc.podPattern" -}}
{{- $name := include "gemini-grpc.fullname" . }}
{{- printf "%s-[0-9a-z]+-%s[0-9a-z]{5}" $name (ternary "?" "" (gt (len $name) 46)) }}
{{- end }}

{{/* A whole number as the API server stores it in a quantity: 2000 becomes 2k. */}}
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

{{/* A scalar as the text of an environment variable. Helm reads YAML's numbers as floats, which would print as 6.7e+07. */}}
{{- define "gemini-grpc.text" -}}
{{- if kindIs "float64" . }}{{ toJson . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* The longest time that a pod may take to stop: the drain after SIGTERM, closing connections, the last export. */}}
{{- define "gemini-grpc.gracePeriod" -}}
{{- $drain := maxf .Values.config.drainDelay .Values.config.drainTimeout | ceil }}
{{- add .Values.preStopSleep $drain 10 }}
{{- end }}

{{/*
How pods are spread: by the constraints in the values, with defaults for what they lack, or over nodes and zones. Pods of an
older version are not counted, since an upgrade would otherwise spread the new pods around the old ones.
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
The number of running pods, if this upgrade would reduce them to one, because autoscaling removes replicas from the manifest.
With server-side apply this happens if only Helm has set replicas; otherwise, if no autoscaler exists for the Deployment yet.
*/}}
{{- define "gemini-grpc.reducedPods" -}}
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
{{- $isReduced := false }}
{{- if hasKey $owners "helm" }}
{{- $isReduced = and $owners.helm (not $owners.other) }}
{{- else if eq .Values.autoscaling.type "hpa" }}
{{- $isReduced = not (lookup "autoscaling/v2" "HorizontalPodAutoscaler" $namespace $name) }}
{{- else if eq .Values.autoscaling.type "keda" }}
{{- $isReduced = not (lookup "keda.sh/v1alpha1" "ScaledObject" $namespace $name) }}
{{- end }}
{{- $pods := dig "spec" "replicas" 0 $live | int }}
{{- if and $isReduced (gt $pods 1) }}{{ $pods }}{{ end }}
{{- end }}
{{- end }}

{{/* The URL of the gateway for clients in the cluster. */}}
{{- define "gemini-grpc.url" -}}
{{- printf "%s://%s.%s.svc:%v" (ternary "https" "http" .Values.tls.enabled) (include "gemini-grpc.fullname" .) (include "gemini-grpc.namespace" .) .Values.service.port }}
{{- end }}

{{/* The same for clients of REST. */}}
{{- define "gemini-grpc.restUrl" -}}
{{- regexReplaceAll "[0-9]+$" (include "gemini-grpc.url" .) (include "gemini-grpc.restPort" .) }}
{{- end }}

{{/* The port of the Service for REST: the one that is declared as HTTP/1.1, if there is one. */}}
{{- define "gemini-grpc.restPort" -}}
{{- default .Values.service.port .Values.service.httpPort }}
{{- end }}

{{- define "gemini-grpc.hasKey" -}}
{{- if or .Values.apiKey.existingSecret .Values.apiKey.value .Values.apiKey.file }}true{{ end }}
{{- end }}

{{/* The name of the Secret with the gateway's key for upstream. */}}
{{- define "gemini-grpc.keySecret" -}}
{{- default (printf "%s-key" (include "gemini-grpc.fullname" .)) .Values.apiKey.existingSecret }}
{{- end }}

{{/* The name of the Secret with the gateway's certificate for callers. */}}
{{- define "gemini-grpc.tlsSecret" -}}
{{- ternary (printf "%s-tls" (include "gemini-grpc.fullname" .)) .Values.tls.secret .Values.tls.certManager.enabled }}
{{- end }}

{{- define "gemini-grpc.hasClientCA" -}}
{{- if or .Values.tls.clientCA.configMap .Values.tls.clientCA.secret }}true{{ end }}
{{- end }}

{{/* The protocol of the Services' port. The default, HTTP/2 in plaintext, is left out with TLS. */}}
{{- define "gemini-grpc.appProtocol" -}}
{{- if not (and .Values.tls.enabled (eq .Values.service.appProtocol "kubernetes.io/h2c")) }}{{ .Values.service.appProtocol }}{{ end }}
{{- end }}

{{/*
The spec of a Service. Arguments: (list own more), where own is the chart's, and more is from the values and takes precedence.
A port in more adds fields to the chart's port of the same name, or is added as a further port.
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

{{/* The DNS names in the certificate of the pods. */}}
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

{{/* The port of a URL, or the default port of its scheme. */}}
{{- define "gemini-grpc.portOf" -}}
{{- with regexFind ":[0-9]+$" .host }}{{ trimPrefix ":" . }}{{ else }}{{ ternary "80" "443" (eq .scheme "http") }}{{ end }}
{{- end }}

{{/* The labels of the pod of `helm test`. They differ from the gateway's, so that no Service sends calls to that pod. */}}
{{- define "gemini-grpc.testLabels" -}}
app.kubernetes.io/name: {{ printf "%s-test" (include "gemini-grpc.name" .) | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}
