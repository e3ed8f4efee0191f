"""Each official SDK reads each stream of streams.py through the gateway: every chunk, and the right end or error."""

import concurrent.futures
import http.client
import json
import os
import re
import subprocess
import sys

import pytest

import streams
from commands import HERE, NODE, classpath
from processes import ENVIRONMENT
from streams import model_of

# The exception of each SDK for an error of the client, and for one of the server. Those with "http2" speak it over TLS.
ERRORS = {
    "python": ("ClientError", "ServerError"),
    "python-aiohttp": ("ClientError", "ServerError"),
    "python-httpx": ("ClientError", "ServerError"),
    "node": ("ApiError", "ApiError"),
    "go": ("genai.APIError", "genai.APIError"),
    "go-http2": ("genai.APIError", "genai.APIError"),
    "java": ("ClientException", "ServerException"),
    "java-http2": ("ClientException", "ServerException"),
}
ALL = dict(streams.ALL)


def command(sdk, built):
    """The program that reads streams with that SDK."""
    language, _, transport = sdk.partition("-")
    match language:
        case "python":
            return [sys.executable, HERE / "python/read.py", transport or "sync"]
        case "node":
            return [NODE, HERE / "node/read.js"]
        case "go":
            return [built / "read"]
        case "java":
            return ["java", "Read"]


@pytest.fixture(scope="session")
def reports(relay, secure_relay, trust, built):
    """What each SDK has read, by SDK and model. All SDKs read at the same time."""

    def read(sdk):
        is_secure = sdk.endswith("http2")
        arguments = [*command(sdk, built), secure_relay if is_secure else relay]
        environment = {**ENVIRONMENT, "no_proxy": os.environ["no_proxy"], "CLASSPATH": classpath()}
        environment |= trust if is_secure else {}
        models = "\n".join(map(model_of, ALL))
        done = subprocess.run(arguments, input=models, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.rstrip("\n").split("\n")]
        return {line["model"]: line for line in lines}

    with concurrent.futures.ThreadPoolExecutor(len(ERRORS)) as pool:
        return dict(zip(ERRORS, pool.map(read, ERRORS)))


def expected(sdk, name):
    """What that SDK must report of that case."""
    case = ALL[name]
    end = case.end and [ERRORS[sdk][case.end[0] >= 500], *case.end]
    return {"model": model_of(name), "texts": case.texts, "end": end}


@pytest.mark.parametrize("name", streams.CASES)
@pytest.mark.parametrize("sdk", ERRORS)
def test_every_chunk_and_the_end_are_read(reports, sdk, name):
    assert reports[sdk][model_of(name)] == expected(sdk, name)


@pytest.mark.parametrize("sdk", ERRORS)
def test_every_chunk_and_the_end_of_all_combinations_are_read(reports, sdk):
    wrong = [name for name in ALL if reports[sdk][model_of(name)] != expected(sdk, name)]
    assert wrong == []


def test_the_gateway_sends_one_framing_only(relay):
    host = relay.removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    heartbeats = 0
    for name, case in ALL.items():
        body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
        path = f"/v1/models/{model_of(name)}:streamGenerateContent?alt=sse"
        connection.request("POST", path, body, {"content-type": "application/json", "x-goog-api-key": "a-key"})
        response = connection.getresponse()
        body = response.read()
        if case.texts:
            assert (response.status, response.headers["content-type"]) == (200, "text/event-stream"), name
            # Nothing but events of one line of data, and heartbeats, which are two newlines.
            assert re.fullmatch(rb"(data: \{[^\r\n]*\n\n|\n\n)*", body), (name, body)
            heartbeats += body.count(b"\n\n\n\n")
        else:
            assert response.status == case.end[0], name
            assert json.loads(body)["error"]["status"] == case.end[1], name
    assert heartbeats
