"""A cluster, from nothing to a pod that resolves a Service, and its end."""

import contextlib

import authority
import control
import images
import machine
import place
import programs
import worker
from clock import Clock
from kube import apply, kubectl, once
from tools import say


def up():
    """Brings it up; hands over what a pod was told by the cluster's DNS."""
    clock = Clock()
    machine.prepare()
    authority.make()
    worker.containerd()
    images.prepare()
    clock.say("containerd runs and has the images")
    control.begin()
    clock.say("the API server is ready")
    worker.begin()
    clock.say("the node is Ready")
    apply((place.HERE / "dns.yaml").read_text())
    kubectl("rollout", "status", "-n", "kube-system", "deployment/coredns", "--timeout=60s")
    clock.say("CoreDNS is ready")
    well, said = once("resolve", "default", "resolve", "kubernetes.default.svc.cluster.local")
    clock.say(f"a pod asks for the Service kubernetes and is told {said}")
    return well and said == f"[{place.API_SERVICE}]", said


@contextlib.contextmanager
def cluster(keep):
    """A cluster for as long as the block runs, or longer."""
    programs.prepare()
    machine.restore()
    try:
        yield
    finally:
        if keep:
            tell()
        else:
            machine.restore()


def tell():
    say("\nThe cluster is left running.")
    say(f"  export KUBECONFIG={place.KUBECONFIG} PATH={place.BIN}:$PATH")
    say("  kubectl get pods --all-namespaces")
    say("It ends with: python3 tests/cluster/run.py --down")
