"""The crate, as `clients/build rust` packs it."""

import shutil

import pytest

from processes import ROOT
from tour import run

BUILT = ROOT / "target/clients/rust"
EXAMPLE = ROOT / "examples/rust"
# Everything is compiled once. clients/rust/install has fetched the crates.
CARGO = {
    "CARGO_TARGET_DIR": str(ROOT / "target/clients/rust-target"),
    "CARGO_NET_OFFLINE": "true",
    "CARGO_INCREMENTAL": "0",
    "CARGO_PROFILE_DEV_DEBUG": "0",
}


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """A copy of the example, which depends on the crate as built."""
    folder = tmp_path_factory.mktemp("example") / "rust"
    shutil.copytree(EXAMPLE, folder)
    manifest = folder / "Cargo.toml"
    path = "../../target/clients/rust/mountsea-gemini"
    assert path in manifest.read_text()
    manifest.write_text(manifest.read_text().replace(path, str(BUILT / "mountsea-gemini")))
    return manifest


def test_the_sources_are_formatted():
    # lib.rs is not among them: rustfmt would look for the generated module next to it.
    folders = (ROOT / "clients/rust/src", ROOT / "clients/rust/generate/src", EXAMPLE / "src")
    files = [file for folder in folders for file in folder.glob("*.rs") if file.name != "lib.rs"]
    config = ["--config-path", ROOT / "rustfmt.toml"]
    run("rustfmt", "--check", "--edition", "2024", *config, *files)


def test_the_program_does_all_parts(example, check_tour, tmp_path):
    run("cargo", "build", "--quiet", "--manifest-path", example, **CARGO)
    check_tour([ROOT / "target/clients/rust-target/debug/tour"], tmp_path)


def test_the_helper_passes_its_own_tests(example):
    run("cargo", "test", "--quiet", "--lib", "--package", "mountsea-gemini", "--manifest-path", example, **CARGO)


def test_a_new_user_gets_a_first_answer(check_snippet, tmp_path):
    # The lock file makes cargo choose the versions that are compiled already.
    artifacts = [*BUILT.glob("*.crate"), EXAMPLE / "Cargo.lock"]
    check_snippet("rust", "rust", "src/main.rs", "cargo run --quiet", tmp_path, artifacts, **CARGO)


def test_two_builds_are_identical(check_rebuild):
    check_rebuild("rust")
