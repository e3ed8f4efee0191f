"""One version everywhere, and the tag of a release."""

import pathlib
import shutil
import subprocess
import sys

import pytest
import versions

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = ("Cargo.toml", "Cargo.lock", "CHANGELOG.md", "helm/gemini-grpc/Chart.yaml")


@pytest.fixture
def copy(tmp_path):
    """A copy of the files that state a version, with a section for this version in the changelog."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    replace(tmp_path / "CHANGELOG.md", "## [Unreleased]", f"## [{versions.of_cargo()}] - 2026-12-01")
    return tmp_path


def replace(path, old, new):
    text = path.read_text()
    assert old in text, old
    path.write_text(text.replace(old, new, 1))


def test_all_files_of_this_repository_state_the_version_of_cargo():
    assert versions.problems() == []
    assert set(versions.stated().values()) == {versions.of_cargo()}


def test_the_script_prints_the_version_and_refuses_another_tag():
    def run(*arguments):
        return subprocess.run([sys.executable, "release/versions.py", *arguments], cwd=ROOT, capture_output=True, text=True)

    assert run().stdout == versions.of_cargo() + "\n"
    refused = run("v99.0.0")
    assert refused.returncode == 1
    assert f"the tag must be v{versions.of_cargo()}" in refused.stderr


def test_the_tag_of_the_version_can_be_released(copy):
    assert versions.problems(copy, f"v{versions.of_cargo()}") == []


@pytest.mark.parametrize("tag", ["v0.1", "0.1.0", "v0.1.0-rc.1", "v99.0.0", ""])
def test_another_tag_cannot(copy, tag):
    (problem,) = versions.problems(copy, tag)
    assert problem.startswith(f"the tag is {tag}, but")


def test_a_version_without_notes_cannot(copy):
    replace(copy / "CHANGELOG.md", f"## [{versions.of_cargo()}]", "## [99.0.0]")
    (problem,) = versions.problems(copy, f"v{versions.of_cargo()}")
    assert problem.startswith("CHANGELOG.md: there are 0 headings")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("Cargo.lock", 'name = "gemini-grpc"\nversion = "{}"', 'name = "gemini-grpc"\nversion = "99.0.0"'),
        ("helm/gemini-grpc/Chart.yaml", "\nversion: {}", "\nversion: 99.0.0"),
        ("helm/gemini-grpc/Chart.yaml", 'appVersion: "{}"', 'appVersion: "99.0.0"'),
    ],
)
def test_a_file_with_another_version_is_named(copy, name, old, new):
    replace(copy / name, old.format(versions.of_cargo()), new)
    (problem,) = versions.problems(copy)
    assert problem.startswith(name)
    assert problem.endswith(f"99.0.0, but Cargo.toml has {versions.of_cargo()}")


def test_a_version_for_which_registries_differ_cannot_be_released(copy):
    for name in FILES:
        path = copy / name
        path.write_text(path.read_text().replace(versions.of_cargo(), "1.0.0-rc.1"))
    assert "Cargo.toml: 1.0.0-rc.1 is not X.Y.Z" in versions.problems(copy)
