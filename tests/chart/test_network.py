"""Who the network policy lets in, and where it lets pods go."""

import pytest
from chart import NAME, find, render

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
    assert ports(spec["egress"]) == [[53, 53], [port]]
    assert [each["protocol"] for each in spec["egress"][0]["ports"]] == ["UDP", "TCP"]


def test_a_sandbox_reaches_nobody_but_dns():
    assert ports(policy(sandbox=True)["egress"]) == [[53, 53]]


def test_a_collector_is_reached_at_its_port():
    telemetry = {"otlp": {"endpoint": "http://collector:4317"}}
    assert ports(policy(telemetry=telemetry)["egress"]) == [[53, 53], [443], [4317]]


def test_each_way_out_can_be_narrowed():
    telemetry = {"otlp": {"endpoint": "http://collector:4317"}}
    assert all("to" not in rule for rule in policy(telemetry=telemetry)["egress"])
    narrow = policy({"dns": LAN, "upstream": LAN, "collector": LAN}, telemetry=telemetry)
    assert [rule["to"] for rule in narrow["egress"]] == [LAN] * 3
