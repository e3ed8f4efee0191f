"""What must be true for all values: security, secrets, names, ports, and the time to stop."""

import base64
import itertools
import re

import pytest
from chart import NAME, container, environment, pod, render, text, value_sets

SETS = value_sets()
# Containers that users add are not checked: the chart does not control their settings.
WITHOUT_EXTRA_CONTAINERS = {
    name: {k: v for k, v in values.items() if k not in ("extraContainers", "initContainers")}
    for name, values in SETS.items()
}


def pods(values: dict) -> list[tuple[dict, dict]]:
    """Metadata and spec of every pod."""
    objects = render(values)
    found = [each["spec"]["template"] for each in objects if each["kind"] == "Deployment"]
    return [(each["metadata"], each["spec"]) for each in found + [each for each in objects if each["kind"] == "Pod"]]


@pytest.mark.parametrize("name", WITHOUT_EXTRA_CONTAINERS)
def test_every_pod_meets_the_restricted_profile_and_has_a_read_only_root(name):
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    for _, spec in pods(WITHOUT_EXTRA_CONTAINERS[name]):
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert all({"projected", "emptyDir", "configMap", "secret"} & set(each) for each in spec.get("volumes", []))
        for each in spec["containers"]:
            context = each["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["readOnlyRootFilesystem"] is True
            assert not {"privileged", "runAsUser", "seccompProfile", "procMount"} & set(context)
            assert not any("hostPort" in port for port in each.get("ports", []))


@pytest.mark.parametrize("name", SETS)
def test_no_pod_has_an_api_token_or_the_variables_of_services(name):
    for _, spec in pods(SETS[name]):
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
    for each in render(SETS[name]):
        assert each["kind"] != "ServiceAccount" or each["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", WITHOUT_EXTRA_CONTAINERS)
def test_every_container_has_requests_and_a_limit_of_memory(name):
    for each in (each for _, spec in pods(WITHOUT_EXTRA_CONTAINERS[name]) for each in spec["containers"]):
        assert set(each["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in each["resources"]["limits"]


def test_a_key_in_the_values_is_rendered_into_its_secret_only():
    key = "sk-only-for-this-test"
    everywhere = text({"apiKey": {"value": key}, "config": {"auth": "none"}})
    assert key not in everywhere
    assert everywhere.count(base64.b64encode(key.encode()).decode()) == 1


@pytest.mark.parametrize("name", SETS)
def test_no_secret_is_in_a_variable_an_argument_or_a_config_map(name):
    for _, spec in pods(SETS[name]):
        for each in spec["containers"]:
            plain = [variable for variable in each.get("env", []) if "value" in variable]
            secret = [
                variable["name"] for variable in plain if re.search("KEY$|TOKEN|HEADERS|PASSWORD", variable["name"])
            ]
            # These variables contain paths of files, not secrets.
            assert all(
                dict((v["name"], v["value"]) for v in plain)[name].startswith("/etc/gemini-grpc/") for name in secret
            )
            assert not any("key" in argument for argument in each.get("args", []))
    for each in render(SETS[name]):
        if each["kind"] == "ConfigMap":
            assert not re.search("PRIVATE KEY|api-key|token *=", str(each.get("data")))


@pytest.mark.parametrize("name", SETS)
def test_probes_use_ports_that_the_container_declares_and_listens_on(name):
    values = SETS[name]
    own = container(values)
    ports = {each["name"]: each["containerPort"] for each in own["ports"]}
    variables = environment(values)
    listens = {
        "grpc": int(variables["GEMINI_GRPC_LISTEN"].rpartition(":")[2]),
        "admin": int(variables["GEMINI_GRPC_ADMIN_LISTEN"].rpartition(":")[2]),
    }
    assert ports == listens
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        if "grpc" in own[probe]:
            assert own[probe]["grpc"]["port"] == ports["grpc"]
        else:
            assert own[probe]["httpGet"]["port"] in ports
    for each in render(values):
        if each["kind"] == "Service":
            assert all(port["targetPort"] in ports for port in each["spec"]["ports"])


@pytest.mark.parametrize("sleep, delay, timeout", [*itertools.product([0, 15], [0, 5, 700], [1, 600, 0.5, 299.9])])
def test_the_grace_period_is_long_enough_for_the_sleep_the_drain_and_the_last_export(sleep, delay, timeout):
    values = {"preStopSleep": sleep, "config": {"drainDelay": delay, "drainTimeout": timeout}}
    # One second until connections are closed, and five for the last export of telemetry: docs/operations.md.
    needed = sleep + max(delay, timeout) + 1 + 5
    grace = pod(values)["spec"]["terminationGracePeriodSeconds"]
    assert needed <= grace <= needed + 5


def test_a_custom_grace_period_is_accepted_if_it_is_long_enough():
    for seconds in (610, 1_000_000):
        assert pod({"terminationGracePeriodSeconds": seconds})["spec"]["terminationGracePeriodSeconds"] == seconds


def test_pods_stop_before_node_autoscalers_kill_them():
    # The default of cluster-autoscaler's --max-graceful-termination-sec is 600: after that it kills a pod.
    assert pod()["spec"]["terminationGracePeriodSeconds"] <= 590


def test_a_hanging_process_does_not_get_the_grace_period_of_the_pod():
    # At most 30 s until the probe has failed, and then 30 s until the process is killed.
    for probe in ("livenessProbe", "startupProbe"):
        own = container()[probe]
        assert own["terminationGracePeriodSeconds"] == 30
        assert own["periodSeconds"] * own["failureThreshold"] <= 30


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("long", ["release", "override"])
def test_no_name_or_label_is_longer_than_63_characters(name, long):
    values, release = dict(SETS[name]), "r" * 53
    if long == "override":
        values["fullnameOverride"] = "f" * 50
    for each in render(values, release=release):
        assert len(each["metadata"]["name"]) <= 63
        assert not each["metadata"]["name"].endswith("-")
        labels = each["metadata"].get("labels", {})
        assert all(len(value) <= 63 for value in labels.values())


@pytest.mark.parametrize("name", SETS)
def test_every_object_has_the_requested_namespace_and_the_labels_of_the_chart(name):
    values = {**SETS[name], "namespaceOverride": "elsewhere", "extraObjects": []}
    for each in render(values):
        assert each["metadata"]["namespace"] == "elsewhere", each["kind"]
        if each["kind"] != "Pod":
            assert each["metadata"]["labels"]["app.kubernetes.io/instance"] == "gemini"
            assert each["metadata"]["labels"]["helm.sh/chart"] == "gemini-grpc-0.1.0"


def test_every_object_has_the_common_labels_and_annotations():
    values = {**SETS["everything"], "extraObjects": []}
    for each in render(values):
        assert each["metadata"]["labels"]["team"] == "models"
        if each["kind"] != "Pod":
            assert each["metadata"]["annotations"]["owner"] == "models@example.com"


def test_all_selectors_agree_and_are_the_same_in_every_version():
    older = {"app.kubernetes.io/name": "gemini-grpc", "app.kubernetes.io/instance": "gemini"}
    values = {**SETS["everything"], "nameOverride": "", "extraObjects": [], "topologySpreadConstraints": []}
    paths = {
        "Deployment": ("selector", "matchLabels"),
        "Service": ("selector",),
        "PodDisruptionBudget": ("selector", "matchLabels"),
        "NetworkPolicy": ("podSelector", "matchLabels"),
    }
    seen = 0
    for each in render(values):
        if each["kind"] in paths:
            selector = each["spec"]
            for step in paths[each["kind"]]:
                selector = selector[step]
            assert selector == older, each["kind"]
            seen += 1
    assert seen == 5
    labels = pod(values)["metadata"]["labels"]
    assert older.items() <= labels.items()


def test_no_service_selects_the_pod_of_helm_test():
    objects = render()
    (test,) = (each for each in objects if each["kind"] == "Pod")
    for each in objects:
        if each["kind"] == "Service":
            assert not each["spec"]["selector"].items() <= test["metadata"]["labels"].items()


@pytest.mark.parametrize(
    "change",
    [
        {"callers": {"toml": "[callers.b]"}},
        {"catalog": {"toml": "# other"}},
        {"logFilter": "info"},
        {"apiKey": {"value": "other"}},
        {"networkPolicy": {"enabled": True}},
        {"service": {"annotations": {"a": "b"}}},
    ],
    ids=str,
)
def test_a_change_of_a_file_that_the_program_reloads_restarts_no_pod(change):
    values = {
        "config": {"auth": "tokens"},
        "apiKey": {"value": "k"},
        "callers": {"toml": "[callers.a]"},
        "catalog": {"toml": "# one"},
        "logFilter": "debug",
    }
    assert pod(values) == pod({**values, **change})
    assert text(values) != text({**values, **change})


def test_setting_the_log_filter_for_the_first_time_restarts_no_pod():
    assert pod() == pod({"logFilter": "debug"})
    assert text() != text({"logFilter": "debug"})


def test_a_change_of_config_restarts_the_pods():
    assert pod({"config": {"maxCalls": 1}}) != pod({"config": {"maxCalls": 2}})


def test_a_release_named_like_the_chart_does_not_repeat_the_name():
    (deployment,) = (each for each in render(release="gemini-grpc") if each["kind"] == "Deployment")
    assert deployment["metadata"]["name"] == "gemini-grpc"
    (deployment,) = (each for each in render({"fullnameOverride": "gateway"}) if each["kind"] == "Deployment")
    assert deployment["metadata"]["name"] == "gateway"
    (deployment,) = (each for each in render() if each["kind"] == "Deployment")
    assert deployment["metadata"]["name"] == NAME
