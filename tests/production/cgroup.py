"""Limits the memory of a command: with a cgroup if one can be created, otherwise with a limit of the process."""

import contextlib
import os
import pathlib
import time

ROOT = pathlib.Path("/sys/fs/cgroup")
JOIN_CGROUP_AND_EXECUTE = 'echo $$ >"$0" && exec "$@"'


class Limit:
    """A limit on memory. The words `before` are put in front of a command to run it under the limit."""

    def __init__(self, kind, before, peak=None):
        self.kind, self.before, self._peak = kind, before, peak

    def peak(self):
        """The peak of memory in use, as the kernel counted it for the cgroup, or None without a cgroup."""
        return int(self._peak.read_text()) if self._peak and self._peak.exists() else None


@contextlib.contextmanager
def limit(size):
    """A limit of `size` bytes, until the `with` block ends."""
    for root, file, peak in [
        (ROOT, "memory.max", "memory.peak"),
        (ROOT / "memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
    ]:
        folder = root / f"gemini-grpc-{os.getpid()}"
        # Only version 2 of cgroups has the file cgroup.controllers. Neither version may be available or writable.
        marker = "cgroup.controllers" if file == "memory.max" else file
        try:
            assert (root / marker).exists()
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
            yield Limit(f"cgroup {file}", ["/bin/sh", "-c", JOIN_CGROUP_AND_EXECUTE, str(folder / "cgroup.procs")], folder / peak)
            return
        finally:
            remove(folder)
    yield Limit("ulimit -d", ["/bin/sh", "-c", f'ulimit -d {size >> 10} && exec "$0" "$@"'])


def remove(folder):
    """Removes the folder of a cgroup. Its process has ended by now, but the kernel may need a moment to notice."""
    for _ in range(20):
        with contextlib.suppress(OSError):
            return folder.rmdir()
        time.sleep(0.1)
    raise RuntimeError(f"{folder} cannot be removed")
