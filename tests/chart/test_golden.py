"""The rendered objects as files, to read and to compare. `GOLDEN=write` writes the files again."""

import os
import re

import pytest
from chart import OLDEST, ROOT, text, value_sets

FOLDER = ROOT / "tests/chart/golden"


# Rules and dashboard have their own tests and are left out here: the line before each of them, and the line in its place.
LEFT_OUT = {
    r"  groups:$": "  # (the rules)",
    r"  [\w-]+\.json: \|$": "    # (the dashboard)",
}


def golden(name: str) -> str:
    """The objects, without rules and dashboard."""
    lines, skipping = [], False
    for line in text(value_sets()[name], kube=OLDEST).splitlines():
        placeholder = next((short for before, short in LEFT_OUT.items() if re.match(before, line)), None)
        skipping = bool(placeholder) or (skipping and line.startswith(("  -", "   ")))
        if placeholder or not skipping:
            lines += [line, placeholder] if placeholder else [line]
    return "\n".join(line.rstrip() for line in lines) + "\n"


@pytest.mark.parametrize("name", value_sets())
def test_the_rendered_objects_match_the_golden_file(name):
    path = FOLDER / f"{name}.yaml"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(golden(name))
    assert golden(name) == path.read_text(), "GOLDEN=write writes it again"


def test_every_golden_file_belongs_to_a_set_of_values():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(value_sets())
