"""The API server accepts every object that the chart can create, custom resources included."""

import json
import subprocess
import sys

import chart
import place
from kube import apply, kubectl, namespace
from verdict import table

sys.path.append(str(place.ROOT / "tests/chart"))

SETS = [*sorted(chart.CHART.glob("values-*.yaml")), *sorted((place.ROOT / "tests/chart/values").glob("*.yaml"))]
# The namespaces that the sets of values use.
NAMESPACES = ["models", "gateways"]
# Argo CD does not know the defaults of these kinds, so it compares their lists as a whole.
CUSTOM_KINDS = {
    "BackendTLSPolicy", "BackendTrafficPolicy", "Certificate", "GRPCRoute", "HTTPRoute", "PodMonitor", "PrometheusRule",
    "ScaledObject", "ServiceMonitor", "VirtualService",
}  # fmt: skip


def run(args, verdict):
    for path in custom_resource_definitions():
        kubectl("apply", "--server-side", "-f", path)
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    for name in NAMESPACES:
        namespace(name)
        kubectl("wait", "-n", name, "--for=create", "serviceaccount/default", "--timeout=60s")
    apply('{"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "gvisor"}, "handler": "runc"}')
    rows, rejected, changed = [], [], []
    for path in [None, *SETS]:
        name = path.stem if path else "defaults"
        objects, complaint, differences = dry_run(path)
        rows.append((name, objects, complaint or "accepted", "; ".join(differences)[:200] or "none"))
        rejected += [name] if complaint else []
        changed += differences
    table(("values", "objects", "the API server", "Argo CD's differences"), *rows)
    seen = ", ".join(rejected) or f"{len(rows)} sets"
    verdict.check("accepted: every object of every set of values", not rejected, seen)
    verdict.check("accepted: every object is stored as it is rendered", not changed, f"{len(changed)} differences")


def dry_run(values):
    """The number of objects, the server's errors, and the differences between rendered and stored objects."""
    from argo import differences

    more = ["--values", values] if values else []
    text = place.output(place.BIN / "helm", "template", "gemini", chart.CHART, "--namespace", NAMESPACES[0], *more)
    rendered = parse(kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-", input=text))
    command = [place.BIN / "kubectl", "--kubeconfig", place.KUBECONFIG, "apply"]
    strict = ["--server-side", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-"]
    done = subprocess.run([*map(str, command), *strict], input=text, capture_output=True, text=True)
    # For a Deployment, a warning of the pod security standard means that its pods would be rejected.
    errors = [line for line in done.stderr.splitlines() if "Error" in line or "PodSecurity" in line]
    complaint = "; ".join(errors)[:200] or ("" if not done.returncode else done.stderr[:200])
    if complaint:
        return 0, complaint, []
    stored = {identity(each): each for each in parse(done.stdout)}
    found = []
    # Argo CD does not compare hooks.
    for each in (each for each in rendered if "helm.sh/hook" not in each["metadata"].get("annotations", {})):
        found += differences(each, stored[identity(each)], each["kind"] in CUSTOM_KINDS, "/".join(identity(each)[1:]))
    return len(stored), complaint, found


def parse(text):
    """The objects that kubectl has printed, as a list or one after the other."""
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        found += value["items"] if value["kind"] == "List" else [value]
        text = text[end:]
    return found


def identity(value):
    return value["apiVersion"], value["kind"], value["metadata"]["name"]


def custom_resource_definitions():
    """The files that define the custom resources, from the chart's tests."""
    from custom_resources import files

    return files()
