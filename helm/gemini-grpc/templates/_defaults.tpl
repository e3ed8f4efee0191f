{{/*
Helm deletes a value that is null, and a map is null when all lines below it are commented out. This restores the defaults,
so that templates find each map and list. It is the first line of every template. A null has a meaning in three places: in
`config` it means the program's own default, in maps that Kubernetes gets unchanged it removes the entry, and replicaCount
and autoscaling.cpuUtilization may be null.
*/}}
{{- define "gemini-grpc.fill" }}
{{- include "gemini-grpc.prune" .Values }}
{{- include "gemini-grpc.fillMap" (list .Values (include "gemini-grpc.defaults" . | fromYaml) "") }}
{{- end }}

{{/* Removes the nulls that Helm keeps: those of keys without a default, which another file of values may have set. */}}
{{- define "gemini-grpc.prune" }}
{{- $map := . }}
{{- range $key, $value := $map }}
{{- if kindIs "map" $value }}
{{- include "gemini-grpc.prune" $value }}
{{- else if kindIs "invalid" $value }}
{{- $_ := unset $map $key }}
{{- end }}
{{- end }}
{{- end }}

{{/* Adds the defaults that a map lacks. Arguments: (list map defaults path), where the path of the map ends with a dot. */}}
{{- define "gemini-grpc.fillMap" }}
{{- $unchanged := list "config" "autoscaling.behavior" "monitoring.dashboard.labels" "resources" "strategy"
  "podSecurityContext" "securityContext" "probes.startup" "probes.readiness" "probes.liveness" }}
{{- $values := index . 0 }}
{{- $path := index . 2 }}
{{- range $key, $default := index . 1 }}
{{- $value := index $values $key }}
{{- $here := print $path $key }}
{{- if kindIs "map" $value }}
{{- if not (has $here $unchanged) }}
{{- include "gemini-grpc.fillMap" (list $value $default (print $here ".")) }}
{{- end }}
{{- else if and (kindIs "invalid" $value) (not (has $here (list "replicaCount" "autoscaling.cpuUtilization"))) }}
{{- $_ := set $values $key $default }}
{{- end }}
{{- end }}
{{- end }}

{{/* values.yaml without comments and nulls, written by a test: `GOLDEN=write pytest tests/chart/test_nulls.py`. */}}
{{- define "gemini-grpc.defaults" }}
nameOverride: ''
fullnameOverride: ''
namespaceOverride: ''
commonLabels: {}
commonAnnotations: {}
image:
  registry: ''
  repository: ghcr.io/mountsea/gemini-grpc
  tag: ''
  digest: ''
  pullPolicy: IfNotPresent
imagePullSecrets: []
replicaCount: 2
sandbox: false
apiKey:
  existingSecret: ''
  existingSecretKey: api-key
  file: ''
  value: ''
config:
  workers: 2
  corsOrigins: ''
  connectionAge: 45
  drainDelay: 5
  drainTimeout: 580
  auth: forward
  logFormat: json
callers:
  toml: ''
  configMap: ''
  secret: ''
  key: callers.toml
catalog:
  toml: ''
  configMap: ''
  secret: ''
  key: catalog.toml
limits:
  url: ''
  existingSecret: ''
  existingSecretKey: url
  ca:
    configMap: ''
    secret: ''
    key: ca.crt
logFilter: ''
tls:
  enabled: false
  secret: ''
  clientCA:
    configMap: ''
    secret: ''
    key: ca.crt
  clientCRL:
    configMap: ''
    secret: ''
    key: ca.crl
  certManager:
    enabled: false
    issuerRef: {}
    dnsNames: []
    duration: ''
    renewBefore: ''
upstreamTLS:
  ca:
    configMap: ''
    secret: ''
    key: ca.crt
  clientSecret: ''
telemetry:
  disabled: false
  serviceName: gemini-grpc
  resourceAttributes: {}
  sampler: ''
  samplerArg: ''
  otlp:
    endpoint: ''
    protocol: grpc
    headersSecret: ''
    headersSecretKey: headers
    ca:
      configMap: ''
      secret: ''
      key: ca.crt
    clientSecret: ''
listen:
  host: '[::]'
  port: 50051
  adminPort: 9464
