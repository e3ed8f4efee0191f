{{/*
The groups of rules/gemini-grpc.yaml for this release: they select its own pods, and add the label `deployment`, so that two
releases in one Prometheus never write the same series. Changes of alerts in the values are applied.
*/}}
{{- define "gemini-grpc.rules" -}}
{{- $settings := .Values.monitoring.prometheusRule }}
{{- $changes := default dict $settings.alerts }}
{{- $name := include "gemini-grpc.fullname" . }}
{{- $namespace := printf "namespace=%q" (include "gemini-grpc.namespace" .) }}
{{- $pods := default (printf "%s, pod=~%q" $namespace (include "gemini-grpc.podPattern" .)) $settings.selector }}
{{- $autoscaler := printf "%s, horizontalpodautoscaler=~\"(keda-hpa-)?%s\"" $namespace $name }}
{{- $file := .Files.Get "rules/gemini-grpc.yaml"
  | replace "namespace=~\".*\", pod=~\".*\"" $pods
  | replace "namespace=~\".*\", deployment=~\".*\"" (printf "%s, deployment=%q" $namespace $name)
  | replace "namespace=~\".*\", horizontalpodautoscaler=~\".*gemini-grpc.*\"" $autoscaler
  | fromYaml }}
{{- $known := list }}
{{- range $file.groups }}
{{- $rules := list }}
{{- range .rules }}
{{- $change := dict }}
{{- with .alert }}
{{- $known = append $known . }}
{{- $change = index $changes . | default dict }}
{{- end }}
{{- if ne (toString $change.enabled) "false" }}
{{- $own := dict "deployment" $name }}
{{- if .alert }}
{{- $own = merge (dict) (dict "severity" (default .labels.severity $change.severity)) (default dict $change.labels) (default dict $settings.alertLabels) $own }}
{{- $_ := set .annotations "runbook_url" (printf "%s#%s" $settings.runbookUrl (lower .alert)) }}
{{- if eq .alert "GeminiGrpcDrainTakesLong" }}
{{- $_ := set . "for" (printf "%ds" (include "gemini-grpc.gracePeriod" $ | int | add 350)) }}
{{- end }}
{{- if $change.for }}
{{- $_ := set . "for" $change.for }}
{{- end }}
{{- if hasKey $change "threshold" }}
{{- $_ := set . "expr" (include "gemini-grpc.rules.threshold" (list .alert .expr $change.threshold)) }}
{{- end }}
{{- end }}
{{- $rules = append $rules (set . "labels" $own) }}
{{- end }}
{{- end }}
{{- $_ := set . "rules" $rules }}
{{- end }}
{{- range $alert, $_ := $changes }}
{{- if not (has $alert $known) }}
{{- fail (printf "monitoring.prometheusRule.alerts: there is no alert %s; the alerts are %s" $alert (join ", " $known)) }}
{{- end }}
{{- end }}
{{- toYaml $file }}
{{- end }}

{{/* An expression with another threshold, which is the first number it compares with: (list alert expression number). */}}
{{- define "gemini-grpc.rules.threshold" -}}
{{- $compared := regexFind "[<>]=? [0-9.]+" (index . 1) }}
{{- if not $compared }}
{{- fail (printf "monitoring.prometheusRule.alerts.%s: this alert has no threshold; set for, severity, labels or enabled" (index . 0)) }}
{{- end }}
{{- $parts := splitn $compared 2 (index . 1) }}
{{- $parts._0 }}{{ regexFind "[<>]=? " $compared }}{{ include "gemini-grpc.text" (index . 2) }}{{ $parts._1 }}
{{- end }}
