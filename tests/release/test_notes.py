"""The notes of a release, cut from a changelog."""

import pathlib
import re
import subprocess
import sys

import notes
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHANGELOG = """# Changelog

A sentence about the format.

## [Unreleased]

### Added

- Something new.

## [0.2.0] - 2026-12-01

A paragraph that
has two lines.

### Changed

- A long item that goes on
  in the next line, with [a page](docs/errors.md#reasons) and
  [another site](https://example.com/a).
- A short item.
  - An item in an item
    in two lines.

```sh
one line
another line
```

1. First
   of two.
2. Second.

## [0.1.0] - 2026-11-01

- The first one.

[0.2.0]: https://github.com/mountsea/gemini-grpc/compare/v0.1.0...v0.2.0
[0.1.0]: https://github.com/mountsea/gemini-grpc/releases/tag/v0.1.0
"""


def test_a_section_ends_where_the_next_one_begins():
    assert notes.section(CHANGELOG, "Unreleased") == "### Added\n\n- Something new."
    assert notes.section(CHANGELOG, "0.2.0").endswith("2. Second.")


def test_the_last_section_ends_before_the_targets_of_links():
    assert notes.section(CHANGELOG, "0.1.0") == "- The first one."


def test_each_paragraph_and_item_is_one_line_and_code_stays():
    assert notes.unwrapped(notes.section(CHANGELOG, "0.2.0")).splitlines() == [
        "A paragraph that has two lines.",
        "",
        "### Changed",
        "",
        "- A long item that goes on in the next line, with [a page](docs/errors.md#reasons) and [another site](https://example.com/a).",
        "- A short item.",
        "  - An item in an item in two lines.",
        "",
        "```sh",
        "one line",
        "another line",
        "```",
        "",
        "1. First of two.",
        "2. Second.",
    ]


def test_links_to_files_lead_to_those_of_the_tag():
    text = notes.notes(CHANGELOG, "0.2.0")
    assert "](https://github.com/mountsea/gemini-grpc/blob/v0.2.0/docs/errors.md#reasons)" in text
    assert "](https://example.com/a)" in text


def test_the_notes_say_how_to_verify_the_files():
    (link,) = re.findall(r"blob/v0\.1\.0/(docs/releasing\.md)#(verify-a-release)\)", notes.notes(CHANGELOG, "0.1.0"))
    page, anchor = link
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.M)
    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]


@pytest.mark.parametrize(
    ("changelog", "version", "message"),
    [
        (CHANGELOG, "0.3.0", "0 headings"),
        (CHANGELOG, "0.2", "0 headings"),
        (CHANGELOG + "\n## [0.1.0] - 2026-11-02\n\n- Again.\n", "0.1.0", "2 headings"),
        ("## [1.0.0]\n\n- No date.\n", "1.0.0", "no date"),
        ("## [1.0.0] - 2026-11-02\n\n## [0.9.0] - 2026-11-01\n\n- Text.\n", "1.0.0", "empty"),
        ("## [1.0.0] - 2026-11-02\n\n[1.0.0]: https://example.com\n", "1.0.0", "empty"),
        ("## [1.0.0] - 2026-11-02\n\n" + "- long\n" * 20_000, "1.0.0", "GitHub accepts"),
    ],
)
def test_a_section_that_cannot_be_released_is_an_error(changelog, version, message):
    with pytest.raises(ValueError, match=message):
        notes.notes(changelog, version)


def test_the_changelog_of_this_repository_can_be_cut():
    printed = subprocess.run([sys.executable, "release/notes.py", "Unreleased"], cwd=ROOT, capture_output=True, text=True)
    assert printed.returncode == 0, printed.stderr
    # Each line is a block of its own: none continues the one before.
    lines = [line for line in printed.stdout.splitlines()[:-1] if line]
    assert all(re.match(r"(### |- |  - )\S", line) for line in lines)
    missing = subprocess.run([sys.executable, "release/notes.py", "99.0.0"], cwd=ROOT, capture_output=True, text=True)
    assert missing.returncode == 1
    assert missing.stderr == "CHANGELOG.md: there are 0 headings `## [99.0.0] - YYYY-MM-DD`\n"
