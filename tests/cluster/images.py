"""The images, made on this machine, and brought to containerd."""

import os
import pathlib
import shutil

import place
from place import output
from worker import ctr

# Nothing of the machine's own images is touched.
STORE = ["--root", place.STATE / "buildah", "--runroot", place.STATE / "buildah-run", "--storage-driver", "vfs"]
BINARY = pathlib.Path(os.environ.get("GEMINI_GRPC_BIN", place.ROOT / "target/release/gemini-grpc"))
# What image.py has built from the Dockerfile. Without it the binary is put into an image of this moment.
BUILT = place.ROOT / "target/image/pushed"
GATEWAY = ("localhost/gemini-grpc", "cluster")


def buildah(*words):
    return output("/usr/bin/buildah", *STORE, *words)


def build(name, dockerfile, files):
    """Builds an image from files, each with its place in the build's folder."""
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
    """Brings the images that pods of the chart need to another node."""
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
    """The gateway's image: the Dockerfile's; or the binary, the libraries that it is linked with, and who is trusted."""
    if (BUILT / "manifest.json").exists():
        name = ":".join(GATEWAY)
        buildah("tag", buildah("pull", "--quiet", f"dir:{BUILT}").strip(), name)
        return to_containerd(name)
    build_linked(":".join(GATEWAY), BINARY, "usr/bin/gemini-grpc")


def build_linked(name, binary, path, more=""):
    """Builds an image of a program, the libraries that it is linked with, and the public authorities."""
    libraries = [word for word in output("ldd", binary).split() if word.startswith("/")]
    certificates = "/etc/ssl/certs/ca-certificates.crt"
    files = {binary: path, **{library: library[1:] for library in [*libraries, certificates]}}
    copies = "".join(f"COPY {file} /{file}\n" for file in files.values())
    build(name, f'FROM scratch\n{copies}USER 65532:65532\n{more}\nENTRYPOINT ["/{path}"]\n', files)
