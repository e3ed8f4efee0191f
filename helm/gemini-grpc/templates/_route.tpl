{{/*
Routes with the defaults that the API server adds. It stores them, and Argo CD compares lists as a whole, so a route without
them would be shown as out of sync forever. Arguments: (list $ suffix kind values port).
*/}}
{{- define "gemini-grpc.route" -}}
{{- $ := index . 0 }}
{{- $http := eq (index . 2) "HTTPRoute" }}
{{- $values := index . 3 }}
apiVersion: gateway.networking.k8s.io/v1
kind: {{ index . 2 }}
metadata:
  {{- include "gemini-grpc.metadata" (list $ (index . 1) dict $values.annotations) | nindent 2 }}
spec:
  parentRefs:
    {{- range $values.parentRefs }}
    - {{ include "gemini-grpc.route.filled" (list . (dict "group" "gateway.networking.k8s.io" "kind" "Gateway")) | nindent 6 | trim }}
    {{- end }}
  {{- with $values.hostnames }}
  hostnames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    - {{ include "gemini-grpc.route.rule" (list $ $http $values (index . 4)) | nindent 6 | trim }}
{{- end }}

{{- define "gemini-grpc.route.rule" -}}
{{- $http := index . 1 }}
{{- $values := index . 2 }}
{{- $matches := list }}
{{- range $values.matches | default (ternary (list dict) list $http) }}
{{- $matches = append $matches (include "gemini-grpc.route.match" (list $http .) | fromYaml) }}
{{- end }}
{{- with $matches }}
matches:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.filters }}
filters:
  {{- range . }}
  - {{ include "gemini-grpc.route.filter" . | nindent 4 | trim }}
  {{- end }}
{{- end }}
backendRefs:
  - group: ""
    kind: Service
    name: {{ include "gemini-grpc.fullname" (index . 0) | quote }}
    port: {{ index . 3 }}
    weight: 1
{{- if $http }}
# No timeout: each caller sets the deadline of its call, and a stream may take minutes.
timeouts:
  request: 0s
{{- end }}
{{- end }}

{{/* The values of the HTTPRoute for REST, with those of the route where it has none of its own. */}}
{{- define "gemini-grpc.restRoute" -}}
{{- $route := .Values.route }}
{{- $own := dict "parentRefs" ($route.rest.parentRefs | default $route.parentRefs) "hostnames" ($route.rest.hostnames | default $route.hostnames) }}
{{- toYaml (merge $own $route.rest) }}
{{- end }}

{{/* Whether the route and the one for REST have a host name in common, at a listener that both may use. */}}
{{- define "gemini-grpc.route.overlap" -}}
{{- $rest := include "gemini-grpc.restRoute" . | fromYaml }}
{{- $sameListener := false }}
{{- range $one := .Values.route.parentRefs }}
{{- range $other := $rest.parentRefs }}
{{- $differs := false }}
{{- range $key := list "name" "namespace" "kind" "sectionName" "port" }}
{{- $default := get (dict "namespace" (include "gemini-grpc.namespace" $) "kind" "Gateway") $key }}
{{- $a := get $one $key | default $default | toString }}
{{- $b := get $other $key | default $default | toString }}
{{- if and $a $b (ne $a $b) }}
{{- $differs = true }}
{{- end }}
{{- end }}
{{- if not $differs }}
{{- $sameListener = true }}
{{- end }}
{{- end }}
{{- end }}
{{- $sameName := or (empty .Values.route.hostnames) (empty $rest.hostnames) }}
{{- range $one := .Values.route.hostnames }}
{{- range $other := $rest.hostnames }}
{{- $end := trimPrefix "*" $one }}
{{- $otherEnd := trimPrefix "*" $other }}
{{- if or (eq $one $other) (and (ne $one $end) (hasSuffix $end $otherEnd)) (and (ne $other $otherEnd) (hasSuffix $otherEnd $end)) }}
{{- $sameName = true }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $sameListener $sameName }}true{{ end }}
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
