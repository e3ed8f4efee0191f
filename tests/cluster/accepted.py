"""The API server takes every object that the chart can make, custom resources among them."""

import subprocess
import sys

import chart
import place
from kube import apply, kubectl, namespace
from verdict import table

SETS = [*sorted(chart.CHART.glob("values-*.yaml")), *sorted((place.ROOT / "tests/chart/values").glob("*.yaml"))]
# Where the sets of values put their objects, and what pods in them name.
NAMESPACES = ["models", "gateways"]


def run(args, verdict):
    for path in definitions():
        kubectl("apply", "--server-side", "-f", path)
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    for name in NAMESPACES:
        namespace(name)
        kubectl("wait", "-n", name, "--for=create", "serviceaccount/default", "--timeout=60s")
    apply('{"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "gvisor"}, "handler": "runc"}')
    rows, refused = [], []
    for path in [None, *SETS]:
        name = path.stem if path else "defaults"
        objects, said = take(path)
        rows.append((name, objects, said or "taken"))
        refused += [name] if said else []
    table(("values", "objects", "the API server"), *rows)
    verdict.check("accepted: every object of every set of values", not refused, ", ".join(refused) or f"{len(rows)} sets")


def take(values):
    """How many objects there are, and what the server says against them."""
    more = ["--values", values] if values else []
    text = place.output(place.BIN / "helm", "template", "gemini", chart.CHART, "--namespace", NAMESPACES[0], *more)
    command = [place.BIN / "kubectl", "--kubeconfig", place.KUBECONFIG, "apply"]
    strict = ["--server-side", "--dry-run=server", "--validate=strict", "-f", "-"]
    done = subprocess.run([*map(str, command), *strict], input=text, capture_output=True, text=True)
    # A warning of the standard for pods means that pods of a Deployment would be refused.
    against = [line for line in done.stderr.splitlines() if "Error" in line or "PodSecurity" in line]
    return len(done.stdout.splitlines()), "; ".join(against)[:200] or ("" if not done.returncode else done.stderr[:200])


def definitions():
    """The files that define the custom resources; those of the chart's tests."""
    sys.path.append(str(place.ROOT / "tests/chart"))
    from custom_resources import files

    return files()
