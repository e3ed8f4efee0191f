"""Callers who send the requests that cost most, and what is left for all others.

memory: a gateway with default settings in a cgroup of 512 MiB; eight callers at once send every shape of shapes.py, as
large as a request may be and of 1 MiB, plain and as gzip. Once with tokens of four callers, once as strangers who bring
keys of their own. The gateway has to live, an ordinary caller is served or refused with RESOURCE_EXHAUSTED, and the
memory falls back.

time: a gateway with one worker; one caller sends the same without pause, on two connections. Every call of another
caller, 20 a second, has to be served, and health has to answer. Their times are printed.
"""

import argparse
import collections
import contextlib
import hashlib
import multiprocessing
import queue
import secrets
import time

import tools

LIMIT = 512 << 20
# How much more than before may stay after it all, and how long it may take to get there.
LEFT, SECONDS_TO_FALL = 64 << 20, 20
RATE = 20
# What the 99th percentile of an ordinary caller should not exceed, in seconds. It is printed, and not judged: the
# attackers and the proof itself share the cores with the gateway.
AIM = 0.05


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--part", choices=["memory", "time", "all"], default="all")
    add("--seconds", type=float, default=60, help="how long each part goes on")
    add("--mib", type=int, default=64, help="the largest request, in MiB; the default of GEMINI_GRPC_MAX_REQUEST_BYTES")
    add("--shape", action="append", help="only shapes with this in their name; all of them by default")
    return parser.parse_args()


