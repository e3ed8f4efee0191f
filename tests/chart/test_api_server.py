"""Values that the API server would reject are refused by name before; similar values that it accepts are accepted."""

import pytest
from chart import NEWEST, refusal, render, template
from schemas import check

VOLUME = [{"name": "a", "emptyDir": {}}]
CONTAINER, OTHER_CONTAINER = {"name": "a", "image": "b"}, {"name": "c", "image": "d"}
CONSTRAINT = {"topologyKey": "rack"}
LOAD_BALANCER = {"type": "LoadBalancer"}


def mounts(*paths, name="a"):
    """Mounts of one volume."""
    return [{"name": name, "mountPath": path} for path in paths]


# The refused values, and words of the message. An API server of v1.35.4 (strict, dry run) rejects all of them, except those
# that the chart refuses for its own reasons: mounts in its folder, and fields that it sets itself.
REFUSED = [
    ({"strategy": {"rollingUpdate": {"maxSurge": 0}}}, "strategy.rollingUpdate: maxSurge and maxUnavailable are both 0"),
    ({"strategy": {"rollingUpdate": {"maxSurge": "0%", "maxUnavailable": "0%"}}}, "strategy.rollingUpdate: maxSurge and"),
    ({"strategy": {"rollingUpdate": {"maxUnavailable": "101%"}}}, "/strategy/rollingUpdate/maxUnavailable"),
    ({"strategy": {"rollingUpdate": {"maxSurge": "some"}}}, "/strategy/rollingUpdate/maxSurge"),
    ({"strategy": {"type": "OnDelete"}}, "/strategy/type"),
    ({"minReadySeconds": 600}, "/minReadySeconds"),
    ({"extraVolumes": [{"name": "files", "emptyDir": {}}]}, 'extraVolumes: the name "files" is used by another volume'),
    ({"extraVolumes": VOLUME * 2}, 'extraVolumes: the name "a" is used by another volume'),
    ({"extraVolumes": [{"name": "A", "emptyDir": {}}]}, "/extraVolumes/0/name"),
    ({"extraVolumes": [{"name": "a", "emptyDir": {}, "secret": {"secretName": "b"}}]}, "/extraVolumes/0"),
    ({"extraVolumeMounts": mounts("/a")}, 'extraVolumeMounts: container gemini-grpc mounts the volume "a", which does'),
    (
        {"extraContainers": [{**CONTAINER, "volumeMounts": mounts("/a")}]},
        'extraVolumeMounts: container a mounts the volume "a", which does not exist',
    ),
    ({"extraVolumes": VOLUME, "extraVolumeMounts": mounts("/b", "/b")}, "mounts two volumes at /b"),
    *(
        ({"extraVolumes": VOLUME, "extraVolumeMounts": mounts(path)}, f"so nothing else can be mounted at {path};")
        for path in ("/etc/gemini-grpc", "/etc/gemini-grpc/", "/etc//gemini-grpc", "/etc/gemini-grpc/more", "etc/gemini-grpc")
    ),
    ({"extraContainers": [{**CONTAINER, "name": "gemini-grpc"}]}, 'initContainers: the name "gemini-grpc" is used by another'),
    ({"initContainers": [{**CONTAINER, "name": "gemini-grpc"}]}, 'initContainers: the name "gemini-grpc" is used by another'),
    ({"initContainers": [CONTAINER], "extraContainers": [CONTAINER]}, 'initContainers: the name "a" is used by another container'),
    ({"extraContainers": [{"name": "a"}]}, "missing property 'image'"),
    ({"extraContainers": [{**CONTAINER, "name": "a b"}]}, "/extraContainers/0/name"),
    ({"dnsPolicy": "None"}, "dnsPolicy: None needs name servers; set dnsConfig.nameservers"),
    ({"dnsPolicy": "None", "dnsConfig": {"searches": ["a"]}}, "dnsPolicy: None needs name servers"),
    ({"dnsConfig": {"nameservers": ["10.0.0.256"]}}, "/dnsConfig/nameservers/0"),
    ({"dnsConfig": {"options": [{"name": "ndots", "value": 2}]}}, "/dnsConfig/options/0/value"),
    ({"hostAliases": [{"ip": "here"}]}, "/hostAliases/0/ip"),
    ({"service": {"clusterIP": "None", **LOAD_BALANCER}}, "service.clusterIP: None is allowed for a ClusterIP only"),
    ({"service": {"clusterIP": "None", "type": "NodePort"}}, "service.clusterIP: None is allowed for a ClusterIP only"),
    ({"service": {"clusterIP": "10.1"}}, "/service/clusterIP"),
    ({"service": {"nodePort": 30051}}, "service.nodePort: a ClusterIP has no node port"),
    ({"service": {"loadBalancerClass": "a"}}, "service.loadBalancerClass: this is for a LoadBalancer only"),
    ({"service": {"loadBalancerSourceRanges": ["10.0.0.0"], **LOAD_BALANCER}}, "/service/loadBalancerSourceRanges/0"),
    ({"service": {"trafficDistribution": "Near"}}, "/service/trafficDistribution"),
    ({"service": {"appProtocol": "a b"}}, "/service/appProtocol"),
    ({"service": {"spec": {"externalTrafficPolicy": "Local"}}}, "service.spec: externalTrafficPolicy is for calls from"),
    ({"service": {"spec": {"externalTrafficPolicy": "local"}, **LOAD_BALANCER}}, "/service/spec/externalTrafficPolicy"),
    ({"service": {"spec": {"allocateLoadBalancerNodePorts": False}}}, "service.spec: allocateLoadBalancerNodePorts is for"),
    ({"service": {"spec": {"ports": [{"name": "a", "port": 50051}]}}}, 'service.spec.ports: "a" needs a port that no other entry'),
    ({"service": {"spec": {"ports": [{"name": "a"}]}}}, 'service.spec.ports: "a" needs a port that no other entry has'),
    ({"probes": {"liveness": {"successThreshold": 2}}}, "/probes/liveness/successThreshold"),
    ({"probes": {"startup": {"successThreshold": 2}}}, "/probes/startup/successThreshold"),
    ({"probes": {"readiness": {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}}}, "probes.readiness: a probe has one"),
    ({"probes": {"readiness": {"httpGet": {"port": "no port"}}}}, "/probes/readiness/httpGet/port"),
    ({"resources": {"limits": {"memory": "256Mi"}}}, "resources: requests.memory (512Mi) is more than limits.memory (256Mi)"),
    ({"resources": {"limits": {"memory": "512M"}}}, "resources: requests.memory (512Mi) is more than limits.memory (512M)"),
    ({"resources": {"limits": {"cpu": 0.1}}}, "resources: requests.cpu (250m) is more than limits.cpu (0.1)"),
    ({"tests": {"resources": {"limits": {"memory": 1e6}}}}, "tests.resources: requests.memory (64Mi) is more than limits"),
    ({"resources": {"limits": {"memory": "512MB"}}}, "/resources/limits/memory"),
    ({"resources": {"limits": {"disk": "1Gi"}}}, 'resources: "disk" is not a resource'),
    ({"resources": {"requests": {"a.b/gpu": 1}}}, "resources: requests.a.b/gpu needs an equal limit"),
    ({"topologySpreadConstraints": [CONSTRAINT, CONSTRAINT]}, "topologySpreadConstraints: rack with whenUnsatisfiable"),
    ({"topologySpreadConstraints": [{**CONSTRAINT, "minDomains": 2}]}, "topologySpreadConstraints: minDomains of rack needs"),
    ({"topologySpreadConstraints": [{"maxSkew": 1}]}, "missing property 'topologyKey'"),
    ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "tolerations: operator Exists matches any value"),
    ({"tolerations": [{"value": "b"}]}, "tolerations: an entry without a key matches taints of any key"),
    ({"tolerations": [{"key": "a", "tolerationSeconds": 3}]}, "tolerations: tolerationSeconds is for effect NoExecute"),
    ({"priorityClassName": "A"}, "/priorityClassName"),
    ({"priorityClassName": "a..b"}, "/priorityClassName"),
    ({"serviceAccount": {"name": "a.-b"}}, "/serviceAccount/name"),
    ({"route": {"backendTLS": {"hostname": "a b"}}}, "/route/backendTLS/hostname"),
    ({"runtimeClassName": "A"}, "/runtimeClassName"),
    ({"namespaceOverride": "a.b"}, "/namespaceOverride"),
    ({"podDisruptionBudget": {"minAvailable": "101%"}}, "/podDisruptionBudget/minAvailable"),
    ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, "/imagePullSecrets"),
    ({"imagePullSecrets": ["a"]}, "/imagePullSecrets/0"),
    ({"extraEnv": [{"name": "A", "value": "b"}, {"name": "A", "value": "c"}]}, "extraEnv: A is set twice"),
    ({"extraEnv": [{"name": "A", "value": 1}]}, "/extraEnv/0/value"),
    ({"extraEnv": [{"name": "A", "value": "b", "valueFrom": {"fieldRef": {"fieldPath": "a"}}}]}, "extraEnv: A has both value and"),
    ({"extraEnvFrom": [{"prefix": "a"}]}, "extraEnvFrom: each entry needs either configMapRef or secretRef"),
    ({"networkPolicy": {"callers": [{}]}}, "/networkPolicy/callers/0"),
    ({"networkPolicy": {"callers": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}}, "/networkPolicy/callers/0"),
    ({"networkPolicy": {"callers": [{"ipBlock": {"cidr": "10.0.0.0"}}]}}, "/networkPolicy/callers/0/ipBlock/cidr"),
    ({"ingress": {"hosts": ["Upper.example"]}}, "/ingress/hosts/0"),
    ({"ingress": {"hosts": ["10.0.0.1"]}}, "/ingress/hosts/0"),
    ({"ingress": {"rest": {"hosts": ["10.0.0.1"]}}}, "/ingress/rest/hosts/0"),
    ({"ingress": {"rest": {"paths": ["/a//b"]}}}, "/ingress/rest/paths/0"),
    ({"route": {"rest": {"hostnames": ["10.0.0.1"]}}}, "/route/rest/hostnames/0"),
    ({"service": {"httpPort": 80, "spec": {"ports": [{"name": "a", "port": 80}]}}}, 'service.spec.ports: "a" needs a port that no other'),
    ({"podSpec": {"containers": []}}, "podSpec: the chart sets containers itself"),
    ({"podSpec": {"volumes": []}}, "podSpec: the chart sets volumes itself"),
    ({"containerSpec": {"env": []}}, "containerSpec: the chart sets env itself"),
    ({"preStopSleep": 5, "containerSpec": {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}}, "containerSpec: lifecycle.preStop and preStopSleep"),
    ({"service": {"spec": {"type": "NodePort"}}}, "service.spec: type has its own value; set service.type"),
    ({"service": {"spec": {"selector": {"a": "b"}}}}, "service.spec: the chart sets selector"),
    ({"callers": {"toml": "#" * 1_000_001}}, "/callers/toml"),
    ({"apiKey": {"existingSecretKey": ".."}}, "/apiKey/existingSecretKey"),
]  # fmt: skip

