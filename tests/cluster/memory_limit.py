"""Half of the container's memory limit is what calls may hold."""

import chart
from verdict import mib


def run(args, verdict):
    for pod in chart.running():
        (container,) = pod["spec"]["containers"]
        text = container["resources"]["limits"]["memory"]
        limit = int(text[:-2]) << {"Mi": 20, "Gi": 30}[text[-2:]]
        cap = chart.figure(pod, "gemini_grpc_memory_limit_bytes")
        seen = f"{mib(cap)} MiB of {mib(limit)} MiB"
        verdict.check(f"memory_limit: {pod['metadata']['name']} may hold half", cap == limit / 2, seen)
