"""Pods are deleted under load, one after the other."""

import chart
from clock import Clock
from kube import kubectl
from traffic import traffic


def run(args, verdict):
    before = chart.names()
    with traffic(args, "deletion", verdict):
        clock = Clock()
        for name in before:
            clock.say(f"{name} is deleted")
            kubectl("delete", "pod", "-n", chart.NAMESPACE, name, "--wait=false")
            kubectl("rollout", "status", "-n", chart.NAMESPACE, f"deployment/{chart.RELEASE}", "--timeout=120s")
            clock.say("another is ready")
            chart.gone()
            clock.say(f"{name} has ended")
    kept = set(before) & set(chart.names())
    verdict.check("deletion: all pods are others", not kept, ", ".join(chart.names()))
