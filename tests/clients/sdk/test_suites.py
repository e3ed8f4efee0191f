"""Google's unmodified REST SDKs for JavaScript, Go and Java: a suite each, in the way that its language tests."""

import pytest

from conftest import BUILT, HERE, classpath, run


@pytest.fixture(scope="session")
def addresses(service, relay, upstream):
    """What the suites find in their environment."""
    return {"SERVICE": service, "RELAY": relay, "UPSTREAM": upstream.url}


def test_javascript(addresses):
    node = HERE / "node"
    run(node / "node_modules/.bin/node", "--test", "--test-reporter=spec", "--test-timeout=60000", cwd=node, **addresses)


def test_go(addresses):
    run("go", "test", "-C", HERE / "go", "-mod=readonly", "-count=1", ".", **addresses)


def test_java(built, addresses):
    console = "org.junit.platform.console.ConsoleLauncher"
    scan = f"--scan-classpath={BUILT / 'java'}"
    run("java", "-cp", classpath(), console, "execute", scan, "--disable-banner", "--details=tree", cwd=HERE, **addresses)
