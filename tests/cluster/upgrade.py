"""A changed value replaces all pods under load."""

import chart
from clock import Clock
from traffic import traffic


def run(args, verdict):
    replace(args, verdict, "upgrade")


def replace(args, verdict, name, **values):
    """Changes a value beside these."""
    before = chart.names()
    with traffic(args, name, verdict):
        clock = Clock()
        chart.upgrade(**values, config={"maxCalls": 900})
        clock.say("helm says that the new pods are ready")
        ended = chart.gone()
        clock.say(f"the old pods have ended: {' '.join(ended) or 'before that'}")
    after = chart.names()
    kept = set(before) & set(after)
    seen = f"{len(before)} before, {len(after)} after, {len(kept)} of them the same"
    verdict.check(f"{name}: all pods are others", len(before) == len(after) and not kept, seen)
