{{/*
Contradictory values are refused, with a message that says what to set. The program would refuse most of them too, but
only in a pod that then does not start.
*/}}
{{- define "gemini-grpc.check" -}}
{{- include "gemini-grpc.check.kubernetes" . }}
{{- include "gemini-grpc.check.callers" . }}
{{- include "gemini-grpc.check.sources" . }}
{{- include "gemini-grpc.check.limits" . }}
{{- include "gemini-grpc.check.tls" . }}
{{- include "gemini-grpc.check.pods" . }}
{{- include "gemini-grpc.check.cluster" . }}
{{- include "gemini-grpc.check.network" . }}
{{- end }}

{{- define "gemini-grpc.check.callers" -}}
{{- $auth := .Values.config.auth }}
{{- $identifiesCallers := has $auth (list "tokens" "mtls") }}
{{- $hasCallers := or .Values.callers.toml .Values.callers.configMap .Values.callers.secret }}
{{- if gt (len (compact (list .Values.apiKey.value .Values.apiKey.existingSecret .Values.apiKey.file))) 1 }}
{{- fail "apiKey: the key can come from one place only; keep one of existingSecret, file and value" }}
{{- end }}
{{- if hasPrefix "/etc/gemini-grpc/" (printf "%s/" (clean .Values.apiKey.file)) }}
{{- fail "apiKey.file: /etc/gemini-grpc is reserved for the chart's own files; mount the key at another path" }}
{{- end }}
{{- if and (include "gemini-grpc.hasKey" .) (eq $auth "forward") }}
{{- fail "config.auth: forward accepts every client that reaches the pods, and this release has a key that they could use; set config.auth to tokens or mtls, or to none if the network admits only allowed clients" }}
{{- end }}
{{- if and $identifiesCallers (not (include "gemini-grpc.hasKey" .)) }}
{{- fail (printf "config.auth: %s needs a key of the gateway to send to upstream; set apiKey.existingSecret or apiKey.file (with sandbox, set apiKey.value to any text)" $auth) }}
{{- end }}
{{- if and $identifiesCallers (not $hasCallers) }}
{{- fail (printf "config.auth: %s needs the list of callers; set callers.toml, callers.configMap or callers.secret (docs/callers.md)" $auth) }}
{{- end }}
{{- if and $hasCallers (not $identifiesCallers) }}
{{- fail "callers: they are used only if config.auth is tokens or mtls; set it to one of these" }}
{{- end }}
{{- if and (regexMatch "(^|,)\\s*\\*\\s*(,|$)" (default "" .Values.config.corsOrigins)) (or (eq $auth "mtls") (and (eq $auth "none") (include "gemini-grpc.hasKey" .))) }}
{{- fail (printf "config.corsOrigins: with * and config.auth: %s, any web page that a user opens could spend the gateway's key; list the origins, or set config.auth to tokens" $auth) }}
{{- end }}
{{- if and (eq $auth "mtls") (not (include "gemini-grpc.hasClientCA" .)) }}
{{- fail "config.auth: mtls needs the authorities that sign client certificates; set tls.clientCA.configMap or tls.clientCA.secret" }}
{{- end }}
{{- end }}

