"""The upstream double of the SDK suites, a gateway in front of it, and the suites that are compiled."""

import pytest

import streams
from commands import BUILT, HERE, classpath, run
from processes import ALL_METHODS, serving
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
    with serving("--upstream-url", upstream.url, "--heartbeat", "1") as url:
        yield url


@pytest.fixture(scope="session")
def secure_service(sandbox, certificate):
    """The same as `service`, with TLS, so that clients can choose HTTP/2."""
    with serving("--upstream-url", sandbox, "--upstream-methods", ALL_METHODS, certificate=certificate) as url:
        yield url


@pytest.fixture(scope="session")
def secure_relay(upstream, certificate):
    """The same as `relay`, with TLS."""
    with serving("--upstream-url", upstream.url, "--heartbeat", "1", certificate=certificate) as url:
        yield url


@pytest.fixture(scope="session")
def trust(certificate, tmp_path_factory):
    """The variables of the environment that make each language trust the certificate."""
    store = tmp_path_factory.mktemp("java") / "trusted.p12"
    password = ["-storepass", "changeit", "-storetype", "PKCS12"]
    run("keytool", "-importcert", "-noprompt", "-alias", "gateway", "-file", certificate[0], "-keystore", store, *password)
    options = f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword=changeit"
    return {"SSL_CERT_FILE": certificate[0], "NODE_EXTRA_CA_CERTS": certificate[0], "JAVA_TOOL_OPTIONS": options}


@pytest.fixture(scope="session")
def built():
    """The folder with the suites of the languages that are compiled. `install` has downloaded what they need."""
    run("go", "build", "-C", HERE / "go", "-mod=readonly", "-o", BUILT / "read", "./read")
    # The SDK reads the names of the parameters of a function that the model may call.
    run("javac", "-parameters", "-d", BUILT / "java", *(HERE / "java").glob("*.java"), CLASSPATH=classpath())
    return BUILT
