"""A sandbox, and gateways that use it as upstream, for all tests of a run."""

import os
import subprocess

import pytest

from processes import ALL_METHODS, serving, start_gateway, start_sandbox

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
    with serving("--upstream-url", sandbox, "--upstream-methods", ALL_METHODS) as url:
        yield url


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The files of a certificate for `localhost`, which is its own authority, and of its key."""
    folder = tmp_path_factory.mktemp("tls")
    files = [str(folder / "certificate.pem"), str(folder / "key.pem")]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", files[1]]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2", "-out", files[0]]
    subprocess.run(["openssl", "req", "-x509", *kind, *name], check=True, capture_output=True)
    return files
