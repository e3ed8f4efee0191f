"""How the numbers in values-production.yaml and values-large.yaml must relate to each other."""

import pytest
import yaml
from chart import CHART, NEWEST, OLDEST, Loader, find, render, value_sets
from schemas import check
from test_refusals import merged_values

DEFAULTS = yaml.load((CHART / "values.yaml").read_text(), Loader)
SETS = value_sets()
# values-large.yaml is used on top of values-production.yaml.
SIZES = {"production": SETS["production"], "large": merged_values(SETS["production"], SETS["large"])}
BOTH = pytest.mark.parametrize("name", SIZES)


def values(name: str) -> dict:
    """The values as Helm merges them."""
    return merged_values(DEFAULTS, SIZES[name])


@pytest.mark.parametrize("kubernetes", [OLDEST, NEWEST])
def test_the_large_values_on_top_of_the_production_values_are_valid(kubernetes):
    for each in render(SIZES["large"], kube=kubernetes):
        check(each, kubernetes)


@BOTH
def test_pods_are_added_long_before_calls_are_refused(name):
    hpa = find(render(SIZES[name]), "HorizontalPodAutoscaler")["spec"]
    utilization, cpu = hpa["metrics"]
    assert utilization["pods"]["metric"]["name"] == "gemini_grpc_utilization_ratio"
    assert utilization["pods"]["target"]["averageValue"] == "200m"
    assert cpu["containerResource"]["container"] == "gemini-grpc"


@BOTH
def test_half_of_the_memory_is_for_the_bytes_of_calls(name):
    memory = values(name)["resources"]
    assert memory["limits"]["memory"] == memory["requests"]["memory"]
    held = values(name)["config"]["maxBytesHeld"]
    assert held is None or f"{2 * held >> 30}Gi" == memory["limits"]["memory"]


@BOTH
def test_a_name_with_a_dot_is_resolved_as_it_is(name):
    spec = find(render(SIZES[name]), "Deployment")["spec"]["template"]["spec"]
    assert spec["dnsConfig"] == {"options": [{"name": "ndots", "value": "1"}]}


def test_the_large_values_are_for_a_hundred_thousand_streams_in_fifty_pods():
    scaled, limit = values("large")["autoscaling"], values("large")["config"]["maxCalls"]
    assert (scaled["minReplicas"], scaled["minReplicas"] * scaled["utilization"] * limit // 100) == (50, 100_000)
    # If one of three zones is lost, the others have capacity for all streams.
    assert scaled["minReplicas"] * 2 // 3 * values("large")["config"]["maxCalls"] > 2 * 100_000


def test_a_rollout_of_the_large_values_takes_as_long_as_a_drain():
    large = values("large")
    assert large["minReadySeconds"] * large["autoscaling"]["minReplicas"] >= large["config"]["drainTimeout"]
    assert large["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_pods_of_the_large_values_are_spread_over_zones_for_any_release_name():
    pods = find(render(SIZES["large"], release="other"), "Deployment", "other-gemini-grpc")["spec"]["template"]
    (zone, _) = pods["spec"]["topologySpreadConstraints"]
    assert (zone["topologyKey"], zone["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", "DoNotSchedule")
    # Otherwise the nodes of a lost zone would count, and no pod could be scheduled in the other zones.
    assert zone["nodeTaintsPolicy"] == "Honor"
    for each in pods["spec"]["topologySpreadConstraints"]:
        assert each["labelSelector"]["matchLabels"].items() <= pods["metadata"]["labels"].items()
