"""Metrics as a real collector and a real Prometheus receive them, and the usage they add up to."""

import contextlib
import hashlib
import json
import re
import urllib.error
import urllib.request

import certifi
import pytest
from google.api_core import exceptions

from google_client import IMAGE_MODEL, SyncClient, request
from processes import ROOT, Process, admin_in, free_port, start_gateway
from telemetry import Collector, Prometheus, wait_until

TOKEN = "a-token-of-thirty-two-characters"
# The status and the path of each.
REST_CALLS = [
    (200, "gemini-2.5-flash:generateContent"),
    (200, "gemini-2.5-flash:streamGenerateContent?alt=sse"),
    (200, "sandbox-cut:streamGenerateContent?alt=sse"),
    (503, "sandbox-503:generateContent"),
    (400, "sandbox-400:generateContent"),
]
CALLERS = """
[callers.team-a]
token_sha256 = "{hash}"
"""
# A model with a price, and one that upstream does not have, in whose place the first one answers.
CATALOG = """
[[text_model]]
ids = ["gemini-2.5-flash"]
prices = { input = 0.30, output = 2.50 }
[[text_model]]
ids = ["sandbox-404"]
fallback = ["gemini-2.5-flash"]
"""


def documented():
    """The metrics in docs/telemetry.md: name, kind, unit and labels."""
    text = (ROOT / "docs/telemetry.md").read_text()
    return {
        name: (kind, unit, labels)
        for name, kind, unit, labels in re.findall(r"^\| `([a-z_.]+)` \| (\w+) \| `(.+?)` \| (.*?) \|", text, re.M)
    }


@contextlib.contextmanager
def gateway(sandbox, *flags, env=None, retries=0):
    """The address of a gateway, and that of its admin port, if it has one."""
    if "--api-key-file" not in flags:
        env = {"MOUNTSEA_API_KEY": "a-key", **(env or {})}
    process, address = start_gateway("--upstream-url", sandbox, *flags, env=env, retries=retries)
    try:
        yield address, process.wait_for(admin_in) if "--admin-listen" in flags else None
    finally:
        assert process.stop() == 0


def read(address, path):
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        return answer.read().decode()


def make_calls(address, metadata=()):
    """Makes a call of each kind for which there is a metric."""
    client = SyncClient(address)
    call = {"metadata": list(metadata)}
    client.generate(request("why?"), **call)
    list(client.stream(request("why?"), **call))
    client.generate(request("a cat", model=IMAGE_MODEL), **call)
    for fault in ["unknown-fields", "odd-sidecar", "surrogate"]:
        client.generate(request("why?", model=f"sandbox-{fault}"), **call)
    for model, wrong in [("sandbox-503", {}), ("sandbox-400", {}), ("gemini", {"generation_config": {"temperature": 9}})]:
        with pytest.raises(exceptions.GoogleAPICallError):
            client.generate(request("why?", model=model, **wrong), **call)
    chunks = client.google.stream_generate_content(request("why?", model="sandbox-hang-stream"), retry=None, **call)
    assert next(chunks)
    chunks.cancel()
    client.close()
    make_rest_calls(address, metadata)


def make_rest_calls(address, metadata=()):
    """Makes calls over REST: answers, a stream that breaks off, and errors."""
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "why?"}]}]}).encode()
    headers = {"content-type": "application/json", **dict(metadata)}
    for status, path in REST_CALLS:
        call = urllib.request.Request(f"http://{address}/v1beta/models/{path}", body, headers)
        try:
            with urllib.request.urlopen(call, timeout=60) as answer:
                assert answer.read() and answer.status == status, path
        except urllib.error.HTTPError as error:
            assert error.code == status, (path, error.read())


