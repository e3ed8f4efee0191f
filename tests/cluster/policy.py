"""With the chart's NetworkPolicy only those reach the pods who may."""

import chart
import place
import programs
from children import start, stop, wait
from kube import get, once
from machine import quietly, remove_rules
from tools import say

CALLER = {"may-call": "yes"}


def run(args, verdict):
    callers = [{"podSelector": {"matchLabels": CALLER}}]
    chart.upgrade(networkPolicy={"enabled": True, "callers": callers})
    try:
        policies = get("networkpolicies", "-n", chart.NAMESPACE)["items"]
        names = ", ".join(policy["metadata"]["name"] for policy in policies)
        verdict.check("policy: the API server takes it", len(policies) == 1, names or "none")
        # The bridge plugin knows no policies. What says so is a pod that may not, and does.
        stranger, said = connects("before", {})
        say(f"  before kube-router runs, a stranger is told: {said}")
        verdict.check("policy: this CNI enforces nothing by itself", stranger, said)
        enforce()
        enforced(verdict)
    finally:
        stop("kube-router")
        remove_rules()
        chart.upgrade()


def enforce():
    """Runs what makes rules of policies, and waits for the rules."""
    programs.build("kube-router", "kube-router", "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router")
    start(
        "kube-router",
        place.BIN / "kube-router",
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        f"--kubeconfig={place.KUBECONFIG}",
        f"--hostname-override={place.FIRST.name}",
        f"--service-cluster-ip-range={place.SERVICES}",
        "--health-port=0",
    )
    wait("kube-router makes rules", lambda: "KUBE-NWPLCY" in quietly("iptables-save").stdout, 60, "kube-router")


def connects(name, labels, port=50051):
    """Whether a pod with these labels reaches a gateway."""
    address = chart.service() if port == 50051 else f"{chart.running()[0]['status']['podIP']}:{port}"
    return once(name, chart.NAMESPACE, "connect", address, labels=labels)


def enforced(verdict):
    may, said = connects("caller", CALLER)
    verdict.check("policy: who may call connects", may, said)
    may, said = connects("stranger", {})
    verdict.check("policy: a stranger does not", not may, said)
    may, said = connects("reader", CALLER, 9464)
    verdict.check("policy: who may call does not reach the admin port", not may, said)
    printed = chart.helm("test", chart.RELEASE, "--timeout", "3m")
    verdict.check("policy: helm test does", "Succeeded" in printed, "Succeeded" if "Succeeded" in printed else printed[-100:])