ACCEPTED = [
    {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}},
    {"strategy": {"rollingUpdate": {"maxSurge": "150%", "maxUnavailable": "0%"}}},
    {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": None}}},
    {"strategy": {"type": "Recreate"}},
    {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 0}}},
    {"minReadySeconds": 599},
    {"extraVolumes": VOLUME, "extraVolumeMounts": mounts("/etc/gemini-grpc-more", "/etc/gemini")},
    {"extraVolumeMounts": mounts("/again", name="files")},
    {"initContainers": [CONTAINER], "extraContainers": [OTHER_CONTAINER]},
    {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.0.0.1", "fd00::1"]}},
    {"service": {"clusterIP": "None"}},
    {"service": {"clusterIP": "fd00::9"}},
    {"service": {"nodePort": 30051, **LOAD_BALANCER}},
    {"service": {"spec": {"externalTrafficPolicy": "Local", "externalIPs": ["10.0.0.1"]}}},
    {"service": {"loadBalancerSourceRanges": ["10.0.0.0/8", "fd00::/8"], **LOAD_BALANCER}},
    {"probes": {"liveness": {"successThreshold": 1}}},
    {"resources": {"limits": {"memory": "0.5Gi", "cpu": "250m"}}},
    {"resources": {"limits": {"memory": 536870912}}},
    {"resources": {"limits": {"memory": "1e9", "cpu": ".25"}}},
    {"resources": {"limits": {"memory": "600M", "a.b/gpu": 1}, "requests": {"a.b/gpu": 1}}},
    {"resources": {"limits": {"memory": None}, "requests": {"memory": "1E"}}},
    {"topologySpreadConstraints": [CONSTRAINT, {**CONSTRAINT, "whenUnsatisfiable": "DoNotSchedule", "minDomains": 2}]},
    {"tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoExecute", "tolerationSeconds": 3}]},
    {"extraEnv": [{"name": "A"}, {"name": "B", "value": ""}]},
    {"ingress": {"enabled": True, "hosts": ["*.a.example", "1.example", "a"]}},
    {"ingress": {"rest": {"enabled": True, "hosts": ["*.a.example"], "paths": ["/", "/a.b/c_d-e"]}}},
    {"service": {"httpPort": 80, "spec": {"ports": [{"name": "http", "nodePort": 30080}, {"name": "a", "port": 81}]}, **LOAD_BALANCER}},
    {"podDisruptionBudget": {"minAvailable": "100%"}},
]


