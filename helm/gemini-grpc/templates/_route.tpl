{{/*
Routes with the defaults that the API server fills in written out: it keeps them, so that Argo CD, which compares lists as
a whole, would show each route as out of sync forever.
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
# The deadline of a call is its caller's; a stream may take minutes.
timeouts:
  request: 0s
{{- end }}
{{- end }}

{{/* A map with what it lacks: (list map defaults). What is there stays, also where it is empty, as the group of a Service. */}}
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

{{/* One match: (list whether it is of an HTTPRoute, the match). */}}
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
