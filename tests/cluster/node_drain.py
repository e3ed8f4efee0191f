"""One of two nodes is drained under load, and its pods come back on the other."""

import collections

import chart
import place
from autoscaling_on import watched
from children import wait
from clock import Clock
from kube import kubectl
from second_node import second_node
from traffic import traffic

PODS = 4


def run(args, verdict):
    with second_node() as node:
        chart.upgrade(replicaCount=PODS)
        chart.gone()
        before = nodes()
        verdict.check("node_drain: pods are on both nodes", before[place.FIRST.name] and before[node.name], text(before))
        with traffic(args, "node_drain", verdict), watched() as states:
            clock = Clock()
            kubectl("drain", node.name, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=600s")
            clock.say("kubectl says that the node is drained")
            wait("all pods are ready again", lambda: states()[-1] == (PODS, PODS), 120)
            clock.say(f"{PODS} pods are ready")
            fewest = min(ready for _, ready in states())
        after = nodes()
        verdict.check("node_drain: all pods are on the other node", after == {place.FIRST.name: PODS}, text(after))
        # The chart's budget lets one pod go at a time.
        verdict.check(f"node_drain: {PODS - 1} pods are ready at all times", fewest >= PODS - 1, f"{fewest} at least")
        chart.upgrade()
        chart.gone()


def nodes():
    """How many pods of the release each node has."""
    return collections.Counter(pod["spec"]["nodeName"] for pod in chart.running())


def text(counts):
    return ", ".join(f"{count} on {name}" for name, count in counts.items())
