"""Prompts, pictures, answers and keys appear nowhere: not in a log at any level, not in an error."""

import base64
import contextlib
import itertools
import subprocess

import pytest
from google.ai import generativelanguage_v1beta as v1beta
from google.api_core import exceptions

from google_client import SyncClient, picture, request, text_of
from processes import BINARY, ENVIRONMENT, start_gateway, start_sandbox

# Of the keys, of the prompt, of a picture. The sandbox repeats the prompt, so its mark is in the answers too.
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
    "nobody",
]
KEYS = [[], [("x-goog-api-key", CALLER_KEY)], [("authorization", f"Bearer {CALLER_KEY}")]]


def forms_of(mark):
    """A text as programs write it: as it is, in base64, in hex, as a list of numbers."""
    data = mark.encode()
    # Base64 of its last letters depends on what follows.
    yield from (mark, base64.b64encode(data).decode()[: len(data) // 3 * 4], data.hex())
    yield ", ".join(str(byte) for byte in data)


def assert_no_mark_in(written, where):
    for mark in MARKS:
        for form in forms_of(mark):
            assert form.lower() not in written.lower(), f"{mark} in {where}"


def requests():
    """Good requests and such as break rules, with the marks in them."""
    tool = v1beta.Tool(function_declarations=[v1beta.FunctionDeclaration(name="f", description=PROMPT)])
    bad = v1beta.GenerationConfig(temperature=9, stop_sequences=[PROMPT])
    unreadable = v1beta.GenerationConfig(presence_penalty=float("nan"), stop_sequences=[PROMPT])
    for model in MODELS:
        for more in ({}, {"tools": [tool]}, {"generation_config": bad}, {"generation_config": unreadable}):
            yield request(PROMPT, picture(PICTURE.encode()), model=model, **more)


def everything_in(error):
    """All that a caller can see of an error."""
    call = error.errors[0]
    return f"{error!r} {error.details} {call.initial_metadata()} {call.trailing_metadata()}"


def make_calls(address):
    """Makes all the calls; hands over the texts of the answers and all that the errors say."""
    client = SyncClient(address)
    answers, errors = [], []
    for asked, metadata in itertools.product(requests(), KEYS):
        for method in (client.generate, client.stream):
            try:
                answer = method(asked, metadata=metadata)
                answers.append(text_of(answer) if method == client.generate else text_of(*answer))
            except exceptions.GoogleAPICallError as error:
                errors.append(everything_in(error))
    client.close()
    return answers, errors


# A sandbox may be a process of its own, or a part of the gateway's, where it shares the log.
@pytest.mark.parametrize("apart", [True, False], ids=["sandbox apart", "sandbox inside"])
@pytest.mark.parametrize("form", ["json", "human"])
def test_no_mark_is_in_any_output_or_error(form, apart):
    with contextlib.ExitStack() as stack:
        processes = []

        def keep(process):
            processes.append(process)
            stack.callback(process.stop)

        upstream = ["--sandbox"]
        if apart:
            sandbox, url = start_sandbox()
            keep(sandbox)
            upstream = ["--upstream-url", url]
        logging = ["--log", "trace", "--log-format", form]
        gateway, address = start_gateway(*upstream, *logging, env={"MOUNTSEA_API_KEY": OWN_KEY})
        keep(gateway)
        answers, errors = make_calls(address)
        assert gateway.stop() == 0

    # The calls did carry the marks, the log did have all levels, and the key that came back was replaced.
    assert any(PROMPT in answer for answer in answers)
    assert len(errors) > 200 and any("the key *** may not" in error for error in errors)
    written = "".join(line for process in processes for line in process.output)
    assert written.count("TRACE") > 1000
    assert_no_mark_in(written, "the output")
    assert_no_mark_in("".join(errors), "an error")


def refuse(*arguments, key):
    """Runs a command that fails; hands over what it says."""
    env = {**ENVIRONMENT, "MOUNTSEA_API_KEY": key}
    done = subprocess.run(
        [BINARY, *arguments], env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30
    )
    assert done.returncode != 0 and "error: " in done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("model", ["sandbox-echo-key", "nobody", "sandbox-401", "a/b"])
def test_no_mark_is_in_what_a_failed_call_says(keyless, model):
    said = refuse("call", "--endpoint", f"http://{keyless}", "--model", model, PROMPT, key=OWN_KEY)
    assert_no_mark_in(said, "what the command line says")


@pytest.mark.parametrize("key", [f"{OWN_KEY} {CALLER_KEY}", f"{OWN_KEY}\n{CALLER_KEY}", f"{OWN_KEY}ü"])
@pytest.mark.parametrize("command", ["serve", "call", "demo"])
def test_a_key_that_cannot_be_one_is_not_repeated(command, key, tmp_path):
    arguments = {"serve": ["--listen", "127.0.0.1:0"], "call": ["hi"], "demo": ["--live", "--dir", tmp_path]}
    assert_no_mark_in(refuse(command, *arguments[command], key=key), "what the command line says")


def test_a_key_in_the_upstream_url_is_not_repeated():
    url = f"http://127.0.0.1:9/gemini?key={CALLER_KEY}"
    said = refuse("serve", "--listen", "127.0.0.1:0", "--upstream-url", url, key=OWN_KEY)
    assert_no_mark_in(said, "what the command line says")
