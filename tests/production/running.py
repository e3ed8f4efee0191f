"""Starts and ends the processes of a proof: gateways, sandboxes and other programs."""

import contextlib
import functools
import pathlib
import re
import signal
import subprocess
import sys

from processes import BINARY, ENVIRONMENT, Process, address_in, start, url_in
from tools import say

# Warnings, and the line with the address of the gateway.
LOG = ("--log", "warn,gemini_grpc::cli=info")


def end_well():
    """Makes signals end the script like an exception, so that the processes it started are ended too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))


@functools.cache
def known_flags():
    """The flags that this binary has."""
    text = subprocess.run([BINARY, "serve", "--help"], capture_output=True, text=True, env=ENVIRONMENT, check=True)
    return set(re.findall(r"--[a-z0-9-]+", text.stdout))


def if_known(flag, value):
    """The flag and its value, or, with a note, nothing if the binary lacks the flag."""
    if flag in known_flags():
        return [flag, str(value)]
    say(f"note: {BINARY} has no {flag}; the run continues without it")
    return []


class Gateway:
    """A running gateway."""

    def __init__(self, process, address):
        self.process, self.address = process, address
        self.pid = process.process.pid
        self.port = int(address.rpartition(":")[2])

    def status(self, *names):
        """Values of /proc/PID/status, such as VmRSS; sizes in bytes."""
        lines = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines())
        numbers = [lines[name].split() for name in names]
        found = [int(number[0]) << (10 if number[1:] == ["kB"] else 0) for number in numbers]
        return found[0] if len(found) == 1 else found

    def files(self):
        """The number of open files and sockets."""
        return sum(1 for _ in pathlib.Path(f"/proc/{self.pid}/fd").iterdir())

    def is_running(self):
        return self.process.process.poll() is None

    def signal(self, number):
        self.process.process.send_signal(number)

    def wait(self, seconds):
        """Waits until the process has ended, and returns the exit code."""
        return self.process.process.wait(seconds)

    def last_output(self, lines=20):
        """The last lines of its output."""
        return "".join(self.process.output[-lines:])


def end(process):
    """Ends a process, if necessary by SIGKILL. The process may have ended already."""
    inner = process.process
    for number, seconds in [(signal.SIGTERM, 15), (signal.SIGTERM, 5), (signal.SIGKILL, 5)]:
        if inner.poll() is None:
            inner.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return inner.wait(seconds)
    raise RuntimeError(f"process {inner.pid} does not end")


def start_gateway(*flags, port=0, env=None, before=None, log=LOG):
    """Starts a gateway, which the caller must end. `before` is the beginning of a command that executes the gateway."""
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
    """A gateway, until the `with` block ends."""
    gateway = start_gateway(*flags, **more)
    try:
        yield gateway
    finally:
        end(gateway.process)


@contextlib.contextmanager
def sandbox(pace=25, *flags):
    """The URL of a sandbox, which runs until the `with` block ends."""
    process, url = start(url_in, "sandbox", "--listen", "127.0.0.1:0", "--pace", str(pace), *flags)
    try:
        yield url
    finally:
        end(process)


@contextlib.contextmanager
def other(program, *arguments, env=None):
    """Any other program, until the `with` block ends."""
    process = Process(*map(str, arguments), env=env, program=str(program))
    try:
        yield process
    finally:
        end(process)
