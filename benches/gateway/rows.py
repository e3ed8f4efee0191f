"""The rows of the table: what is measured, with which settings."""

import dataclasses
import os
import pathlib
import subprocess
from collections.abc import Callable

import processes
import tools
from figures import DIRECT, DIRECT_GRPC

HERE = pathlib.Path(__file__).resolve().parent
REST = "/v1beta/models/{model}:{verb}"


@dataclasses.dataclass
class Setup:
    """What all rows of a run share."""

    upstream: str
    upstream_tls: str
    sink: str
    certificates: pathlib.Path
    gateway: pathlib.Path
    nginx: pathlib.Path


@dataclasses.dataclass
class Row:
    name: str
    # One sentence: which program with which settings.
    about: str
    # A value of `gateway-bench load --protocol`.
    protocol: str
    # The groups of scenarios that it takes part in.
    sets: set
    # The command and the further environment for a port; none if upstream itself is measured.
    command: Callable | None
    version: Callable
    folder: pathlib.Path = HERE
    # Whether what it writes is discarded: an access log of minutes at full load would fill the disk.
    is_quiet: bool = False
    skips: set = dataclasses.field(default_factory=set)
    path: str = REST
    headers: list = dataclasses.field(default_factory=list)
    model_prefix: str = ""
    ca: pathlib.Path | None = None
    first_warmup: float = 0
    # Whether it makes too few calls in the time in which others are measured.
    is_slow: bool = False
    max_rate: int | None = None
    max_streams: int = 10_000
    # Files that it has open for each stream.
    files_per_stream: int = 2
    start_timeout: float = 60
    is_peer: bool = False

    def runs(self, scenario):
        if scenario.group in self.skips or (self.max_rate and scenario.rate > self.max_rate):
            return False
        return bool(self.sets & {*scenario.rows, scenario.group})

    def flags(self, address):
        """The flags of the load that depend on the row."""
        flags = ["--protocol", self.protocol, "--address", address, "--path", self.path]
        flags += ["--model-prefix", self.model_prefix] if self.model_prefix else []
        flags += ["--ca", str(self.ca)] if self.ca else []
        return flags + [word for header in self.headers for word in ("--header", header)]


