"""Runs the rendered container as a process of this machine: it accepts its configuration, is healthy, and answers."""

import base64
import hashlib
import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from certificates import Authority
from chart import NAME, container, environment, files, files_of, find, render, value_sets
from cryptography import x509
from processes import BINARY, ENVIRONMENT, address_in, start
from telemetry import free_port, wait_until
from test_notes import notes
from upstream import upstream

TOKEN = "a-token-of-more-than-32-characters-for-a-test"


def on_loopback(values: dict) -> dict:
    """The same values, but the gateway listens on free ports of loopback."""
    port, admin = free_port(), free_port()
    return {**values, "listen": {"host": "127.0.0.1", "port": port, "adminPort": admin}}


class Machine:
    """Provides what a node would: the objects that values name and that the chart does not create."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority()
        _, self.certificate, self.key = self.authority.issue()
        uri = x509.UniformResourceIdentifier("spiffe://cluster/ns/a/sa/b")
        _, self.callers_certificate, self.callers_key = self.authority.issue(uri)

    def content(self, objects: list[dict], source: tuple[str, str, str]) -> bytes:
        """The content of a key of a ConfigMap or Secret, which is in the release or created outside of the chart."""
        kind, name, key = source
        for each in objects:
            if (
                each["kind"] == {"configMap": "ConfigMap", "secret": "Secret"}[kind]
                and each["metadata"]["name"] == name
            ):
                return base64.b64decode(each["data"][key]) if kind == "secret" else each["data"][key].encode()
        if key in ("tls.crt", "tls.key"):
            of_caller = "test" in name
            pair = (self.callers_certificate, self.callers_key) if of_caller else (self.certificate, self.key)
            return pair[key == "tls.key"]
        if key.endswith(".crl"):
            return self.authority.revocations()
        if key.startswith("ca."):
            return self.authority.pem()
        others = {
            "callers.toml": f'[callers.a]\ntoken_sha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"\n'.encode(),
            "models.toml": b"",
            "several-keys": b"first 1000 the-first-key\nsecond the-second-key\n",
            # Nothing listens there: a pod starts and serves without the store of limits.
            "redis-url": b"rediss://gateway:password@127.0.0.1:1\n",
        }
        # Any other key is a key for upstream, or the token of the test.
        return others.get(key, TOKEN.encode())

    def write_files(self, values: dict, sources: dict) -> str:
        """Writes files as the kubelet would, and returns their folder."""
        folder = self.folder / "files"
        folder.mkdir(exist_ok=True)
        objects = render(values)
        for name, source in sources.items():
            (folder / name).write_bytes(self.content(objects, source))
        return str(folder)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def environment_of_process(variables: dict, folder: str) -> dict:
    """The environment of a container, for a process: with values for the pod's fields, and paths in `folder`."""
    pod = {"POD_NAME": "p", "POD_NAMESPACE": "models", "POD_UID": "u", "NODE_NAME": "n"}
    found = {}
    for name, value in variables.items():
        if isinstance(value, dict):
            value = pod.get(name, "a=b")
        for of_pod, text in pod.items():
            value = value.replace(f"$({of_pod})", text)
        found[name] = value.replace("/etc/gemini-grpc", folder)
    return found


def run_gateway(values: dict, machine: Machine):
    """Starts the gateway's container, and returns when it is ready."""
    folder = machine.write_files(values, files(values))
    variables = environment_of_process(environment(values), folder)
    process, address = start(address_in, *container(values)["args"], env=variables)
    return process, address


def run_test(values: dict, machine: Machine) -> subprocess.CompletedProcess:
    """Runs the container of `helm test`, with this machine in place of the Service."""
    objects = render(values)
    (test,) = (each for each in objects if each["kind"] == "Pod")
    (own,) = test["spec"]["containers"]
    variables = environment_of_process(
        {each["name"]: each["value"] for each in own["env"]}, machine.write_files(values, files_of(test["spec"]))
    )
    name = f"{NAME}.models.svc:{values.get('service', {}).get('port', 50051)}"
    assert name in variables["GEMINI_GRPC_ENDPOINT"]
    variables["GEMINI_GRPC_ENDPOINT"] = variables["GEMINI_GRPC_ENDPOINT"].replace(
        name, f"127.0.0.1:{values['listen']['port']}"
    )
    command = [BINARY, *own["args"]]
    return subprocess.run(
        command, env={**ENVIRONMENT, **variables}, capture_output=True, text=True, timeout=60, check=False
    )


