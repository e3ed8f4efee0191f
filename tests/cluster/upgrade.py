"""A changed value replaces all pods under load."""

import chart
from clock import Clock
from traffic import traffic


def run(args, verdict):
    replace(args, verdict, "upgrade")


def replace(args, verdict, name, load=None, **values):
    """Changes one value in addition to `values`, under load. `load` has arguments of `traffic`."""
    before = chart.pod_names()
    with traffic(args, name, verdict, **(load or {})):
        clock = Clock()
        chart.upgrade(**chart.merged(values, {"config": {"maxCalls": 900}}))
        clock.say("helm reports that the new pods are ready")
        ended = chart.wait_until_old_pods_end()
        clock.say(f"the old pods have ended: {' '.join(ended) or 'they had before'}")
    after = chart.pod_names()
    kept = set(before) & set(after)
    seen = f"{len(before)} before, {len(after)} after, {len(kept)} in both"
    verdict.check(f"{name}: all pods are replaced", len(before) == len(after) and not kept, seen)
