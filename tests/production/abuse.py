"""Attackers send the most expensive requests, and the calls of an ordinary caller are measured meanwhile.

memory: a gateway with default settings in a cgroup of 512 MiB. Eight attackers at once send every shape of shapes.py, in
the maximum size of a request and with 1 MiB, plain and as gzip: once with the tokens of four callers, and once as unknown
callers with keys of their own. The gateway must keep running, calls of an ordinary caller must be served or refused with
RESOURCE_EXHAUSTED, and the memory must fall back afterwards.

time: a gateway with one worker. One attacker sends the same requests without pause, on two connections. Every call of an
ordinary caller, 20 per second, must be served, and every health check must be answered. Their times are printed.
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

MEMORY_LIMIT = 512 << 20
# How much more memory than before may stay in use afterwards, and how long the fall may take, in seconds.
MAX_REMAINING_BYTES, MAX_FALL_SECONDS = 64 << 20, 20
ORDINARY_CALLS_PER_SECOND = 20
# The target for the 99th percentile of ordinary calls, in milliseconds. It is printed and not judged, because the attackers
# and this script share the cores with the gateway.
TARGET_P99_MS = 50


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--part", choices=["memory", "time", "all"], default="all")
    add("--seconds", type=float, default=60, help="how long each part runs")
    add("--mib", type=int, default=64, help="the largest request, in MiB; the default of GEMINI_GRPC_MAX_REQUEST_BYTES")
    add("--shape", action="append", help="only shapes with this in their name; all of them by default")
    return parser.parse_args()


class Processes:
    """Processes that run until `stop` is set, and the results that they report."""

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
        """Collects results for this time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                kind, status, took = self.results.get(timeout=min(left, 0.2))
                self.outcomes[kind][status] += 1
                self.times[kind].append(took)

    def quantile(self, kind, part):
        """The time in milliseconds within which this part of the calls ended."""
        times = sorted(self.times[kind])
        return round(times[min(int(len(times) * part), len(times) - 1)] * 1000, 1) if times else None

    def end(self):
        """Ends all processes, if necessary by SIGKILL: an attacker may wait for a response that never arrives."""
        self.stop.set()
        until = time.monotonic() + 15
        while any(process.is_alive() for process in self.running) and time.monotonic() < until:
            self.collect(0.2)
        for process in self.running:
            process.kill()
            process.join()


@contextlib.contextmanager
def discarding_upstream():
    """The URL of an upstream in its own process, and counters of the requests it received."""
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
    """The path of a new file of callers, and the token of each caller."""
    tokens = {name: secrets.token_hex(32) for name in names}
    lines = [f'[callers.{n}]\ntoken_sha256 = "{hashlib.sha256(t.encode()).hexdigest()}"\n' for n, t in tokens.items()]
    (folder / "callers.toml").write_text("\n".join(lines))
    return folder / "callers.toml", tokens


