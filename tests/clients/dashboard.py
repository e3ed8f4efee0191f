"""What the dashboard and the alerts ask Prometheus for, so that it can be held against what there is."""

import json
import re
import subprocess

from processes import ROOT

CHART = ROOT / "helm/gemini-grpc"
DASHBOARD = CHART / "dashboards/gemini-grpc.json"
RULES = CHART / "rules/gemini-grpc.yaml"

# What Grafana puts in the place of these; any other variable is the value of a label.
TIMES = {"$__rate_interval": "5m", "$__range": "1h"}
# Labels that whoever scrapes adds, and the one of buckets.
SCRAPED = {"namespace", "job", "instance", "pod", "zone", "le"}
# What is known of pods, containers and autoscalers by the kubelet and by kube-state-metrics.
CLUSTER = {
    "container_cpu_usage_seconds_total": {"container"},
    "container_memory_working_set_bytes": {"container"},
    "kube_pod_container_status_restarts_total": {"container"},
    "kube_horizontalpodautoscaler_status_current_replicas": {"horizontalpodautoscaler"},
    "kube_horizontalpodautoscaler_status_desired_replicas": {"horizontalpodautoscaler"},
    "kube_horizontalpodautoscaler_spec_max_replicas": {"horizontalpodautoscaler"},
    "kube_horizontalpodautoscaler_spec_min_replicas": {"horizontalpodautoscaler"},
}
WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "offset", "bool"}
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")


def load():
    return json.loads(DASHBOARD.read_text())


def panels():
    """All that show something."""
    return [panel for panel in load()["panels"] if panel["type"] != "row"]


def of_dashboard():
    """Each query of the dashboard, by where it is."""
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
    return {where: without_variables(expr) for where, expr in found.items()}


def without_variables(expr, **values):
    """A query as Grafana sends it, with everything chosen but for what is named."""
    for name, value in TIMES.items():
        expr = expr.replace(name, value)
    return re.sub(r"\$(\w+)", lambda name: values.get(name[1], ".*"), expr)


def rules():
    """The query of each alert and of each sum that is recorded. promtool reads the YAML; here the layout of the file is enough."""
    _, *texts = re.split(r"^      - (?:alert|record): ", RULES.read_text(), flags=re.M)
    found = {}
    for text in texts:
        block = re.search(r"^        expr: \|\n((?: {10}.*\n)+)", text, re.M)
        line = re.search(r"^        expr: (.+)\n", text, re.M)
        found[text.split("\n", 1)[0]] = (block or line)[1]
    return found


def recorded():
    """The labels of each series that is recorded. The chart adds the deployment."""
    return {name: groupings(expr) | {"deployment"} for name, expr in rules().items() if ":" in name}


def check(queries, folder, promtool):
    """Lets promtool parse queries: each becomes a recording rule in a file."""
    rules = [{"record": f"query_{n}", "expr": expr} for n, expr in enumerate(queries.values())]
    file = folder / "queries.yaml"
    # JSON is YAML.
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    run = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True)
    where = "\n".join(f"query_{n}: {where}" for n, where in enumerate(queries))
    assert run.returncode == 0, f"{run.stdout}{run.stderr}{where}"
    assert f"{len(rules)} rules found" in run.stdout, run.stdout


def matchers(expr):
    """Each metric that a query names, with the labels that it is chosen by."""
    # Texts may hold anything, and groupings hold labels only.
    expr = GROUPING.sub(" ", re.sub(r'"(?:\\.|[^"\\])*"', '""', expr))
    for name, rest, labels in re.findall(r"\b([a-zA-Z_:][\w:]*)\b(?!\s*[=!]~?\"\")(\s*\()?(?:\s*\{([^}]*)\})?", expr):
        # What is left are functions, words, and units of times such as 5m, which begin with a digit.
        if not rest and name not in WORDS:
            yield name, set(re.findall(r"(\w+)\s*[=!]~?", labels))


def groupings(expr):
    """The labels that a query groups or joins by."""
    found = set()
    for labels in GROUPING.findall(expr):
        found |= {label.strip() for label in labels.split(",") if label.strip()}
    return found


def exported(scrape):
    """The names in a text for Prometheus."""
    found = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", scrape, re.M):
        found |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return found


def unknown_metrics(queries, names):
    """What is asked for and not among these names."""
    return sorted({f"{where}: {name}" for where, expr in queries.items() for name, _ in matchers(expr)} - {
        f"{where}: {name}" for where in queries for name in names
    })


def unknown_labels(queries, labels):
    """Labels that are asked for and that the metric has not. `labels` has those of each metric, by its name."""
    found = []
    for where, expr in queries.items():
        asked = list(matchers(expr))
        for name, chosen in asked:
            found += [f"{where}: {name} {label}" for label in sorted(chosen - labels[name] - SCRAPED)]
        has = SCRAPED.union(*(labels[name] for name, _ in asked))
        found += [f"{where}: by {label}" for label in sorted(groupings(expr) - has)]
    return found


def name_in_prometheus(name, kind, unit):
    """What opentelemetry-prometheus makes of a name. Units in braces add nothing."""
    unit = {"s": "_seconds", "By": "_bytes", "1": "_ratio"}.get(unit, "")
    return name.replace(".", "_") + unit + ("_total" if kind == "counter" else "")


def labels_of(metrics):
    """The labels of each name in Prometheus, of (name, kind, unit, labels) as docs/telemetry.md has them."""
    found = {}
    for name, kind, unit, labels in metrics:
        name, labels = name_in_prometheus(name, kind, unit), {label.replace(".", "_") for label in labels}
        parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        found |= {name + part: labels for part in parts}
    return found
