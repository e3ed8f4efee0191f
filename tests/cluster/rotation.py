"""A new key in the Secret reaches upstream under load, without a restart."""

import json
import time

import chart
import place
from clock import Clock
from kube import apply
from traffic import traffic
from upstream import upstream

SECRET = "gateway-key"
OLD, NEW = "the-old-key", "the-new-key"


def secret(key):
    metadata = {"name": SECRET, "namespace": chart.NAMESPACE}
    apply(json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"api-key": key}}))


def run(args, verdict):
    with upstream(place.ADDRESS, pace=0.1) as served:
        try:
            rotate(args, verdict, served)
        finally:
            chart.upgrade()
            chart.gone()


def rotate(args, verdict, served):
    served.valid = {OLD}
    secret(OLD)
    changes = {"sandbox": False, "apiKey": {"existingSecret": SECRET}}
    chart.upgrade(**changes, config={"upstreamUrl": served.url, "auth": "none"})
    chart.gone()
    before = chart.names()
    with traffic(args, "rotation", verdict, words=100):
        clock = Clock()
        served.valid = {OLD, NEW}
        secret(NEW)
        begun = time.monotonic()
        seen = arrives(served, 120)
        clock.say("upstream sees the new key")
        last = ends(served, 120)
        clock.say("upstream sees the old key no more" if last is not None else "upstream sees the old key still")
        if last is not None:
            # From here on a call with the old key would fail.
            served.valid = {NEW}
            time.sleep(10)
    seen = f"first after {seen - begun:.1f} s, old key last after {last - begun:.1f} s" if seen and last else "no"
    verdict.check("rotation: the new key arrives", seen != "no", seen)
    verdict.check("rotation: the pods are the same", chart.names() == before, ", ".join(chart.names()))


def arrives(served, seconds):
    """When the first call with the new key came."""
    with served.key_seen:
        return time.monotonic() if served.key_seen.wait_for(lambda: served.keys[NEW], seconds) else None


def ends(served, seconds):
    """When the last call with the old key came: after it five seconds had none."""
    count, since, until = -1, 0.0, time.monotonic() + seconds
    while time.monotonic() < until:
        if served.keys[OLD] != count:
            count, since = served.keys[OLD], time.monotonic()
        if time.monotonic() - since > 5:
            return since
        time.sleep(0.05)
    return None
