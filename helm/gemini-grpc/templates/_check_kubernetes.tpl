{{/*
What the API server would refuse, with a sentence before anything is installed. Forms of single values are in the schema.
*/}}
{{- define "gemini-grpc.check.kubernetes" -}}
{{- include "gemini-grpc.check.names" . }}
{{- include "gemini-grpc.check.labels" . }}
{{- include "gemini-grpc.check.service" . }}
{{- include "gemini-grpc.check.deployment" . }}
{{- include "gemini-grpc.check.volumes" . }}
{{- include "gemini-grpc.check.resources" (list "resources" .Values.resources) }}
{{- include "gemini-grpc.check.resources" (list "tests.resources" .Values.tests.resources) }}
{{- end }}

{{- define "gemini-grpc.check.names" -}}
{{- $name := include "gemini-grpc.fullname" . }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
{{- fail (printf "the release's name: objects would be called %q, but the name of a Service begins with a letter and has lower-case letters, digits and hyphens only; choose another name, or set fullnameOverride" $name) }}
{{- end }}
{{- end }}

{{- define "gemini-grpc.check.labels" -}}
{{- $key := "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$" }}
{{- $value := "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$" }}
{{- $allowed := "63 letters, digits, '-', '_' and '.' at most, the first and the last one a letter or digit" }}
{{- $labels := dict
  "commonLabels" .Values.commonLabels
  "deploymentLabels" .Values.deploymentLabels
  "podLabels" .Values.podLabels
  "service.labels" .Values.service.labels
  "tests.podLabels" .Values.tests.podLabels
  "monitoring.podMonitor.labels" .Values.monitoring.podMonitor.labels
  "monitoring.serviceMonitor.labels" .Values.monitoring.serviceMonitor.labels
  "monitoring.prometheusRule.labels" .Values.monitoring.prometheusRule.labels
  "monitoring.dashboard.labels" .Values.monitoring.dashboard.labels }}
{{- range $path, $map := merge (dict "nodeSelector" .Values.nodeSelector) $labels }}
{{- range $name, $text := $map }}
{{- if or (not (regexMatch $key $name)) (gt (len (regexFind "^.*/" $name)) 254) }}
{{- fail (printf "%s: %q cannot be the key of a label; it has %s, and may have a domain and a slash before that" $path $name $allowed) }}
{{- end }}
{{- if not (regexMatch $value $text) }}
{{- fail (printf "%s: %q cannot be the value of label %s; it has %s" $path $text $name $allowed) }}
{{- end }}
{{- if and (ne $path "nodeSelector") (has $name (list "app.kubernetes.io/name" "app.kubernetes.io/instance")) }}
{{- fail (printf "%s: pods are selected by %s, which the chart sets; leave it out (see nameOverride)" $path $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $path, $map := dict
  "commonAnnotations" .Values.commonAnnotations
  "deploymentAnnotations" .Values.deploymentAnnotations
  "podAnnotations" .Values.podAnnotations
  "service.annotations" .Values.service.annotations
  "service.headless.annotations" .Values.service.headless.annotations
  "serviceAccount.annotations" .Values.serviceAccount.annotations
  "route.annotations" .Values.route.annotations
  "ingress.annotations" .Values.ingress.annotations
  "monitoring.dashboard.annotations" .Values.monitoring.dashboard.annotations
  "tests.podAnnotations" .Values.tests.podAnnotations }}
{{- range $name, $_ := $map }}
{{- if not (regexMatch $key (lower $name)) }}
{{- fail (printf "%s: %q cannot be the key of an annotation; it has %s, and may have a domain and a slash before that" $path $name $allowed) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "gemini-grpc.check.service" -}}
{{- with .Values.service }}
{{- $own := list "type" "clusterIP" "loadBalancerClass" "loadBalancerSourceRanges" "trafficDistribution" "ipFamilyPolicy" }}
{{- range $key := $own }}
{{- if hasKey $.Values.service.spec $key }}
{{- fail (printf "service.spec: %s has a value of its own; set service.%s" $key $key) }}
{{- end }}
{{- end }}
{{- if or (hasKey .spec "selector") (hasKey .headless.spec "selector") }}
{{- fail "service.spec: selector is the chart's, so that calls reach its pods; leave it out" }}
{{- end }}
{{- if has .type (list "NodePort" "LoadBalancer") }}
{{- if eq .clusterIP "None" }}
{{- fail (printf "service.clusterIP: None is for a ClusterIP only, and service.type is %s; leave it out (the headless Service is service.headless)" .type) }}
{{- end }}
{{- else if .nodePort }}
{{- fail "service.nodePort: a ClusterIP has none; set service.type to NodePort or LoadBalancer" }}
{{- else if and .spec.externalTrafficPolicy (not .spec.externalIPs) }}
{{- fail "service.spec: externalTrafficPolicy is for what comes from outside; set service.type to NodePort or LoadBalancer" }}
{{- end }}
{{- if and (hasKey .spec "allocateLoadBalancerNodePorts") (ne .type "LoadBalancer") }}
{{- fail "service.spec: allocateLoadBalancerNodePorts is for a LoadBalancer; set service.type" }}
{{- end }}
{{- $ports := list (int .port) }}
{{- range .spec.ports }}
{{- if ne .name "grpc" }}
{{- if or (not .port) (has (int .port) $ports) }}
{{- fail (printf "service.spec.ports: %q needs a port that no other one has" .name) }}
{{- end }}
{{- $ports = append $ports (int .port) }}
{{- end }}
{{- end }}
{{- range $key := list "loadBalancerClass" "loadBalancerSourceRanges" }}
{{- if and (index $.Values.service $key) (ne $.Values.service.type "LoadBalancer") }}
{{- fail (printf "service.%s: only a LoadBalancer has that; set service.type" $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "gemini-grpc.check.deployment" -}}
{{- $rolling := .Values.strategy.rollingUpdate }}
{{- if and (ne .Values.strategy.type "Recreate") $rolling (regexMatch "^0+%?$" (toString $rolling.maxSurge)) (regexMatch "^0+%?$" (toString $rolling.maxUnavailable)) }}
{{- fail "strategy.rollingUpdate: maxSurge and maxUnavailable are both 0, so no pod could be replaced; raise maxSurge" }}
{{- end }}
{{- range $path, $own := dict
  "podSpec" (list "serviceAccountName" "serviceAccount" "automountServiceAccountToken" "enableServiceLinks"
    "terminationGracePeriodSeconds" "securityContext" "imagePullSecrets" "initContainers" "containers" "volumes"
    "topologySpreadConstraints" "nodeSelector" "tolerations" "affinity" "priorityClassName" "runtimeClassName"
    "dnsPolicy" "dnsConfig" "hostAliases" "restartPolicy" "activeDeadlineSeconds")
  "containerSpec" (list "name" "image" "imagePullPolicy" "args" "env" "envFrom" "ports" "startupProbe" "readinessProbe"
    "livenessProbe" "resources" "securityContext" "volumeMounts") }}
{{- range $key := $own }}
{{- if hasKey (index $.Values $path) $key }}
{{- fail (printf "%s: the chart sets %s itself; use the value that it has for it (helm/gemini-grpc/README.md)" $path $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.preStopSleep (dig "lifecycle" "preStop" nil .Values.containerSpec) }}
{{- fail "containerSpec: preStopSleep is a preStop hook too; keep one of them" }}
{{- end }}
{{- if and (eq .Values.dnsPolicy "None") (not .Values.dnsConfig.nameservers) }}
{{- fail "dnsPolicy: None needs to know whom to ask; set dnsConfig.nameservers, or another dnsPolicy" }}
{{- end }}
{{- $names := list "gemini-grpc" }}
{{- range concat .Values.initContainers .Values.extraContainers }}
{{- if has .name $names }}
{{- fail (printf "extraContainers, initContainers: %q is the name of another container; choose one that is not gemini-grpc or used twice" .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- $variables := list }}
{{- range .Values.extraEnv }}
{{- if has .name $variables }}
{{- fail (printf "extraEnv: %s is there twice; keep one of them" .name) }}
{{- end }}
{{- if and .value .valueFrom }}
{{- fail (printf "extraEnv: %s has value and valueFrom; keep one of them" .name) }}
{{- end }}
{{- $variables = append $variables .name }}
{{- end }}
{{- range .Values.extraEnvFrom }}
{{- if eq (hasKey . "configMapRef") (hasKey . "secretRef") }}
{{- fail "extraEnvFrom: each entry has a configMapRef or a secretRef, and not both" }}
{{- end }}
{{- end }}
{{- range $probe, $of := .Values.probes }}
{{- if gt (len (compact (list $of.exec $of.grpc $of.httpGet $of.tcpSocket))) 1 }}
{{- fail (printf "probes.%s: a probe asks in one way; keep one of exec, grpc, httpGet and tcpSocket" $probe) }}
{{- end }}
{{- end }}
{{- range .Values.tolerations }}
{{- $exists := eq (default "Equal" .operator) "Exists" }}
{{- if and $exists .value }}
{{- fail "tolerations: operator Exists goes with any value; leave out value, or set operator to Equal" }}
{{- end }}
{{- if not (or $exists .key) }}
{{- fail "tolerations: without a key a taint of any key is meant; set key, or operator to Exists" }}
{{- end }}
{{- if and (hasKey . "tolerationSeconds") (ne (default "" .effect) "NoExecute") }}
{{- fail "tolerations: tolerationSeconds is for effect NoExecute; set effect, or leave it out" }}
{{- end }}
{{- end }}
{{- $spread := list }}
{{- range include "gemini-grpc.topologySpread" . | fromYamlArray }}
{{- $pair := printf "%s %s" .topologyKey .whenUnsatisfiable }}
{{- if has $pair $spread }}
{{- fail (printf "topologySpreadConstraints: %s with whenUnsatisfiable: %s is there twice; keep one of them" .topologyKey .whenUnsatisfiable) }}
{{- end }}
{{- $spread = append $spread $pair }}
{{- if and .minDomains (ne .whenUnsatisfiable "DoNotSchedule") }}
{{- fail (printf "topologySpreadConstraints: minDomains of %s needs whenUnsatisfiable: DoNotSchedule; set it, or leave out minDomains" .topologyKey) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "gemini-grpc.check.volumes" -}}
{{- $volumes := list "files" }}
{{- range .Values.extraVolumes }}
{{- if has .name $volumes }}
{{- fail (printf "extraVolumes: %q is the name of another volume; choose one that is not files or used twice" .name) }}
{{- end }}
{{- $volumes = append $volumes .name }}
{{- end }}
{{- $own := dict "name" "gemini-grpc" "volumeMounts" .Values.extraVolumeMounts }}
{{- range $container := concat (list $own) .Values.initContainers .Values.extraContainers }}
{{- $paths := list }}
{{- range $container.volumeMounts }}
{{- if not (has .name $volumes) }}
{{- fail (printf "extraVolumeMounts: container %s mounts the volume %q, which is not there; add it to extraVolumes" $container.name .name) }}
{{- end }}
{{- if has .mountPath $paths }}
{{- fail (printf "extraVolumeMounts: container %s mounts two volumes at %s; choose another mountPath" $container.name .mountPath) }}
{{- end }}
{{- $paths = append $paths .mountPath }}
{{- end }}
{{- end }}
{{- range .Values.extraVolumeMounts }}
{{- if hasPrefix "/etc/gemini-grpc/" (printf "%s/" (clean (print "/" .mountPath))) }}
{{- fail (printf "extraVolumeMounts: %s is where the chart mounts its files, and nothing can be mounted in there; choose another mountPath" .mountPath) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Names and amounts of resources: (list path resources). */}}
{{- define "gemini-grpc.check.resources" -}}
{{- $path := index . 0 }}
{{- $requests := default dict (index . 1).requests }}
{{- $limits := default dict (index . 1).limits }}
{{- range $name, $_ := merge (dict) $requests $limits }}
{{- if not (regexMatch "^(cpu|memory|ephemeral-storage|hugepages-.+|.+/.+)$" $name) }}
{{- fail (printf "%s: %q is no resource; there are cpu, memory, ephemeral-storage and hugepages, and those of vendors, which have a domain and a slash" $path $name) }}
{{- end }}
{{- $request := get $requests $name }}
{{- $limit := get $limits $name }}
{{- if and (contains "/" $name) $request (not $limit) }}
{{- fail (printf "%s: requests.%s needs an equal limit; set limits.%s" $path $name $name) }}
{{- end }}
{{- if and $request $limit (gt (include "gemini-grpc.quantity" $request | float64) (include "gemini-grpc.quantity" $limit | float64)) }}
{{- fail (printf "%s: requests.%s (%v) is more than limits.%s (%v); raise the limit, or lower the request" $path $name $request $name $limit) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The number that a quantity such as 250m or 512Mi stands for. */}}
{{- define "gemini-grpc.quantity" -}}
{{- $text := include "gemini-grpc.text" . }}
{{- $number := regexFind "^[0-9.]+([eE][+-]?[0-9]+)?" $text }}
{{- $factors := dict "" 1 "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18
  "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 }}
{{- mulf ($number | float64) (get $factors (trimPrefix $number $text)) }}
{{- end }}