class Attack:
    """Attackers and an ordinary caller call one gateway, until the time is over."""

    def __init__(self, name, seconds, flags, files, attackers, ordinary, **more):
        import abusing
        from running import gateway

        self.name, self.run = name, Processes()
        ready, done = self.run.context.Event(), self.run.context.Event()
        # Every refused call logs a warning, and there are many, so the log has only errors.
        log = ("--log", "error,gemini_grpc::cli=info")
        with discarding_upstream() as (url, self.received), gateway("--upstream-url", url, *flags, log=log, **more) as server:
            try:
                rate, stop, results = ORDINARY_CALLS_PER_SECOND, self.run.stop, self.run.results
                self.run.start(abusing.ordinary_caller, server.address, ordinary, rate, stop, ready, results)
                while not ready.is_set() and self.run.running[0].is_alive():
                    self.run.collect(0.1)
                self.idle = self.afterwards = server.status("VmRSS")
                self.run.start(abusing.attack, server.address, attackers, files, done, self.run.results)
                until = time.monotonic() + seconds
                while server.is_running() and time.monotonic() < until:
                    self.run.collect(0.5)
                done.set()
                # The ordinary caller continues, as in production: the allocator returns freed memory while calls run.
                until = time.monotonic() + MAX_FALL_SECONDS
                while server.is_running() and time.monotonic() < until and not self.has_fallen(server):
                    self.run.collect(0.5)
                self.peak = server.status("VmHWM") if server.is_running() else None
            finally:
                done.set()
                self.run.end()
            if server.is_running():
                server.process.process.terminate()
            # If the gateway does not end in time, the code is None.
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(60)
            self.code, self.output = server.process.process.poll(), server.last_output()[-2000:]
        outcomes = self.run.outcomes
        self.calls, self.health = outcomes.pop("call"), outcomes.pop("health")
        self.statuses = sum(outcomes.values(), collections.Counter())

    def has_fallen(self, server):
        """Whether the gateway's memory is near the value before the attack."""
        self.afterwards = server.status("VmRSS")
        return self.afterwards <= self.idle + MAX_REMAINING_BYTES

    def report(self, verdict):
        """Prints the figures, and checks that the gateway is running."""
        from verdict import mib, table

        peak = "unknown, the process has ended" if self.peak is None else f"{mib(self.peak)} MiB"
        tools.say(f"\n{self.name}: idle {mib(self.idle)} MiB, peak {peak}, afterwards {mib(self.afterwards)} MiB; upstream "
                  f"received {self.received[0]} requests, the largest of {mib(self.received[2])} MiB")  # fmt: skip
        rows = [("", "calls", "p50 ms", "p99 ms", "max ms", "outcomes")]
        for kind, outcomes in (("call", self.calls), ("health", self.health), ("hostile", self.statuses)):
            times = (self.run.quantile(kind, part) for part in (0.5, 0.99, 1))
            rows.append((kind, outcomes.total(), *times, " ".join(f"{s}={n}" for s, n in outcomes.most_common())))
        table(*rows)
        hostile = {name: max(self.run.times[name]) for name in self.run.outcomes}
        slowest = sorted(hostile, key=hostile.get, reverse=True)[:5]
        table(("the slowest shapes", "max s", "outcomes"),
              *((name, round(hostile[name], 2), " ".join(self.run.outcomes[name])) for name in slowest))  # fmt: skip
        if not verdict.check(f"{self.name}: the gateway keeps running, and ends with 0", self.code == 0, self.code):
            tools.say(self.output)


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
        with limit(MEMORY_LIMIT) as limited:
            attack = Attack(name, args.seconds, flags, files, attackers, caller, before=limited.before, env=env)
            attack.report(verdict)
            tools.say(f"  {limited.kind}: the peak that the kernel counted is {mib(limited.peak() or 0)} MiB")
        served, all_calls = attack.calls["OK"], attack.calls.total()
        others = all_calls - served - attack.calls["RESOURCE_EXHAUSTED"]
        statuses = attack.statuses
        wrong = statuses["UNKNOWN"] + statuses["INTERNAL"] + statuses["NO_STATUS"]
        fallen = attack.code == 0 and attack.afterwards <= attack.idle + MAX_REMAINING_BYTES
        verdict.check(f"{name}: some ordinary calls are served", served > 0, f"{served} of {all_calls}")
        verdict.check(f"{name}: the other ordinary calls are refused with the right code", others == 0, others)
        verdict.check(f"{name}: hostile calls end with a proper status", wrong == 0 < statuses.total(), statuses.total())
        verdict.check(f"{name}: memory falls back", fallen, f"{mib(attack.idle)}, then {mib(attack.afterwards)} MiB")


def time_of_ordinary_calls(args, files, folder, verdict):
    path, tokens = callers_file(folder, ["ordinary", "attacker"])
    flags = ["--workers", 1, "--auth", "tokens", "--callers", path]
    attackers, env = [tokens["attacker"]] * 2, {"MOUNTSEA_API_KEY": "k"}
    attack = Attack("time", args.seconds, flags, files, attackers, tokens["ordinary"], env=env)
    attack.report(verdict)
    tools.say(f"  p99 of ordinary calls: {attack.run.quantile('call', 0.99)} ms; the target is {TARGET_P99_MS} ms")
    for name, outcomes in (("ordinary calls are", attack.calls), ("health checks are", attack.health)):
        served = outcomes["OK"] == outcomes.total() > 0
        verdict.check(f"time: all {name} answered", served, f"{outcomes['OK']} of {outcomes.total()}")
    verdict.check("time: the attacker sent requests", attack.statuses.total() > 0, attack.statuses.total())


def main(args):
    import shapes
    from running import end_well
    from verdict import Verdict

    end_well()
    # Compiled here, for the processes that are spawned.
    tools.contract()
    verdict, folder, files = Verdict(), tools.scratch("abuse"), []
    tools.say("preparing the requests")
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
        time_of_ordinary_calls(args, files, folder, verdict)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
