"""Builds the image with buildah from the Dockerfile, and takes the static binaries for Linux out of it.

    python3 release/image.py --arch amd64 --arch arm64      builds; then the same as --no-build
    python3 release/image.py --no-build                     only unpacks the image of the last build

Writes to target/dist:

    gemini-grpc-X.Y.Z-image.tar                an OCI archive of the image for all architectures
    gemini-grpc-X.Y.Z-linux-ARCH.tar.gz        the binary of the image for each of them, and the licence

So the binary is compiled once, and the file that users download is the one in the image. It needs root, buildah and
skopeo. Without an image registry, `--builder localhost/rust-builder` uses what tests/cluster/builder.sh makes.
"""

import argparse
import gzip
import hashlib
import io
import json
import pathlib
import subprocess
import sys
import tarfile
import time

import archive
import versions

sys.path.insert(0, str(versions.ROOT / "tests/cluster"))
import containers  # noqa: E402 (the line above makes it importable)

DIST = versions.ROOT / "target/dist"
LIST = "localhost/gemini-grpc-release"
BUILDER = "docker.io/library/rust:1.95-slim-bookworm"


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout


def commit():
    """The commit's id, and its date in seconds: the only date in the image."""
    revision, seconds = run("git", "-C", versions.ROOT, "log", "-1", "--format=%H %ct").decode().split()
    return revision, int(seconds)


def pulled(builder):
    """Pulls the builder, and returns its name with the digest: a later build can then use the same one."""
    if builder.startswith("localhost/"):
        return builder
    if "@" not in builder:
        digest = json.loads(run("skopeo", "inspect", "--no-tags", f"docker://{builder}"))["Digest"]
        builder = f"{builder.rpartition(':')[0]}@{digest}"
    containers.buildah("pull", "--quiet", builder)
    return builder


def build(builder, architectures):
    version, (revision, seconds) = versions.of_cargo(), commit()
    arguments = {
        "VERSION": version,
        "REVISION": revision,
        "CREATED": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)),
    }
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[run("uname", "-m").decode().strip()]
    containers.HOME.mkdir(parents=True, exist_ok=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["buildah", *containers.STORE, "manifest", "rm", LIST], check=False, **quiet)
    containers.buildah("manifest", "create", LIST)
    for arch in architectures:
        image, log = f"localhost/gemini-grpc:{arch}", containers.HOME / f"build-{arch}.log"
        print(f"building for {arch} on {builder}: {log}", flush=True)
        containers.build(image, builder, (f"linux/{machine}", f"linux/{arch}"), seconds, arguments, log)
        containers.buildah("manifest", "add", LIST, image)


def export(out):
    """Writes the image for all architectures as an OCI archive."""
    out.unlink(missing_ok=True)
    containers.buildah("manifest", "push", "--all", "--quiet", "--format", "oci", LIST, f"oci-archive:{out}")
    # buildah writes the time into the archive, though not into the image.
    out.write_bytes(archive.tar([(name, data, False) for name, data in Archive(out).files.items()]))


class Archive:
    """An OCI archive: its files by digest."""

    def __init__(self, path):
        with tarfile.open(path) as tar:
            self.files = {each.name.removeprefix("./"): tar.extractfile(each).read() for each in tar if each.isfile()}

    def blob(self, digest):
        data = self.files["blobs/" + digest.replace(":", "/")]
        if hashlib.sha256(data).hexdigest() != digest.removeprefix("sha256:"):
            raise ValueError(f"{digest} is the digest of other contents")
        return data

    def digest(self):
        """The digest under which a registry has the image."""
        (entry,) = json.loads(self.files["index.json"])["manifests"]
        return entry["digest"]

    def manifests(self):
        """The manifest of each architecture."""
        top = json.loads(self.blob(self.digest()))
        for entry in top["manifests"]:
            yield entry["platform"]["architecture"], json.loads(self.blob(entry["digest"]))

    def read(self, manifest, name):
        """A file of the image."""
        for layer in reversed(manifest["layers"]):
            data = self.blob(layer["digest"])
            data = gzip.decompress(data) if layer["mediaType"].endswith("gzip") else data
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                if name in tar.getnames():
                    return tar.extractfile(name).read()
        raise KeyError(name)


def unpack(path):
    """Writes an archive with the binary of each architecture, and returns the image's digest."""
    image, version = Archive(path), versions.of_cargo()
    for arch, manifest in image.manifests():
        name = f"gemini-grpc-{version}-linux-{arch}"
        entries = [(f"{name}/gemini-grpc", image.read(manifest, "usr/bin/gemini-grpc"), True)]
        entries += [(f"{name}/{page}", (versions.ROOT / page).read_bytes(), False) for page in ("LICENSE", "README.md")]
        (DIST / f"{name}.tar.gz").write_bytes(archive.pack(entries))
    return image.digest()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--builder", default=BUILDER, help="the image to build on")
    parser.add_argument("--arch", action="append", choices=["amd64", "arm64"], help="can be repeated")
    parser.add_argument("--no-build", action="store_true", help="unpack the image of the last build")
    arguments = parser.parse_args()
    DIST.mkdir(parents=True, exist_ok=True)
    out = DIST / f"gemini-grpc-{versions.of_cargo()}-image.tar"
    if not arguments.no_build:
        build(pulled(arguments.builder), arguments.arch or ["amd64", "arm64"])
    export(out)
    print(f"image: {unpack(out)}")


if __name__ == "__main__":
    main()
