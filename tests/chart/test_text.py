"""Texts and numbers that YAML could read as something else keep their meaning."""

import re

import pytest
import yaml
from chart import Loader, environment, find, pod, refusal, render, template, text, value_sets

NAMES = ["1742", "on", "y", "null", "true", "1e3", "0x1f", "0o17", "no", "12e03"]
INDENTED = '   # team a\n[callers.a]\ntoken_sha256 = "0"\n'
TOMLS = [INDENTED, "\n\n  x = 1", "\tx = 1\n", "x = 1\r\ny = 2\r\n", "x = 1   \n\n\n", "- a: {b}\n---\n", "x = 'ä: \"#'", "|\n"]


def unquoted(name: str, rendered: str) -> list[str]:
    """The lines that contain the name as a scalar without quotes."""
    return re.findall(rf"^.*(?:[nN]ame|namespace|instance|key|query|hostname|a|-): +{re.escape(name)}$", rendered, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_every_namespace_is_rendered_as_a_text(name):
    for values in (value_sets()["everything"] | {"namespaceOverride": ""}, value_sets()["tls"]):
        assert unquoted(name, text(values, namespace=name)) == []
    assert {each["metadata"]["namespace"] for each in render(namespace=name)} == {name}


@pytest.mark.parametrize("name", ["on", "y", "null", "true", "no"])
def test_every_release_name_is_rendered_as_a_text(name):
    values = value_sets()["everything"] | {"fullnameOverride": name, "nameOverride": name, "extraObjects": []}
    assert unquoted(name, text(values, release=name)) == []
    (deployment,) = (each for each in render(values, release=name) if each["kind"] == "Deployment")
    assert deployment["metadata"]["name"] == name
    assert deployment["metadata"]["labels"]["app.kubernetes.io/instance"] == name
    assert deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] == name


@pytest.mark.parametrize("name", ["123", "1e3", "on"])
def test_names_of_other_objects_are_rendered_as_texts(name):
    ca = {"configMap": name, "key": name}
    values = {
        "config": {"auth": "tokens"},
        "apiKey": {"existingSecret": name, "existingSecretKey": name},
        "callers": {"secret": name, "key": name},
        "catalog": ca,
        "tls": {"enabled": True, "secret": name, "clientCA": ca, "clientCRL": ca},
        "limits": {"existingSecret": name, "existingSecretKey": name, "prefix": name, "ca": ca},
        "upstreamTLS": {"ca": ca, "clientSecret": name},
        "telemetry": {
            "serviceName": name,
            "otlp": {"endpoint": "http://a", "headersSecret": name, "headersSecretKey": name, "ca": ca, "clientSecret": name},
        },
        "imagePullSecrets": [{"name": name}],
        "serviceAccount": {"name": name},
        "priorityClassName": name,
        "runtimeClassName": name,
        "nodeSelector": {"a": name},
        "podLabels": {"a": name},
        "tests": {"model": name, "existingSecret": name, "existingSecretKey": name, "clientSecret": name, "ca": ca},
        "image": {"tag": "on"},
        "autoscaling": {
            "enabled": True,
            "type": "keda",
            "callsInFlight": 9,
            "keda": {"serverAddress": "http://a", "query": name, "authenticationRef": name},
        },
        "route": {
            "enabled": True,
            "parentRefs": [{"name": name, "namespace": name}],
            "backendTLS": {"hostname": name, "caConfigMap": name},
        },
        "ingress": {"enabled": True, "hosts": ["a"], "className": name, "tlsSecret": name, "rest": {"enabled": True}},
    }
    assert unquoted(name, text(values)) == []
    assert unquoted("on", text(values)) == []


@pytest.mark.parametrize("toml", TOMLS, ids=repr)
def test_a_file_in_the_values_is_passed_on_unchanged(toml):
    tokens = {"config": {"auth": "tokens"}, "apiKey": {"existingSecret": "key"}}
    data = find(render({**tokens, "callers": {"toml": toml}, "catalog": {"toml": toml}}), "ConfigMap")["data"]
    assert data == {"callers.toml": toml, "catalog.toml": toml, "log-filter": "info"}


def test_a_file_given_with_set_file_is_passed_on_unchanged(tmp_path):
    path = tmp_path / "callers.toml"
    path.write_text(INDENTED)
    values = {"config": {"auth": "tokens"}, "apiKey": {"existingSecret": "key"}}
    rendered = template(values, more=("--set-file", f"callers.toml={path}")).stdout
    objects = [each for each in yaml.load_all(rendered, Loader) if each]
    assert find(objects, "ConfigMap")["data"]["callers.toml"] == INDENTED


def test_metadata_has_no_duplicate_keys():
    # The loader of these tests rejects duplicate keys.
    default = {"kubectl.kubernetes.io/default-container": "sidecar"}
    for values in ({"podAnnotations": default}, {"commonAnnotations": default}):
        assert pod(values)["metadata"]["annotations"] == default
    labels = {"helm.sh/chart": "other", "app.kubernetes.io/version": "2"}
    for each in render({"commonLabels": labels, "service": {"labels": {"a": "b"}}}):
        assert labels.items() <= each["metadata"]["labels"].items(), each["kind"]
    hook = {"helm.sh/hook": "test-success"}
    assert render({"commonAnnotations": hook, "tests": {"podAnnotations": hook}})


@pytest.mark.parametrize(
    "given, expected",
    [
        (1e21, "1e+21"),
        (1e15, "1000000000000000"),
        (67108864, "67108864"),
        (9007199254740993, "9007199254740992"),
        (-3, "-3"),
        (0.1, "0.1"),
        (2.50, "2.5"),
        (1e-7, "1e-7"),
        (True, "true"),
        ("1e21", "1e21"),
        ("007", "007"),
    ],
)
def test_a_number_is_written_without_loss(given, expected):
    attributes = environment({"telemetry": {"resourceAttributes": {"b": given}}})["OTEL_RESOURCE_ATTRIBUTES"]
    assert attributes.endswith(f",b={expected.replace('+', '%2B')}")


@pytest.mark.parametrize(
    "drain, sleep, grace", [(299.9, 0, 310), (600.9, 0, 611), (0.1, 0, 15), (300, 7, 317), ("299.9", 0, 310), (580, 0, 590)]
)
def test_a_fraction_of_a_second_is_rounded_up_in_the_grace_period(drain, sleep, grace):
    values = {"config": {"drainTimeout": drain}, "preStopSleep": sleep}
    assert pod(values)["spec"]["terminationGracePeriodSeconds"] == grace
    assert f"terminationGracePeriodSeconds: {grace - 1} is too short" in refusal(
        {**values, "terminationGracePeriodSeconds": grace - 1}
    )
    assert template({**values, "terminationGracePeriodSeconds": grace}).returncode == 0


def test_a_number_that_helm_passes_as_a_text_is_accepted():
    keys = ("heartbeat", "drainDelay", "drainTimeout", "connectTimeout", "connectionAge", "maxDuration")
    got = environment({"config": dict.fromkeys(keys, "0.5")})
    for key in keys:
        assert got["GEMINI_GRPC_" + re.sub("([A-Z])", r"_\1", key).upper()] == "0.5", key
    result = template(more=("--set", "config.heartbeat=0.5"))
    assert 'value: "0.5"' in result.stdout
    for wrong in ("soon", "1s", "-1", "", ".", "1e3"):
        assert "/config/heartbeat" in refusal({"config": {"heartbeat": wrong}})
    for wrong in ("0", "0.0", "00"):
        assert "/config/drainTimeout" in refusal({"config": {"drainTimeout": wrong}})
