"""Lists the crates in the binary, as SPDX and CycloneDX: `python3 release/sbom.py SYFT`.

Writes gemini-grpc-X.Y.Z.spdx.json and gemini-grpc-X.Y.Z.cyclonedx.json to target/dist. syft reads Cargo.lock, which
also has the crates of tests and of other systems. So it gets one that contains only what cargo builds into the binary
for one of the released targets.
"""

import json
import os
import re
import subprocess
import sys
import time
import uuid

import versions

DIST = versions.ROOT / "target/dist"
TARGETS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-apple-darwin")


def crates():
    """The licences of the crates in the binary for any target, by (name, version). Procedural macros are among them."""
    found = {}
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
        for package in metadata["packages"]:
            if package["id"] in reached:
                # Older crates have a slash between licences of which either may be chosen.
                found[package["name"], package["version"]] = re.sub(r" ?/ ?", " OR ", package["license"])
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


def completed(path, licences, seconds):
    """Adds the licences, which are not in Cargo.lock, to a document. Replaces the time and the random id in it, so that
    the same commit gives the same document."""
    document = json.loads(path.read_text())
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    stable = uuid.uuid5(uuid.NAMESPACE_URL, f"{path.name} {seconds}")
    if "spdxVersion" in document:
        document["creationInfo"]["created"] = date
        document["documentNamespace"] = f"https://github.com/mountsea/gemini-grpc/{path.name}-{stable}"
        for package in document["packages"]:
            if licence := licences.get((package["name"], package.get("versionInfo"))):
                package["licenseDeclared"] = licence
    else:
        document["metadata"]["timestamp"] = date
        document["serialNumber"] = f"urn:uuid:{stable}"
        for component in document["components"]:
            if licence := licences.get((component["name"], component.get("version"))):
                component["licenses"] = [{"expression": licence}]
    path.write_text(json.dumps(document, indent=1) + "\n")


def main(syft):
    version, kept = versions.of_cargo(), crates()
    commit = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=versions.ROOT, check=True, stdout=subprocess.PIPE).stdout
    DIST.mkdir(parents=True, exist_ok=True)
    spdx, cyclonedx = (DIST / f"gemini-grpc-{version}.{kind}.json" for kind in ("spdx", "cyclonedx"))
    # Not a folder with a random name: its path is part of an id in the document.
    folder = versions.ROOT / "target/sbom"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Cargo.lock").write_text(reduced((versions.ROOT / "Cargo.lock").read_text(), kept))
    words = [syft, "scan", "dir:.", "--quiet", "--source-name", "gemini-grpc", "--source-version", version]
    words += ["--output", f"spdx-json={spdx}", "--output", f"cyclonedx-json={cyclonedx}"]
    env = {"SYFT_CHECK_FOR_APP_UPDATE": "false", "HOME": str(folder), "PATH": "/usr/bin:/bin"}
    subprocess.run(words, cwd=folder, check=True, env=env)
    for path in (spdx, cyclonedx):
        completed(path, kept, int(commit))
    listed = {(each["name"], each.get("versionInfo")) for each in json.loads(spdx.read_text())["packages"]}
    if missing := kept.keys() - listed:
        sys.exit(f"syft left out {sorted(missing)}")
    print(f"{spdx.name}, {cyclonedx.name}: {len(kept)} crates")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.splitlines()[0])
    main(os.path.abspath(sys.argv[1]))
