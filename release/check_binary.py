"""Unpacks an archive and tries the binary in it on this machine: `python3 release/check_binary.py ARCHIVE.tar.gz`.

It must need no library, have the functions of the profile that it was compiled with, print the version of Cargo.toml,
start a gateway with a sandbox, and answer a call.
"""

import os
import pathlib
import platform
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading

import versions

PT_INTERP = 3
PROFILES = versions.ROOT / "release/profiles"
# The name of a function, as rustc writes it: it contains a hash of the versions of Rust and of the function's crate.
FUNCTION = re.compile(rb"_ZN[\w.$]+?17h[0-9a-f]{16}E|_RN\w+")
# Some of the functions of a profile are in no binary, because they are part of others in each place.
MIN_PROFILED = 0.5
STARTUP_TIMEOUT = 60.0
CALL_TIMEOUT = 60.0
QUESTION = "Why is the sky blue?"


def libraries(binary):
    """What the binary loads besides the system's own libraries."""
    if platform.system() == "Darwin":
        lines = subprocess.run(["otool", "-L", binary], check=True, capture_output=True, text=True).stdout.splitlines()[1:]
        return [line.strip() for line in lines if not line.strip().startswith(("/usr/lib/", "/System/Library/"))]
    data = pathlib.Path(binary).read_bytes()
    start, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<I", data, start + size * number)[0] for number in range(count)]
    return ["a dynamic loader"] if PT_INTERP in headers else []


def profiled(profile, binary):
    """The share of a profile's functions that a binary has. It falls with each crate that has another version now."""
    names = set(FUNCTION.findall(profile))
    return len(names & set(FUNCTION.findall(binary))) / len(names)


def address(gateway):
    """The address in the log line of a gateway that serves."""
    seen = []
    for line in gateway.stdout:
        seen.append(line)
        if found := re.search(r'"message":"serving","address":"([^"]+)"', line):
            return found[1]
    raise ValueError("it ended early: " + "".join(seen))


def answer(binary):
    """What a gateway with a sandbox answers over gRPC."""
    names = ("GEMINI_GRPC_", "MOUNTSEA_", "OTEL_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    words = [binary, "serve", "--sandbox", "--listen", "127.0.0.1:0", "--drain-delay", "0"]
    quiet = {"stdin": subprocess.DEVNULL, "env": env, "text": True}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **quiet) as gateway:
        # A gateway that neither serves nor ends is ended, and then its output ends.
        timer = threading.Timer(STARTUP_TIMEOUT, gateway.kill)
        timer.start()
        try:
            call = [binary, "call", "--endpoint", f"http://{address(gateway)}", QUESTION]
            timer.cancel()
            return subprocess.run(call, check=True, timeout=CALL_TIMEOUT, capture_output=True, **quiet).stdout
        finally:
            timer.cancel()
            gateway.terminate()


def main(path):
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(path) as tar:
            tar.extractall(folder, filter="data")
        (binary,) = pathlib.Path(folder).glob("*/gemini-grpc")
        if found := libraries(binary):
            sys.exit(f"{path}: the binary needs {', '.join(found)}")
        profile = PROFILES / f"{platform.machine()}-unknown-linux-gnu.profdata"
        if platform.system() == "Linux" and profile.exists():
            share = profiled(profile.read_bytes(), binary.read_bytes())
            if share < MIN_PROFILED:
                sys.exit(f"{path}: the binary has {share:.0%} of the functions in its profile: renew it with release/train")
        printed = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout.strip()
        if printed != f"gemini-grpc {versions.of_cargo()}":
            sys.exit(f"{path}: --version prints {printed!r}")
        text = answer(binary)
        if QUESTION not in text:
            sys.exit(f"{path}: the answer is {text!r}")
        print(f"{pathlib.Path(path).name}: {printed}, {binary.stat().st_size} bytes, no libraries, answers: {text[:58].strip()}…")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.splitlines()[0])
    main(sys.argv[1])
