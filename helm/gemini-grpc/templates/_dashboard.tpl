{{/*
dashboards/gemini-grpc.json for this release: it shows the pods of the release, under its own name. If the rules are
installed, quantiles and usage are read from the series that they record (`recorded` of a target), so that opening the
dashboard does not add up the series of all pods.
*/}}
{{- define "gemini-grpc.dashboard" -}}
{{- $settings := .Values.monitoring.dashboard }}
{{- $rules := .Values.monitoring.prometheusRule }}
{{- $name := include "gemini-grpc.fullname" . }}
{{- $namespace := include "gemini-grpc.namespace" . }}
{{- $dashboard := .Files.Get "dashboards/gemini-grpc.json" | fromJson }}
{{- $digest := printf "%s/%s" $namespace $name | sha256sum | trunc 8 }}
{{- $_ := set $dashboard "uid" (default (printf "%s-%s" (trunc 31 $name) $digest) $settings.uid) }}
{{- $_ := set $dashboard "title" (default (printf "gemini-grpc: %s/%s" $namespace $name) $settings.title) }}
{{- range $dashboard.templating.list }}
{{- if eq .name "namespace" }}
{{- $_ := set . "current" (dict "text" (list $namespace) "value" (list $namespace)) }}
{{- else if eq .name "deployment" }}
{{- $_ := set . "allValue" $name }}
{{- else if and (eq .name "pod") (not $rules.selector) }}
{{- $_ := set . "allValue" (include "gemini-grpc.podPattern" $) }}
{{- $_ := set . "regex" (printf "/^%s$/" (include "gemini-grpc.podPattern" $)) }}
{{- end }}
{{- end }}
{{- range $panel := $dashboard.panels }}
{{- range $panel.targets }}
{{- if and $rules.enabled .recorded }}
{{- $_ := set . "expr" .recorded }}
{{- $_ := set $panel "description" (printf "%s Always covers all pods, whichever are selected." (trimSuffix " Always covers all pods, whichever are selected." $panel.description)) }}
{{- end }}
{{- $_ := unset . "recorded" }}
{{- end }}
{{- end }}
{{- toPrettyJson $dashboard }}
{{- end }}

{{/*
The label `zone` of scraped series: that of the pod, which has one from Kubernetes 1.35 on, or that of its node. The argument
says whether the node's label is read too.
*/}}
{{- define "gemini-grpc.zone" -}}
{{- range $of := ternary (list "node" "pod") (list "pod") . }}
- action: replace
  sourceLabels:
    - __meta_kubernetes_{{ $of }}_label_topology_kubernetes_io_zone
  regex: (.+)
  targetLabel: zone
{{- end }}
{{- end }}

{{/* Relabelings with the default that the API server adds. Without it, Argo CD would show a difference. */}}
{{- define "gemini-grpc.relabelings" -}}
{{- range . }}
- {{ include "gemini-grpc.route.filled" (list . (dict "action" "replace")) | nindent 2 | trim }}
{{- end }}
{{- end }}
