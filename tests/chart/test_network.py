"""The connections that the network policy allows, to the pods and from the pods."""

import pytest
from chart import NAME, NAMESPACE, find, refusal, render

DNS = [53, 53, 5353, 5353]
LAN = [{"ipBlock": {"cidr": "10.0.0.0/8"}}]


def policy(network=None, **values) -> dict:
    """The spec of the NetworkPolicy."""
    values["networkPolicy"] = {"enabled": True, **(network or {})}
    return find(render(values), "NetworkPolicy")["spec"]


def ports(rules: list[dict]) -> list:
    """The ports of each rule."""
    return [[each["port"] for each in rule.get("ports", [])] for rule in rules]


def test_pods_of_the_namespace_and_the_test_may_call_and_prometheus_may_read_metrics():
    callers, test, scrapers = policy()["ingress"]
    assert callers == {"from": [{"podSelector": {}}], "ports": [{"port": "grpc"}]}
    labels = {"app.kubernetes.io/name": "gemini-grpc-test", "app.kubernetes.io/instance": "gemini"}
    assert test == {"from": [{"podSelector": {"matchLabels": labels}}], "ports": [{"port": "grpc"}]}
    pod = find(render({"networkPolicy": {"enabled": True}}), "Pod", f"{NAME}-test")
    assert labels.items() <= pod["metadata"]["labels"].items()
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert scrapers == {"from": [monitoring], "ports": [{"port": "admin"}]}


def test_empty_lists_allow_no_incoming_connections():
    rules = policy({"callers": [], "scrapers": []}, tests={"enabled": False})
    assert rules.get("ingress") is None
    assert set(rules["policyTypes"]) == {"Ingress", "Egress"}


def test_further_rules_are_added_after_those_of_the_chart():
    more = [{"from": LAN}]
    assert policy({"extraIngress": more})["ingress"][-1] == more[0]
    more = [{"to": LAN}]
    assert policy({"extraEgress": more})["egress"][-1] == more[0]


@pytest.mark.parametrize(
    "url, port",
    [
        (None, 443),
        ("https://gemini.internal", 443),
        ("http://gemini.internal/base", 80),
        ("https://gemini.internal:8443/base", 8443),
        ("http://[fd00::1]:8080", 8080),
        ("https://[fd00::1]/base", 443),
    ],
)
def test_pods_reach_dns_and_upstream_at_its_port(url, port):
    spec = policy(config={"upstreamUrl": url})
    assert ports(spec["egress"]) == [DNS, [port]]
    # The second port is the one of OpenShift's DNS pods.
    assert [each["protocol"] for each in spec["egress"][0]["ports"]] == ["UDP", "TCP"] * 2


def test_a_sandbox_may_reach_only_dns():
    assert ports(policy(sandbox=True)["egress"]) == [DNS]


def test_a_collector_is_reached_at_its_port():
    telemetry = {"otlp": {"endpoint": "http://collector:4317"}}
    assert ports(policy(telemetry=telemetry)["egress"]) == [DNS, [443], [4317]]


def test_each_egress_rule_can_be_limited_to_peers():
    telemetry = {"otlp": {"endpoint": "http://collector:4317"}}
    assert all("to" not in rule for rule in policy(telemetry=telemetry)["egress"])
    narrow = policy({"dns": LAN, "upstream": LAN, "collector": LAN}, telemetry=telemetry)
    assert [rule["to"] for rule in narrow["egress"]] == [LAN] * 3


def proxy(variable: str, url: str, **network) -> list:
    """The ports of the egress rules, except DNS, with a proxy in the environment."""
    spec = policy(network, config={"upstreamProxy": True}, extraEnv=[{"name": variable, "value": url}])
    return ports(spec["egress"])[1:]


@pytest.mark.parametrize(
    "variable, url, port",
    [
        ("HTTPS_PROXY", "http://proxy:3128", 3128),
        ("https_proxy", "http://user:password@proxy.internal:8080/", 8080),
        ("ALL_PROXY", "proxy:3128", 3128),
        ("HTTPS_PROXY", "http://proxy", 80),
        ("HTTPS_PROXY", "https://proxy", 443),
        ("all_proxy", "socks5://proxy", 1080),
        ("HTTPS_PROXY", "http://[fd00::1]:3128", 3128),
    ],
)
def test_with_a_proxy_pods_may_reach_only_the_proxy(variable, url, port):
    assert proxy(variable, url) == [[port]]


def test_an_http_upstream_uses_the_port_of_http_proxy():
    config = {"upstreamProxy": True, "upstreamUrl": "http://gemini.internal"}
    names = {"HTTP_PROXY": 8000, "HTTPS_PROXY": 8001}
    env = [{"name": name, "value": f"http://proxy:{port}"} for name, port in names.items()]
    assert ports(policy(config=config, extraEnv=env)["egress"])[1:] == [[8000]]


def test_peers_and_ports_of_the_proxy_can_be_set_and_upstream_can_be_allowed_too():
    assert proxy("HTTPS_PROXY", "http://proxy:80", proxyPorts=[3128, 3129]) == [[3128, 3129]]
    assert proxy("HTTPS_PROXY", "http://proxy:3128", upstream=LAN) == [[3128], [443]]
    narrow = policy({"proxy": LAN, "proxyPorts": [1]}, config={"upstreamProxy": True})
    assert narrow["egress"][1] == {"to": LAN, "ports": [{"port": 1}]}


@pytest.mark.parametrize("env", [[], [{"name": "HTTP_PROXY", "value": "http://proxy:3128"}], [{"name": "HTTPS_PROXY"}]])
def test_a_proxy_with_an_unknown_port_is_refused(env):
    values = {"networkPolicy": {"enabled": True}, "config": {"upstreamProxy": True}, "extraEnv": env}
    assert "networkPolicy: pods must reach the proxy of config.upstreamProxy" in refusal(values)
    render({**values, "sandbox": True})
    render({**values, "networkPolicy": {"enabled": False}})


