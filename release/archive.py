"""Writes a .tar.gz that depends on the contents and names of the files only, not on their owners or dates:
`python3 release/archive.py OUT.tar.gz FOLDER_IN_ARCHIVE PATH...`. A folder is packed with everything in it.
"""

import gzip
import io
import pathlib
import sys
import tarfile


def files(paths):
    """The files of these paths and below them, as (name in the archive, path)."""
    for path in map(pathlib.Path, paths):
        if path.is_dir():
            yield from ((str(each.relative_to(path)), each) for each in path.rglob("*") if each.is_file())
        else:
            yield path.name, path


def tar(entries):
    """The bytes of an archive that is not compressed. `entries` are (name, bytes, whether it is a program), in any order."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as out:
        for name, data, program in sorted(entries):
            # Owner and date are 0, and there are no names of users.
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755 if program else 0o644
            out.addfile(entry, io.BytesIO(data))
    return raw.getvalue()


def pack(entries):
    """The same, compressed."""
    return gzip.compress(tar(entries), mtime=0)


def write(out, folder, paths):
    entries = [(f"{folder}/{name}", path.read_bytes(), bool(path.stat().st_mode & 0o100)) for name, path in files(paths)]
    if not entries:
        raise ValueError(f"nothing to pack into {out}")
    pathlib.Path(out).write_bytes(pack(entries))


def repack(path):
    """Rewrites an archive of another program in the same way."""
    path = pathlib.Path(path)
    with tarfile.open(path) as old:
        entries = [(each.name, old.extractfile(each).read(), bool(each.mode & 0o100)) for each in old if each.isfile()]
    path.write_bytes(pack(entries))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    write(sys.argv[1], sys.argv[2], sys.argv[3:])
