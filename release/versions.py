"""Checks that everything has the version of Cargo.toml, and prints it: `python3 release/versions.py [TAG]`.

A tag must be `vX.Y.Z` with that version, and then CHANGELOG.md must have its section.
"""

import pathlib
import re
import sys
import tomllib

import notes

ROOT = pathlib.Path(__file__).resolve().parents[1]
# A release has three numbers and nothing else: npm, PyPI and RubyGems do not agree on how to write `-rc.1`.
VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def of_cargo(root=ROOT):
    return tomllib.loads((root / "Cargo.toml").read_text())["package"]["version"]


def stated(root=ROOT):
    """The versions that other files state, by the place in the file."""
    packages = tomllib.loads((root / "Cargo.lock").read_text())["package"]
    lines = dict(re.findall(r"^(version|appVersion): *\"?([^\"\n]+)", (root / "helm/gemini-grpc/Chart.yaml").read_text(), re.M))
    return {
        "Cargo.lock": next(package["version"] for package in packages if package["name"] == "gemini-grpc"),
        **{f"helm/gemini-grpc/Chart.yaml, {key}": lines.get(key) for key in ("version", "appVersion")},
    }


def problems(root=ROOT, tag=None):
    """What prevents a release, as sentences."""
    version = of_cargo(root)
    found = [f"{place}: {other}, but Cargo.toml has {version}" for place, other in stated(root).items() if other != version]
    if not VERSION.fullmatch(version):
        found.append(f"Cargo.toml: {version} is not X.Y.Z")
    if tag is not None:
        if tag != f"v{version}":
            found.append(f"the tag is {tag}, but Cargo.toml has {version}: the tag must be v{version}")
        try:
            notes.section((root / "CHANGELOG.md").read_text(), version)
        except ValueError as error:
            found.append(f"CHANGELOG.md: {error}")
    return found


if __name__ == "__main__":
    if found := problems(tag=sys.argv[1] if len(sys.argv) > 1 else None):
        sys.exit("\n".join(found))
    print(of_cargo())
