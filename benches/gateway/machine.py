"""What figures depend on: the machine, the time and the commit."""

import datetime
import os
import pathlib
import platform
import subprocess

from tools import ROOT


def describe():
    """Name and value of each fact, for the head of the page."""
    now = datetime.datetime.now(datetime.UTC)
    return {
        "CPU": f"{cpu_model()}, {os.cpu_count()} cores",
        "memory": f"{memory_gib():.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "date": now.strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "rustc": output("rustc", "--version"),
    }


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


def commit():
    """The commit, with a note if files differ from it."""
    short = output("git", "rev-parse", "--short=12", "HEAD")
    changed = output("git", "status", "--porcelain", "--untracked-files=no")
    return f"{short} with changes" if changed else short


def load_average():
    """The processes that wanted to run in the last minute. Before a run it should be far below one."""
    return os.getloadavg()[0]


def output(*command):
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
