"""The dashboard and the alert rules: they can be read, and name only metrics that there are."""

import json
import re
import subprocess
import urllib.request

import pytest

from google_client import SyncClient, request
from processes import ROOT, admin_in, start_gateway
from telemetry import PROMTOOL

DASHBOARD = ROOT / "helm/gemini-grpc/dashboards/gemini-grpc.json"
RULES = ROOT / "helm/gemini-grpc/rules/gemini-grpc.yaml"
VARIABLES = {"$__rate_interval": "5m"}
# What stands in a query and is no metric.
WORDS = re.compile(r'"[^"]*"|\bby *\([^)]*\)|\[[^\]]*\]|\{[^}]*\}')


def promtool(*arguments):
    return subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True)


def panels():
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def dashboard_queries():
    for panel in panels():
        for target in panel["targets"]:
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            yield re.sub(r"\$\w+", ".*", query)


def rule_queries():
    text = RULES.read_text()
    yield from re.findall(r"expr: (?!\|)(.+)", text)
    yield from re.findall(r"expr: \|\n((?: {10,}.*\n)+)", text)


def names_in(query):
    return {name for name in re.findall(r"[a-z][a-z_]+_[a-z_]+", WORDS.sub(" ", query)) if name != "histogram_quantile"}


@pytest.fixture(scope="module")
def exported(sandbox):
    """The names that Prometheus finds after a call or two."""
    env = {"MOUNTSEA_API_KEY": "a-key"}
    flags = ["--admin-listen", "127.0.0.1:0", "--drain-delay", "0"]
    process, address = start_gateway("--upstream-url", sandbox, *flags, env=env, retries=3)
    admin = process.wait_for(admin_in)
    client = SyncClient(address)
    list(client.stream(request("why?")))
    client.generate(request("why?", model="sandbox-unknown-fields"))
    for _ in range(3):
        # Tried again until the budget is spent.
        with pytest.raises(Exception, match="503"):
            client.generate(request("why?", model="sandbox-503"))
    client.close()
    with urllib.request.urlopen(f"http://{admin}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    process.stop()
    return set(re.findall(r"^([a-z_]+)[{ ]", text, re.M))


def test_the_rules_can_be_read_and_each_alert_is_quiet_and_loud_when_it_should_be():
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = promtool("test", "rules", ROOT / "tests/telemetry/rules.test.yaml")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    alerts = set(re.findall(r"alert: (\w+)", RULES.read_text()))
    told = re.findall(r"name: (\w+) (quiet|loud)", (ROOT / "tests/telemetry/rules.test.yaml").read_text())
    assert set(told) == {(alert, how) for alert in alerts for how in ("quiet", "loud")}


def test_every_alert_has_its_lines_in_the_operations_page():
    page = (ROOT / "docs/operations.md").read_text()
    for alert, runbook in re.findall(r"alert: (\w+)\n(?:.*\n)*?.*runbook: (\S+)", RULES.read_text()):
        assert f"### {alert}\n" in page
        assert runbook == f"docs/operations.md#{alert.lower()}"


def test_every_query_can_be_parsed(tmp_path):
    queries = list(dashboard_queries())
    assert len(queries) > 30
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    path = tmp_path / "queries.yaml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = promtool("check", "rules", path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_query_names_metrics_that_are_exported(exported):
    for query in [*dashboard_queries(), *rule_queries()]:
        names = names_in(query)
        assert names and names <= exported, (names - exported, query)


def test_every_panel_says_what_it_shows():
    for panel in panels():
        assert panel["title"] and panel["description"].endswith(".") and panel["fieldConfig"]["defaults"]["unit"]
