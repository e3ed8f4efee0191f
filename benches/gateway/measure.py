"""Runs the scenarios in interleaved rounds, A B and then B A: a slower machine then affects all rows."""

import contextlib
import json
import math
import subprocess

import scenarios
from figures import Results
from processes import ENVIRONMENT, free_port, last_lines, max_open_files, running
from table import base_of
from tools import BENCH, CACHE, say

# Files that a gateway keeps for anything but streams.
SPARE_FILES = 600
# A ratio to nginx with a larger standard error, as a share of it, needs more rounds. Of ratios that just have this error,
# 3 of 100 differ by more than 15 % between two runs.
MAX_RATIO_ERROR = 0.045


def rounds(args, scenario, is_slow=False):
    """In how many rounds a row is measured, and for how many seconds in each."""
    # Half as many rounds of twice the time, unless a rate says how many calls there are.
    slower = 2 if is_slow and not scenario.rate else 1
    return math.ceil((args.rounds or scenario.rounds) / slower), args.seconds * scenario.longer * slower


def max_rounds(args, scenario):
    return args.rounds or scenario.max_rounds


def describe_rounds(args, chosen, rows):
    """For the head of the page, as in `13 to 40 of 0.5 s: unary, stream; 5 of 2 s: rate`."""
    groups = {}
    for scenario in chosen:
        (number, seconds), most = rounds(args, scenario), max_rounds(args, scenario)
        more = f" to {most}" if most > number else ""
        groups.setdefault(f"{number}{more} of {seconds:g} s", {})[scenario.group] = None
    parts = [f"{how}: {', '.join(names)}" for how, names in groups.items()]
    if slow := [row.name for row in rows if row.is_slow]:
        parts.append(f"{', '.join(slow)}: in closed loops half as many as the fewest, each twice as long")
    return "; ".join([*parts, f"{args.warmup:g} s of load before each"])


class Bench:
    """A run: what it starts ends with the stack."""

    def __init__(self, args, stack):
        self.args, self.stack = args, stack
        # Row name → address and process, of the rows that run.
        self.started = {}
        # Scenario name → row name → one result per round.
        self.results = {}

    def start(self, row, upstream):
        """Starts a row until the end of the run. One that does not answer is left out."""
        try:
            self.started[row.name] = self.stack.enter_context(serving(row, upstream))
        except RuntimeError as error:
            say(f"left out: {error}")

    def loads(self, rows, chosen):
        """All loads, with results by scenario and row."""
        for scenario in chosen:
            taking_part = [row for row in rows if row.name in self.started and row.runs(scenario)]
            for number in range(max_rounds(self.args, scenario)):
                measured = self.in_round(number, scenario, taking_part)
                for row in measured if number % 2 == 0 else reversed(measured):
                    result = self.load(scenario, row, rounds(self.args, scenario, row.is_slow)[1])
                    self.results.setdefault(scenario.name, {}).setdefault(row.name, []).append(result)
            say(f"  {scenario.name}: {', '.join(row.name for row in taking_part) or 'no row'}")

    def in_round(self, number, scenario, rows):
        """At first all rows; later nginx, and those of gemini-grpc whose ratio to nginx is still uncertain."""
        if number < rounds(self.args, scenario)[0]:
            return [row for row in rows if number < rounds(self.args, scenario, row.is_slow)[0]]
        results, base = Results({"rows": [], "results": self.results}), base_of(scenario)
        own = [row.name for row in rows if not row.is_peer]
        names = {name for name in own if results.ratio_error(scenario, name, base) > MAX_RATIO_ERROR}
        return [row for row in rows if row.name in names or (names and row.name == base)]

    def load(self, scenario, row, seconds):
        address, process = self.started[row.name]
        flags = ["--seconds", seconds, "--warmup", self.args.warmup, *scenario.flags]
        flags += ["--rate", scenario.rate] if scenario.rate else []
        flags += ["--pid", process.pid] if process else []
        if not process:
            flags = [flag for flag in flags if flag != "--spread"]
        return call("load", row, address, "--model", scenario.model, *flags)

    def idle(self, rows, upstream, steps):
        """Open streams on processes of their own: one that was under load has kept memory of it."""
        for row in [
            row for row in rows if row.name in self.started and row.command and row.runs(scenarios.IDLE)
        ]:
            most = min(row.max_streams, (max_open_files() - SPARE_FILES) // row.files_per_stream)
            possible = [step for step in steps if step <= most]
            if len(possible) < len(steps) and row.max_streams >= steps[-1]:
                limit = f"only {max_open_files()} files may be open (ulimit -n)"
                say(f"  {row.name}: at most {most} streams, since {limit}")
            with contextlib.suppress(RuntimeError), serving(row, upstream) as (address, process):
                flags = [
                    "--steps",
                    ",".join(map(str, possible)),
                    "--seconds",
                    self.args.idle_seconds,
                    "--pid",
                    process.pid,
                ]
                result = call("streams", row, address, "--model", scenarios.IDLE.model, *flags)
                self.results.setdefault("idle", {})[row.name] = [result]
        say("  idle: " + ", ".join(self.results.get("idle", {})))


@contextlib.contextmanager
def serving(row, upstream):
    """The address and the process of a row that has answered a call."""
    if not row.command:
        yield upstream, None
        return
    port = free_port()
    argv, env = row.command(port)
    log = CACHE / "logs" / f"{row.name.replace(' ', '-')}.log"
    with running(argv, env, row.folder, "/dev/null" if row.is_quiet else log) as process:
        address = f"{'localhost' if row.ca else '127.0.0.1'}:{port}"
        try:
            run("probe", *row.flags(address), "--seconds", row.start_timeout)
        except subprocess.CalledProcessError as error:
            settings = " ".join(f"{name}={value}" for name, value in env.items())
            command = f"{settings} {' '.join(map(str, argv))}"
            raise RuntimeError(f"{row.name}: {error.stderr.strip()}\n{command}\n{last_lines(log)}") from error
        if row.first_warmup:
            run("load", *row.flags(address), "--seconds", row.first_warmup, "--warmup", 0)
        yield address, process


def call(program, row, address, *flags):
    """The result of one load; an object with `failed` if it could not be made."""
    try:
        return json.loads(run(program, *row.flags(address), *flags))
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        say(f"  {row.name}: {(error.stderr or str(error)).strip()[-300:]}")
        return {"failed": (error.stderr or str(error)).strip()[-300:]}


def run(*words):
    command = [str(BENCH), *map(str, words)]
    # In a group of its own: Ctrl-C reaches this script alone, which then ends the load.
    options = {"capture_output": True, "text": True, "start_new_session": True, "env": ENVIRONMENT}
    return subprocess.run(command, check=True, timeout=300, **options).stdout


@contextlib.contextmanager
def double(certificates=None):
    """An upstream double: its address, and the one with TLS if there are certificates."""
    port, tls = free_port(), free_port()
    flags = ["--listen", f"127.0.0.1:{port}"]
    flags += ["--listen-tls", f"127.0.0.1:{tls}", "--certificates", certificates] if certificates else []
    with running([BENCH, "upstream", *flags], {}, CACHE, CACHE / "logs/upstream.log"):
        run("probe", "--protocol", "gemini", "--address", f"127.0.0.1:{port}", "--seconds", 10)
        yield f"127.0.0.1:{port}", f"localhost:{tls}"
