"""Calls are made through Envoy Gateway and the chart's GRPCRoute while all pods are replaced."""

import contextlib
import json
import pathlib
import shutil
import time

import chart
import clients
import images
import place
import programs
import tools
import upgrade
from clock import Clock
from kube import apply, get, kubectl, namespace
from place import output
from traffic import failures

NAMESPACE = "envoy-gateway-system"
MODULE = "github.com/envoyproxy/gateway"
CONTROLLER, PROXY = "localhost/envoy-gateway:cluster", "localhost/envoy:cluster"
GATEWAY, PORT = "front", 8080
OWNED_BY_GATEWAY = f"gateway.envoyproxy.io/owning-gateway-name={GATEWAY}"
# Streams of 20 to 60 s, at 40 words a second: all of them are longer than Envoy Gateway's limit of 15 s.
LONG_STREAMS, LONG_STREAM_WORDS = 8, 1600


def run(args, verdict):
    folder = install()
    clock = Clock()
    try:
        gateway(folder)
        clock.say("the Gateway's proxy is ready")
        parents = [{"name": GATEWAY, "namespace": NAMESPACE}]
        route = {"enabled": True, "kind": "GRPCRoute", "parentRefs": parents}
        without_policy(args, verdict, route)
        route["envoyGateway"] = {"enabled": True}
        chart.upgrade(route=route)
        wait_for("backendtrafficpolicy", "{.status.ancestors[0].conditions[?(@.type=='Accepted')].status}")
        upgrade.replace(args, verdict, "envoy_gateway", {"address": address()}, route=route)
    finally:
        chart.upgrade()
        chart.wait_until_old_pods_end()
        # The controller removes the proxy of a Gateway that is deleted.
        with contextlib.suppress(RuntimeError):
            kubectl("delete", "gateway", "-n", NAMESPACE, GATEWAY)
            kubectl("wait", "-n", NAMESPACE, "deployment", "--selector", OWNED_BY_GATEWAY, "--for=delete", "--timeout=60s")
        output(place.BIN / "helm", "--kubeconfig", place.KUBECONFIG, "--namespace", NAMESPACE, "uninstall", "eg")


def install():
    """Builds the two images, and returns the folder of a copy of Envoy Gateway's own chart that uses them."""
    programs.build("envoy-gateway", "envoy-gateway", f"{MODULE}/cmd/envoy-gateway")
    path = "usr/local/bin"
    scratch = f"FROM scratch\nENV PATH=/{path}\nUSER 65532:65532\n"
    build = f"{scratch}COPY envoy-gateway /{path}/envoy-gateway\nENTRYPOINT [\"/{path}/envoy-gateway\"]\n"
    images.build(CONTROLLER, build, {place.BIN / "envoy-gateway": "envoy-gateway"})
    (envoy,) = pathlib.Path(tools.VENV).glob("lib/python3*/site-packages/envoy/_bin/envoy")
    images.build_linked(PROXY, envoy, f"{path}/envoy", f"ENV PATH=/{path}")
    module = pathlib.Path(output("go", "list", "-m", "-f", "{{.Dir}}", MODULE, cwd=place.HERE / "envoy-gateway").strip())
    folder = place.STATE / "envoy-gateway"
    shutil.copytree(module / "charts/gateway-helm", folder)
    values = (folder / "values.tmpl.yaml").read_text()
    for name, value in {"GatewayImage": CONTROLLER, "GatewayImagePullPolicy": "Never"}.items():
        values = values.replace(f"${{{name}}}", value)
    # The folders of a Go module are read-only, and so are their copies.
    folder.chmod(0o755)
    (folder / "values.yaml").write_text(values)
    return folder


def gateway(folder):
    """Installs the controller with its chart, and creates a Gateway with a proxy of one pod."""
    definitions = ["--server-side", "--force-conflicts", "--recursive", "-f", folder / "charts/crds/crds"]
    kubectl("apply", *definitions)
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    namespace(NAMESPACE)
    helm = [place.BIN / "helm", "--kubeconfig", place.KUBECONFIG, "--namespace", NAMESPACE]
    settings = ["--set", "crds.enabled=false", "--set", "topologyInjector.enabled=false"]
    output(*helm, "install", "eg", folder, "--skip-crds", *settings, "--wait", "--timeout", "3m")
    # The proxy's Service is a ClusterIP, since no cloud assigns a load balancer here. docs/gateways.md explains
    # drainTimeout.
    pods = {"envoyService": {"type": "ClusterIP"}, "envoyDeployment": {"container": {"image": PROXY}}}
    proxy = {"provider": {"type": "Kubernetes", "kubernetes": pods}, "shutdown": {"drainTimeout": "600s"}}
    listener = {"name": "grpc", "protocol": "HTTP", "port": PORT, "allowedRoutes": {"namespaces": {"from": "All"}}}
    reference = {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": GATEWAY}
    infrastructure = {"parametersRef": reference}
    controller = "gateway.envoyproxy.io/gatewayclass-controller"
    objects = [
        ("gateway.envoyproxy.io/v1alpha1", "EnvoyProxy", proxy),
        ("gateway.networking.k8s.io/v1", "GatewayClass", {"controllerName": controller}),
        (
            "gateway.networking.k8s.io/v1",
            "Gateway",
            {"gatewayClassName": GATEWAY, "listeners": [listener], "infrastructure": infrastructure},
        ),
    ]
    for version, kind, spec in objects:
        metadata = {"name": GATEWAY} if kind == "GatewayClass" else {"name": GATEWAY, "namespace": NAMESPACE}
        apply(json.dumps({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}))
    kubectl("wait", "-n", NAMESPACE, f"gateway/{GATEWAY}", "--for=condition=Programmed", "--timeout=120s")


def address():
    """The address at which the Gateway's proxy takes calls."""
    (service,) = get("services", "-n", NAMESPACE, "-l", OWNED_BY_GATEWAY)["items"]
    return f"{service['spec']['clusterIP']}:{PORT}"


def wait_for(kind, path, value="True"):
    """Waits until the controller has written this value into the status of the release's object."""
    wanted = f"--for=jsonpath={path}={value}"
    kubectl("wait", "-n", chart.NAMESPACE, f"{kind}/{chart.RELEASE}", wanted, "--timeout=60s")


def without_policy(args, verdict, route):
    """Shows why the chart has a policy: without `route.envoyGateway.enabled`, long streams are cut."""
    chart.upgrade(route=route)
    wait_for("grpcroute", "{.status.parents[0].conditions[?(@.type=='Accepted')].status}")
    (parent,) = get("grpcroute", "-n", chart.NAMESPACE, chart.RELEASE)["status"]["parents"]
    conditions = {each["type"]: each["status"] for each in parent["conditions"]}
    good = conditions == {"Accepted": "True", "ResolvedRefs": "True"}
    verdict.check("envoy_gateway: the chart's GRPCRoute is accepted", good, json.dumps(conditions))
    flags = ["--connections", LONG_STREAMS, "--words", LONG_STREAM_WORDS, "--no-retries", "--seconds", 3600]
    with clients.calling(f"http://{address()}", *flags, rate=0, streams=LONG_STREAMS, kinds=("grpcio",)) as running:
        time.sleep(20)
        results = clients.finish(running)
    clients.show(results)
    failed, sent = failures(results)["streams"]
    seen = f"{failed} of {sent} fail"
    verdict.check("envoy_gateway: without the chart's policy streams over 15 s are cut", failed == sent, seen)
