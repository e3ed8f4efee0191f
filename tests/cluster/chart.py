"""Installs and changes the chart, and reads the state of its pods."""

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
    """Values with changes, merged level by level as helm does it."""
    result = dict(values)
    for name, value in changes.items():
        result[name] = merged(result.get(name, {}), value) if isinstance(value, dict) else value
    return result


def install():
    """Installs the chart into its own namespace."""
    namespace(NAMESPACE)
    upgrade()


def upgrade(**changes):
    """Installs the chart or changes its values, to `VALUES` with these changes, and waits until everything is ready."""
    helm("upgrade", "--install", RELEASE, CHART, *values(**changes), "--wait", "--timeout", "5m")


def values(**changes):
    """Helm's flags for `VALUES` with these changes."""
    path = place.STATE / "values.json"
    path.write_text(json.dumps(merged(VALUES, changes)))
    return ["--values", CHART / "values-sandbox.yaml", "--values", path]


def pod_names(ending=False):
    """The names of the serving pods, or of those that are being deleted."""
    return sorted(pod["metadata"]["name"] for pod in pods(NAMESPACE, SELECTOR, ending))


def service():
    """The Service's address, as seen from the node."""
    spec = get("service", "-n", NAMESPACE, RELEASE)["spec"]
    (port,) = [each["port"] for each in spec["ports"] if each["name"] == "grpc"]
    return f"{spec['clusterIP']}:{port}"


def serving_pods():
    """The pods that are not being deleted."""
    return pods(NAMESPACE, SELECTOR)


def wait_until_old_pods_end(seconds=660):
    """Waits for the end of the pods that are being deleted, and returns their names."""
    ending = pod_names(ending=True)
    for name in ending:
        kubectl("wait", "-n", NAMESPACE, f"pod/{name}", "--for=delete", f"--timeout={seconds}s")
    return ending


def restarts():
    """How often the pods' containers have been restarted."""
    return sum(status["restartCount"] for pod in serving_pods() for status in pod["status"]["containerStatuses"])


def metrics(pod):
    """A pod's metrics, by name and labels."""
    ports = [each for container in pod["spec"]["containers"] for each in container["ports"]]
    (number,) = [each["containerPort"] for each in ports if each["name"] == "admin"]
    with urllib.request.urlopen(f"http://{pod['status']['podIP']}:{number}/metrics", timeout=10) as answer:
        lines = [line for line in answer.read().decode().splitlines() if line and not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def metric(pod, name, label=""):
    """The sum of a metric over all its series, or over those whose labels contain this text."""
    return sum(value for full, value in metrics(pod).items() if full.partition("{")[0] == name and label in full)
