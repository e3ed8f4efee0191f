"""Pods and the Service have an address of each family, and calls come over IPv6."""

import time

import chart
import place
from kube import get
from tools import say
from traffic import calls


def run(args, verdict):
    if not place.DUAL:
        return say("  this machine has no IPv6")
    chart.upgrade(service={"ipFamilyPolicy": "RequireDualStack"})
    addresses = get("service", "-n", chart.NAMESPACE, chart.RELEASE)["spec"]["clusterIPs"]
    of_pods = [[each["ip"] for each in pod["status"]["podIPs"]] for pod in chart.running()]
    dual = all(len(each) == 2 and ":" in each[1] for each in [addresses, *of_pods])
    verdict.check("dual_stack: the Service and its pods have two addresses", dual, ", ".join(addresses))
    with calls(args, "dual_stack: over IPv6", verdict, [f"[{addresses[1]}]:50051"]):
        time.sleep(20)
    chart.upgrade()
