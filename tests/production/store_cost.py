"""What shared limits add to a call: gateways with and without Redis on loopback are called in turn, in pairs.

Each gateway has one worker and a caller with limits. One call at a time is made to each of them, in random order, so that
whatever else the machine does affects both. The difference of the medians is judged.
"""

import argparse
import contextlib
import random
import statistics
import time

import tools

# The most microseconds that the median call may take longer.
MAX_ADDED = 150
CALLERS = {"team": {"calls_per_minute": 10_000_000, "tokens_per_minute": 1_000_000_000, "calls_in_flight": 1000}}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000, help="the number of calls to each gateway")
    parser.add_argument("--slack", type=float, default=1, help="multiplies the time that is allowed")
    return parser.parse_args()


def main(args):
    from engine import redis
    from gateways import gateways
    from instructions import Upstream, request
    from rawcalls import Client
    from rest_calls import token
    from running import end_well
    from shapes import member
    from verdict import Verdict, table

    end_well()
    verdict, folder, upstream = Verdict(), tools.scratch("store_cost"), Upstream()
    data = request("gemini-2.5-flash", member(2, b"Why is the sky blue, and not violet? " * 27))
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(redis(folder / "redis", "--appendonly", "no"))
        clients, times = {}, {}
        for name, url in {"in memory": None, "in Redis": server.url}.items():
            started = stack.enter_context(gateways(folder / name.replace(" ", "-"), 1, upstream.url, url, CALLERS))
            if url:
                started.connected()
            clients[name] = Client(started[0].address, [("x-goog-api-key", token("team"))])
            times[name] = []
        for number in range(args.calls + 200):
            for name in random.sample(list(clients), 2):
                begun = time.perf_counter()
                assert (status := clients[name].call(data)) == "OK", status
                # The first calls open connections.
                if number >= 200:
                    times[name].append((time.perf_counter() - begun) * 1e6)
    upstream.listener.close()
    rows = [("limits", "p50", "p90", "p99")]
    for name, values in times.items():
        cuts = statistics.quantiles(values, n=100)
        rows.append((name, *(f"{cuts[percent - 1]:.0f} us" for percent in (50, 90, 99))))
    table(*rows)
    added = statistics.median(times["in Redis"]) - statistics.median(times["in memory"])
    verdict.check(f"at most {MAX_ADDED} us more for the median call", added <= MAX_ADDED * args.slack, f"{added:+.0f} us")
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
