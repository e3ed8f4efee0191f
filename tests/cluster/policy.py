"""With the chart's NetworkPolicy, only allowed pods can connect to the gateway."""

import chart
import place
import programs
from children import start, stop, wait_until
from kube import get, run_in_pod
from machine import attempt, remove_rules
from tools import say

CALLER = {"may-call": "yes"}


def run(args, verdict):
    callers = [{"podSelector": {"matchLabels": CALLER}}]
    chart.upgrade(networkPolicy={"enabled": True, "callers": callers})
    try:
        policies = get("networkpolicies", "-n", chart.NAMESPACE)["items"]
        names = ", ".join(policy["metadata"]["name"] for policy in policies)
        verdict.check("policy: the API server accepts it", len(policies) == 1, names or "none")
        # The bridge plugin ignores policies. This shows that the later refusals are kube-router's.
        connected, seen = connects("before", {})
        say(f"  before kube-router runs, a pod without the label: {seen}")
        verdict.check("policy: without kube-router it is not enforced", connected, seen)
        start_enforcing()
        check_enforced(verdict)
    finally:
        stop("kube-router")
        remove_rules()
        chart.upgrade()


def start_enforcing():
    """Starts kube-router, which turns policies into rules, and waits for the rules."""
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
    wait_until("kube-router added rules", lambda: "KUBE-NWPLCY" in attempt("iptables-save").stdout, 60, "kube-router")


def connects(name, labels, port=50051):
    """Whether a pod with these labels can connect to a gateway, and the output of the attempt."""
    address = chart.service() if port == 50051 else f"{chart.serving_pods()[0]['status']['podIP']}:{port}"
    return run_in_pod(name, chart.NAMESPACE, "connect", address, labels=labels)


def check_enforced(verdict):
    connected, seen = connects("caller", CALLER)
    verdict.check("policy: a pod with the label can connect", connected, seen)
    connected, seen = connects("stranger", {})
    verdict.check("policy: a pod without the label cannot", not connected, seen)
    connected, seen = connects("reader", CALLER, 9464)
    verdict.check("policy: a pod with the label cannot reach the admin port", not connected, seen)
    printed = chart.helm("test", chart.RELEASE, "--timeout", "3m")
    succeeded = "Succeeded" in printed
    verdict.check("policy: helm test succeeds", succeeded, "Succeeded" if succeeded else printed[-100:])
