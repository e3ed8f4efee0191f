"""990 streams in one pod whose limit of open files is 1,024, as a soft limit and as a hard limit."""

import collections
import contextlib
import json
import time
import urllib.request

import chart
import clients
import place
from kube import apply, get
from rotation import OLD, SECRET, set_key
from tools import say
from traffic import failures
from upstream import upstream
from worker import FEW_FILES

# A little less than the calls that one pod serves at once by default: probes and metrics need files too.
STREAMS = 990
# Each stream ends after 10 to 30 seconds, and another one starts.
PACE, WORDS = 1.0, 20


def run(args, verdict):
    with upstream(place.ADDRESS, pace=PACE) as served:
        try:
            for kind in ("soft", "hard"):
                limited(kind, served, verdict)
        finally:
            chart.upgrade()
            chart.wait_until_old_pods_end()


def limited(kind, served, verdict):
    """Calls one pod with more streams than fit into 1,024 files."""
    what = f"few_files, {kind} limit"
    name = f"few-files-{kind}"
    runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": name}
    apply(json.dumps(runtime))
    set_key(OLD)
    # Connections that grow old would end calls before they are sent, and this is about files.
    config = {"upstreamUrl": served.url, "auth": "none", "connectionAge": 1800}
    chart.upgrade(
        replicaCount=1, sandbox=False, apiKey={"existingSecret": SECRET}, config=config, runtimeClassName=name
    )
    chart.wait_until_old_pods_end()
    before = health()
    probes, max_open = collections.Counter(), 0
    flags = ["--connections", 60, "--words", WORDS, "--no-retries", "--seconds", 3600]
    endpoint = f"http://{chart.service()}"
    with clients.calling(endpoint, *flags, rate=0, streams=STREAMS, kinds=("grpcio",)) as running:
        for _ in range(60):
            time.sleep(1)
            (pod,) = chart.serving_pods()
            for path in ("livez", "readyz"):
                probes[f"{path} {probe(pod, path)}"] += 1
            # If the pod does not answer, the probes record it.
            with contextlib.suppress(OSError):
                max_open = max(max_open, int(chart.metric(pod, "gemini_grpc_calls_in_flight")))
        results = clients.finish(running)
    clients.show(results)
    (pod,) = chart.serving_pods()
    limit, refused = (int(chart.metric(pod, f"gemini_grpc_{name}")) for name in ("files_limit", "calls_refused_total"))
    out_of_files = int(chart.metric(pod, "gemini_grpc_calls_refused_total", "OUT_OF_FILES"))
    say(f"  the limit is {limit} files; at most {max_open} calls were in flight; {refused} were refused")
    failed, sent = failures(results)["streams"]
    seen = f"{failed} of {sent} failed, {out_of_files} of them as OUT_OF_FILES; up to {max_open} open"
    if kind == "soft":
        verdict.check(f"{what}: is raised", limit > FEW_FILES, f"{limit} files")
        verdict.check(f"{what}: all of {STREAMS} streams are served", not failed and max_open >= STREAMS, seen)
    else:
        verdict.check(f"{what}: stays", limit == FEW_FILES, f"{limit} files")
        all_counted = 0 < failed == refused == out_of_files
        verdict.check(f"{what}: excess streams are refused as OUT_OF_FILES", all_counted, seen)
    answered = set(probes) == {"livez 200", "readyz 200"}
    counts = ", ".join(f"{count} of {name}" for name, count in probes.items())
    verdict.check(f"{what}: probes are answered", answered, counts)
    after = health()
    seen = f"{after[2]} restarts, {after[3] - before[3]} failed probes of the kubelet"
    verdict.check(f"{what}: the pod stays ready, and is not restarted", after == before, seen)


def health():
    """The name of the only pod, the time since when it is ready, its restarts, and its failed probes."""
    (pod,) = chart.serving_pods()
    (since,) = [each["lastTransitionTime"] for each in pod["status"]["conditions"] if each["type"] == "Ready"]
    return pod["metadata"]["name"], since, chart.restarts(), failed_probes(pod["metadata"]["name"])


def failed_probes(name):
    """The number of failed probes that the kubelet has reported for a pod. Some may be from before it was ready."""
    events = get("events", "-n", chart.NAMESPACE, "--field-selector", f"involvedObject.name={name}")["items"]
    return sum(event["count"] for event in events if event["reason"] == "Unhealthy")


def probe(pod, path):
    """The HTTP status or the error of a probe, within the two seconds that the kubelet allows."""
    try:
        with urllib.request.urlopen(f"http://{pod['status']['podIP']}:9464/{path}", timeout=2) as answer:
            return answer.status
    except OSError as error:
        return error
