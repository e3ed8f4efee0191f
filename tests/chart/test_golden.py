"""What people get, as files to read and to compare. `GOLDEN=write` writes them anew."""

import os

import pytest
from chart import CHART, OLDEST, ROOT, text, value_sets

FOLDER = ROOT / "tests/chart/golden"


def golden(name: str) -> str:
    """The objects; the dashboard and the alerts are files of their own already."""
    lines = text(value_sets()[name], kube=OLDEST).splitlines()
    own = (CHART / "rules/gemini-grpc.yaml").read_text(), (CHART / "dashboards/gemini-grpc.json").read_text()
    for file, indent in zip(own, (2, 4), strict=True):
        block = [" " * indent + line if line else "" for line in file.rstrip("\n").splitlines()]
        for start in range(len(lines)):
            if [line.rstrip() for line in lines[start : start + len(block)]] == [line.rstrip() for line in block]:
                lines[start : start + len(block)] = [" " * indent + "# (the file, as it is)"]
                break
    return "\n".join(line.rstrip() for line in lines) + "\n"


@pytest.mark.parametrize("name", value_sets())
def test_the_objects_are_those_that_were_agreed_on(name):
    path = FOLDER / f"{name}.yaml"
    if os.environ.get("GOLDEN") == "write":
        path.write_text(golden(name))
    assert golden(name) == path.read_text(), "GOLDEN=write writes it anew"


def test_there_is_no_golden_file_that_nothing_renders():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(value_sets())


def test_the_alerts_and_the_dashboard_are_rendered_as_they_are():
    monitoring = {"prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}}
    everything = text({"monitoring": monitoring})
    assert everything.count("{{ $value | humanizePercentage }}") > 0
    for name in ("defaults", "least"):
        assert "PrometheusRule" not in (FOLDER / f"{name}.yaml").read_text()
    assert "(the file, as it is)" in (FOLDER / "everything.yaml").read_text()
