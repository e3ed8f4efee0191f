"""The chart's own test passes in a namespace that accepts only restricted pods."""

import chart
import place
from kube import apply, kubectl
from tools import say


def run(args, verdict):
    say("\n".join(f"  {line}" for line in chart.helm("list").splitlines()))
    try:
        printed = chart.helm("test", chart.RELEASE, "--timeout", "2m")
    except RuntimeError:
        printed = "Phase: Failed"
    log = kubectl("logs", "-n", chart.NAMESPACE, f"{chart.RELEASE}-test").strip()
    phase = next(line.split(":")[1].strip() for line in printed.splitlines() if line.startswith("Phase:"))
    verdict.check("helm_test: helm test", phase == "Succeeded" and "[sandbox]" in log, log[:100])
    # Shows that the namespace's label has an effect.
    try:
        apply(f"""{{apiVersion: v1, kind: Pod, metadata: {{name: unrestricted, namespace: {chart.NAMESPACE}}},
            spec: {{containers: [{{name: tool, image: "{place.TOOL}"}}]}}}}""")
        refused = "it was accepted"
    except RuntimeError as error:
        refused = next((part for part in str(error).split(": ") if part.startswith("violates")), str(error))[:60]
    verdict.check("helm_test: a pod that is not restricted is refused", "violates" in refused, refused)
