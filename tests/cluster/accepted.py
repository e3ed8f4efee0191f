"""The API server takes every object that the chart can make, custom resources among them."""

import json
import subprocess
import sys

import chart
import place
from kube import apply, kubectl, namespace
from verdict import table

sys.path.append(str(place.ROOT / "tests/chart"))

SETS = [*sorted(chart.CHART.glob("values-*.yaml")), *sorted((place.ROOT / "tests/chart/values").glob("*.yaml"))]
# Where the sets of values put their objects, and what pods in them name.
NAMESPACES = ["models", "gateways"]
# The kinds whose lists Argo CD compares as a whole, since it does not know their defaults.
CUSTOM = {
    "BackendTLSPolicy", "BackendTrafficPolicy", "Certificate", "GRPCRoute", "HTTPRoute", "PodMonitor", "PrometheusRule",
    "ScaledObject", "ServiceMonitor", "VirtualService",
}  # fmt: skip


def run(args, verdict):
    for path in definitions():
        kubectl("apply", "--server-side", "-f", path)
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    for name in NAMESPACES:
        namespace(name)
        kubectl("wait", "-n", name, "--for=create", "serviceaccount/default", "--timeout=60s")
    apply('{"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "gvisor"}, "handler": "runc"}')
    rows, refused, changed = [], [], []
    for path in [None, *SETS]:
        name = path.stem if path else "defaults"
        objects, said, different = take(path)
        rows.append((name, objects, said or "taken", "; ".join(different)[:200] or "none"))
        refused += [name] if said else []
        changed += different
    table(("values", "objects", "the API server", "Argo CD's differences"), *rows)
    verdict.check("accepted: every object of every set of values", not refused, ", ".join(refused) or f"{len(rows)} sets")
    verdict.check("accepted: no object is kept otherwise than it is rendered", not changed, f"{len(changed)} differences")


def take(values):
    """How many objects there are, what the server says against them, and where it would keep them otherwise."""
    from argo import differences

    more = ["--values", values] if values else []
    text = place.output(place.BIN / "helm", "template", "gemini", chart.CHART, "--namespace", NAMESPACES[0], *more)
    rendered = listed(kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", input=text))
    command = [place.BIN / "kubectl", "--kubeconfig", place.KUBECONFIG, "apply"]
    strict = ["--server-side", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-"]
    done = subprocess.run([*map(str, command), *strict], input=text, capture_output=True, text=True)
    # A warning of the standard for pods means that pods of a Deployment would be refused.
    against = [line for line in done.stderr.splitlines() if "Error" in line or "PodSecurity" in line]
    said = "; ".join(against)[:200] or ("" if not done.returncode else done.stderr[:200])
    if said:
        return 0, said, []
    kept = {identity(each): each for each in listed(done.stdout)}
    found = []
    # A hook is no part of what Argo CD compares.
    for each in (each for each in rendered if "helm.sh/hook" not in each["metadata"].get("annotations", {})):
        found += differences(each, kept[identity(each)], each["kind"] in CUSTOM, "/".join(identity(each)[1:]))
    return len(kept), said, found


def listed(text):
    """The objects that kubectl has printed, as a list or one after the other."""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        thing, end = decoder.raw_decode(text)
        found += thing["items"] if thing["kind"] == "List" else [thing]
        text = text[end:]
    return found


def identity(thing):
    return thing["apiVersion"], thing["kind"], thing["metadata"]["name"]


def definitions():
    """The files that define the custom resources; those of the chart's tests."""
    from custom_resources import files

    return files()
