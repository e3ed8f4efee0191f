"""Prompts, pictures, answers and keys appear in no log, at any level, and in no error."""

import base64
import contextlib
import http.client
import itertools
import json
import subprocess
import threading
import urllib.request

import pytest
from google.ai import generativelanguage_v1beta as v1beta
from google.api_core import exceptions

import frames
import rest
from google_client import SyncClient, picture, request, text_of
from processes import BINARY, ENVIRONMENT, admin_in, start_gateway, start_sandbox

# Marks in the keys, in the prompt and in a picture. The sandbox repeats the prompt, so answers contain its mark too.
MARKS = OWN_KEY, CALLER_KEY, PROMPT, PICTURE = "OWNKEYMARK", "CALLERKEYMARK", "PROMPTMARK", "PICTUREMARK"
MODELS = [
    "gemini-2.5-flash",
    "gemini-2.5-flash-image",
    "sandbox-400",
    "sandbox-401",
    "sandbox-429",
    "sandbox-cut",
    "sandbox-echo-key",
    "sandbox-html-200",
    "sandbox-redirect",
    "sandbox-trailing-garbage",
    "a/b",
    "no-such-model",
]
KEYS = [[], [("x-goog-api-key", CALLER_KEY)], [("authorization", f"Bearer {CALLER_KEY}")]]


