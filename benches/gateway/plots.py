"""Plots as SVG: bars with the range of the rounds, lines, and a picture. Nothing is loaded from elsewhere."""

import html
import math

import scenarios
from figures import Figure, Results
from table import number

COLORS = [
    "#2563eb",
    "#dc2626",
    "#059669",
    "#d97706",
    "#7c3aed",
    "#0891b2",
    "#be185d",
    "#4d7c0f",
    "#6b7280",
    "#92400e",
]
WIDTH, LABELS, RIGHT = 760, 210, 110


def color(index):
    return COLORS[index % len(COLORS)]


def bars(title, unit, values):
    """Horizontal bars of (label, figure or reason), logarithmic if the longest is 50 times the shortest."""
    figures = [value for _, value in values if hasattr(value, "middle")]
    if not figures:
        return ""
    most, least = max(figure.high for figure in figures), min(max(figure.middle, 0) for figure in figures)
    is_log = least > 0 and most > 50 * least
    floor = 10 ** math.floor(math.log10(least)) if is_log else 0

    def x(value):
        part = (
            math.log10(max(value, floor) / floor) / math.log10(most / floor)
            if is_log
            else max(value, 0) / (most or 1)
        )
        return LABELS + part * (WIDTH - LABELS - RIGHT)

    height = 34 + 24 * len(values)
    note = ", logarithmic" if is_log else ""
    parts = [opening(height, title), text(0, 16, f"{title} ({unit}{note})", "title")]
    for index, (label, value) in enumerate(values):
        top = 28 + 24 * index
        parts.append(text(LABELS - 8, top + 13, label, "end"))
        if not hasattr(value, "middle"):
            parts.append(text(LABELS, top + 13, value or "–", "refused"))
            continue
        end, low, high = x(value.middle), x(value.low), x(value.high)
        parts.append(
            f'<rect x="{LABELS}" y="{top}" width="{max(end - LABELS, 1):.1f}" height="17" '
            f'fill="{color(index)}" opacity="0.8"><title>{escape(label)}: {number(value.low)} to '
            f"{number(value.high)} {unit}</title></rect>"
        )
        parts.append(line([(low, top + 8), (high, top + 8)], "#111", 1.5))
        parts.append(text(max(end, high) + 6, top + 13, number(value.middle)))
    return "".join([*parts, "</svg>"])


def lines(title, x_title, y_title, series):
    """Lines of {label: [(x, y or reason)]}, both axes logarithmic. Refused figures are left out."""
    points = {
        label: [(x, y) for x, y in row if not isinstance(y, str) and y is not None and y > 0]
        for label, row in series.items()
    }
    every = [point for row in points.values() for point in row]
    if not every:
        return ""
    height, left, bottom, top = 300, 70, 255, 34
    right = WIDTH - LABELS
    xs, ys = sorted({x for row in series.values() for x, _ in row}), [y for _, y in every]
    low, high = 10 ** math.floor(math.log10(min(ys))), 10 ** math.ceil(math.log10(max(ys) * 1.01))

    def place(x, y):
        part = math.log(x / xs[0]) / math.log(xs[-1] / xs[0]) if len(xs) > 1 else 0.5
        return left + part * (right - left), bottom - math.log(y / low) / math.log(high / low) * (
            bottom - top
        )

    parts = [opening(height, title), text(0, 16, f"{title} ({y_title}, logarithmic)", "title")]
    tick = low
    while tick <= high * 1.001:
        _, y = place(xs[0], tick)
        parts += [line([(left, y), (right, y)], "#ddd", 1), text(left - 6, y + 4, f"{tick:,g}", "end")]
        tick *= 10
    for x in xs:
        at, _ = place(x, low)
        parts += [line([(at, top), (at, bottom)], "#eee", 1), text(at, bottom + 16, f"{x:,}", "middle")]
    parts.append(text((left + right) / 2, bottom + 34, x_title, "middle"))
    for index, (label, row) in enumerate(points.items()):
        placed = [place(x, y) for x, y in row]
        parts.append(line(placed, color(index), 2))
        for (x, y), (at, up) in zip(row, placed, strict=True):
            about = f"{escape(label)}, {x:,}: {number(y)}"
            parts.append(
                f'<circle cx="{at:.1f}" cy="{up:.1f}" r="3.5" fill="{color(index)}">'
                f"<title>{about}</title></circle>"
            )
        parts.append(
            f'<rect x="{right + 14}" y="{top + 20 * index}" width="12" height="12" fill="{color(index)}"/>'
        )
        missing = "" if len(row) == len(series[label]) else f" ({len(series[label]) - len(row)} refused)"
        parts.append(text(right + 32, top + 20 * index + 11, label + missing))
    return "".join([*parts, "</svg>"])


