"""A changed value replaces twenty small pods under 200 calls per second and 2,000 streams."""

import chart
import place
import upgrade
from rotation import OLD, SECRET, set_key
from upstream import upstream

PODS = 20
SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
# Each stream lasts 10 to 30 s. It has only one word every two seconds, since everything shares two cores.
STREAMS, PACE, WORDS = 2000, 2.0, 10


def run(args, verdict):
    with upstream(place.ADDRESS, pace=PACE) as served:
        try:
            set_key(OLD)
            values = {
                "replicaCount": PODS,
                "resources": SMALL,
                "sandbox": False,
                "apiKey": {"existingSecret": SECRET},
                "config": {"upstreamUrl": served.url, "auth": "none"},
            }
            chart.upgrade(**values)
            chart.wait_until_old_pods_end()
            upgrade.replace(args, verdict, "many_pods", {"streams": STREAMS, "words": WORDS}, **values)
        finally:
            chart.upgrade()
            chart.wait_until_old_pods_end()
