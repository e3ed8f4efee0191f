"""The chart: how it is installed, changed and asked about."""

import json
import os
import pathlib
import urllib.request

import images
import place
from kube import get, kubectl, namespace, pods

CHART = pathlib.Path(os.environ.get("GEMINI_GRPC_CHART", place.ROOT / "helm/gemini-grpc"))
NAMESPACE = "gemini"
RELEASE = "gemini-grpc"
SELECTOR = f"app.kubernetes.io/name=gemini-grpc,app.kubernetes.io/instance={RELEASE}"
VALUES = {
    "image": {"repository": images.GATEWAY[0], "tag": images.GATEWAY[1], "pullPolicy": "Never"},
    "replicaCount": 2,
}


def helm(*words):
    return place.output(place.BIN / "helm", "--kubeconfig", place.KUBECONFIG, "--namespace", NAMESPACE, *words)


def merged(values, changes):
    """Values with changes, folder by folder, as helm does it."""
    both = dict(values)
    for name, value in changes.items():
        both[name] = merged(both.get(name, {}), value) if isinstance(value, dict) else value
    return both


def install():
    """Puts the chart into a namespace of its own."""
    namespace(NAMESPACE)
    upgrade()


def upgrade(**changes):
    """Installs the chart, or changes its values to those above and these, and waits until all of it is ready."""
    helm("upgrade", "--install", RELEASE, CHART, *values(**changes), "--wait", "--timeout", "5m")


def values(**changes):
    """Flags with the values above and these."""
    path = place.STATE / "values.json"
    path.write_text(json.dumps(merged(VALUES, changes)))
    return ["--values", CHART / "values-sandbox.yaml", "--values", path]


def names(ending=False):
    """The names of the pods that serve; or of those that are about to end."""
    return sorted(pod["metadata"]["name"] for pod in pods(NAMESPACE, SELECTOR, ending))


def service():
    """The Service's address, as one reaches it from the node."""
    spec = get("service", "-n", NAMESPACE, RELEASE)["spec"]
    (port,) = [each["port"] for each in spec["ports"] if each["name"] == "grpc"]
    return f"{spec['clusterIP']}:{port}"


def running():
    """The pods that serve."""
    return pods(NAMESPACE, SELECTOR)


def gone(seconds=660):
    """Waits until the pods that are about to end have ended."""
    ending = names(ending=True)
    for name in ending:
        kubectl("wait", "-n", NAMESPACE, f"pod/{name}", "--for=delete", f"--timeout={seconds}s")
    return ending


def restarts():
    """How often containers of the pods have been started again."""
    return sum(status["restartCount"] for pod in running() for status in pod["status"]["containerStatuses"])


def metrics(pod):
    """A pod's figures, by name and labels."""
    ports = [each for container in pod["spec"]["containers"] for each in container["ports"]]
    (number,) = [each["containerPort"] for each in ports if each["name"] == "admin"]
    with urllib.request.urlopen(f"http://{pod['status']['podIP']}:{number}/metrics", timeout=10) as answer:
        lines = [line for line in answer.read().decode().splitlines() if line and not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def figure(pod, name, label=""):
    """The sum of a figure over all of its labels, or over those that hold this text."""
    return sum(value for full, value in metrics(pod).items() if full.partition("{")[0] == name and label in full)
