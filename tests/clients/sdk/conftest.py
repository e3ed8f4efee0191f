"""The upstream double of the SDK suites, a gateway in front of it, and the suites that are compiled."""

import pytest

import streams
from commands import BUILT, HERE, classpath, run
from processes import start_gateway
from upstream import Upstream


@pytest.fixture(scope="session")
def upstream():
    """An upstream that plays the cases of streams.py."""
    upstream = Upstream({streams.model_of(name): case for name, case in streams.ALL.items()})
    yield upstream
    upstream.stop()


@pytest.fixture(scope="session")
def relay(upstream):
    """The base URL of a gateway in front of the double. It offers no method but those that generate."""
    process, address = start_gateway("--upstream-url", upstream.url, "--heartbeat", "1", env={"MOUNTSEA_API_KEY": "k"})
    yield f"http://{address}"
    assert process.stop() == 0


@pytest.fixture(scope="session")
def built():
    """The folder with the suites of the languages that are compiled. `install` has downloaded what they need."""
    run("go", "build", "-C", HERE / "go", "-mod=readonly", "-o", BUILT / "read", "./read")
    # The SDK reads the names of the parameters of a function that the model may call.
    run("javac", "-parameters", "-d", BUILT / "java", "-cp", classpath(), *(HERE / "java").glob("*.java"))
    return BUILT
