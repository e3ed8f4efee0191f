{{/*
The files of the program, all in one projected volume. When a ConfigMap or Secret changes, the kubelet replaces the files
together and the program reads them again. So no change of a file restarts a pod, and the pod template has no checksum.
*/}}
{{- define "gemini-grpc.files" -}}
{{- if or .Values.apiKey.existingSecret .Values.apiKey.value }}
{{- include "gemini-grpc.file" (dict "secret" (include "gemini-grpc.keySecret" .) "key" .Values.apiKey.existingSecretKey "path" "api-key") }}
{{- end }}
{{- include "gemini-grpc.fileOf" (list . .Values.callers "callers.toml") }}
{{- include "gemini-grpc.fileOf" (list . .Values.catalog "catalog.toml") }}
{{- with .Values.limits.existingSecret }}
{{- include "gemini-grpc.file" (dict "secret" . "key" $.Values.limits.existingSecretKey "path" "limits-url") }}
{{- end }}
{{- include "gemini-grpc.fileOf" (list . .Values.limits.ca "limits-ca.crt") }}
{{- include "gemini-grpc.file" (dict "configMap" (include "gemini-grpc.fullname" .) "key" "log-filter" "path" "log-filter") }}
{{- if .Values.tls.enabled }}
{{- include "gemini-grpc.certificate" (list (include "gemini-grpc.tlsSecret" .) "tls") }}
{{- end }}
{{- include "gemini-grpc.fileOf" (list . .Values.tls.clientCA "client-ca.crt") }}
{{- include "gemini-grpc.fileOf" (list . .Values.tls.clientCRL "client-ca.crl") }}
{{- include "gemini-grpc.fileOf" (list . .Values.upstreamTLS.ca "upstream-ca.crt") }}
{{- include "gemini-grpc.certificate" (list .Values.upstreamTLS.clientSecret "upstream") }}
{{- include "gemini-grpc.fileOf" (list . .Values.telemetry.otlp.ca "otlp-ca.crt") }}
{{- include "gemini-grpc.certificate" (list .Values.telemetry.otlp.clientSecret "otlp") }}
{{- end }}

{{/* One file, from a key of a ConfigMap or Secret. */}}
{{- define "gemini-grpc.file" }}
- {{ ternary "configMap" "secret" (hasKey . "configMap") }}:
    name: {{ default .configMap .secret | quote }}
    items:
      - key: {{ .key | quote }}
        path: {{ .path }}
{{- end }}

{{/* A file from the values (toml), from a ConfigMap or from a Secret, or nothing if none of them is set. */}}
{{- define "gemini-grpc.fileOf" -}}
{{- $source := index . 1 }}
{{- $path := index . 2 }}
{{- if $source.toml }}
{{- include "gemini-grpc.file" (dict "configMap" (include "gemini-grpc.fullname" (index . 0)) "key" $path "path" $path) }}
{{- else if $source.configMap }}
{{- include "gemini-grpc.file" (dict "configMap" $source.configMap "key" $source.key "path" $path) }}
{{- else if $source.secret }}
{{- include "gemini-grpc.file" (dict "secret" $source.secret "key" $source.key "path" $path) }}
{{- end }}
{{- end }}

{{/* A certificate with its key, from a Secret of type kubernetes.io/tls. */}}
{{- define "gemini-grpc.certificate" -}}
{{- with index . 0 }}
{{- include "gemini-grpc.file" (dict "secret" . "key" "tls.crt" "path" (printf "%s.crt" (index $ 1))) }}
{{- include "gemini-grpc.file" (dict "secret" . "key" "tls.key" "path" (printf "%s.key" (index $ 1))) }}
{{- end }}
{{- end }}