# Rows of the picture of costs, with what it calls them.
COSTS = {
    "nginx": "nginx, which passes bytes on",
    "gRPC": "gemini-grpc, gRPC",
    "REST": "gemini-grpc, REST",
    "envoy": "Envoy's transcoder, gRPC",
    "node": "Node.js, grpc-js and fetch",
    "node-undici": "Node.js, grpc-js and undici",
    "python": "Python, grpc.aio and httpx",
    "portkey": "Portkey, OpenAI's REST",
    "litellm": "LiteLLM, Gemini's REST",
}
OWN_COLOR, OTHER_COLOR = "#2563eb", "#8b949e"
COSTS_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600; font-size: 14px }
.note { font-size: 11px; fill: #59636e } .grid { stroke: #d1d9e0 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .note { fill: #9198a1 } .grid { stroke: #3d444d }
}
"""


def costs(raw):
    """A picture for another page, as a file of its own: CPU time per unary call, on a logarithmic axis."""
    results, unary = Results(raw), scenarios.COST[0]
    measured = {row: results.cpu(unary, row) for row in COSTS if row in results.rows(unary)}
    measured = {row: cpu for row, cpu in measured.items() if isinstance(cpu, Figure)}
    if not measured:
        raise ValueError(f"the raw results have no CPU time of the scenario {unary.name}")
    width, left, right, top, step = 720, 215, 650, 58, 28
    height = top + step * len(measured) + 26
    low = math.floor(math.log10(min(cpu.middle for cpu in measured.values())))
    high = max(math.ceil(math.log10(max(cpu.middle for cpu in measured.values()))), low + 1)

    def x(value):
        return left + (math.log10(value) - low) / (high - low) * (right - left)

    title = "CPU time of a gateway for each call with an answer of 1 KB"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" '
        f'role="img" aria-label="{title}"><title>{title}</title><style>{COSTS_STYLE}</style>',
        text(0, 16, f"{title}, in microseconds", "title"),
    ]
    for power in range(low, high + 1):
        at, bottom = x(10**power), height - 22
        parts.append(f'<path class="grid" d="M{at:.1f} {top - 8}V{bottom}"/>')
        parts.append(
            f'<text class="note" x="{at:.1f}" y="{top - 14}" text-anchor="middle">{10**power:,}</text>'
        )
    for index, (row, cpu) in enumerate(measured.items()):
        up, fill = top + step * index, OWN_COLOR if COSTS[row].startswith("gemini-grpc") else OTHER_COLOR
        long = max(x(cpu.middle) - left, 1)
        parts.append(text(left - 10, up + 14, COSTS[row], "end"))
        parts.append(f'<rect x="{left}" y="{up}" width="{long:.1f}" height="20" rx="2" fill="{fill}"/>')
        parts.append(text(left + long + 7, up + 14, number(cpu.middle)))
    facts = raw["facts"]
    note = f"Logarithmic axis. {facts['CPU']}, {facts['date'].partition(' ')[0]}. Shorter is better."
    parts.append(f'<text class="note" x="0" y="{height - 4}">{escape(note)}</text>')
    return "".join([*parts, "</svg>\n"])


def opening(height, title):
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    return f'<svg {size} role="img" aria-label="{escape(title)}">'


def text(x, y, words, kind=""):
    anchor = f' text-anchor="{kind}"' if kind in ("end", "middle") else ""
    style = f' class="{kind}"' if kind in ("title", "refused") else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{anchor}{style}>{escape(words)}</text>'


def line(points, stroke, width):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="{width}"/>'


def escape(words):
    return html.escape(str(words), quote=True)
