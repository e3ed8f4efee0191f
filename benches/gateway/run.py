#!/usr/bin/env python3
"""Measures what a gateway costs: gemini-grpc in all its settings, nginx, and with --peers other gateways.

    python3 benches/gateway/run.py                  # 24 minutes, after it has built what it needs
    python3 benches/gateway/run.py --quick          # 2 minutes: whether it works; the figures mean little
    python3 benches/gateway/run.py --peers          # 37 minutes: also other gateways, which it installs
    python3 benches/gateway/run.py --peers --scenarios unary,stream --rows nginx,gRPC,envoy

It prints a table in Markdown, and writes the page target/gateway-bench/report.html and the raw results.
README.md says what is measured, how, and how to read it.
"""

import argparse
import contextlib
import fnmatch
import json
import pathlib
import signal
import sys
import urllib.request

import agreement
import machine
import measure
import page
import plots
import processes
import rows
import scenarios
import table
import tools
from tools import CACHE, say


# The name of a fact: that the run did not measure everything.
INTERRUPTED = "interrupted"


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="one short round")
    add("--peers", action="store_true", help="also install and measure the gateways of benches/gateway/peers")
    add("--rows", help="only these, separated by commas; 'gRPC*' stands for all that begin so")
    add("--scenarios", help="only these, separated by commas; a name before a slash stands for all behind it")
    add("--rounds", type=int, help="rounds of each scenario (13 to 40; open loops and connections 5)")
    add("--seconds", type=float, help="time of each row in a round (0.5); four times as long in open loops")
    add("--warmup", type=float, help="load before that, in seconds (0.2)")
    add("--steps", help="numbers of idle streams, separated by commas (1000,3000,10000)")
    add("--gateway", type=pathlib.Path, help="this binary of gemini-grpc instead of building one")
    add("--json", type=pathlib.Path, default=CACHE / "report.json", help="where the raw results are written")
    add("--html", type=pathlib.Path, default=CACHE / "report.html", help="where the page is written")
    add(
        "--from",
        dest="source",
        type=pathlib.Path,
        help="measure nothing: write table and page of these raw results",
    )
    add(
        "--agree",
        type=pathlib.Path,
        help="compare the ratios to nginx with these raw results; 1 if they disagree",
    )
    add("--svg", type=pathlib.Path, help="also draw CPU time per call as a picture, as docs/images/cost.svg")
    args = parser.parse_args()
    steps = ",".join(map(str, scenarios.IDLE_STEPS))
    defaults = (1, 0.3, 0.1, "100,300") if args.quick else (None, 0.5, 0.2, steps)
    for name, value in zip(("rounds", "seconds", "warmup", "steps"), defaults, strict=True):
        if getattr(args, name) is None:
            setattr(args, name, value)
    args.idle_seconds = min(3, args.seconds * 6)
    args.steps = [int(step) for step in args.steps.split(",")]
    return args


def chosen_scenarios(names):
    every = [*scenarios.LOADS, scenarios.IDLE]
    wanted = names.split(",") if names else [scenario.name for scenario in every]
    unknown = [name for name in wanted if name not in {s.name for s in every} | {s.group for s in every}]
    if unknown:
        sys.exit(f"error: there is no scenario {', '.join(unknown)}")
    return [scenario for scenario in every if {scenario.name, scenario.group} & set(wanted)]


def peers(setup, names):
    """The rows of other gateways with these names. One that cannot be installed is left out."""
    from peers.peers import PEERS

    found = []
    for peer in PEERS:
        if not is_wanted(peer, names):
            continue
        say(f"installing {peer.name}")
        try:
            found.append(rows.peer_row(peer, setup))
        except Exception as error:  # noqa: BLE001: the other rows are measured.
            say(f"left out: {peer.name}: {error}")
    return found


def measured(args):
    """Starts everything, measures, and returns the raw results."""
    processes.end_well()
    tools.build_bench()
    tools.scratch("logs")
    gateway = args.gateway.resolve() if args.gateway else tools.build_gateway()
    certificates = tools.certificates()
    with contextlib.ExitStack() as stack:
        upstream, upstream_tls = stack.enter_context(measure.double(certificates))
        sink, _ = stack.enter_context(measure.double())
        setup = rows.Setup(upstream, upstream_tls, sink, certificates, gateway, tools.nginx())
        every = rows.own_rows(setup) + (peers(setup, args.rows) if args.peers else [])
        chosen = chosen_scenarios(args.scenarios)
        every = [
            row
            for row in every
            if is_wanted(row, args.rows) and any(row.runs(scenario) for scenario in chosen)
        ]
        facts = {**machine.describe(), "load before": f"{machine.load_average():.1f} processes"}
        bench = measure.Bench(args, stack)
        for row in every:
            bench.start(row, upstream)
        say(f"measuring {len(bench.started)} rows")
        loads = [scenario for scenario in chosen if scenario is not scenarios.IDLE]
        facts["rounds"] = measure.describe_rounds(args, loads, every)
        try:
            bench.loads(every, loads)
            if scenarios.IDLE in chosen:
                bench.idle(every, upstream, args.steps)
        except KeyboardInterrupt:
            facts[INTERRUPTED] = "by Ctrl-C; what was measured until then is here"
        facts["spans"] = f"{exports(sink)} exports of telemetry arrived"
        return report(facts, [row for row in every if row.name in bench.started], bench.results)


def is_wanted(row, names):
    """Whether the row has one of these names, in which * stands for anything."""
    return not names or any(fnmatch.fnmatchcase(row.name, name.strip()) for name in names.split(","))


def exports(sink):
    with urllib.request.urlopen(f"http://{sink}/stats", timeout=5) as response:
        return json.load(response)["exports"]


def report(facts, every, results):
    """Everything that the table and the page are made of."""

    def described(row):
        argv, env = row.command(0) if row.command else ([], {})
        command = " ".join([*(f"{name}={value}" for name, value in env.items()), *map(str, argv)])
        return {"name": row.name, "about": row.about, "version": row.version(), "protocol": row.protocol,
                "command": command, "is_peer": row.is_peer}

    return {
        "facts": facts,
        "command": "python3 benches/gateway/run.py " + " ".join(sys.argv[1:]),
        "rows": [described(row) for row in every],
        "results": results,
    }


def as_json(raw):
    return json.dumps(raw, indent=1)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def main():
    """Returns the exit code."""
    args = arguments()
    # Read before the run, which may write to the same path.
    earlier = json.loads(args.agree.read_text()) if args.agree else None
    raw = json.loads(args.source.read_text()) if args.source else measured(args)
    # The raw results first: whatever happens then, they can be shown again.
    outputs = [] if args.source else [(args.json, as_json)]
    for path, text in [*outputs, (args.html, page.html)]:
        write(path, text(raw))
    print(table.markdown(raw))
    say(f"\nThe page is {args.html}, and the raw results are {args.source or args.json}.")
    if args.svg:
        write(args.svg, plots.costs(raw))
    agrees = True
    if earlier:
        lines, agrees = agreement.agreement(earlier, raw)
        print(f"\n{lines}")
    if INTERRUPTED in raw["facts"] and not args.source:
        return 128 + signal.SIGINT
    return 0 if agrees else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
