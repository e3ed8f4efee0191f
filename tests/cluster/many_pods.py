"""A changed value replaces twenty small pods under 200 calls a second and 2,000 streams."""

import chart
import place
import upgrade
from rotation import OLD, SECRET, secret
from upstream import upstream

PODS = 20
SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
# Each stream lasts 10 to 30 s; a word every two seconds, since all of it shares two cores.
STREAMS, PACE, WORDS = 2000, 2.0, 10


def run(args, verdict):
    with upstream(place.ADDRESS, pace=PACE) as served:
        try:
            secret(OLD)
            values = {
                "replicaCount": PODS,
                "resources": SMALL,
                "sandbox": False,
                "apiKey": {"existingSecret": SECRET},
                "config": {"upstreamUrl": served.url, "auth": "none"},
            }
            chart.upgrade(**values)
            chart.gone()
            upgrade.replace(args, verdict, "many_pods", {"streams": STREAMS, "words": WORDS}, **values)
        finally:
            chart.upgrade()
            chart.gone()
