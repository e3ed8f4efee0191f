"""Routes of the Gateway API, and the settings of gateways and meshes for long calls."""

import pytest
from argo import differences
from chart import NAME, NAMESPACE, NEWEST, find, kinds, refusal, render
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


REST = f"{NAME}-rest"


def with_rest(rest: dict, route: dict | None = None, **more) -> dict:
    """Values with a GRPCRoute for `grpc.example`, and an HTTPRoute for REST."""
    return {**values(**{"hostnames": ["grpc.example"], "rest": {"enabled": True, **rest}, **(route or {})}), **more}


def test_rest_has_an_http_route_of_its_own_beside_a_grpc_route():
    own = {"hostnames": ["rest.example"], "annotations": {"a": "b"}}
    objects = render(with_rest(own))
    route = find(objects, "HTTPRoute", REST)
    assert route["metadata"]["annotations"] == {"a": "b"}
    rule = {"matches": [PATH], "backendRefs": [BACKEND], "timeouts": {"request": "0s"}}
    assert route["spec"] == {"parentRefs": [GATEWAY], "hostnames": ["rest.example"], "rules": [rule]}
    assert find(objects, "GRPCRoute") == find(render(values(hostnames=["grpc.example"])), "GRPCRoute")
    assert "HTTPRoute" not in kinds({"route": {**with_rest(own)["route"], "enabled": False}})


def test_the_route_for_rest_has_the_gateways_and_names_of_the_other_one_or_its_own():
    route = {"parentRefs": [{"name": "a", "sectionName": "grpc"}]}
    listener = {"parentRefs": [{"name": "a", "sectionName": "rest"}, {"name": "b", "namespace": "c"}]}
    got = find(render(with_rest(listener, route)), "HTTPRoute", REST)["spec"]
    assert got["hostnames"] == ["grpc.example"]
    assert got["parentRefs"] == [{**GATEWAY, "sectionName": "rest"}, {**GATEWAY, "name": "b", "namespace": "c"}]
    match, remove = {"path": {"type": "Exact", "value": "/a"}}, {"remove": ["a"]}
    filters = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": remove}]
    own = {"hostnames": ["rest.example"], "matches": [match], "filters": filters}
    got = find(render(with_rest(own)), "HTTPRoute", REST)["spec"]["rules"][0]
    assert (got["matches"], got["filters"]) == ([match], filters)


@pytest.mark.parametrize("more", {**OFTEN_LEFT_OUT, **OF_HTTP}.values(), ids={**OFTEN_LEFT_OUT, **OF_HTTP})
def test_defaults_that_are_left_out_of_the_route_for_rest_are_written_out(more):
    route = find(render(with_rest({"hostnames": ["rest.example"], **more})), "HTTPRoute", REST)
    assert differences(route, stored(route)) == []
    check(route, NEWEST)


def test_rest_uses_the_port_that_is_declared_as_http_1():
    own = {"hostnames": ["rest.example"]}
    for service, port in (({}, 50051), ({"port": 9}, 9), ({"httpPort": 80}, 80)):
        objects = render(with_rest(own, service=service))
        assert find(objects, "HTTPRoute", REST)["spec"]["rules"][0]["backendRefs"] == [{**BACKEND, "port": port}]
        (grpc,) = find(objects, "GRPCRoute")["spec"]["rules"]
        assert grpc["backendRefs"] == [{**BACKEND, "port": service.get("port", 50051)}]


ONLY_ONE = "route.rest: a Gateway accepts only one of GRPCRoute and HTTPRoute for the same host name"


@pytest.mark.parametrize(
    "rest, route, other",
    [
        ({}, {}, {"hostnames": ["rest.example"]}),
        ({"hostnames": ["a", "grpc.example"]}, {}, {"hostnames": ["a"]}),
        ({"hostnames": ["*.example"]}, {}, {"hostnames": ["*.grpc.example"]}),
        ({"hostnames": ["rest.example"]}, {"hostnames": []}, {"parentRefs": [{"name": "b"}]}),
        ({"hostnames": ["b.a.example"]}, {"hostnames": ["*.a.example"]}, {"hostnames": ["a.example"]}),
        ({"parentRefs": [{"name": "a", "namespace": NAMESPACE}]}, {}, {"parentRefs": [{"name": "a", "namespace": "b"}]}),
        ({"parentRefs": [{"name": "a", "kind": "Gateway", "sectionName": "b"}]}, {}, {"parentRefs": [{"name": "b"}]}),
        (
            {"parentRefs": [{"name": "a", "sectionName": "b"}]},
            {"parentRefs": [{"name": "a", "sectionName": "b"}]},
            {"parentRefs": [{"name": "a", "sectionName": "c"}]},
        ),
        (
            {"parentRefs": [{"name": "a", "port": 80}]},
            {"parentRefs": [{"name": "a", "port": 80}]},
            {"parentRefs": [{"name": "a", "port": 443}]},
        ),
    ],
)
def test_two_routes_of_which_a_gateway_would_accept_only_one_are_refused(rest, route, other):
    assert ONLY_ONE in refusal(with_rest(rest, route))
    assert find(render(with_rest({**rest, **other}, route)), "HTTPRoute", REST)


def test_the_policy_for_envoy_gateway_covers_both_routes():
    objects = render(with_rest({"hostnames": ["rest.example"]}, {"envoyGateway": {"enabled": True}}))
    targets = find(objects, "BackendTrafficPolicy")["spec"]["targetRefs"]
    group = {"group": "gateway.networking.k8s.io"}
    assert targets == [{**group, "kind": "GRPCRoute", "name": NAME}, {**group, "kind": "HTTPRoute", "name": REST}]


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
