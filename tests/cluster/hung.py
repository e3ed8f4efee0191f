"""A process that hangs is restarted while the other pods serve."""

import os
import signal
import time

import chart
from children import wait_until
from clock import Clock
from kube import kubectl
from traffic import calls
from worker import process_of

# Three failed probes, ten seconds apart, and the 30 s that the chart gives a hanging process to end, with some reserve.
# Without the chart's setting it would be the pod's whole grace period.
RESTART_TIMEOUT = 90


def run(args, verdict):
    chart.upgrade(replicaCount=3)
    chart.wait_until_old_pods_end()
    hanging, *others = chart.serving_pods()
    name = hanging["metadata"]["name"]
    pid = process_of(hanging)
    with calls(args, "hung: the other pods", verdict, [f"{pod['status']['podIP']}:50051" for pod in others]):
        clock, started = Clock(), time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        clock.say(f"the process of {name} was stopped")
        wait_until("the pod is not ready", lambda: not state(name)["ready"], 60)
        clock.say("its pod is no longer ready")
        wait_until("a new process serves", lambda: state(name)["restartCount"] == 1 and state(name)["ready"], 900)
        took = time.monotonic() - started
        clock.say("a new process serves in this pod")
    restarts = [state(pod["metadata"]["name"])["restartCount"] for pod in others]
    timely = took < RESTART_TIMEOUT
    verdict.check(f"hung: a new process serves within {RESTART_TIMEOUT} s", timely, f"{took:.1f} s")
    verdict.check("hung: the other pods are not restarted", not any(restarts), f"{sum(restarts)} restarts")
    # The next scenario expects no restarts, so the pod is replaced.
    kubectl("delete", "pod", "-n", chart.NAMESPACE, name)
    chart.upgrade()
    chart.wait_until_old_pods_end()


def state(name):
    """The state of the pod's only container."""
    (pod,) = [pod for pod in chart.serving_pods() if pod["metadata"]["name"] == name]
    return pod["status"]["containerStatuses"][0]
