"""Publishing can be repeated. Stand-ins record what the real programs would publish."""

import pathlib
import subprocess
import sys
import zipfile

import archive
import pytest
import versions

HERE = pathlib.Path(__file__).resolve().parent
VERSION = versions.of_cargo()
PARTS = ("draft", "npm", "maven", "crate", "gem", "go", "finish")
REPOSITORY = f"repository/ai/mountsea/gemini-messages/{VERSION}/gemini-messages-{VERSION}"


@pytest.fixture
def published(tmp_path):
    """An empty folder for what is published, and a release in `dist` next to it."""
    for name in ("programs", "published", "dist"):
        (tmp_path / name).mkdir()
    for name in ("gh", "npm", "curl", "gem", "cargo", "gpg"):
        (tmp_path / "programs" / name).symlink_to(HERE / "fake")
    dist = tmp_path / "dist"
    for name in (f"mountsea-gemini-{VERSION}.tgz", f"mountsea-gemini-{VERSION}.gem", "SHA256SUMS"):
        (dist / name).write_text(name)
    crate = [(f"mountsea-gemini-{VERSION}/{name}", b"", False) for name in ("Cargo.toml", "Cargo.toml.orig")]
    (dist / f"mountsea-gemini-{VERSION}.crate").write_bytes(archive.pack(crate))
    java = [(f"x/{REPOSITORY}{end}", end.encode(), False) for end in (".pom", ".jar", "-sources.jar", ".jar.sha1")]
    (dist / f"gemini-grpc-{VERSION}-java.tar.gz").write_bytes(archive.pack(java))
    # The real one needs a section for this version.
    notes = tmp_path / "programs/python3"
    notes.write_text('#!/bin/sh\n[ "$1" != release/notes.py ] || { echo notes; exit; }\nexec "$REAL_PYTHON" "$@"\n')
    notes.chmod(0o755)
    return tmp_path / "published"


def publish(published, part):
    names = ("MAVEN_CENTRAL_USERNAME", "MAVEN_CENTRAL_PASSWORD", "MAVEN_GPG_KEY", "MAVEN_GPG_PASSPHRASE")
    env = dict.fromkeys(names, "a secret")
    env |= {"PUBLISHED": str(published), "DIST": str(published.parent / "dist"), "REAL_PYTHON": sys.executable}
    env |= {"PATH": f"{published.parent / 'programs'}:/usr/bin:/bin", "TMPDIR": str(published.parent)}
    command = [versions.ROOT / "release/publish", part]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def log(published):
    return (published / "log").read_text().splitlines() if (published / "log").exists() else []


def test_each_part_is_published_once_even_if_it_is_repeated(published):
    for part in (*PARTS, *PARTS):
        done = publish(published, part)
        assert done.returncode == 0, (part, done.stderr)
    starts = ["gh release create", "npm publish", "curl", "cargo publish", "gem push", "gh api", "gh release edit"]
    assert len(log(published)) == len(starts)
    assert all(line.startswith(start) for line, start in zip(log(published), starts, strict=True))
    assert {path.name for path in (published / "assets").iterdir()} == {path.name for path in (published.parent / "dist").iterdir()}


def test_a_release_stays_a_draft_until_the_last_part(published):
    publish(published, "draft")
    publish(published, "draft")
    assert (published / "is_draft").read_text() == "true"
    publish(published, "finish")
    assert (published / "is_draft").read_text() == "false"


@pytest.mark.parametrize(("part", "file"), [("npm", f"mountsea-gemini-{VERSION}.tgz"), ("gem", f"mountsea-gemini-{VERSION}.gem")])
def test_a_package_with_other_contents_is_refused(published, part, file):
    assert publish(published, part).returncode == 0
    (published.parent / "dist" / file).write_text("something else")
    refused = publish(published, part)
    assert refused.returncode == 1
    assert "is already published, with other contents" in refused.stderr
    assert len(log(published)) == 1


def test_a_published_release_with_other_files_is_refused(published):
    for part in ("draft", "finish"):
        publish(published, part)
    (published.parent / "dist/SHA256SUMS").write_text("other checksums")
    refused = publish(published, "draft")
    assert refused.returncode == 1
    assert "is already published, with other contents" in refused.stderr


def test_a_tag_on_another_commit_is_refused(published):
    (published / "tag").write_text("0" * 40)
    refused = publish(published, "go")
    assert refused.returncode == 1
    assert f"clients/go/v{VERSION} is already published" in refused.stderr


def test_maven_gets_signatures_checksums_and_a_javadoc_for_each_artifact(published):
    done = publish(published, "maven")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(published / "bundle.zip") as bundle:
        names = {name for name in bundle.namelist() if not name.endswith("/")}
    path = REPOSITORY.removeprefix("repository/")
    artifacts = [f"{path}{end}" for end in (".pom", ".jar", "-sources.jar", "-javadoc.jar")]
    assert names == {name + end for name in artifacts for end in ("", ".asc", ".md5", ".sha1")}


def test_no_secret_is_in_the_arguments_of_a_program(published):
    publish(published, "maven")
    assert not any("a secret" in line or "YSBzZWNyZXQ" in line for line in log(published))
