"""Three pods share the limits of a caller in one Redis, across an upgrade, a deletion and a scale to five."""

import asyncio
import contextlib
import json
import threading

import chart
import images
import place
from clock import Clock
from kube import apply, kubectl
from rotation import OLD, SECRET, set_key
from traffic import traffic
from upgrade import replace

REDIS = ("localhost/redis", "cluster")
# What the limited caller is offered and may have, in calls per minute.
OFFERED, ALLOWED = 1500, 600
# What may be admitted more than by one process that sees everything.
TOLERANCE = 0.01


def run(args, verdict):
    from gateways import callers_file
    from upstream import upstream

    redis()
    set_key(OLD)
    tokens = callers_file(place.STATE, {"open": {}, "limited": {"calls_per_minute": ALLOWED}}).read_text()
    with upstream(place.ADDRESS) as served:
        values = {
            "replicaCount": 3,
            "sandbox": False,
            "apiKey": {"existingSecret": SECRET},
            "callers": {"toml": tokens},
            "limits": {"url": f"redis://redis.{chart.NAMESPACE}:6379"},
            "config": {"upstreamUrl": served.url, "auth": "tokens"},
        }
        try:
            chart.upgrade(**values)
            chart.wait_until_old_pods_end()
            change(args, verdict, values)
        finally:
            chart.upgrade()
            chart.wait_until_old_pods_end()
            kubectl("delete", "-n", chart.NAMESPACE, "deployment/redis", "service/redis")


def redis():
    """Runs Redis in a pod, with a Service in front of it."""
    images.build_linked(":".join(REDIS), "/usr/bin/redis-server", "usr/bin/redis-server")
    labels = {"app": "redis"}
    container = {
        "name": "redis",
        "image": ":".join(REDIS),
        "imagePullPolicy": "Never",
        # Only the namespace's pods can reach it, and there is nothing to steal in a test.
        "args": ["--save", "", "--protected-mode", "no", "--dir", "/data"],
        "ports": [{"containerPort": 6379}],
        "readinessProbe": {"tcpSocket": {"port": 6379}, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    metadata = {"name": "redis", "namespace": chart.NAMESPACE}
    template = {"metadata": {"labels": labels}, "spec": pod}
    deployment = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    apply(json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": deployment}))
    service = {"selector": labels, "ports": [{"port": 6379}]}
    apply(json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service}))
    kubectl("rollout", "status", "-n", chart.NAMESPACE, "deployment/redis", "--timeout=120s")


def change(args, verdict, values):
    """Replaces all pods, deletes one, and scales to five, while two callers make calls."""
    from rest_calls import token

    file = place.STATE / "open-token"
    file.write_text(token("open"))
    load = {"token_file": file, "words": 100}
    with limited(verdict):
        replace(args, verdict, "shared_limits, upgrade", load, **values)
        with traffic(args, "shared_limits, deletion and scaling", verdict, **load):
            clock = Clock()
            kubectl("delete", "pod", "-n", chart.NAMESPACE, chart.pod_names()[0], "--wait=false")
            kubectl("rollout", "status", "-n", chart.NAMESPACE, f"deployment/{chart.RELEASE}", "--timeout=120s")
            chart.wait_until_old_pods_end()
            clock.say("a deleted pod is replaced")
            chart.upgrade(**chart.merged(values, {"replicaCount": 5}))
            clock.say("five pods are ready")


@contextlib.contextmanager
def limited(verdict):
    """Offers a caller more than it may have until the `with` block ends, and checks how much it got."""
    stop, ended = threading.Event(), []

    async def offer():
        from double import Wish
        from rest_calls import client

        # Each call has its own connection, so that it reaches any pod.
        async with client([chart.service()], force_close=True) as calls:
            while not stop.is_set():
                ended.extend(await calls.offer(Wish("limited"), OFFERED / 60, 2))

    thread = threading.Thread(target=asyncio.run, args=[offer()])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    from gcra import Rate

    rate = Rate(ALLOWED)
    expected = sum(rate.take(call.begun) for call in sorted(ended, key=lambda call: call.begun))
    admitted = sum(call.ok for call in ended)
    seen = f"{admitted} of {len(ended)} calls, {expected} by one process"
    verdict.check("shared_limits: the limit holds", abs(admitted - expected) <= TOLERANCE * expected, seen)
    wrong = [call for call in ended if not call.ok and call.quota != "calls_per_minute"]
    verdict.check("shared_limits: all others are refused for the limit", not wrong, f"{len(wrong)} failed {wrong[:1] or ''}")
