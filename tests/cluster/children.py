"""The cluster's processes: each has a log, is known by its pid, and is ended by it."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

import place

PIDS = place.STATE / "pids.json"
# Those that this run has started; a run before it may have left others.
OURS = {}


def start(name, *command, env=None):
    """Starts a process in a session of its own: Ctrl-C is for the script, which ends them in order."""
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
    """Names and pids of what this run, or one before it, has started."""
    return json.loads(PIDS.read_text()) if PIDS.exists() else {}


def command_of(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    return ""


def lives(pid):
    """Whether it runs, and is ours: a pid may have become another's."""
    if pid in OURS:
        return OURS[pid].poll() is None
    return str(place.CACHE) in command_of(pid)


def stop(name):
    """Ends one, if need be by force."""
    pid = started().get(name)
    if pid:
        end(pid)


def end(pid, kinds=((signal.SIGTERM, 20), (signal.SIGKILL, 10))):
    for number, seconds in kinds:
        if not lives(pid):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        until = time.monotonic() + seconds
        while lives(pid) and time.monotonic() < until:
            time.sleep(0.05)
    if lives(pid):
        raise RuntimeError(f"process {pid} does not end: {command_of(pid)}")


def shims():
    """The processes that containerd leaves between itself and each pod."""
    for folder in pathlib.Path("/proc").iterdir():
        if folder.name.isdigit():
            words = command_of(folder.name)
            if "containerd-shim" in words and str(place.STATE) in words:
                yield int(folder.name)


def wait(what, holds, seconds, name=None):
    """Waits until something holds; says what did not, and the last words of the process that it depends on."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        # What is asked may not be there yet.
        with contextlib.suppress(RuntimeError):
            if found := holds():
                return found
        if name and not lives(started()[name]):
            break
        time.sleep(0.2)
    words = (place.LOGS / f"{name}.log").read_text(errors="replace")[-2000:] if name else ""
    raise RuntimeError(f"{what}: not in {seconds} s\n{words}")
