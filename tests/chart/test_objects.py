"""Which objects are rendered for which values, and their most important fields."""

import pytest
from chart import NAME, NAMESPACE, RELEASE, container, environment, files, find, kinds, pod, render, value_sets

TLS = {"tls": {"enabled": True, "secret": "tls"}}
TOKENS = {"config": {"auth": "tokens"}, "apiKey": {"existingSecret": "key"}, "callers": {"secret": "callers"}}


def test_a_default_install_renders_a_deployment_two_services_an_account_a_budget_and_the_log_filter():
    assert kinds() == ["ConfigMap", "Deployment", "Pod", "PodDisruptionBudget", "Service", "Service", "ServiceAccount"]


@pytest.mark.parametrize(
    "kind, values",
    [
        ("Certificate", {"tls": {"enabled": True, "certManager": {"enabled": True, "issuerRef": {"name": "a"}}}}),
        ("ConfigMap", {"monitoring": {"dashboard": {"enabled": True}}}),
        ("HorizontalPodAutoscaler", {"autoscaling": {"enabled": True}}),
        ("Ingress", {"ingress": {"enabled": True, "hosts": ["a.example"]}}),
        ("Ingress", {"ingress": {"rest": {"enabled": True, "hosts": ["a.example"]}}}),
        ("NetworkPolicy", {"networkPolicy": {"enabled": True}}),
        ("PodMonitor", {"monitoring": {"podMonitor": {"enabled": True}}}),
        ("PrometheusRule", {"monitoring": {"prometheusRule": {"enabled": True}}}),
        (
            "ScaledObject",
            {
                "autoscaling": {
                    "enabled": True,
                    "type": "keda",
                    "callsInFlight": 9,
                    "keda": {"serverAddress": "http://a"},
                }
            },
        ),
        ("Secret", {"apiKey": {"value": "k"}, "config": {"auth": "none"}}),
        ("ServiceMonitor", {"monitoring": {"serviceMonitor": {"enabled": True}}}),
        ("GRPCRoute", {"route": {"enabled": True, "parentRefs": [{"name": "a"}]}}),
        ("HTTPRoute", {"route": {"enabled": True, "kind": "HTTPRoute", "parentRefs": [{"name": "a"}]}}),
    ],
)
def test_an_object_is_rendered_if_it_is_enabled_and_no_other_with_it(kind, values):
    assert kinds(values) == sorted([*kinds(), kind])


@pytest.mark.parametrize(
    "kind, values",
    [
        ("Pod", {"tests": {"enabled": False}}),
        ("PodDisruptionBudget", {"podDisruptionBudget": {"enabled": False}}),
        ("Service", {"service": {"headless": {"enabled": False}}}),
        ("ServiceAccount", {"serviceAccount": {"create": False}}),
    ],
)
def test_an_object_is_absent_if_it_is_disabled_and_no_other_with_it(kind, values):
    expected = kinds()
    expected.remove(kind)
    assert kinds(values) == expected


def test_an_existing_secret_with_the_key_renders_no_secret():
    assert "Secret" not in kinds(TOKENS)
    assert files(TOKENS) == {
        "api-key": ("secret", "key", "api-key"),
        "callers.toml": ("secret", "callers", "callers.toml"),
        "log-filter": ("configMap", NAME, "log-filter"),
    }


def test_a_key_in_the_values_is_in_a_secret_of_the_release():
    values = {"apiKey": {"value": "sk-1"}, "config": {"auth": "none"}}
    secret = find(render(values), "Secret", f"{NAME}-key")
    assert secret["data"] == {"api-key": "c2stMQ=="}
    assert files(values)["api-key"] == ("secret", f"{NAME}-key", "api-key")


