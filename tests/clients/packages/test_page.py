"""docs/clients.md shows only code that other tests run, and says which file it is from."""

import re
import textwrap

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
            links = re.findall(r"\]\(\.\./([^)#]+)\)", line)
            file = next((link for link in reversed(links) if not (ROOT / link).is_dir()), file)
    return found


def fault(code, file):
    """Why a block may not be there, or nothing."""
    if not file or not file.startswith(("clients/", "examples/", "proto/")):
        return f"no link before it to a file that a test uses, but to {file}"
    lines = (ROOT / file).read_text().splitlines()
    length = len(code.splitlines())
    # Without the indentation that all lines have.
    parts = (textwrap.dedent("\n".join(lines[i : i + length])) for i in range(len(lines) - length + 1))
    return None if code in parts else f"{file} does not contain\n{code}"


def test_every_code_block_is_in_the_file_that_the_page_names_before_it():
    shown = blocks()
    assert len(shown) > 40
    faults = [f"docs/clients.md:{line}: {why}" for line, code, file in shown if (why := fault(code, file))]
    assert not faults, "\n\n".join(faults)
