"""Spans as a real OpenTelemetry Collector receives them, and the trace headers that upstream receives."""

import contextlib
import http.server
import json
import secrets
import threading

import grpc
import pytest
from google.api_core import exceptions
from opentelemetry.instrumentation.grpc import client_interceptor
from opentelemetry.instrumentation.grpc.grpcext import intercept_channel
from opentelemetry.sdk.trace import TracerProvider

from google_client import SyncClient, request
from processes import start_gateway
from telemetry import Collector

RPC = "google.ai.generativelanguage.v1beta.GenerativeService"
SERVER, OPERATION, HTTP = f"{RPC}/GenerateContent", "generate_content", "POST"
USAGE = {
    "promptTokenCount": 10,
    "cachedContentTokenCount": 4,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 5,
    "toolUsePromptTokenCount": 3,
    "totalTokenCount": 38,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}, {"modality": "IMAGE", "tokenCount": 3}],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 20}],
}
ABOUT = {"modelVersion": "gemini-2.5-flash-001", "responseId": "an-answer"}


def event(text, **more):
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, **more}], **ABOUT}


COMPLETE = {**event("yes", finishReason="STOP"), "usageMetadata": USAGE}
EVENTS = [event("one"), event("two"), COMPLETE]
BLOCKED = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}


class Handler(http.server.BaseHTTPRequestHandler):
    """Behaves as the name of the model says, and stores the headers of the requests."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        model = self.path.split("/models/")[1].split(":")[0]
        self.server.seen.append(dict(self.headers))
        streams = "streamGenerateContent" in self.path
        if model.startswith("refused-once") and self.server.refusals.setdefault(model, 1):
            self.server.refusals[model] = 0
            return self.send_json(503, {"error": {"code": 503, "message": "later", "status": "UNAVAILABLE"}})
        if model == "not-found":
            return self.send_json(404, {"error": {"code": 404, "message": "no such model", "status": "NOT_FOUND"}})
        if model == "silent":
            return self.server.end.wait(30)
        answer = BLOCKED if model == "blocked" else COMPLETE
        if not streams:
            return self.send_json(200, answer)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for event in EVENTS if model != "endless" else EVENTS[:1]:
            self.wfile.write(f"data: {json.dumps(event)}\r\n\r\n".encode())
            self.wfile.flush()
        if model == "endless":
            self.server.end.wait(30)

    def send_json(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def upstream():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.seen, server.refusals, server.end = True, [], {}, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.end.set()
    server.shutdown()


@pytest.fixture(scope="module")
def collector(tmp_path_factory):
    collector = Collector(tmp_path_factory.mktemp("collector")).start()
    yield collector
    collector.stop()


@contextlib.contextmanager
def gateway(collector, upstream, *flags, **more):
    env = collector.environment(MOUNTSEA_API_KEY="a-key", **more)
    url = f"http://127.0.0.1:{upstream.server_port}"
    process, address = start_gateway("--upstream-url", url, *flags, env=env, retries=2)
    try:
        yield address
    finally:
        process.stop()


@pytest.fixture(scope="module")
def client(collector, upstream):
    """A client of a gateway that records all calls."""
    with gateway(collector, upstream, "--first-byte-timeout", "1") as address:
        client = SyncClient(address)
        yield client
        client.close()


class Caller:
    """The span of a caller."""

    def __init__(self, sampled=True):
        self.trace_id, self.span_id = secrets.token_hex(16), secrets.token_hex(8)
        self.traceparent = f"00-{self.trace_id}-{self.span_id}-{'01' if sampled else '00'}"
        self.metadata = [("traceparent", self.traceparent), ("tracestate", "vendor=value"), ("baggage", "who=me")]


def assert_nested(parent, *spans):
    """Asserts that each span is a child of the one before it, and within its time."""
    for span in spans:
        assert span.parent == parent.span_id, span
        assert span.begun >= parent.begun and span.ended <= parent.ended, (parent, span)
        parent = span


def test_a_call_has_three_spans_below_the_caller_s_and_the_last_names_the_trace_sent_to_upstream(client, collector, upstream):
    caller = Caller()
    config = {"temperature": 0.5, "top_p": 0.75, "top_k": 3, "max_output_tokens": 100, "seed": 7, "presence_penalty": 0.5}
    message = request("why?", generation_config={**config, "response_mime_type": "application/json"})
    client.generate(message, metadata=[*caller.metadata, ("x-request-id", "my-id")])
    server, operation, http = collector.tree(caller.trace_id, 3)
    assert server.parent == caller.span_id
    assert_nested(server, operation, http)
    assert [(s.name, s.kind, s.status) for s in (server, operation, http)] == [
        (SERVER, "SERVER", "UNSET"),
        ("generate_content gemini-2.5-flash", "CLIENT", "UNSET"),
        (HTTP, "CLIENT", "UNSET"),
    ]
    host, port = client.channel._channel.target().decode().removeprefix("dns:///").split(":")
    peer = server.attributes.pop("network.peer.port")
    assert 0 < peer < 65536
    assert server.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": SERVER,
        "rpc.status_code": "OK",
        "server.address": host,
        "server.port": int(port),
        "network.peer.address": "127.0.0.1",
        "gemini_grpc.request_id": "my-id",
    }
    to_upstream = {"server.address": "127.0.0.1", "server.port": upstream.server_port}
    assert operation.attributes == {
        **to_upstream,
        "gen_ai.operation.name": "generate_content",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "gemini-2.5-flash",
        "gen_ai.output.type": "json",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.75,
        "gen_ai.request.top_k": 3,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.seed": 7,
        "gen_ai.request.presence_penalty": 0.5,
        "gen_ai.response.id": "an-answer",
        "gen_ai.response.model": "gemini-2.5-flash-001",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 13,
        "gen_ai.usage.output_tokens": 25,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "gen_ai.usage.text.input_tokens": 7,
        "gen_ai.usage.image.input_tokens": 3,
        "gen_ai.usage.text.output_tokens": 20,
    }
    sent = upstream.seen[-1]
    version, trace_id, span_id, flags = sent["traceparent"].split("-")
    assert (version, flags) == ("00", "01")
    # Upstream can neither link the calls of a caller nor read the caller's trace state and baggage.
    assert trace_id != caller.trace_id and span_id not in (caller.span_id, server.span_id, operation.span_id)
    assert "tracestate" not in sent and "baggage" not in sent
    assert http.attributes == {
        **to_upstream,
        "gemini_grpc.upstream.trace_id": trace_id,
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "url.full": f"http://127.0.0.1:{upstream.server_port}/v1beta/models/gemini-2.5-flash:generateContent",
    }
    assert http.resource["service.name"] == "gemini-grpc" and http.resource["service.version"]


def test_upstream_gets_the_trace_of_the_call_if_that_is_configured(collector, upstream):
    caller = Caller()
    with gateway(collector, upstream, "--forward-trace-context", "true") as address:
        client = SyncClient(address)
        client.generate(request("why?"), metadata=caller.metadata)
        client.close()
    *_, http = collector.tree(caller.trace_id, 3)
    sent = upstream.seen[-1]
    assert sent["traceparent"] == f"00-{caller.trace_id}-{http.span_id}-01"
    assert sent["tracestate"] == "vendor=value" and "baggage" not in sent
    assert "gemini_grpc.upstream.trace_id" not in http.attributes


def test_the_spans_of_a_stream_cover_its_last_event(client, collector):
    caller = Caller()
    assert len(list(client.stream(request("why?"), metadata=caller.metadata))) == 3
    server, operation, http = collector.tree(caller.trace_id, 3)
    assert_nested(server, operation, http)
    assert server.name == f"{RPC}/StreamGenerateContent" and server.attributes["rpc.status_code"] == "OK"
    assert operation.attributes["gen_ai.request.stream"] is True
    assert operation.attributes["gemini_grpc.chunks"] == 3
    assert 0 < operation.attributes["gen_ai.response.time_to_first_chunk"] < 30
    assert operation.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert operation.attributes["gen_ai.usage.output_tokens"] == 25


def test_each_attempt_has_its_own_span(client, collector):
    caller = Caller()
    client.generate(request("why?", model=f"refused-once-{caller.span_id}"), metadata=caller.metadata)
    server, operation, first, second = collector.tree(caller.trace_id, 4)
    assert_nested(server, operation, first)
    assert_nested(server, operation, second)
    assert first.status == "ERROR" and first.attributes["error.type"] == "503"
    assert "http.request.resend_count" not in first.attributes
    assert second.status == "UNSET" and second.attributes["http.request.resend_count"] == 1
    assert first.attributes["gemini_grpc.upstream.trace_id"] != second.attributes["gemini_grpc.upstream.trace_id"]
    assert operation.status == server.status == "UNSET"


def test_an_invalid_call_is_not_an_error_of_the_server(client, collector):
    caller = Caller()
    with pytest.raises(exceptions.InvalidArgument):
        client.generate(request("why?", generation_config={"temperature": 9}), metadata=caller.metadata)
    (server,) = collector.tree(caller.trace_id, 1)
    assert server.status == "UNSET" and "error.type" not in server.attributes
    assert server.attributes["rpc.status_code"] == "INVALID_ARGUMENT"
    assert server.attributes["gemini_grpc.reason"] == "REQUEST_INVALID"


def test_a_refusal_by_upstream_is_an_error_of_the_operation_only(client, collector):
    caller = Caller()
    with pytest.raises(exceptions.NotFound):
        client.generate(request("why?", model="not-found"), metadata=caller.metadata)
    server, operation, http = collector.tree(caller.trace_id, 3)
    assert server.status == "UNSET" and server.attributes["rpc.status_code"] == "NOT_FOUND"
    assert operation.status == http.status == "ERROR"
    assert operation.attributes["error.type"] == http.attributes["error.type"] == "404"


def test_a_blocked_prompt_is_recorded_and_is_not_an_error(client, collector):
    caller = Caller()
    client.generate(request("why?", model="blocked"), metadata=caller.metadata)
    server, operation, http = collector.tree(caller.trace_id, 3)
    assert {server.status, operation.status, http.status} == {"UNSET"}
    assert operation.attributes["gemini_grpc.block_reason"] == "SAFETY"


def test_a_cancelled_call_ends_all_its_spans(client, collector):
    caller = Caller()
    chunks = client.google.stream_generate_content(request("why?", model="endless"), retry=None, metadata=caller.metadata)
    assert next(chunks)
    chunks.cancel()
    server, operation, http = collector.tree(caller.trace_id, 3)
    assert_nested(server, operation, http)
    assert server.status == "UNSET" and server.attributes["rpc.status_code"] == "CANCELLED"
    for span in (operation, http):
        assert span.status == "ERROR" and span.attributes["error.type"] == "cancelled"


def test_a_timed_out_call_is_recorded_as_such(client, collector):
    caller = Caller()
    with pytest.raises(exceptions.DeadlineExceeded):
        client.generate(request("why?", model="silent"), metadata=caller.metadata)
    server, operation, http = collector.tree(caller.trace_id, 3)
    assert server.status == "ERROR" and server.message == "TIMED_OUT"
    assert server.attributes["rpc.status_code"] == server.attributes["error.type"] == "DEADLINE_EXCEEDED"
    assert operation.attributes["error.type"] == "timeout"
    assert http.attributes["error.type"] == "cancelled"


def test_unsupported_methods_share_one_span_name(client, collector):
    caller = Caller()
    method = client.channel.unary_unary(f"/{RPC}/GenerateAnswer", lambda _: b"", lambda _: _)
    with pytest.raises(grpc.RpcError):
        method(None, metadata=caller.metadata)
    (server,) = collector.tree(caller.trace_id, 1)
    assert server.name == "grpc" and server.status == "ERROR"
    assert server.attributes["rpc.method"] == "_OTHER"
    assert server.attributes["rpc.method_original"] == f"/{RPC}/GenerateAnswer"


def test_an_unsampled_trace_is_not_exported_and_is_sent_to_upstream_as_unsampled(client, collector, upstream):
    unsampled, sampled = Caller(sampled=False), Caller()
    client.generate(request("why?"), metadata=unsampled.metadata)
    assert unsampled.trace_id not in upstream.seen[-1]["traceparent"] and "tracestate" not in upstream.seen[-1]
    assert upstream.seen[-1]["traceparent"].endswith("-00")
    client.generate(request("why?"), metadata=sampled.metadata)
    collector.tree(sampled.trace_id, 3)
    assert collector.spans(unsampled.trace_id) == []


@pytest.mark.parametrize("traceparent", ["nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_an_invalid_trace_context_is_replaced_by_a_new_trace(client, upstream, traceparent):
    client.generate(request("why?"), metadata=[("traceparent", traceparent)])
    sent = upstream.seen[-1]["traceparent"]
    assert sent != traceparent and len(sent) == 55


def test_untrusted_callers_are_linked_and_baggage_is_forwarded_if_that_is_configured(collector, upstream):
    caller = Caller(sampled=False)
    flags = ["--trust-trace-context", "false", "--forward-trace-context", "true", "--forward-baggage", "true"]
    with gateway(collector, upstream, *flags) as address:
        client = SyncClient(address)
        client.generate(request("why?"), metadata=caller.metadata)
        client.close()
    sent = upstream.seen[-1]
    assert sent["baggage"] == "who=me"
    trace_id = sent["traceparent"].split("-")[1]
    assert trace_id != caller.trace_id
    server, *_ = collector.tree(trace_id, 3)
    assert server.parent == "" and server.links == [caller.trace_id]


@pytest.mark.parametrize("forwarded", [False, True])
def test_without_the_sdk_upstream_gets_the_caller_s_trace_only_if_that_is_configured(collector, upstream, forwarded):
    caller = Caller()
    flags = ["--forward-trace-context", "true"] if forwarded else []
    with gateway(collector, upstream, *flags, OTEL_SDK_DISABLED="true") as address:
        client = SyncClient(address)
        client.generate(request("why?"), metadata=caller.metadata)
        client.close()
    sent = upstream.seen[-1]
    assert (sent["traceparent"] == caller.traceparent) == forwarded
    assert (caller.trace_id in sent["traceparent"]) == ("tracestate" in sent) == forwarded
    # A gateway exports its last spans before it ends, so a span of this trace would be there by now.
    assert collector.spans(caller.trace_id) == []


def test_the_span_of_python_s_instrumentation_is_the_parent_of_the_server_span(client, collector):
    provider = TracerProvider()
    channel = intercept_channel(client.channel, client_interceptor(tracer_provider=provider))
    method = channel.unary_unary(f"/{SERVER}", type(request("")).serialize, lambda answer: answer)
    with provider.get_tracer("test").start_as_current_span("the caller's work") as work:
        method(request("why?"))
        trace_id = f"{work.get_span_context().trace_id:032x}"
        work_span_id = f"{work.get_span_context().span_id:016x}"
    server, *_ = collector.tree(trace_id, 3)
    # The parent is not the span of the work, but that of the client's call in it.
    assert server.parent not in ("", work_span_id)


def test_spans_are_exported_over_http_too(collector, upstream):
    caller = Caller()
    http = {"OTEL_EXPORTER_OTLP_PROTOCOL": "", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.http}"}
    with gateway(collector, upstream, **http) as address:
        client = SyncClient(address)
        client.generate(request("why?"), metadata=caller.metadata)
        client.close()
    assert len(collector.tree(caller.trace_id, 3)) == 3


def test_remaining_spans_are_exported_at_shutdown(collector, upstream):
    caller = Caller()
    with gateway(collector, upstream, OTEL_BSP_SCHEDULE_DELAY="600000") as address:
        client = SyncClient(address)
        client.generate(request("why?"), metadata=caller.metadata)
        client.close()
    assert len(collector.tree(caller.trace_id, 3)) == 3
