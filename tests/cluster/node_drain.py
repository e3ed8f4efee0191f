"""One of two nodes is drained under load, and its pods are replaced on the other one."""

import collections

import chart
import place
from autoscaling_on import watch_deployment
from children import wait_until
from clock import Clock
from kube import kubectl
from second_node import second_node
from traffic import traffic

PODS = 4


def run(args, verdict):
    with second_node() as node:
        chart.upgrade(replicaCount=PODS)
        chart.wait_until_old_pods_end()
        before = pods_per_node()
        verdict.check("node_drain: pods are on both nodes", before[place.FIRST.name] and before[node.name], text(before))
        with traffic(args, "node_drain", verdict), watch_deployment() as states:
            clock = Clock()
            kubectl("drain", node.name, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=600s")
            clock.say("the node is drained")
            wait_until("all pods are ready again", lambda: states()[-1] == (PODS, PODS), 120)
            clock.say(f"{PODS} pods are ready")
            fewest = min(ready for _, ready in states())
        after = pods_per_node()
        verdict.check("node_drain: all pods are on the other node", after == {place.FIRST.name: PODS}, text(after))
        # The chart's PodDisruptionBudget allows one pod to be evicted at a time.
        verdict.check(f"node_drain: {PODS - 1} pods are ready at all times", fewest >= PODS - 1, f"at least {fewest}")
        chart.upgrade()
        chart.wait_until_old_pods_end()


def pods_per_node():
    """The number of the release's pods on each node."""
    return collections.Counter(pod["spec"]["nodeName"] for pod in chart.serving_pods())


def text(counts):
    return ", ".join(f"{count} on {name}" for name, count in counts.items())
