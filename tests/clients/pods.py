"""Simulates fifty pods for Prometheus, from the metrics of one gateway."""

import http.server
import itertools
import json
import re
import threading

COUNT, ZONES = 50, ("a", "b", "c")
NAMESPACE, DEPLOYMENT = "models", "gemini-grpc"
SAMPLE = re.compile(r"^(\w+)(\{.*\})? (\S+)$")
# The ends of the names of gauges that are equal at all pods.
FIXED = ("_limit", "_limit_bytes", "_info", "_phase", "_up")
# A metric of a gateway with TLS: the real gateway here has none.
CERTIFICATE = 'gemini_grpc_tls_certificate_expiry_seconds{gemini_grpc_tls_certificate="server"} 2592000\n'
# Metrics of the kubelet and of kube-state-metrics: for each pod, and for the autoscaler.
CONTAINER = """
container_cpu_usage_seconds_total{{namespace="models",pod="{pod}",container="gemini-grpc"}} {cpu}
container_memory_working_set_bytes{{namespace="models",pod="{pod}",container="gemini-grpc"}} {memory}
kube_pod_container_status_restarts_total{{namespace="models",pod="{pod}",container="gemini-grpc"}} {restarts}
"""
AUTOSCALER = """
kube_horizontalpodautoscaler_status_current_replicas{{{labels}}} 50
kube_horizontalpodautoscaler_status_desired_replicas{{{labels}}} 52
kube_horizontalpodautoscaler_spec_min_replicas{{{labels}}} 30
kube_horizontalpodautoscaler_spec_max_replicas{{{labels}}} 100
"""


def name(number):
    return f"{DEPLOYMENT}-7d9f6c5b4-{number:05}"


def parse(text):
    """The lines of a scrape: what grows with time and what differs between pods, as (series, value), and all others."""
    counters = set(re.findall(r"^# TYPE (\S+) (?:counter|histogram)$", text, re.M))
    growing, differing, fixed = [], [], []
    for line in text.splitlines():
        sample = SAMPLE.match(line)
        metric, labels, value = sample.groups() if sample else (None, None, None)
        if metric is None or (metric not in counters and metric.endswith(FIXED)):
            fixed.append(line)
        elif metric in counters or re.sub("_(bucket|sum|count)$", "", metric) in counters:
            growing.append((metric + (labels or ""), float(value)))
        else:
            differing.append((metric + (labels or ""), float(value)))
    return growing, differing, fixed


def scrape_of(parsed, number, time):
    """The metrics of pod `number` at its scrape `time`: counters grow, and gauges differ between pods."""
    growing, differing, fixed = parsed
    factor = time * (1 + number % 7)
    lines = [f"{series} {value * factor}" for series, value in growing]
    lines += [f"{series} {value + number}" for series, value in differing]
    return "\n".join([*fixed, *lines]) + "\n" + CERTIFICATE


def scrape_of_the_cluster(time):
    parts = [
        CONTAINER.format(pod=name(n), cpu=time * (1 + n / 50), memory=(50 + n) << 20, restarts=time if n == 7 else 0)
        for n in range(COUNT)
    ]
    labels = f'namespace="{NAMESPACE}",horizontalpodautoscaler="{DEPLOYMENT}"'
    return "".join([*parts, AUTOSCALER.format(labels=labels)])


class Pods:
    """Serves the metrics of all pods at one port, each at its own path."""

    def __init__(self, text):
        times = {}
        parsed = parse(text)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                time = next(times.setdefault(self.path, itertools.count(1)))
                number = self.path.strip("/")
                metrics = scrape_of(parsed, int(number), time) if number.isdigit() else scrape_of_the_cluster(time)
                body = metrics.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def targets(self):
        """The targets for Prometheus, as the Prometheus operator would find them."""
        pods = [
            {
                "targets": [self.address],
                "labels": {
                    "__metrics_path__": f"/{n}",
                    "instance": f"10.0.0.{n}:9464",
                    "namespace": NAMESPACE,
                    "pod": name(n),
                    "zone": ZONES[n % 3],
                },
            }
            for n in range(COUNT)
        ]
        return [*pods, {"targets": [self.address], "labels": {"__metrics_path__": "/cluster", "instance": "cluster"}}]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def configuration(targets, rules):
    """The configuration of Prometheus, as JSON, which is valid YAML."""
    scrape = {"job_name": "models/gemini-grpc", "scrape_interval": "2s", "honor_labels": True, "static_configs": targets}
    return json.dumps({"global": {"evaluation_interval": "1s"}, "scrape_configs": [scrape], "rule_files": [str(rules)]})
