"""What actionlint does not know: rules for our own workflows."""

import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yaml"))
FILES = [*WORKFLOWS, *sorted((ROOT / ".github/actions").rglob("action.yml"))]
RELEASE = yaml.safe_load((ROOT / ".github/workflows/release.yaml").read_text())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_actions_of_others_are_pinned_by_commit_with_the_version_in_a_comment(path):
    used = [line.strip() for line in path.read_text().splitlines() if re.match(r"\s*(- )?uses:", line)]
    pinned = re.compile(r"(- )?uses: (\./\S+|[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)")
    assert [line for line in used if not pinned.fullmatch(line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_workflow_starts_with_more_than_reading(path):
    assert yaml.safe_load(path.read_text())["permissions"] in ({}, {"contents": "read"})


def test_the_same_release_of_rust_is_used_everywhere():
    pages = [*FILES, ROOT / "Dockerfile", ROOT / "release/image.py", ROOT / "release/dry-run"]
    text = "".join(path.read_text() for path in pages)
    found = re.findall(r"library/rust:(\d+\.\d+)", text) + re.findall(r"RUST: (\d+\.\d+)", text)
    assert len(found) >= 6
    assert len(set(found)) == 1, found


def test_everything_is_built_before_the_first_part_is_published():
    jobs = RELEASE["jobs"]

    def before(name):
        needs = jobs[name].get("needs", [])
        needs = [needs] if isinstance(needs, str) else needs
        return set(needs).union(*map(before, needs)) if needs else set()

    publishing = {name for name, job in jobs.items() if job.get("environment") == "release"}
    building = set(jobs) - publishing
    # Jobs that may write, or get an identity to sign with, publish.
    assert {name for name, job in jobs.items() if {"write"} & set(job["permissions"].values())} <= publishing
    assert all(building <= before(name) for name in publishing)
    assert before("finish") == set(jobs) - {"finish"}


def test_only_a_tag_publishes():
    assert RELEASE["jobs"]["registry"]["if"] == "github.event_name == 'push'"
    # `on` is a boolean in YAML.
    assert RELEASE[True]["push"] == {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}


def test_every_secret_and_variable_is_documented():
    page = (ROOT / "docs/releasing.md").read_text()
    text = "".join(path.read_text() for path in FILES)
    names = set(re.findall(r"\b(?:secrets|vars)\.(\w+)", text))
    assert len(names) > 5
    assert [name for name in names if f"`{name}`" not in page] == []