@pytest.mark.parametrize("values, words", REFUSED, ids=[str(each[0])[:70] for each in REFUSED])
def test_values_that_the_api_server_would_reject_are_refused_by_name(values, words):
    message = refusal(values)
    assert words in message, message


@pytest.mark.parametrize("values", ACCEPTED, ids=[str(each)[:70] for each in ACCEPTED])
def test_similar_valid_values_are_accepted_and_match_the_schema(values):
    for each in render(values):
        check(each, NEWEST)


@pytest.mark.parametrize("release", ["1abc", "my.release", "9"])
def test_a_release_whose_name_no_service_may_have_is_refused(release):
    message = refusal({}, release=release)
    assert f"the release's name: objects would be called \"{release}-gemini-grpc\"" in message
    assert "set fullnameOverride" in message
    assert template({"fullnameOverride": "gateway"}, release=release).returncode == 0


def test_a_name_that_is_cut_does_not_end_in_hyphens():
    (name,) = {each["metadata"]["name"] for each in render(release="r" * 48 + "--a") if each["kind"] == "Deployment"}
    assert name == "r" * 48


MAPS = ["commonLabels", "deploymentLabels", "podLabels", "service.labels", "tests.podLabels"]
LABELS = [*MAPS, "nodeSelector", *(f"monitoring.{of}.labels" for of in ("podMonitor", "serviceMonitor", "prometheusRule"))]
ANNOTATIONS = ["commonAnnotations", "deploymentAnnotations", "podAnnotations", "service.annotations"]
ANNOTATIONS += ["service.headless.annotations", "serviceAccount.annotations", "route.annotations", "ingress.annotations"]
ANNOTATIONS += ["monitoring.dashboard.annotations", "tests.podAnnotations", "route.rest.annotations", "ingress.rest.annotations"]


