"""Prompts, pictures, answers and keys appear in no log, at any level, and in no error."""

import base64
import contextlib
import itertools
import subprocess

import pytest
from google.ai import generativelanguage_v1beta as v1beta
from google.api_core import exceptions

from google_client import SyncClient, picture, request, text_of
from processes import BINARY, ENVIRONMENT, start_gateway, start_sandbox

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
    return answers, errors


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
        logging = ["--log", "trace", "--log-format", form]
        gateway, address = start_gateway(*upstream, *logging, env={"MOUNTSEA_API_KEY": OWN_KEY})
        stop_at_end(gateway)
        answers, errors = make_calls(address)
        assert gateway.stop() == 0

    # To show that the test is effective: the calls contained the marks, the log had all levels, and echoed keys were replaced.
    assert any(PROMPT in answer for answer in answers)
    assert len(errors) > 200 and any("the key *** may not" in error for error in errors)
    written = "".join(line for process in processes for line in process.output)
    assert written.count("TRACE") > 1000
    assert_no_mark_in(written, "the output")
    assert_no_mark_in("".join(errors), "an error")


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
