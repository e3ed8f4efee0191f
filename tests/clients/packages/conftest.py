"""Gateways in plaintext and with TLS, and what every package and its program must do with them."""

import concurrent.futures
import dataclasses
import hashlib
import re
import shutil
import subprocess

import pytest

import tour
from processes import ROOT, start_gateway
from relay import Relay

# The sandbox accepts any key. The gateways have none of their own, so a call without this one is refused.
KEY = "a-callers-key"


@dataclasses.dataclass
class Gateway:
    """A gateway, its upstream as seen by a relay, and what a client needs to know. Without TLS there is no CA file."""

    endpoint: str
    relay: Relay
    ca: str | None = None
    key: str = KEY


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """The files of a private CA, and of a certificate for `localhost` with its key."""
    folder = tmp_path_factory.mktemp("authority")
    ca, certificate, key = (str(folder / name) for name in ("ca.pem", "certificate.pem", "key.pem"))
    common = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    root = ["-subj", "/CN=A private CA", "-keyout", f"{ca}.key", "-out", ca]
    names = ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]
    leaf = ["-CA", ca, "-CAkey", f"{ca}.key", "-subj", "/CN=localhost", *names, "-keyout", key, "-out", certificate]
    for arguments in (root, leaf):
        subprocess.run([*common, *arguments], check=True, capture_output=True)
    return ca, certificate, key


@pytest.fixture(scope="session")
def plaintext_gateway(sandbox):
    """A gateway without TLS."""
    relay = Relay(sandbox)
    process, address = start_gateway("--upstream-url", relay.url)
    yield Gateway(address, relay)
    assert process.stop() == 0
    relay.stop()


@pytest.fixture(scope="session")
def tls_gateway(sandbox, authority):
    """A gateway with a certificate of a private CA."""
    ca, certificate, key = authority
    relay = Relay(sandbox)
    process, address = start_gateway("--upstream-url", relay.url, "--tls-cert", certificate, "--tls-key", key)
    yield Gateway(address.replace("127.0.0.1", "localhost"), relay, ca)
    assert process.stop() == 0
    relay.stop()


@pytest.fixture(scope="session")
def check_tour(plaintext_gateway, tls_gateway):
    """Runs the program of examples/ in plaintext and with TLS at once, and verifies each line that it prints.

    `command` gets ENDPOINT KEY [CA_FILE] appended, and runs in new folders below `cwd`: its paths must be absolute.
    """

    def check(command, cwd, **environment):
        runs = {"plaintext": plaintext_gateway, "tls": tls_gateway}
        with concurrent.futures.ThreadPoolExecutor() as pool:
            started = [
                pool.submit(tour.check, command, gateway, cwd / name, environment) for name, gateway in runs.items()
            ]
            for each in started:
                each.result()

    return check


@pytest.fixture(scope="session")
def check_snippet(plaintext_gateway):
    """Does what the README of a client package says, in an empty folder: its first `sh` block, then its first block of
    the language.

    The snippet is written to `file`, and `command` runs it; both it and the install line are run by bash in `cwd`. The
    snippet names the endpoint `localhost:50051`, and the key `KEY`. `artifacts` are the files and folders that a user has
    downloaded.
    """

    def check(client, language, file, command, cwd, artifacts=(), **environment):
        readme = (ROOT / f"clients/{client}/README.md").read_text()
        assert not any(cwd.iterdir()), f"{cwd} is not empty"
        for artifact in artifacts:
            copy = shutil.copytree if artifact.is_dir() else shutil.copy
            copy(artifact, cwd / artifact.name)
        tour.run("bash", "-euc", first_block(readme, "sh"), cwd=cwd, **environment)
        snippet = first_block(readme, language)
        assert count_statements(snippet) < 10, snippet
        for placeholder, value in (("localhost:50051", plaintext_gateway.endpoint), ("KEY", plaintext_gateway.key)):
            assert placeholder in snippet, f"{placeholder} is not in the snippet\n{snippet}"
            snippet = re.sub(rf"\b{placeholder}\b", value, snippet)
        (cwd / file).parent.mkdir(parents=True, exist_ok=True)
        (cwd / file).write_text(snippet)
        printed = tour.run("bash", "-euc", command, cwd=cwd, **environment)
        assert "[sandbox] You said" in printed, printed

    return check


def first_block(page, language):
    """The first code block of a page in that language."""
    found = re.search(rf"^```{re.escape(language)}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found, f"no code block of {language}"
    return found[1]


def count_statements(snippet):
    """The lines of a program that are neither blank, nor an import, nor only brackets."""
    lines = [line.strip() for line in snippet.splitlines()]
    imports = re.compile(r'(import|from|use|using|require|require_once|package|namespace|#include|<\?php|//|#)\b|"[\w./-]+"$')
    return sum(1 for line in lines if line and not imports.match(line) and not re.fullmatch(r"[][(){};,]+", line))


@pytest.fixture(scope="session")
def check_rebuild():
    """Builds a package of `clients/build` again, and verifies that every file is the same, byte for byte."""

    def check(client):
        built = ROOT / "target/clients" / client
        before = digests(built)
        assert before, f"{built} is empty; run clients/build {client}"
        shutil.rmtree(built)
        tour.run(ROOT / "clients/build", client)
        assert digests(built) == before

    return check


def digests(folder):
    """The SHA-256 of each file below a folder, by its path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
