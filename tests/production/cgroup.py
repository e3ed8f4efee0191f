"""A limit on the memory of a command: a cgroup where one can be made, else a limit of the process."""

import contextlib
import os
import pathlib
import time

ROOT = pathlib.Path("/sys/fs/cgroup")
JOIN = 'echo $$ >"$0" && exec "$@"'


class Limit:
    """`before` are the words that put a command under the limit."""

    def __init__(self, kind, before, peak=None):
        self.kind, self.before, self._peak = kind, before, peak

    def peak(self):
        """The most that was in use, as the kernel counted it for the cgroup; without one, nothing."""
        return int(self._peak.read_text()) if self._peak and self._peak.exists() else None


@contextlib.contextmanager
def limit(size):
    """A limit of so many bytes, for as long as the block runs."""
    for root, file, peak in [
        (ROOT, "memory.max", "memory.peak"),
        (ROOT / "memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
    ]:
        folder = root / f"gemini-grpc-{os.getpid()}"
        # What version 2 calls controllers, version 1 does not have; and of either there may be none that takes ours.
        wanted = "cgroup.controllers" if file == "memory.max" else file
        try:
            assert (root / wanted).exists()
            folder.mkdir()
        except (OSError, AssertionError):
            continue
        try:
            try:
                (folder / file).write_text(str(size))
            except OSError:
                continue
            with contextlib.suppress(OSError):
                (folder / "memory.swap.max").write_text("0")
            yield Limit(f"cgroup {file}", ["/bin/sh", "-c", JOIN, str(folder / "cgroup.procs")], folder / peak)
            return
        finally:
            remove(folder)
    yield Limit("ulimit -d", ["/bin/sh", "-c", f'ulimit -d {size >> 10} && exec "$0" "$@"'])


def remove(folder):
    """Its process has ended by now, but the kernel may need a moment to notice."""
    for _ in range(20):
        with contextlib.suppress(OSError):
            return folder.rmdir()
        time.sleep(0.1)
    raise RuntimeError(f"{folder} cannot be removed")
