"""Calls may reserve half of the container's memory limit."""

import chart
from verdict import mib


def run(args, verdict):
    for pod in chart.serving_pods():
        (container,) = pod["spec"]["containers"]
        text = container["resources"]["limits"]["memory"]
        limit = int(text[:-2]) << {"Mi": 20, "Gi": 30}[text[-2:]]
        cap = chart.metric(pod, "gemini_grpc_memory_limit_bytes")
        seen = f"{mib(cap)} MiB of {mib(limit)} MiB"
        verdict.check(f"memory_limit: {pod['metadata']['name']} may reserve half", cap == limit / 2, seen)
