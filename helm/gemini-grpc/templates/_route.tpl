{{/*
Routes with the defaults that the API server adds. It stores them, and Argo CD compares lists as a whole, so a route without
them would be shown as out of sync forever.
*/}}
{{- define "gemini-grpc.route.rule" -}}
{{- $http := eq .Values.route.kind "HTTPRoute" }}
{{- $matches := list }}
{{- range .Values.route.matches | default (ternary (list dict) list $http) }}
{{- $matches = append $matches (include "gemini-grpc.route.match" (list $http .) | fromYaml) }}
{{- end }}
{{- with $matches }}
matches:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.route.filters }}
filters:
  {{- range . }}
  - {{ include "gemini-grpc.route.filter" . | nindent 4 | trim }}
  {{- end }}
{{- end }}
backendRefs:
  - group: ""
    kind: Service
    name: {{ include "gemini-grpc.fullname" . | quote }}
    port: {{ .Values.service.port }}
    weight: 1
{{- if $http }}
# No timeout: each caller sets the deadline of its call, and a stream may take minutes.
timeouts:
  request: 0s
{{- end }}
{{- end }}

{{/* A map with defaults for the keys it lacks: (list map defaults). An empty value stays, such as the group of a Service. */}}
{{- define "gemini-grpc.route.filled" -}}
{{- $filled := dict }}
{{- range $key, $value := index . 1 }}
{{- $_ := set $filled $key $value }}
{{- end }}
{{- range $key, $value := index . 0 }}
{{- $_ := set $filled $key $value }}
{{- end }}
{{- toYaml $filled }}
{{- end }}

{{/* One match of a route. Arguments: (list isHTTPRoute match). */}}
{{- define "gemini-grpc.route.match" -}}
{{- $match := deepCopy (index . 1) }}
{{- if index . 0 }}
{{- $_ := set $match "path" (include "gemini-grpc.route.filled" (list $match.path (dict "type" "PathPrefix" "value" "/")) | fromYaml) }}
{{- end }}
{{- with $match.method }}
{{- if kindIs "map" . }}
{{- $_ := set . "type" (default "Exact" .type) }}
{{- end }}
{{- end }}
{{- range $key := list "headers" "queryParams" }}
{{- range index $match $key }}
{{- $_ := set . "type" (default "Exact" .type) }}
{{- end }}
{{- end }}
{{- toYaml $match }}
{{- end }}

{{- define "gemini-grpc.route.filter" -}}
{{- $filter := deepCopy . }}
{{- with $filter.requestMirror }}
{{- $_ := set . "backendRef" (include "gemini-grpc.route.filled" (list .backendRef (dict "group" "" "kind" "Service")) | fromYaml) }}
{{- with .fraction }}
{{- $_ := set . "denominator" (default 100 .denominator) }}
{{- end }}
{{- end }}
{{- with $filter.requestRedirect }}
{{- $_ := set . "statusCode" (default 302 .statusCode) }}
{{- end }}
{{- with $filter.cors }}
{{- $_ := set . "maxAge" (default 5 .maxAge) }}
{{- end }}
{{- toYaml $filter }}
{{- end }}
