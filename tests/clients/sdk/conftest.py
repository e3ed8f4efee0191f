"""The upstream double of the SDK suites, and gateways in front of it and of the sandbox."""

import os
import pathlib
import subprocess

import pytest

import streams
from processes import ROOT, start_gateway
from upstream import Upstream

HERE = pathlib.Path(__file__).parent
BUILT = ROOT / "target/ci/sdk"


def model_of(name):
    """The model whose stream is the case of that name."""
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")


@pytest.fixture(scope="session")
def upstream():
    """An upstream that plays the cases of streams.py."""
    upstream = Upstream({model_of(name): case for name, case in streams.ALL.items()})
    yield upstream
    upstream.stop()


@pytest.fixture(scope="session")
def relay(upstream):
    """The base URL of a gateway in front of the double. It offers no method but those that generate."""
    process, address = start_gateway("--upstream-url", upstream.url, "--heartbeat", "1", env={"MOUNTSEA_API_KEY": "k"})
    yield f"http://{address}"
    assert process.stop() == 0


def run(*command, cwd=None, **environment):
    """The output of a command."""
    environment = {**os.environ, **environment}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def built():
    """The folder with the suites of the languages that are compiled. `install` has downloaded what they need."""
    run("go", "build", "-C", HERE / "go", "-mod=readonly", "-o", BUILT / "read", "./read")
    # The SDK reads the names of the parameters of a function that the model may call.
    run("javac", "-parameters", "-d", BUILT / "java", "-cp", classpath(), *(HERE / "java").glob("*.java"))
    return BUILT


def classpath():
    """The libraries of the Java suite, and the suite itself."""
    return f"{BUILT / 'java'}:{(BUILT / 'classpath').read_text().strip()}"
