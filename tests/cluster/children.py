"""Starts and ends the cluster's processes. Each has a log, and is ended by its pid."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

import place

PIDS = place.STATE / "pids.json"
# The processes that this run has started. An earlier run may have left others.
OURS = {}


def start(name, *command, env=None):
    """Starts a process in its own session, so that Ctrl-C reaches only the script, which then ends all in order."""
    place.LOGS.mkdir(parents=True, exist_ok=True)
    with (place.LOGS / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    OURS[process.pid] = process
    known = started()
    known[name] = process.pid
    PIDS.write_text(json.dumps(known))
    return process


def started():
    """The names and pids of the processes that this run, or an earlier one, has started."""
    return json.loads(PIDS.read_text()) if PIDS.exists() else {}


def command_of(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    return ""


def is_running(pid):
    """Whether the process runs and is ours: the system may have given the pid to another process."""
    if pid in OURS:
        return OURS[pid].poll() is None
    return str(place.CACHE) in command_of(pid)


def stop(name):
    """Ends a process, by SIGKILL if necessary."""
    pid = started().get(name)
    if pid:
        end(pid)


def end(pid, signals=((signal.SIGTERM, 20), (signal.SIGKILL, 10))):
    for number, seconds in signals:
        if not is_running(pid):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        until = time.monotonic() + seconds
        while is_running(pid) and time.monotonic() < until:
            time.sleep(0.05)
    if is_running(pid):
        raise RuntimeError(f"process {pid} does not end: {command_of(pid)}")


def shims():
    """The pids of containerd's shims, one for each pod; they outlive containerd."""
    for folder in pathlib.Path("/proc").iterdir():
        if folder.name.isdigit():
            words = command_of(folder.name)
            if "containerd-shim" in words and str(place.STATE) in words:
                yield int(folder.name)


def wait_until(what, condition, seconds, name=None):
    """Waits until a condition is true, and returns its value.

    The error names the condition, and has the end of the log of the process that it depends on.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        # A command fails as long as the object that it asks for does not exist.
        with contextlib.suppress(RuntimeError):
            if found := condition():
                return found
        if name and not is_running(started()[name]):
            break
        time.sleep(0.2)
    log = (place.LOGS / f"{name}.log").read_text(errors="replace")[-2000:] if name else ""
    raise RuntimeError(f"{what}: not within {seconds} s\n{log}")