{{- define "gemini-grpc.check.sources" -}}
{{- range $name, $source := dict
  "callers" .Values.callers
  "catalog" .Values.catalog
  "tls.clientCA" .Values.tls.clientCA
  "tls.clientCRL" .Values.tls.clientCRL
  "limits.ca" .Values.limits.ca
  "upstreamTLS.ca" .Values.upstreamTLS.ca
  "telemetry.otlp.ca" .Values.telemetry.otlp.ca
  "tests.ca" .Values.tests.ca }}
{{- if gt (len (compact (list $source.toml $source.configMap $source.secret))) 1 }}
{{- fail (printf "%s: the file can come from one place only; keep one of %s" $name (ternary "toml, configMap and secret" "configMap and secret" (hasKey $source "toml"))) }}
{{- end }}
{{- end }}
{{- $otlp := .Values.telemetry.otlp }}
{{- if and (empty $otlp.endpoint) (or $otlp.headersSecret $otlp.ca.configMap $otlp.ca.secret $otlp.clientSecret) }}
{{- fail "telemetry.otlp: headers and certificates have no effect without telemetry.otlp.endpoint; set it" }}
{{- end }}
{{- $own := concat (include "gemini-grpc.env" . | fromYamlArray) (list (dict "name" "MOUNTSEA_API_KEY") (dict "name" "MOUNTSEA_API_KEY_FILE")) }}
{{- range $variable := .Values.extraEnv }}
{{- range $own }}
{{- if eq .name $variable.name }}
{{- fail (printf "extraEnv: %s is set by the chart; use the chart's value for it (helm/gemini-grpc/README.md)" .name) }}
{{- end }}
{{- end }}
{{- if hasPrefix "GEMINI_GRPC_" $variable.name }}
{{- fail (printf "extraEnv: %s has its own value in the chart, most likely under config; use that (helm/gemini-grpc/README.md)" $variable.name) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The schema would repeat a URL that it refuses, with its password. */}}
{{- define "gemini-grpc.check.limits" -}}
{{- with .Values.limits }}
{{- if and .url .existingSecret }}
{{- fail "limits: the URL can come from one place only; keep one of url and existingSecret" }}
{{- end }}
{{- if contains "@" .url }}
{{- fail "limits.url: Helm stores values with the release, so a URL with a user or a password must not be one of them; put the URL into a Secret, and set limits.existingSecret" }}
{{- end }}
{{- if and .url (not (regexMatch "^(redis|valkey)s?://[^\\s/?]" .url)) }}
{{- fail "limits.url: it must begin with redis:// or rediss:// and a host, such as redis://valkey:6379" }}
{{- end }}
{{- if and (contains "," .url) (not (regexMatch "\\?(cluster=true|sentinel=.)" .url)) }}
{{- fail "limits.url: several hosts need ?cluster=true or ?sentinel=NAME; add it, or name one host" }}
{{- end }}
{{- if not (or .url .existingSecret) }}
{{- if or .ca.configMap .ca.secret .prefix }}
{{- fail "limits: ca and prefix have no effect without a URL; set limits.url or limits.existingSecret" }}
{{- end }}
{{- else if and (regexMatch "^(redis|valkey)://" .url) (or .ca.configMap .ca.secret) }}
{{- fail "limits.ca: redis:// uses no TLS, so the authorities have no effect; set limits.url to rediss://, or leave them out" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "gemini-grpc.check.tls" -}}
{{- if and (or .Values.tls.clientCRL.configMap .Values.tls.clientCRL.secret) (not (include "gemini-grpc.hasClientCA" .)) }}
{{- fail "tls.clientCRL: revocation lists have no effect without the authorities; set tls.clientCA.configMap or tls.clientCA.secret" }}
{{- end }}
{{- if and .Values.tls.enabled (not .Values.tls.secret) (not .Values.tls.certManager.enabled) }}
{{- fail "tls: TLS needs a certificate; set tls.secret or tls.certManager.enabled" }}
{{- end }}
{{- if and .Values.tls.secret .Values.tls.certManager.enabled }}
{{- fail "tls: secret and certManager.enabled are both set; keep one of them" }}
{{- end }}
{{- if and (not .Values.tls.enabled) (or .Values.tls.secret .Values.tls.certManager.enabled (include "gemini-grpc.hasClientCA" .)) }}
{{- fail "tls: certificates are set, but tls.enabled is false; set it to true" }}
{{- end }}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.certManager.issuerRef.name) }}
{{- fail "tls.certManager: the certificate needs an issuer; set tls.certManager.issuerRef, such as {name: internal, kind: ClusterIssuer}" }}
{{- end }}
{{- end }}

