"""The Go module as `clients/build go` writes it: its tests, the programs of examples/go, and its README."""

import re
import shutil
import subprocess

import pytest

from processes import ROOT
from tour import run

BUILT = ROOT / "target/clients/go"
MODULE = "github.com/mountsea/gemini-grpc/clients/go"
# clients/go/install has downloaded what go.sum lists. Nothing else may be needed.
OFFLINE = {"GOPROXY": "off", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}


@pytest.fixture(scope="module", autouse=True)
def built():
    assert (BUILT / "go.mod").exists(), "run clients/build go"


def copy(folder, target):
    """A copy of a module that uses the built package in place of the sources."""
    shutil.copytree(ROOT / folder, target)
    run("go", "mod", "edit", "-replace", f"{MODULE}={BUILT}", cwd=target, **OFFLINE)
    return target


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The folder with the built programs of examples/go."""
    folder = copy("examples/go", tmp_path_factory.mktemp("go") / "examples")
    # Of the rest of Google's client, vet would read 400 packages.
    run("go", "vet", "./tour", cwd=folder, **OFFLINE)
    run("go", "build", "-o", "built/", "./...", cwd=folder, **OFFLINE)
    return folder / "built"


def test_the_module_passes_its_own_tests():
    run("go", "vet", "./...", cwd=BUILT, **OFFLINE)
    run("go", "test", "./...", cwd=BUILT, **OFFLINE)
    # Its retry policy is compared with the contract's only there.
    assert (ROOT / "clients/go/service_config.json").read_bytes() == (ROOT / "proto/service_config.json").read_bytes()


def test_the_tour_runs_in_plaintext_and_with_tls(programs, check_tour, tmp_path):
    check_tour([programs / "tour"], tmp_path)


def test_googles_client_needs_an_endpoint_and_a_key(programs, tls_gateway):
    printed = run(programs / "google", tls_gateway.endpoint, tls_gateway.key, tls_gateway.ca)
    assert printed.startswith("[sandbox] You said")
    # With a CA that the system trusts, there is no third argument.
    printed = run(programs / "google", tls_gateway.endpoint, tls_gateway.key, SSL_CERT_FILE=tls_gateway.ca)
    assert printed.startswith("[sandbox] You said")


def test_the_readme_leads_to_a_first_answer(check_snippet, tmp_path):
    # The hashes of the modules are not in an empty folder, and the database that has them is not asked offline.
    environment = {"GOPROXY": "off", "GOSUMDB": "off", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    check_snippet("go", "go", "main.go", "go run .", tmp_path, artifacts=[BUILT], **environment)


def test_the_other_blocks_of_the_readme_do_what_they_say(plaintext_gateway, tmp_path):
    tests = copy("tests/clients/packages/go", tmp_path / "readme")
    lines = [line.strip() for line in (tests / "readme_test.go").read_text().splitlines()]
    readme = (ROOT / "clients/go/README.md").read_text()
    _, *blocks = re.findall(r"^```go\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    for block in blocks:
        assert "\n".join(line.strip() for line in block.splitlines()) in "\n".join(lines), block
    gateway = {"ENDPOINT": plaintext_gateway.endpoint, "KEY": plaintext_gateway.key}
    run("go", "test", "-vet=off", ".", cwd=tests, **gateway, **OFFLINE)


def test_every_file_in_the_module_is_formatted():
    assert run("gofmt", "-l", "clients/go", "examples/go", "tests/clients/packages/go", cwd=ROOT) == ""


def test_code_that_the_protos_do_not_generate_fails_the_build(tmp_path):
    for folder in ("clients/go", "proto", "target/clients/gen/go"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "LICENSE", tmp_path)
    build = tmp_path / "clients/go/build"
    run(build)
    generated = next((tmp_path / "target/clients/gen/go").rglob("content.pb.go"))
    generated.write_text(generated.read_text().replace("(x *Part) GetText()", "(x *Part) GetTexts()"))
    assert "clients/go is stale" in failure_of(build)
    run(build, GOLDEN="write")
    run(build)
    policy = tmp_path / "proto/service_config.json"
    policy.write_text(policy.read_text().replace("UNAVAILABLE", "INTERNAL"))
    assert "clients/go is stale" in failure_of(build)


def failure_of(command):
    """What a command that must fail writes to standard error."""
    done = subprocess.run([command], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_two_builds_are_identical_and_generate_the_committed_code(check_rebuild):
    check_rebuild("go")
