"""Routes of the Gateway API, and the settings of gateways and meshes for long calls."""

import pytest
from argo import differences
from chart import NAME, NAMESPACE, NEWEST, find, kinds, render
from schemas import check, stored

TLS = {"tls": {"enabled": True, "secret": "tls"}}
BACKEND = {"group": "", "kind": "Service", "name": NAME, "port": 50051, "weight": 1}
GATEWAY = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "a"}
PATH = {"path": {"type": "PathPrefix", "value": "/"}}


def values(kind="GRPCRoute", **more) -> dict:
    return {"route": {"enabled": True, "kind": kind, "parentRefs": [{"name": "a"}], **more}}


def spec(kind="GRPCRoute", **more) -> dict:
    return find(render(values(kind, **more)), kind)["spec"]


def test_a_route_has_the_defaults_of_the_api_server_and_no_timeout_for_streams():
    # In the standard channel, a GRPCRoute has no timeouts.
    assert spec() == {"parentRefs": [GATEWAY], "rules": [{"backendRefs": [BACKEND]}]}
    (rule,) = spec("HTTPRoute")["rules"]
    assert rule == {"matches": [PATH], "backendRefs": [BACKEND], "timeouts": {"request": "0s"}}


MIRROR = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "b", "port": 1}}}
OFTEN_LEFT_OUT = {
    "a parent that is a Service": {"parentRefs": [{"group": "", "kind": "Service", "name": "a"}]},
    "a section of a parent": {"parentRefs": [{"name": "a", "namespace": "b", "sectionName": "c"}, {"name": "d"}]},
    "a header": {"matches": [{"headers": [{"name": "a", "value": "b"}]}]},
    "two matches": {"matches": [{"headers": [{"name": "a", "value": "b"}]}, {"headers": [{"name": "c", "value": "d"}]}]},
    "a mirror": {"filters": [MIRROR]},
    "a mirror of a part": {"filters": [{**MIRROR, "requestMirror": {**MIRROR["requestMirror"], "fraction": {"numerator": 1}}}]},
    "headers to set": {
        "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}]}}]
    },
}
OF_GRPC = {
    "a service": {"matches": [{"method": {"service": "a"}}]},
    "a method": {"matches": [{"method": {"method": "A"}, "headers": [{"name": "a", "value": "b"}]}]},
}
OF_HTTP = {
    "a path": {"matches": [{"path": {"value": "/a"}}]},
    "the kind of a path": {"matches": [{"path": {"type": "Exact"}}]},
    "a query": {"matches": [{"queryParams": [{"name": "a", "value": "b"}]}]},
    "a redirect": {"filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": "a"}}]},
    "another origin": {"filters": [{"type": "CORS", "cors": {"allowOrigins": ["*"]}}]},
}


@pytest.mark.parametrize(
    "kind, more",
    [
        pytest.param(kind, more, id=f"{kind}: {name}")
        for kind, own in (("GRPCRoute", OF_GRPC), ("HTTPRoute", OF_HTTP))
        for name, more in {**OFTEN_LEFT_OUT, **own}.items()
    ],
)
def test_defaults_that_are_left_out_of_a_route_are_written_out(kind, more):
    route = find(render(values(kind, **more)), kind)
    assert differences(route, stored(route)) == []
    check(route, NEWEST)


def test_a_route_gets_its_hostnames_matches_and_filters():
    match = {"method": {"type": "RegularExpression", "service": ".*Generative.*"}}
    filters = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["a"]}}]
    got = spec(hostnames=["a.example"], matches=[match], filters=filters)
    assert got["hostnames"] == ["a.example"]
    assert got["rules"] == [{"matches": [match], "filters": filters, "backendRefs": [BACKEND]}]


def test_a_policy_lifts_the_limits_of_envoy_gateway_if_it_is_enabled():
    assert "BackendTrafficPolicy" not in kinds(values())
    for kind in ("GRPCRoute", "HTTPRoute"):
        policy = find(render(values(kind, envoyGateway={"enabled": True})), "BackendTrafficPolicy")
        assert policy["spec"] == {
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": kind, "name": NAME}],
            "timeout": {"http": {"requestTimeout": "0s"}},
            # Envoy's own limits are 1,024 each, for the whole release.
            "circuitBreaker": dict.fromkeys(("maxConnections", "maxParallelRequests", "maxPendingRequests"), 2**32 - 1),
        }
    assert "BackendTrafficPolicy" not in kinds({"route": {"envoyGateway": {"enabled": True}}})


def test_istio_does_not_retry_calls_to_either_service_with_or_without_a_route():
    assert "VirtualService" not in kinds(values())
    objects = render({"route": {"istio": {"enabled": True}}, "service": {"port": 80}})
    for name, port in ((NAME, 80), (f"{NAME}-headless", 50051)):
        host = f"{name}.{NAMESPACE}.svc.cluster.local"
        (rule,) = find(objects, "VirtualService", name)["spec"]["http"]
        assert rule["route"] == [{"destination": {"host": host, "port": {"number": port}}}]
        assert rule["retries"] == {"attempts": 0}
        # Istio has no timeout by default, and its schema cannot express "none".
        assert "timeout" not in rule
    alone = {"route": {"istio": {"enabled": True}}, "service": {"headless": {"enabled": False}}}
    assert kinds(alone).count("VirtualService") == 1


def test_a_gateway_verifies_the_certificate_of_the_pods_if_they_have_one():
    assert "BackendTLSPolicy" not in kinds(values())
    policy = find(render({**values(), **TLS}), "BackendTLSPolicy")["spec"]
    assert policy["validation"] == {"hostname": f"{NAME}.{NAMESPACE}.svc", "wellKnownCACertificates": "System"}
    policy = find(render({**values(backendTLS={"hostname": "b", "caConfigMap": "ca"}), **TLS}), "BackendTLSPolicy")["spec"]
    ca = {"group": "", "kind": "ConfigMap", "name": "ca"}
    assert policy["validation"] == {"hostname": "b", "caCertificateRefs": [ca]}


def test_the_backend_tls_policy_can_be_disabled_for_an_older_gateway_api():
    assert "BackendTLSPolicy" not in kinds({**values(backendTLS={"enabled": False}), **TLS})
