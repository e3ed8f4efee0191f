"""Starts the cluster, until a pod can resolve a Service, and removes it."""

import contextlib

import authority
import control
import images
import machine
import place
import programs
import worker
from clock import Clock
from kube import apply, kubectl, run_in_pod
from tools import say


def up():
    """Starts all components. Returns whether a pod got the right answer from the cluster's DNS, and the answer."""
    clock = Clock()
    machine.prepare()
    authority.make()
    worker.containerd()
    images.prepare()
    clock.say("containerd runs and has the images")
    control.start_all()
    clock.say("the API server is ready")
    worker.start_all()
    clock.say("the node is Ready")
    apply((place.HERE / "dns.yaml").read_text())
    kubectl("rollout", "status", "-n", "kube-system", "deployment/coredns", "--timeout=60s")
    clock.say("CoreDNS is ready")
    succeeded, answer = run_in_pod("resolve", "default", "resolve", "kubernetes.default.svc.cluster.local")
    clock.say(f"a pod resolves the Service kubernetes to {answer}")
    return succeeded and answer == f"[{place.API_SERVICE}]", answer


@contextlib.contextmanager
def cluster(keep):
    """Removes an earlier cluster, and at the end of the `with` block this one, unless it is kept."""
    programs.prepare()
    machine.restore()
    try:
        yield
    finally:
        if keep:
            print_instructions()
        else:
            machine.restore()


def print_instructions():
    say("\nThe cluster is left running.")
    say(f"  export KUBECONFIG={place.KUBECONFIG} PATH={place.BIN}:$PATH")
    say("  kubectl get pods --all-namespaces")
    say("This removes it: python3 tests/cluster/run.py --down")
