"""A sandbox, and gateways that use it as upstream, for all tests of a run."""

import os

import pytest

from processes import start_gateway, start_sandbox

# Everything runs on this machine, so no client may use a proxy.
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost"


@pytest.fixture(scope="session")
def sandbox():
    """The URL of a sandbox."""
    process, url = start_sandbox()
    yield url
    process.stop()


@pytest.fixture(scope="session")
def gateway(sandbox):
    """The address of a gateway that has a key."""
    process, address = start_gateway("--upstream-url", sandbox, env={"MOUNTSEA_API_KEY": "a-key"})
    yield address
    assert process.stop() == 0


@pytest.fixture(scope="session")
def keyless(sandbox):
    """The address of a gateway without a key."""
    process, address = start_gateway("--upstream-url", sandbox)
    yield address
    assert process.stop() == 0


@pytest.fixture(scope="session")
def service(sandbox):
    """The base URL of a gateway in front of the sandbox, which offers all methods."""
    methods = "countTokens,embedContent,batchEmbedContents,models"
    arguments = ["--upstream-url", sandbox, "--upstream-methods", methods]
    process, address = start_gateway(*arguments, env={"MOUNTSEA_API_KEY": "k"})
    yield f"http://{address}"
    assert process.stop() == 0