def test_the_ports_of_pods_in_the_cluster_can_be_set():
    more = {"dnsPorts": [1053], "upstreamPorts": [8443, 8444], "collectorPorts": [14317]}
    telemetry = {"otlp": {"endpoint": "http://collector:4317"}}
    assert ports(policy(more, telemetry=telemetry)["egress"]) == [[1053, 1053], [8443, 8444], [14317]]


def test_collectors_in_extra_variables_may_be_reached():
    env = [{"name": f"OTEL_EXPORTER_OTLP_{what}", "value": url} for what, url in (
        ("TRACES_ENDPOINT", "http://traces:4318"), ("LOGS_ENDPOINT", "https://logs"), ("TIMEOUT", "5"),
    )]  # fmt: skip
    assert ports(policy(extraEnv=env)["egress"]) == [DNS, [443], [4318, 443]]


@pytest.mark.parametrize(
    "limits, expected",
    [
        ({"url": "redis://valkey"}, [6379]),
        ({"url": "rediss://valkey:6380/1"}, [6380]),
        ({"url": "redis://[fd00::1]"}, [6379]),
        ({"url": "redis://[fd00::1]:7000,b?cluster=true"}, [7000, 6379]),
        ({"url": "redis://a,b,c:7000,d:7000/?cluster=true"}, [6379, 7000]),
        # Sentinels name the server, which has a port of its own.
        ({"url": "redis://a,b:5000/0?sentinel=main"}, [26379, 5000, 6379]),
        ({"existingSecret": "limits"}, [6379]),
    ],
)
def test_pods_reach_what_counts_for_all_of_them_at_its_ports(limits, expected):
    assert ports(policy(limits=limits)["egress"]) == [DNS, [443], expected]
    assert "to" not in policy(limits=limits)["egress"][2]
    narrow = policy({"limits": LAN, "limitsPorts": [1, 2]}, limits=limits)
    assert narrow["egress"][2] == {"to": LAN, "ports": [{"port": 1}, {"port": 2}]}


def test_without_limits_for_all_pods_their_peers_and_ports_open_nothing():
    assert policy({"limits": LAN, "limitsPorts": [1]}) == policy()


def namespaces(network=None, **values) -> list[str]:
    """The namespaces from which gateways may call."""
    _, _, gateways, _ = policy(network, **values)["ingress"]
    assert gateways["ports"] == [{"port": "grpc"}]
    return [each["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for each in gateways["from"]]


def test_gateways_of_the_route_may_call():
    parents = [{"name": "a", "namespace": "gateways"}, {"name": "b"}, {"name": "c", "namespace": "gateways"}]
    route = {"enabled": True, "parentRefs": parents}
    assert namespaces(route=route) == ["gateways", NAMESPACE]
    assert namespaces(route={**route, "envoyGateway": {"enabled": True}})[-1] == "envoy-gateway-system"
    elsewhere = {"enabled": True, "namespace": "proxies"}
    assert namespaces(route={**route, "envoyGateway": elsewhere})[-1] == "proxies"
    assert len(policy(route={**route, "enabled": False})["ingress"]) == 3
    rest = {"enabled": True, "hostnames": ["b"], "parentRefs": [{"name": "d", "namespace": "others"}]}
    assert namespaces(route={**route, "hostnames": ["a"], "rest": rest}) == ["gateways", NAMESPACE, "others"]
    assert namespaces(route={**route, "rest": {**rest, "enabled": False}}) == ["gateways", NAMESPACE]
    # A parent of kind Service is for a mesh, which has no gateway in between.
    service = [{"name": "a", "kind": "Service", "group": ""}]
    assert len(policy(route={"enabled": True, "parentRefs": service})["ingress"]) == 3


def test_gateways_can_be_set():
    route = {"enabled": True, "parentRefs": [{"name": "a"}]}
    _, _, gateways, _ = policy({"gateways": LAN}, route=route)["ingress"]
    assert gateways == {"from": LAN, "ports": [{"port": "grpc"}]}
    assert policy({"gateways": LAN})["ingress"][2] == gateways


ANYWHERE = [{"namespaceSelector": {}}]
ONE_NAMESPACE = [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]


@pytest.mark.parametrize(
    "values, message, blocking, allowing",
    [
        *(
            (
                {"ingress": ingress},
                "networkPolicy: the controller of the Ingress may not call the pods",
                [{}, {"callers": ONE_NAMESPACE}, {"callers": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"a": "b"}}}]}],
                [{"gateways": ONE_NAMESPACE}, {"callers": ANYWHERE}, {"callers": LAN}, {"extraIngress": [{"from": LAN}]}],
            )
            for ingress in ({"enabled": True, "hosts": ["a.example"]}, {"rest": {"enabled": True, "hosts": ["a.example"]}})
        ),
        *(
            (
                {"service": {"type": kind}},
                f"networkPolicy: no client outside of the cluster may call, but service.type is {kind}",
                [{}, {"callers": ANYWHERE}],
                [{"callers": LAN}, {"gateways": LAN}, {"extraIngress": [{"from": LAN}]}],
            )
            for kind in ("LoadBalancer", "NodePort")
        ),
    ],
    ids=["ingress", "ingress.rest", "LoadBalancer", "NodePort"],
)
def test_a_policy_that_blocks_what_another_value_enables_is_refused(values, message, blocking, allowing):
    for network in blocking:
        assert message in refusal({**values, "networkPolicy": {"enabled": True, **network}})
    for network in allowing:
        render({**values, "networkPolicy": {"enabled": True, **network}})
    render(values)
