"""The notes that `helm install` prints: commands that work when they are pasted, and warnings about risky values."""

import shlex

import pytest
from chart import CHART, NAMESPACE, RELEASE, helm, value_sets

TOKENS = {"config": {"auth": "tokens"}, "apiKey": {"existingSecret": "key"}, "callers": {"secret": "callers"}}
ROUTE = {"route": {"enabled": True, "parentRefs": [{"name": "a"}]}}
REST = {"ingress": {"rest": {"enabled": True, "hosts": ["b.example", "*.b.example"]}}}
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
    "values, printed",
    [
        (TOKENS, True),
        ({**TOKENS, "replicaCount": None}, True),
        ({**TOKENS, "replicaCount": 1, "autoscaling": {"enabled": True}}, True),
        ({**TOKENS, "replicaCount": 1}, False),
        ({**TOKENS, "limits": {"url": "redis://valkey"}}, False),
        ({**TOKENS, "limits": {"existingSecret": "limits"}}, False),
        ({"config": {"auth": "none"}}, False),
    ],
)
def test_the_notes_say_that_each_pod_counts_alone_if_there_are_several(values, printed):
    assert ("Each pod counts its callers' limits and budgets alone" in notes(values)) == printed


@pytest.mark.parametrize(
    "values, has, lacks",
    [
        ({"sandbox": True}, "answers from a sandbox", "x-goog-api-key"),
        ({"sandbox": True}, "export GOOGLE_GEMINI_BASE_URL=http://localhost:50051 GEMINI_API_KEY=any\n", "SSL_CERT_FILE"),
        ({}, "GEMINI_API_KEY=$KEY\n", "=any"),
        (TOKENS, "GEMINI_API_KEY=$TOKEN\n", "=any"),
        (
            {"tls": {"enabled": True, "secret": "a"}},
            "gemini-gemini-grpc.models.svc:50051 GEMINI_API_KEY=$KEY SSL_CERT_FILE=ca.crt\n",
            "client_args",
        ),
        (
            {"tls": {"enabled": True, "secret": "a", "clientCA": {"secret": "b"}}},
            'genai.Client(http_options={"client_args": {"cert": ("me.crt", "me.key")}});',
            "insecure_channel",
        ),
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


BASE = "  GOOGLE_GEMINI_BASE_URL="


@pytest.mark.parametrize(
    "values, urls",
    [
        ({}, ["http://gemini-gemini-grpc.models.svc:50051"]),
        ({"service": {"port": 80}}, ["http://gemini-gemini-grpc.models.svc:80"]),
        ({"service": {"httpPort": 8080}}, ["http://gemini-gemini-grpc.models.svc:8080"]),
        ({"tls": {"enabled": True, "secret": "a"}}, ["https://gemini-gemini-grpc.models.svc:50051"]),
        (REST, ["http://gemini-gemini-grpc.models.svc:50051", "https://b.example"]),
        (
            {"route": {**ROUTE["route"], "kind": "HTTPRoute", "hostnames": ["a.example"]}, **REST},
            ["http://gemini-gemini-grpc.models.svc:50051", "https://a.example", "https://b.example"],
        ),
        (
            {"route": {**ROUTE["route"], "hostnames": ["a.example"], "rest": {"enabled": True, "hostnames": ["c.example"]}}},
            ["http://gemini-gemini-grpc.models.svc:50051", "https://c.example"],
        ),
    ],
)
def test_the_notes_name_every_base_url_of_rest(values, urls):
    found = [line.removeprefix(BASE).split()[0] for line in notes(values).splitlines() if line.startswith(BASE)]
    assert found == urls


@pytest.mark.parametrize(
    "values, shown",
    [
        ({"sandbox": True}, "http://localhost:50051/"),
        ({"config": {"playground": True}}, "http://localhost:50051/"),
        ({"config": {"playground": True}, "tls": {"enabled": True, "secret": "a"}}, "https://localhost:50051/"),
        ({}, None),
    ],
)
def test_the_notes_have_the_address_of_the_page_if_it_is_served(values, shown):
    lines = [line for line in notes(values).splitlines() if line.startswith("A page to try it in a browser: ")]
    assert lines == ([f"A page to try it in a browser: {shown}"] if shown else [])


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


@pytest.mark.parametrize("name", value_sets())
def test_the_command_with_googles_sdk_is_one_line_of_shell_and_valid_python(name):
    (_, rest) = notes(value_sets()[name]).split("with Google's SDK (pip install google-genai):\n\n")
    variables, command = rest.splitlines()[:2]
    assert variables.startswith("  export GOOGLE_GEMINI_BASE_URL=")
    python, option, code = shlex.split(command)
    assert (python, option) == ("python3", "-c")
    compile(code, "NOTES.txt", "exec")
