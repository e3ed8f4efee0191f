"""The cost of telemetry: compares gateways with and without it under the same load.

Four gateways use one sandbox as upstream: one without telemetry (OTEL_SDK_DISABLED=true), one that exports every call to a
real Collector, one that samples no trace but has all metrics, and one without the access log. In each round, each of them
gets the same calls, or the same streams, for the same time; every second round runs in reverse order. The result is the CPU
time of each gateway, as a ratio to the first one in the same round; the median of the rounds is judged. The Collector's own
CPU time is not counted.
"""

import argparse
import contextlib
import pathlib
import statistics
import time

import tools

# The maximum ratio of CPU time to that without telemetry.
MAX_CPU_RATIO = {("calls", "every call"): 1.10, ("calls", "no trace"): 1.05, ("streams", "every call"): 1.03}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--rounds", type=int, default=10, help="rounds of each load")
    add("--seconds", type=float, default=4, help="how long each gateway is loaded in a round")
    add("--rate", type=float, default=2000, help="calls a second")
    add("--slack", type=float, default=1, help="factor on the allowed ratios, for runs that are too short for a measurement")
    add("--only", choices=["calls", "streams"], help="one of the two loads")
    add("--streams", type=int, default=200, help="concurrent streams, each with 50 events a second")
    return parser.parse_args()


def cpu(pid):
    """The CPU time of all threads of a process, in seconds."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def load(server, seconds, **what):
    """The CPU time of a gateway while a load client calls it, in seconds."""
    import clients

    flags = ["--seconds", 600, "--words", 300]
    with clients.calling(f"http://{server.address}", *flags, kinds=["tonic"], **what):
        # After a second, the connections and streams are open.
        time.sleep(1)
        before = cpu(server.pid)
        time.sleep(seconds)
        return cpu(server.pid) - before


def main(args):
    from running import end_well, gateway, sandbox
    from telemetry import COLLECTOR, Collector
    from verdict import Verdict, table

    if not COLLECTOR.exists():
        raise SystemExit(f"error: there is no {COLLECTOR}; the step 'build Go tools' of .ci/run makes it")
    end_well()
    verdict, folder = Verdict(), tools.scratch("cost")
    loads = {"calls": {"rate": args.rate, "streams": 0}, "streams": {"rate": 0, "streams": args.streams}}
    with contextlib.ExitStack() as stack:
        collector = Collector(folder).start()
        stack.callback(collector.stop)
        upstream = stack.enter_context(sandbox(pace=20))
        # With the default intervals of production, not the short ones of tests.
        exporting = {n: v for n, v in collector.environment().items() if "SCHEDULE" not in n and "INTERVAL" not in n}
        settings = {
            "none": {"OTEL_SDK_DISABLED": "true"},
            "every call": exporting,
            "no trace": {**exporting, "OTEL_TRACES_SAMPLER": "always_off"},
            "none, no access log": {"OTEL_SDK_DISABLED": "true", "GEMINI_GRPC_LOG": "info,gemini_grpc::access=off"},
        }
        servers = {}
        for name, env in settings.items():
            env = {"MOUNTSEA_API_KEY": "a-key", **env}
            servers[name] = stack.enter_context(gateway("--upstream-url", upstream, env=env, log=()))
        rows = [("load", "telemetry", "CPU", "ratio, median", "of the rounds")]
        for kind, what in loads.items() if not args.only else [(args.only, loads[args.only])]:
            used = {name: [] for name in servers}
            for round in range(args.rounds):
                tools.say(f"  {kind}, round {round + 1} of {args.rounds}")
                for name in list(servers) if round % 2 == 0 else reversed(servers):
                    used[name].append(load(servers[name], args.seconds, **what))
            for name, values in used.items():
                ratios = [value / base for value, base in zip(values, used["none"], strict=True)]
                ratio = statistics.median(ratios)
                # The sandbox sets the pace of events, so each gateway has the same number.
                units = args.seconds * (args.rate if kind == "calls" else args.streams * 50)
                each = f"{statistics.median(values) / units * 1e6:.1f} us"
                rows.append((kind, name, each, f"{ratio:.3f}", f"{min(ratios):.2f} to {max(ratios):.2f}"))
                if allowed := MAX_CPU_RATIO.get((kind, name), 0) * args.slack:
                    verdict.check(f"{kind}, {name}: at most {allowed:.2f} times the CPU", ratio <= allowed, f"{ratio:.3f}")
        exported = len(collector.spans())
    table(*rows)
    verdict.check("spans arrived at the Collector", exported > min(1000, args.rounds * args.seconds * args.rate / 2), exported)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
