"""The chart as a part of another chart, and values that use YAML anchors."""

import shutil

import pytest
import yaml
from chart import CHART, refusal, render, value_sets

PARENT = {
    "apiVersion": "v2",
    "name": "platform",
    "version": "1.0.0",
    "dependencies": [
        {"name": "gemini-grpc", "version": "0.1.0", "condition": "gemini-grpc.enabled"},
        {"name": "gemini-grpc", "version": "0.1.0", "alias": "second", "condition": "second.enabled", "tags": ["all"]},
    ],
}


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """A chart that contains this one twice, and disables the second."""
    folder = tmp_path_factory.mktemp("platform")
    (folder / "Chart.yaml").write_text(yaml.safe_dump(PARENT))
    (folder / "values.yaml").write_text("second: {enabled: false}\n")
    shutil.copytree(CHART, folder / "charts/gemini-grpc")
    return folder


@pytest.mark.parametrize("name", value_sets())
def test_a_parent_chart_renders_the_same_objects_as_the_chart_alone(parent, name):
    def ordered(objects):
        return sorted(objects, key=lambda each: (each["kind"], each["metadata"]["name"]))

    values = value_sets()[name]
    alone = ordered(render(values))
    assert ordered(render({"gemini-grpc": values}, chart=parent)) == alone
    assert ordered(render({"gemini-grpc": {**values, "enabled": True}}, chart=parent)) == alone
    shared = {"global": {"imageRegistry": "registry.internal", "team": {"name": "a"}}, "tags": {"all": False}}
    assert ordered(render({"gemini-grpc": {**values, "global": {"a": 1}}, **shared}, chart=parent)) == alone
    assert render({"gemini-grpc": {**values, "enabled": False}}, chart=parent) == []


def test_a_parent_chart_may_contain_it_twice_under_different_names(parent):
    objects = render({"gemini-grpc": {"enabled": True}, "second": {"enabled": True}}, chart=parent)
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert ("Deployment", "gemini-gemini-grpc") in names
    assert ("Deployment", "gemini-second") in names
    assert len(names) == len(set(names)) == 2 * len(render())


@pytest.mark.parametrize("where", ["values of the user", "values of the parent"])
def test_maps_and_lists_may_be_null_in_a_parent_chart(parent, tmp_path, where):
    chart = shutil.copytree(parent, tmp_path / "platform")
    nulls = {
        "image": None,
        "podAnnotations": None,
        "service": {"headless": None},
        "probes": {"liveness": None},
        "networkPolicy": {"callers": None},
        "tls": {"certManager": {"dnsNames": None}},
        "global": None,
    }
    values = {"gemini-grpc": nulls, "second": {"enabled": False}}
    expected = render({}, chart=parent)
    if where == "values of the parent":
        (chart / "values.yaml").write_text(yaml.safe_dump(values))
        values = {}
    assert render(values, chart=chart) == expected


def test_a_mistyped_key_is_refused_in_a_parent_chart_too(parent):
    assert "replicaCounts" in refusal({"gemini-grpc": {"enabled": True, "replicaCounts": 3}}, chart=parent)


ANCHORS = """
x-common: &common
  team: models
x-anything: [1, two]
x-: null
commonLabels:
  <<: *common
  more: "yes"
podAnnotations: *common
"""


def test_keys_that_begin_with_x_are_for_anchors():
    values = yaml.safe_load(ANCHORS)
    assert render(values) == render({key: value for key, value in values.items() if not key.startswith("x-")})
    assert "xcommon" in refusal({"xcommon": 1})


def test_helm_itself_reads_anchors_and_merge_keys(tmp_path):
    path = tmp_path / "values.yaml"
    path.write_text(ANCHORS)
    assert render(yaml.safe_load(ANCHORS)) == render(file=path)
