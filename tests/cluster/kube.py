"""Runs kubectl, and reads objects with it."""

import json

import place


def kubectl(*words, **more):
    return place.output(place.BIN / "kubectl", "--kubeconfig", place.KUBECONFIG, *words, **more)


def apply(text):
    """Creates or changes the objects of a text in YAML or JSON."""
    return kubectl("apply", "-f", "-", input=text)


def namespace(name):
    """Creates a namespace that enforces the restricted pod security standard."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}))


def get(*words):
    """The result of `kubectl get`, from JSON."""
    return json.loads(kubectl("get", *words, "-o", "json"))


def pods(namespace, selector, ending=False):
    """The pods that are not being deleted, or those that are."""
    found = get("pods", "-n", namespace, "-l", selector)["items"]
    return [pod for pod in found if ("deletionTimestamp" in pod["metadata"]) == ending]


def run_in_pod(name, namespace, *arguments, labels=None, seconds=60):
    """Runs the cluster's tool in a pod until it ends. Returns whether it succeeded, and its output."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "tool",
                    "image": place.TOOL,
                    "args": list(arguments),
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
    apply(json.dumps(pod))
    try:
        # Not a phase of the pod: it could be Succeeded or Failed, and kubectl waits for one value only.
        kubectl(
            *("wait", "-n", namespace, f"pod/{name}", f"--timeout={seconds}s"),
            "--for=jsonpath={.status.containerStatuses[0].state.terminated}",
        )
        state = get("pod", "-n", namespace, name)["status"]["containerStatuses"][0]["state"]["terminated"]
        return state["exitCode"] == 0, kubectl("logs", "-n", namespace, name).strip()
    finally:
        kubectl("delete", "pod", "-n", namespace, name, "--grace-period=0", "--force")
