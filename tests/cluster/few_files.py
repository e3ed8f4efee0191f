"""Pods whose processes may open 1,024 files, softly and at most, with 990 streams."""

import collections
import contextlib
import json
import time
import urllib.request

import chart
import clients
import place
from kube import apply, get
from rotation import OLD, SECRET, secret
from tools import say
from traffic import kinds
from upstream import upstream
from worker import FEW_FILES

# As many as one pod takes calls by default, less the few that probes and others need.
STREAMS = 990
# Each stream ends after 10 to 30 seconds, and another begins.
PACE, WORDS = 1.0, 20


def run(args, verdict):
    with upstream(place.ADDRESS, pace=PACE) as served:
        try:
            for kind in ("soft", "hard"):
                limited(kind, served, verdict)
        finally:
            chart.upgrade()
            chart.gone()


def limited(kind, served, verdict):
    """One pod, and more streams than its files have room for, if they cannot be raised."""
    what = f"few_files, {kind} limit"
    name = f"few-files-{kind}"
    runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": name}
    apply(json.dumps(runtime))
    secret(OLD)
    config = {"upstreamUrl": served.url, "auth": "none"}
    chart.upgrade(
        replicaCount=1, sandbox=False, apiKey={"existingSecret": SECRET}, config=config, runtimeClassName=name
    )
    chart.gone()
    before = health()
    probes, open_most = collections.Counter(), 0
    flags = ["--connections", 60, "--words", WORDS, "--no-retries", "--seconds", 3600]
    endpoint = f"http://{chart.service()}"
    with clients.calling(endpoint, *flags, rate=0, streams=STREAMS, languages=("grpcio",)) as running:
        for _ in range(60):
            time.sleep(1)
            (pod,) = chart.running()
            for path in ("livez", "readyz"):
                probes[f"{path} {asked(pod, path)}"] += 1
            # The probes tell of one that does not answer.
            with contextlib.suppress(OSError):
                open_most = max(open_most, int(chart.figure(pod, "gemini_grpc_calls_in_flight")))
        results = clients.finish(running)
    clients.show(results)
    (pod,) = chart.running()
    limit, refused = (int(chart.figure(pod, f"gemini_grpc_{figure}")) for figure in ("files_limit", "calls_refused_total"))
    out_of_files = int(chart.figure(pod, "gemini_grpc_calls_refused_total", "OUT_OF_FILES"))
    say(f"  {limit} files may be open; at most {open_most} calls were in flight; {refused} were refused")
    failed, sent = kinds(results)["streams"]
    seen = f"{failed} of {sent}, {out_of_files} of them as OUT_OF_FILES; up to {open_most} open"
    if kind == "soft":
        verdict.check(f"{what}: is raised", limit > FEW_FILES, f"{limit} files")
        verdict.check(f"{what}: all of {STREAMS} streams are served", not failed and open_most >= STREAMS, seen)
    else:
        verdict.check(f"{what}: stays", limit == FEW_FILES, f"{limit} files")
        right = 0 < failed == refused == out_of_files
        verdict.check(f"{what}: what is too much is refused as OUT_OF_FILES", right, seen)
    well = set(probes) == {"livez 200", "readyz 200"}
    verdict.check(f"{what}: probes are answered", well, ", ".join(f"{count} of {name}" for name, count in probes.items()))
    after = health()
    seen = f"{after[2]} restarts, {after[3] - before[3]} failed probes of the kubelet's"
    verdict.check(f"{what}: the pod stays ready, and is not restarted", after == before, seen)


def health():
    """Which pod there is, since when it is ready, how often its container was started again, and failed probes."""
    (pod,) = chart.running()
    (since,) = [each["lastTransitionTime"] for each in pod["status"]["conditions"] if each["type"] == "Ready"]
    return pod["metadata"]["name"], since, chart.restarts(), failed_probes(pod["metadata"]["name"])


def failed_probes(name):
    """How many the kubelet tells of; one before the first answer is none of ours."""
    events = get("events", "-n", chart.NAMESPACE, "--field-selector", f"involvedObject.name={name}")["items"]
    return sum(event["count"] for event in events if event["reason"] == "Unhealthy")


def asked(pod, path):
    """What a probe is told, within the two seconds that the kubelet gives it."""
    try:
        with urllib.request.urlopen(f"http://{pod['status']['podIP']}:9464/{path}", timeout=2) as answer:
            return answer.status
    except OSError as error:
        return error
