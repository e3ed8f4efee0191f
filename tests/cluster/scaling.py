"""From two pods to four and back under load, and how even the load is then."""

import time

import chart
from clock import Clock
from tools import say
from traffic import traffic
from verdict import table

# A ClusterIP draws a pod for each connection by lot. With n connections on four pods the share of one is off by
# sqrt(3/n) of itself (one standard deviation): 12 % for 200, which says more of the lot than of the gateway. 800 make
# that 6 %, and during the minute most connections are made anew once.
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
        clock.say("the shares are measured")
    shares(first, last, verdict)
    with traffic(args, "scaling 4 to 2", verdict, connections=CONNECTIONS):
        clock = Clock()
        chart.upgrade(replicaCount=2)
        clock.say("helm says that two are left")
        ended = chart.gone()
        clock.say(f"the others have ended: {' '.join(ended)}")
    verdict.check("scaling: two pods are left", len(chart.names()) == 2, ", ".join(chart.names()))


def counts():
    """Calls that have ended, for each pod."""
    return {pod["metadata"]["name"]: chart.figure(pod, *CALLS) for pod in chart.running()}


def shares(first, last, verdict):
    calls = {name: last[name] - first[name] for name in first}
    even = sum(calls.values()) / len(calls)
    rows = [(name, int(count), f"{count / sum(calls.values()):.1%}", f"{count / even - 1:+.1%}") for name, count in calls.items()]
    say(f"  from {SETTLE} s after scaling, for {MEASURE} s:")
    table(("pod", "calls", "share", "off even"), *rows)
    worst = max(abs(count / even - 1) for count in calls.values())
    verdict.check("scaling: each of four pods is within 20 % of even", len(calls) == 4 and worst <= 0.2, f"{worst:.1%} off at most")
