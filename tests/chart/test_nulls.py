"""A map or list that is null is treated as if it were not set. YAML reads a key as null if all lines below it are commented
out."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from chart import CHART, NEWEST, find, render, template, value_sets
from defaults import FILE, VALUES, expected
from schemas import check

# In these maps a null removes the entry, as Helm does it by default: Kubernetes gets these maps unchanged.
UNCHANGED = [
    "autoscaling.behavior",
    "monitoring.dashboard.labels",
    "podSecurityContext",
    "probes.liveness",
    "probes.readiness",
    "probes.startup",
    "resources",
    "securityContext",
    "strategy",
]
SETS = value_sets()
TEMPLATES = [path for path in (CHART / "templates").rglob("*.*") if path.suffix != ".tpl"]


def paths(values: dict, path: tuple = ()) -> list[tuple]:
    """The paths of all maps and lists."""
    found = [path] if path else []
    for key, value in values.items():
        if isinstance(value, dict):
            found += paths(value, (*path, key))
        elif isinstance(value, list):
            found.append((*path, key))
    return found


ALL = paths(VALUES)
INSIDE = [path for path in ALL if any(".".join(path).startswith(f"{each}.") for each in UNCHANGED)]
OURS = [path for path in ALL if path not in INSIDE]


def with_nulls(values: dict, *nulls: tuple) -> dict:
    """The values with null at these paths."""
    for path in nulls:
        key, rest = path[0], path[1:]
        values = {**values, key: with_nulls(values.get(key) or {}, rest) if rest else None}
    return values


def without(values: dict, path: tuple) -> dict:
    """The values without the one at this path."""
    key, rest = path[0], path[1:]
    if key not in values:
        return values
    if not rest:
        return {name: value for name, value in values.items() if name != key}
    return {**values, key: without(values[key], rest)}


def test_the_templates_have_the_defaults_of_values_yaml():
    if os.environ.get("GOLDEN") == "write":
        FILE.write_text(expected())
    assert FILE.read_text() == expected(), "write it again with GOLDEN=write"


def test_all_maps_and_lists_of_the_values_are_tested():
    assert len(ALL) > 90
    assert ("tls", "clientCA") in OURS
    assert ("networkPolicy", "callers") in OURS
    assert ("resources", "limits") in INSIDE
    assert {".".join(path[:-1]) for path in INSIDE} >= {"resources", "strategy", "securityContext"}


@pytest.mark.parametrize("name", ["defaults", "everything", "tls"])
def test_a_map_or_list_that_is_null_is_treated_as_not_set(name):
    def both(path):
        # If the values are refused, the messages are the same too.
        one, other = template(with_nulls(SETS[name], path)), template(without(SETS[name], path))
        return path, (one.stdout, one.stderr), (other.stdout, other.stderr)

    with ThreadPoolExecutor(2) as pool:
        different = [path for path, one, other in pool.map(both, OURS) if one != other]
    assert different == []


def test_any_number_of_maps_and_lists_may_be_null():
    outer = {path for path in OURS if len(path) == 1}
    inner = {path for path in OURS if len(path) > 1}
    for several in (OURS, outer, inner, OURS[::2], OURS[1::2], OURS[::3], OURS[::7]):
        # Nothing inside of a map that is null can be null itself.
        alone = [path for path in several if not any(path[:end] in several for end in range(1, len(path)))]
        assert template(with_nulls({}, *alone)).stdout == template().stdout, several


@pytest.mark.parametrize("path", INSIDE, ids=".".join)
def test_a_null_in_a_map_that_kubernetes_gets_unchanged_removes_the_entry(path):
    values = {"autoscaling": {"enabled": True, "cpuUtilization": None, "callsInFlight": 9}}
    objects = render(with_nulls(values, path))
    for each in objects:
        check(each, NEWEST)
    assert objects != render(values)


PATHS_WITHOUT_DEFAULT = [
    "commonLabels.a",
    "nodeSelector.a",
    "podAnnotations.a",
    "podLabels.a",
    "service.annotations.a",
    "service.spec.externalTrafficPolicy",
    "monitoring.dashboard.labels.a",
    "podSpec.schedulerName",
    "containerSpec.lifecycle.preStop",
    "affinity.nodeAffinity",
    "dnsConfig.nameservers",
    "probes.liveness.httpGet",
    "resources.limits.cpu",
    "securityContext.privileged",
    "telemetry.resourceAttributes.a",
]


def test_a_null_removes_what_another_file_of_values_has_set(tmp_path):
    # Helm keeps a null if the chart has no default for the key.
    for path in PATHS_WITHOUT_DEFAULT:
        keys = tuple(path.split("."))
        assert template(with_nulls(SETS["everything"], keys)).stdout == template(without(SETS["everything"], keys)).stdout, path
    first, second = {"podAnnotations": {"a": "b", "c": "d"}}, {"podAnnotations": {"a": None}}
    (tmp_path / "first.yaml").write_text(json.dumps(first))
    later = tmp_path / "second.yaml"
    later.write_text(json.dumps(second))
    rendered = template(file=tmp_path / "first.yaml", more=("--values", later)).stdout
    assert rendered == template({"podAnnotations": {"c": "d"}}).stdout


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_template_begins_by_replacing_nulls_with_defaults(path):
    assert path.read_text().startswith('{{- include "gemini-grpc.fill" . }}\n'), path.name


def scalars(values: dict, path: tuple = ()) -> list[tuple]:
    """The paths of all values that are neither maps nor lists."""
    found = []
    for key, value in values.items():
        if isinstance(value, dict):
            found += scalars(value, (*path, key))
        elif not isinstance(value, list):
            found.append((*path, key))
    return found


def test_a_single_value_that_is_null_breaks_no_template():
    def tried(path):
        result = template(with_nulls(SETS["everything"], path))
        return path, result.stderr or result.stdout

    with ThreadPoolExecutor(2) as pool:
        for path, output in pool.map(tried, scalars(VALUES)):
            assert not any(hole in output for hole in ("<nil>", "%!", "wrong type", "nil pointer", "invalid value")), path


def test_a_null_replica_count_leaves_replicas_out_of_the_deployment():
    assert "replicas" not in find(render({"replicaCount": None}), "Deployment")["spec"]
