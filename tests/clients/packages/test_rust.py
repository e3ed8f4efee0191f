"""The crate, as `clients/build rust` packs it."""

import shutil
import tomllib

import pytest

from attempts import ATTEMPTS, ENDS, MODELS, counting_server
from processes import ROOT
from tour import run

BUILT = ROOT / "target/clients/rust"
EXAMPLE = ROOT / "examples/rust"
# Everything is compiled once. The crates are those of the gateway, so they are fetched already.
CARGO = {
    "CARGO_TARGET_DIR": str(ROOT / "target/clients/rust-target"),
    "CARGO_NET_OFFLINE": "true",
    "CARGO_INCREMENTAL": "0",
    "CARGO_PROFILE_DEV_DEBUG": "0",
}


@pytest.fixture(scope="module")
def example():
    """A copy of the example, which depends on the crate as built. In one place, so that a second run compiles nothing."""
    folder = ROOT / "target/clients/rust-target/example"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(EXAMPLE, folder)
    manifest = folder / "Cargo.toml"
    path = "../../target/clients/rust/mountsea-gemini"
    assert path in manifest.read_text()
    manifest.write_text(manifest.read_text().replace(path, "../../rust/mountsea-gemini"))
    return manifest


def test_the_sources_are_formatted():
    # lib.rs is not among them: rustfmt would look for the generated module next to it.
    folders = (ROOT / "clients/rust/src", ROOT / "clients/rust/generate/src", EXAMPLE / "src")
    files = [file for folder in folders for file in folder.glob("*.rs") if file.name != "lib.rs"]
    run("rustfmt", "--check", "--edition", "2024", *files)


def test_the_lock_files_have_the_versions_of_the_gateway():
    # So they are fetched, and checked for licences and advisories, once. After a change of ours, copy Cargo.lock there,
    # and run `cargo metadata --offline` on each.
    ours = locked(ROOT / "Cargo.lock")
    for folder in (ROOT / "clients/rust", ROOT / "clients/rust/generate", EXAMPLE):
        assert locked(folder / "Cargo.lock") <= ours, folder


def locked(file):
    """The crates of a lock file that come from a registry, with their versions."""
    packages = tomllib.loads(file.read_text())["package"]
    return {(package["name"], package["version"]) for package in packages if "source" in package}


def test_the_program_does_all_parts(example, check_tour, tmp_path):
    run("cargo", "build", "--quiet", "--manifest-path", example, **CARGO)
    check_tour([ROOT / "target/clients/rust-target/debug/tour"], tmp_path)


def test_the_helper_passes_its_own_tests(example):
    run("cargo", "test", "--quiet", "--lib", "--package", "mountsea-gemini", "--manifest-path", example, **CARGO)


# Prints how a call of each model ends; `begun` is a stream, and `distant` has a deadline.
RETRIES = """
use mountsea_gemini::tonic::{Code, Request, Status};
use mountsea_gemini::v1::GenerateContentRequest;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut gemini = mountsea_gemini::connect(&arguments.next().unwrap(), "k", None)?.generative();
    for model in arguments {
        let mut request = Request::new(GenerateContentRequest { model: model.clone(), ..Default::default() });
        let ended = match &*model {
            "begun" => read(gemini.stream_generate_content(request).await?.into_inner()).await,
            "distant" => {
                request.set_timeout(std::time::Duration::from_secs(30));
                gemini.generate_content(request).await.map(drop)
            }
            _ => gemini.generate_content(request).await.map(drop),
        };
        println!("{}", mountsea_gemini::code_name(ended.map_or_else(|error| error.code(), |()| Code::Ok)));
    }
    Ok(())
}

async fn read<T>(mut stream: mountsea_gemini::tonic::Streaming<T>) -> Result<(), Status> {
    while stream.message().await?.is_some() {}
    Ok(())
}
"""


def test_the_helper_retries_only_what_is_safe_to_retry(example):
    (example.parent / "src/bin").mkdir()
    (example.parent / "src/bin/retries.rs").write_text(RETRIES)
    run("cargo", "build", "--quiet", "--bin", "retries", "--manifest-path", example, **CARGO)
    program = ROOT / "target/clients/rust-target/debug/retries"
    with counting_server() as (address, attempts):
        assert run(program, address, *MODELS).splitlines() == ENDS
        assert attempts == ATTEMPTS
        # A pause that the deadline would end is not begun.
        assert run(program, address, "distant", timeout=20).splitlines() == ["UNAVAILABLE"]
        assert attempts["distant"] == 1


def test_a_new_user_gets_a_first_answer(check_snippet, tmp_path):
    # The lock file makes cargo choose the versions that are compiled already.
    artifacts = [*BUILT.glob("*.crate"), EXAMPLE / "Cargo.lock"]
    check_snippet("rust", "rust", "src/main.rs", "cargo run --quiet", tmp_path, artifacts, **CARGO)


def test_two_builds_are_identical(check_rebuild):
    check_rebuild("rust")
