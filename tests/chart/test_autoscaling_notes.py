"""The warning in the notes when autoscaling is enabled on a running release, for different states of the cluster."""

import json
import threading
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from chart import CHART, NAME, NAMESPACE, NEWEST, RELEASE, helm

KINDS = {
    "v1": {"services": "Service", "configmaps": "ConfigMap", "serviceaccounts": "ServiceAccount", "pods": "Pod"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "apps/v1": {"deployments": "Deployment"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "keda.sh/v1alpha1": {"scaledobjects": "ScaledObject"},
}
# Fields of the Deployment that a manager has set: Helm sets the template, and an autoscaler sets only replicas.
TEMPLATE, REPLICAS = {"f:spec": {"f:template": {}}}, {"f:spec": {"f:replicas": {}}}
BOTH = {"f:spec": {"f:template": {}, "f:replicas": {}}}
HPA = ("autoscaling/v2", "horizontalpodautoscalers")
SCALED_OBJECT = ("keda.sh/v1alpha1", "scaledobjects")
KEDA = {"type": "keda", "callsInFlight": 9, "keda": {"serverAddress": "http://a"}}
# The notes as an object, because `helm template` does not print them.
NOTES = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes"}}
NOTES["data"] = {"notes": '{{ include "gemini-grpc/templates/NOTES.txt" . | b64enc }}'}


class Cluster(BaseHTTPRequestHandler):
    """The part of an API server that Helm needs to look up objects."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        answer = self.server.answers.get(path)
        body = json.dumps(answer or {"kind": "Status", "apiVersion": "v1", "code": 404, "reason": "NotFound"}).encode()
        self.send_response(200 if answer else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def answers(objects: dict) -> dict:
    """The responses by path: the existing objects, and the kinds that the server knows."""
    version = {"major": "1", "minor": "37", "gitVersion": "v1.37.0"}
    found = {"/version": version, "/api": {"kind": "APIVersions", "versions": ["v1"]}}
    groups = []
    for version, kinds in KINDS.items():
        resources = [{"name": name, "kind": kind, "namespaced": True, "verbs": ["get"]} for name, kind in kinds.items()]
        everything = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
        found[f"/{'apis' if '/' in version else 'api'}/{version}"] = everything
        group, _, name = version.rpartition("/")
        of = {"groupVersion": version, "version": name}
        groups += [{"name": group, "versions": [of], "preferredVersion": of}] if group else []
    found["/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    for (version, name), thing in objects.items():
        kind = {"apiVersion": version, "kind": KINDS[version][name]}
        found[f"/apis/{version}/namespaces/{NAMESPACE}/{name}/{NAME}"] = kind | thing
    return found


@pytest.fixture
def notes(tmp_path):
    """A function that returns the notes of an upgrade, for a cluster with these objects."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = tmp_path / "kubeconfig"
    cluster = {"name": "a", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
    context = {"name": "a", "context": {"cluster": "a", "user": "a"}}
    whole = {"apiVersion": "v1", "kind": "Config", "current-context": "a", "users": [{"name": "a", "user": {}}]}
    config.write_text(json.dumps({**whole, "clusters": [cluster], "contexts": [context]}))

    def render_notes(objects, autoscaling):
        server.answers = answers(objects)
        more = ("--namespace", NAMESPACE, "--kubeconfig", config, "--values", "-")
        more += ("--is-upgrade", "--dry-run=server", "--disable-openapi-validation", "--kube-version", NEWEST)
        values = {"autoscaling": autoscaling, "extraObjects": [NOTES]}
        result = helm("template", RELEASE, CHART, *more, values=values)
        assert result.returncode == 0, result.stderr
        (line,) = (line for line in result.stdout.splitlines() if line.startswith("  notes: "))
        return b64decode(line.split()[1]).decode()

    yield render_notes
    server.shutdown()
    server.server_close()


def deployment(*owners, replicas=6):
    """A Deployment with this number of pods, and the managers that have set its fields."""
    fields = [{"manager": name, "operation": how, "fieldsV1": what} for name, how, what in owners]
    metadata = {"name": NAME, "namespace": NAMESPACE, "managedFields": fields}
    return {("apps/v1", "deployments"): {"metadata": metadata, "spec": {"replicas": replicas}}}


ON, NAMED = {"enabled": True}, {"metadata": {"name": NAME, "namespace": NAMESPACE}}
ON_SERVER, BY_CLIENT = deployment(("helm", "Apply", BOTH)), deployment(("helm", "Update", BOTH))


@pytest.mark.parametrize(
    "objects, autoscaling, warned",
    [
        (ON_SERVER, ON, True),
        (BY_CLIENT, ON, True),
        (BY_CLIENT, {**ON, **KEDA}, True),
        # Another manager has set replicas as well, which matters only with server-side apply.
        (deployment(("helm", "Apply", BOTH), ("keep-replicas", "Apply", REPLICAS)), ON, False),
        (deployment(("helm", "Update", BOTH), ("keep-replicas", "Apply", REPLICAS)), ON, True),
        # Autoscaling was enabled before.
        (deployment(("helm", "Apply", TEMPLATE)), ON, False),
        (deployment(("helm", "Apply", TEMPLATE), ("kube-controller-manager", "Update", REPLICAS)), ON, False),
        ({**BY_CLIENT, HPA: NAMED}, ON, False),
        ({**BY_CLIENT, SCALED_OBJECT: NAMED}, {**ON, **KEDA}, False),
        # There is only one pod, or none.
        (deployment(("helm", "Apply", BOTH), replicas=1), ON, False),
        ({}, ON, False),
        (ON_SERVER, {"enabled": False}, False),
    ],
)
def test_the_notes_warn_of_an_upgrade_that_reduces_the_pods_to_one(notes, objects, autoscaling, warned):
    printed = notes(objects, autoscaling)
    assert "gemini-grpc 0.1.0 is in namespace models" in printed
    assert ("6 pods go down to one" in printed) == warned
    if warned:
        assert "UPGRADING.md#switch-autoscaling-on" in printed
        assert "\n## Switch autoscaling on\n" in (CHART / "UPGRADING.md").read_text()
