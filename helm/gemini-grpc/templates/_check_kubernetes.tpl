{{/*
Values that the API server would reject are refused here, with a message, before anything is installed. The schema checks
the form of single values.
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
{{- fail (printf "the release's name: objects would be called %q, but the name of a Service must begin with a letter and may contain only lower-case letters, digits and hyphens; choose another name, or set fullnameOverride" $name) }}
{{- end }}
{{- end }}

{{- define "gemini-grpc.check.labels" -}}
{{- $key := "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$" }}
{{- $value := "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$" }}
{{- $allowed := "at most 63 letters, digits, '-', '_' and '.', and begins and ends with a letter or digit" }}
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
{{- fail (printf "%s: %q cannot be the key of a label; a key has %s, optionally after a domain and a slash" $path $name $allowed) }}
{{- end }}
{{- if not (regexMatch $value $text) }}
{{- fail (printf "%s: %q cannot be the value of label %s; a value has %s" $path $text $name $allowed) }}
{{- end }}
{{- if and (ne $path "nodeSelector") (has $name (list "app.kubernetes.io/name" "app.kubernetes.io/instance")) }}
{{- fail (printf "%s: the chart sets %s, by which pods are selected; leave it out (see nameOverride)" $path $name) }}
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
  "route.rest.annotations" .Values.route.rest.annotations
  "ingress.annotations" .Values.ingress.annotations
  "ingress.rest.annotations" .Values.ingress.rest.annotations
  "monitoring.dashboard.annotations" .Values.monitoring.dashboard.annotations
  "tests.podAnnotations" .Values.tests.podAnnotations }}
{{- range $name, $_ := $map }}
{{- if not (regexMatch $key (lower $name)) }}
{{- fail (printf "%s: %q cannot be the key of an annotation; a key has %s, optionally after a domain and a slash" $path $name $allowed) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "gemini-grpc.check.service" -}}
{{- with .Values.service }}
{{- $own := list "type" "clusterIP" "loadBalancerClass" "loadBalancerSourceRanges" "trafficDistribution" "ipFamilyPolicy" }}
{{- range $key := $own }}
{{- if hasKey $.Values.service.spec $key }}
{{- fail (printf "service.spec: %s has its own value; set service.%s" $key $key) }}
{{- end }}
{{- end }}
{{- if or (hasKey .spec "selector") (hasKey .headless.spec "selector") }}
{{- fail "service.spec: the chart sets selector, so that calls reach its pods; leave it out" }}
{{- end }}
{{- if has .type (list "NodePort" "LoadBalancer") }}
{{- if eq .clusterIP "None" }}
{{- fail (printf "service.clusterIP: None is allowed for a ClusterIP only, and service.type is %s; leave it out (the headless Service is service.headless)" .type) }}
{{- end }}
{{- else if .nodePort }}
{{- fail "service.nodePort: a ClusterIP has no node port; set service.type to NodePort or LoadBalancer" }}
{{- else if and .spec.externalTrafficPolicy (not .spec.externalIPs) }}
{{- fail "service.spec: externalTrafficPolicy is for calls from outside of the cluster; set service.type to NodePort or LoadBalancer" }}
{{- end }}
{{- if and (hasKey .spec "allocateLoadBalancerNodePorts") (ne .type "LoadBalancer") }}
{{- fail "service.spec: allocateLoadBalancerNodePorts is for a LoadBalancer only; set service.type to LoadBalancer" }}
{{- end }}
{{- $ports := list (int .port) }}
{{- $names := list "grpc" }}
{{- with .httpPort }}
{{- if has (int .) $ports }}
{{- fail "service.httpPort: it is the same as service.port; set another port, or leave it out" }}
{{- end }}
{{- $ports = append $ports (int .) }}
{{- $names = append $names "http" }}
{{- end }}
{{- range .spec.ports }}
{{- if not (has .name $names) }}
{{- if or (not .port) (has (int .port) $ports) }}
{{- fail (printf "service.spec.ports: %q needs a port that no other entry has" .name) }}
{{- end }}
{{- $ports = append $ports (int .port) }}
{{- end }}
{{- end }}
{{- range $key := list "loadBalancerClass" "loadBalancerSourceRanges" }}
{{- if and (index $.Values.service $key) (ne $.Values.service.type "LoadBalancer") }}
{{- fail (printf "service.%s: this is for a LoadBalancer only; set service.type to LoadBalancer" $key) }}
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
{{- fail (printf "%s: the chart sets %s itself; use the chart's value for it (helm/gemini-grpc/README.md)" $path $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.preStopSleep (dig "lifecycle" "preStop" nil .Values.containerSpec) }}
{{- fail "containerSpec: lifecycle.preStop and preStopSleep are both set, and a container has one preStop hook; keep one of them" }}
{{- end }}
{{- if and (eq .Values.dnsPolicy "None") (not .Values.dnsConfig.nameservers) }}
{{- fail "dnsPolicy: None needs name servers; set dnsConfig.nameservers, or another dnsPolicy" }}
{{- end }}
{{- $names := list "gemini-grpc" }}
{{- range concat .Values.initContainers .Values.extraContainers }}
{{- if has .name $names }}
{{- fail (printf "extraContainers, initContainers: the name %q is used by another container; choose another name (gemini-grpc is the chart's)" .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- $variables := list }}
{{- range .Values.extraEnv }}
{{- if has .name $variables }}
{{- fail (printf "extraEnv: %s is set twice; keep one of them" .name) }}
{{- end }}
{{- if and .value .valueFrom }}
{{- fail (printf "extraEnv: %s has both value and valueFrom; keep one of them" .name) }}
{{- end }}
{{- $variables = append $variables .name }}
{{- end }}
{{- range .Values.extraEnvFrom }}
{{- if eq (hasKey . "configMapRef") (hasKey . "secretRef") }}
{{- fail "extraEnvFrom: each entry needs either configMapRef or secretRef, and not both" }}
{{- end }}
{{- end }}
{{- range $probe, $of := .Values.probes }}
{{- if gt (len (compact (list $of.exec $of.grpc $of.httpGet $of.tcpSocket))) 1 }}
{{- fail (printf "probes.%s: a probe has one action; keep one of exec, grpc, httpGet and tcpSocket" $probe) }}
{{- end }}
{{- end }}
{{- range .Values.tolerations }}
{{- $exists := eq (default "Equal" .operator) "Exists" }}
{{- if and $exists .value }}
{{- fail "tolerations: operator Exists matches any value; leave out value, or set operator to Equal" }}
{{- end }}
{{- if not (or $exists .key) }}
{{- fail "tolerations: an entry without a key matches taints of any key, and needs operator Exists; set key or operator" }}
{{- end }}
{{- if and (hasKey . "tolerationSeconds") (ne (default "" .effect) "NoExecute") }}
{{- fail "tolerations: tolerationSeconds is for effect NoExecute only; set effect, or leave it out" }}
{{- end }}
{{- end }}
{{- $spread := list }}
{{- range include "gemini-grpc.topologySpread" . | fromYamlArray }}
{{- $pair := printf "%s %s" .topologyKey .whenUnsatisfiable }}
{{- if has $pair $spread }}
{{- fail (printf "topologySpreadConstraints: %s with whenUnsatisfiable: %s is set twice; keep one of them" .topologyKey .whenUnsatisfiable) }}
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
{{- fail (printf "extraVolumes: the name %q is used by another volume; choose another name (files is the chart's)" .name) }}
{{- end }}
{{- $volumes = append $volumes .name }}
{{- end }}
{{- $own := dict "name" "gemini-grpc" "volumeMounts" .Values.extraVolumeMounts }}
{{- range $container := concat (list $own) .Values.initContainers .Values.extraContainers }}
{{- $paths := list }}
{{- range $container.volumeMounts }}
{{- if not (has .name $volumes) }}
{{- fail (printf "extraVolumeMounts: container %s mounts the volume %q, which does not exist; add it to extraVolumes" $container.name .name) }}
{{- end }}
{{- if has .mountPath $paths }}
{{- fail (printf "extraVolumeMounts: container %s mounts two volumes at %s; choose another mountPath" $container.name .mountPath) }}
{{- end }}
{{- $paths = append $paths .mountPath }}
{{- end }}
{{- end }}
{{- range .Values.extraVolumeMounts }}
{{- if hasPrefix "/etc/gemini-grpc/" (printf "%s/" (clean (print "/" .mountPath))) }}
{{- fail (printf "extraVolumeMounts: the chart mounts its files at /etc/gemini-grpc, so nothing else can be mounted at %s; choose another mountPath" .mountPath) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Checks the names and amounts of resources. Arguments: (list path resources). */}}
{{- define "gemini-grpc.check.resources" -}}
{{- $path := index . 0 }}
{{- $requests := default dict (index . 1).requests }}
{{- $limits := default dict (index . 1).limits }}
{{- range $name, $_ := merge (dict) $requests $limits }}
{{- if not (regexMatch "^(cpu|memory|ephemeral-storage|hugepages-.+|.+/.+)$" $name) }}
{{- fail (printf "%s: %q is not a resource; use cpu, memory, ephemeral-storage, hugepages-SIZE, or a vendor's resource with a domain and a slash" $path $name) }}
{{- end }}
{{- $request := get $requests $name }}
{{- $limit := get $limits $name }}
{{- if and (contains "/" $name) $request (not $limit) }}
{{- fail (printf "%s: requests.%s needs an equal limit; set limits.%s to the same amount" $path $name $name) }}
{{- end }}
{{- if and $request $limit (gt (include "gemini-grpc.quantity" $request | float64) (include "gemini-grpc.quantity" $limit | float64)) }}
{{- fail (printf "%s: requests.%s (%v) is more than limits.%s (%v); raise the limit, or lower the request" $path $name $request $name $limit) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The number that a Kubernetes quantity, such as 250m or 512Mi, stands for. */}}
{{- define "gemini-grpc.quantity" -}}
{{- $text := include "gemini-grpc.text" . }}
{{- $number := regexFind "^[0-9.]+([eE][+-]?[0-9]+)?" $text }}
{{- $factors := dict "" 1 "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18
  "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 }}
{{- mulf ($number | float64) (get $factors (trimPrefix $number $text)) }}
{{- end }}