{{- define "gemini-grpc.check.pods" -}}
{{- $minimum := include "gemini-grpc.gracePeriod" . | int }}
{{- $grace := .Values.terminationGracePeriodSeconds }}
{{- if and (not (kindIs "invalid" $grace)) (lt (int $grace) $minimum) }}
{{- fail (printf "terminationGracePeriodSeconds: %d is too short, calls would be cut off; preStopSleep + config.drainTimeout + 10 s is %d; raise it or lower config.drainTimeout" (int $grace) $minimum) }}
{{- end }}
{{- if eq (int .Values.listen.adminPort) (int .Values.listen.port) }}
{{- fail "listen.adminPort: it is the same as listen.port; set another port" }}
{{- end }}
{{- $families := default list .Values.service.spec.ipFamilies }}
{{- if and (not (contains ":" .Values.listen.host)) (or (contains "DualStack" .Values.service.ipFamilyPolicy) (has "IPv6" $families)) }}
{{- fail (printf "listen.host: pods at %s do not accept IPv6, which service.ipFamilyPolicy or service.spec.ipFamilies asks for; set listen.host to [::], which serves both" .Values.listen.host) }}
{{- end }}
{{- $budget := .Values.podDisruptionBudget }}
{{- if not (or (kindIs "invalid" $budget.minAvailable) (kindIs "invalid" $budget.maxUnavailable)) }}
{{- fail "podDisruptionBudget: minAvailable and maxUnavailable are both set; keep one of them" }}
{{- end }}
{{- with .Values.autoscaling }}
{{- if .enabled }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
{{- fail (printf "autoscaling: minReplicas (%d) is more than maxReplicas (%d)" (int .minReplicas) (int .maxReplicas)) }}
{{- end }}
{{- $keda := eq .type "keda" }}
{{- if and (eq .type "hpa") (not (or .utilization .callsInFlight .cpuUtilization .metrics)) }}
{{- fail "autoscaling: an hpa needs at least one metric; set autoscaling.utilization, autoscaling.callsInFlight or autoscaling.cpuUtilization" }}
{{- end }}
{{- if and $keda (not (or .utilization .callsInFlight .keda.triggers)) }}
{{- fail "autoscaling: keda scales by utilization or by calls in flight; set autoscaling.utilization or autoscaling.callsInFlight to what a pod should have" }}
{{- end }}
{{- if and $keda (or .utilization .callsInFlight) (not .keda.serverAddress) }}
{{- fail "autoscaling: keda needs the URL of Prometheus; set autoscaling.keda.serverAddress" }}
{{- end }}
{{- if and (ne .type "external") .cpuUtilization (not (dig "requests" "cpu" "" $.Values.resources)) }}
{{- fail "autoscaling: cpuUtilization is a percentage of resources.requests.cpu, which is not set; set one, or set cpuUtilization to null" }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "gemini-grpc.check.cluster" -}}
{{- with .Values.monitoring }}
{{- if and .podMonitor.enabled .serviceMonitor.enabled }}
{{- fail "monitoring: podMonitor and serviceMonitor together would count every call twice; keep one of them" }}
{{- end }}
{{- if and .serviceMonitor.enabled (not $.Values.service.headless.enabled) }}
{{- fail "monitoring.serviceMonitor: it scrapes the metrics port of the headless Service; set service.headless.enabled, or use monitoring.podMonitor" }}
{{- end }}
{{- end }}
{{- if and .Values.route.enabled (not .Values.route.parentRefs) }}
{{- fail "route: a route needs a Gateway; set route.parentRefs, such as [{name: internal}]" }}
{{- end }}
{{- if and .Values.route.enabled .Values.route.rest.enabled }}
{{- if eq .Values.route.kind "HTTPRoute" }}
{{- fail "route.rest: the HTTPRoute of route.kind serves REST and gRPC-Web too; set route.rest.enabled to false, or route.kind to GRPCRoute" }}
{{- end }}
{{- if include "gemini-grpc.route.overlap" . }}
{{- fail "route.rest: a Gateway accepts only one of GRPCRoute and HTTPRoute for the same host name of a listener; set route.rest.hostnames to other names, or a sectionName in route.parentRefs and another one in route.rest.parentRefs, or only route.kind: HTTPRoute, which serves all calls under one name" }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "ingress: an Ingress needs a host name; set ingress.hosts" }}
{{- end }}
{{- $hosts := include "gemini-grpc.restHosts" . | fromYamlArray }}
{{- if .Values.ingress.rest.enabled }}
{{- if not $hosts }}
{{- fail "ingress.rest: an Ingress needs a host name; set ingress.rest.hosts" }}
{{- end }}
{{- if and .Values.ingress.enabled (include "gemini-grpc.ingress.mixed" .) }}
{{- fail "ingress.rest: ingress-nginx keeps connections to pods without noting their protocol, so with GRPC in one Ingress and HTTP in the other it would answer 502; set ingress.rest.enabled to false, because the Ingress with GRPC serves REST too, or set the annotation service-upstream of ingress-nginx on one of them" }}
{{- end }}
{{- range $hosts }}
{{- if and $.Values.ingress.enabled (has "/" $.Values.ingress.rest.paths) (has . $.Values.ingress.hosts) }}
{{- fail (printf "ingress.rest: the other Ingress serves the path / of %s already; set ingress.rest.hosts to other names, or ingress.rest.paths to longer paths" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
