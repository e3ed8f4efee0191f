"""Builds and installs what a run needs. All of it is stored in target/gateway-bench."""

import os
import pathlib
import re
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / "target/gateway-bench"
BENCH = CACHE / "cargo/release/gateway-bench"


def build_bench():
    """Builds the upstream double and the load, which do nothing if nothing has changed."""
    flags = ["--release", "--locked", "--manifest-path", HERE / "Cargo.toml", "--target-dir", CACHE / "cargo"]
    run("cargo", "build", "--quiet", *flags)


def build_gateway():
    """Builds gemini-grpc as it is released, and returns its path."""
    say("building gemini-grpc; the first time this takes minutes")
    return pathlib.Path(run(ROOT / "release/build", stdout=subprocess.PIPE, text=True).stdout.strip())


def nginx():
    """The path of nginx: the one of the machine, or Debian's package, unpacked and not installed."""
    if found := shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        return pathlib.Path(found)
    folder = CACHE / "nginx"
    program = folder / "usr/sbin/nginx"
    if not program.exists():
        say("downloading Debian's package of nginx")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            run("apt-get", "download", "nginx", cwd=folder, capture_output=True)
        except subprocess.CalledProcessError:
            # A machine whose lists are older than the package, or that has none.
            run("apt-get", "-qq", "update")
            run("apt-get", "download", "nginx", cwd=folder, capture_output=True)
        package = next(folder.glob("nginx_*.deb"))
        run("dpkg-deb", "--extract", package, folder)
    return program


def nginx_version(program):
    """As in 1.22.1."""
    output = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    return re.search(r"nginx/(\S+)", output)[1]


def certificates():
    """A folder with an authority, ca.pem, and its certificate for this machine, cert.pem and key.pem."""
    folder = scratch("certificates")
    new_key = ["req", "-x509", "-nodes", "-days", "30"]
    new_key += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    openssl(folder, *new_key, "-subj", "/CN=gateway-bench authority", "-keyout", "ca.key", "-out", "ca.pem")
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    names += ["-addext", "basicConstraints=critical,CA:FALSE", "-subj", "/CN=localhost"]
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key"]
    openssl(folder, *new_key, *names, *signed, "-keyout", "key.pem", "-out", "cert.pem")
    return folder


def openssl(folder, *words):
    run("openssl", *words, cwd=folder, capture_output=True)


def scratch(name):
    """An empty folder for the files of a run."""
    folder = CACHE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def run(*command, **more):
    return subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL, **more)


def say(line):
    print(line, flush=True)
