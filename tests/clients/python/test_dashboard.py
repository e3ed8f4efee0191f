"""The dashboard and the rules of the chart: what they ask for is there, and can be understood. tests/chart has the alerts."""

import math
import re

import pytest

import dashboard
from pods import Pods, configuration
from pods import name as name_of
from telemetry import PROMTOOL, Prometheus, wait_until
from test_metrics import documented, gateway, make_calls, read

QUERIES = {**dashboard.of_dashboard(), **dashboard.rules()}


def test_every_query_can_be_parsed(tmp_path):
    dashboard.check(QUERIES, tmp_path, PROMTOOL)


def test_a_query_that_cannot_be_parsed_is_told(tmp_path):
    with pytest.raises(AssertionError, match="query_0: here"):
        dashboard.check({"here": "sum(up"}, tmp_path, PROMTOOL)


def test_metrics_and_labels_are_found_in_queries():
    expr = 'sum by (le, a) (rate(one_bucket{b="x{y}", c!~"1"}[5m])) / on (d) two offset 1h and three > 5e3 or vector(0)'
    assert list(dashboard.matchers(expr)) == [("one_bucket", {"b", "c"}), ("two", set()), ("three", set())]
    assert dashboard.groupings(expr) == {"le", "a", "d"}
    labels = {"one_bucket": {"a", "b"}, "two": {"d"}, "three": set()}
    assert dashboard.unknown_labels({"here": expr}, labels) == ["here: one_bucket c"]
    assert dashboard.unknown_metrics({"here": expr}, {"one_bucket", "two"}) == ["here: three"]


def test_every_metric_that_is_asked_for_is_exported(tmp_path, sandbox):
    (tmp_path / "key").write_text("a-key")
    flags = ["--admin-listen", "127.0.0.1:0", "--reload-interval", "0.1", "--api-key-file", str(tmp_path / "key")]
    with gateway(sandbox, *flags, retries=5) as (address, admin):
        make_calls(address)
        (tmp_path / "key").write_text("another-key")
        wait_until(lambda: "gemini_grpc_reloads_total" in read(admin, "/metrics"), "the reload")
        names = dashboard.exported(read(admin, "/metrics"))
    names |= dashboard.CLUSTER.keys() | dashboard.recorded().keys()
    # There are no certificates without TLS.
    names.add("gemini_grpc_tls_certificate_expiry_seconds")
    assert dashboard.unknown_metrics(QUERIES, names) == []


def test_every_label_that_is_asked_for_is_documented():
    metrics = [(name, kind, unit, re.findall("`(.+?)`", labels)) for name, (kind, unit, labels) in documented().items()]
    labels = dashboard.labels_of(metrics) | dashboard.CLUSTER | dashboard.recorded()
    labels["target_info"] = {"service_version", "k8s_deployment_name"}
    assert dashboard.unknown_labels(QUERIES, labels) == []


def test_every_panel_says_what_it_shows_and_has_its_own_place():
    ids, taken = set(), set()
    for panel in dashboard.load()["panels"]:
        assert panel["title"] and panel["id"] not in ids, panel
        ids.add(panel["id"])
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and all(x < 24 for x, _ in cells), panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert panel["description"].endswith("."), panel["title"]


@pytest.fixture(scope="module")
def fifty(tmp_path_factory, sandbox):
    """A Prometheus that has scraped fifty pods some times: one gateway's metrics, made many."""
    folder = tmp_path_factory.mktemp("fifty")
    (folder / "key").write_text("a-key")
    attributes = {"OTEL_RESOURCE_ATTRIBUTES": "k8s.deployment.name=gemini-grpc"}
    flags = ["--admin-listen", "127.0.0.1:0", "--reload-interval", "0.1", "--api-key-file", str(folder / "key")]
    with gateway(sandbox, *flags, env=attributes, retries=5) as (address, admin):
        make_calls(address)
        (folder / "key").write_text("another-key")
        wait_until(lambda: 'reloads_total{outcome="applied"} 1' in read(admin, "/metrics"), "the reload")
        pods = Pods(read(admin, "/metrics"))
    prometheus = Prometheus(folder, None, configuration(pods.targets(), dashboard.RULES))
    wanted = "count(count_over_time(gemini_grpc_calls_limit[1m]) > 2) == 50 and count(gemini_grpc:calls:rate5m) == 50"
    wait_until(lambda: prometheus.query(wanted), "three scrapes of each pod")
    yield prometheus
    prometheus.stop()
    pods.stop()


def asked():
    """Each query of each panel."""
    for panel in dashboard.panels():
        for target in panel["targets"]:
            for kind in ("expr", "recorded"):
                if kind in target:
                    yield pytest.param(panel, target[kind], id=f"{panel['title']} {target['refId']} {kind}")


@pytest.mark.parametrize("panel, expr", asked())
def test_a_panel_of_fifty_pods_can_be_read(fifty, panel, expr):
    found = fifty.query(dashboard.without_variables(expr))
    assert any(math.isfinite(float(each["value"][1])) for each in found)
    # A heat map is made of all pods, a table has a row for each, and of lines there are fifteen at most.
    most = {"heatmap": 50, "table": 100, "stat": 1}.get(panel["type"], 15)
    assert len(found) <= most
    assert all(set(each["metric"]) <= set(re.findall(r"\w+", expr)) | {"__name__"} for each in found)


@pytest.mark.parametrize("panel, expr", [each for each in asked() if "$pod" in each.values[1]])
def test_a_panel_shows_the_pods_that_are_chosen_and_no_others(fifty, panel, expr):
    for name, value in (("pod", name_of(7)), ("zone", "b"), ("namespace", "models")):
        assert fifty.query(dashboard.without_variables(expr, **{name: value})), (name, expr)
        nothing = fifty.query(dashboard.without_variables(expr, **{name: "elsewhere"}))
        assert all(float(each["value"][1]) == 0 for each in nothing), (name, expr)


def test_variables_list_what_there_is(fifty):
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
