"""Contradictory values are refused, with a message that names the value and says what to set."""

import pytest
from chart import refusal, template

KEY = {"existingSecret": "key"}
TOKENS = {"config": {"auth": "tokens"}, "apiKey": KEY, "callers": {"secret": "callers"}}
TLS = {"enabled": True, "secret": "tls"}
KEDA = {"enabled": True, "type": "keda", "callsInFlight": 9, "keda": {"serverAddress": "http://a"}}

# The refused values, the beginning of the message, and the change that makes them valid.
NGINX = "nginx.ingress.kubernetes.io"
CONTRADICTIONS = [
    (
        {"apiKey": {"value": "k", **KEY}, "config": {"auth": "none"}},
        "apiKey: the key can come from one place only; keep one of existingSecret, file and value",
        {"apiKey": {"value": ""}},
    ),
    ({"apiKey": KEY}, "config.auth: forward accepts every client that reaches the pods", {"config": {"auth": "none"}}),
    (
        {"config": {"auth": "tokens"}, "callers": {"secret": "a"}},
        "config.auth: tokens needs a key of the gateway",
        {"apiKey": KEY},
    ),
    (
        {"config": {"auth": "tokens"}, "apiKey": KEY},
        "config.auth: tokens needs the list of callers",
        {"callers": {"toml": "a"}},
    ),
    (
        {"config": {"auth": "mtls"}, "apiKey": KEY, "callers": {"secret": "a"}},
        "config.auth: mtls needs the authorities that sign client certificates",
        {"tls": {**TLS, "clientCA": {"secret": "ca"}}},
    ),
    (
        {"callers": {"toml": "a"}},
        "callers: they are used only if config.auth is",
        TOKENS | {"callers": {"toml": "a"}},
    ),
    (
        {**TOKENS, "callers": {"secret": "a", "toml": "b"}},
        "callers: the file can come from one place only; keep one of toml, configMap and secret",
        {"callers": {"toml": ""}},
    ),
    (
        {"catalog": {"configMap": "a", "secret": "b"}},
        "catalog: the file can come from one place only; keep one of toml, configMap and secret",
        {"catalog": {"secret": ""}},
    ),
    (
        {"tls": {**TLS, "clientCA": {"configMap": "a", "secret": "b"}}},
        "tls.clientCA: the file can come from one place only; keep one of configMap and secret",
        {"tls": {"clientCA": {"secret": ""}}},
    ),
    (
        {"limits": {"url": "rediss://a", "ca": {"configMap": "a", "secret": "b"}}},
        "limits.ca: the file can come from one place only; keep one of configMap and secret",
        {"limits": {"ca": {"secret": ""}}},
    ),
    (
        {"limits": {"url": "redis://a", "existingSecret": "b"}},
        "limits: the URL can come from one place only; keep one of url and existingSecret",
        {"limits": {"url": ""}},
    ),
    *(
        (
            {"limits": {"url": url}},
            "limits.url: Helm stores values with the release, so a URL with a user or a password must not be one of them",
            {"limits": {"url": "", "existingSecret": "a"}},
        )
        for url in ("redis://:secret@a", "rediss://user:secret@a:6380,b/1", "valkey://user@a?cluster=true")
    ),
    *(
        ({"limits": {"url": url}}, "limits.url: it must begin with redis:// or rediss:// and a host", {"limits": {"url": "redis://a"}})
        for url in ("valkey:6379", "http://valkey", "redis://", "redis:///1", " redis://a")
    ),
    *(
        ({"limits": {"url": "redis://a,b:1"}}, "limits.url: several hosts need ?cluster=true or ?sentinel=NAME", {"limits": {"url": url}})
        for url in ("redis://a", "redis://a,b:1?cluster=true", "valkeys://a,b:1/2?sentinel=main")
    ),
    *(
        ({"limits": without}, "limits: ca and prefix have no effect without a URL", {"limits": {"existingSecret": "a"}})
        for without in ({"prefix": "a"}, {"ca": {"secret": "a"}}, {"ca": {"configMap": "a"}})
    ),
    *(
        ({"limits": {"url": "redis://a", "ca": ca}}, "limits.ca: redis:// uses no TLS", {"limits": {"url": "rediss://a"}})
        for ca in ({"secret": "a"}, {"configMap": "a"})
    ),
    (
        {"upstreamTLS": {"ca": {"configMap": "a", "secret": "b"}}},
        "upstreamTLS.ca: the file can come from one place only",
        {"upstreamTLS": {"ca": {"secret": ""}}},
    ),
    (
        {"telemetry": {"otlp": {"endpoint": "http://a", "ca": {"configMap": "a", "secret": "b"}}}},
        "telemetry.otlp.ca: the file can come from one place only",
        {"telemetry": {"otlp": {"ca": {"secret": ""}}}},
    ),
    (
        {"tests": {"ca": {"configMap": "a", "secret": "b"}}},
        "tests.ca: the file can come from one place only",
        {"tests": {"ca": {"secret": ""}}},
    ),
    *(
        (
            {"telemetry": {"otlp": without}},
            "telemetry.otlp: headers and certificates have no effect without telemetry.otlp.endpoint",
            {"telemetry": {"otlp": {"endpoint": "http://a"}}},
        )
        for without in (
            {"headersSecret": "a"},
            {"ca": {"secret": "a"}},
            {"ca": {"configMap": "a"}},
            {"clientSecret": "a"},
        )
    ),
    (
        {"extraEnv": [{"name": "OTEL_SERVICE_NAME", "value": "a"}]},
        "extraEnv: OTEL_SERVICE_NAME is set by the chart",
        {"extraEnv": []},
    ),
    (
        {"extraEnv": [{"name": "MOUNTSEA_API_KEY", "value": "a"}]},
        "extraEnv: MOUNTSEA_API_KEY is set by the chart",
        {"extraEnv": []},
    ),
    (
        {"extraEnv": [{"name": "GEMINI_GRPC_MAX_CALLS", "value": "1"}]},
        "extraEnv: GEMINI_GRPC_MAX_CALLS has its own value in the chart",
        {"extraEnv": [{"name": "HTTPS_PROXY", "value": "http://a"}]},
    ),
    ({"tls": {"enabled": True}}, "tls: TLS needs a certificate", {"tls": {"secret": "a"}}),
    (
        {"tls": {**TLS, "certManager": {"enabled": True, "issuerRef": {"name": "a"}}}},
        "tls: secret and certManager.enabled are both set",
        {"tls": {"secret": ""}},
    ),
    (
        {"tls": {**TLS, "clientCRL": {"configMap": "a"}}},
        "tls.clientCRL: revocation lists have no effect without the authorities",
        {"tls": {"clientCA": {"configMap": "a"}}},
    ),
    *(
        ({"tls": unused}, "tls: certificates are set, but tls.enabled is false", {"tls": {"enabled": True, **TLS}})
        for unused in ({"secret": "a"}, {"clientCA": {"secret": "a"}}, {"clientCA": {"configMap": "a"}})
    ),
    (
        {"tls": {"certManager": {"enabled": True, "issuerRef": {"name": "a"}}}},
        "tls: certificates are set, but tls.enabled is false",
        {"tls": {"enabled": True}},
    ),
    (
        {"tls": {"enabled": True, "certManager": {"enabled": True}}},
        "tls.certManager: the certificate needs an issuer",
        {"tls": {"certManager": {"issuerRef": {"name": "a"}}}},
    ),
    (
        {"terminationGracePeriodSeconds": 589},
        "terminationGracePeriodSeconds: 589 is too short, calls would be cut off; preStopSleep + "
        "config.drainTimeout + 10 s is 590",
        {"config": {"drainTimeout": 579}},
    ),
    *(
        (
            {"listen": {"host": "0.0.0.0"}, "service": service},
            "listen.host: pods at 0.0.0.0 do not accept IPv6, which",
            {"listen": {"host": "[::]"}},
        )
        for service in (
            {"ipFamilyPolicy": "RequireDualStack"},
            {"ipFamilyPolicy": "PreferDualStack"},
            {"spec": {"ipFamilies": ["IPv6"]}},
        )
    ),
    ({"listen": {"adminPort": 50051}}, "listen.adminPort: it is the same as listen.port", {"listen": {"port": 50052}}),
    (
        {"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}},
        "podDisruptionBudget: minAvailable and maxUnavailable are both set",
        {"podDisruptionBudget": {"minAvailable": None}},
    ),
    (
        {"autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 4}},
        "autoscaling: minReplicas (5) is more than maxReplicas (4)",
        {"autoscaling": {"maxReplicas": 5}},
    ),
    *(
        (
            {"autoscaling": {"enabled": True, "cpuUtilization": None}},
            "autoscaling: an hpa needs at least one metric",
            {"autoscaling": mended},
        )
        for mended in ({"callsInFlight": 9}, {"utilization": 9})
    ),
    *(
        (
            {"autoscaling": {**KEDA, "callsInFlight": None}},
            "autoscaling: keda scales by utilization or by calls in flight",
            {"autoscaling": mended},
        )
        for mended in ({"callsInFlight": 9}, {"utilization": 9})
    ),
    *(
        (
            {"autoscaling": {**KEDA, "keda": {}, **by}},
            "autoscaling: keda needs the URL of Prometheus",
            {"autoscaling": {"keda": {"serverAddress": "http://a"}}},
        )
        for by in ({}, {"callsInFlight": None, "utilization": 9})
    ),
    (
        {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}},
        "autoscaling: cpuUtilization is a percentage of resources.requests.cpu, which is not set",
        {"resources": {"requests": {"cpu": "1"}}},
    ),
    (
        {"monitoring": {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}},
        "monitoring: podMonitor and serviceMonitor together would count every call twice",
        {"monitoring": {"podMonitor": {"enabled": False}}},
    ),
    (
        {"monitoring": {"serviceMonitor": {"enabled": True}}, "service": {"headless": {"enabled": False}}},
        "monitoring.serviceMonitor: it scrapes the metrics port of the headless Service",
        {"service": {"headless": {"enabled": True}}},
    ),
    ({"route": {"enabled": True}}, "route: a route needs a Gateway", {"route": {"parentRefs": [{"name": "a"}]}}),
    ({"ingress": {"enabled": True}}, "ingress: an Ingress needs a host name", {"ingress": {"hosts": ["a"]}}),
    (
        {"ingress": {"rest": {"enabled": True}}},
        "ingress.rest: an Ingress needs a host name",
        {"ingress": {"rest": {"hosts": ["a"]}}},
    ),
    *(
        (
            {"ingress": {"enabled": True, "hosts": ["b", "a"], "rest": {"enabled": True, "paths": ["/v1", "/"]}}},
            "ingress.rest: the other Ingress serves the path / of b already",
            mended,
        )
        for mended in ({"ingress": {"rest": {"hosts": ["c"]}}}, {"ingress": {"rest": {"paths": ["/v1"]}}}, {"ingress": {"enabled": False}})
    ),
    *(
        (
            {
                "ingress": {
                    **{"enabled": True, "hosts": ["a"], "annotations": {f"{NGINX}/backend-protocol": grpc, **service}},
                    "rest": {"enabled": True, "annotations": {**http, **service}},
                }
            },
            "ingress.rest: ingress-nginx keeps connections to pods without noting their protocol",
            mended,
        )
        for grpc, http, service, mended in (
            ("GRPC", {}, {}, {"ingress": {"rest": {"enabled": False}}}),
            ("GRPCS", {f"{NGINX}/backend-protocol": "HTTPS"}, {}, {"ingress": {"enabled": False}}),
            ("GRPC", {}, {}, {"ingress": {"annotations": {f"{NGINX}/service-upstream": "true"}}}),
            ("GRPC", {}, {}, {"ingress": {"rest": {"annotations": {f"{NGINX}/service-upstream": "true"}}}}),
            ("GRPC", {}, {}, {"ingress": {"rest": {"annotations": {f"{NGINX}/backend-protocol": "GRPC"}}}}),
            ("GRPC", {}, {f"{NGINX}/service-upstream": "true"}, {"service": {"httpPort": 80}}),
        )
    ),
    (
        {"route": {"enabled": True, "kind": "HTTPRoute", "parentRefs": [{"name": "a"}], "rest": {"enabled": True}}},
        "route.rest: the HTTPRoute of route.kind serves REST and gRPC-Web too",
        {"route": {"rest": {"enabled": False}}},
    ),
    *(
        ({**values, "config": {**values["config"], "corsOrigins": "*"}}, "config.corsOrigins: with * and config.auth: ", mended)
        for values in (
            {"config": {"auth": "none"}, "apiKey": {"existingSecret": "a"}},
            {
                "config": {"auth": "mtls"},
                "apiKey": {"existingSecret": "a"},
                "callers": {"secret": "a"},
                "tls": {"enabled": True, "secret": "a", "clientCA": {"secret": "b"}},
            },
        )
        for mended in (
            {"config": {"corsOrigins": "https://a.example"}},
            {"config": {"auth": "tokens"}, "callers": {"secret": "a"}},
        )
    ),
    ({"service": {"httpPort": 50051}}, "service.httpPort: it is the same as service.port", {"service": {"port": 80}}),
    (
        {"service": {"loadBalancerSourceRanges": ["10.0.0.0/8"]}},
        "service.loadBalancerSourceRanges: this is for a LoadBalancer only",
        {"service": {"type": "LoadBalancer"}},
    ),
]


def merged_values(values: dict, more: dict) -> dict:
    """Values merged with others that take precedence, as Helm merges them."""
    merged = dict(values)
    for key, value in more.items():
        old = merged.get(key)
        merged[key] = merged_values(old, value) if isinstance(old, dict) and isinstance(value, dict) and value else value
    return merged


@pytest.mark.parametrize("values, sentence, mended", CONTRADICTIONS, ids=[each[1][:60] for each in CONTRADICTIONS])
def test_a_contradiction_is_refused_until_it_is_fixed(values, sentence, mended):
    message = refusal(values)
    assert f": {sentence}" in message, message
    result = template(merged_values(values, mended))
    assert result.returncode == 0, result.stderr


def test_a_refusal_does_not_repeat_the_password():
    for url in ("redis://:secret@a", "http://:secret@a", "redis://:secret@a,b"):
        assert "secret" not in refusal({"limits": {"url": url}}).replace("existingSecret", "")


def test_variables_without_a_value_in_the_chart_are_accepted():
    names = ("HTTPS_PROXY", "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE")
    assert template({"extraEnv": [{"name": name, "value": "1"} for name in names]}).returncode == 0


@pytest.mark.parametrize(
    "values, names",
    [
        ({"config": {"maxCals": 1}}, "maxCals"),
        ({"config": {"maxCalls": 0}}, "/config/maxCalls"),
        ({"config": {"maxCalls": "many"}}, "/config/maxCalls"),
        ({"config": {"auth": "basic"}}, "/config/auth"),
        ({"config": {"drainTimeout": None}}, "drainTimeout"),
        ({"config": {"drainTimeout": 0}}, "/config/drainTimeout"),
        ({"config": {"upstreamUrl": "gemini.internal"}}, "/config/upstreamUrl"),
        ({"config": {"upstreamUrl": "https://a?key=b"}}, "/config/upstreamUrl"),
        ({"config": {"upstreamHttp": 3}}, "/config/upstreamHttp"),
        ({"config": {"upstreamMethods": "countTokens,tokens"}}, "/config/upstreamMethods"),
        ({"image": {"digest": "sha256:0"}}, "/image/digest"),
        ({"image": {"repository": "a:b"}}, "/image/repository"),
        ({"apiKey": {"value": "two words"}}, "/apiKey/value"),
        ({"apiKey": {"existingSecret": "Key"}}, "/apiKey/existingSecret"),
        ({"fullnameOverride": "a" * 51}, "/fullnameOverride"),
        ({"limits": {"url": 6379}}, "/limits/url"),
        ({"limits": {"url": "redis://a", "prefix": ""}}, "/limits/prefix"),
        ({"limits": {"existingSecret": "Limits"}}, "/limits/existingSecret"),
        ({"limits": {"password": "a"}}, "password"),
        ({"networkPolicy": {"limitsPorts": [0]}}, "/networkPolicy/limitsPorts/0"),
        ({"podLabels": {"a": 1}}, "/podLabels/a"),
        ({"listen": {"port": 443}}, "/listen/port"),
        ({"listen": {"host": "::"}}, "/listen/host"),
        ({"service": {"httpPort": 0}}, "/service/httpPort"),
        ({"ingress": {"rest": {"path": ["/"]}}}, "path"),
        ({"ingress": {"rest": {"paths": []}}}, "/ingress/rest/paths"),
        ({"ingress": {"rest": {"paths": ["v1"]}}}, "/ingress/rest/paths/0"),
        ({"route": {"rest": {"kind": "HTTPRoute"}}}, "kind"),
        ({"telemetry": {"captureMessageContent": "ALL"}}, "/telemetry/captureMessageContent"),
        ({"telemetry": {"sampler": "some"}}, "/telemetry/sampler"),
        ({"telemetry": {"samplerArg": 2}}, "/telemetry/samplerArg"),
        ({"telemetry": {"traces": "jaeger"}}, "/telemetry/traces"),
        ({"telemetry": {"otlp": {"endpoint": "collector:4317"}}}, "/telemetry/otlp/endpoint"),
        ({"networkPolicy": {"callers": [{"pods": {}}]}}, "/networkPolicy/callers/0"),
        ({"podDisruptionBudget": {"minAvailable": "half"}}, "/podDisruptionBudget/minAvailable"),
        ({"route": {"kind": "TCPRoute"}}, "/route/kind"),
        ({"autoscaling": {"type": "vpa"}}, "/autoscaling/type"),
        ({"autoscaling": {"utilization": 101}}, "/autoscaling/utilization"),
        ({"probes": {"readiness": {"grpc": {}}}}, "grpc"),
        ({"resources": "small"}, "/resources"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(values, names):
    message = refusal(values)
    assert "values don't meet the specifications of the schema" in message
    assert names in message, message


def test_a_cluster_that_is_too_old_is_refused():
    assert "incompatible with Kubernetes v1.29.9" in refusal({}, kube="1.29.9")
