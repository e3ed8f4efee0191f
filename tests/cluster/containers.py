"""Builds images with buildah, and runs containers of them with runc like a restricted cluster does: with a read-only
root, no capabilities, no new privileges, and the image's own user. All files are in target/image."""

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOME = ROOT / "target/image"
STORE = ["--root", str(HOME / "storage"), "--runroot", str(HOME / "run")]
CLONE_NEWNS = 0x00020000


def output(*command, **more):
    """The standard output of a command. Its standard error goes to the terminal."""
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, **more).stdout


def buildah(*command):
    return output("buildah", *STORE, *command)


def exists(image):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    words = ["buildah", *STORE, "inspect", "--type", "image", image]
    return subprocess.run(words, check=False, **quiet).returncode == 0


def build(image, builder, platforms, timestamp, arguments, log):
    """Builds the Dockerfile on one platform, for another one. Only cargo's downloads are kept between builds."""
    (HOME / "cache").mkdir(parents=True, exist_ok=True)
    # Not Docker's format: there buildah stores the name of its container, which is different each time.
    flags = ["--isolation", "chroot", "--pull-never", "--format", "oci", "--timestamp", timestamp, "--tag", image]
    flags += ["--platform", platforms[1]]
    # Docker and later releases of buildah set BUILDPLATFORM; the buildah of Debian 12 does not.
    arguments = {"BUILDER": builder, "BUILDPLATFORM": platforms[0], "SOURCE_DATE_EPOCH": timestamp, **arguments}
    for name, value in arguments.items():
        flags += ["--build-arg", f"{name}={value}"]
    command = ["buildah", *STORE, "build", *map(str, flags), str(ROOT)]
    # Buildah stores the mounts of type cache there.
    env = {**os.environ, "TMPDIR": str(HOME / "cache")}
    with log.open("wb") as file:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=env)


def pushed(image):
    """The image as a registry would store it: its manifest, and the manifest's digest."""
    folder = HOME / "pushed"
    store = f"overlay@{HOME / 'storage'}+{HOME / 'run'}"
    output("skopeo", "copy", "--quiet", "--dest-compress", f"containers-storage:[{store}]{image}", f"dir:{folder}")
    manifest = folder / "manifest.json"
    return json.loads(manifest.read_bytes()), "sha256:" + hashlib.sha256(manifest.read_bytes()).hexdigest()


def configuration(image):
    """The image's configuration, and its architecture."""
    inspected = json.loads(buildah("inspect", "--type", "image", image))["Docker"]
    return inspected["config"], inspected["architecture"]


@contextlib.contextmanager
def mounted(image):
    """The folder with the files of an image, until the `with` block ends."""
    container = buildah("from", "--pull-never", image).strip()
    try:
        yield pathlib.Path(buildah("mount", container).strip())
    finally:
        buildah("rm", container)


@contextlib.contextmanager
def network():
    """The name of a new network namespace that has only loopback, until the `with` block ends."""
    name = f"gemini-grpc-{os.getpid()}"
    output("ip", "netns", "add", name)
    try:
        output("ip", "-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        output("ip", "netns", "delete", name)


class Containers:
    """Containers of one image in one network."""

    def __init__(self, root, config, net):
        self.root, self.config, self.net = root, config, net
        self.count = 0

    def command(self, *arguments, env=(), files=()):
        """The name of a new container, and runc's arguments that run it. Without arguments the image's are used.

        `files` are mounted: pairs of a path inside and a path outside.
        """
        self.count += 1
        name = f"gemini-grpc-{os.getpid()}-{self.count}"
        bundle = HOME / "bundles" / name
        bundle.mkdir(parents=True)
        (bundle / "config.json").write_text(json.dumps(self._specification(arguments, env, files)))
        return name, ["--root", str(HOME / "runc"), "run", "--bundle", str(bundle), name]

    def run(self, *arguments, **more):
        """Runs a container until it exits. Returns the exit code and its output."""
        name, words = self.command(*arguments, **more)
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        try:
            done = subprocess.run(["runc", *words], check=False, text=True, timeout=60, **streams)
        finally:
            self.forget(name)
        return done.returncode, done.stdout

    def execute(self, name, *command):
        """Runs a command in a running container, as a probe does."""
        words = ["runc", "--root", str(HOME / "runc"), "exec", name, *command]
        done = subprocess.run(words, check=False, text=True, timeout=60, capture_output=True, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr

    def forget(self, name):
        """Removes a container. `runc run` does that itself at its end, unless it was killed."""
        words = ["runc", "--root", str(HOME / "runc"), "delete", "--force", name]
        subprocess.run(words, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(HOME / "bundles" / name)

    def pid(self, name):
        return json.loads(output("runc", "--root", HOME / "runc", "state", name))["pid"]

    def _specification(self, arguments, env, files):
        uid, gid = map(int, self.config["User"].split(":"))
        bind = {"type": "bind", "options": ["rbind", "ro"]}
        return {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": uid, "gid": gid},
                "args": [*self.config["Entrypoint"], *(arguments or self.config["Cmd"])],
                "env": [*self.config["Env"], *env],
                "cwd": self.config.get("WorkingDir") or "/",
                "noNewPrivileges": True,
                "capabilities": {},
                "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 4096}],
            },
            "root": {"path": str(self.root), "readonly": True},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                *({"destination": inside, "source": str(outside), **bind} for inside, outside in files),
            ],
            "linux": {
                "namespaces": [
                    {"type": "network", "path": f"/run/netns/{self.net}"},
                    *({"type": kind} for kind in ("pid", "mount", "ipc", "uts")),
                ],
                "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
                "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
            },
        }


def writable(pid, uid):
    """The folders and files that this user can write to, in the file system of a process, without /proc and /dev.

    The image has no shell to try it with, so a child of this script enters the file system and tries.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            found = _try_to_write(pid, uid)
        except BaseException as error:
            found = [f"cannot try: {error}"]
        os.write(writing, json.dumps(found[:50]).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as answer:
        found = json.load(answer)
    os.waitpid(child, 0)
    return found


def _try_to_write(pid, uid):
    with open(f"/proc/{pid}/ns/mnt") as namespace:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(namespace.fileno(), CLONE_NEWNS):
            raise OSError(ctypes.get_errno(), "setns")
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    found, tried = [], 0
    for folder, inner, files in os.walk("/"):
        if folder == "/":
            inner[:] = [name for name in inner if name not in ("proc", "dev")]
        tried += 1 + len(files)
        # access() instead of open(): opening a program that is running fails for every user, with "text file busy".
        found += [path for path in (f"{folder}/{name}" for name in files) if os.access(path, os.W_OK)]
        try:
            os.close(os.open(f"{folder}/new", os.O_WRONLY | os.O_CREAT))
            found.append(folder)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES):
                found.append(f"{folder}: {error}")
    return found if tried > 5 else ["there were no files to try"]
