"""Lists the crates in the binary, as SPDX and CycloneDX: `python3 release/sbom.py SYFT`.

Writes gemini-grpc-X.Y.Z.spdx.json and gemini-grpc-X.Y.Z.cyclonedx.json to target/dist. syft reads Cargo.lock, which
also has the crates of tests and of other systems. So it gets one that contains only what cargo builds into the binary
for one of the released targets.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import uuid

import versions

DIST = versions.ROOT / "target/dist"
TARGETS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-apple-darwin")


def crates():
    """The (name, version) of the crates in the binary for any target. Procedural macros are among them."""
    found = set()
    for target in TARGETS:
        words = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
        metadata = json.loads(subprocess.run(words, cwd=versions.ROOT, check=True, stdout=subprocess.PIPE).stdout)
        nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
        reached, left = set(), [metadata["resolve"]["root"]]
        while left:
            if (package := left.pop()) not in reached:
                reached.add(package)
                normal = (each["pkg"] for each in nodes[package]["deps"] if any(not kind["kind"] for kind in each["dep_kinds"]))
                left.extend(normal)
        found |= {(package["name"], package["version"]) for package in metadata["packages"] if package["id"] in reached}
    return found


def reduced(lock, kept):
    """Cargo.lock with these crates only."""
    head, *blocks = re.split(r"^(?=\[\[package\]\])", lock, flags=re.M)
    names = {name for name, _ in kept}
    chosen = []
    for block in blocks:
        name, version = re.search(r'^name = "(.+)"\nversion = "(.+)"$', block, re.M).groups()
        if (name, version) in kept:
            # A dependency is `"name"`, or `"name version"` if there are several.
            chosen.append(re.sub(r'^ "(\S+?)(?: \S+)?",\n', lambda line: line[0] if line[1] in names else "", block, flags=re.M))
    return head + "".join(chosen)


def dated(path, seconds):
    """Replaces the time and the random id in a document, so that the same commit gives the same document."""
    document = json.loads(path.read_text())
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    stable = uuid.uuid5(uuid.NAMESPACE_URL, f"{path.name} {seconds}")
    if "spdxVersion" in document:
        document["creationInfo"]["created"] = date
        document["documentNamespace"] = f"https://github.com/mountsea/gemini-grpc/{path.name}-{stable}"
    else:
        document["metadata"]["timestamp"] = date
        document["serialNumber"] = f"urn:uuid:{stable}"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return document


def main(syft):
    version, kept = versions.of_cargo(), crates()
    commit = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=versions.ROOT, check=True, stdout=subprocess.PIPE).stdout
    DIST.mkdir(parents=True, exist_ok=True)
    spdx, cyclonedx = (DIST / f"gemini-grpc-{version}.{kind}.json" for kind in ("spdx", "cyclonedx"))
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "Cargo.lock").write_text(reduced((versions.ROOT / "Cargo.lock").read_text(), kept))
        words = [syft, "scan", f"dir:{folder}", "--quiet", "--source-name", "gemini-grpc", "--source-version", version]
        words += ["--output", f"spdx-json={spdx}", "--output", f"cyclonedx-json={cyclonedx}"]
        subprocess.run(words, check=True, env={"SYFT_CHECK_FOR_APP_UPDATE": "false", "HOME": folder, "PATH": "/usr/bin:/bin"})
    for path in (spdx, cyclonedx):
        dated(path, int(commit))
    listed = {(each["name"], each.get("versionInfo")) for each in json.loads(spdx.read_text())["packages"]}
    if missing := kept - listed:
        sys.exit(f"syft left out {sorted(missing)}")
    print(f"{spdx.name}, {cyclonedx.name}: {len(kept)} crates")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.splitlines()[0])
    main(sys.argv[1])
