"""With the chart's NetworkPolicy only those reach the pods who may."""

import chart
import place
from children import start, stop, wait
from kube import get, once
from machine import quietly
from tools import say

CALLER = {"may-call": "yes"}
ROUTER = place.BIN / "kube-router"


def run(args, verdict):
    chart.upgrade(networkPolicy={"enabled": True, "callers": [{"podSelector": {"matchLabels": CALLER}}]})
    try:
        policies = get("networkpolicies", "-n", chart.NAMESPACE)["items"]
        seen = ", ".join(policy["metadata"]["name"] for policy in policies)
        verdict.check("policy: the API server takes it", len(policies) == 1, seen)
        if not ROUTER.exists():
            say("  not enforced by this CNI, and there is no kube-router")
            return
        enforced(verdict)
    finally:
        chart.upgrade()


def enforced(verdict):
    """A pod with the label connects, one without does not. Before the rules are made both do."""
    address = chart.service()
    other = f"{chart.running()[0]['status']['podIP']}:50051"
    before, said = once("stranger", chart.NAMESPACE, "connect", address)
    verdict.check("policy: nothing is enforced without kube-router", before, said)
