"""docs/clients.md shows only code that other tests run, and says which file it is from."""

import re
import textwrap

import pytest

from processes import ROOT

PAGE = ROOT / "docs/clients.md"


def blocks():
    """Each code block of the page: its line, its code, and the file that the last link before it points to."""
    found, file, code, start = [], None, None, 0
    for number, line in enumerate(PAGE.read_text().splitlines(), 1):
        if line.startswith("```"):
            if code is not None:
                found.append((start, "\n".join(code), file))
            code, start = ([], number) if code is None else (None, 0)
        elif code is not None:
            code.append(line)
        else:
            # The first cell of a row of a table says nothing about the blocks after the table.
            links = [] if line.startswith("|") else re.findall(r"\]\(([^)#:]+)\)", line)
            files = [(PAGE.parent / link).resolve() for link in links]
            file = next((each for each in reversed(files) if each.is_file() and each.parent != PAGE.parent), file)
    return found


def windows(text, length):
    """Each run of this many lines, without the indentation that all of them have."""
    lines = text.splitlines()
    return (textwrap.dedent("\n".join(lines[i : i + length])) for i in range(len(lines) - length + 1))


@pytest.mark.parametrize(("line", "code", "file"), blocks(), ids=lambda value: str(value) if isinstance(value, int) else "")
def test_every_code_block_is_in_the_file_that_the_page_names_before_it(line, code, file):
    assert file, f"no link to a file before line {line}"
    name = file.relative_to(ROOT)
    assert name.parts[0] in ("clients", "examples", "proto"), f"line {line}: no test runs {name}"
    assert code in windows(file.read_text(), len(code.splitlines())), f"line {line}: {name} does not contain\n{code}"
