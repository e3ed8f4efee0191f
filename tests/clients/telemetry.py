"""Runs the real OpenTelemetry Collector and the real Prometheus, as `.ci/run` installs them."""

import contextlib
import json
import pathlib
import time
import urllib.parse
import urllib.request

from processes import ROOT, Process, free_port

BIN = ROOT / "target/ci/bin"
COLLECTOR, PROMETHEUS, PROMTOOL = BIN / "otelcol", BIN / "prometheus", BIN / "promtool"
KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT"}
STATUSES = {0: "UNSET", 1: "OK", 2: "ERROR"}


def wait_until(find, what, seconds=30):
    """The first true result of `find`, which is polled, because it looks into a file or calls a port."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := find():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds} s")


def plain(value):
    """A plain Python value from a value in OTLP's JSON."""
    if "arrayValue" in value:
        return [plain(each) for each in value["arrayValue"].get("values", [])]
    if "intValue" in value:
        return int(value["intValue"])
    return next(iter(value.values()), None)


def attributes(holder):
    return {each["key"]: plain(each["value"]) for each in holder.get("attributes", [])}


class Span:
    def __init__(self, span, resource):
        self.name, self.resource = span["name"], resource
        self.trace_id, self.span_id = span["traceId"], span["spanId"]
        self.parent, self.kind = span.get("parentSpanId", ""), KINDS[span["kind"]]
        self.begun, self.ended = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
        self.attributes = attributes(span)
        self.status = STATUSES[span.get("status", {}).get("code", 0)]
        self.message = span.get("status", {}).get("message", "")
        self.links = [link["traceId"] for link in span.get("links", [])]

    def __repr__(self):
        return f"{self.kind} {self.name} {self.status} {self.attributes}"


class Collector:
    """A collector that writes everything it receives into files."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.grpc, self.http = free_port(), free_port()
        files = {signal: {"path": str(self.folder / f"{signal}.json")} for signal in ("traces", "metrics", "logs")}
        config = {
            "receivers": {
                "otlp": {
                    "protocols": {
                        "grpc": {"endpoint": f"127.0.0.1:{self.grpc}"},
                        "http": {"endpoint": f"127.0.0.1:{self.http}"},
                    }
                }
            },
            "exporters": {f"file/{signal}": {**file, "append": True, "flush_interval": "10ms"} for signal, file in files.items()},
            "service": {
                "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "info"}},
                "pipelines": {s: {"receivers": ["otlp"], "exporters": [f"file/{s}"]} for s in files},
            },
        }
        (self.folder / "collector.yaml").write_text(json.dumps(config))
        self.process = None

    def start(self):
        self.process = Process("--config", str(self.folder / "collector.yaml"), program=str(COLLECTOR))
        self.process.wait_for(lambda line: "Everything is ready" in line)
        return self

    def stop(self):
        self.process.stop()

    def kill(self):
        self.process.process.kill()
        self.process.process.wait()

    def environment(self, **more):
        """The variables with which a gateway exports everything to this collector, without delay."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.grpc}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_BLRP_SCHEDULE_DELAY": "50",
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
            **more,
        }

    def _read(self, signal):
        path = self.folder / f"{signal}.json"
        for line in path.read_text().splitlines() if path.exists() else []:
            # The last line may be incomplete.
            with contextlib.suppress(ValueError):
                yield json.loads(line)

    def spans(self, trace_id=None):
        found = [
            Span(span, attributes(resource["resource"]))
            for written in self._read("traces")
            for resource in written["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]
        return [span for span in found if trace_id in (None, span.trace_id)]

    def tree(self, trace_id, count):
        """The spans of a trace, as soon as there are `count`, parents first."""
        spans = wait_until(lambda: (found := self.spans(trace_id)) and len(found) >= count and found, "spans")
        assert len(spans) == count, spans
        return sorted(spans, key=lambda span: span.begun)

    def metrics(self):
        """The data points of each metric in the last export."""
        found = {}
        for written in self._read("metrics"):
            for resource in written["resourceMetrics"]:
                for scope in resource["scopeMetrics"]:
                    for metric in scope["metrics"]:
                        data = next(metric[kind] for kind in ("sum", "gauge", "histogram") if kind in metric)
                        points = [{**point, "attributes": attributes(point)} for point in data["dataPoints"]]
                        found[metric["name"]] = {"unit": metric.get("unit", ""), "points": points}
        return found

    def logs(self):
        return [
            {**record, "attributes": attributes(record), "body": plain(record.get("body", {}))}
            for written in self._read("logs")
            for resource in written["resourceLogs"]
            for scope in resource["scopeLogs"]
            for record in scope["logRecords"]
        ]

    def everything(self):
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.json")))


class Prometheus:
    """A Prometheus that scrapes an address every second, or uses the given configuration."""

    # When queries are evaluated, in seconds since 1970; otherwise now.
    moment = None

    def __init__(self, folder, target, config=None):
        folder = pathlib.Path(folder)
        self.port = free_port()
        scrape = {"job_name": "gemini-grpc", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}
        (folder / "prometheus.yml").write_text(config or json.dumps({"scrape_configs": [scrape]}))
        self.process = Process(
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
            program=str(PROMETHEUS),
        )
        self.process.wait_for(lambda line: "ready to receive web requests" in line)

    def query(self, promql):
        parameters = {"query": promql} | ({"time": self.moment} if self.moment else {})
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    def stop(self):
        self.process.stop()
