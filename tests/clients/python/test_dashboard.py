"""The dashboard and the rules of the chart: their metrics and labels exist, and the results are readable. The alerts are
tested in tests/chart."""

import math
import re

import pytest

import dashboard
from pods import Pods, configuration
from pods import name as name_of
from telemetry import PROMTOOL, Prometheus, wait_until
from test_metrics import documented, every_feature, gateway, make_calls, read

QUERIES = {**dashboard.dashboard_queries(), **dashboard.rules()}


def test_every_query_can_be_parsed(tmp_path):
    dashboard.check(QUERIES, tmp_path, PROMTOOL)


def test_an_invalid_query_is_reported_with_its_place(tmp_path):
    with pytest.raises(AssertionError, match="query_0: here"):
        dashboard.check({"here": "sum(up"}, tmp_path, PROMTOOL)


def test_metrics_and_labels_are_found_in_queries():
    expr = 'sum by (le, a) (rate(one_bucket{b="x{y}", c!~"1"}[5m])) / on (d) two offset 1h and three > 5e3 or vector(0)'
    assert list(dashboard.matchers(expr)) == [("one_bucket", {"b", "c"}), ("two", set()), ("three", set())]
    assert dashboard.groupings(expr) == {"le", "a", "d"}
    labels = {"one_bucket": {"a", "b"}, "two": {"d"}, "three": set()}
    assert dashboard.unknown_labels({"here": expr}, labels) == ["here: one_bucket c"]
    assert dashboard.unknown_metrics({"here": expr}, {"one_bucket", "two"}) == ["here: three"]


def used(admin):
    """The metrics of `every_feature`, once the last ones are there: of the reload, and of the store that is away."""
    def find():
        text = read(admin, "/metrics")
        last = ('reloads_total{outcome="applied"} 1', "gemini_grpc_store_failures_total", "gemini_grpc_store_shares_total")
        return all(each in text for each in last) and text

    return wait_until(find, "all metrics")


def test_every_metric_in_a_query_is_exported(tmp_path, sandbox):
    with every_feature(tmp_path, sandbox, "--admin-listen", "127.0.0.1:0") as (_, admin):
        names = dashboard.exported(used(admin))
    names |= dashboard.METRICS_OF_CLUSTER.keys() | dashboard.recorded().keys()
    # A gateway without TLS has no certificates.
    names.add("gemini_grpc_tls_certificate_expiry_seconds")
    assert dashboard.unknown_metrics(QUERIES, names) == []


def test_calls_over_grpc_and_over_rest_have_the_same_buckets(sandbox):
    # A quantile over both adds their buckets.
    with gateway(sandbox, "--admin-listen", "127.0.0.1:0", retries=5) as (address, admin):
        make_calls(address)
        text = read(admin, "/metrics")
    buckets = [set(re.findall(rf'^{name}_bucket{{.*le="(.+?)"', text, re.M)) for name in dashboard.DURATIONS]
    assert len(buckets[0]) > 20 and buckets[0] == buckets[1]


def test_every_duration_of_calls_that_is_read_includes_both_faces():
    for place, expr in QUERIES.items():
        used = {name.rpartition("_seconds_")[0] + "_seconds" for name, _ in dashboard.matchers(expr)} & set(dashboard.DURATIONS)
        alone = "Calls by face" in place or "Calls by status code" in place
        assert len(used) in ((1,) if alone else (0, 2)), place


def test_every_label_in_a_query_is_documented():
    metrics = [(name, kind, unit, re.findall("`(.+?)`", labels)) for name, (kind, unit, labels) in documented().items()]
    labels = dashboard.labels_of(metrics) | dashboard.METRICS_OF_CLUSTER | dashboard.recorded()
    labels["target_info"] = {"service_version", "k8s_deployment_name"}
    assert dashboard.unknown_labels(QUERIES, labels) == []


def test_every_panel_has_a_title_a_description_a_unit_and_its_own_place():
    ids, taken = set(), set()
    for panel in dashboard.load()["panels"]:
        assert panel["title"] and panel["id"] not in ids, panel
        ids.add(panel["id"])
        pos = panel["gridPos"]
        cells = {(x, y) for x in range(pos["x"], pos["x"] + pos["w"]) for y in range(pos["y"], pos["y"] + pos["h"])}
        assert not cells & taken and all(x < 24 for x, _ in cells), panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert panel["description"].endswith("."), panel["title"]


@pytest.fixture(scope="module")
def fifty(tmp_path_factory, sandbox):
    """A Prometheus that has scraped fifty pods several times; the pods are simulated from one gateway's metrics."""
    folder = tmp_path_factory.mktemp("fifty")
    attributes = {"OTEL_RESOURCE_ATTRIBUTES": "k8s.deployment.name=gemini-grpc"}
    with every_feature(folder, sandbox, "--admin-listen", "127.0.0.1:0", env=attributes) as (_, admin):
        pods = Pods(used(admin))
    prometheus = Prometheus(folder, None, configuration(pods.targets(), dashboard.RULES))
    ready = "count(count_over_time(gemini_grpc_calls_limit[1m]) > 2) == 50 and count(gemini_grpc:calls:rate5m) == 50"
    ready += " and count(gemini_grpc_calls_limit) == 50"
    (found,) = wait_until(lambda: prometheus.query(ready), "three scrapes of each pod", seconds=120)
    # Later on a busy machine, a scrape may take too long, and its pod is gone until the next one.
    prometheus.moment = found["value"][0]
    yield prometheus
    prometheus.stop()
    pods.stop()


def panel_queries():
    """Each query of each panel, as a parameter of a test."""
    for panel in dashboard.panels():
        for target in panel["targets"]:
            for kind in ("expr", "recorded"):
                if kind in target:
                    yield pytest.param(panel, target[kind], id=f"{panel['title']} {target['refId']} {kind}")


@pytest.mark.parametrize("panel, expr", panel_queries())
def test_a_panel_stays_readable_with_fifty_pods(fifty, panel, expr):
    found = fifty.query(dashboard.without_variables(expr))
    assert any(math.isfinite(float(each["value"][1])) for each in found)
    # A heat map reads all pods, a table has a row for each of them, and other panels have at most fifteen lines.
    max_series = {"heatmap": 50, "table": 100, "stat": 1}.get(panel["type"], 15)
    assert len(found) <= max_series
    assert all(set(each["metric"]) <= set(re.findall(r"\w+", expr)) | {"__name__"} for each in found)


@pytest.mark.parametrize("panel, expr", [each for each in panel_queries() if "$pod" in each.values[1]])
def test_a_panel_shows_only_the_selected_pods(fifty, panel, expr):
    for name, value in (("pod", name_of(7)), ("zone", "b"), ("namespace", "models")):
        assert fifty.query(dashboard.without_variables(expr, **{name: value})), (name, expr)
        nothing = fifty.query(dashboard.without_variables(expr, **{name: "elsewhere"}))
        assert all(float(each["value"][1]) == 0 for each in nothing), (name, expr)


def test_variables_list_the_existing_values(fifty):
    def listed(name):
        (variable,) = (each for each in dashboard.load()["templating"]["list"] if each["name"] == name)
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()
        found = fifty.query(dashboard.without_variables(f"count by ({label}) ({series})"))
        return sorted(each["metric"][label] for each in found if label in each["metric"])

    assert listed("namespace") == ["models"]
    assert listed("zone") == ["a", "b", "c"]
    assert len(listed("pod")) == 50
    assert listed("deployment") == ["gemini-grpc"]
    assert "gemini-2.5-flash" in listed("model")
