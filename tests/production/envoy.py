"""Runs Envoy in front of gateways, with a static configuration, and reads its admin pages."""

import contextlib
import http.client
import json
import time

import tools
from processes import free_port
from running import other

# The retries are safe: in all three cases no gateway has received the call.
RETRIES = {
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": 2,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    "host_selection_retry_max_attempts": 3,
}
HTTP = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def tcp_listener(port):
    """Forwards each connection to one gateway, whatever it speaks."""
    proxy = {"@type": TCP_PROXY, "stat_prefix": "front", "cluster": "gateways", "idle_timeout": "0s"}
    filters = [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]
    return {"name": "front", "address": address(port), "filter_chains": [{"filters": filters}]}


def http_listener(port, retries):
    # Envoy has no timeout for a stream: the deadlines of the gateway and of the caller apply.
    route = {"cluster": "gateways", "timeout": "0s", **({"retry_policy": RETRIES} if retries else {})}
    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}
    manager = {
        "@type": MANAGER,
        "stat_prefix": "front",
        # HTTP/1.1 and HTTP/2, by the first bytes.
        "codec_type": "AUTO",
        "stream_idle_timeout": "0s",
        "route_config": {"virtual_hosts": [host]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": "front", "address": address(port), "filter_chains": [{"filters": filters}]}


def cluster(ports, sane):
    check = {
        "timeout": "1s",
        "interval": "1s",
        # By default, Envoy checks health only once a minute until there is traffic.
        "no_traffic_interval": "1s",
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        "grpc_health_check": {},
    }
    http2 = {"connection_keepalive": {"interval": "30s", "timeout": "10s"}} if sane else {}
    endpoints = [{"endpoint": {"address": address(port)}} for port in ports]
    # A request goes to the gateway over the version of HTTP in which it came.
    both = {"http_protocol_options": {}, "http2_protocol_options": http2}
    options = {"@type": HTTP, "use_downstream_protocol_config": both}
    cluster = {
        "name": "gateways",
        "type": "STATIC",
        "lb_policy": "ROUND_ROBIN",
        "connect_timeout": "1s",
        "health_checks": [check],
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        "load_assignment": {"cluster_name": "gateways", "endpoints": [{"lb_endpoints": endpoints}]},
    }
    if sane:
        # Open streams count as requests, and the default limit is 1024. max_retries is high enough for every retry.
        limits = {"max_requests": 100_000, "max_connections": 1024, "max_pending_requests": 10_000, "max_retries": 100}
        cluster["circuit_breakers"] = {"thresholds": [limits]}
    return cluster


class Envoy:
    """A running Envoy."""

    def __init__(self, process, port, admin):
        self.process, self.url, self.admin = process, f"http://127.0.0.1:{port}", admin

    def admin_page(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def healthy(self):
        """The ports of the gateways that it considers healthy."""
        hosts = json.loads(self.admin_page("/clusters?format=json"))["cluster_statuses"][0]["host_statuses"]
        return {
            host["address"]["socket_address"]["port_value"]
            for host in hosts
            if not host["health_status"].get("failed_active_health_check")
        }

    def wait_for_healthy(self, ports, seconds=30):
        """Waits until it considers exactly these ports healthy. Envoy sends no notification, so this polls."""
        until = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                if self.healthy() == set(ports):
                    return
            in_time = time.monotonic() < until and self.process.process.poll() is None
            assert in_time, f"Envoy does not see {ports} as healthy: " + "".join(self.process.output[-20:])
            time.sleep(0.1)

    def figures(self):
        """Its counters about the gateways that are not 0."""
        names = "rq_total|rq_retry|rq_retry_success|rq_pending_failure_eject|rq_rx_reset|cx_total|cx_connect_fail"
        lines = self.admin_page(f"/stats?filter=^cluster.gateways.upstream_({names})$").splitlines()
        found = (line.removeprefix("cluster.gateways.upstream_").split(": ") for line in lines)
        return ", ".join(f"{name} {count}" for name, count in found if count != "0")


@contextlib.contextmanager
def envoy(ports, kind):
    """Envoy in front of gateways, until the `with` block ends: with defaults (`bare`), with the settings for production
    (`sane`), or as a balancer of connections (`tcp`)."""
    port, admin, sane = free_port(), free_port(), kind == "sane"
    config = {
        "admin": {"address": address(admin)},
        "static_resources": {
            "listeners": [tcp_listener(port) if kind == "tcp" else http_listener(port, sane)],
            "clusters": [cluster(ports, sane)],
        },
    }
    path = tools.scratch("envoy") / "envoy.json"
    path.write_text(json.dumps(config, indent=1))
    flags = ["--config-path", path, "--concurrency", 1, "--disable-hot-restart", "--log-level", "warning"]
    with other(tools.ENVOY, *flags) as process:
        running = Envoy(process, port, admin)
        running.wait_for_healthy(ports)
        yield running
