"""The npm package as built, installed without a network, and the programs of examples/node."""

import json
import re
import shutil

import pytest

import tour
from processes import ROOT

TOOLS = ROOT / "target/ci/clients/node"
# What a user's npm would download comes from the cache that clients/node/install has filled.
OFFLINE = {
    "npm_config_offline": "true",
    "npm_config_cache": str(TOOLS / "cache"),
    "npm_config_audit": "false",
    "npm_config_fund": "false",
    "npm_config_update_notifier": "false",
}
# npm chooses the versions that this file names.
LOCK = ROOT / "clients/node/package-lock.json"
README = (ROOT / "clients/node/README.md").read_text()


@pytest.fixture(scope="module")
def package():
    """The file that `npm install` gets."""
    (found,) = (ROOT / "target/clients/node").glob("mountsea-gemini-*.tgz")
    return found


@pytest.fixture(scope="module")
def programs(package, tmp_path_factory):
    """The folder of the examples with the package installed, and its programs compiled with `tsc --strict`."""
    folder = tmp_path_factory.mktemp("examples")
    for file in (ROOT / "examples/node").glob("*.*"):
        shutil.copy(file, folder)
    shutil.copy(LOCK, folder)
    # The README's sections on tracing and on checks need more packages than the programs.
    manifest = json.loads((folder / "package.json").read_text())
    manifest["devDependencies"] |= json.loads((ROOT / "clients/node/package.json").read_text())["devDependencies"]
    (folder / "package.json").write_text(json.dumps(manifest))
    tour.run("npm", "install", package, cwd=folder, **OFFLINE)
    # The types of the package are checked too: skipLibCheck is not set.
    tour.run("node", "node_modules/typescript/bin/tsc", cwd=folder)
    return folder


@pytest.mark.parametrize("program", ["tour", "tour_grpc_js"])
def test_the_program_does_all_its_parts_with_and_without_tls(check_tour, programs, tmp_path, program):
    check_tour(["node", programs / f"built/{program}.js"], tmp_path)


def test_googles_client_needs_only_endpoint_and_key_over_tls(tls_gateway, programs):
    arguments = (tls_gateway.endpoint, tls_gateway.key, tls_gateway.ca)
    printed = tour.run("node", programs / "google_client.js", *arguments)
    assert printed.startswith('[sandbox] You said "Why is the sky blue?"')


def test_a_new_user_gets_a_first_answer(check_snippet, package, tmp_path):
    check_snippet("node", "js", "first.mjs", "node first.mjs", tmp_path, artifacts=[package, LOCK], **OFFLINE)


def test_every_snippet_of_the_readme_runs(plaintext_gateway, programs):
    connect_es, grpc_js = README.split("## With grpc-js")
    for name, page in (("connect_es", connect_es), ("grpc_js", grpc_js)):
        program = "".join(re.findall(r"^```js\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
        program = re.sub(r"\blocalhost:50051\b", plaintext_gateway.endpoint, program)
        (programs / f"{name}.js").write_text(re.sub(r'"KEY"', f'"{plaintext_gateway.key}"', program))
    (programs / "ca.pem").touch()
    done = tour.run("bash", "-c", "node connect_es.js 2>&1", cwd=programs)
    assert done.startswith("[sandbox] You said"), done
    assert "INVALID_ARGUMENT REQUEST_INVALID" in done, done
    assert "generation_config.top_p" in done, done
    assert tour.run("node", "grpc_js.js", cwd=programs).startswith("[sandbox] You said")


def test_the_helper_retries_only_what_is_safe_to_retry(programs):
    shutil.copy(ROOT / "tests/clients/packages/node/helper.test.js", programs)
    tour.run("node", "--test", "--test-timeout=60000", "helper.test.js", cwd=programs)


def test_a_page_can_use_the_messages(programs):
    # A bundler for browsers fails at Node's own modules.
    dist = programs / "node_modules/@mountsea/gemini/dist"
    for file in (dist / "messages.js", *(dist / "gen").rglob("*.js")):
        imported = set(re.findall(r'^(?:import|export) .*"([^".][^"]*)";$', file.read_text(), re.MULTILINE))
        assert imported <= {f"@bufbuild/protobuf{path}" for path in ("", "/codegenv2", "/wkt")}, file


def test_a_second_build_gives_the_same_package(check_rebuild):
    check_rebuild("node")
