"""The Deployment is scaled from two pods to four and back under load, and the load is shared evenly."""

import time

import chart
from clock import Clock
from tools import say
from traffic import traffic
from verdict import table

# kube-proxy chooses a pod for each connection at random. With n connections on four pods, the share of one pod deviates
# by sqrt(3/n) of its value (one standard deviation): with 200 connections that is 12 %, more than any effect of the
# gateway. With 800 it is 6 %, and during the minute most connections are replaced once.
CONNECTIONS = 800
SETTLE = MEASURE = 60
CALLS = ("rpc_server_call_duration_seconds_count", "/GenerateContent")


def run(args, verdict):
    with traffic(args, "scaling 2 to 4", verdict, connections=CONNECTIONS):
        clock = Clock()
        chart.upgrade(replicaCount=4)
        clock.say("four pods are ready")
        time.sleep(SETTLE)
        first = counts()
        time.sleep(MEASURE)
        last = counts()
        clock.say("the calls of each pod are counted")
    check_shares(first, last, verdict)
    with traffic(args, "scaling 4 to 2", verdict, connections=CONNECTIONS):
        clock = Clock()
        chart.upgrade(replicaCount=2)
        clock.say("helm reports success")
        ended = chart.wait_until_old_pods_end()
        clock.say(f"the others have ended: {' '.join(ended)}")
    verdict.check("scaling: two pods are left", len(chart.pod_names()) == 2, ", ".join(chart.pod_names()))


def counts():
    """The number of calls that have ended, by pod."""
    return {pod["metadata"]["name"]: chart.metric(pod, *CALLS) for pod in chart.serving_pods()}


def check_shares(first, last, verdict):
    calls = {name: last[name] - first[name] for name in first}
    even = sum(calls.values()) / len(calls)
    rows = [(name, int(count), f"{count / sum(calls.values()):.1%}", f"{count / even - 1:+.1%}") for name, count in calls.items()]
    say(f"  from {SETTLE} s after scaling, for {MEASURE} s:")
    table(("pod", "calls", "share", "deviation"), *rows)
    worst = max(abs(count / even - 1) for count in calls.values())
    balanced = len(calls) == 4 and worst <= 0.2
    verdict.check("scaling: each of four pods is within 20 % of an even share", balanced, f"at most {worst:.1%} off")