def nested(path: str, value) -> dict:
    """Values that have this value at that path."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


@pytest.mark.parametrize("path", LABELS + ["monitoring.dashboard.labels"])
def test_invalid_labels_are_refused_in_every_value(path):
    assert f'{path}: "a b" cannot be the key of a label' in refusal(nested(path, {"a b": "a"}))
    assert f'{path}: "a b" cannot be the value of label a' in refusal(nested(path, {"a": "a b"}))
    fine = {"a": "", "a.example/B_c": "x" * 63, "Z.9": "1"}
    assert template(nested(path, fine)).returncode == 0


def test_a_label_or_annotation_must_have_the_form_that_kubernetes_accepts():
    for key in ("-a", "", "/a", "a/b/c", "A.example/b", "a" * 64, "a" * 254 + "/b"):
        assert f'podLabels: "{key}" cannot be the key of a label' in refusal({"podLabels": {key: "a"}})
    for value in ("-a", "a" * 64):
        assert f'podLabels: "{value}" cannot be the value of label a' in refusal({"podLabels": {"a": value}})
    for key in ("/a", "", "a/b/c"):
        assert f'podAnnotations: "{key}" cannot be the key' in refusal({"podAnnotations": {key: "a"}})


@pytest.mark.parametrize("path", ANNOTATIONS)
def test_invalid_annotations_are_refused_in_every_value(path):
    assert f'{path}: "a b" cannot be the key of an annotation' in refusal(nested(path, {"a b": "a"}))
    assert template(nested(path, {"A.Example/b": "any text\n"})).returncode == 0


@pytest.mark.parametrize("path", MAPS)
def test_labels_by_which_pods_are_selected_are_refused_with_the_same_message_each_time(path):
    for key in ("app.kubernetes.io/name", "app.kubernetes.io/instance"):
        message = {template(nested(path, {key: "a"}), kube=kube).stderr for kube in ("1.35.0", "1.36.0", "1.37.0")}
        assert len(message) == 1
        assert f"{path}: the chart sets {key}, by which pods are selected; leave it out" in message.pop()
