"""Fifty pods for Prometheus, made up from the metrics of one gateway."""

import http.server
import itertools
import json
import re
import threading

COUNT, ZONES = 50, ("a", "b", "c")
NAMESPACE, DEPLOYMENT = "models", "gemini-grpc"
SAMPLE = re.compile(r"^(\w+)(\{.*\})? (\S+)$")
# Of a gateway with TLS; the one that the others are made from has none.
CERTIFICATE = 'gemini_grpc_tls_certificate_expiry_seconds{gemini_grpc_tls_certificate="server"} 2592000\n'
# Of the kubelet and of kube-state-metrics, for each pod; then of the autoscaler.
CONTAINER = """
container_cpu_usage_seconds_total{{namespace="models",pod="{pod}",container="gemini-grpc"}} {cpu}
container_memory_working_set_bytes{{namespace="models",pod="{pod}",container="gemini-grpc"}} {memory}
kube_pod_container_status_restarts_total{{namespace="models",pod="{pod}",container="gemini-grpc"}} {restarts}
"""
AUTOSCALER = """
kube_horizontalpodautoscaler_status_current_replicas{{{of}}} 50
kube_horizontalpodautoscaler_status_desired_replicas{{{of}}} 52
kube_horizontalpodautoscaler_spec_min_replicas{{{of}}} 30
kube_horizontalpodautoscaler_spec_max_replicas{{{of}}} 100
"""


def name(number):
    return f"{DEPLOYMENT}-7d9f6c5b4-{number:05}"


def scrape_of(text, number, time):
    """What pod `number` says at its scrape `time`: counters grow, and gauges differ from pod to pod."""
    counters = set(re.findall(r"^# TYPE (\S+) (?:counter|histogram)$", text, re.M))
    lines = []
    for line in text.splitlines():
        if sample := SAMPLE.match(line):
            metric, labels, value = sample.groups()
            family = re.sub("_(bucket|sum|count)$", "", metric)
            if family in counters or metric in counters:
                line = f"{metric}{labels or ''} {float(value) * time * (1 + number % 7)}"
            elif not metric.endswith(("_limit", "_limit_bytes", "_info", "_phase")):
                line = f"{metric}{labels or ''} {float(value) + number}"
        lines.append(line)
    return "\n".join(lines) + "\n" + CERTIFICATE


def scrape_of_the_cluster(time):
    parts = [
        CONTAINER.format(pod=name(n), cpu=time * (1 + n / 50), memory=(50 + n) << 20, restarts=time if n == 7 else 0)
        for n in range(COUNT)
    ]
    of = f'namespace="{NAMESPACE}",horizontalpodautoscaler="{DEPLOYMENT}"'
    return "".join([*parts, AUTOSCALER.format(of=of)])


class Pods:
    """Serves them all at one port, each at a path of its own."""

    def __init__(self, text):
        times = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                time = next(times.setdefault(self.path, itertools.count(1)))
                number = self.path.strip("/")
                said = scrape_of(text, int(number), time) if number.isdigit() else scrape_of_the_cluster(time)
                body = said.encode()
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
        """For Prometheus: what the operator would find."""
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
    """Prometheus' own, as JSON, which is YAML."""
    scrape = {"job_name": "models/gemini-grpc", "scrape_interval": "1s", "honor_labels": True, "static_configs": targets}
    return json.dumps({"global": {"evaluation_interval": "1s"}, "scrape_configs": [scrape], "rule_files": [str(rules)]})