def test_every_file_comes_from_the_source_in_the_values():
    everything = value_sets()["everything"]
    name = "gemini-gateway"
    assert files(everything) == {
        "api-key": ("secret", "upstream-key", "key"),
        "callers.toml": ("configMap", name, "callers.toml"),
        "catalog.toml": ("configMap", name, "catalog.toml"),
        "limits-url": ("secret", "limits", "redis-url"),
        "limits-ca.crt": ("secret", "limits-ca", "ca.pem"),
        "log-filter": ("configMap", name, "log-filter"),
        "tls.crt": ("secret", f"{name}-tls", "tls.crt"),
        "tls.key": ("secret", f"{name}-tls", "tls.key"),
        "client-ca.crt": ("configMap", "callers-ca", "ca.crt"),
        "client-ca.crl": ("configMap", "callers-ca", "ca.crl"),
        "upstream-ca.crt": ("secret", "upstream-ca", "ca.pem"),
        "upstream.crt": ("secret", "upstream-client", "tls.crt"),
        "upstream.key": ("secret", "upstream-client", "tls.key"),
        "otlp-ca.crt": ("configMap", "collector-ca", "ca.crt"),
        "otlp.crt": ("secret", "collector-client", "tls.crt"),
        "otlp.key": ("secret", "collector-client", "tls.key"),
    }
    variables = environment(everything).values()
    for file in files(everything):
        assert f"/etc/gemini-grpc/{file}" in variables, file


@pytest.mark.parametrize("name", value_sets())
def test_every_file_has_its_variable_and_every_variable_its_file(name):
    values = value_sets()[name]
    folder = "/etc/gemini-grpc/"
    named = {str(each).removeprefix(folder) for each in environment(values).values() if str(each).startswith(folder)}
    assert named == set(files(values))


def test_the_config_map_contains_a_log_filter_by_default():
    def data(**values):
        return find(render(values), "ConfigMap")["data"]

    assert data() == {"log-filter": "info"}
    assert data(config={"log": "warn"}) == {"log-filter": "warn"}
    assert data(config={"log": "warn"}, logFilter="debug") == {"log-filter": "debug"}
    assert data(catalog={"toml": "# none"}) == {"log-filter": "info", "catalog.toml": "# none"}
    assert data(**{**TOKENS, "callers": {"toml": "# none"}}) == {"log-filter": "info", "callers.toml": "# none"}


def test_probes_use_grpc_without_tls_and_the_admin_port_with_tls():
    probes = ("startupProbe", "readinessProbe", "livenessProbe")
    assert [container({"listen": {"port": 6000}})[each]["grpc"] for each in probes] == [{"port": 6000}] * 3
    paths = [container(TLS)[each]["httpGet"] for each in probes]
    assert paths == [{"port": "admin", "path": path} for path in ("/readyz", "/readyz", "/livez")]


def test_times_of_a_probe_are_replaced_one_by_one():
    probe = container({"probes": {"readiness": {"periodSeconds": 9}}})["readinessProbe"]
    assert probe == {"grpc": {"port": 50051}, "periodSeconds": 9, "timeoutSeconds": 2, "failureThreshold": 2}


def test_the_service_has_an_app_protocol_without_tls_only():
    for name in (NAME, f"{NAME}-headless"):
        assert find(render(), "Service", name)["spec"]["ports"][0]["appProtocol"] == "kubernetes.io/h2c"
        assert "appProtocol" not in find(render(TLS), "Service", name)["spec"]["ports"][0]
        none = {"service": {"appProtocol": ""}}
        assert "appProtocol" not in find(render(none), "Service", name)["spec"]["ports"][0]


def test_only_the_headless_service_has_the_metrics():
    ports = {name: find(render(), "Service", name)["spec"]["ports"] for name in (NAME, f"{NAME}-headless")}
    assert [each["name"] for each in ports[NAME]] == ["grpc"]
    assert [each["name"] for each in ports[f"{NAME}-headless"]] == ["grpc", "admin"]


