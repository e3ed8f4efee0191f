"""Checks objects against the schemas of Kubernetes and of the custom resources. Unknown fields are errors here, because an
API server would drop them silently."""

import copy
import functools

import jsonschema
import kubernetes_validate
import yaml
from chart import Loader
from custom_resources import files


def check(thing: dict, kubernetes: str) -> None:
    """Raises an error that names the wrong field of the object."""
    definition = definitions().get((thing["apiVersion"], thing["kind"]))
    if definition:
        jsonschema.Draft202012Validator(definition).validate(thing)
    else:
        version = ".".join(kubernetes.split(".")[:2])
        kubernetes_validate.validate(thing, version, strict=True)


@functools.cache
def definitions() -> dict[tuple[str, str], dict]:
    """The JSON schemas of custom resources, by apiVersion and kind."""
    found = {}
    for path in files():
        for each in yaml.load_all(path.read_text(), Loader):
            if not each or each["kind"] != "CustomResourceDefinition":
                continue
            for version in each["spec"]["versions"]:
                key = (f"{each['spec']['group']}/{version['name']}", each["spec"]["names"]["kind"])
                found[key] = strict(version["schema"]["openAPIV3Schema"])
                # Every object has these fields.
                found[key]["properties"] |= {"metadata": {"type": "object"}, "apiVersion": {}, "kind": {}}
    return found


def is_custom(thing: dict) -> bool:
    """Whether the object is a custom resource."""
    return (thing["apiVersion"], thing["kind"]) in definitions()


def stored(thing: dict) -> dict:
    """A custom resource as the API server stores it: with the defaults of its schema."""
    return fill(copy.deepcopy(thing), definitions()[thing["apiVersion"], thing["kind"]])


def fill(value, schema: dict):
    """Adds the defaults of a schema to a value, outer ones first, as the API server does."""
    if isinstance(value, dict):
        for name, each in schema.get("properties", {}).items():
            if name not in value and "default" in each:
                value[name] = copy.deepcopy(each["default"])
        others = schema.get("additionalProperties") or {}
        for name in value:
            fill(value[name], schema.get("properties", {}).get(name, others))
    elif isinstance(value, list):
        for each in value:
            fill(each, schema.get("items", {}))
    return value


def strict(schema: dict) -> dict:
    """The JSON schema for a schema of a custom resource. It forbids the unknown fields that the API server would prune."""
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
