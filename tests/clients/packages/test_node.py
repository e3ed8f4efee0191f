"""The npm package as built, installed without a network, and the programs of examples/node."""

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