class Processes:
    """Processes that run until they are told to stop, and what they report."""

    def __init__(self):
        self.context = multiprocessing.get_context("spawn")
        self.stop, self.results, self.running = self.context.Event(), self.context.Queue(), []
        self.outcomes, self.times = collections.defaultdict(collections.Counter), collections.defaultdict(list)

    def start(self, target, *given):
        process = self.context.Process(target=target, args=given, daemon=True)
        process.start()
        self.running.append(process)
        return process

    def collect(self, seconds):
        """Notes what is reported for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                kind, status, took = self.results.get(timeout=min(left, 0.2))
                self.outcomes[kind][status] += 1
                self.times[kind].append(took)

    def at(self, kind, part):
        """A time of which so large a part is not longer, in milliseconds."""
        times = sorted(self.times[kind])
        return round(times[min(int(len(times) * part), len(times) - 1)] * 1000, 1) if times else None

    def end(self):
        """Ends them, at last by force: an attacker may wait for an answer that never comes."""
        self.stop.set()
        until = time.monotonic() + 15
        while any(process.is_alive() for process in self.running) and time.monotonic() < until:
            self.collect(0.2)
        for process in self.running:
            process.kill()
            process.join()


@contextlib.contextmanager
def discarding():
    """The URL of an upstream in a process of its own, and what it received."""
    import abusing

    context = multiprocessing.get_context("spawn")
    port, received = context.Value("i", 0), context.Array("q", 3)
    process = context.Process(target=abusing.upstream, args=(port, received), daemon=True)
    process.start()
    try:
        while not port.value and process.is_alive():
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port.value}", received
    finally:
        process.kill()
        process.join()


def callers_file(folder, names):
    """A file of callers, and the token of each."""
    tokens = {name: secrets.token_hex(32) for name in names}
    lines = [f'[callers.{n}]\ntoken_sha256 = "{hashlib.sha256(t.encode()).hexdigest()}"\n' for n, t in tokens.items()]
    (folder / "callers.toml").write_text("\n".join(lines))
    return folder / "callers.toml", tokens


def scene(name, args, files, flags, attackers, ordinary, before, verdict, figures):
    """Attackers with these tokens and an ordinary caller at one gateway, until the time is over."""
    import abusing
    from running import gateway
    from verdict import mib, table

    with discarding() as (url, received), gateway("--upstream-url", url, *flags, **before) as server:
        run = Processes()
        ready, attacking = run.context.Event(), run.context.Event()
        try:
            run.start(abusing.ordinary, server.address, ordinary, RATE, run.stop, ready, run.results)
            while not ready.is_set() and run.running[0].is_alive():
                run.collect(0.1)
            idle = server.status("VmRSS")
            run.start(abusing.attack, server.address, attackers, files, attacking, run.results)
            until = time.monotonic() + args.seconds
            while server.lives() and time.monotonic() < until:
                run.collect(0.5)
            attacking.set()
            # The ordinary caller goes on, as there is always one: memory that was freed is given back then.
            until = time.monotonic() + SECONDS_TO_FALL
            while server.lives() and time.monotonic() < until and server.status("VmRSS") > idle + LEFT:
                run.collect(0.5)
            left, peak = server.status("VmRSS", "VmHWM") if server.lives() else (0, 0)
            lives = server.lives()
        finally:
            attacking.set()
            run.end()
        words = server.words()
        if lives:
            server.process.process.terminate()
            lives = server.wait(60) == 0
    verdict.check(f"{name}: the gateway lives, and ends with 0", lives, "it does" if lives else "it does not")
    hostile = {kind: statuses for kind, statuses in run.outcomes.items() if kind not in ("call", "health")}
    calls, health = run.outcomes["call"], run.outcomes["health"]
    statuses = sum(hostile.values(), collections.Counter())
    rows = [("", "calls", "p50 ms", "p99 ms", "max ms", "outcomes")]
    for kind in ("call", "health"):
        said = " ".join(f"{status}={count}" for status, count in run.outcomes[kind].items())
        times = (run.at(kind, part) for part in (0.5, 0.99, 1))
        rows.append((kind, run.outcomes[kind].total(), *times, said))
    said = " ".join(f"{status}={count}" for status, count in statuses.most_common())
    rows.append(("hostile", statuses.total(), None, None, None, said))
    tools.say(f"\n{name}: idle {mib(idle)} MiB, peak {mib(peak)} MiB, afterwards {mib(left)} MiB; upstream was sent "
              f"{received[0]} requests, the largest of {mib(received[2])} MiB")  # fmt: skip
    table(*rows)
    slowest = sorted(hostile, key=lambda kind: -max(run.times[kind]))[:8]
    table(
        ("the slowest shapes", "max s", "outcomes"),
        *((kind, round(max(run.times[kind]), 2), " ".join(hostile[kind])) for kind in slowest),
    )
    if not lives:
        tools.say(words)
    figures.append((name, run.at("call", 0.99)))
    return calls, health, statuses, lives and left <= idle + LEFT, f"{mib(idle)}, then {mib(left)} MiB"


def memory(args, files, folder, verdict, figures):
    from cgroup import limit

    path, tokens = callers_file(folder, ["ordinary", "a", "b", "c", "d"])
    ordinary = tokens.pop("ordinary")
    modes = {
        "tokens": (["--auth", "tokens", "--callers", path], [*tokens.values()] * 2, ordinary),
        "forward": (["--auth", "forward"], [f"key-{number}" for number in range(8)], "a-key"),
    }
    for mode, (flags, attackers, caller) in modes.items():
        with limit(LIMIT) as limited:
            before = {"before": limited.before, "env": {"MOUNTSEA_API_KEY": "k"} if mode == "tokens" else {}}
            name = f"memory, {mode}"
            calls, _, hostile, fell, seen = scene(
                name, args, files, flags, attackers, caller, before, verdict, figures
            )
        others = calls.total() - calls["OK"] - calls["RESOURCE_EXHAUSTED"]
        verdict.check(f"{name}: some ordinary calls are served", calls["OK"] > 0, f"{calls['OK']} of {calls.total()}")
        verdict.check(f"{name}: the rest is refused with the right code", others == 0, others)
        wrong = hostile["UNKNOWN"] + hostile["INTERNAL"] + hostile["NO_STATUS"]
        verdict.check(f"{name}: hostile calls end, and with a status", wrong == 0 < hostile.total(), hostile.total())
        verdict.check(f"{name}: memory falls back", fell, seen)


def pauses(args, files, folder, verdict, figures):
    path, tokens = callers_file(folder, ["ordinary", "attacker"])
    flags = ["--workers", 1, "--auth", "tokens", "--callers", path]
    attackers, before = [tokens["attacker"]] * 2, {"env": {"MOUNTSEA_API_KEY": "k"}}
    calls, health, hostile, _, _ = scene(
        "time", args, files, flags, attackers, tokens["ordinary"], before, verdict, figures
    )
    for name, outcomes in (("ordinary calls are", calls), ("questions for health are", health)):
        served = outcomes["OK"] == outcomes.total() > 0
        verdict.check(f"time: all {name} answered", served, f"{outcomes['OK']} of {outcomes.total()}")
    verdict.check("time: the attacker was at work", hostile.total() > 0, hostile.total())


def main(args):
    import shapes
    from running import end_well
    from verdict import Verdict

    end_well()
    # For the processes that are spawned.
    tools.contract()
    verdict, folder, figures, files = Verdict(), tools.scratch("abuse"), [], []
    tools.say("making the requests")
    for size in (args.mib << 20, 1 << 20):
        prepared, bomb = shapes.prepare(folder, size)
        for (name, form), path in prepared.items():
            if not args.shape or any(part in name for part in args.shape):
                files.append((f"{name}, {size >> 20} MiB, {form}", path, False))
                if form == "gzip":
                    files.append((f"{name}, {size >> 20} MiB, plain", path, True))
    files.append(("1 GiB as gzip", bomb, False))
    if args.part in ("memory", "all"):
        memory(args, files, folder, verdict, figures)
    if args.part in ("time", "all"):
        pauses(args, files, folder, verdict, figures)
        p99 = figures[-1][1]
        tools.say(f"\np99 of the neighbour: {p99} ms, of the {AIM * 1000:g} ms that are the aim")
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