def own_rows(setup):
    """Direct, nginx, and gemini-grpc in all its settings."""
    version = gateway_version(setup.gateway)
    every = os.cpu_count()

    def gateway(name, about, protocol="grpc", sets=("all",), files=1, **settings):
        env = gateway_settings(setup, settings)
        row = Row(
            name, about, protocol, set(sets), lambda port: gateway_command(setup, env, port), lambda: version
        )
        row.is_quiet, row.files_per_stream = True, files
        return row

    otlp = {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{setup.sink}"}
    sampled = {**otlp, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
    certificate = {name: setup.certificates / file for name, file in
                   [("TLS_CERT", "cert.pem"), ("TLS_KEY", "key.pem"), ("UPSTREAM_CA", "ca.pem")]}
    tls = gateway("gRPC TLS", "gRPC with TLS on both sides", sets=["tls"], **certificate,
                  UPSTREAM_URL=f"https://{setup.upstream_tls}")
    tls.ca = setup.certificates / "ca.pem"
    return [
        direct_row(DIRECT, "the load calls upstream itself, over HTTP/1.1", "gemini"),
        direct_row(DIRECT_GRPC, "the load calls upstream itself, which answers over gRPC too", "grpc"),
        nginx_row(setup, "nginx", {"all", "faces", "http2", "rate", "idle"}),
        gateway(
            "gRPC",
            f"gRPC over HTTP/2, {every} workers, HTTP/1.1 to upstream, telemetry off, access log on",
            sets=["all", "faces", "http2", "rate", "spread", "idle", "telemetry"],
        ),
        gateway("gRPC one worker", "the same with one worker", WORKERS="1"),
        gateway(
            "REST",
            f"REST over HTTP/1.1, {every} workers",
            "gemini",
            ["all", "faces", "rate", "idle"],
            files=2,
        ),
        gateway("gRPC-Web", f"gRPC-Web over HTTP/1.1, {every} workers", "grpc-web", files=2),
        gateway(
            "gRPC h2c upstream",
            "gRPC with HTTP/2 without TLS to upstream",
            sets=["all", "rate", "idle"],
            UPSTREAM_HTTP="2",
        ),
        gateway(
            "gRPC 1% of traces",
            "gRPC with all metrics and one of 100 traces sent over OTLP",
            sets=["telemetry"],
            **sampled,
        ),
        gateway(
            "gRPC all traces", "gRPC with all metrics and traces sent over OTLP", sets=["telemetry"], **otlp
        ),
        gateway(
            "gRPC no access log",
            "gRPC without the access log",
            sets=["telemetry"],
            LOG="info,gemini_grpc::access=off",
        ),
        nginx_row(setup, "nginx TLS", {"tls"}, is_tls=True),
        tls,
    ]


def direct_row(name, about, protocol):
    return Row(name, about, protocol, {"rate"}, None, lambda: "")


def gateway_settings(setup, settings):
    own = {
        "UPSTREAM_URL": f"http://{setup.upstream}",
        # The default of 1,000 is a protection; here thousands of idle streams are wanted.
        "MAX_CALLS": "11000",
        "DRAIN_DELAY": "0",
        "OTEL_SDK_DISABLED": "true",
        "MOUNTSEA_API_KEY": "k",
        **settings,
    }
    own = {name: str(value) for name, value in own.items()}
    return {
        name if name.startswith(("OTEL_", "MOUNTSEA_")) else f"GEMINI_GRPC_{name}": value
        for name, value in own.items()
    }


def gateway_command(setup, env, port):
    return [str(setup.gateway), "serve", "--listen", f"127.0.0.1:{port}"], env


def gateway_version(program):
    output = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=True, env=processes.ENVIRONMENT
    )
    return output.stdout.strip()


def nginx_row(setup, name, sets, is_tls=False):
    """nginx with one worker, as a lower bound."""
    folder = tools.scratch(f"run/{name.replace(' ', '-')}")

    def command(port):
        own = folder / str(port)
        own.mkdir(exist_ok=True)
        tls = [
            f"ssl_certificate {setup.certificates}/cert.pem;",
            f"ssl_certificate_key {setup.certificates}/key.pem;",
            f"proxy_ssl_trusted_certificate {setup.certificates}/ca.pem;",
            "proxy_ssl_verify on;",
            "proxy_ssl_name localhost;",
        ]
        words = {
            "workers": 1,
            "files": min(processes.max_open_files(), 65_536),
            "folder": own,
            "port": port,
            "upstream": setup.upstream_tls if is_tls else setup.upstream,
            "scheme": "https" if is_tls else "http",
            "ssl": " ssl" if is_tls else "",
            "certificates": "\n    ".join(tls) if is_tls else "",
        }
        text = (HERE / "nginx.conf").read_text()
        for word, value in words.items():
            text = text.replace(f"{{{word}}}", str(value))
        (own / "nginx.conf").write_text(text)
        return [str(setup.nginx), "-p", str(own), "-c", str(own / "nginx.conf")], {}

    about = "HTTP/1.1 on both sides, one worker, no buffering" + (", TLS on both sides" if is_tls else "")
    row = Row(
        name, about, "gemini", sets, command, lambda: f"nginx {tools.nginx_version(setup.nginx)}", folder
    )
    row.ca = setup.certificates / "ca.pem" if is_tls else None
    return row


def peer_row(peer, setup):
    """A row of benches/gateway/peers, which says there what it is."""
    folder = tools.CACHE / peer.name
    folder.mkdir(parents=True, exist_ok=True)
    peer.install(folder)
    sets = {"all", "rate", "idle", "peers"}
    row = Row(
        peer.name,
        peer.settings,
        peer.proto,
        sets,
        lambda port: peer.command(setup.upstream, port),
        peer.version,
        folder,
    )
    row.is_peer, row.skips, row.max_streams = True, set(peer.skips), getattr(peer, "max_streams", 1000)
    for name in ("path", "headers", "model_prefix", "first_warmup", "is_slow", "max_rate", "start_timeout"):
        setattr(row, name, getattr(peer, name, getattr(row, name)))
    return row
