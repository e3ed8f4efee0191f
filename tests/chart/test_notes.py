"""The notes that `helm install` prints: commands that work when they are pasted, and warnings about risky values."""

import pytest
from chart import CHART, NAMESPACE, RELEASE, helm, value_sets

TOKENS = {"config": {"auth": "tokens"}, "apiKey": {"existingSecret": "key"}, "callers": {"secret": "callers"}}
ROUTE = {"route": {"enabled": True, "parentRefs": [{"name": "a"}]}}
WARNINGS = {
    "config.auth is none": {"config": {"auth": "none"}},
    "the key is stored in the release": {"config": {"auth": "none"}, "apiKey": {"value": "k"}},
    "in plaintext": {"service": {"type": "LoadBalancer"}},
    "with one pod": {"replicaCount": 1},
    "without resources.limits.memory": {"resources": {"limits": None}},
    "prompts and answers are recorded": {"telemetry": {"captureMessageContent": "SPAN_ONLY"}},
}


def notes(values: dict) -> str:
    """The text under NOTES."""
    result = helm(
        "install", RELEASE, CHART, "--namespace", NAMESPACE, "--dry-run=client", "--values", "-", values=values
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.partition("\nNOTES:\n")[2]


def test_the_notes_of_a_default_install_have_no_warning_and_show_how_to_call():
    printed = notes({})
    assert "WARNING" not in printed
    assert f"helm test {RELEASE} --namespace {NAMESPACE}" in printed
    assert "grpcurl -plaintext" in printed
    assert "grpc.insecure_channel" in printed
    assert "Callers must send their own keys" in printed
    assert "dns:///gemini-gemini-grpc-headless.models.svc:50051" in printed


def test_a_null_replica_count_causes_no_warning():
    assert "WARNING" not in notes({"replicaCount": None})


@pytest.mark.parametrize("sentence, values", WARNINGS.items(), ids=WARNINGS)
def test_the_notes_warn_of_each_risky_value_and_of_nothing_else(sentence, values):
    printed = notes(values)
    warnings = [line for line in printed.splitlines() if line.startswith("WARNING: ")]
    assert any(sentence in line for line in warnings)
    assert len(warnings) == 1 + (sentence == "the key is stored in the release")


@pytest.mark.parametrize(
    "values, has, lacks",
    [
        ({"sandbox": True}, "answers from a sandbox", "x-goog-api-key"),
        ({}, '-H "x-goog-api-key: $KEY"', "$TOKEN"),
        (TOKENS, '-H "x-goog-api-key: $TOKEN"', "$KEY"),
        ({"config": {"auth": "none"}}, "grpcurl -plaintext \\", "x-goog-api-key"),
        (
            {"tls": {"enabled": True, "secret": "a"}},
            "grpcurl -cacert ca.crt -authority gemini-gemini-grpc",
            "-plaintext",
        ),
        (
            {"tls": {"enabled": True, "secret": "a", "clientCA": {"secret": "b"}}},
            "-cert me.crt -key me.key",
            "insecure_channel",
        ),
        (
            {"tls": {"enabled": True, "secret": "a", "clientCA": {"secret": "b"}}},
            'open("ca.crt", "rb").read(), open("me.key", "rb").read(), open("me.crt", "rb").read())',
            "-plaintext",
        ),
        ({"tls": {"enabled": True, "secret": "a"}}, 'open("ca.crt", "rb").read())', "me.key"),
        ({"config": {"reflection": False}}, "-import-path proto", "WARNING"),
        ({"service": {"headless": {"enabled": False}}}, "helm test", "round_robin"),
        (ROUTE, "set route.envoyGateway.enabled", "WARNING"),
        ({"route": {**ROUTE["route"], "envoyGateway": {"enabled": True}}}, "helm test", "Envoy Gateway"),
        ({"route": {**ROUTE["route"], "kind": "HTTPRoute"}}, "helm test", "Envoy Gateway"),
        ({"telemetry": {"captureMessageContent": "NO_CONTENT"}}, "helm test", "WARNING"),
        ({"config": {"auth": "none"}, "networkPolicy": {"enabled": True}}, "reaches the pods may call.", "is false"),
        ({"tls": {"enabled": True, "secret": "a"}, "service": {"type": "LoadBalancer"}}, "helm test", "WARNING"),
    ],
)
def test_the_commands_in_the_notes_fit_the_values(values, has, lacks):
    printed = notes(values)
    assert has in printed
    assert lacks not in printed


@pytest.mark.parametrize("name", value_sets())
def test_every_set_of_values_has_notes_without_missing_values(name):
    printed = notes(value_sets()[name])
    assert "<no value>" not in printed
    assert "<nil>" not in printed
    assert "%!" not in printed


@pytest.mark.parametrize("name", value_sets())
def test_the_python_lines_in_the_notes_compile(name):
    lines = notes(value_sets()[name]).split("google-ai-generativelanguage):\n\n")[1].split("\n\nWARNING")[0]
    code = "\n".join(line[2:] for line in lines.splitlines() if line.startswith("  ") or not line)
    compile(code, "NOTES.txt", "exec")
