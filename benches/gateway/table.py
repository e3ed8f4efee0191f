"""The table in Markdown. The page shows the same columns."""

import scenarios
from figures import DIRECT, Figure, Results

# The row that other gateways are compared with.
OWN = "gRPC"
COLUMNS = ["scenario", "row", "CPU", "ratio to nginx", "calls/s", "p50 ms", "p99 ms", "peak MiB", "rounds", "errors"]


def number(value):
    """Three significant digits, and no exponent."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def shown(figure, scale=1, unit=""):
    """A figure as `middle (lowest to highest) unit`, or the reason why there is none."""
    if not isinstance(figure, Figure):
        return figure or "–"
    middle, low, high = (number(value / scale) for value in (figure.middle, figure.low, figure.high))
    spread = "" if low == high else f" ({low} to {high})"
    return f"{middle}{unit and ' ' + unit}{spread}"


def base_of(scenario):
    return "nginx TLS" if scenario.group == "tls" else "nginx"


def grid(columns, rows):
    """The lines of a table in Markdown."""
    return [
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def load_rows(results):
    """One line for each load and row."""
    for scenario in scenarios.LOADS:
        for row in results.rows(scenario):
            yield [
                scenario.name,
                row,
                shown(results.cpu(scenario, row), unit=scenario.unit),
                shown(results.ratio(scenario, row, base_of(scenario))),
                shown(results.rate(scenario, row)),
                shown(results.quantile(scenario, row, "latency_us", "p50"), 1000),
                shown(results.quantile(scenario, row, "latency_us", "p99"), 1000),
                shown(results.peak(scenario, row)),
                str(len(results.rounds(scenario, row))),
                str(results.errors(scenario, row)),
            ]


ADDED_COLUMNS = ["load", "row", "added p50 µs", "added p99 µs", "added p99.9 µs"]


def added_rows(results):
    """What a row adds to the latency of upstream itself."""
    for scenario in scenarios.OPEN_LOOP:
        what = "first_us" if scenario.group == "first-chunk" else "latency_us"
        for row in results.rows(scenario):
            if row != DIRECT:
                yield [
                    scenario.name,
                    row,
                    *(shown(results.added(scenario, row, what, q)) for q in ("p50", "p99", "p999")),
                ]


IDLE_COLUMNS = ["open streams", "row", "resident MiB", "KiB per stream", "CPU µs per chunk"]


def idle_rows(results):
    for row in results.rows(scenarios.IDLE):
        for step in results.idle_steps(scenarios.IDLE, row):
            more = [
                number(step[name]) if name in step else "–" for name in ("kib_per_stream", "us_per_message")
            ]
            yield [f"{step['streams']:,}", row, number(step["resident_mib"]), *more]


SPREAD_COLUMNS = ["connections", "row", "calls of the busiest thread, %"]


def spread_rows(results):
    for scenario in scenarios.SPREAD:
        for row in results.rows(scenario):
            yield [scenario.name.partition("/")[2], row, shown(results.busiest(scenario, row))]


PEERS_TITLE = "CPU time of other gateways, as a multiple of that of the row gRPC in the same round"


def peer_table(raw):
    """A column for each other gateway, and a line for each scenario that gemini-grpc has too."""
    results, names = Results(raw), [row["name"] for row in raw["rows"] if row["is_peer"]]
    measured = [scenario for scenario in scenarios.LOADS if {*names} & {*results.rows(scenario)}]
    measured = [scenario for scenario in measured if OWN in results.rows(scenario)]
    lines = [
        [scenario.name, *(shown(results.ratio(scenario, name, OWN)) for name in names)]
        for scenario in measured
    ]
    return ["scenario", *names], lines


def peer_facts(raw):
    """What each other gateway is: its version and its settings."""
    return [f"{row['name']}: {row['version']}; {row['about']}" for row in raw["rows"] if row["is_peer"]]


def tables(raw):
    """Title, columns and lines of each table."""
    results = Results(raw)
    every = [
        (PEERS_TITLE, *peer_table(raw)),
        ("Loads", COLUMNS, load_rows(results)),
        ("Added latency", ADDED_COLUMNS, added_rows(results)),
        ("Open streams", IDLE_COLUMNS, idle_rows(results)),
        ("How calls are spread over threads", SPREAD_COLUMNS, spread_rows(results)),
    ]
    return [(title, columns, lines) for title, columns, rows in every if (lines := list(rows))]


def errors(raw):
    """The first error of each row that had some."""
    results = Results(raw)
    for scenario in [*scenarios.LOADS, scenarios.IDLE]:
        for row in results.rows(scenario):
            if error := results.first_error(scenario, row):
                yield f"{scenario.name}, {row}: {error}"


def markdown(raw):
    lines = [f"{name}: {value}" for name, value in raw["facts"].items()]
    lines += ["figures: median of the rounds, for ratios geometric mean (lowest to highest)"]
    for title, columns, rows in tables(raw):
        lines += ["", f"### {title}", "", *grid(columns, rows)]
        lines += ["", *(f"- {fact}" for fact in peer_facts(raw))] if title == PEERS_TITLE else []
    found = list(errors(raw))
    if found:
        lines += ["", "### Errors", "", *(f"- {line}" for line in found)]
    return "\n".join(lines)
