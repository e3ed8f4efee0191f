"""Every object is one that Kubernetes takes, from the oldest version that the chart takes to the newest."""

import copy

import jsonschema
import kubernetes_validate
import pytest
from argo import differences
from chart import NEWEST, OLDEST, find, render, value_sets
from schemas import check, is_custom, kept


@pytest.mark.parametrize("kubernetes", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", value_sets())
def test_every_object_is_as_its_schema_says(name, kubernetes):
    for each in render(value_sets()[name], kube=kubernetes):
        check(each, kubernetes)


@pytest.mark.parametrize("name", value_sets())
def test_argo_cd_sees_no_difference_between_an_object_as_it_is_rendered_and_as_it_is_kept(name):
    for each in filter(is_custom, render(value_sets()[name])):
        assert differences(each, kept(each)) == [], each["kind"]


def test_all_kinds_of_the_chart_are_among_those_that_are_checked():
    kinds = {each["kind"] for values in value_sets().values() for each in render(values)}
    assert kinds == {
        "BackendTLSPolicy",
        "BackendTrafficPolicy",
        "Certificate",
        "ConfigMap",
        "Deployment",
        "GRPCRoute",
        "HTTPRoute",
        "HorizontalPodAutoscaler",
        "Ingress",
        "NetworkPolicy",
        "Pod",
        "PodDisruptionBudget",
        "PodMonitor",
        "PrometheusRule",
        "ScaledObject",
        "Secret",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
        "VirtualService",
    }


def test_a_field_that_nobody_knows_is_found_in_objects_of_kubernetes_and_in_custom_ones():
    objects = render(value_sets()["everything"])
    for kind, path in (
        ("Deployment", ("spec", "template", "spec")),
        ("GRPCRoute", ("spec",)),
        ("ServiceMonitor", ("spec",)),
    ):
        thing = copy.deepcopy(find(objects, kind, "gemini-gateway"))
        check(thing, NEWEST)
        place = thing
        for step in path:
            place = place[step]
        place["noSuchField"] = 1
        with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
            check(thing, NEWEST)
