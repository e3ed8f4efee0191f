"""Programs that others wrote reach the gateway by nothing but their setting of the base URL."""

import json
import os
import pathlib
import subprocess

import pytest

from processes import ENVIRONMENT, ROOT, serving

HERE = pathlib.Path(__file__).parent
NODE = HERE / "node/node_modules/.bin/node"
PYTHON = {name: ROOT / f"target/ci/programs/{name}/bin/python" for name in ("rest", "grpc", "generativeai")}
WHOLE = '[sandbox] You said "hello there"'


def run(*command, cwd=HERE, **environment):
    """The standard output of a program."""
    environment = {**ENVIRONMENT, "no_proxy": os.environ["no_proxy"], **environment}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def report(*command, **environment):
    """The object that a program of this folder prints last."""
    return json.loads(run(*command, **environment).splitlines()[-1])


@pytest.fixture(scope="session")
def secure(sandbox, certificate):
    """The address of a gateway with TLS, and the file with its certificate."""
    with serving("--upstream-url", sandbox, certificate=certificate) as url:
        yield url.removeprefix("https://"), certificate[0]


def assert_whole(got):
    """The text, its usage, and the same text as a stream."""
    assert got["text"].startswith(WHOLE)
    assert got["usage"] == 2
    assert len(got["stream"]) > 5 and "".join(got["stream"]) == got["text"]


def test_gemini_cli(service, tmp_path):
    """An agent that gets the model's call of a tool, runs the tool, and gets the answer to its result."""
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False}}
    (tmp_path / ".gemini").mkdir()
    (tmp_path / ".gemini/settings.json").write_text(json.dumps(settings))
    program = HERE / "node/node_modules/.bin/gemini"
    arguments = ["--skip-trust", "--model", "gemini-2.5-flash", "--output-format", "json", "--prompt", "hello there"]
    environment = {"HOME": str(tmp_path), "GEMINI_API_KEY": "a-key", "GOOGLE_GEMINI_BASE_URL": service}
    printed = run(NODE, program, *arguments, cwd=tmp_path, **environment)
    got = json.loads(printed[printed.index("{") :])
    assert "[sandbox]" in got["response"]
    (model,) = got["stats"]["models"].values()
    assert (model["api"]["totalRequests"], model["api"]["totalErrors"]) == (2, 0)
    assert got["stats"]["tools"]["totalSuccess"] == 1


def test_ai_sdk(service):
    got = report(NODE, HERE / "node/ai_sdk.js", service)
    texts, error = got.pop("stream")
    assert error is None
    assert_whole({**got, "stream": texts})
    assert got["tools"][0] == 1 and "weather" in got["tools"][1]
    assert got["structured"] == ["name"]
    assert got["picture"] == ["image/png"]
    assert got["error"] == ["AI_APICallError", 429]
    texts, error = got["cut"]
    assert len(texts) > 2 and error is not None


def test_langchain(service):
    got = report(PYTHON["rest"], HERE / "langchain_rest.py", service)
    assert_whole(got)
    assert "".join(got["asyncio"]) == got["text"]
    assert got["tools"][0] == "weather" and "weather" in got["tools"][1]
    assert got["structured"] == "City"
    assert "image_url" in got["picture"]
    assert "RESOURCE_EXHAUSTED" in got["error"][1]


@pytest.mark.parametrize("program", ["langchain_grpc", "google_generativeai"])
def test_older_releases_over_grpc_with_tls(secure, program):
    """Programs of examples/, which are given the endpoint, a key, and the authority of the gateway's certificate."""
    address, certificate = secure
    python = PYTHON["grpc" if program == "langchain_grpc" else "generativeai"]
    printed = run(python, ROOT / f"examples/python/{program}.py", address, "a-key", certificate)
    lines = dict(line.split(": ", 1) for line in printed.splitlines())
    assert lines["text"].startswith('[sandbox] You said "Why is the sky blue?"')
    assert lines["stream"] == lines["text"]
    assert lines.get("tool") == "weather" or "[sandbox] The function weather gave" in lines["tool answer"]
    assert "429" in lines["busy"]
    assert lines["usage"] == "5 tokens in, 27 tokens out"


def test_litellm(service):
    got = report(PYTHON["rest"], HERE / "litellm_client.py", service, LITELLM_LOCAL_MODEL_COST_MAP="True")
    assert_whole(got)
    assert "".join(got["asyncio"]) == got["text"]
    assert got["tool"] == "weather"
    assert got["error"] == "RateLimitError"
    # A stream that was cut is an error, and not an answer.
    assert isinstance(got["cut"], str)
