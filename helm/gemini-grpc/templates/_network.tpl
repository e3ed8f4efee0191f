{{/* The peers that may forward calls: those in the values, or all pods in the namespaces of the routes' Gateways. */}}
{{- define "gemini-grpc.gateways" -}}
{{- $namespaces := list }}
{{- if .Values.route.enabled }}
{{- range concat .Values.route.parentRefs (ternary .Values.route.rest.parentRefs list .Values.route.rest.enabled) }}
{{- if eq (default "Gateway" .kind) "Gateway" }}
{{- $namespaces = append $namespaces (default (include "gemini-grpc.namespace" $) .namespace) }}
{{- end }}
{{- end }}
{{- if .Values.route.envoyGateway.enabled }}
{{- $namespaces = append $namespaces .Values.route.envoyGateway.namespace }}
{{- end }}
{{- end }}
{{- $peers := list }}
{{- range compact $namespaces | uniq }}
{{- $peers = append $peers (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" .))) }}
{{- end }}
{{- toYaml (.Values.networkPolicy.gateways | default $peers) }}
{{- end }}

{{/* The host names of the Ingress for REST. */}}
{{- define "gemini-grpc.restHosts" -}}
{{- toYaml (.Values.ingress.rest.hosts | default .Values.ingress.hosts) }}
{{- end }}

{{/*
Whether ingress-nginx would call the same address over HTTP/2 for one Ingress and over HTTP/1.1 for the other. The address is that
of a pod, or with the annotation service-upstream that of the Service.
*/}}
{{- define "gemini-grpc.ingress.mixed" -}}
{{- $protocol := "nginx.ingress.kubernetes.io/backend-protocol" }}
{{- $ways := list }}
{{- range $values := list .Values.ingress .Values.ingress.rest }}
{{- $isService := eq (toString (index $values.annotations "nginx.ingress.kubernetes.io/service-upstream")) "true" }}
{{- $ways = append $ways (dict "grpc" (hasPrefix "GRPC" (toString (index $values.annotations $protocol))) "service" $isService) }}
{{- end }}
{{- $first := first $ways }}
{{- $rest := last $ways }}
{{- $isOtherPort := and $first.service $rest.service .Values.service.httpPort }}
{{- if and $first.grpc (not $rest.grpc) (eq $first.service $rest.service) (not $isOtherPort) }}true{{ end }}
{{- end }}

{{/* The ports of the proxies that the environment names for the scheme of upstream's URL. */}}
{{- define "gemini-grpc.proxyPorts" -}}
{{- $scheme := (urlParse (default "https://" .Values.config.upstreamUrl)).scheme }}
{{- $ports := list }}
{{- range .Values.extraEnv }}
{{- if and .value (has (lower .name) (list (printf "%s_proxy" $scheme) "all_proxy")) }}
{{- $proxy := urlParse (ternary .value (printf "http://%s" .value) (contains "://" .value)) }}
{{- if and (hasPrefix "socks" $proxy.scheme) (not (regexMatch ":[0-9]+$" $proxy.host)) }}
{{- $ports = append $ports 1080 }}
{{- else }}
{{- $ports = append $ports (include "gemini-grpc.portOf" $proxy | int) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml (uniq $ports) }}
{{- end }}

{{/* The ports of the collectors to which spans, metrics and log lines are exported. */}}
{{- define "gemini-grpc.collectorPorts" -}}
{{- $endpoints := list .Values.telemetry.otlp.endpoint }}
{{- range .Values.extraEnv }}
{{- if regexMatch "^OTEL_EXPORTER_OTLP_([A-Z]+_)?ENDPOINT$" .name }}
{{- $endpoints = append $endpoints .value }}
{{- end }}
{{- end }}
{{- $ports := list }}
{{- range compact $endpoints }}
{{- $ports = append $ports (include "gemini-grpc.portOf" (urlParse .) | int) }}
{{- end }}
{{- toYaml (uniq $ports) }}
{{- end }}

{{/*
The ports of the Redis or Valkey that counts for all pods, or none without one. A URL in a Secret is unknown here. Behind
Sentinels and in a cluster, pods also reach addresses that are not in the URL: those nodes have Redis' own port, unless
networkPolicy.limitsPorts says otherwise.
*/}}
{{- define "gemini-grpc.limitsPorts" -}}
{{- $ports := list }}
{{- with .Values.limits }}
{{- if .existingSecret }}
{{- $ports = append $ports 6379 }}
{{- else if .url }}
{{- $isSentinel := regexMatch "[?&]sentinel=" .url }}
{{- range regexFind "//[^/?]*" .url | trimPrefix "//" | splitList "," }}
{{- $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default (ternary "26379" "6379" $isSentinel) | int) }}
{{- end }}
{{- if $isSentinel }}
{{- $ports = append $ports 6379 }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml (ternary (.Values.networkPolicy.limitsPorts | default (uniq $ports)) list (not (empty $ports))) }}
{{- end }}

{{/* A network policy must not block connections that other values need. */}}
{{- define "gemini-grpc.check.network" -}}
{{- if .Values.networkPolicy.enabled }}
{{- $policy := .Values.networkPolicy }}
{{- if and .Values.config.upstreamProxy (not .Values.sandbox) (not $policy.proxyPorts) (not (include "gemini-grpc.proxyPorts" . | fromYamlArray)) }}
{{- fail "networkPolicy: pods must reach the proxy of config.upstreamProxy, but its port is unknown; put HTTPS_PROXY into extraEnv, or set networkPolicy.proxyPorts" }}
{{- end }}
{{- $allNamespaces := false }}
{{- $addresses := false }}
{{- range concat (default list $policy.callers) (default list $policy.gateways) }}
{{- if hasKey . "ipBlock" }}
{{- $addresses = true }}
{{- else if and (hasKey . "namespaceSelector") (empty .namespaceSelector) (empty .podSelector) }}
{{- $allNamespaces = true }}
{{- end }}
{{- end }}
{{- if and (or .Values.ingress.enabled .Values.ingress.rest.enabled) (not (or $policy.gateways $policy.extraIngress $addresses $allNamespaces)) }}
{{- fail "networkPolicy: the controller of the Ingress may not call the pods; set networkPolicy.gateways to its namespace, such as [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}}]" }}
{{- end }}
{{- if and (ne .Values.service.type "ClusterIP") (not (or $policy.extraIngress $addresses)) }}
{{- fail (printf "networkPolicy: no client outside of the cluster may call, but service.type is %s; add an ipBlock to networkPolicy.callers" .Values.service.type) }}
{{- end }}
{{- end }}
{{- end }}
