"""Prints the notes of a release, cut from CHANGELOG.md: `python3 release/notes.py X.Y.Z`, or `Unreleased`.

GitHub shows each line end in a release as a line break, and resolves links against the page of the release. So
paragraphs become one line each, and links to files of this repository become links to those files at the tag.
"""

import pathlib
import re
import sys

REPOSITORY = "https://github.com/mountsea/gemini-grpc"
VERIFY = "How to verify these files, the image and the chart: [releasing](docs/releasing.md#verify-a-release)."
# GitHub accepts no longer text for a release.
MAX_CHARS = 125_000
# `## [0.2.0] - 2026-12-01`, and `## [Unreleased]`.
HEADING = re.compile(r"^## \[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?[ \t]*$", re.M)
# The targets of links at the end of the page: `[0.2.0]: https://…`.
LINK_TARGET = re.compile(r"^\[[^\]]+\]: \S+$\n?", re.M)
# Lines that start a block of their own. Other lines continue the one before.
BLOCK = re.compile(r"\s*([-*+] |\d+\. |#|>|\||```|$)")


def section(changelog, version):
    """The text below the heading of a version. ValueError if there is none, it is empty, or it has no date."""
    headings = list(HEADING.finditer(changelog))
    found = [number for number, each in enumerate(headings) if each[1] == version]
    if len(found) != 1:
        raise ValueError(f"there are {len(found)} headings `## [{version}] - YYYY-MM-DD`")
    (number,) = found
    if version != "Unreleased" and not headings[number][2]:
        raise ValueError(f"the heading of {version} has no date: `## [{version}] - YYYY-MM-DD`")
    end = headings[number + 1].start() if number + 1 < len(headings) else len(changelog)
    text = LINK_TARGET.sub("", changelog[headings[number].end() : end]).strip()
    if not text:
        raise ValueError(f"the section of {version} is empty")
    return text


def unwrapped(text):
    """The same Markdown with one line for each paragraph and each item of a list. Code blocks stay as they are."""
    lines, in_code = [], False
    for line in text.splitlines():
        fence = line.lstrip().startswith("```")
        if in_code or BLOCK.match(line) or not lines or BLOCK.fullmatch(lines[-1]) or lines[-1].lstrip().startswith(("#", "```")):
            lines.append(line)
        else:
            lines[-1] += " " + line.strip()
        in_code ^= fence
    return "\n".join(lines)


def absolute(text, ref):
    """The same text, with links to files of the repository at a tag or branch."""
    return re.sub(r"\]\((?![a-z]+:|#)([^)\s]+)\)", rf"]({REPOSITORY}/blob/{ref}/\1)", text)


def notes(changelog, version):
    ref = "main" if version == "Unreleased" else f"v{version}"
    text = absolute(f"{unwrapped(section(changelog, version))}\n\n{VERIFY}\n", ref)
    if len(text) > MAX_CHARS:
        raise ValueError(f"the section of {version} has {len(text)} characters; GitHub accepts {MAX_CHARS}")
    return text


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.splitlines()[0])
    page = pathlib.Path(__file__).resolve().parents[1] / "CHANGELOG.md"
    try:
        sys.stdout.write(notes(page.read_text(), sys.argv[1]))
    except ValueError as error:
        sys.exit(f"CHANGELOG.md: {error}")
