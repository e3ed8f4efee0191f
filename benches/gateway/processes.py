"""Starts the processes of a run, and ends them by their ids: also after a failure, a signal or Ctrl-C."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys

# Settings of the person who runs this must not affect what is measured.
FOREIGN = ("GEMINI_GRPC_", "MOUNTSEA_", "OTEL_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def end_well():
    """Makes signals end the script like an exception, and allows as many open files as the system does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def max_open_files():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(argv, env, folder, log):
    """A process in a group of its own, until the `with` block ends. Its output goes to the file `log`."""
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [str(word) for word in argv],
            env={**ENVIRONMENT, **env},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C then reaches this script alone, which ends the others in order.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def end(process):
    """Ends a process and all others of its group."""
    for number, seconds in [(signal.SIGTERM, 3), (signal.SIGKILL, 5)]:
        # The group may outlive its first process.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def last_lines(log, lines=8):
    """The end of what a process wrote."""
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""
