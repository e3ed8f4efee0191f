"""The chart as the real helm renders it."""

import functools
import itertools
import json
import os
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/gemini-grpc"
HELM = os.environ.get("GEMINI_GRPC_HELM", ROOT / "target/ci/bin/helm")

# The oldest that the chart takes, and the newest whose schemas there are.
OLDEST, NEWEST = "1.30.0", "1.37.0"

# Names as they are in most tests.
RELEASE, NAMESPACE, NAME = "gemini", "models", "gemini-gemini-grpc"


class Loader(yaml.CSafeLoader):
    """As Kubernetes reads YAML: a key that is there twice is a mistake, and `=` is a text."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"given twice: {twice} in {node.start_mark}"
        return super().construct_mapping(node, deep)


Loader.add_constructor("tag:yaml.org,2002:value", Loader.construct_yaml_str)


def helm(*arguments: str, values: dict | None = None) -> subprocess.CompletedProcess:
    """Runs helm, with values on its standard input."""
    text = json.dumps(values or {})
    return subprocess.run([HELM, *map(str, arguments)], input=text, capture_output=True, text=True, check=False)


@functools.cache
def _template(values: str, release: str, *arguments) -> subprocess.CompletedProcess:
    return helm("template", release, *arguments, values=json.loads(values))


def template(
    values=None, release=RELEASE, namespace=NAMESPACE, kube=NEWEST, chart=CHART, file="-", more=()
) -> subprocess.CompletedProcess:
    """What `helm template` says, whether or not it takes the values, which may be in a file, and further arguments."""
    where = ("--namespace", namespace, "--kube-version", kube, "--values", file)
    return _template(json.dumps(values or {}), release, chart, *where, *more)


def text(values=None, **where) -> str:
    """The objects as text."""
    result = template(values, **where)
    assert result.returncode == 0, result.stderr
    return result.stdout


def render(values=None, **where) -> list[dict]:
    """All objects."""
    return [each for each in yaml.load_all(text(values, **where), Loader) if each]


def refusal(values, **where) -> str:
    """Why the values are refused."""
    result = template(values, **where)
    assert result.returncode != 0, "the values are taken"
    return result.stderr


def find(objects: list[dict], kind: str, name: str = NAME) -> dict:
    """The one object of that kind and name."""
    found = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"{kind} {name}: {[(each['kind'], each['metadata']['name']) for each in objects]}"
    return found[0]


def at(thing, path: str):
    """What is at a path, or nothing."""
    for step in path.split("."):
        if isinstance(thing, list):
            thing = thing[int(step)] if int(step) < len(thing) else None
        else:
            thing = thing.get(step) if thing else None
    return thing


def kinds(values=None, **where) -> list[str]:
    """The kinds of all objects, in order."""
    return sorted(each["kind"] for each in render(values, **where))


def pod(values=None, **where) -> dict:
    """The pods of the Deployment: metadata and spec."""
    (deployment,) = (each for each in render(values, **where) if each["kind"] == "Deployment")
    return deployment["spec"]["template"]


def container(values=None, **where) -> dict:
    """The gateway's container."""
    return pod(values, **where)["spec"]["containers"][0]


def environment(values=None, **where) -> dict:
    """Its variables; one that comes from elsewhere is the map that says from where."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container(values, **where)["env"]}


def files(values=None, **where) -> dict:
    """Its files, by name: (kind, object, key)."""
    return files_of(pod(values, **where)["spec"])


def files_of(spec: dict) -> dict:
    """The files of a pod that the chart makes."""
    volumes = [each["projected"]["sources"] for each in spec.get("volumes", []) if each["name"] == "files"]
    found = {}
    for source in itertools.chain.from_iterable(volumes):
        ((kind, of),) = source.items()
        found |= {item["path"]: (kind, of["name"], item["key"]) for item in of["items"]}
    return found


def value_sets() -> dict[str, dict]:
    """Values that stand for what people install: those in the chart and those in `values`."""
    paths = [*CHART.glob("values-*.yaml"), *(ROOT / "tests/chart/values").glob("*.yaml")]
    sets = {path.stem.removeprefix("values-"): yaml.load(path.read_text(), Loader) for path in paths}
    return {"defaults": {}, **dict(sorted(sets.items()))}