def test_a_disruption_budget_limits_unavailable_or_available_pods():
    def budget(**values):
        spec = find(render({"podDisruptionBudget": values}), "PodDisruptionBudget")["spec"]
        return {key: spec[key] for key in ("minAvailable", "maxUnavailable") if key in spec}

    assert budget() == {"maxUnavailable": 1}
    assert budget(maxUnavailable="25%") == {"maxUnavailable": "25%"}
    assert budget(maxUnavailable=0) == {"maxUnavailable": 0}
    assert budget(minAvailable=2) == {"minAvailable": 2}
    for values in (
        {"autoscaling": {"enabled": True, "minReplicas": 1, "maxReplicas": 20}},
        {"replicaCount": None},
        {"replicaCount": 1},
    ):
        assert find(render(values), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_certificates_contain_the_names_of_both_services_and_further_names():
    manager = {"enabled": True, "issuerRef": {"name": "a"}, "dnsNames": ["gemini.internal"]}
    values = {"tls": {"enabled": True, "certManager": manager}}
    spec = find(render(values), "Certificate")["spec"]
    ends = ("", f".{NAMESPACE}", f".{NAMESPACE}.svc", f".{NAMESPACE}.svc.cluster.local")
    services = [name + end for name in (NAME, f"{NAME}-headless") for end in ends]
    assert spec["dnsNames"] == [*services, "gemini.internal"]
    assert "duration" not in spec
    assert "renewBefore" not in spec
    assert spec["secretName"] == f"{NAME}-tls"
    times = {"duration": "2160h", "renewBefore": "720h"}
    values["tls"]["certManager"] |= times
    assert times.items() <= find(render(values), "Certificate")["spec"].items()
    values["service"] = {"headless": {"enabled": False}}
    assert find(render(values), "Certificate")["spec"]["dnsNames"] == [*services[:4], "gemini.internal"]


def test_an_ingress_has_a_certificate_and_a_class_only_if_they_are_set():
    ingress = {"enabled": True, "hosts": ["a.example", "b.example"]}
    spec = find(render({"ingress": ingress}), "Ingress")["spec"]
    assert sorted(spec) == ["rules"]
    assert [each["host"] for each in spec["rules"]] == ["a.example", "b.example"]
    spec = find(render({"ingress": {**ingress, "className": "c", "tlsSecret": "s"}}), "Ingress")["spec"]
    assert spec["ingressClassName"] == "c"
    assert spec["tls"] == [{"secretName": "s", "hosts": ["a.example", "b.example"]}]


def test_an_ingress_for_rest_has_paths_of_its_own_and_the_names_of_the_other_one_or_its_own():
    def ingress(service=None, **rest):
        both = {"enabled": True, "hosts": ["a.example"], "className": "c", "tlsSecret": "s", "rest": {"enabled": True, **rest}}
        objects = render({"ingress": both, "service": service or {}})
        assert find(objects, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]["path"] == "/"
        return find(objects, "Ingress", f"{NAME}-rest")["spec"]

    def backend(port):
        return {"service": {"name": NAME, "port": {"name": port}}}

    spec = ingress()
    assert (spec["ingressClassName"], spec["tls"]) == ("c", [{"secretName": "s", "hosts": ["a.example"]}])
    paths = [{"path": path, "pathType": "Prefix", "backend": backend("grpc")} for path in ("/v1", "/v1beta", "/gemini")]
    assert spec["rules"] == [{"host": "a.example", "http": {"paths": paths}}]
    spec = ingress({"httpPort": 80}, hosts=["b.example"], paths=["/"], tlsSecret="t")
    assert spec["tls"] == [{"secretName": "t", "hosts": ["b.example"]}]
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend("http")}]
    assert spec["rules"] == [{"host": "b.example", "http": {"paths": paths}}]


def test_the_service_has_a_port_that_is_declared_as_http_1_if_it_is_set():
    def port(**values):
        return find(render({"service": {"httpPort": 80, **values.pop("service", {})}, **values}), "Service")["spec"]["ports"][1]

    http = {"name": "http", "port": 80, "targetPort": "grpc", "appProtocol": "http"}
    assert port() == http
    assert port(**TLS) == {**http, "appProtocol": "https"}
    more = {"type": "NodePort", "spec": {"ports": [{"name": "http", "nodePort": 30080}]}}
    assert port(service=more) == {**http, "nodePort": 30080}
    headless = find(render({"service": {"httpPort": 80}}), "Service", f"{NAME}-headless")
    assert [each["name"] for each in headless["spec"]["ports"]] == ["grpc", "admin"]


