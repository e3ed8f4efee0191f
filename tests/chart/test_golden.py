"""What people get, as files to read and to compare. `GOLDEN=write` writes them anew."""

import os
import re

import pytest
from chart import OLDEST, ROOT, text, value_sets

FOLDER = ROOT / "tests/chart/golden"


# Rules and dashboard are files that have tests of their own: their beginnings in the objects, and what is in their place.
LONG = {
    r"  groups:$": "  # (the rules)",
    r"  [\w-]+\.json: \|$": "    # (the dashboard)",
}


def golden(name: str) -> str:
    """The objects, without what is long."""
    lines, cut = [], False
    for line in text(value_sets()[name], kube=OLDEST).splitlines():
        instead = next((short for long, short in LONG.items() if re.match(long, line)), None)
        cut = bool(instead) or (cut and line.startswith(("  -", "   ")))
        if instead or not cut:
            lines += [line, instead] if instead else [line]
    return "\n".join(line.rstrip() for line in lines) + "\n"


@pytest.mark.parametrize("name", value_sets())
def test_the_objects_are_those_that_were_agreed_on(name):
    path = FOLDER / f"{name}.yaml"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(golden(name))
    assert golden(name) == path.read_text(), "GOLDEN=write writes it again"


def test_there_is_no_golden_file_that_nothing_renders():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(value_sets())