@contextlib.contextmanager
def every_feature(folder, sandbox, *flags, env=None):
    """A gateway that uses each feature with metrics of its own, after calls that have used them: limits for all pods,
    several keys, a fallback, a reload. The store of limits is away at the end."""
    contents = {
        "callers": CALLERS.format(hash=hashlib.sha256(TOKEN.encode()).hexdigest()) + "calls_per_minute = 6000\n",
        "catalog": CATALOG,
        "api-key-file": "one a-key\ntwo 2 another-key\n",
    }
    port = free_port()
    store = Process("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), program="redis-server")
    try:
        store.wait_for(lambda line: "Ready to accept connections" in line)
        more = ["--auth", "tokens", "--limits-url", f"redis://127.0.0.1:{port}", "--reload-interval", "0.1"]
        for name, text in contents.items():
            (folder / name).write_text(text)
            more += [f"--{name}", str(folder / name)]
        with gateway(sandbox, *more, *flags, env=env, retries=5) as (address, admin):
            token = [("x-goog-api-key", TOKEN)]
            make_calls(address, token)
            client = SyncClient(address)
            client.generate(request("why?", model="sandbox-404"), metadata=token)
            store.stop()
            client.generate(request("why?"), metadata=token)
            client.close()
            (folder / "api-key-file").write_text("one a-new-key\ntwo 2 another-key\n")
            yield address, admin
    finally:
        store.stop()


@pytest.fixture
def collector(tmp_path):
    collector = Collector(tmp_path).start()
    yield collector
    collector.stop()


def test_every_documented_metric_reaches_the_collector(tmp_path, sandbox, collector):
    with every_feature(tmp_path, sandbox, "--upstream-ca", certifi.where(), env=collector.environment()):
        wanted = documented()
        found = wait_until(lambda: (m := collector.metrics()) and wanted.keys() <= m.keys() and m, "all metrics")
        assert found.keys() == wanted.keys()
        for name, (kind, unit, labels) in wanted.items():
            assert found[name]["unit"] == unit, name
            known = set(re.findall("`(.+?)`", labels))
            for point in found[name]["points"]:
                assert point["attributes"].keys() <= known, (name, point["attributes"])


def test_prometheus_scrapes_the_metrics_of_all_calls(tmp_path, sandbox):
    with gateway(sandbox, "--admin-listen", "127.0.0.1:0") as (address, admin):
        make_calls(address)
        prometheus = Prometheus(tmp_path, admin)

        def value(promql):
            return wait_until(lambda: prometheus.query(promql), promql)[0]["value"][1]

        served = "rpc_server_call_duration_seconds_count"
        assert value(f'sum({served}{{rpc_status_code="OK"}})') == "6"
        assert value(f'{served}{{rpc_status_code="UNAVAILABLE",error_type="UNAVAILABLE"}}') == "1"
        rest = "http_server_request_duration_seconds_count"
        assert value(f'sum({rest}{{http_response_status_code="200",error_type=""}})') == "2"
        assert value(f'{rest}{{http_response_status_code="200",error_type="UNAVAILABLE"}}') == "1"
        assert value(f'{rest}{{http_response_status_code="503",error_type="503"}}') == "1"
        assert value(f'{rest}{{http_response_status_code="400"}}') == "1"
        assert value('gemini_grpc_calls_refused_total{reason="REQUEST_INVALID"}') == "1"
        assert value('gemini_grpc_calls_cancelled_total{phase="answering"}') == "1"
        assert value(f'gemini_grpc_usage_images_total{{model="{IMAGE_MODEL}",caller="_unknown"}}') == "1"
        assert value('gemini_grpc_unknown_members_total{member="sandboxNews"}') == "1"
        assert value('gemini_grpc_unreadable_members_total{member="Part.thoughtSignature"}') == "1"
        assert value('gemini_grpc_repaired_texts_total{member="Part.text"}') == "1"
        assert int(value("sum(gemini_grpc_usage_tokens_total)")) > 0
        assert value("gemini_grpc_calls_in_flight") == "0"
        assert value("gemini_grpc_calls_limit") == "1000"
        assert value("gemini_grpc_streams_open") == "0"
        assert value('target_info{service_name="gemini-grpc"}') == "1"
        prometheus.stop()


def test_a_model_that_upstream_does_not_know_gets_no_series(sandbox):
    with gateway(sandbox, "--admin-listen", "127.0.0.1:0") as (address, admin):
        client = SyncClient(address)
        for number in range(20):
            with pytest.raises(exceptions.GoogleAPICallError):
                client.generate(request("why?", model=f"unknown-model-{number}"))
        client.close()
        text = read(admin, "/metrics")
        assert "unknown-model-" not in text
        assert re.search(r'gemini_grpc_usage_calls_total\{.*model="_other".*\} 20\n', text)


def test_the_usage_of_a_caller_can_be_summed(tmp_path, sandbox):
    callers = tmp_path / "callers.toml"
    callers.write_text(CALLERS.format(hash=hashlib.sha256(TOKEN.encode()).hexdigest()))
    flags = ["--admin-listen", "127.0.0.1:0", "--auth", "tokens", "--callers", str(callers)]
    with gateway(sandbox, *flags) as (address, admin):
        client = SyncClient(address)
        metadata = [("x-goog-api-key", TOKEN)]
        answer = client.generate(request("why?"), metadata=metadata)
        *_, last = client.stream(request("why?"), metadata=metadata)
        client.close()
        text = read(admin, "/metrics")
        counted = re.findall(r'gemini_grpc_usage_tokens_total\{caller="team-a",kind="(\w+)",model="(.+?)"\} (\d+)', text)
        total = answer.usage_metadata.total_token_count + last.usage_metadata.total_token_count
        assert sum(int(tokens) for _, _, tokens in counted) == total > 0
        assert re.search(r'usage_calls_total\{caller="team-a",code="OK",model="gemini-2.5-flash"\} 2\n', text)


def test_a_metric_shows_unusable_files_until_they_are_fixed(tmp_path, sandbox):
    key = tmp_path / "key"
    key.write_text("a-key")
    flags = ["--admin-listen", "127.0.0.1:0", "--reload-interval", "0.05", "--api-key-file", str(key)]
    with gateway(sandbox, *flags) as (_, admin):

        def refused(value):
            return f"\ngemini_grpc_reload_refused {value}\n" in read(admin, "/metrics")

        assert refused(0)
        key.write_text("")
        wait_until(lambda: refused(1), "the refusal")
        # The previous content of the file ends the refusal as well.
        key.write_text("a-key")
        wait_until(lambda: refused(0), "the end of the refusal")


def test_the_admin_port_answers_probes_and_lists_its_paths(sandbox):
    with gateway(sandbox, "--admin-listen", "127.0.0.1:0", "--otel-metrics-exporter", "none") as (_, admin):
        assert read(admin, "/livez") == "ok\n" and read(admin, "/readyz") == "serving\n"
        for path, says in [("/metrics", "OTEL_METRICS_EXPORTER"), ("/", "this port serves /metrics, /usage, /livez and /readyz")]:
            with pytest.raises(urllib.error.HTTPError) as caught:
                read(admin, path)
            assert caught.value.code == 404 and says in caught.value.read().decode()
