"""All pods are deleted under load, one after the other."""

import chart
from clock import Clock
from kube import kubectl
from traffic import traffic


def run(args, verdict):
    before = chart.pod_names()
    with traffic(args, "deletion", verdict):
        clock = Clock()
        for name in before:
            clock.say(f"{name} is deleted")
            kubectl("delete", "pod", "-n", chart.NAMESPACE, name, "--wait=false")
            kubectl("rollout", "status", "-n", chart.NAMESPACE, f"deployment/{chart.RELEASE}", "--timeout=120s")
            clock.say("its replacement is ready")
            chart.wait_until_old_pods_end()
            clock.say(f"{name} has ended")
    kept = set(before) & set(chart.pod_names())
    verdict.check("deletion: all pods are replaced", not kept, ", ".join(chart.pod_names()))
