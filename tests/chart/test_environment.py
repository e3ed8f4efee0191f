"""The chart and the program have the same environment variables, in both directions."""

import re
import subprocess
from pathlib import Path

from chart import CHART, environment, value_sets
from processes import BINARY

HELP = subprocess.run([BINARY, "serve", "--help"], capture_output=True, text=True, check=True).stdout
# The defaults that `serve --help` prints, by variable.
DEFAULTS = {variable: default for variable, default in re.findall(r"\[env: (\w+)=?\](?:\s+\[default: (.+)\])?", HELP)}
# Variables that Kubernetes sets from the pod; OTEL_RESOURCE_ATTRIBUTES refers to them.
OF_THE_POD = {"POD_NAME", "POD_NAMESPACE", "POD_UID", "NODE_NAME"}
# A secret in a variable cannot be replaced while the program runs, and everybody who can inspect the process sees it. So the
# chart uses a file.
NEVER_SET = {"MOUNTSEA_API_KEY"}


def variables() -> set[str]:
    """All variables that the chart sets for any of the sets of values."""
    return {name for values in value_sets().values() for name in environment(values)}


def test_the_help_of_the_program_lists_its_variables():
    assert len(DEFAULTS) > 50
    assert DEFAULTS["GEMINI_GRPC_MAX_CALLS"] == "1000"


def test_every_variable_that_the_chart_sets_exists_in_the_program():
    program = Path(BINARY).read_bytes()
    ours = variables() - OF_THE_POD
    assert {name for name in ours if name.startswith(("GEMINI_GRPC_", "MOUNTSEA_"))} <= set(DEFAULTS)
    assert [name for name in ours if name.encode() not in program] == []


def test_every_variable_of_the_program_can_be_set_by_the_chart():
    assert set(DEFAULTS) - variables() == NEVER_SET


def test_the_variables_from_the_pod_come_before_the_one_that_refers_to_them():
    # Kubernetes replaces $(NAME) only if that variable is defined earlier in the list.
    names = list(environment())
    used = re.findall(r"\$\((\w+)\)", environment()["OTEL_RESOURCE_ATTRIBUTES"])
    assert set(used) == OF_THE_POD
    assert all(names.index(name) < names.index("OTEL_RESOURCE_ATTRIBUTES") for name in used)


def test_a_null_leaves_the_default_to_the_program_and_the_values_document_that_default():
    values = (CHART / "values.yaml").read_text()
    section = values[values.index("\nconfig:\n") : values.index("\ncallers:\n")]
    named = {key: default for default, key in re.findall(r"# @default -- (.+)\n  (\w+): null", section)}
    assert len(named) > 20
    for key, default in named.items():
        variable = "GEMINI_GRPC_" + re.sub("([A-Z])", r"_\1", key).upper()
        assert variable not in environment(), key
        if default.startswith("`"):
            assert default.strip("`") == DEFAULTS[variable], key
        else:
            # Defaults such as "half of the memory limit" are 0 for the program, and an empty list is an empty text.
            assert DEFAULTS[variable] == ("" if default == "none" else "0"), key


def test_numbers_reach_the_program_as_they_were_written():
    config = {
        "maxRequestBytes": 67108864,
        "maxBytesHeld": 10_000_000_000,
        "connectTimeout": 2.5,
        "retries": 0,
        "reflection": False,
        "playground": True,
    }
    got = environment({"config": config})
    assert got["GEMINI_GRPC_MAX_REQUEST_BYTES"] == "67108864"
    assert got["GEMINI_GRPC_MAX_BYTES_HELD"] == "10000000000"
    assert got["GEMINI_GRPC_CONNECT_TIMEOUT"] == "2.5"
    assert got["GEMINI_GRPC_RETRIES"] == "0"
    assert got["GEMINI_GRPC_REFLECTION"] == "false"
    assert got["GEMINI_GRPC_PLAYGROUND"] == "true"


def test_the_url_of_the_limits_comes_from_a_value_or_from_a_file():
    def limits(**values):
        found = environment({"limits": values})
        return {name.removeprefix("GEMINI_GRPC_LIMITS_"): value for name, value in found.items() if "_LIMITS_" in name}

    assert limits() == {}
    assert limits(url="redis://valkey:6379") == {"URL": "redis://valkey:6379"}
    assert limits(existingSecret="a") == {"URL_FILE": "/etc/gemini-grpc/limits-url"}
    assert limits(existingSecret="a", existingSecretKey="b", prefix="c", ca={"configMap": "d"}) == {
        "URL_FILE": "/etc/gemini-grpc/limits-url",
        "PREFIX": "c",
        "CA": "/etc/gemini-grpc/limits-ca.crt",
    }


def test_resource_attributes_are_encoded_as_opentelemetry_requires():
    attributes = environment(value_sets()["everything"])["OTEL_RESOURCE_ATTRIBUTES"].split(",")
    assert "deployment.environment.name=live%2C%20and%20well" in attributes
    assert "replica.count=2" in attributes
    assert "k8s.deployment.name=gemini-gateway" in attributes


def test_a_collectors_headers_come_from_a_secret():
    got = environment(value_sets()["everything"])["OTEL_EXPORTER_OTLP_HEADERS"]
    assert got == {"secretKeyRef": {"name": "collector-headers", "key": "otlp"}}
    assert "OTEL_EXPORTER_OTLP_HEADERS" not in environment()


def test_without_a_collector_its_protocol_is_not_set():
    assert "OTEL_EXPORTER_OTLP_PROTOCOL" not in environment()
    otlp = {"endpoint": "http://collector:4318", "protocol": "http/protobuf"}
    assert environment({"telemetry": {"otlp": otlp}})["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
