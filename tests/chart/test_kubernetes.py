"""Every object is valid for Kubernetes, both for the oldest version that the chart supports and for the newest."""

import copy

import jsonschema
import kubernetes_validate
import pytest
from argo import differences
from chart import NEWEST, OLDEST, find, render, value_sets
from schemas import check, is_custom, stored


@pytest.mark.parametrize("kubernetes", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", value_sets())
def test_every_object_matches_its_schema(name, kubernetes):
    for each in render(value_sets()[name], kube=kubernetes):
        check(each, kubernetes)


@pytest.mark.parametrize("name", value_sets())
def test_argo_cd_sees_no_difference_between_a_rendered_object_and_the_stored_one(name):
    for each in filter(is_custom, render(value_sets()[name])):
        assert differences(each, stored(each)) == [], each["kind"]


def test_every_kind_that_the_chart_can_render_is_checked():
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


def test_an_unknown_field_is_an_error_in_built_in_and_in_custom_resources():
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
