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
import subprocess
import time

import tools

LIMIT = 512 << 20
# How much more than before may stay after it all, and how long it may take to get there.
LEFT, SECONDS_TO_FALL = 64 << 20, 20
RATE = 20
# What the 99th percentile of an ordinary caller should not exceed, in milliseconds. It is printed, and not judged: the
# attackers and the proof itself share the cores with the gateway.
AIM = 50


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


class Scene:
    """Attackers and an ordinary caller at one gateway, until the time is over."""

    def __init__(self, name, seconds, flags, files, attackers, ordinary, **more):
        import abusing
        from running import gateway

        self.name, self.run = name, Processes()
        ready, done = self.run.context.Event(), self.run.context.Event()
        # Every call that is refused has a warning, and there are many.
        log = ("--log", "error,gemini_grpc::cli=info")
        with discarding() as (url, self.received), gateway("--upstream-url", url, *flags, log=log, **more) as server:
            try:
                self.run.start(abusing.ordinary, server.address, ordinary, RATE, self.run.stop, ready, self.run.results)
                while not ready.is_set() and self.run.running[0].is_alive():
                    self.run.collect(0.1)
                self.idle = self.left = server.status("VmRSS")
                self.run.start(abusing.attack, server.address, attackers, files, done, self.run.results)
                until = time.monotonic() + seconds
                while server.lives() and time.monotonic() < until:
                    self.run.collect(0.5)
                done.set()
                # The ordinary caller goes on, as there is always one: memory that was freed is given back then.
                until = time.monotonic() + SECONDS_TO_FALL
                while server.lives() and time.monotonic() < until and not self.fell(server):
                    self.run.collect(0.5)
                self.peak = server.status("VmHWM") if server.lives() else None
            finally:
                done.set()
                self.run.end()
            if server.lives():
                server.process.process.terminate()
            # A gateway that is still at work does not end; then the code is None.
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(60)
            self.code, self.words = server.process.process.poll(), server.words()[-2000:]
        outcomes = self.run.outcomes
        self.calls, self.health = outcomes.pop("call"), outcomes.pop("health")
        self.statuses = sum(outcomes.values(), collections.Counter())

    def fell(self, server):
        """Whether the gateway's memory is near what it was before."""
        self.left = server.status("VmRSS")
        return self.left <= self.idle + LEFT

    def report(self, verdict):
        """Prints what was seen, and judges that the gateway lives."""
        from verdict import mib, table

        peak = "none, it is gone" if self.peak is None else f"{mib(self.peak)} MiB"
        tools.say(f"\n{self.name}: idle {mib(self.idle)} MiB, peak {peak}, afterwards {mib(self.left)} MiB; upstream was "
                  f"sent {self.received[0]} requests, the largest of {mib(self.received[2])} MiB")  # fmt: skip
        rows = [("", "calls", "p50 ms", "p99 ms", "max ms", "outcomes")]
        for kind, outcomes in (("call", self.calls), ("health", self.health), ("hostile", self.statuses)):
            times = (self.run.at(kind, part) for part in (0.5, 0.99, 1))
            rows.append((kind, outcomes.total(), *times, " ".join(f"{s}={n}" for s, n in outcomes.most_common())))
        table(*rows)
        hostile = {name: max(self.run.times[name]) for name in self.run.outcomes}
        slowest = sorted(hostile, key=hostile.get, reverse=True)[:5]
        table(("the slowest shapes", "max s", "outcomes"),
              *((name, round(hostile[name], 2), " ".join(self.run.outcomes[name])) for name in slowest))  # fmt: skip
        if not verdict.check(f"{self.name}: the gateway lives, and ends with 0", self.code == 0, self.code):
            tools.say(self.words)


def memory(args, files, folder, verdict):
    from cgroup import limit
    from verdict import mib

    path, tokens = callers_file(folder, ["ordinary", "a", "b", "c", "d"])
    ordinary = tokens.pop("ordinary")
    modes = {
        "tokens": (["--auth", "tokens", "--callers", path], [*tokens.values()] * 2, ordinary),
        "forward": (["--auth", "forward"], [f"key-{number}" for number in range(8)], "a-key"),
    }
    for mode, (flags, attackers, caller) in modes.items():
        name, env = f"memory, {mode}", {"MOUNTSEA_API_KEY": "k"} if mode == "tokens" else {}
        with limit(LIMIT) as limited:
            seen = Scene(name, args.seconds, flags, files, attackers, caller, before=limited.before, env=env)
            seen.report(verdict)
            tools.say(f"  {limited.kind}: the kernel counted {mib(limited.peak() or 0)} MiB at most")
        served, all_calls = seen.calls["OK"], seen.calls.total()
        others = all_calls - served - seen.calls["RESOURCE_EXHAUSTED"]
        wrong = seen.statuses["UNKNOWN"] + seen.statuses["INTERNAL"] + seen.statuses["NO_STATUS"]
        fell = seen.code == 0 and seen.left <= seen.idle + LEFT
        verdict.check(f"{name}: some ordinary calls are served", served > 0, f"{served} of {all_calls}")
        verdict.check(f"{name}: the rest is refused with the right code", others == 0, others)
        verdict.check(f"{name}: hostile calls have a status", wrong == 0 < seen.statuses.total(), seen.statuses.total())
        verdict.check(f"{name}: memory falls back", fell, f"{mib(seen.idle)}, then {mib(seen.left)} MiB")


def neighbour(args, files, folder, verdict):
    path, tokens = callers_file(folder, ["ordinary", "attacker"])
    flags = ["--workers", 1, "--auth", "tokens", "--callers", path]
    attackers, env = [tokens["attacker"]] * 2, {"MOUNTSEA_API_KEY": "k"}
    seen = Scene("time", args.seconds, flags, files, attackers, tokens["ordinary"], env=env)
    seen.report(verdict)
    tools.say(f"  p99 of the neighbour: {seen.run.at('call', 0.99)} ms; the aim is {AIM} ms")
    for name, outcomes in (("ordinary calls are", seen.calls), ("questions for health are", seen.health)):
        served = outcomes["OK"] == outcomes.total() > 0
        verdict.check(f"time: all {name} answered", served, f"{outcomes['OK']} of {outcomes.total()}")
    verdict.check("time: the attacker was at work", seen.statuses.total() > 0, seen.statuses.total())


def main(args):
    import shapes
    from running import end_well
    from verdict import Verdict

    end_well()
    # For the processes that are spawned.
    tools.contract()
    verdict, folder, files = Verdict(), tools.scratch("abuse"), []
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
        memory(args, files, folder, verdict)
    if args.part in ("time", "all"):
        neighbour(args, files, folder, verdict)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
