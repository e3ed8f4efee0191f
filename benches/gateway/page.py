"""The page: plots and tables in one HTML file that needs no other."""

import plots
import scenarios
import table
from figures import DIRECT, Figure, Results
from plots import escape

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #111; background: #fff;
       max-width: 1080px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.6em } h2 { margin-top: 2em }
svg { display: block; max-width: 100%; height: auto; margin: 1em 0 }
svg text { font: 12px system-ui, sans-serif; fill: #111 } svg .title { font-size: 14px; font-weight: 600 }
svg .refused { fill: #777; font-style: italic }
table { border-collapse: collapse; font-size: 13px; width: 100% }
th, td { border: 1px solid #ddd; padding: 3px 7px; text-align: left }
th { background: #f4f4f4; position: sticky; top: 0 } td:nth-child(n+3) { font-variant-numeric: tabular-nums }
tr:hover td { background: #f8fafc }
code { font-size: 12px; overflow-wrap: anywhere } .wide { overflow-x: auto }
"""

QUANTILES = {"p50": "p50", "p99": "p99", "p999": "p99.9"}


def html(raw):
    results = Results(raw)
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>Cost of a gateway</title><style>{STYLE}</style></head><body><h1>Cost of a gateway</h1>",
        facts(raw),
        peers(raw),
        section(
            "CPU time of the gateway",
            "Each bar is the median of the rounds, the thin line their range.",
            cpu(results),
        ),
        section(
            "Added latency",
            "Open loop: latency from the planned start of a call, minus that of the same load straight "
            "to upstream in the same round.",
            added(results),
        ),
        section(
            "Time to the first chunk",
            "From the planned start of a stream, minus that without a gateway.",
            first(results),
        ),
        section(
            "Memory against open streams",
            "Resident memory of the gateway's processes. Buffers of sockets are in the "
            "kernel, and not in it.",
            idle(results),
        ),
        section(
            "How calls are spread over threads",
            "The share of the busiest thread, in percent.",
            spread(results),
        ),
        *(
            f"<h2>Table: {escape(title.lower())}</h2>" + grid(columns, lines)
            for title, columns, lines in table.tables(raw)
            if title != table.PEERS_TITLE
        ),
        errors(raw),
        commands(raw),
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part)


def section(title, about, charts):
    charts = [chart for chart in charts if chart]
    return f"<h2>{escape(title)}</h2><p>{escape(about)}</p>{''.join(charts)}" if charts else ""


def facts(raw):
    rows = [*raw["facts"].items(), ("command", raw["command"])]
    return grid(["run", ""], [[name, str(value)] for name, value in rows])


def peers(raw):
    columns, lines = table.peer_table(raw)
    if not lines:
        return ""
    items = "".join(f"<li>{escape(fact)}</li>" for fact in table.peer_facts(raw))
    return f"<h2>{escape(table.PEERS_TITLE)}</h2>{grid(columns, lines)}<ul>{items}</ul>"


def cpu(results):
    for scenario in scenarios.COST + scenarios.TLS:
        values = [(row, results.cpu(scenario, row)) for row in results.rows(scenario)]
        yield plots.bars(f"{scenario.name}: {scenario.about}", scenario.unit, values)


def rates(results):
    return [
        scenario for scenario in scenarios.OPEN_LOOP if scenario.group == "rate" and results.rows(scenario)
    ]


def added(results):
    measured = rates(results)
    rows = list(
        dict.fromkeys(row for scenario in measured for row in results.rows(scenario) if row != DIRECT)
    )
    for quantile, title in QUANTILES.items():
        series = {}
        for row in rows:
            figures = [
                (s.rate, results.added(s, row, "latency_us", quantile))
                for s in measured
                if row in results.rows(s)
            ]
            series[row] = [
                (rate, figure.middle if isinstance(figure, Figure) else figure) for rate, figure in figures
            ]
        yield plots.lines(f"{title} added", "calls per second", "µs", series)


def first(results):
    for scenario in scenarios.OPEN_LOOP:
        if scenario.group == "first-chunk":
            for quantile, title in QUANTILES.items():
                rows = [row for row in results.rows(scenario) if row != DIRECT]
                values = [(row, results.added(scenario, row, "first_us", quantile)) for row in rows]
                yield plots.bars(f"{title} added to the first chunk", "µs", values)


def idle(results):
    scenario, series = scenarios.IDLE, {}
    for row in results.rows(scenario):
        steps = results.idle_steps(scenario, row)
        # A logarithmic axis has no 0; the table has the memory before the first stream.
        series[row] = [(step["streams"], step["resident_mib"]) for step in steps if step["streams"]]
    yield plots.lines("Resident memory", "open streams", "MiB", series)


def spread(results):
    for row in dict.fromkeys(row for scenario in scenarios.SPREAD for row in results.rows(scenario)):
        measured = [scenario for scenario in scenarios.SPREAD if row in results.rows(scenario)]
        values = [(scenario.name.partition("/")[2], results.busiest(scenario, row)) for scenario in measured]
        yield plots.bars(f"{row}: calls of the busiest thread, by connections", "%", values)


def grid(columns, lines):
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def errors(raw):
    found = "".join(f"<li>{escape(line)}</li>" for line in table.errors(raw))
    return f"<h2>Errors</h2><p>The first of each row.</p><ul>{found}</ul>" if found else ""


def commands(raw):
    lines = [
        f"<tr><td>{escape(row['name'])}</td><td>{escape(row['version'])}</td><td>{escape(row['about'])}</td>"
        f"<td><code>{escape(row['command'])}</code></td></tr>"
        for row in raw["rows"]
    ]
    columns = ["row", "version", "settings", "command (port 0 stands for a free one)"]
    head = "<tr>" + "".join(f"<th>{column}</th>" for column in columns) + "</tr>"
    return f"<h2>Rows</h2><table><thead>{head}</thead><tbody>{''.join(lines)}</tbody></table>"