service:
  type: ClusterIP
  port: 50051
  appProtocol: kubernetes.io/h2c
  annotations: {}
  labels: {}
  clusterIP: ''
  loadBalancerClass: ''
  loadBalancerSourceRanges: []
  trafficDistribution: ''
  ipFamilyPolicy: ''
  spec: {}
  headless:
    enabled: true
    annotations: {}
    spec: {}
autoscaling:
  enabled: false
  type: hpa
  minReplicas: 2
  maxReplicas: 10
  cpuUtilization: 70
  metrics: []
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 300
      policies:
      - type: Pods
        value: 1
        periodSeconds: 60
  keda:
    serverAddress: ''
    query: ''
    authenticationRef: ''
    fallback: {}
    triggers: []
podDisruptionBudget:
  enabled: true
networkPolicy:
  enabled: false
  callers:
  - podSelector: {}
  gateways: []
  scrapers:
  - namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: monitoring
  dns: []
  dnsPorts:
  - 53
  - 5353
  upstream: []
  upstreamPorts: []
  proxy: []
  proxyPorts: []
  collector: []
  collectorPorts: []
  limits: []
  limitsPorts: []
  extraIngress: []
  extraEgress: []
monitoring:
  podMonitor:
    enabled: false
    zone: false
    labels: {}
    interval: ''
    relabelings: []
    metricRelabelings: []
  serviceMonitor:
    enabled: false
    zone: false
    labels: {}
    interval: ''
    relabelings: []
    metricRelabelings: []
  prometheusRule:
    enabled: false
    labels: {}
    alertLabels: {}
    alerts: {}
    runbookUrl: https://github.com/mountsea/gemini-grpc/blob/main/docs/alerts.md
    selector: ''
  dashboard:
    enabled: false
    title: ''
    uid: ''
    labels:
      grafana_dashboard: '1'
    annotations: {}
route:
  enabled: false
  kind: GRPCRoute
  annotations: {}
  parentRefs: []
  hostnames: []
  matches: []
  filters: []
  rest:
    enabled: false
    annotations: {}
    parentRefs: []
    hostnames: []
    matches: []
    filters: []
  backendTLS:
    enabled: true
    hostname: ''
    caConfigMap: ''
  envoyGateway:
    enabled: false
    namespace: envoy-gateway-system
  istio:
    enabled: false
ingress:
  enabled: false
  className: ''
  annotations: {}
  hosts: []
  tlsSecret: ''
  rest:
    enabled: false
    annotations: {}
    hosts: []
    paths:
    - /v1
    - /v1beta
    - /gemini
    tlsSecret: ''
serviceAccount:
  create: true
  automount: false
  name: ''
  annotations: {}
resources:
  requests:
    cpu: 250m
    memory: 512Mi
  limits:
    memory: 512Mi
probes:
  startup:
    periodSeconds: 1
    timeoutSeconds: 2
    failureThreshold: 30
    terminationGracePeriodSeconds: 30
  readiness:
    periodSeconds: 5
    timeoutSeconds: 2
    failureThreshold: 2
  liveness:
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 3
    terminationGracePeriodSeconds: 30
preStopSleep: 0
strategy:
  type: RollingUpdate
  rollingUpdate:
    maxUnavailable: 0
    maxSurge: 1
revisionHistoryLimit: 5
minReadySeconds: 0
topologySpread: true
topologySpreadConstraints: []
nodeSelector: {}
tolerations: []
affinity: {}
priorityClassName: ''
runtimeClassName: ''
dnsPolicy: ''
dnsConfig: {}
hostAliases: []
podSpec: {}
containerSpec: {}
deploymentAnnotations: {}
deploymentLabels: {}
podAnnotations: {}
podLabels: {}
podSecurityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop:
    - ALL
tests:
  enabled: true
  model: gemini-2.5-flash
  podAnnotations: {}
  podLabels: {}
  resources:
    requests:
      cpu: 50m
      memory: 64Mi
    limits:
      memory: 64Mi
  existingSecret: ''
  existingSecretKey: api-key
  clientSecret: ''
  ca:
    configMap: ''
    secret: ''
    key: ca.crt
extraArgs: []
extraEnv: []
extraEnvFrom: []
extraVolumes: []
extraVolumeMounts: []
initContainers: []
extraContainers: []
extraObjects: []
{{- end }}
