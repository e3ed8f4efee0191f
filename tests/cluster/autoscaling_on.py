"""Autoscaling is switched on under load, with the steps of the chart's UPGRADING.md."""

import contextlib
import os
import re
import subprocess
import time

import chart
import place
from children import wait_until
from clock import Clock
from kube import get
from traffic import traffic

PODS = 6
# The autoscaler checks every 15 s, so this is three of its checks.
THREE_CHECKS = 45


def run(args, verdict):
    changes = {"replicaCount": PODS}
    chart.upgrade(**changes)
    chart.wait_until_old_pods_end()
    before = chart.pod_names()
    try:
        with traffic(args, "autoscaling_on", verdict), watch_deployment() as states:
            clock = Clock()
            run_commands_of_the_page(changes)
            clock.say("all steps have been run")
            wait_until("the autoscaler exists", autoscalers, 30)
            time.sleep(THREE_CHECKS)
            same = "the same" if chart.pod_names() == before else "not the same"
            clock.say(f"the autoscaler has checked three times; the pods are {same}")
            # There are no metrics here, but the autoscaler needs none to enforce its minimum.
            more = {**changes, "autoscaling": {"enabled": True, "minReplicas": PODS + 1, "maxReplicas": 12}}
            chart.upgrade(**more)
            wait_until("the autoscaler has added a pod", lambda: states()[-1] == (PODS + 1, PODS + 1), 120)
            clock.say(f"the autoscaler has set the number of pods to {PODS + 1}")
            # From now on the autoscaler decides the number.
            chart.upgrade(**{**more, "autoscaling": {**more["autoscaling"], "minReplicas": PODS}})
            time.sleep(THREE_CHECKS)
            clock.say("after another upgrade, the autoscaler has checked three times")
            seen = states()
        wanted, ready = min(wanted for wanted, _ in seen), min(ready for _, ready in seen)
        least = f"at least {wanted} wanted and {ready} ready, in {len(seen)} states of the Deployment"
        verdict.check(f"autoscaling_on: never fewer than {PODS} pods", min(wanted, ready) >= PODS, least)
        kept = seen[-1][0] == PODS + 1
        verdict.check("autoscaling_on: an upgrade keeps the autoscaler's number", kept, f"{seen[-1][0]} wanted")
        stayed = set(before) & set(chart.pod_names())
        verdict.check("autoscaling_on: no pod is replaced", stayed == set(before), f"{len(stayed)} of {PODS} stay")
    finally:
        # The chart refuses to switch autoscaling off if its number differs from the autoscaler's.
        chart.helm("uninstall", chart.RELEASE, "--wait")
        chart.install()
        chart.wait_until_old_pods_end()


def run_commands_of_the_page(changes):
    """Runs the commands of UPGRADING.md as written there, with its placeholders filled in."""
    page = (chart.CHART / "UPGRADING.md").read_text()
    commands = re.search(r"^## Switch autoscaling on\n.*?^```sh\n(.*?)^```", page, re.M | re.S)[1]
    flags = " ".join(map(str, chart.values(**changes)))
    for name, value in [("NAMESPACE", chart.NAMESPACE), ("CHART", chart.CHART), ("--values values.yaml", flags)]:
        commands = commands.replace(name, str(value))
    environment = {"KUBECONFIG": str(place.KUBECONFIG), "PATH": f"{place.BIN}:{os.environ['PATH']}"}
    place.output("sh", "-euxc", commands, env={**os.environ, **environment})


def autoscalers():
    return get("horizontalpodautoscalers", "-n", chart.NAMESPACE)["items"]


@contextlib.contextmanager
def watch_deployment():
    """Watches the Deployment. Gives a function that returns all states so far: (wanted pods, ready pods)."""
    command = [place.BIN / "kubectl", "--kubeconfig", place.KUBECONFIG, "get", "deployment", "-n", chart.NAMESPACE]
    command += [chart.RELEASE, "--watch", "--output", 'jsonpath={.spec.replicas} {.status.readyReplicas}{"\\n"}']
    path = place.STATE / "deployment.watch"
    with path.open("w") as file:
        process = subprocess.Popen(list(map(str, command)), stdout=file, stdin=subprocess.DEVNULL)
        try:
            yield lambda: [tuple(map(int, f"{line} 0".split()[:2])) for line in path.read_text().splitlines()]
        finally:
            process.terminate()
            process.wait()
