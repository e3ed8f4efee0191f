"""Pods and the Service have an IPv4 and an IPv6 address, and calls are made over IPv6."""

import time

import chart
import place
from kube import get
from tools import say
from traffic import calls


def run(args, verdict):
    if not place.DUAL_STACK:
        return say("  this machine has no IPv6")
    chart.upgrade(service={"ipFamilyPolicy": "RequireDualStack"})
    addresses = get("service", "-n", chart.NAMESPACE, chart.RELEASE)["spec"]["clusterIPs"]
    pod_addresses = [[each["ip"] for each in pod["status"]["podIPs"]] for pod in chart.serving_pods()]
    dual = all(len(each) == 2 and ":" in each[1] for each in [addresses, *pod_addresses])
    verdict.check("dual_stack: the Service and its pods have two addresses", dual, ", ".join(addresses))
    with calls(args, "dual_stack: over IPv6", verdict, [f"[{addresses[1]}]:50051"]):
        time.sleep(20)
    chart.upgrade()
