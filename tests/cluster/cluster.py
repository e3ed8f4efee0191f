"""A cluster, from nothing to a pod that resolves a Service, and its end."""

import contextlib
import time

import authority
import control
import images
import machine
import place
import programs
import worker
from kube import apply, kubectl, once
from tools import say


def up():
    """Brings it up; hands over what a pod was told by the cluster's DNS."""
    begun = time.monotonic()

    def step(what):
        say(f"  {time.monotonic() - begun:5.1f} s  {what}")

    machine.prepare()
    authority.make()
    worker.containerd()
    images.prepare()
    step("containerd runs and has the images")
    control.begin()
    step("the API server is ready")
    worker.begin()
    step("the node is Ready")
    apply((place.HERE / "dns.yaml").read_text())
    kubectl("rollout", "status", "-n", "kube-system", "deployment/coredns", "--timeout=60s")
    step("CoreDNS is ready")
    well, said = once("resolve", "default", "resolve", "kubernetes.default.svc.cluster.local")
    step(f"a pod asks for the Service kubernetes and is told {said}")
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
