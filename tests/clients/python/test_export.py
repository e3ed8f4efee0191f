"""The export of telemetry: what it contains, what it does not contain, and what happens when the collector stops."""

import json
import secrets
import threading

import pytest
from google.api_core import exceptions

from google_client import SyncClient, request
from processes import free_port, start_gateway
from telemetry import Collector, wait_until
from test_secrets import OWN_KEY, PROMPT, assert_no_mark_in, make_calls

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
ACCESS = "gemini_grpc::access"
EXPORT_FAILS, EXPORT_RESUMES = "telemetry cannot be exported", "telemetry is exported again"


@pytest.fixture
def collector(tmp_path):
    collector = Collector(tmp_path).start()
    yield collector
    collector.stop()


def serve(sandbox, *flags, **env):
    flags = ["--upstream-url", sandbox, "--log-format", "json", *flags]
    return start_gateway(*flags, env={"MOUNTSEA_API_KEY": OWN_KEY, **env})


def call(address, trace_id=None):
    client = SyncClient(address)
    metadata = [("traceparent", f"00-{trace_id}-{secrets.token_hex(8)}-01")] if trace_id else []
    client.generate(request(PROMPT), metadata=metadata)
    client.close()


def lines(process):
    return [json.loads(line) for line in process.output if line.startswith("{")]


def lines_with(process, words):
    return [line for line in lines(process) if words in line["message"]]


def test_the_collector_receives_no_mark(collector, sandbox):
    process, address = serve(sandbox, "--log", "trace", **collector.environment(OTEL_LOGS_EXPORTER="otlp"))
    make_calls(address)
    assert process.stop() == 0
    written = collector.everything()
    assert len(collector.spans()) > 500 and len(collector.metrics()) > 15 and len(collector.logs()) > 100
    assert_no_mark_in(written, "what the collector wrote")


def test_prompts_are_exported_if_that_is_enabled_with_a_warning_at_the_start(collector, sandbox):
    trace_id = secrets.token_hex(16)
    env = collector.environment(**{"OTEL_LOGS_EXPORTER": "otlp", CAPTURE: "SPAN_AND_EVENT"})
    process, address = serve(sandbox, **env)
    call(address, trace_id)
    assert process.stop() == 0
    operation = next(span for span in collector.tree(trace_id, 3) if span.name.startswith("generate_content"))
    (input_message,) = json.loads(operation.attributes["gen_ai.input.messages"])
    assert input_message == {"role": "user", "parts": [{"type": "text", "content": PROMPT}]}
    (output_message,) = json.loads(operation.attributes["gen_ai.output.messages"])
    assert PROMPT in output_message["parts"][0]["content"] and output_message["finish_reason"] == "stop"
    (event,) = [log for log in collector.logs() if log.get("eventName") == "gen_ai.client.inference.operation.details"]
    assert event["traceId"] == trace_id and event["spanId"] == operation.span_id
    assert event["attributes"]["gen_ai.input.messages"] == operation.attributes["gen_ai.input.messages"]
    (warning,) = [line for line in lines_with(process, "prompts and answers are exported") if line["level"] == "WARN"]
    assert CAPTURE in warning["message"]
    assert PROMPT not in "".join(process.output)


def test_the_access_log_is_exported_with_the_trace_of_the_call(collector, sandbox):
    trace_id = secrets.token_hex(16)
    process, address = serve(sandbox, **collector.environment(OTEL_LOGS_EXPORTER="otlp"))
    call(address, trace_id)
    assert process.stop() == 0
    (line,) = wait_until(lambda: [log for log in collector.logs() if "GenerateContent OK in" in log["body"]], "the line")
    assert line["traceId"] == line["attributes"]["trace_id"] == trace_id
    assert line["attributes"]["code"] == "OK" and line["attributes"]["output_tokens"] > 0
    (written,) = [line for line in lines(process) if line["target"] == ACCESS]
    assert written["trace_id"] == trace_id and written["level"] == "INFO"


def test_no_call_fails_while_the_collector_is_killed_and_restarted(collector, sandbox):
    process, address = serve(sandbox, **collector.environment())
    failed, done = [], threading.Event()

    def load():
        client = SyncClient(address)
        while not done.is_set():
            try:
                client.generate(request("why?"))
            except exceptions.GoogleAPICallError as error:
                failed.append(error)
        client.close()

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(collector.spans, "spans")
    collector.kill()
    process.wait_for(lambda line: EXPORT_FAILS in line)
    collector.start()
    process.wait_for(lambda line: EXPORT_RESUMES in line)
    done.set()
    for thread in threads:
        thread.join()
    trace_id = secrets.token_hex(16)
    call(address, trace_id)
    collector.tree(trace_id, 3)
    assert process.stop() == 0
    assert failed == []
    assert len(lines_with(process, EXPORT_FAILS)) == len(lines_with(process, EXPORT_RESUMES)) == 1


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_missing_collector_is_logged_once(sandbox, protocol):
    endpoint = f"http://127.0.0.1:{free_port()}"
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    without_delay = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "50"}
    process, address = serve(sandbox, **env, **without_delay)
    call(address)
    process.wait_for(lambda line: EXPORT_FAILS in line)
    for _ in range(3):
        call(address)
    assert process.stop() == 0
    assert len(lines_with(process, EXPORT_FAILS)) == 1


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_compressed_spans_arrive_over_either_protocol(collector, sandbox, protocol):
    trace_id = secrets.token_hex(16)
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.grpc if protocol == 'grpc' else collector.http}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=a%20key",
    }
    process, address = serve(sandbox, **collector.environment(**env))
    call(address, trace_id)
    assert process.stop() == 0
    server, operation, attempt = collector.tree(trace_id, 3)
    assert operation.parent == server.span_id and attempt.parent == operation.span_id
    assert {span.resource["service.name"] for span in (server, operation, attempt)} == {"gemini-grpc"}
    assert operation.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert not lines_with(process, EXPORT_FAILS)


def test_without_an_endpoint_nothing_is_exported_or_logged(sandbox):
    process, address = serve(sandbox)
    call(address)
    assert process.stop() == 0
    assert not lines_with(process, "telemetry")


def test_the_console_shows_spans(sandbox):
    process, address = serve(sandbox, OTEL_TRACES_EXPORTER="console")
    call(address)
    assert process.stop() == 0
    assert "generate_content gemini-2.5-flash" in "".join(process.output)


def test_changed_log_levels_are_reloaded_and_invalid_ones_are_ignored(tmp_path, sandbox):
    levels = tmp_path / "levels"
    levels.write_text("info,gemini_grpc::access=off")
    flags = ["--log-filter-file", str(levels), "--reload-interval", "0.1"]
    process, address = serve(sandbox, *flags)
    call(address)
    levels.write_text("info,gemini_grpc::access=loud")
    process.wait_for(lambda line: "cannot be used" in line and "GEMINI_GRPC_LOG_FILTER_FILE" in line)
    call(address)
    levels.write_text("info")
    process.wait_for(lambda line: "read again" in line and "ERROR" not in line)
    assert not [line for line in lines(process) if line["target"] == ACCESS]
    call(address)
    assert process.stop() == 0
    assert len([line for line in lines(process) if line["target"] == ACCESS]) == 1