def get(values: dict, path: str) -> str:
    """The response of the admin port."""
    with urllib.request.urlopen(f"http://127.0.0.1:{values['listen']['adminPort']}{path}", timeout=10) as answer:
        return answer.read().decode()


def test_the_sandbox_is_healthy_and_answers_the_call_of_helm_test(machine):
    values = on_loopback(value_sets()["sandbox"])
    process, address = run_gateway(values, machine)
    try:
        assert address == f"127.0.0.1:{values['listen']['port']}"
        healthy = [BINARY, "healthcheck", "--endpoint", f"http://{address}"]
        assert subprocess.run(healthy, env=ENVIRONMENT, capture_output=True, check=False).returncode == 0
        result = run_test(values, machine)
        assert result.returncode == 0, result.stderr
        assert "[sandbox]" in result.stdout
        # The metrics have the resource attributes of the pod.
        assert 'k8s_pod_name="p"' in get(values, "/metrics")
    finally:
        assert process.stop() == 0


def test_a_secret_may_contain_several_keys_for_upstream(machine):
    key = {"existingSecret": "keys", "existingSecretKey": "several-keys"}
    with upstream(pace=0) as served:
        served.valid = {"the-second-key"}
        config = {"auth": "none", "upstreamUrl": served.url, "log": "trace"}
        values = on_loopback({"apiKey": key, "config": config, "logFilter": "trace"})
        process, _ = run_gateway(values, machine)
        try:
            for _ in range(3):
                result = run_test(values, machine)
                assert result.returncode == 0, result.stderr
            assert re.search(r'^gemini_grpc_key_requests_total\{.*key="second"', get(values, "/metrics"), re.MULTILINE)
        finally:
            assert process.stop() == 0
    # The first one is preferred, until it is refused; calls go on with the second one.
    assert served.keys.keys() == {"the-first-key", "the-second-key"}
    assert served.keys["the-second-key"] == 3
    assert not re.search("the-(first|second)-key", "".join(process.output))


def test_pods_answer_over_ipv4_and_ipv6(machine):
    values = on_loopback({"sandbox": True})
    values["listen"].pop("host")
    process, _ = run_gateway(values, machine)
    try:
        for host in ("127.0.0.1", "[::1]") if has_ipv6() else ("127.0.0.1",):
            endpoint = f"http://{host}:{values['listen']['port']}"
            healthy = [BINARY, "healthcheck", "--endpoint", endpoint]
            assert subprocess.run(healthy, env=ENVIRONMENT, capture_output=True, check=False).returncode == 0, host
            admin = f"http://{host}:{values['listen']['adminPort']}/livez"
            with urllib.request.urlopen(admin, timeout=10) as answer:
                assert answer.status == 200, host
    finally:
        assert process.stop() == 0


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback address."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


def test_with_tokens_and_tls_the_probes_and_the_call_of_helm_test_succeed(machine):
    values = on_loopback({**value_sets()["tls"], "sandbox": True})
    process, _ = run_gateway(values, machine)
    try:
        probes = [container(values)[each]["httpGet"]["path"] for each in ("livenessProbe", "readinessProbe")]
        assert [get(values, path) != "" for path in probes] == [True, True]
        result = run_test(values, machine)
        assert result.returncode == 0, result.stderr
        assert "[sandbox]" in result.stdout
    finally:
        assert process.stop() == 0


@pytest.mark.parametrize("limits", [{"url": "redis://127.0.0.1:1"}, {"existingSecret": "limits", "existingSecretKey": "redis-url"}])
def test_a_pod_is_ready_and_answers_while_the_store_of_limits_is_away(machine, limits):
    values = on_loopback({"sandbox": True, "config": {"auth": "tokens"}, "apiKey": {"value": "any"}, "limits": limits})
    values["callers"] = {"secret": "callers"}
    values["tests"] = {"existingSecret": "token"}
    process, _ = run_gateway(values, machine)
    try:
        assert get(values, "/readyz")
        result = run_test(values, machine)
        assert result.returncode == 0, result.stderr
        away = re.compile(r"^gemini_grpc_store_up(\{.*\})? 0$", re.MULTILINE)
        wait_until(lambda: away.search(get(values, "/metrics")), "the store to be away")
    finally:
        assert process.stop() == 0
    assert "password" not in "".join(process.output)


