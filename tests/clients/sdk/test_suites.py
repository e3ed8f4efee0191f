"""Google's unmodified REST SDKs for JavaScript, Go and Java: a suite each, in the way that its language tests."""

import pytest

from commands import BUILT, HERE, NODE, classpath, run


@pytest.fixture(scope="session")
def addresses(service, relay, upstream):
    """What the suites find in their environment."""
    return {"SERVICE": service, "RELAY": relay, "UPSTREAM": upstream.url}


def test_javascript(addresses):
    run(NODE, "--test", "--test-reporter=spec", "--test-timeout=60000", cwd=HERE / "node", **addresses)


def test_go(addresses):
    run("go", "test", "-C", HERE / "go", "-mod=readonly", "-count=1", ".", **addresses)


def test_java(built, addresses):
    console = ["org.junit.platform.console.ConsoleLauncher", "execute", f"--scan-classpath={BUILT / 'java'}"]
    timeout = "--config=junit.jupiter.execution.timeout.default=60s"
    options = [timeout, "--fail-if-no-tests", "--disable-banner", "--disable-ansi-colors", "--details=tree"]
    run("java", "-cp", classpath(), *console, *options, cwd=HERE, **addresses)
