"""A gateway under high load for a long time: its resources must not grow, and every call must have an outcome.

Clients over gRPC and REST call at a fixed rate, keep streams open, and ask for a fault with every twentieth call. The
gateway's memory, open files and threads are read every ten seconds. After the first two minutes (at most a fifth of the
time) none of them may grow. A figure has grown if two values both exceed the limit: the rise of a regression line through
the samples, and the difference between the medians of the last and of the first quarter. The limit is five per cent, but
at least 8 MiB or 20 files; for threads it is 0. Every call must end, and every call that asked for no fault must end with OK.
"""

import argparse
import statistics
import time

import tools

# The allowed growth of a figure: a share of its median, but at least the value for its kind.
ALLOWED_GROWTH_SHARE = 0.05
ALLOWED_GROWTH = {"memory": 8 << 20, "files": 20, "threads": 0}
EXPECTED = {
    "sandbox-429": {"RESOURCE_EXHAUSTED"},
    "sandbox-429-retry-after": {"RESOURCE_EXHAUSTED"},
    "sandbox-503": {"UNAVAILABLE"},
    "sandbox-html-502": {"UNAVAILABLE"},
    "sandbox-empty-500": {"INTERNAL"},
    "sandbox-html-200": {"INTERNAL"},
    "sandbox-big-error": {"INTERNAL"},
    "sandbox-cut": {"UNAVAILABLE"},
    "sandbox-cut-clean": {"UNAVAILABLE"},
    "sandbox-error-event": {"UNAVAILABLE"},
    # tonic reports its own deadline as CANCELLED.
    "sandbox-hang": {"DEADLINE_EXCEEDED", "CANCELLED"},
    "sandbox-hang-stream": {"DEADLINE_EXCEEDED", "CANCELLED"},
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--minutes", type=float, default=20, help="how long to call")
    add("--rate", type=float, default=400, help="calls a second, of all clients together")
    add("--streams", type=int, default=200, help="open streams, of all clients together")
    add("--fault-share", type=float, default=0.05, help="the share of calls that ask for a fault")
    add("--every", type=float, default=10, help="the interval between readings of the gateway's figures, in seconds")
    return parser.parse_args()


def growth(values):
    """The rise of a regression line through the values, and the growth of the median from the first to the last quarter."""
    if len(values) < 4:
        return 0, 0
    slope, _ = statistics.linear_regression(range(len(values)), values)
    quarter = max(1, len(values) // 4)
    medians = statistics.median(values[-quarter:]) - statistics.median(values[:quarter])
    return slope * (len(values) - 1), medians


def read_figures(server, seconds, every, mib):
    """Reads the gateway's figures until the time is over."""
    samples = {name: [] for name in ALLOWED_GROWTH}
    begun = time.monotonic()
    while (past := time.monotonic() - begun) < seconds and server.is_running():
        memory, threads = server.status("VmRSS", "Threads")
        files = server.files()
        for name, value in zip(samples, (memory, files, threads), strict=True):
            samples[name].append(value)
        tools.say(f"  {past:6.0f} s  {mib(memory):7} MiB  {files:5} files  {threads:3} threads")
        time.sleep(min(every, max(0, seconds - past)))
    return samples


def check_outcomes(results, verdict, table):
    """Checks that every call ended, and that each fault had the expected outcome."""
    rows = [("client", "fault", "sent", "outcomes")]
    open_calls, wrong = 0, []
    for result in results:
        for kind in ("calls", "streams"):
            open_calls += result[kind]["sent"] - sum(result[kind]["outcomes"].values())
        for model, counts in sorted(result["faults"].items()):
            open_calls += counts["sent"] - sum(counts["outcomes"].values())
            outcomes = " ".join(f"{name}={count}" for name, count in counts["outcomes"].items())
            rows.append((result["client"], model, counts["sent"], outcomes))
            wrong += [f"{model}: {name}" for name in set(counts["outcomes"]) - EXPECTED[model]]
    tools.say("")
    table(*rows)
    verdict.check(
        "every call ended: the outcomes add up to the calls that were sent", open_calls == 0, f"{open_calls} did not"
    )
    verdict.check("every fault had the expected outcome", not wrong, ", ".join(sorted(set(wrong))) or "yes")


def main(args):
    import clients
    from running import end_well, gateway, sandbox
    from verdict import Verdict, mib, table

    end_well()
    verdict = Verdict()
    seconds = args.minutes * 60
    key = {"MOUNTSEA_API_KEY": "a-key"}
    flags = ["--words", 100, "--seconds", seconds + 60, "--fault-share", args.fault_share, "--connections", 8]
    with sandbox(pace=100) as upstream, gateway("--upstream-url", upstream, env=key) as server:
        with clients.calling(f"http://{server.address}", *flags, rate=args.rate, streams=args.streams) as running:
            samples = read_figures(server, seconds, args.every, mib)
            results = clients.finish(running)
        still_running = server.is_running()
        if still_running:
            tools.say(f"  after   {mib(server.status('VmRSS')):7} MiB  {server.files():5} files")
        server.process.process.terminate()
        code = server.wait(60)
    tools.say("")
    clients.show(results)
    check_outcomes(results, verdict, table)
    warm = int(min(120, seconds / 5) / args.every)
    for name, values in samples.items():
        late = values[warm:]
        line, medians = growth(late)
        allowed = max(ALLOWED_GROWTH[name], ALLOWED_GROWTH_SHARE * statistics.median(late) if name != "threads" else 0)
        shown = [mib(value) if name == "memory" else round(value, 1) for value in (late[0], max(late), line, medians)]
        seen = "from {}, at most {}, line {:+}, quarters {:+}".format(*shown)
        verdict.check(f"{name}: no growth", len(late) > 3 and min(line, medians) <= allowed, seen)
    failed = clients.failed(results)
    verdict.check("no call fails except those that asked for a fault", failed == 0, f"{failed} of {clients.sent(results)}")
    verdict.check("the gateway keeps running, and ends with 0", still_running and code == 0, code)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