@pytest.mark.parametrize("tls", [False, True])
def test_the_command_of_the_notes_with_googles_sdk_prints_an_answer(machine, tls):
    values = on_loopback({"sandbox": True})
    if tls:
        values["tls"] = {"enabled": True, "secret": "server", "clientCA": {"configMap": "callers-ca"}}
        (machine.folder / "ca.crt").write_bytes(machine.authority.pem())
        (machine.folder / "me.crt").write_bytes(machine.callers_certificate)
        (machine.folder / "me.key").write_bytes(machine.callers_key)
    (_, printed) = notes(values).split("with Google's SDK (pip install google-genai):\n\n")
    command = "\n".join(printed.splitlines()[:2])
    process, address = run_gateway(values, machine)
    try:
        for name in (f"{NAME}.models.svc:50051", "localhost:50051"):
            command = command.replace(name, address)
        environ = {**ENVIRONMENT, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
        shell = ["sh", "-ec", command]
        ran = subprocess.run(shell, env=environ, cwd=machine.folder, capture_output=True, text=True, timeout=120, check=False)
        assert ran.returncode == 0, ran.stderr
        assert "[sandbox]" in ran.stdout
    finally:
        assert process.stop() == 0


def test_without_credentials_helm_test_checks_health(machine):
    values = on_loopback({})
    process, _ = run_gateway(values, machine)
    try:
        (test,) = (each for each in render(values) if each["kind"] == "Pod")
        assert test["spec"]["containers"][0]["args"][0] == "healthcheck"
        assert run_test(values, machine).returncode == 0
    finally:
        assert process.stop() == 0


def test_with_everything_set_the_program_starts_and_identifies_the_caller_by_its_certificate(machine):
    everything = value_sets()["everything"]
    # The usual names of the release, and no flags that users add.
    values = on_loopback({**everything, "sandbox": True, "nameOverride": "", "namespaceOverride": "", "extraArgs": []})
    values["service"] = {**everything["service"], "ipFamilyPolicy": ""}
    values["config"] = {**everything["config"], "upstreamUrl": None, "upstreamProxy": False, "logFormat": "json"}
    values["logFilter"] = "info"
    process, _ = run_gateway(values, machine)
    try:
        assert get(values, "/readyz")
        result = run_test(values, machine)
        assert result.returncode == 0, result.stderr
        assert 'caller="team-a"' in get(values, "/metrics")
    finally:
        assert process.stop() == 0


@pytest.mark.parametrize(
    "values, calls",
    [
        ({}, "healthcheck"),
        ({"tests": {"existingSecret": "key"}}, "call"),
        ({"sandbox": True}, "call"),
        ({"config": {"auth": "none"}}, "call"),
        ({"config": {"auth": "tokens"}, "apiKey": {"existingSecret": "k"}, "callers": {"secret": "c"}}, "healthcheck"),
        (
            {
                "config": {"auth": "tokens"},
                "apiKey": {"existingSecret": "k"},
                "callers": {"secret": "c"},
                "sandbox": True,
            },
            "healthcheck",
        ),
    ],
)
def test_helm_test_makes_a_call_if_it_has_credentials(values, calls):
    (test,) = (each for each in render(values) if each["kind"] == "Pod")
    assert test["spec"]["containers"][0]["args"][0] == calls


def test_helm_test_is_left_out_if_it_lacks_a_client_certificate():
    values = {"tls": {"enabled": True, "secret": "a", "clientCA": {"secret": "b"}}}
    assert "Pod" not in {each["kind"] for each in render(values)}
    values["tests"] = {"clientSecret": "c"}
    assert "Pod" in {each["kind"] for each in render(values)}


def test_helm_test_trusts_the_authority_of_the_certificate_that_cert_manager_made():
    manager = {"enabled": True, "issuerRef": {"name": "a"}}
    values = {"tls": {"enabled": True, "certManager": manager}}
    test = find(render(values), "Pod", f"{NAME}-test")
    (source,) = test["spec"]["volumes"][0]["projected"]["sources"]
    assert source["secret"] == {"name": f"{NAME}-tls", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    values["tests"] = {"ca": {"configMap": "own"}}
    test = find(render(values), "Pod", f"{NAME}-test")
    (source,) = test["spec"]["volumes"][0]["projected"]["sources"]
    assert source["configMap"]["name"] == "own"
    # Without values for it, the test trusts the public authorities.
    spec = find(render({"tls": {"enabled": True, "secret": "a"}}), "Pod", f"{NAME}-test")["spec"]
    assert "volumes" not in spec
    assert "volumeMounts" not in spec["containers"][0]
