"""The number of pods, and what may change it."""

import re

import pytest
from chart import NAME, NAMESPACE, find, kinds, render

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


def test_an_hpa_scales_by_calls_by_cpu_or_by_both():
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
