{{/*
The environment variables of the program. Those that are null or unused are left out, since the program has its own defaults.
*/}}
{{- define "gemini-grpc.env" -}}
{{- $files := "/etc/gemini-grpc" }}
{{- $env := list
  (list "GEMINI_GRPC_LISTEN" (printf "%s:%v" .Values.listen.host .Values.listen.port))
  (list "GEMINI_GRPC_ADMIN_LISTEN" (printf "%s:%v" .Values.listen.host .Values.listen.adminPort)) }}
{{- if .Values.sandbox }}
{{- $env = append $env (list "GEMINI_GRPC_SANDBOX" true) }}
{{- end }}
{{- range $name, $value := .Values.config }}
{{- $env = append $env (list (printf "GEMINI_GRPC_%s" (snakecase $name | upper)) $value) }}
{{- end }}
{{- if include "gemini-grpc.hasKey" . }}
{{- $env = append $env (list "MOUNTSEA_API_KEY_FILE" (default (printf "%s/api-key" $files) .Values.apiKey.file)) }}
{{- end }}
{{- range $variable, $source := dict
  "GEMINI_GRPC_CALLERS" (list .Values.callers "callers.toml")
  "GEMINI_GRPC_CATALOG" (list .Values.catalog "catalog.toml")
  "GEMINI_GRPC_LIMITS_CA" (list .Values.limits.ca "limits-ca.crt")
  "GEMINI_GRPC_TLS_CLIENT_CA" (list .Values.tls.clientCA "client-ca.crt")
  "GEMINI_GRPC_TLS_CLIENT_CRL" (list .Values.tls.clientCRL "client-ca.crl")
  "GEMINI_GRPC_UPSTREAM_CA" (list .Values.upstreamTLS.ca "upstream-ca.crt")
  "OTEL_EXPORTER_OTLP_CERTIFICATE" (list .Values.telemetry.otlp.ca "otlp-ca.crt") }}
{{- with index $source 0 }}
{{- if or .toml .configMap .secret }}
{{- $env = append $env (list $variable (printf "%s/%s" $files (index $source 1))) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.limits }}
{{- $env = append $env (list "GEMINI_GRPC_LIMITS_URL" .url) }}
{{- if .existingSecret }}
{{- $env = append $env (list "GEMINI_GRPC_LIMITS_URL_FILE" (printf "%s/limits-url" $files)) }}
{{- end }}
{{- $env = append $env (list "GEMINI_GRPC_LIMITS_PREFIX" .prefix) }}
{{- end }}
{{- $env = append $env (list "GEMINI_GRPC_LOG_FILTER_FILE" (printf "%s/log-filter" $files)) }}
{{- if .Values.tls.enabled }}
{{- $env = append $env (list "GEMINI_GRPC_TLS_CERT" (printf "%s/tls.crt" $files)) }}
{{- $env = append $env (list "GEMINI_GRPC_TLS_KEY" (printf "%s/tls.key" $files)) }}
{{- end }}
{{- if .Values.upstreamTLS.clientSecret }}
{{- $env = append $env (list "GEMINI_GRPC_UPSTREAM_CERT" (printf "%s/upstream.crt" $files)) }}
{{- $env = append $env (list "GEMINI_GRPC_UPSTREAM_CERT_KEY" (printf "%s/upstream.key" $files)) }}
{{- end }}
{{- with .Values.telemetry }}
{{- $env = concat $env (list
  (list "OTEL_SDK_DISABLED" (ternary true nil .disabled))
  (list "OTEL_SERVICE_NAME" .serviceName)
  (list "OTEL_TRACES_EXPORTER" .traces)
  (list "OTEL_METRICS_EXPORTER" .metrics)
  (list "OTEL_LOGS_EXPORTER" .logs)
  (list "OTEL_TRACES_SAMPLER" .sampler)
  (list "OTEL_TRACES_SAMPLER_ARG" .samplerArg)
  (list "OTEL_PROPAGATORS" .propagators)
  (list "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT" .captureMessageContent)
  (list "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT" .attributeValueLengthLimit)
  (list "OTEL_EXPORTER_OTLP_ENDPOINT" .otlp.endpoint)
  (list "OTEL_EXPORTER_OTLP_PROTOCOL" (ternary .otlp.protocol nil (not (empty .otlp.endpoint))))) }}
{{- if .otlp.clientSecret }}
{{- $env = append $env (list "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE" (printf "%s/otlp.crt" $files)) }}
{{- $env = append $env (list "OTEL_EXPORTER_OTLP_CLIENT_KEY" (printf "%s/otlp.key" $files)) }}
{{- end }}
{{- end }}
{{- range $env }}
{{- $value := include "gemini-grpc.text" (index . 1) }}
{{- if not (or (kindIs "invalid" (index . 1)) (empty $value)) }}
- name: {{ index . 0 }}
  value: {{ quote $value }}
{{- end }}
{{- end }}
{{- if .Values.telemetry.otlp.headersSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef:
      name: {{ .Values.telemetry.otlp.headersSecret | quote }}
      key: {{ .Values.telemetry.otlp.headersSecretKey | quote }}
{{- end }}
{{- range $name, $path := dict
  "POD_NAME" "metadata.name" "POD_NAMESPACE" "metadata.namespace" "POD_UID" "metadata.uid" "NODE_NAME" "spec.nodeName" }}
- name: {{ $name }}
  valueFrom:
    fieldRef:
      fieldPath: {{ $path }}
{{- end }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ include "gemini-grpc.resourceAttributes" . | quote }}
{{- end }}

{{/* The resource attributes, named by OpenTelemetry's conventions for Kubernetes, and percent-encoded as it requires. */}}
{{- define "gemini-grpc.resourceAttributes" -}}
{{- $attributes := list
  "service.instance.id=$(POD_UID)"
  "k8s.pod.name=$(POD_NAME)"
  "k8s.pod.uid=$(POD_UID)"
  "k8s.namespace.name=$(POD_NAMESPACE)"
  "k8s.node.name=$(NODE_NAME)"
  (printf "k8s.deployment.name=%s" (include "gemini-grpc.fullname" .))
  "k8s.container.name=gemini-grpc" }}
{{- range $name, $value := .Values.telemetry.resourceAttributes }}
{{- $attributes = append $attributes (printf "%s=%s" $name (include "gemini-grpc.text" $value | urlquery | replace "+" "%20")) }}
{{- end }}
{{- join "," $attributes }}
{{- end }}
