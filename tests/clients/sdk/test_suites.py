"""Google's unmodified REST SDKs for JavaScript, Go and Java: a suite each, in the way that its language tests."""

import pytest

from commands import BUILT, HERE, NODE, classpath, run


@pytest.fixture(scope="session", params=["plaintext", "TLS"])
def addresses(request, upstream):
    """What the suites find in their environment. With TLS, the SDKs for Go and Java choose HTTP/2."""
    value = request.getfixturevalue
    upstream.forget()
    if request.param == "plaintext":
        return {"SERVICE": value("service"), "RELAY": value("relay"), "UPSTREAM": upstream.url}
    return {"SERVICE": value("secure_service"), "RELAY": value("secure_relay"), "UPSTREAM": upstream.url, **value("trust")}


def test_javascript(addresses):
    run(NODE, "--test", "--test-reporter=spec", "--test-timeout=60000", cwd=HERE / "node", **addresses)


def test_go(addresses):
    run("go", "test", "-C", HERE / "go", "-mod=readonly", "-vet=off", "-count=1", ".", **addresses)


def test_java(built, addresses):
    console = ["org.junit.platform.console.ConsoleLauncher", "execute", f"--scan-classpath={BUILT / 'java'}"]
    timeout = "--config=junit.jupiter.execution.timeout.default=60s"
    options = [timeout, "--fail-if-no-tests", "--disable-banner", "--disable-ansi-colors", "--details=tree"]
    # Nothing runs long enough for the later tiers of the JIT.
    run("java", "-XX:TieredStopAtLevel=1", *console, *options, cwd=HERE, CLASSPATH=classpath(), **addresses)
