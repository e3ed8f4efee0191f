"""Archives with the same bytes on every machine, and the binaries in an image."""

import gzip
import hashlib
import io
import json
import os
import tarfile

import archive
import image
import pytest
import sbom


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "files"
    (place / "b").mkdir(parents=True)
    (place / "a.txt").write_text("a")
    (place / "b/program").write_bytes(b"#!")
    (place / "b/program").chmod(0o700)
    return place


def test_an_archive_depends_on_names_and_contents_only(tmp_path, folder):
    archive.write(tmp_path / "one.tar.gz", "name", [folder])
    os.utime(folder / "a.txt", (1, 1))
    (folder / "a.txt").chmod(0o600)
    archive.write(tmp_path / "two.tar.gz", "name", [folder])
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_an_archive_has_the_files_with_common_rights(tmp_path, folder):
    archive.write(tmp_path / "x.tar.gz", "name", [folder])
    with tarfile.open(tmp_path / "x.tar.gz") as tar:
        assert [(each.name, each.mode, each.uid, each.mtime) for each in tar] == [
            ("name/a.txt", 0o644, 0, 0),
            ("name/b/program", 0o755, 0, 0),
        ]


def test_an_empty_archive_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="nothing to pack"):
        archive.write(tmp_path / "x.tar.gz", "name", [tmp_path / "empty"])


def test_an_archive_of_another_program_gets_the_same_form(tmp_path, folder):
    for number, name in enumerate(["one.tgz", "two.tgz"]):
        with tarfile.open(tmp_path / name, "w:gz") as tar:
            for path in sorted(folder.rglob("*"), reverse=bool(number)):
                os.utime(path, (number, number))
                tar.add(path, path.relative_to(folder), recursive=False)
        archive.repack(tmp_path / name)
    assert (tmp_path / "one.tgz").read_bytes() == (tmp_path / "two.tgz").read_bytes()


def oci_archive(path, binaries):
    """An image with one layer for each architecture, like buildah exports it. Returns its digest."""
    files = {}

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        files[f"blobs/sha256/{digest}"] = data
        return {"digest": f"sha256:{digest}", "size": len(data)}

    def as_json(document):
        return blob(json.dumps(document).encode())

    entries = []
    for arch, data in binaries.items():
        layer = archive.pack([("usr/bin/gemini-grpc", data, True), ("etc/passwd", b"", False)])
        media = "application/vnd.oci.image.layer.v1.tar+gzip"
        entries.append(as_json({"layers": [{**blob(layer), "mediaType": media}]}) | {"platform": {"architecture": arch}})
    top = as_json({"manifests": entries})
    files["index.json"] = json.dumps({"manifests": [top]}).encode()
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return top["digest"]


def test_the_binary_of_each_architecture_comes_from_the_image(tmp_path, monkeypatch):
    monkeypatch.setattr(image, "DIST", tmp_path)
    version = image.versions.of_cargo()
    digest = oci_archive(tmp_path / "image.tar", {"amd64": b"for amd64", "arm64": b"for arm64"})
    assert image.unpack(tmp_path / "image.tar") == digest
    for arch in ("amd64", "arm64"):
        name = f"gemini-grpc-{version}-linux-{arch}"
        with tarfile.open(tmp_path / f"{name}.tar.gz") as tar:
            assert tar.getnames() == [f"{name}/{file}" for file in ("LICENSE", "README.md", "gemini-grpc")]
            assert tar.extractfile(f"{name}/gemini-grpc").read() == f"for {arch}".encode()


def test_a_changed_file_in_an_image_is_noticed(tmp_path):
    oci_archive(tmp_path / "image.tar", {"amd64": b"for amd64"})
    opened = image.Archive(tmp_path / "image.tar")
    ((_, manifest),) = opened.manifests()
    name = "blobs/" + manifest["layers"][0]["digest"].replace(":", "/")
    opened.files[name] = gzip.compress(b"")
    with pytest.raises(ValueError, match="other contents"):
        opened.read(manifest, "usr/bin/gemini-grpc")


LOCK = """version = 4

[[package]]
name = "gemini-grpc"
version = "0.1.0"
dependencies = [
 "bytes",
 "proptest",
 "syn 2.0.0",
]

[[package]]
name = "bytes"
version = "1.12.0"

[[package]]
name = "proptest"
version = "1.12.0"

[[package]]
name = "syn"
version = "2.0.0"

[[package]]
name = "syn"
version = "3.0.0"
"""


def test_the_list_of_crates_has_only_those_in_the_binary():
    kept = {("gemini-grpc", "0.1.0"), ("bytes", "1.12.0"), ("syn", "2.0.0")}
    reduced = sbom.reduced(LOCK, kept)
    assert "proptest" not in reduced
    assert "3.0.0" not in reduced
    assert ' "bytes",\n "syn 2.0.0",\n]' in reduced
    assert reduced.count("[[package]]") == 3
