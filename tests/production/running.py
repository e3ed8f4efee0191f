"""The processes of a proof: gateways, what stands around them, and an end for each of them."""

import contextlib
import functools
import pathlib
import re
import signal
import subprocess
import sys

from processes import BINARY, ENVIRONMENT, Process, address_in, start, url_in
from tools import say

# Warnings, and the line that says where a gateway serves.
LOG = ("--log", "warn,gemini_grpc::cli=info")


def end_well():
    """Makes a signal end the script the way an error does, so that what it started is ended too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))


@functools.cache
def known_flags():
    """The flags that this binary has."""
    text = subprocess.run([BINARY, "serve", "--help"], capture_output=True, text=True, env=ENVIRONMENT, check=True)
    return set(re.findall(r"--[a-z0-9-]+", text.stdout))


def if_known(flag, value):
    """The flag and its value, or nothing, and a word about it, where the binary lacks the flag."""
    if flag in known_flags():
        return [flag, str(value)]
    say(f"note: {BINARY} has no {flag}; the run goes on without it")
    return []


class Gateway:
    """A running gateway."""

    def __init__(self, process, address):
        self.process, self.address = process, address
        self.pid = process.process.pid
        self.port = int(address.rpartition(":")[2])

    def status(self, *names):
        """Figures of /proc/PID/status, such as VmRSS; sizes in bytes."""
        lines = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines())
        numbers = [lines[name].split() for name in names]
        found = [int(number[0]) << (10 if number[1:] == ["kB"] else 0) for number in numbers]
        return found[0] if len(found) == 1 else found

    def files(self):
        """How many files and sockets are open."""
        return sum(1 for _ in pathlib.Path(f"/proc/{self.pid}/fd").iterdir())

    def lives(self):
        return self.process.process.poll() is None

    def signal(self, number):
        self.process.process.send_signal(number)

    def wait(self, seconds):
        """The exit code, once it has ended by itself or by a signal that was sent."""
        return self.process.process.wait(seconds)

    def words(self, most=20):
        """What it said last."""
        return "".join(self.process.output[-most:])


def end(process):
    """Ends a process, if need be by force. Does no harm to one that has ended."""
    inner = process.process
    for number, seconds in [(signal.SIGTERM, 15), (signal.SIGTERM, 5), (signal.SIGKILL, 5)]:
        if inner.poll() is None:
            inner.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return inner.wait(seconds)
    raise RuntimeError(f"process {inner.pid} does not end")


def start_gateway(*flags, port=0, env=None, before=None, log=LOG):
    """A gateway, which the caller of this has to end. `before` are words of a command that becomes the gateway."""
    arguments = ["serve", "--listen", f"127.0.0.1:{port}", *log, *map(str, flags)]
    if not before:
        return Gateway(*start(address_in, *arguments, env=env))
    process = Process(*before[1:], str(BINARY), *arguments, env=env, program=before[0])
    try:
        return Gateway(process, process.wait_for(address_in))
    except BaseException:
        end(process)
        raise


@contextlib.contextmanager
def gateway(*flags, **more):
    """A gateway for as long as the block runs."""
    gateway = start_gateway(*flags, **more)
    try:
        yield gateway
    finally:
        end(gateway.process)


@contextlib.contextmanager
def sandbox(pace=25, *flags):
    """The URL of a sandbox, for as long as the block runs."""
    process, url = start(url_in, "sandbox", "--listen", "127.0.0.1:0", "--pace", str(pace), *flags)
    try:
        yield url
    finally:
        end(process)


@contextlib.contextmanager
def other(program, *arguments, env=None):
    """Any other program, for as long as the block runs."""
    process = Process(*map(str, arguments), env=env, program=str(program))
    try:
        yield process
    finally:
        end(process)
