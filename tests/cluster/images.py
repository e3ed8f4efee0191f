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
    libraries = [word for word in output("ldd", BINARY).split() if word.startswith("/")]
    certificates = "/etc/ssl/certs/ca-certificates.crt"
    files = {BINARY: "usr/bin/gemini-grpc", **{path: path[1:] for path in [*libraries, certificates]}}
    copies = "".join(f"COPY {path} /{path}\n" for path in files.values())
    text = f'FROM scratch\n{copies}USER 65532:65532\nENTRYPOINT ["/usr/bin/gemini-grpc"]\n'
    build(":".join(GATEWAY), text, files)