def test_monitors_select_every_pod_exactly_once():
    objects = render({"monitoring": {"serviceMonitor": {"enabled": True}}})
    selector = find(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    services = [
        each for each in objects if each["kind"] == "Service" and selector.items() <= each["metadata"]["labels"].items()
    ]
    assert [each["metadata"]["name"] for each in services] == [f"{NAME}-headless"]
    for kind, monitor in (("PodMonitor", "podMonitor"), ("ServiceMonitor", "serviceMonitor")):
        for interval in ("", "15s"):
            spec = find(render({"monitoring": {monitor: {"enabled": True, "interval": interval}}}), kind)["spec"]
            (endpoint,) = spec.get("podMetricsEndpoints", spec.get("endpoints"))
            del endpoint["relabelings"]
            assert endpoint == {"port": "admin"} | ({"interval": interval} if interval else {})


def test_custom_constraints_replace_the_spread_over_nodes_and_zones():
    spread = pod()["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert all(each["labelSelector"]["matchLabels"].items() <= pod()["metadata"]["labels"].items() for each in spread)
    own = [
        {"topologyKey": "rack"},
        {"topologyKey": "row", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule", "matchLabelKeys": ["a"]},
        {"topologyKey": "room", "labelSelector": {"matchLabels": {"a": "b"}}},
    ]
    rack, row, room = pod({"topologySpreadConstraints": own})["spec"]["topologySpreadConstraints"]
    assert rack == {**spread[0], "topologyKey": "rack"}
    assert row == {**spread[0], **own[1]}
    # A constraint with its own labelSelector gets no matchLabelKeys.
    assert room == {**own[2], "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}
    assert "topologySpreadConstraints" not in pod({"topologySpread": False})["spec"]


def test_a_sleep_before_sigterm_is_rendered_if_it_is_set():
    assert "lifecycle" not in container()
    assert container({"preStopSleep": 30})["lifecycle"] == {"preStop": {"sleep": {"seconds": 30}}}


def test_the_image_is_named_by_digest_by_tag_or_by_the_version_of_the_program():
    digest = f"sha256:{'0' * 64}"
    assert container()["image"] == "ghcr.io/mountsea/gemini-grpc:0.1.0"
    assert container({"image": {"tag": "edge"}})["image"] == "ghcr.io/mountsea/gemini-grpc:edge"
    assert container({"image": {"tag": "edge", "digest": digest}})["image"] == f"ghcr.io/mountsea/gemini-grpc@{digest}"


def test_pods_have_the_common_labels_and_annotations_and_their_own():
    def metadata(**values):
        found = pod(values)["metadata"]
        own = pod()["metadata"]
        return tuple(dict(found[key].items() - own[key].items()) for key in ("labels", "annotations"))

    assert metadata(podLabels={"a": "1"}, podAnnotations={"b": "2"}) == ({"a": "1"}, {"b": "2"})
    assert metadata(commonLabels={"a": "1"}, commonAnnotations={"b": "2"}) == ({"a": "1"}, {"b": "2"})
    # podLabels take precedence over commonLabels.
    assert metadata(commonLabels={"a": "1"}, podLabels={"a": "2"})[0] == {"a": "2"}


def test_extra_objects_are_rendered_with_the_release():
    objects = render(value_sets()["everything"])
    assert find(objects, "ConfigMap", f"{RELEASE}-map")
    assert find(objects, "ConfigMap", f"{RELEASE}-text")


def test_pods_use_the_service_account_in_the_values():
    assert pod()["spec"]["serviceAccountName"] == NAME
    assert pod({"serviceAccount": {"name": "a"}})["spec"]["serviceAccountName"] == "a"
    assert pod({"serviceAccount": {"create": False}})["spec"]["serviceAccountName"] == "default"
    assert find(render({"serviceAccount": {"name": "a"}}), "ServiceAccount", "a")
