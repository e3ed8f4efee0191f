"""Who the network policy lets in, and where it lets pods go."""

import pytest
from chart import NAME, NAMESPACE, find, refusal, render

DNS = [53, 53, 5353, 5353]
LAN = [{"ipBlock": {"cidr": "10.0.0.0/8"}}]


def policy(network=None, **values) -> dict:
    """Its spec."""
    values["networkPolicy"] = {"enabled": True, **(network or {})}
    return find(render(values), "NetworkPolicy")["spec"]


def ports(rules: list[dict]) -> list:
    """The ports of each rule."""
    return [[each["port"] for each in rule.get("ports", [])] for rule in rules]


def test_pods_of_the_namespace_may_call_the_test_may_and_prometheus_may_read_metrics():
    callers, test, scrapers = policy()["ingress"]
    assert callers == {"from": [{"podSelector": {}}], "ports": [{"port": "grpc"}]}
    labels = {"app.kubernetes.io/name": "gemini-grpc-test", "app.kubernetes.io/instance": "gemini"}
    assert test == {"from": [{"podSelector": {"matchLabels": labels}}], "ports": [{"port": "grpc"}]}
    pod = find(render({"networkPolicy": {"enabled": True}}), "Pod", f"{NAME}-test")
    assert labels.items() <= pod["metadata"]["labels"].items()
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert scrapers == {"from": [monitoring], "ports": [{"port": "admin"}]}


def test_an_empty_list_lets_nobody_in():
    rules = policy({"callers": [], "scrapers": []}, tests={"enabled": False})
    assert rules.get("ingress") is None
    assert set(rules["policyTypes"]) == {"Ingress", "Egress"}


def test_further_rules_stand_beside_those():
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
    # OpenShift's pods of DNS listen on the second one.
    assert [each["protocol"] for each in spec["egress"][0]["ports"]] == ["UDP", "TCP"] * 2


def test_a_sandbox_reaches_nobody_but_dns():
    assert ports(policy(sandbox=True)["egress"]) == [DNS]


def test_a_collector_is_reached_at_its_port():
    telemetry = {"otlp": {"endpoint": "http://collector:4317"}}
    assert ports(policy(telemetry=telemetry)["egress"]) == [DNS, [443], [4317]]


def test_each_way_out_can_be_narrowed():
    telemetry = {"otlp": {"endpoint": "http://collector:4317"}}
    assert all("to" not in rule for rule in policy(telemetry=telemetry)["egress"])
    narrow = policy({"dns": LAN, "upstream": LAN, "collector": LAN}, telemetry=telemetry)
    assert [rule["to"] for rule in narrow["egress"]] == [LAN] * 3


def proxy(variable: str, url: str, **network) -> list:
    """The ports of the ways out, beside DNS, with a proxy in the environment."""
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
def test_upstream_is_reached_through_the_proxy_and_only_so(variable, url, port):
    assert proxy(variable, url) == [[port]]


def test_upstream_in_plaintext_has_a_proxy_of_its_own():
    config = {"upstreamProxy": True, "upstreamUrl": "http://gemini.internal"}
    names = {"HTTP_PROXY": 8000, "HTTPS_PROXY": 8001}
    env = [{"name": name, "value": f"http://proxy:{port}"} for name, port in names.items()]
    assert ports(policy(config=config, extraEnv=env)["egress"])[1:] == [[8000]]


def test_where_the_proxy_is_and_its_ports_can_be_said_and_upstream_beside_it():
    assert proxy("HTTPS_PROXY", "http://proxy:80", proxyPorts=[3128, 3129]) == [[3128, 3129]]
    assert proxy("HTTPS_PROXY", "http://proxy:3128", upstream=LAN) == [[3128], [443]]
    narrow = policy({"proxy": LAN, "proxyPorts": [1]}, config={"upstreamProxy": True})
    assert narrow["egress"][1] == {"to": LAN, "ports": [{"port": 1}]}


@pytest.mark.parametrize("env", [[], [{"name": "HTTP_PROXY", "value": "http://proxy:3128"}], [{"name": "HTTPS_PROXY"}]])
def test_a_proxy_whose_port_is_not_known_is_refused(env):
    values = {"networkPolicy": {"enabled": True}, "config": {"upstreamProxy": True}, "extraEnv": env}
    assert "networkPolicy: pods have to reach the proxy of config.upstreamProxy" in refusal(values)
    render({**values, "sandbox": True})
    render({**values, "networkPolicy": {"enabled": False}})


def test_what_is_in_the_cluster_is_reached_at_the_ports_of_its_pods():
    more = {"dnsPorts": [1053], "upstreamPorts": [8443, 8444], "collectorPorts": [14317]}
    telemetry = {"otlp": {"endpoint": "http://collector:4317"}}
    assert ports(policy(more, telemetry=telemetry)["egress"]) == [[1053, 1053], [8443, 8444], [14317]]


def test_collectors_that_variables_name_are_reached_too():
    env = [{"name": f"OTEL_EXPORTER_OTLP_{what}", "value": url} for what, url in (
        ("TRACES_ENDPOINT", "http://traces:4318"), ("LOGS_ENDPOINT", "https://logs"), ("TIMEOUT", "5"),
    )]  # fmt: skip
    assert ports(policy(extraEnv=env)["egress"]) == [DNS, [443], [4318, 443]]


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
    # A mesh has no proxy between.
    service = [{"name": "a", "kind": "Service", "group": ""}]
    assert len(policy(route={"enabled": True, "parentRefs": service})["ingress"]) == 3


def test_gateways_may_be_named():
    route = {"enabled": True, "parentRefs": [{"name": "a"}]}
    _, _, gateways, _ = policy({"gateways": LAN}, route=route)["ingress"]
    assert gateways == {"from": LAN, "ports": [{"port": "grpc"}]}
    assert policy({"gateways": LAN})["ingress"][2] == gateways


ANYWHERE = [{"namespaceSelector": {}}]
SOME = [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]


@pytest.mark.parametrize(
    "values, sentence, shut, open_",
    [
        (
            {"ingress": {"enabled": True, "hosts": ["a.example"]}},
            "networkPolicy: the Ingress' controller may not call the pods",
            [{}, {"callers": SOME}, {"callers": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"a": "b"}}}]}],
            [{"gateways": SOME}, {"callers": ANYWHERE}, {"callers": LAN}, {"extraIngress": [{"from": LAN}]}],
        ),
        *(
            (
                {"service": {"type": kind}},
                f"networkPolicy: nobody outside of the cluster may call, and service.type is {kind}",
                [{}, {"callers": ANYWHERE}],
                [{"callers": LAN}, {"gateways": LAN}, {"extraIngress": [{"from": LAN}]}],
            )
            for kind in ("LoadBalancer", "NodePort")
        ),
    ],
    ids=["ingress", "LoadBalancer", "NodePort"],
)
def test_a_policy_that_shuts_out_what_another_value_asks_for_is_refused(values, sentence, shut, open_):
    for network in shut:
        assert sentence in refusal({**values, "networkPolicy": {"enabled": True, **network}})
    for network in open_:
        render({**values, "networkPolicy": {"enabled": True, **network}})
    render(values)
