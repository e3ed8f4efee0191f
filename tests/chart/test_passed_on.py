"""Values that are passed on unchanged: each appears in the right field if it is set, and does not appear otherwise."""

import pytest
from chart import NAME, at, find, render

SPEC, OWN = "spec.template.spec", "spec.template.spec.containers.0"
LIST = [{"name": "a"}]
CONTAINERS = [{"name": "a", "image": "b"}]

# The name of the value, an example, and its path in the Deployment and in the pod of `helm test`, or None if it has none there.
PASSED = [
    ("affinity", {"nodeAffinity": {}}, f"{SPEC}.affinity", None),
    ("deploymentAnnotations", {"a": "b"}, "metadata.annotations", None),
    ("dnsConfig", {"searches": ["a"]}, f"{SPEC}.dnsConfig", "spec.dnsConfig"),
    ("dnsPolicy", "Default", f"{SPEC}.dnsPolicy", "spec.dnsPolicy"),
    ("extraArgs", ["--retries=0"], f"{OWN}.args.1", None),
    ("extraContainers", CONTAINERS, f"{SPEC}.containers.1", None),
    ("extraEnv", [{"name": "A", "value": "b"}], f"{OWN}.env.-1", None),
    ("extraEnvFrom", [{"configMapRef": {"name": "a"}}], f"{OWN}.envFrom", None),
    ("extraVolumeMounts", [{"name": "files", "mountPath": "/a"}], f"{OWN}.volumeMounts.1", None),
    ("extraVolumes", LIST, f"{SPEC}.volumes.1", None),
    ("hostAliases", [{"ip": "10.0.0.1"}], f"{SPEC}.hostAliases", "spec.hostAliases"),
    ("imagePullSecrets", LIST, f"{SPEC}.imagePullSecrets", "spec.imagePullSecrets"),
    ("initContainers", CONTAINERS, f"{SPEC}.initContainers", None),
    ("nodeSelector", {"a": "b"}, f"{SPEC}.nodeSelector", "spec.nodeSelector"),
    ("priorityClassName", "a", f"{SPEC}.priorityClassName", None),
    ("runtimeClassName", "a", f"{SPEC}.runtimeClassName", "spec.runtimeClassName"),
    ("tolerations", [{"key": "a"}], f"{SPEC}.tolerations", "spec.tolerations"),
]
OF_THE_SERVICE = [
    ("clusterIP", "10.96.0.9", "clusterIP"),
    ("ipFamilyPolicy", "PreferDualStack", "ipFamilyPolicy"),
    ("trafficDistribution", "PreferClose", "trafficDistribution"),
]


@pytest.mark.parametrize("name, value, path, of_the_test", PASSED, ids=[each[0] for each in PASSED])
def test_a_value_is_passed_on_unchanged_and_its_field_is_absent_without_it(name, value, path, of_the_test):
    with_it, without = render({name: value}), render()
    places = [("Deployment", NAME, path)] + ([("Pod", f"{NAME}-test", of_the_test)] if of_the_test else [])
    for kind, of, place in places:
        # The chart may have its own elements in a list, before those of the values.
        expected = value[0] if isinstance(value, list) and place.rpartition(".")[2].lstrip("-").isdigit() else value
        assert at(find(with_it, kind, of), place) == expected
        assert at(find(without, kind, of), place) != expected
    if not path.endswith(("-1", ".1")):
        assert at(find(without, "Deployment"), path) is None
    if not of_the_test:
        assert find(with_it, "Pod", f"{NAME}-test") == find(without, "Pod", f"{NAME}-test")


@pytest.mark.parametrize("name, value, field", OF_THE_SERVICE)
def test_a_value_of_the_service_is_passed_on_unchanged(name, value, field):
    assert find(render({"service": {name: value}}), "Service")["spec"][field] == value
    assert field not in find(render(), "Service")["spec"]


def test_a_load_balancer_has_its_class_and_its_source_ranges():
    service = {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"], "loadBalancerClass": "a/b"}
    assert service.items() <= find(render({"service": service}), "Service")["spec"].items()


def test_both_services_have_the_same_ip_families():
    objects = render({"service": {"ipFamilyPolicy": "RequireDualStack"}})
    assert find(objects, "Service", f"{NAME}-headless")["spec"]["ipFamilyPolicy"] == "RequireDualStack"
    assert "ipFamilyPolicy" not in find(render(), "Service", f"{NAME}-headless")["spec"]


@pytest.mark.parametrize(
    "values, kind, name",
    [
        ({"service": {"annotations": {"a": "b"}}}, "Service", NAME),
        ({"service": {"headless": {"annotations": {"a": "b"}}}}, "Service", f"{NAME}-headless"),
        ({"serviceAccount": {"annotations": {"a": "b"}}}, "ServiceAccount", NAME),
        ({"ingress": {"enabled": True, "hosts": ["a"], "annotations": {"a": "b"}}}, "Ingress", NAME),
        (
            {"ingress": {"enabled": True, "hosts": ["a"], "rest": {"enabled": True, "annotations": {"a": "b"}}}},
            "Ingress",
            f"{NAME}-rest",
        ),
        (
            {"route": {"enabled": True, "parentRefs": [{"name": "a"}], "annotations": {"a": "b"}}},
            "GRPCRoute",
            NAME,
        ),
        (
            {"monitoring": {"dashboard": {"enabled": True, "annotations": {"a": "b"}}}},
            "ConfigMap",
            f"{NAME}-dashboard",
        ),
    ],
)
def test_annotations_are_set_on_their_object_only(values, kind, name):
    objects = render(values)
    assert find(objects, kind, name)["metadata"]["annotations"] == {"a": "b"}
    assert sum(each["metadata"].get("annotations") == {"a": "b"} for each in objects) == 1


@pytest.mark.parametrize(
    "values, kind, name",
    [
        ({"deploymentLabels": {"a": "b"}}, "Deployment", NAME),
        ({"tests": {"podLabels": {"a": "b"}}}, "Pod", f"{NAME}-test"),
        ({"service": {"labels": {"a": "b"}}}, "Service", NAME),
        ({"monitoring": {"podMonitor": {"enabled": True, "labels": {"a": "b"}}}}, "PodMonitor", NAME),
        ({"monitoring": {"serviceMonitor": {"enabled": True, "labels": {"a": "b"}}}}, "ServiceMonitor", NAME),
        ({"monitoring": {"prometheusRule": {"enabled": True, "labels": {"a": "b"}}}}, "PrometheusRule", NAME),
        ({"monitoring": {"dashboard": {"enabled": True, "labels": {"a": "b"}}}}, "ConfigMap", f"{NAME}-dashboard"),
    ],
)
def test_labels_are_set_on_their_object_only(values, kind, name):
    labelled = [each for each in render(values) if each["metadata"]["labels"].get("a") == "b"]
    assert [(each["kind"], each["metadata"]["name"]) for each in labelled] == [(kind, name)]
