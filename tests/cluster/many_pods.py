"""A changed value replaces twenty small pods under load."""

import chart
import upgrade

PODS = 20
SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}


def run(args, verdict):
    values = {"replicaCount": PODS, "resources": SMALL}
    chart.upgrade(**values)
    chart.gone()
    upgrade.replace(args, verdict, "many_pods", **values)
    chart.upgrade()
    chart.gone()
