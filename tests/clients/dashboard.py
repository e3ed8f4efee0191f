"""Reads the queries of the dashboard and of the rules, and compares them with the metrics and labels that exist."""

import json
import re
import subprocess

from processes import ROOT

CHART = ROOT / "helm/gemini-grpc"
DASHBOARD = CHART / "dashboards/gemini-grpc.json"
RULES = CHART / "rules/gemini-grpc.yaml"

# How long calls take: over gRPC, and over REST.
DURATIONS = ("rpc_server_call_duration_seconds", "http_server_request_duration_seconds")
# The values by which Grafana replaces these variables. Any other variable is the value of a label.
TIME_VARIABLES = {"$__rate_interval": "5m", "$__range": "1h"}
# Labels that are added when pods are scraped, and the label of buckets.
LABELS_OF_SCRAPING = {"namespace", "job", "instance", "pod", "zone", "le"}
# Metrics of the kubelet and of kube-state-metrics about pods, containers and autoscalers, with the labels that are used.
METRICS_OF_CLUSTER = {
    "container_cpu_usage_seconds_total": {"container"},
    "container_memory_working_set_bytes": {"container"},
    "kube_pod_container_status_restarts_total": {"container"},
    "kube_horizontalpodautoscaler_status_current_replicas": {"horizontalpodautoscaler"},
    "kube_horizontalpodautoscaler_status_desired_replicas": {"horizontalpodautoscaler"},
    "kube_horizontalpodautoscaler_spec_max_replicas": {"horizontalpodautoscaler"},
    "kube_horizontalpodautoscaler_spec_min_replicas": {"horizontalpodautoscaler"},
}
KEYWORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "offset", "bool"}
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")


def load():
    return json.loads(DASHBOARD.read_text())


def panels():
    """All panels with content, without the rows."""
    return [panel for panel in load()["panels"] if panel["type"] != "row"]


def dashboard_queries():
    """Each query of the dashboard, by its place."""
    found = {
        f"panel {panel['id']} ({panel['title']}) {target['refId']}{' recorded' * (kind == 'recorded')}": target[kind]
        for panel in panels()
        for target in panel["targets"]
        for kind in ("expr", "recorded")
        if kind in target
    }
    for variable in load()["templating"]["list"]:
        if variable["type"] == "query":
            series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()
            found[f"variable {variable['name']}"] = f"count by ({label}) ({series})"
    return {place: without_variables(expr) for place, expr in found.items()}


def without_variables(expr, **values):
    """A query as Grafana sends it, with everything selected, except for the variables that are given."""
    for name, value in TIME_VARIABLES.items():
        expr = expr.replace(name, value)
    return re.sub(r"\$(\w+)", lambda name: values.get(name[1], ".*"), expr)


def rules():
    """The query of each alert and of each recording rule. promtool parses the YAML; here the layout of the file is enough."""
    _, *texts = re.split(r"^      - (?:alert|record): ", RULES.read_text(), flags=re.M)
    found = {}
    for text in texts:
        block = re.search(r"^        expr: \|\n((?: {10}.*\n)+)", text, re.M)
        line = re.search(r"^        expr: (.+)\n", text, re.M)
        found[text.split("\n", 1)[0]] = (block or line)[1]
    return found


def recorded():
    """The labels of each recorded series. The chart adds the label deployment."""
    return {name: groupings(expr) | {"deployment"} for name, expr in rules().items() if ":" in name}


def check(queries, folder, promtool):
    """Lets promtool parse the queries: each becomes a recording rule in a file."""
    rules = [{"record": f"query_{n}", "expr": expr} for n, expr in enumerate(queries.values())]
    file = folder / "queries.yaml"
    # JSON is valid YAML.
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    run = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True)
    places = "\n".join(f"query_{n}: {place}" for n, place in enumerate(queries))
    assert run.returncode == 0, f"{run.stdout}{run.stderr}{places}"
    assert f"{len(rules)} rules found" in run.stdout, run.stdout


def matchers(expr):
    """Each metric in a query, with the labels that select its series."""
    # Removes texts, which may contain anything, and groupings, which contain only labels.
    expr = GROUPING.sub(" ", re.sub(r'"(?:\\.|[^"\\])*"', '""', expr))
    for name, rest, labels in re.findall(r"\b([a-zA-Z_:][\w:]*)\b(?!\s*[=!]~?\"\")(\s*\()?(?:\s*\{([^}]*)\})?", expr):
        # The other matches are functions, keywords, and units of times such as 5m, which begin with a digit.
        if not rest and name not in KEYWORDS:
            yield name, set(re.findall(r"(\w+)\s*[=!]~?", labels))


def groupings(expr):
    """The labels by which a query groups or joins."""
    found = set()
    for labels in GROUPING.findall(expr):
        found |= {label.strip() for label in labels.split(",") if label.strip()}
    return found


def exported(scrape):
    """The names of the series in a scrape by Prometheus."""
    found = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", scrape, re.M):
        found |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return found


def unknown_metrics(queries, names):
    """The metrics in the queries that are not among these names."""
    return sorted({f"{place}: {name}" for place, expr in queries.items() for name, _ in matchers(expr)} - {
        f"{place}: {name}" for place in queries for name in names
    })


def unknown_labels(queries, labels):
    """The labels in the queries that their metric does not have. `labels` has the labels of each metric, by its name."""
    found = []
    for place, expr in queries.items():
        used = list(matchers(expr))
        for name, selecting in used:
            found += [f"{place}: {name} {label}" for label in sorted(selecting - labels[name] - LABELS_OF_SCRAPING)]
        existing = LABELS_OF_SCRAPING.union(*(labels[name] for name, _ in used))
        found += [f"{place}: by {label}" for label in sorted(groupings(expr) - existing)]
    return found


def name_in_prometheus(name, kind, unit):
    """The name that opentelemetry-prometheus gives a metric. A unit in braces adds nothing."""
    unit = {"s": "_seconds", "By": "_bytes", "1": "_ratio"}.get(unit, "")
    return name.replace(".", "_") + unit + ("_total" if kind == "counter" else "")


def labels_of(metrics):
    """The labels of each name in Prometheus, from the (name, kind, unit, labels) in docs/telemetry.md."""
    found = {}
    for name, kind, unit, labels in metrics:
        name, labels = name_in_prometheus(name, kind, unit), {label.replace(".", "_") for label in labels}
        parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        found |= {name + part: labels for part in parts}
    return found
