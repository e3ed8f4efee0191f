"""Escape hatches: fields without their own value can be set anyway, and the result is valid for Kubernetes."""

import pytest
from chart import NAME, NEWEST, OLDEST, at, container, environment, files, find, refusal, render
from schemas import check

HEADLESS, TEST = f"{NAME}-headless", f"{NAME}-test"
CSI = [{"name": "key", "csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": True}}]
MOUNT = [{"name": "key", "mountPath": "/key"}]
PORTS = [{"name": "grpc", "nodePort": 30051}, {"name": "also", "port": 443, "targetPort": "grpc"}]
PORT = {"name": "grpc", "port": 50051, "targetPort": "grpc", "appProtocol": "kubernetes.io/h2c"}
MONITOR = {"relabelings": [{"sourceLabels": ["a"], "action": "drop"}], "metricRelabelings": [{"action": "lowercase"}]}
ZONE = {
    "action": "replace",
    "sourceLabels": ["__meta_kubernetes_pod_label_topology_kubernetes_io_zone"],
    "regex": "(.+)",
    "targetLabel": "zone",
}
# The relabeling for the zone comes first.
ENDPOINT = {"port": "admin", **MONITOR, "relabelings": [ZONE, *MONITOR["relabelings"]]}
MONITOR["metricRelabelings"][0] |= {"sourceLabels": ["a"], "targetLabel": "a"}
SPEC = "spec.template.spec"
OWN = f"{SPEC}.containers.0"

# The values, the kind and name of the object, the path in it, and the expected value there.
HATCHES = [
    ({"service": {"spec": {"externalTrafficPolicy": "Local"}, "type": "NodePort"}}, "Service", NAME, "spec.externalTrafficPolicy", "Local"),
    ({"service": {"spec": {"internalTrafficPolicy": "Local"}}}, "Service", NAME, "spec.internalTrafficPolicy", "Local"),
    ({"service": {"spec": {"ipFamilies": ["IPv6", "IPv4"]}}}, "Service", NAME, "spec.ipFamilies", ["IPv6", "IPv4"]),
    ({"service": {"spec": {"ipFamilies": ["IPv6"]}}}, "Service", HEADLESS, "spec.ipFamilies", ["IPv6"]),
    ({"service": {"spec": {"sessionAffinity": "ClientIP"}}}, "Service", NAME, "spec.sessionAffinity", "ClientIP"),
    ({"service": {"spec": {"loadBalancerIP": "10.0.0.9"}, "type": "LoadBalancer"}}, "Service", NAME, "spec.loadBalancerIP", "10.0.0.9"),
    ({"service": {"spec": {"externalIPs": ["10.0.0.9"]}}}, "Service", NAME, "spec.externalIPs", ["10.0.0.9"]),
    ({"service": {"headless": {"spec": {"publishNotReadyAddresses": True}}}}, "Service", HEADLESS, "spec.publishNotReadyAddresses", True),
    ({"service": {"nodePort": 30051, "type": "NodePort"}}, "Service", NAME, "spec.ports.0.nodePort", 30051),
    ({"service": {"spec": {"ports": PORTS}, "type": "LoadBalancer"}}, "Service", NAME, "spec.ports.0", {**PORT, "nodePort": 30051}),
    ({"service": {"spec": {"ports": PORTS}, "type": "LoadBalancer"}}, "Service", NAME, "spec.ports.1", PORTS[1]),
    ({"podSpec": {"schedulerName": "mine"}}, "Deployment", NAME, f"{SPEC}.schedulerName", "mine"),
    ({"podSpec": {"shareProcessNamespace": True}}, "Deployment", NAME, f"{SPEC}.shareProcessNamespace", True),
    ({"containerSpec": {"lifecycle": {"postStart": {"exec": {"command": ["a"]}}}}}, "Deployment", NAME, f"{OWN}.lifecycle.postStart.exec.command", ["a"]),
    ({"containerSpec": {"terminationMessagePolicy": "FallbackToLogsOnError"}}, "Deployment", NAME, f"{OWN}.terminationMessagePolicy", "FallbackToLogsOnError"),
    ({"probes": {"liveness": {"terminationGracePeriodSeconds": 5}}}, "Deployment", NAME, f"{OWN}.livenessProbe.terminationGracePeriodSeconds", 5),
    ({"probes": {"startup": {"initialDelaySeconds": 5}}}, "Deployment", NAME, f"{OWN}.startupProbe.initialDelaySeconds", 5),
    ({"probes": {"readiness": {"successThreshold": 2}}}, "Deployment", NAME, f"{OWN}.readinessProbe.successThreshold", 2),
    ({"deploymentLabels": {"a": "b"}}, "Deployment", NAME, "metadata.labels.a", "b"),
    ({"serviceAccount": {"automount": True}}, "Deployment", NAME, f"{SPEC}.automountServiceAccountToken", True),
    ({"serviceAccount": {"automount": True}}, "ServiceAccount", NAME, "automountServiceAccountToken", True),
    ({"serviceAccount": {"automount": True}}, "Pod", TEST, "spec.automountServiceAccountToken", False),
    ({"tests": {"podAnnotations": {"sidecar.istio.io/inject": "false"}}}, "Pod", TEST, "metadata.annotations", {"sidecar.istio.io/inject": "false", "helm.sh/hook": "test", "helm.sh/hook-delete-policy": "before-hook-creation"}),
    ({"tests": {"podLabels": {"a": "b"}}}, "Pod", TEST, "metadata.labels.a", "b"),
    ({"tests": {"resources": {"limits": {"memory": "99Mi"}}}}, "Pod", TEST, "spec.containers.0.resources.limits", {"memory": "99Mi"}),
    ({"commonAnnotations": {"a": "b"}}, "Pod", TEST, "metadata.annotations.a", "b"),
    ({"monitoring": {"podMonitor": {"enabled": True, **MONITOR}}}, "PodMonitor", NAME, "spec.podMetricsEndpoints.0", ENDPOINT),
    ({"monitoring": {"serviceMonitor": {"enabled": True, **MONITOR}}}, "ServiceMonitor", NAME, "spec.endpoints.0", ENDPOINT),
]  # fmt: skip


