"""A new key in the Secret is used under load, without a restart."""

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


def set_key(key):
    """Creates or changes the Secret."""
    metadata = {"name": SECRET, "namespace": chart.NAMESPACE}
    apply(json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"api-key": key}}))


def run(args, verdict):
    with upstream(place.ADDRESS, pace=0.1) as served:
        try:
            rotate(args, verdict, served)
        finally:
            chart.upgrade()
            chart.wait_until_old_pods_end()


def rotate(args, verdict, served):
    served.valid = {OLD}
    set_key(OLD)
    changes = {"sandbox": False, "apiKey": {"existingSecret": SECRET}}
    chart.upgrade(**changes, config={"upstreamUrl": served.url, "auth": "none"})
    chart.wait_until_old_pods_end()
    before = chart.pod_names()
    with traffic(args, "rotation", verdict, words=100):
        clock = Clock()
        served.valid = {OLD, NEW}
        set_key(NEW)
        changed = time.monotonic()
        first = first_with_new_key(served, 120)
        clock.say("upstream sees the new key")
        last = last_with_old_key(served, 120)
        clock.say("upstream sees only the new key" if last is not None else "upstream still sees the old key")
        if last is not None:
            # From now on a call with the old key would fail.
            served.valid = {NEW}
            time.sleep(10)
    seen = "no"
    if first and last:
        seen = f"first seen after {first - changed:.1f} s, old key last seen after {last - changed:.1f} s"
    verdict.check("rotation: the new key arrives", seen != "no", seen)
    verdict.check("rotation: the pods are the same", chart.pod_names() == before, ", ".join(chart.pod_names()))


def first_with_new_key(served, seconds):
    """The time of the first call with the new key, or None."""
    with served.key_seen:
        return time.monotonic() if served.key_seen.wait_for(lambda: served.keys[NEW], seconds) else None


def last_with_old_key(served, seconds):
    """The time of the last call with the old key, after which there was none for five seconds; or None."""
    count, since, until = -1, 0.0, time.monotonic() + seconds
    while time.monotonic() < until:
        if served.keys[OLD] != count:
            count, since = served.keys[OLD], time.monotonic()
        if time.monotonic() - since > 5:
            return since
        time.sleep(0.05)
    return None
