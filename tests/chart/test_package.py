"""The chart as a package: its Chart.yaml, its values compared with its schema and its README, and the packed archive."""

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
    """Values that are no maps, or empty maps, by their paths."""
    found = {}
    for key, value in values.items():
        found |= leaves(value, f"{path}{key}.") if isinstance(value, dict) and value else {path + key: value}
    return found


def properties(schema: dict, path: str = "") -> set[str]:
    """The paths of the values that a schema describes."""
    schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "properties" not in schema:
        return {path.rstrip(".")}
    return {name for key, each in schema["properties"].items() for name in properties(each, f"{path}{key}.")}


def test_helm_lint_finds_no_problem():
    result = helm("lint", "--strict", CHART)
    assert result.returncode == 0, result.stdout
    assert "[" not in result.stdout.replace("[INFO]", ""), result.stdout


def test_chart_and_program_have_the_same_version():
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    assert CARD["version"] == CARD["appVersion"] == version
    assert f":{version}\n" in CARD["annotations"]["artifacthub.io/images"]
    assert f"## {version}\n" in (CHART / "UPGRADING.md").read_text()


def test_the_annotations_for_artifact_hub_have_the_form_that_it_reads():
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


def test_links_to_this_repository_point_to_existing_files():
    text = "".join(path.read_text() for path in (CHART / "Chart.yaml", CHART / "README.md", CHART / "UPGRADING.md"))
    found = re.findall(r"github\.com/mountsea/gemini-grpc/blob/main/([^\s)#]+)", text)
    found += re.findall(r"raw\.githubusercontent\.com/mountsea/gemini-grpc/main/(\S+)", text)
    assert len(found) > 3
    assert [path for path in found if not (ROOT / path).is_file()] == []


def test_the_documented_diff_of_an_upgrade_leaves_out_the_test_pod():
    (command,) = re.findall(r"^helm (template .+) \| kubectl diff", (CHART / "UPGRADING.md").read_text(), re.MULTILINE)
    words = command.replace("CHART", str(CHART)).replace("values.yaml", str(CHART / "values-sandbox.yaml")).split()
    rendered = helm(*words)
    assert "kind: Deployment" in rendered.stdout
    assert "helm.sh/hook" not in rendered.stdout


def test_values_and_schema_have_the_same_paths():
    # A parent chart sets these.
    free = {"enabled", "global"}
    of_schema = properties(SCHEMA)
    # A map that the schema leaves open is one path there, and may be many in the values.
    of_values = {next((p for p in of_schema if path == p or path.startswith(p + ".")), path) for path in leaves(VALUES)}
    # For these, the schema has more fields than the values have defaults.
    kubernetes = ("probes.", "service.spec.", "service.headless.spec.", "dnsConfig.", "resources.", "tests.resources.")
    lists = ("tls.certManager.issuerRef.", *kubernetes)
    assert {path for path in of_schema - of_values - free if not path.startswith(lists)} == set()
    assert {path for path in of_values - of_schema if not f"{path}.".startswith(lists)} == set()


def test_the_schema_forbids_unknown_keys_except_where_kubernetes_checks_them():
    def closed(schema):
        if "properties" in schema:
            assert schema["additionalProperties"] is False, schema
            for each in schema["properties"].values():
                closed(each)

    closed(SCHEMA)
    for each in SCHEMA["definitions"].values():
        if "which Kubernetes checks" not in each.get("description", ""):
            closed(each)


def test_every_value_has_a_comment():
    lines = (CHART / "values.yaml").read_text().splitlines()
    # Either a map has a comment, or the values in it have one.
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


def test_the_readme_is_generated_from_the_values():
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


def test_a_package_is_complete_and_reproducible(tmp_path):
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
