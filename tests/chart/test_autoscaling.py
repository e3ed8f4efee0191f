"""The number of pods, and what may change it."""

import re
import textwrap

import pytest
import yaml
from chart import NAME, NAMESPACE, ROOT, Loader, find, kinds, render
from dashboard import name_in_prometheus
from defaults import VALUES

PROMETHEUS = {"serverAddress": "http://prometheus:9090"}


def keda(**values) -> dict:
    """The spec of the ScaledObject."""
    more = {"enabled": True, "type": "keda", "callsInFlight": 50, "keda": PROMETHEUS, **values}
    return find(render({"autoscaling": more}), "ScaledObject")["spec"]


def test_with_autoscaling_the_deployment_has_no_replicas():
    keda = {"serverAddress": "http://prometheus:9090"}
    for scaler in ("hpa", "keda", "external"):
        scaled = {"autoscaling": {"enabled": True, "type": scaler, "callsInFlight": 50, "keda": keda}}
        assert "replicas" not in find(render(scaled), "Deployment")["spec"]
    assert find(render({"replicaCount": 7}), "Deployment")["spec"]["replicas"] == 7


def test_an_hpa_scales_by_utilization_by_calls_by_cpu_or_by_several():
    def metrics(**values):
        hpa = find(render({"autoscaling": {"enabled": True, **values}}), "HorizontalPodAutoscaler")
        return hpa["spec"]["metrics"]

    target = {"type": "Utilization", "averageUtilization": 70}
    # Only the CPU of this container: that of the pod cannot be measured if another container has no request.
    cpu = {
        "type": "ContainerResource",
        "containerResource": {"name": "cpu", "container": "gemini-grpc", "target": target},
    }
    calls = {
        "type": "Pods",
        "pods": {
            "metric": {"name": "gemini_grpc_calls_in_flight"},
            "target": {"type": "AverageValue", "averageValue": "200"},
        },
    }
    assert metrics() == [cpu]
    assert metrics(callsInFlight=200) == [calls, cpu]
    assert metrics(callsInFlight=200, cpuUtilization=None) == [calls]
    # As the API server stores these quantities.
    for percent, kept in ((1, "10m"), (20, "200m"), (99, "990m"), (100, "1")):
        pods = {"metric": {"name": "gemini_grpc_utilization_ratio"}, "target": {"type": "AverageValue", "averageValue": kept}}
        utilization = {"type": "Pods", "pods": pods}
        assert metrics(utilization=percent) == [utilization, cpu]
        assert metrics(utilization=percent, callsInFlight=200, cpuUtilization=None) == [utilization, calls]
    queue = {"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "Value", "value": 9}}}
    assert metrics(metrics=[queue]) == [cpu, queue]
    assert metrics(cpuUtilization=None, metrics=[queue]) == [queue]


def test_keda_queries_the_calls_in_flight_of_this_releases_pods():
    keda = {"serverAddress": "http://prometheus:9090"}
    values = {"autoscaling": {"enabled": True, "type": "keda", "callsInFlight": 50, "keda": keda}}
    spec = find(render(values), "ScaledObject")["spec"]
    query = f'sum(gemini_grpc_calls_in_flight{{namespace="{NAMESPACE}",pod=~"{NAME}-[0-9a-z]+-[0-9a-z]{{5}}"}})'
    assert spec["triggers"][0] == {
        "type": "prometheus",
        "metadata": {"serverAddress": keda["serverAddress"], "query": query, "threshold": "50"},
    }
    assert spec["triggers"][1]["metadata"] == {"containerName": "gemini-grpc", "value": "70"}
    values["autoscaling"] |= {
        "cpuUtilization": None,
        "keda": {**keda, "query": "vector(1)", "authenticationRef": "auth"},
    }
    (trigger,) = find(render(values), "ScaledObject")["spec"]["triggers"]
    assert trigger["metadata"]["query"] == "vector(1)"
    assert trigger["authenticationRef"] == {"name": "auth"}


def test_keda_queries_the_utilization_of_this_releases_pods():
    query = f'sum(gemini_grpc_utilization_ratio{{namespace="{NAMESPACE}",pod=~"{NAME}-[0-9a-z]+-[0-9a-z]{{5}}"}})'
    for percent, threshold in ((20, "0.2"), (5, "0.05"), (29, "0.29"), (57, "0.57"), (100, "1")):
        metadata = {**PROMETHEUS, "query": query, "threshold": threshold}
        (trigger,) = keda(utilization=percent, callsInFlight=None, cpuUtilization=None)["triggers"]
        assert trigger == {"type": "prometheus", "metadata": metadata}
    more = {"keda": {**PROMETHEUS, "query": "vector(1)", "authenticationRef": "auth"}}
    first, second, _ = keda(utilization=20, **more)["triggers"]
    assert (first["metadata"]["query"], second["metadata"]["query"]) == (query, "vector(1)")
    assert first["authenticationRef"] == second["authenticationRef"] == {"name": "auth"}


def test_the_metrics_that_scale_pods_are_exported_and_the_documentation_has_the_rule_for_them():
    gauges = dict(re.findall(r"^\| `([a-z_.]+)` \| gauge \| `(.+?)` \|", (ROOT / "docs/telemetry.md").read_text(), re.M))
    exported = {name_in_prometheus(name, "gauge", unit) for name, unit in gauges.items()}
    hpa = find(render({"autoscaling": {"enabled": True, "utilization": 20, "callsInFlight": 9}}), "HorizontalPodAutoscaler")
    names = [each["pods"]["metric"]["name"] for each in hpa["spec"]["metrics"] if each["type"] == "Pods"]
    assert len(names) == 2 and exported.issuperset(names)
    (rule,) = re.findall(r"^    - seriesQuery: (\w+)\{", (ROOT / "docs/kubernetes.md").read_text(), re.M)
    assert rule == names[0]


def test_the_examples_in_the_documentation_are_accepted():
    text = (ROOT / "docs/kubernetes.md").read_text()
    blocks = [textwrap.dedent(each) for each in re.findall(r"^ *```yaml\n(.+?)^ *```", text, re.M | re.S)]
    of_the_chart = [values for values in (yaml.load(each, Loader) for each in blocks) if values.keys() <= VALUES.keys()]
    assert {"autoscaling", "networkPolicy"} <= {key for values in of_the_chart for key in values}
    for values in of_the_chart:
        assert render(values) != render()


@pytest.mark.parametrize("scaler", ["hpa", "keda"])
def test_pods_are_removed_slowly_by_default(scaler):
    def behavior(**values):
        keda = {"serverAddress": "http://prometheus:9090"}
        of = {"enabled": True, "type": scaler, "callsInFlight": 50, "keda": keda, **values}
        (spec,) = (each["spec"] for each in render({"autoscaling": of}) if "scaleTargetRef" in each.get("spec", {}))
        return spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", spec).get("behavior")

    assert behavior()["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]
    assert behavior(behavior={"scaleDown": None}) is None


@pytest.mark.parametrize("calls, kept", [(1, "1"), (200, "200"), (1000, "1k"), (1500, "1500"), (2000, "2k"), (3_000_000, "3M")])
def test_calls_in_flight_are_a_quantity_in_the_form_that_the_api_server_stores(calls, kept):
    hpa = find(render({"autoscaling": {"enabled": True, "callsInFlight": calls}}), "HorizontalPodAutoscaler")
    assert hpa["spec"]["metrics"][0]["pods"]["target"]["averageValue"] == kept


def pods_of(name: str) -> re.Pattern:
    """The pattern with which a query selects the pods of a release of that name."""
    objects = render({"autoscaling": {"enabled": True, "type": "keda", "callsInFlight": 50, "keda": PROMETHEUS}}, release=name)
    (scaled,) = (each for each in objects if each["kind"] == "ScaledObject")
    query = scaled["spec"]["triggers"][0]["metadata"]["query"]
    return re.compile(re.search('pod=~"(.+?)"', query)[1])


def named(deployment: str, digest="7d9f6c5b4", end="abcde") -> str:
    """A pod's name as Kubernetes makes it: the first part cut to 58 characters, and then five more."""
    return f"{deployment}-{digest}-"[:58] + end


@pytest.mark.parametrize("length", [1, 20, 35, 36, 37, 38, 39, 41, 42])
@pytest.mark.parametrize("digest", ["7d9f6c5b4", "56bdb5b6c8", "5bc7"])
def test_the_pattern_of_pods_matches_only_this_release_however_long_its_name_is(length, digest):
    # The name of the Deployment has twelve characters more.
    release = "r" * length
    pattern, name = pods_of(release), f"{release}-gemini-grpc"[:50].rstrip("-")
    assert pattern.fullmatch(named(name, digest))
    for other in (f"{name}-canary", f"{name}-2", f"{name}-a-b", f"canary-{name}", f"{name}x", release):
        assert not pattern.fullmatch(f"{other}-{digest}-abcde"), other


def test_the_polling_interval_and_the_fallback_of_keda_can_be_set():
    assert not {"pollingInterval", "fallback"} & set(keda())
    fallback = {"failureThreshold": 3, "replicas": 6}
    got = keda(keda={**PROMETHEUS, "pollingInterval": 10, "fallback": fallback})
    assert (got["pollingInterval"], got["fallback"]) == (10, fallback)


def test_keda_may_have_further_triggers_or_only_those():
    cron = {"type": "cron", "metadata": {"timezone": "UTC", "start": "0 8 * * *", "end": "0 18 * * *", "desiredReplicas": "9"}}
    assert keda(keda={**PROMETHEUS, "triggers": [cron]})["triggers"][-1] == cron
    assert keda(callsInFlight=None, cpuUtilization=None, keda={"triggers": [cron]})["triggers"] == [cron]


def test_an_external_autoscaler_adds_no_object():
    scaled = {"enabled": True, "type": "external", "cpuUtilization": None}
    assert kinds({"autoscaling": scaled}) == kinds()
