"""A process that hangs is replaced, while the other pods serve."""

import os
import signal
import time

import chart
from children import wait
from clock import Clock
from kube import kubectl
from traffic import calls
from worker import process_of

# Three failed probes, ten seconds apart, and the 30 s that such a process gets: far from the pod's grace period.
SOON = 90


def run(args, verdict):
    chart.upgrade(replicaCount=3)
    chart.gone()
    hangs, *others = chart.running()
    name = hangs["metadata"]["name"]
    pid = process_of(hangs)
    with calls(args, "hung: the other pods", verdict, [f"{pod['status']['podIP']}:50051" for pod in others]):
        clock, begun = Clock(), time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        clock.say(f"the process of {name} hangs")
        wait("the pod is not ready", lambda: not state(name)["ready"], 60)
        clock.say("its pod is not ready")
        wait("another process serves", lambda: state(name)["restartCount"] == 1 and state(name)["ready"], 900)
        took = time.monotonic() - begun
        clock.say("another process serves in it")
    restarts = [state(pod["metadata"]["name"])["restartCount"] for pod in others]
    verdict.check(f"hung: another process serves within {SOON} s", took < SOON, f"{took:.1f} s")
    verdict.check("hung: the other pods are not restarted", not any(restarts), f"{sum(restarts)} restarts")
    # The next scenario counts restarts from nothing.
    kubectl("delete", "pod", "-n", chart.NAMESPACE, name)
    chart.upgrade()
    chart.gone()


def state(name):
    """The state of the pod's only container."""
    (pod,) = [pod for pod in chart.running() if pod["metadata"]["name"] == name]
    return pod["status"]["containerStatuses"][0]
