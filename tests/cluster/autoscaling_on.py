"""Autoscaling is switched on under load, by the steps of the chart's UPGRADING.md."""

import contextlib
import os
import re
import subprocess
import time

import chart
import place
from children import wait
from clock import Clock
from kube import get
from traffic import traffic

PODS = 6
# The autoscaler looks each 15 s.
LOOKS = 45


def run(args, verdict):
    changes = {"replicaCount": PODS}
    chart.upgrade(**changes)
    chart.gone()
    before = chart.names()
    try:
        with traffic(args, "autoscaling_on", verdict), watched() as states:
            clock = Clock()
            steps(changes)
            clock.say("the steps are done")
            wait("the autoscaler is there", scaler, 30)
            time.sleep(LOOKS)
            clock.say(f"the autoscaler has looked; the pods are {'the same' if chart.names() == before else 'others'}")
            # No metric can be had here, but below its least number the autoscaler asks for none.
            more = {**changes, "autoscaling": {"enabled": True, "minReplicas": PODS + 1, "maxReplicas": 12}}
            chart.upgrade(**more)
            wait("the autoscaler has added a pod", lambda: states()[-1] == (PODS + 1, PODS + 1), 120)
            clock.say(f"the autoscaler has made it {PODS + 1} pods")
            # From now on the number is the autoscaler's.
            chart.upgrade(**{**more, "autoscaling": {**more["autoscaling"], "minReplicas": PODS}})
            time.sleep(LOOKS)
            clock.say("an upgrade after that has changed nothing")
            seen = states()
        wanted, ready = min(wanted for wanted, _ in seen), min(ready for _, ready in seen)
        said = f"{wanted} wanted and {ready} ready at least, in {len(seen)} states of the Deployment"
        verdict.check(f"autoscaling_on: pods are never below {PODS}", min(wanted, ready) >= PODS, said)
        kept = seen[-1][0] == PODS + 1
        verdict.check("autoscaling_on: an upgrade leaves the autoscaler's number", kept, f"{seen[-1][0]} wanted")
        stay = set(before) <= set(chart.names())
        verdict.check("autoscaling_on: no pod is replaced", stay, f"{len(set(before) & set(chart.names()))} of {PODS} stay")
    finally:
        # With another number than the autoscaler's Helm refuses to switch it off.
        chart.helm("uninstall", chart.RELEASE, "--wait")
        chart.install()
        chart.gone()


def steps(changes):
    """Runs the commands of the page as they stand there, but for the names that it leaves open."""
    page = (chart.CHART / "UPGRADING.md").read_text()
    commands = re.search(r"^## Switch autoscaling on\n.*?^```sh\n(.*?)^```", page, re.M | re.S)[1]
    flags = " ".join(map(str, chart.values(**changes)))
    for name, value in [("NAMESPACE", chart.NAMESPACE), ("CHART", chart.CHART), ("--values values.yaml", flags)]:
        commands = commands.replace(name, str(value))
    environment = {"KUBECONFIG": str(place.KUBECONFIG), "PATH": f"{place.BIN}:{os.environ['PATH']}"}
    place.output("sh", "-euxc", commands, env={**os.environ, **environment})


def scaler():
    return get("horizontalpodautoscalers", "-n", chart.NAMESPACE)["items"]


@contextlib.contextmanager
def watched():
    """Each state that the Deployment comes to, as numbers of pods: those wanted, and those ready."""
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
