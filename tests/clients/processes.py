"""Runs the real binary as processes: a sandbox, and gateways that use it as upstream."""

import contextlib
import json
import os
import pathlib
import queue
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("GEMINI_GRPC_BIN", ROOT / "target/release/gemini-grpc")
# What --upstream-methods can name.
ALL_METHODS = "countTokens,embedContent,batchEmbedContents,models"
# Settings in the environment of the tests must not affect the processes that are tested.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("GEMINI_GRPC_", "MOUNTSEA_", "OTEL_"))
}


def free_port():
    """A port that is free at this moment, for programs that cannot report which port they chose."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Process:
    """A running command. Its output is stored, and it is ended by its pid."""

    def __init__(self, *arguments, env=None, program=BINARY):
        self.process = subprocess.Popen(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**ENVIRONMENT, **(env or {})},
        )
        self.output = []
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.output.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, find, seconds=30):
        """The first result of `find` for a line of output."""
        end = time.monotonic() + seconds
        while True:
            line = self._lines.get(timeout=max(0.1, end - time.monotonic()))
            assert line is not None, "ended early: " + "".join(self.output)
            found = find(line)
            if found:
                return found

    def stop(self):
        """Ends it, waits for the rest of its output, and returns the exit code. May be called again."""
        self.process.terminate()
        code = self.process.wait(40)
        self._reader.join(5)
        return code


def url_in(line):
    """The URL in the line that a sandbox prints when it is ready."""
    return next((word for word in line.split() if word.startswith("http://")), None)


def address_in(line, message="serving"):
    """The address in the log line with that message, in either format of the log."""
    try:
        record = json.loads(line)
        return record["address"] if record["message"] == message else None
    except (ValueError, KeyError):
        words = line.split() if message in line else []
        return next((word.removeprefix("address=") for word in words if word.startswith("address=")), None)


def admin_in(line):
    """The address of the admin port."""
    return address_in(line, "admin port listening")


def start(find, *arguments, env=None):
    """A process, and the result of `find` for the line that it prints when it is ready."""
    process = Process(*arguments, env=env)
    try:
        return process, process.wait_for(find)
    except BaseException:
        process.stop()
        raise


def start_sandbox():
    return start(url_in, "sandbox", "--listen", "127.0.0.1:0", "--pace", "1")


def start_gateway(*arguments, env=None, retries=0):
    """A gateway that passes on each error of the sandbox immediately, and stops immediately: waiting would only take time."""
    common = ["--listen", "127.0.0.1:0", "--retries", str(retries), "--drain-delay", "0"]
    return start(address_in, "serve", *common, *arguments, env=env)


@contextlib.contextmanager
def serving(*arguments, certificate=None):
    """The base URL of a gateway with a key of its own, and with TLS if there is a certificate."""
    tls = ["--tls-cert", certificate[0], "--tls-key", certificate[1]] if certificate else []
    process, address = start_gateway(*arguments, *tls, env={"MOUNTSEA_API_KEY": "k"})
    yield f"https://{address.replace('127.0.0.1', 'localhost')}" if certificate else f"http://{address}"
    assert process.stop() == 0
