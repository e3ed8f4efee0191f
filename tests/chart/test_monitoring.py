"""The monitors and the dashboard of a release."""

import json
import re

import pytest
from chart import CHART, NAME, NAMESPACE, find, render

FILE = json.loads((CHART / "dashboards/gemini-grpc.json").read_text())
PODS = f"{NAME}-[0-9a-z]+-[0-9a-z]{{5}}"


def dashboard(release="gemini", namespace=NAMESPACE, rules=False, selector="", **settings) -> tuple[str, dict]:
    """The name of the dashboard's file, and its content."""
    rule = {"enabled": rules, "selector": selector}
    monitoring = {"dashboard": {"enabled": True, **settings}, "prometheusRule": rule}
    objects = render({"monitoring": monitoring}, release=release, namespace=namespace)
    ((file, text),) = find(objects, "ConfigMap", f"{release}-gemini-grpc-dashboard")["data"].items()
    return file, json.loads(text)


def expressions(page: dict) -> list[str]:
    return [target["expr"] for panel in page["panels"] for target in panel.get("targets", [])]


def variable(page: dict, name: str) -> dict:
    (found,) = (each for each in page["templating"]["list"] if each["name"] == name)
    return found


def test_any_two_releases_have_different_dashboards():
    pages = [dashboard(*where) for where in (("one", "a"), ("two", "a"), ("one", "b"), ("one-a", "b"), ("one", "b-one"))]
    assert len({file for file, _ in pages}) == len(pages)
    assert len({page["title"] for _, page in pages}) == len(pages)
    assert len({page["uid"] for _, page in pages}) == len(pages)
    long = [dashboard("r" * 38, namespace)[1]["uid"] for namespace in ("a", "b")]
    assert long[0] != long[1]
    # The form that Grafana accepts.
    assert all(re.fullmatch(r"[a-z0-9-]{1,40}", uid) for uid in long)


def test_title_and_uid_of_the_dashboard_can_be_set():
    _, page = dashboard(title="Gateway", uid="gateway")
    assert (page["title"], page["uid"]) == ("Gateway", "gateway")


def test_the_dashboard_of_a_release_shows_its_own_pods():
    _, page = dashboard()
    assert variable(page, "namespace")["current"]["value"] == [NAMESPACE]
    assert variable(page, "pod")["allValue"] == PODS
    assert variable(page, "pod")["regex"] == f"/^{PODS}$/"
    assert variable(page, "deployment")["allValue"] == NAME
    # With a custom selector, pods may have other names, or no label with their name.
    _, page = dashboard(selector='job="gateways"')
    assert variable(page, "pod")["allValue"] == ".*"


def test_the_dashboard_reads_recorded_series_if_the_rules_are_installed_and_raw_series_otherwise():
    _, bare = dashboard()
    _, with_rules = dashboard(rules=True)
    assert expressions(bare) == expressions(FILE)
    recorded = [target.get("recorded", target["expr"]) for panel in FILE["panels"] for target in panel.get("targets", [])]
    assert expressions(with_rules) == recorded
    assert not any("histogram_quantile" in each and "rate(" in each for each in expressions(with_rules))
    for page in (bare, with_rules):
        assert '"recorded"' not in json.dumps(page)
        for panel in page["panels"]:
            notices = panel.get("description", "").count("Always covers all pods, whichever are selected.")
            reads_recorded = any("gemini_grpc:" in target["expr"] for target in panel.get("targets", []))
            assert notices == reads_recorded, panel["title"]


def test_the_chart_changes_nothing_else_in_the_dashboard():
    _, page = dashboard()
    for name in ("uid", "title"):
        page[name] = FILE[name]
    for name, keys in (("namespace", ["current"]), ("pod", ["allValue", "regex"]), ("deployment", ["allValue"])):
        for key in keys:
            variable(page, name).pop(key)
            variable(FILE, name).pop(key, None)
    for panel in FILE["panels"]:
        for target in panel.get("targets", []):
            target.pop("recorded", None)
    assert page == FILE


@pytest.mark.parametrize("kind, monitor", [("PodMonitor", "podMonitor"), ("ServiceMonitor", "serviceMonitor")])
def test_the_zone_comes_from_the_pod_or_from_its_node(kind, monitor):
    def scraped(**more):
        return find(render({"monitoring": {monitor: {"enabled": True, **more}}}), kind)["spec"]

    def sources(spec):
        (endpoint,) = spec.get("podMetricsEndpoints", spec.get("endpoints"))
        assert all(each["targetLabel"] == "zone" for each in endpoint["relabelings"])
        return [each["sourceLabels"] for each in endpoint["relabelings"]]

    of_the_pod = ["__meta_kubernetes_pod_label_topology_kubernetes_io_zone"]
    assert sources(scraped()) == [of_the_pod]
    assert "attachMetadata" not in scraped()
    assert sources(scraped(zone=True)) == [["__meta_kubernetes_node_label_topology_kubernetes_io_zone"], of_the_pod]
    assert scraped(zone=True)["attachMetadata"] == {"node": True}
