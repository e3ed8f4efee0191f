"""A changed value replaces all pods under load."""

import chart
from clock import Clock
from traffic import traffic


def run(args, verdict):
    replace(args, verdict, "upgrade")


def replace(args, verdict, name, load=None, **values):
    """Changes one more value than these, while calls are made as `load` says (arguments of `traffic`)."""
    before = chart.names()
    with traffic(args, name, verdict, **(load or {})):
        clock = Clock()
        chart.upgrade(**chart.merged(values, {"config": {"maxCalls": 900}}))
        clock.say("helm says that the new pods are ready")
        ended = chart.gone()
        clock.say(f"the old pods have ended: {' '.join(ended) or 'before that'}")
    after = chart.names()
    kept = set(before) & set(after)
    seen = f"{len(before)} before, {len(after)} after, {len(kept)} of them the same"
    verdict.check(f"{name}: all pods are others", len(before) == len(after) and not kept, seen)
