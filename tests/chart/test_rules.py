"""The alerts: when they fire and when they do not, for one of two releases, and how values change them."""

import json
import re
import subprocess

import pytest
import yaml
from alerts import CASES
from chart import CHART, NAME, NAMESPACE, ROOT, Loader, find, refusal, render

PROMTOOL = ROOT / "target/ci/bin/promtool"
FILE = CHART / "rules/gemini-grpc.yaml"
RULES = [rule for group in yaml.load(FILE.read_text(), Loader)["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RUNBOOK = (ROOT / "docs/alerts.md").read_text()


def rules(release="gemini", namespace=NAMESPACE, **settings) -> dict:
    """The groups of a release."""
    values = {"monitoring": {"prometheusRule": {"enabled": True, **settings}}}
    objects = render(values, release=release, namespace=namespace)
    return find(objects, "PrometheusRule", f"{release}-gemini-grpc")["spec"]


def by_name(groups: dict) -> dict:
    return {rule["alert"]: rule for group in groups["groups"] for rule in group["rules"] if "alert" in rule}


def promtool(*arguments) -> None:
    ran = subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def pod(release: str, number: str) -> str:
    """The name of a pod, as Kubernetes makes it."""
    return f"{release}-gemini-grpc-7d9f6c5b4-aaaa{number}"


def series(release: str, name: str, values: str) -> dict:
    """A series of a case, with the labels that scraping adds."""
    number, metric, labels = re.fullmatch(r"(\d?)(\w+)(?:\{(.*)\})?", name).groups()
    if metric.startswith("kube_"):
        own = f'namespace="models", horizontalpodautoscaler="{release}-gemini-grpc"'
    else:
        own = f'namespace="models", job="pods", pod="{pod(release, number or "1")}"'
    return {"series": f"{metric}{{{', '.join(filter(None, [own, labels]))}}}", "values": values}


def promtool_test(case) -> dict:
    """A case in the format of promtool."""
    limit = "gemini_grpc_calls_limit"
    mine = {limit: case.pods_up, f"2{limit}": case.pods_up, **case.bad}
    theirs = {limit: "1000x120", f"2{limit}": "1000x120", **case.good}
    # Another server in the namespace, with metrics of the same names.
    other = {name: values for name, values in case.bad.items() if not name.lstrip("2").startswith(("gemini_grpc", "kube"))}
    labels = sorted({label for found in case.found for label in found})
    grouping = ", ".join(["alertname", "deployment", *labels])

    def sample(alert, found):
        found = found | ({"pod": pod("bad", found["pod"])} if "pod" in found else {})
        every = {"alertname": alert, "deployment": "bad-gemini-grpc", **found}
        return {"labels": "{" + ", ".join(f'{name}="{value}"' for name, value in every.items()) + "}", "value": 1}

    firing = {"expr": f'count by ({grouping}) (ALERTS{{alertstate="firing"}})'}
    expected = [sample(alert, found) for alert in [case.alert, *case.also_firing] for found in case.found]
    return {
        "name": f"{case.alert} {case.name}",
        "interval": "1m",
        "input_series": [
            *(series("bad", *each) for each in mine.items()),
            *(series("good", *each) for each in theirs.items()),
            *(series("other", *each) for each in other.items()),
        ],
        "promql_expr_test": [
            {**firing, "eval_time": f"{case.not_firing_at}m", "exp_samples": []},
            {**firing, "eval_time": f"{case.firing_at}m", "exp_samples": expected},
        ],
    }


def run(folder, tests, *groups) -> None:
    """Runs promtool's tests over groups of rules, which are written as JSON, since JSON is valid YAML."""
    files = []
    for number, each in enumerate(groups):
        files.append(str(folder / f"{number}.yaml"))
        (folder / f"{number}.yaml").write_text(json.dumps(each))
    (folder / "tests.yaml").write_text(json.dumps({"rule_files": files, "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", folder / "tests.yaml")


@pytest.mark.parametrize("case", CASES, ids=[f"{case.alert} {case.name}".strip() for case in CASES])
def test_an_alert_fires_for_the_affected_release_and_for_no_other(case, tmp_path):
    run(tmp_path, [promtool_test(case)], rules("good"), rules("bad"))


def test_no_alert_fires_for_a_release_of_the_same_name_in_another_namespace(tmp_path):
    tests = [promtool_test(case) for case in CASES]
    for each in tests:
        (_, late) = each["promql_expr_test"]
        # The release has no pods in this namespace.
        alone = {"labels": '{alertname="GeminiGrpcNoPods"}', "value": 1}
        firing = {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": late["eval_time"]}
        each["promql_expr_test"] = [{**firing, "exp_samples": [alone]}]
    run(tmp_path, tests, rules("bad", namespace="elsewhere"))


def test_every_alert_has_a_case():
    assert {case.alert for case in CASES} == set(ALERTS)


def test_the_alert_of_a_refused_reload_ends_when_the_files_are_fixed(tmp_path):
    (case,) = (case for case in CASES if case.alert == "GeminiGrpcReloadRefused")
    mended = promtool_test(case)
    mended["input_series"][2]["values"] = "0x20 1x20 0x60"
    mended["promql_expr_test"][1] |= {"eval_time": "42m", "exp_samples": []}
    run(tmp_path, [mended], rules("bad"))


def test_a_single_failed_call_fires_no_alert_even_with_few_calls(tmp_path):
    name = 'rpc_server_call_duration_seconds_count{rpc_status_code="INTERNAL", error_type="INTERNAL"}'
    every = [series("bad", name, "1x10 2x20"), series("bad", "gemini_grpc_calls_limit", "1000x30")]
    fired = {"expr": 'count_over_time(ALERTS{alertstate="firing"}[30m])', "eval_time": "30m", "exp_samples": []}
    run(tmp_path, [{"interval": "1m", "input_series": every, "promql_expr_test": [fired]}], rules("bad"))


def test_the_recorded_durations_of_calls_are_those_of_all_faces(tmp_path):
    grpc = 'rpc_server_call_duration_seconds_bucket{rpc_method="a/B", le="%s"}'
    rest = 'http_server_request_duration_seconds_bucket{http_route="/v1/models/{model}:generateContent", le="%s"}'
    # Each second, three calls over gRPC take up to one second, and one over REST up to ten.
    every = [series("bad", "gemini_grpc_calls_limit", "1000x30")]
    for name, counts in ((grpc, (180, 180)), (rest, (0, 60))):
        every += [series("bad", name % bound, f"0+{count}x30") for bound, count in zip(("1", "10"), counts, strict=True)]
        every += [series("bad", name % "+Inf", f"0+{counts[-1]}x30")]
    recorded = "sum by (le) (gemini_grpc:call_duration_seconds_bucket:rate5m)"
    tests = [
        {"expr": f"histogram_quantile(0.5, {recorded})", "eval_time": "20m", "exp_samples": [{"labels": "{}", "value": 2 / 3}]},
        {"expr": f"histogram_quantile(1, {recorded})", "eval_time": "20m", "exp_samples": [{"labels": "{}", "value": 10}]},
    ]
    run(tmp_path, [{"interval": "1m", "input_series": every, "promql_expr_test": tests}], rules("bad"))


def test_the_alert_names_the_failing_pod_of_fifty_and_does_not_fire_if_all_fail(tmp_path):
    def calls(number, status, rate):
        labels = f'namespace="models", job="pods", pod="bad-gemini-grpc-7d9f6c5b4-{number:05}"'
        return [
            {"series": f'rpc_server_call_duration_seconds_count{{{labels}, rpc_status_code="{status}"}}', "values": f"0+{rate}x30"},
            {"series": f"gemini_grpc_calls_limit{{{labels}}}", "values": "1000x30"},
        ]

    one = [each for number in range(50) for each in calls(number, "INTERNAL" if number == 7 else "OK", 60)]
    every = [each for number in range(50) for each in calls(number, "INTERNAL", 60)]
    firing = {"expr": 'count by (alertname, pod) (ALERTS{alertstate="firing"})', "eval_time": "20m"}
    found = '{alertname="GeminiGrpcPodFails", pod="bad-gemini-grpc-7d9f6c5b4-00007"}'
    whole = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in ("GeminiGrpcCallsFail", "GeminiGrpcMostCallsFail")]
    tests = [
        {"interval": "1m", "input_series": one, "promql_expr_test": [{**firing, "exp_samples": [{"labels": found, "value": 1}]}]},
        {"interval": "1m", "input_series": every, "promql_expr_test": [{**firing, "exp_samples": whole}]},
    ]
    run(tmp_path, tests, rules("bad"))


def test_the_file_of_rules_is_valid_by_itself_and_covers_every_gateway(tmp_path):
    promtool("check", "rules", "--lint=all", "--lint-fatal", FILE)
    names = ("GeminiGrpcCallsFail", "GeminiGrpcSlowFirstChunk", "GeminiGrpcCallsNearLimit", "GeminiGrpcAtMaximum")
    tests = []
    for case in (case for case in CASES if case.alert in names and not case.name):
        test = promtool_test(case)
        for each in test["input_series"]:
            # Without the operator, series have neither namespace nor pod.
            ours = r'namespace="models", job="pods", pod="(\w+)-gemini-grpc-7d9f6c5b4-(\w+)"'
            each["series"] = re.sub(ours, r'job="\1", instance="\2"', each["series"])
        firing = {"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": f"{case.firing_at}m"}
        test["promql_expr_test"] = [{**firing, "exp_samples": [{"labels": f'{{alertname="{case.alert}"}}', "value": 1}]}]
        tests.append(test)
    run(tmp_path, tests, yaml.load(FILE.read_text(), Loader))


def test_alerts_name_the_pod_and_the_runbook(tmp_path):
    names = ("GeminiGrpcCallsNearLimit", "GeminiGrpcSlowFirstChunk", "GeminiGrpcCertificateExpires", "GeminiGrpcReloadRefused")
    descriptions = {
        "GeminiGrpcCallsNearLimit": "bad-gemini-grpc-7d9f6c5b4-aaaa1 has 85% of GEMINI_GRPC_MAX_CALLS in flight.",
        "GeminiGrpcSlowFirstChunk": "One in twenty streams of slow waits 1m 1s or longer for its first chunk.",
        "GeminiGrpcCertificateExpires": "The certificate upstream_client of pods expires in 6d 21h 6m 0s.",
        "GeminiGrpcReloadRefused": "Pods of pods that cannot use their changed files, and continue with the old ones: 1.",
    }
    tests = []
    for case in (case for case in CASES if case.alert in names):
        test, rule = promtool_test(case), ALERTS[case.alert]
        (found,) = case.found
        found = {name: pod("bad", value) if name == "pod" else value for name, value in found.items()}
        labels = {"severity": "warning", "deployment": "bad-gemini-grpc", "namespace": "models", "job": "pods", **found}
        annotations = {**rule["annotations"], "description": descriptions[case.alert]}
        del test["promql_expr_test"]
        expected = [{"exp_labels": labels, "exp_annotations": annotations}]
        test["alert_rule_test"] = [{"alertname": case.alert, "eval_time": f"{case.firing_at}m", "exp_alerts": expected}]
        tests.append(test)
    run(tmp_path, tests, rules("bad"))


def test_every_alert_has_a_severity_and_a_section_in_the_runbook():
    base = "https://github.com/mountsea/gemini-grpc/blob/main/docs/alerts.md"
    assert list(ALERTS) == re.findall(r"^## (GeminiGrpc\w+)$", RUNBOOK, re.M)
    for groups in (ALERTS, by_name(rules())):
        for name, rule in groups.items():
            assert rule["labels"]["severity"] in ("info", "warning", "critical"), name
            assert rule["annotations"]["runbook_url"] == f"{base}#{name.lower()}"
            assert rule["annotations"]["summary"]
            assert rule["annotations"]["description"].endswith(".")
    other = by_name(rules(runbookUrl="https://wiki.example/gateway"))["GeminiGrpcNoRoom"]
    assert other["annotations"]["runbook_url"] == "https://wiki.example/gateway#geminigrpcnoroom"


def test_two_releases_have_no_rule_in_common():
    one, two = (json.dumps(rules(release)) for release in ("one", "two"))
    assert one.replace("one-gemini-grpc", "two-gemini-grpc") == two
    for text in (one, two):
        assert 'namespace=~".*"' not in text.replace("\\", "")
        assert 'deployment=~".*"' not in text.replace("\\", "")


def test_every_rule_selects_series_of_this_release_only():
    mine = ('pod=~"gemini-gemini-grpc-[0-9a-z]+-[0-9a-z]{5}"', f'deployment="{NAME}"', f'horizontalpodautoscaler=~"(keda-hpa-)?{NAME}"')
    for group in rules()["groups"]:
        for rule in group["rules"]:
            expr = re.sub(r"and on \([^)]*\) gemini_grpc_calls_limit\n?$", "", rule["expr"])
            selectors = re.findall(r"\{(namespace=[^{}]*(?:\{5\}[^{}]*)*)\}", expr)
            assert selectors, rule
            assert all(each.startswith('namespace="models", ') and any(own in each for own in mine) for each in selectors), rule
            assert not re.search(r"\w\{(?!namespace=)", expr), rule
            # No series is used without a selector.
            names = re.findall(r"\b(?:gemini_grpc|rpc_server|http_server|http_client|gen_ai_client|kube)[\w:]*\b(?=[{\s)\[])", expr)
            assert len([name for name in names if name != "gemini_grpc_tls_certificate"]) >= len(selectors)
            assert not re.search(r"\b(?:gemini_grpc_(?!tls_certificate\b)|rpc_server|http_server|http_client|gen_ai_client)\w+[^\w{:,)]", expr), rule


def test_the_selector_of_series_can_be_replaced():
    exprs = [rule["expr"] for group in rules(selector='job="gateways"')["groups"] for rule in group["rules"]]
    assert any('rate(rpc_server_call_duration_seconds_count{job="gateways"}[5m])' in each for each in exprs)
    assert any('rate(http_server_request_duration_seconds_count{job="gateways", http_route=' in each for each in exprs)
    assert not any("pod=~" in each for each in exprs)


def test_alerts_have_common_labels_and_their_own():
    settings = {"alertLabels": {"team": "models", "severity": "page"}, "alerts": {"GeminiGrpcNoRoom": {"labels": {"team": "other"}}}}
    alerts = by_name(rules(**settings))
    assert alerts["GeminiGrpcCallsFail"]["labels"] == {"severity": "warning", "team": "models", "deployment": NAME}
    assert alerts["GeminiGrpcNoRoom"]["labels"]["team"] == "other"


def test_an_alert_can_be_removed_or_changed_without_changing_others():
    change = {"enabled": True, "threshold": 0.2, "for": "1h", "severity": "info"}
    before, after = by_name(rules()), by_name(rules(alerts={"GeminiGrpcCallsFail": change, "GeminiGrpcPodFails": {"enabled": False}}))
    assert set(before) - set(after) == {"GeminiGrpcPodFails"}
    changed, was = after.pop("GeminiGrpcCallsFail"), before["GeminiGrpcCallsFail"]
    assert changed["expr"] == was["expr"].replace("> 0.05", "> 0.2")
    assert (changed["for"], changed["labels"]["severity"]) == ("1h", "info")
    assert all(before[name] == rule for name, rule in after.items())


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_a_threshold_is_the_first_number_that_an_alert_compares_with(name):
    before = by_name(rules())[name]["expr"]
    if not re.search(r"[<>]=? \d", before):
        assert f"alerts.{name}: this alert has no threshold" in refusal(
            {"monitoring": {"prometheusRule": {"enabled": True, "alerts": {name: {"threshold": 1}}}}}
        )
        return
    after = by_name(rules(alerts={name: {"threshold": "123.5"}}))[name]["expr"]
    assert after == re.sub(r"([<>]=? )\d+(\.\d+)?", r"\g<1>123.5", before, count=1)


def test_an_unknown_alert_is_refused_by_name():
    message = refusal({"monitoring": {"prometheusRule": {"enabled": True, "alerts": {"GeminiGrpcNone": {"enabled": False}}}}})
    assert "monitoring.prometheusRule.alerts: there is no alert GeminiGrpcNone; the alerts are GeminiGrpcCallsFail, " in message


@pytest.mark.parametrize("config, seconds", [({"drainTimeout": 600}, 960), ({"drainTimeout": 60}, 420), ({"drainTimeout": 900}, 1260)])
def test_the_alert_of_a_long_drain_fires_after_the_grace_period(config, seconds):
    objects = render({"config": config, "monitoring": {"prometheusRule": {"enabled": True}}})
    rule = by_name(find(objects, "PrometheusRule")["spec"])["GeminiGrpcDrainTakesLong"]
    assert rule["for"] == f"{seconds}s"
    assert ALERTS["GeminiGrpcDrainTakesLong"]["for"] == "16m"
