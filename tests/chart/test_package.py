"""The chart as a package: its own description, its values against its schema and its pages, and how it is packed."""

import json
import os
import re
import subprocess
import tarfile
import tomllib

import yaml
from chart import CHART, ROOT, Loader, helm

VALUES = yaml.load((CHART / "values.yaml").read_text(), Loader)
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
CARD = yaml.load((CHART / "Chart.yaml").read_text(), Loader)
HELM_DOCS = os.environ.get("GEMINI_GRPC_HELM_DOCS", ROOT / "target/ci/bin/helm-docs")


def leaves(values: dict, path: str = "") -> dict:
    """Values by their paths, down to what the schema does not look into."""
    found = {}
    for key, value in values.items():
        found |= leaves(value, f"{path}{key}.") if isinstance(value, dict) and value else {path + key: value}
    return found


def properties(schema: dict, path: str = "") -> set[str]:
    """The paths that a schema has."""
    schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "properties" not in schema:
        return {path.rstrip(".")}
    return {name for key, each in schema["properties"].items() for name in properties(each, f"{path}{key}.")}


def test_helm_finds_nothing_to_say_against_it():
    result = helm("lint", "--strict", CHART)
    assert result.returncode == 0, result.stdout
    assert "[" not in result.stdout.replace("[INFO]", ""), result.stdout


def test_chart_and_program_have_one_version():
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    assert CARD["version"] == CARD["appVersion"] == version
    assert f":{version}\n" in CARD["annotations"]["artifacthub.io/images"]
    assert f"## {version}\n" in (CHART / "UPGRADING.md").read_text()


def test_the_annotations_of_artifact_hub_are_yaml_of_the_forms_that_it_reads():
    # https://artifacthub.io/docs/topics/annotations/helm/
    lists = {
        name: yaml.load(text, Loader)
        for name, text in CARD["annotations"].items()
        if name.endswith(("images", "links", "changes"))
    }
    assert all(set(each) <= {"name", "image", "platforms"} for each in lists["artifacthub.io/images"])
    assert all(set(each) == {"name", "url"} for each in lists["artifacthub.io/links"])
    kinds = {"added", "changed", "deprecated", "removed", "fixed", "security"}
    assert all(each["kind"] in kinds and each["description"] for each in lists["artifacthub.io/changes"])


def test_links_to_this_repository_lead_to_files():
    text = "".join(path.read_text() for path in (CHART / "Chart.yaml", CHART / "README.md", CHART / "UPGRADING.md"))
    found = re.findall(r"github\.com/mountsea/gemini-grpc/blob/main/([^\s)#]+)", text)
    found += re.findall(r"raw\.githubusercontent\.com/mountsea/gemini-grpc/main/(\S+)", text)
    assert len(found) > 3
    assert [path for path in found if not (ROOT / path).is_file()] == []


def test_what_an_upgrade_is_compared_by_has_no_pod_of_the_test():
    (command,) = re.findall(r"^helm (template .+) \| kubectl diff", (CHART / "UPGRADING.md").read_text(), re.MULTILINE)
    words = command.replace("CHART", str(CHART)).replace("values.yaml", str(CHART / "values-sandbox.yaml")).split()
    rendered = helm(*words)
    assert "kind: Deployment" in rendered.stdout
    assert "helm.sh/hook" not in rendered.stdout


def test_every_value_is_in_the_schema_and_everything_in_the_schema_is_a_value():
    # Those of a parent chart.
    free = {"enabled", "global"}
    of_schema = properties(SCHEMA)
    # What the schema leaves open is one path there, and many in the values.
    of_values = {next((p for p in of_schema if path == p or path.startswith(p + ".")), path) for path in leaves(VALUES)}
    # Of these the schema knows more fields than have a default.
    kubernetes = ("probes.", "service.spec.", "service.headless.spec.", "dnsConfig.", "resources.", "tests.resources.")
    lists = ("tls.certManager.issuerRef.", *kubernetes)
    assert {path for path in of_schema - of_values - free if not path.startswith(lists)} == set()
    assert {path for path in of_values - of_schema if not f"{path}.".startswith(lists)} == set()


def test_nothing_is_open_in_the_schema_but_what_kubernetes_checks():
    def closed(schema):
        if "properties" in schema:
            assert schema["additionalProperties"] is False, schema
            for each in schema["properties"].values():
                closed(each)

    closed(SCHEMA)
    for each in SCHEMA["definitions"].values():
        if "which Kubernetes checks" not in each.get("description", ""):
            closed(each)


def test_every_value_has_a_sentence():
    lines = (CHART / "values.yaml").read_text().splitlines()
    # A map is explained, or what is in it is.
    bare = [
        line
        for before, line in zip(lines, lines[1:], strict=False)
        if re.match(r" *\w+: .", line) and not before.lstrip().startswith("#") and not line.startswith("      ")
    ]
    inside = ("runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup", "allowPrivilege", "readOnlyRoot", "type: Rolling")
    inside += (
        "cpu:",
        "memory:",
        "periodSeconds:",
        "timeoutSeconds:",
        "failureThreshold:",
        "terminationGracePeriodSeconds: 30",
        "maxSurge:",
        "maxUnavailable: 0",
    )
    inside += ("type: RuntimeDefault", "stabilizationWindowSeconds:", "grafana_dashboard:")
    assert [line for line in bare if not line.lstrip().startswith(inside)] == []


def test_the_table_in_the_readme_is_made_of_the_values():
    command = [
        HELM_DOCS,
        "--chart-search-root",
        CHART,
        "--sort-values-order",
        "file",
        "--dry-run",
        "--log-level",
        "error",
    ]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert made.strip() == (CHART / "README.md").read_text().strip(), (
        "helm-docs --chart-search-root helm --sort-values-order file"
    )


def test_a_package_has_what_people_need_and_is_the_same_each_time(tmp_path):
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        assert helm("package", CHART, "--destination", folder).returncode == 0
    one, two = (next(folder.glob("*.tgz")) for folder in folders)
    with tarfile.open(one) as first, tarfile.open(two) as second:
        names = first.getnames()
        assert names == second.getnames()
        for name in names:
            assert first.extractfile(name).read() == second.extractfile(name).read()
    assert one.name == f"gemini-grpc-{CARD['version']}.tgz"
    files = {name.removeprefix("gemini-grpc/") for name in names}
    wanted = {"README.md", "UPGRADING.md", "values-sandbox.yaml", "values-production.yaml", "values-large.yaml", "values.schema.json"}
    assert wanted | {"rules/gemini-grpc.yaml", "dashboards/gemini-grpc.json"} <= files
    assert "README.md.gotmpl" not in files
