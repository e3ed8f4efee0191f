"""Builds the cluster's images on this machine, and imports them into containerd."""

import os
import pathlib
import shutil

import place
from place import output
from worker import ctr

# A separate store, so that the machine's own images are not affected.
STORE = ["--root", place.STATE / "buildah", "--runroot", place.STATE / "buildah-run", "--storage-driver", "vfs"]
BINARY = pathlib.Path(os.environ.get("GEMINI_GRPC_BIN", place.ROOT / "target/release/gemini-grpc"))
# The image that image.py has built from the Dockerfile. If there is none, an image is made of BINARY.
BUILT = place.ROOT / "target/image/pushed"
GATEWAY = ("localhost/gemini-grpc", "cluster")


def buildah(*words):
    return output("/usr/bin/buildah", *STORE, *words)


def build(name, dockerfile, files):
    """Builds an image. `files` maps the path of each file to its path in the build's folder."""
    folder = place.STATE / "context"
    for source, target in files.items():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / target)
    (folder / "Dockerfile").write_text(dockerfile)
    buildah("build", "--isolation", "chroot", "--tag", name, "--file", folder / "Dockerfile", folder)
    shutil.rmtree(folder)
    to_containerd(name)


def to_containerd(name):
    archive = place.STATE / "image.tar"
    buildah("push", name, f"docker-archive:{archive}:{name}")
    ctr("images", "import", archive)
    archive.unlink()


def copy(node):
    """Copies the images that the chart's pods need to another node."""
    archive = node.folder / "images.tar"
    ctr("images", "export", archive, place.TOOL, ":".join(GATEWAY))
    ctr("images", "import", archive, node=node)
    archive.unlink()


def prepare():
    scratch = "FROM scratch\nUSER 65532:65532\n"
    for name, command in [("tool", '["/tool"]'), ("coredns", '["/coredns"]')]:
        text = f"{scratch}COPY {name} /{name}\nENTRYPOINT {command}\n"
        build(f"localhost/{name}:cluster", text, {place.BIN / name: name})
    gateway()


def gateway():
    """Imports the Dockerfile's image, or makes one of the binary, its shared libraries and the public authorities."""
    if (BUILT / "manifest.json").exists():
        name = ":".join(GATEWAY)
        buildah("tag", buildah("pull", "--quiet", f"dir:{BUILT}").strip(), name)
        return to_containerd(name)
    build_linked(":".join(GATEWAY), BINARY, "usr/bin/gemini-grpc")


def build_linked(name, binary, path, more=""):
    """Builds an image of a program, its shared libraries, and the public certificate authorities."""
    libraries = [word for word in output("ldd", binary).split() if word.startswith("/")]
    certificates = "/etc/ssl/certs/ca-certificates.crt"
    files = {binary: path, **{library: library[1:] for library in [*libraries, certificates]}}
    copies = "".join(f"COPY {file} /{file}\n" for file in files.values())
    build(name, f'FROM scratch\n{copies}USER 65532:65532\n{more}\nENTRYPOINT ["/{path}"]\n', files)