def forms_of(mark):
    """The forms in which programs print a text: unchanged, in base64, in hex, as a list of numbers."""
    data = mark.encode()
    # The base64 of the last letters depends on the text after them.
    yield from (mark, base64.b64encode(data).decode()[: len(data) // 3 * 4], data.hex())
    yield ", ".join(str(byte) for byte in data)


def assert_no_mark_in(text, where):
    for mark in MARKS:
        for form in forms_of(mark):
            assert form.lower() not in text.lower(), f"{mark} in {where}"


def requests():
    """Valid and invalid requests that contain the marks."""
    tool = v1beta.Tool(function_declarations=[v1beta.FunctionDeclaration(name="f", description=PROMPT)])
    bad = v1beta.GenerationConfig(temperature=9, stop_sequences=[PROMPT])
    unreadable = v1beta.GenerationConfig(presence_penalty=float("nan"), stop_sequences=[PROMPT])
    for model in MODELS:
        for more in ({}, {"tools": [tool]}, {"generation_config": bad}, {"generation_config": unreadable}):
            yield request(PROMPT, picture(PICTURE.encode()), model=model, **more)


# Where a key is in a request over REST: in its query or in a header.
REST_KEYS = [
    ("", {}),
    ("", {"x-goog-api-key": CALLER_KEY}),
    ("", {"authorization": f"Bearer {CALLER_KEY}"}),
    (f"key={CALLER_KEY}", {}),
]


def rest_bodies():
    """Bodies with the marks: valid ones, and others that break a rule or are no JSON."""
    data = base64.b64encode(PICTURE.encode()).decode()
    parts = [{"text": PROMPT}, {"inlineData": {"mimeType": "image/png", "data": data}}]
    valid = {"contents": [{"role": "user", "parts": parts}]}
    yield valid
    yield valid | {"tools": [{"functionDeclarations": [{"name": "f", "description": PROMPT}]}], PROMPT: PROMPT}
    yield valid | {"generationConfig": {"temperature": 9, "stopSequences": [PROMPT]}}
    yield {"contents": PROMPT}
    yield json.dumps(valid)[:-3]
    yield json.dumps(valid).replace("}]}", f'}}],"{PROMPT}":1,"{PROMPT}":{PROMPT}}}')


def rest_calls():
    """Requests over REST: path, headers and body. Each has a key in another place."""
    keys = itertools.cycle(REST_KEYS)

    def of(path, body, **headers):
        query, more = next(keys)
        target = path + ("&" if "?" in path else "?") + query if query else path
        return target, {"content-type": "application/json", **more, **headers}, body

    for model, body in itertools.product(MODELS, rest_bodies()):
        for method in (rest.UNARY, rest.EVENTS, rest.ARRAY):
            yield of(rest.path(method, model), body if isinstance(body, str) else json.dumps(body))
    # Requests that are refused for other reasons, with a key in each place.
    valid = json.dumps(next(rest_bodies()))
    for _ in REST_KEYS:
        yield of("/v1beta/files", valid)
        yield of(rest.path("predict"), valid)
        yield of(rest.path("countTokens"), valid)
        yield of(rest.path(), valid, **{"content-type": "text/plain"})
        yield of(rest.path(), valid, origin="https://page.example")
        yield of(rest.path(), valid, **{"x-server-timeout": "soon"})
        yield of("/v1beta/models", "")


def make_rest_calls(address):
    """Makes all calls over HTTP/1.1, and some over HTTP/2, and returns the texts of the answers and of the errors."""
    answers, errors = [], []

    def received(text):
        # An error may follow the answers of a stream, which contain the prompt.
        answer, error, more = text.partition('{"error"')
        errors.append(error + more) if error else answers.append(answer)

    connection = http.client.HTTPConnection(address)
    for target, headers, body in rest_calls():
        connection.request("POST" if body else "GET", target, body, headers)
        response = connection.getresponse()
        received(response.read().decode())
        errors.append(str(response.headers))
    connection.close()
    # Requests that are broken where they have a key.
    for query, header in [(f"key={CALLER_KEY}\n", "x"), (f"key={CALLER_KEY}", f"{CALLER_KEY}\n x: {PROMPT}")]:
        with contextlib.closing(frames.Connection(address, threading.Event())) as one:
            one.push(rest.post(f"{rest.path()}&{query}", headers=[("x-goog-api-key", header)]), reads=False)
            with contextlib.suppress(ConnectionError):
                while True:
                    errors.append(one.receive().decode())
    answers_and_errors_over_http2(address, received)
    return answers, errors


def answers_and_errors_over_http2(address, received):
    """Makes every seventh call over HTTP/2."""
    largest = (1 << 31) - 1
    with contextlib.closing(frames.Connection(address, threading.Event())) as one:
        one.send_preface((frames.INITIAL_WINDOW_SIZE, largest))
        one.push(frames.window_update(0, largest - 65535), reads=False)
        for number, (target, headers, body) in enumerate(itertools.islice(rest_calls(), 0, None, 7)):
            stream = 2 * number + 1
            named = [pair for pair in headers.items() if pair[0] != "content-type"]
            one.push(rest.call(stream, target, body.encode(), named), reads=False)
            data, ended = b"", False
            while not ended:
                kind, flags, of, payload = one.next_frame()
                data += payload if (kind, of) == (frames.DATA, stream) else b""
                ended = of == stream and (kind == frames.RST_STREAM or bool(flags & frames.END_STREAM))
            received(data.decode())


def everything_in(error):
    """Everything that a caller can see of an error."""
    call = error.errors[0]
    return f"{error!r} {error.details} {call.initial_metadata()} {call.trailing_metadata()}"


def make_calls(address):
    """Makes all calls, and returns the texts of the answers and of the errors."""
    client = SyncClient(address)
    answers, errors = [], []
    for message, metadata in itertools.product(requests(), KEYS):
        for method in (client.generate, client.stream):
            try:
                answer = method(message, metadata=metadata)
                answers.append(text_of(answer) if method == client.generate else text_of(*answer))
            except exceptions.GoogleAPICallError as error:
                errors.append(everything_in(error))
    client.close()
    more_answers, more_errors = make_rest_calls(address)
    return answers + more_answers, errors + more_errors


# A sandbox may be its own process, or run inside of the gateway's process and share its log.
@pytest.mark.parametrize("separate", [True, False], ids=["separate sandbox", "sandbox inside"])
@pytest.mark.parametrize("form", ["json", "human"])
def test_no_mark_is_in_any_output_or_error(form, separate):
    with contextlib.ExitStack() as stack:
        processes = []

        def stop_at_end(process):
            processes.append(process)
            stack.callback(process.stop)

        upstream = ["--sandbox"]
        if separate:
            sandbox, url = start_sandbox()
            stop_at_end(sandbox)
            upstream = ["--upstream-url", url]
        logging = ["--log", "trace", "--log-format", form, "--admin-listen", "127.0.0.1:0"]
        gateway, address = start_gateway(*upstream, *logging, env={"MOUNTSEA_API_KEY": OWN_KEY})
        stop_at_end(gateway)
        answers, errors = make_calls(address)
        admin = next(found for line in gateway.output if (found := admin_in(line)))
        with urllib.request.urlopen(f"http://{admin}/metrics") as response:
            metrics = response.read().decode()
        assert gateway.stop() == 0

    # To show that the test is effective: the calls contained the marks, the log had all levels, and echoed keys were replaced.
    assert any(PROMPT in answer for answer in answers)
    assert len(errors) > 400 and sum("the key *** may not" in error for error in errors) > 10
    assert "rpc_server_call_duration" in metrics and "http_server_request_duration" in metrics
    written = "".join(line for process in processes for line in process.output)
    assert written.count("TRACE") > 1000
    assert_no_mark_in(written, "the output")
    assert_no_mark_in("".join(errors), "an error")
    assert_no_mark_in(metrics, "a metric")


def test_no_key_of_a_pool_is_in_any_output_or_error(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(f"first {OWN_KEY}1\nsecond 2 {OWN_KEY}2\n")
    logging = ["--log", "trace", "--log-format", "json", "--admin-listen", "127.0.0.1:0"]
    gateway, address = start_gateway("--sandbox", *logging, "--api-key-file", keys)
    with contextlib.closing(SyncClient(address)) as client, contextlib.ExitStack() as stack:
        stack.callback(gateway.stop)
        answers, errors = [], []
        # Refused keys rest, so the last calls are refused by the gateway.
        for model in ["gemini-2.5-flash", "sandbox-echo-key", "sandbox-cut", "sandbox-429", "sandbox-401"] * 2:
            for method in (client.generate, client.stream):
                try:
                    answer = method(request(PROMPT, model=model))
                    answers.append(text_of(answer) if method == client.generate else text_of(*answer))
                except exceptions.GoogleAPICallError as error:
                    errors.append(everything_in(error))
        admin = next(found for line in gateway.output if (found := admin_in(line)))
        with urllib.request.urlopen(f"http://{admin}/metrics") as response:
            metrics = response.read().decode()
    written = "".join(gateway.output)
    assert answers and len(errors) > 8 and written.count("TRACE") > 100
    # Both keys were used, and rested.
    for name in ("first", "second"):
        assert f'"key":"{name}"' in written and f'key="{name}"' in metrics
    assert "UPSTREAM_KEYS_RESTING" in "".join(errors) or "UPSTREAM_KEY_REFUSED" in "".join(errors)
    assert OWN_KEY not in "".join(answers)
    assert_no_mark_in(written, "the output")
    assert_no_mark_in("".join(errors), "an error")
    assert_no_mark_in(metrics, "a metric")


def refuse(*arguments, key):
    """Runs a command that fails, and returns its output."""
    env = {**ENVIRONMENT, "MOUNTSEA_API_KEY": key}
    done = subprocess.run(
        [BINARY, *arguments], env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30
    )
    assert done.returncode != 0 and "error: " in done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("model", ["sandbox-echo-key", "no-such-model", "sandbox-401", "a/b"])
def test_no_mark_is_in_the_output_of_a_failed_call(keyless, model):
    output = refuse("call", "--endpoint", f"http://{keyless}", "--model", model, PROMPT, key=OWN_KEY)
    assert_no_mark_in(output, "the output of the command")


@pytest.mark.parametrize("key", [f"{OWN_KEY} {CALLER_KEY}", f"{OWN_KEY}\n{CALLER_KEY}", f"{OWN_KEY}ü"])
@pytest.mark.parametrize("command", ["serve", "call", "demo"])
def test_an_invalid_key_is_not_repeated_in_the_error(command, key, tmp_path):
    arguments = {"serve": ["--listen", "127.0.0.1:0"], "call": ["hi"], "demo": ["--live", "--dir", tmp_path]}
    assert_no_mark_in(refuse(command, *arguments[command], key=key), "the output of the command")


def test_a_key_in_the_upstream_url_is_not_repeated_in_the_error():
    url = f"http://127.0.0.1:9/gemini?key={CALLER_KEY}"
    output = refuse("serve", "--listen", "127.0.0.1:0", "--upstream-url", url, key=OWN_KEY)
    assert_no_mark_in(output, "the output of the command")