@pytest.mark.parametrize("values, kind, name, path, expected", HATCHES, ids=[f"{e[2]} {e[3]}" for e in HATCHES])
def test_a_field_is_set_and_the_object_is_valid(values, kind, name, path, expected):
    # With the oldest and the newest supported version.
    for kubernetes in (OLDEST, NEWEST):
        objects = render(values, kube=kubernetes)
        assert at(find(objects, kind, name), path) == expected
        for each in objects:
            check(each, kubernetes)
    if kind in ("Deployment", "Service", "ServiceAccount", "Pod") and name != TEST:
        assert at(find(render(), kind, name), path) != expected


@pytest.mark.parametrize("probe", ["startup", "readiness", "liveness"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_probe_may_have_another_action_and_keeps_its_times(probe, tls):
    ways = {
        "exec": {"command": ["gemini-grpc", "healthcheck"]},
        "grpc": {"port": 50051, "service": "mountsea.gemini.v1.GenerativeService"},
        "httpGet": {"port": "admin", "path": "/readyz"},
        "tcpSocket": {"port": "grpc"},
    }
    values = {"tls": {"enabled": tls, "secret": "a" if tls else ""}}
    own = container(values)[f"{probe}Probe"]
    times = {key: value for key, value in own.items() if key not in ways}
    for way, how in ways.items():
        objects = render({**values, "probes": {probe: {way: how}}})
        found = at(find(objects, "Deployment"), f"{OWN}.{probe}Probe")
        assert found == {**times, way: how}
        check(find(objects, "Deployment"), NEWEST)


def test_a_custom_lifecycle_hook_is_combined_with_the_sleep_before_sigterm():
    start = {"postStart": {"exec": {"command": ["a"]}}}
    lifecycle = container({"preStopSleep": 5, "containerSpec": {"lifecycle": start}})["lifecycle"]
    assert lifecycle == {**start, "preStop": {"sleep": {"seconds": 5}}}


@pytest.mark.parametrize(
    "image, expected",
    [
        ({"registry": "registry.internal"}, "registry.internal/mountsea/gemini-grpc:0.1.0"),
        ({"registry": "registry.internal:5000"}, "registry.internal:5000/mountsea/gemini-grpc:0.1.0"),
        ({"registry": "harbor.internal/ghcr"}, "harbor.internal/ghcr/mountsea/gemini-grpc:0.1.0"),
        ({"registry": "a.b", "repository": "gemini-grpc", "tag": "1"}, "a.b/gemini-grpc:1"),
        ({"registry": "a.b", "repository": "team/gemini-grpc", "tag": "1"}, "a.b/team/gemini-grpc:1"),
        ({"registry": "a.b", "repository": "localhost/c", "tag": "1"}, "a.b/c:1"),
        ({"registry": "a.b", "repository": "localhost:1/c/d", "tag": "1"}, "a.b/c/d:1"),
        ({"registry": "a.b", "digest": "sha256:" + "0" * 64}, "a.b/mountsea/gemini-grpc@sha256:" + "0" * 64),
        ({"registry": "", "repository": "a.b/c", "tag": "1"}, "a.b/c:1"),
    ],
)
def test_the_image_may_come_from_another_registry(image, expected):
    objects = render({"image": image})
    assert at(find(objects, "Deployment"), f"{OWN}.image") == expected
    assert at(find(objects, "Pod", TEST), "spec.containers.0.image") == expected


@pytest.mark.parametrize("auth", ["tokens", "mtls", "none"])
def test_the_key_may_be_in_a_file_from_another_volume(auth):
    values = {"config": {"auth": auth}, "apiKey": {"file": "/key/api-key"}}
    values |= {"extraVolumes": CSI, "extraVolumeMounts": MOUNT}
    if auth != "none":
        values["callers"] = {"configMap": "callers"}
    if auth == "mtls":
        values["tls"] = {"enabled": True, "secret": "a", "clientCA": {"secret": "ca"}}
    assert environment(values)["MOUNTSEA_API_KEY_FILE"] == "/key/api-key"
    assert "api-key" not in files(values)
    for each in render(values):
        assert each["kind"] != "Secret"
        check(each, NEWEST)


def test_a_key_in_a_file_is_refused_with_forward_and_in_extra_variables():
    file = {"apiKey": {"file": "/vault/secrets/key"}}
    assert "config.auth: forward accepts every client that reaches the pods" in refusal(file)
    more = [{"name": "MOUNTSEA_API_KEY_FILE", "value": "/key/api-key"}]
    assert "extraEnv: MOUNTSEA_API_KEY_FILE is set by the chart" in refusal({"extraEnv": more})
    assert "/apiKey/file" in refusal({"apiKey": {"file": "key"}})


def test_a_custom_app_protocol_is_kept_with_tls():
    def app_protocol(value, tls=True):
        values = {"service": {"appProtocol": value}, "tls": {"enabled": tls, "secret": "a" if tls else ""}}
        found = {find(render(values), "Service", name)["spec"]["ports"][0].get("appProtocol") for name in (NAME, HEADLESS)}
        assert len(found) == 1
        return found.pop()

    assert app_protocol("HTTP2") == "HTTP2"
    assert app_protocol("https") == "https"
    assert app_protocol("kubernetes.io/h2c") is None
    assert app_protocol("kubernetes.io/h2c", tls=False) == "kubernetes.io/h2c"
    assert app_protocol("") is None


def test_the_strategy_may_be_recreate():
    strategy = find(render({"strategy": {"type": "Recreate"}}), "Deployment")["spec"]["strategy"]
    assert strategy == {"type": "Recreate"}


def test_pods_listen_on_ipv4_and_ipv6_by_default():
    assert environment()["GEMINI_GRPC_LISTEN"] == "[::]:50051"
    assert environment()["GEMINI_GRPC_ADMIN_LISTEN"] == "[::]:9464"
    assert environment({"listen": {"host": "0.0.0.0"}})["GEMINI_GRPC_LISTEN"] == "0.0.0.0:50051"


def test_a_mistyped_key_near_an_escape_hatch_is_refused():
    for values, names in (
        ({"podspec": {}}, "podspec"),
        ({"service": {"externalTrafficPolicy": "Local"}}, "externalTrafficPolicy"),
        ({"probes": {"readiness": {"terminationGracePeriodSeconds": 30}}}, "terminationGracePeriodSeconds"),
        ({"probes": {"liveness": {"httpget": {"port": 1}}}}, "httpget"),
        ({"resources": {"limit": {}}}, "limit"),
        ({"strategy": {"rollingUpdate": {"maxsurge": 1}}}, "maxsurge"),
        ({"image": {"registry": "https://a"}}, "/image/registry"),
    ):
        assert names in refusal(values)
