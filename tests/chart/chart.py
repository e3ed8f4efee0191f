"""Renders the chart with the real helm, and finds things in the result."""

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
# Helm ends before its memory is worth collecting, which would be a fifth of its time.
WITHOUT_COLLECTION = {**os.environ, "GOGC": "off"}

# The oldest Kubernetes version that the chart supports, and the newest one whose schemas are available.
OLDEST, NEWEST = "1.30.0", "1.37.0"

# The release, its namespace and the name of its objects in most tests.
RELEASE, NAMESPACE, NAME = "gemini", "models", "gemini-gemini-grpc"


class Loader(yaml.CSafeLoader):
    """Reads YAML as Kubernetes does: a duplicate key is an error, and `=` is a text."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        duplicates = {key for key in keys if keys.count(key) > 1}
        assert not duplicates, f"duplicate keys: {duplicates} in {node.start_mark}"
        return super().construct_mapping(node, deep)


Loader.add_constructor("tag:yaml.org,2002:value", Loader.construct_yaml_str)


def helm(*arguments: str, values: dict | None = None) -> subprocess.CompletedProcess:
    """Runs helm, with values on its standard input."""
    text = json.dumps(values or {})
    command = [HELM, *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=WITHOUT_COLLECTION)


@functools.cache
def _template(values: str, release: str, *arguments) -> subprocess.CompletedProcess:
    return helm("template", release, *arguments, values=json.loads(values))


def template(
    values=None, release=RELEASE, namespace=NAMESPACE, kube=NEWEST, chart=CHART, file="-", more=()
) -> subprocess.CompletedProcess:
    """The result of `helm template`, successful or not. The values may be in a file; `more` has further arguments."""
    options = ("--namespace", namespace, "--kube-version", kube, "--values", file)
    return _template(json.dumps(values or {}), release, chart, *options, *more)


def text(values=None, **options) -> str:
    """The rendered objects as text."""
    result = template(values, **options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def render(values=None, **options) -> list[dict]:
    """All rendered objects."""
    return [each for each in yaml.load_all(text(values, **options), Loader) if each]


def refusal(values, **options) -> str:
    """The message with which the values are refused."""
    result = template(values, **options)
    assert result.returncode != 0, "the values are accepted"
    return result.stderr


def find(objects: list[dict], kind: str, name: str = NAME) -> dict:
    """The only object of that kind and name."""
    found = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"{kind} {name}: {[(each['kind'], each['metadata']['name']) for each in objects]}"
    return found[0]


def at(thing, path: str):
    """The value at a path, or None."""
    for step in path.split("."):
        if isinstance(thing, list):
            thing = thing[int(step)] if int(step) < len(thing) else None
        else:
            thing = thing.get(step) if thing else None
    return thing


def kinds(values=None, **options) -> list[str]:
    """The kinds of all objects, sorted."""
    return sorted(each["kind"] for each in render(values, **options))


def pod(values=None, **options) -> dict:
    """The pod template of the Deployment: metadata and spec."""
    (deployment,) = (each for each in render(values, **options) if each["kind"] == "Deployment")
    return deployment["spec"]["template"]


def container(values=None, **options) -> dict:
    """The gateway's container."""
    return pod(values, **options)["spec"]["containers"][0]


def environment(values=None, **options) -> dict:
    """The environment variables of the gateway's container: name and value, or the map under valueFrom."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container(values, **options)["env"]}


def files(values=None, **options) -> dict:
    """The files of the gateway's container, by name: (kind, object, key)."""
    return files_of(pod(values, **options)["spec"])


def files_of(spec: dict) -> dict:
    """The files in the chart's own volume of a pod, by name: (kind, object, key)."""
    volumes = [each["projected"]["sources"] for each in spec.get("volumes", []) if each["name"] == "files"]
    found = {}
    for source in itertools.chain.from_iterable(volumes):
        ((kind, projection),) = source.items()
        found |= {item["path"]: (kind, projection["name"], item["key"]) for item in projection["items"]}
    return found


def value_sets() -> dict[str, dict]:
    """Sets of values that represent typical installs: those in the chart and those in `values`."""
    paths = [*CHART.glob("values-*.yaml"), *(ROOT / "tests/chart/values").glob("*.yaml")]
    sets = {path.stem.removeprefix("values-"): yaml.load(path.read_text(), Loader) for path in paths}
    return {"defaults": {}, **dict(sorted(sets.items()))}
