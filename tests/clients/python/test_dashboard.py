"""The dashboard and the rules of the chart: what they ask for is there, and can be understood. tests/chart has the alerts."""

import re

import pytest

import dashboard
from telemetry import PROMTOOL, wait_until
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
    assert dashboard.unknown_metrics(QUERIES, names) == []


def test_every_label_that_is_asked_for_is_documented():
    metrics = [(name, kind, unit, re.findall("`(.+?)`", labels)) for name, (kind, unit, labels) in documented().items()]
    labels = dashboard.labels_of(metrics) | dashboard.CLUSTER | dashboard.recorded()
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
