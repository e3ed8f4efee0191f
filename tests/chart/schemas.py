"""What Kubernetes and the custom resources say an object has to look like, in which nothing may stand that they do not
know: an API server drops it, and nobody hears of it."""

import functools
import json
import re
import subprocess
import tempfile
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml
from chart import Loader

# Modules of the Go proxy that Go 1.26 can read hold the definitions of their custom resources. The sums are those of go.sum.
DEFINITIONS = {
    "sigs.k8s.io/gateway-api@v1.6.3": (
        "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc=",
        "config/crd/standard/gateway.networking.k8s.io_{backendtlspolicies,grpcroutes,httproutes}.yaml",
    ),
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        "example/prometheus-operator-crd/monitoring.coreos.com_{podmonitors,prometheusrules,servicemonitors}.yaml",
    ),
    "github.com/kedacore/keda/v2@v2.21.0": (
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        "config/crd/bases/keda.sh_{scaledobjects}.yaml",
    ),
    "github.com/cert-manager/cert-manager@v1.21.2": (
        "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
        "deploy/crds/cert-manager.io_{certificates}.yaml",
    ),
}


def check(thing: dict, kubernetes: str) -> None:
    """Fails with the place in the object that is wrong."""
    definition = definitions().get((thing["apiVersion"], thing["kind"]))
    if definition:
        jsonschema.Draft202012Validator(definition).validate(thing)
    else:
        version = ".".join(kubernetes.split(".")[:2])
        kubernetes_validate.validate(thing, version, strict=True)


def files() -> list[Path]:
    """The files with the definitions of custom resources."""
    with tempfile.TemporaryDirectory() as elsewhere:
        command = ["go", "mod", "download", "-json", *DEFINITIONS]
        said = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=True).stdout
    found = []
    for each in map(json.loads, re.split(r"(?<=\})\n(?=\{)", said.strip())):
        total, pattern = DEFINITIONS[f"{each['Path']}@{each['Version']}"]
        assert each["Sum"] == total, f"{each['Path']} is not what it was"
        before, names, after = re.split("[{}]", pattern)
        found += [Path(each["Dir"]) / (before + name + after) for name in names.split(",")]
    return found


@functools.cache
def definitions() -> dict[tuple[str, str], dict]:
    """By apiVersion and kind, as JSON schemas."""
    found = {}
    for path in files():
        for each in yaml.load_all(path.read_text(), Loader):
            if not each or each["kind"] != "CustomResourceDefinition":
                continue
            for version in each["spec"]["versions"]:
                of = (f"{each['spec']['group']}/{version['name']}", each["spec"]["names"]["kind"])
                found[of] = strict(version["schema"]["openAPIV3Schema"])
                # Those of every object.
                found[of]["properties"] |= {"metadata": {"type": "object"}}
    return found


def strict(schema: dict) -> dict:
    """A schema of a custom resource as one of JSON, closed where the first would be pruned."""
    schema = dict(schema)
    if schema.pop("x-kubernetes-int-or-string", False):
        schema["type"] = ["integer", "string"]
        schema.pop("anyOf", None)
    if schema.pop("nullable", False):
        schema["type"] = [schema["type"], "null"]
    if "properties" in schema:
        schema["properties"] = {name: strict(each) for name, each in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        schema["additionalProperties"] = strict(schema["additionalProperties"])
    if "items" in schema:
        schema["items"] = strict(schema["items"])
    return schema
