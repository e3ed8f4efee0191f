"""The chart's own test passes in a namespace that takes restricted pods only."""

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
    said = kubectl("logs", "-n", chart.NAMESPACE, f"{chart.RELEASE}-test").strip()
    phase = next(line.split(":")[1].strip() for line in printed.splitlines() if line.startswith("Phase:"))
    verdict.check("helm_test: helm test", phase == "Succeeded" and "[sandbox]" in said, said[:100])
    # Otherwise the namespace's label would say nothing.
    try:
        apply(f"""{{apiVersion: v1, kind: Pod, metadata: {{name: rootly, namespace: {chart.NAMESPACE}}},
            spec: {{containers: [{{name: tool, image: "{place.TOOL}"}}]}}}}""")
        refused = "it was taken"
    except RuntimeError as error:
        refused = next((part for part in str(error).split(": ") if part.startswith("violates")), str(error))[:60]
    verdict.check("helm_test: a pod that is not restricted is refused", "violates" in refused, refused)
