"""A map or list that is null is as if it were not named, which it is when all lines below it are commented out."""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from chart import NEWEST, find, render, template, value_sets
from defaults import FILE, VALUES, expected
from schemas import check

# Here a null takes out what is below, as it does everywhere in Helm: Kubernetes gets these maps as they are.
AS_THEY_ARE = [
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
INSIDE = [path for path in ALL if any(".".join(path).startswith(f"{each}.") for each in AS_THEY_ARE)]
OURS = [path for path in ALL if path not in INSIDE]


def null(values: dict, *nulls: tuple) -> dict:
    """Values in which these are null."""
    for path in nulls:
        key, rest = path[0], path[1:]
        values = {**values, key: null(values.get(key) or {}, rest) if rest else None}
    return values


def without(values: dict, path: tuple) -> dict:
    """Values that do not name this."""
    key, rest = path[0], path[1:]
    if key not in values:
        return values
    if not rest:
        return {name: value for name, value in values.items() if name != key}
    return {**values, key: without(values[key], rest)}


def test_the_templates_have_the_defaults_of_values_yaml():
    if os.environ.get("GOLDEN") == "write":
        FILE.write_text(expected())
    assert FILE.read_text() == expected(), "GOLDEN=write writes it anew"


def test_all_maps_and_lists_are_tried():
    assert len(ALL) > 90
    assert ("tls", "clientCA") in OURS
    assert ("networkPolicy", "callers") in OURS
    assert ("resources", "limits") in INSIDE
    assert {".".join(path[:-1]) for path in INSIDE} >= {"resources", "strategy", "securityContext"}


@pytest.mark.parametrize("name", ["defaults", "everything", "tls"])
def test_a_map_or_list_that_is_null_is_as_if_it_were_not_named(name):
    def both(path):
        # The words of a refusal are the same, too.
        one, other = template(null(SETS[name], path)), template(without(SETS[name], path))
        return path, (one.stdout, one.stderr), (other.stdout, other.stderr)

    with ThreadPoolExecutor(2) as pool:
        different = [path for path, one, other in pool.map(both, OURS) if one != other]
    assert different == []


def test_as_many_as_one_likes_may_be_null():
    assert template(null({}, *OURS)).stdout == template().stdout
    for path, other in itertools.pairwise(OURS):
        if path != other[: len(path)]:
            assert template(null({}, path, other)).stdout == template().stdout, (path, other)


@pytest.mark.parametrize("path", INSIDE, ids=".".join)
def test_what_kubernetes_gets_as_it_is_lacks_what_is_null_and_is_taken(path):
    values = {"autoscaling": {"enabled": True, "cpuUtilization": None, "callsInFlight": 9}}
    objects = render(null(values, path))
    for each in objects:
        check(each, NEWEST)
    assert objects != render(values)


def scalars(values: dict, path: tuple = ()) -> list[tuple]:
    """The paths of everything else."""
    found = []
    for key, value in values.items():
        if isinstance(value, dict):
            found += scalars(value, (*path, key))
        elif not isinstance(value, list):
            found.append((*path, key))
    return found


@pytest.mark.parametrize("name", ["everything", "tls"])
def test_a_single_value_that_is_null_breaks_no_template(name):
    def tried(path):
        result = template(null(SETS[name], path))
        return path, result.stderr or result.stdout

    with ThreadPoolExecutor(2) as pool:
        for path, said in pool.map(tried, scalars(VALUES)):
            assert not any(hole in said for hole in ("<nil>", "%!", "wrong type", "nil pointer", "invalid value")), path


def test_no_pods_are_named_where_something_else_decides_how_many_there_are():
    assert "replicas" not in find(render({"replicaCount": None}), "Deployment")["spec"]
