"""The situation in which each alert of helm/gemini-grpc/rules fires, as series for `promtool test rules`.

A case has two releases: `bad`, for which the alert must fire, and `good`, which has a similar situation without an alert.
Each has two pods, and all pods have one job in Prometheus, as when pods are discovered by an annotation.
"""

from dataclasses import dataclass, field

CALLS = "rpc_server_call_duration_seconds_count"
REST_CALLS = "http_server_request_duration_seconds_count"
ROUTE = "/v1beta/models/{model}:generateContent"
REQUESTS = "http_client_request_duration_seconds_count"
OPERATIONS = "gen_ai_client_operation_duration_seconds_count"
CHUNKS = "gen_ai_client_operation_time_to_first_chunk_seconds_bucket"
USAGE = "gemini_grpc_usage_calls_total"
RELOADING = "gemini_grpc_reload_refused"
EXPIRY = "gemini_grpc_tls_certificate_expiry_seconds"
RESTING = "gemini_grpc_key_resting_seconds"
FALLBACKS = "gemini_grpc_fallbacks_total"
STORE = "gemini_grpc_store_up"
HPA = "kube_horizontalpodautoscaler_"
DAY = 86400


@dataclass
class Case:
    """Series by metric and labels, with their values by minute. A `2` before the name means the second pod."""

    alert: str
    bad: dict[str, str]
    good: dict[str, str]
    # The minute at which the alert must not fire yet, and the one at which it must fire.
    not_firing_at: int
    firing_at: int
    # For each of its alerts, the labels that distinguish it from the others.
    found: list[dict[str, str]] = field(default_factory=lambda: [{}])
    # Other alerts that fire at the same time.
    also_firing: list[str] = field(default_factory=list)
    # The series that shows how long the release has pods.
    pods_up: str = "1000x120"
    name: str = ""


def by_status(**rates: int) -> dict[str, str]:
    """Calls per minute by status."""
    errors = ("UNAVAILABLE", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "DATA_LOSS", "UNIMPLEMENTED")
    error = {status: f', error_type="{status}"' if status in errors else "" for status in rates}
    return {f'{CALLS}{{rpc_status_code="{status}"{error[status]}}}': f"0+{rate}x120" for status, rate in rates.items()}


def over_rest(rates: dict[str, int], route: str = ROUTE) -> dict[str, str]:
    """Calls over REST per minute by status. The status of a stream that broke off is followed by the code of its error."""
    found = {}
    for key, rate in rates.items():
        status, _, code = key.partition(" ")
        labels = {"http_route": route, "http_response_status_code": status, "error_type": code or status * (status >= "500")}
        text = ", ".join(f'{name}="{value}"' for name, value in labels.items() if value)
        found[f"{REST_CALLS}{{{text}}}"] = f"0+{rate}x120"
    return found


def at_second_pod(series: dict[str, str]) -> dict[str, str]:
    """The same series at the second pod."""
    return {f"2{name}": values for name, values in series.items()}


def first_chunks(model: str, *counts: int) -> dict[str, str]:
    """Streams by the time until their first chunk: up to 20 s, 41 s, 82 s, and all."""
    bounds = ("20.48", "40.96", "81.92", "+Inf")
    return {
        f'{CHUNKS}{{gen_ai_request_model="{model}", le="{bound}"}}': f"0+{count}x120"
        for bound, count in zip(bounds, counts, strict=True)
    }


def autoscaler(desired: int, minimum: int, maximum: int) -> dict[str, str]:
    sizes = {"status_desired_replicas": desired, "spec_min_replicas": minimum, "spec_max_replicas": maximum}
    return {f"{HPA}{name}": f"{size}x120" for name, size in sizes.items()}


FIRST, SECOND = {"pod": "1"}, {"pod": "2"}
CASES = [
    Case(
        "GeminiGrpcCallsFail",
        by_status(OK=90, UNAVAILABLE=10) | at_second_pod(by_status(OK=90, UNAVAILABLE=10)),
        # The same rate, but caused by callers. Only OpenTelemetry's conventions count UNIMPLEMENTED as a server error.
        by_status(OK=70, INVALID_ARGUMENT=10, CANCELLED=10, UNIMPLEMENTED=10),
        not_firing_at=8,
        firing_at=30,
    ),
    Case(
        "GeminiGrpcMostCallsFail",
        by_status(OK=40, DEADLINE_EXCEEDED=30, UNKNOWN=30) | at_second_pod(by_status(OK=40, DATA_LOSS=60)),
        by_status(OK=98, DATA_LOSS=2),
        not_firing_at=4,
        firing_at=8,
    ),
    Case(
        "GeminiGrpcMostCallsFail",
        by_status(OK=40, INTERNAL=60),
        by_status(OK=98, DATA_LOSS=2),
        not_firing_at=4,
        firing_at=30,
        also_firing=["GeminiGrpcCallsFail"],
        name="for 30 minutes",
    ),
    Case(
        "GeminiGrpcCallsFail",
        over_rest({"200": 90, "503": 5, "504": 2, "200 UNAVAILABLE": 3}) | at_second_pod(over_rest({"200": 90, "500": 10})),
        # Caused by callers, like a call that was cancelled before its response, and methods that are not offered.
        over_rest({"200": 50, "400": 10, "401": 10, "429": 10, "501": 10, "": 10}),
        not_firing_at=8,
        firing_at=30,
        name="over REST",
    ),
    Case(
        "GeminiGrpcMostCallsFail",
        over_rest({"200": 40, "500": 20, "503": 20, " DEADLINE_EXCEEDED": 20}) | at_second_pod(over_rest({"200 INTERNAL": 90})),
        over_rest({"200": 98, "500": 2}),
        not_firing_at=4,
        firing_at=8,
        name="over REST",
    ),
    # The calls over gRPC succeed.
    Case(
        "GeminiGrpcCallsFail",
        by_status(OK=90) | over_rest({"503": 10}),
        by_status(OK=98) | over_rest({"503": 2}),
        not_firing_at=8,
        firing_at=30,
        name="over REST only",
    ),
    # Requests to paths that are not served, as scanners send them, are no calls.
    Case(
        "GeminiGrpcMostCallsFail",
        over_rest({"200": 40, "503": 60}) | over_rest({"404": 5000}, route=""),
        over_rest({"200": 98, "503": 2}) | over_rest({"404": 5000, "500": 5000}, route=""),
        not_firing_at=4,
        firing_at=8,
        name="among scans",
    ),
    # Half of one pod's calls fail, which is 3 % of all calls.
    Case(
        "GeminiGrpcPodFails",
        by_status(OK=3, INTERNAL=3) | at_second_pod(by_status(OK=99, INTERNAL=1)),
        # A few calls fail at both pods, so neither pod is the cause.
        by_status(OK=97, INTERNAL=3) | at_second_pod(by_status(OK=97, INTERNAL=3)),
        not_firing_at=8,
        firing_at=30,
        found=[FIRST],
    ),
    Case(
        "GeminiGrpcPodFails",
        over_rest({"200": 3, "500": 3}) | at_second_pod(over_rest({"200": 99, "500": 1})),
        over_rest({"200": 97, "500": 3}) | at_second_pod(over_rest({"200": 97, "500": 3})),
        not_firing_at=8,
        firing_at=30,
        found=[FIRST],
        name="over REST",
    ),
    Case(
        "GeminiGrpcNoPods",
        {},
        {},
        pods_up="1000x10 _x50",
        not_firing_at=14,
        firing_at=25,
    ),
    Case(
        "GeminiGrpcKeyRefused",
        {
            f'{USAGE}{{code="INTERNAL", caller="a", model="m"}}': "0+80x60",
            f'{USAGE}{{code="OK", caller="b", model="m"}}': "0+20x60",
            f'{OPERATIONS}{{error_type="401", gen_ai_request_model="m"}}': "0+80x60",
            f'{OPERATIONS}{{gen_ai_request_model="m"}}': "0+20x60",
        },
        # Some callers have refused keys of their own or send invalid requests, while upstream fails for other callers.
        {
            f'{USAGE}{{code="INTERNAL", caller="a", model="m"}}': "0+30x60",
            f'{USAGE}{{code="UNAUTHENTICATED", caller="b", model="m"}}': "0+40x60",
            f'{USAGE}{{code="INVALID_ARGUMENT", caller="b", model="m"}}': "0+30x60",
            f'{OPERATIONS}{{error_type="500", gen_ai_request_model="m"}}': "0+30x60",
            f'{OPERATIONS}{{error_type="401", gen_ai_request_model="m"}}': "0+40x60",
            f'{OPERATIONS}{{error_type="400", gen_ai_request_model="m"}}': "0+30x60",
        },
        not_firing_at=4,
        firing_at=20,
    ),
    Case(
        "GeminiGrpcUpstreamQuota",
        {
            f'{REQUESTS}{{http_response_status_code="200"}}': "0+80x60",
            f'{REQUESTS}{{http_response_status_code="429", error_type="429"}}': "0+20x60",
        },
        {
            f'{REQUESTS}{{http_response_status_code="200"}}': "0+95x60",
            f'{REQUESTS}{{http_response_status_code="429", error_type="429"}}': "0+5x60",
        },
        not_firing_at=8,
        firing_at=30,
    ),
    Case(
        "GeminiGrpcKeyRests",
        # Until midnight; and a key whose quota for a minute is used up again and again.
        {f'{RESTING}{{key="a"}}': "30000-60x60", f'{RESTING}{{key="b"}}': "45x60"},
        {f'{RESTING}{{key="a"}}': "0x10 300-60x5 0x50", f'{RESTING}{{key="b"}}': "59x60"},
        not_firing_at=9,
        firing_at=20,
        found=[{"key": "a"}],
    ),
    Case(
        "GeminiGrpcKeyRests",
        # A key that is revoked, and tried again after each rest.
        {f'{RESTING}{{key="a"}}': "60-60x1 120-60x2 240-60x4 480-60x8 960-60x16"},
        {f'{RESTING}{{key="a"}}': "60-60x1 120-60x2 0x50"},
        not_firing_at=5,
        firing_at=16,
        found=[{"key": "a"}],
        name="revoked",
    ),
    Case(
        "GeminiGrpcKeysAllRest",
        {'gemini_grpc_calls_refused_total{reason="UPSTREAM_KEYS_RESTING"}': "0+3x60"},
        {
            'gemini_grpc_calls_refused_total{reason="CALLER_QUOTA_EXCEEDED"}': "0+3x60",
            'gemini_grpc_calls_refused_total{reason="UPSTREAM_KEYS_RESTING"}': "3x60",
        },
        not_firing_at=4,
        firing_at=20,
    ),
    Case(
        "GeminiGrpcFallbacksFail",
        {
            f'{FALLBACKS}{{model="a", model_used="_none"}}': "0+3x60",
            f'2{FALLBACKS}{{model="a", model_used="b"}}': "0+30x60",
            f'{FALLBACKS}{{model="c", model_used="b"}}': "0+30x60",
        },
        {f'{FALLBACKS}{{model="a", model_used="b"}}': "0+30x60", f'{FALLBACKS}{{model="a", model_used="_none"}}': "3x60"},
        not_firing_at=8,
        firing_at=30,
        found=[{"model": "a"}],
    ),
    Case(
        "GeminiGrpcStoreAway",
        {STORE: "1x5 0x55", f"2{STORE}": "1x60"},
        # A failover takes less than three minutes.
        {STORE: "1x5 0x2 1x53", f"2{STORE}": "1x8 0x2 1x50"},
        not_firing_at=7,
        firing_at=12,
    ),
    Case(
        "GeminiGrpcNoRoom",
        {
            f'gemini_grpc_calls_refused_total{{reason="{reason}"}}': "0+3x60"
            for reason in ("TOO_MANY_CALLS", "TOO_MANY_BYTES", "OUT_OF_FILES")
        },
        {
            'gemini_grpc_calls_refused_total{reason="REQUEST_INVALID"}': "0+3x60",
            'gemini_grpc_calls_refused_total{reason="TOO_MANY_CALLS"}': "3x60",
        },
        not_firing_at=4,
        firing_at=20,
        found=[{"reason": reason} for reason in ("OUT_OF_FILES", "TOO_MANY_BYTES", "TOO_MANY_CALLS")],
    ),
    *(
        Case(
            f"GeminiGrpc{what}NearLimit",
            # The second pod is far from its limit.
            {used: f"{850 * unit}x60", **limit, f"2{used}": f"{100 * unit}x60", **at_second_pod(limit)},
            {used: f"{100 * unit}x10 {1000 * unit}x5 {100 * unit}x45", **limit},
            not_firing_at=8,
            firing_at=30,
            found=[FIRST],
        )
        for what, used, limit, unit in (
            ("Calls", "gemini_grpc_calls_in_flight", {}, 1),
            ("Bytes", "gemini_grpc_memory_held_bytes", {"gemini_grpc_memory_limit_bytes": "1000000x60"}, 1000),
            ("Files", "gemini_grpc_files_open", {"gemini_grpc_files_limit": "1000x60"}, 1),
        )
    ),
    Case("GeminiGrpcAtMaximum", autoscaler(12, 3, 12), autoscaler(11, 3, 12), not_firing_at=14, firing_at=20),
    # Minimum and maximum are equal, so the size is fixed.
    Case("GeminiGrpcAtMaximum", autoscaler(12, 3, 12), autoscaler(12, 12, 12), not_firing_at=14, firing_at=20, name="fixed"),
    Case(
        "GeminiGrpcRetryBudgetSpent",
        {"gemini_grpc_upstream_retries_denied_total": "0+2x60"},
        {"gemini_grpc_upstream_retries_denied_total": "5x10 9x50"},
        not_firing_at=8,
        firing_at=30,
    ),
    Case(
        "GeminiGrpcSlowFirstChunk",
        first_chunks("slow", 90, 90, 100, 100) | first_chunks("fast", 98, 100, 100, 100),
        # A picture arrives in one piece, so its first chunk is late.
        first_chunks("gemini-image", 0, 0, 100, 100) | first_chunks("fast", 98, 100, 100, 100),
        not_firing_at=10,
        firing_at=40,
        found=[{"gen_ai_request_model": "slow"}],
    ),
    # `good` refused its files for ten minutes only.
    Case("GeminiGrpcReloadRefused", {RELOADING: "0x20 1x100"}, {RELOADING: "0x5 1x10 0x100"}, not_firing_at=19, firing_at=22),
    Case(
        "GeminiGrpcCertificateExpires",
        {f'{EXPIRY}{{gemini_grpc_tls_certificate="{name}"}}': f"{days * DAY}-60x60" for name, days in
         (("server", 30), ("upstream_client", 6.9))},
        {f'{EXPIRY}{{gemini_grpc_tls_certificate="server"}}': f"{30 * DAY}-60x60"},
        not_firing_at=8,
        firing_at=30,
        found=[{"gemini_grpc_tls_certificate": "upstream_client"}],
    ),
    Case(
        "GeminiGrpcCertificateExpiresSoon",
        # Only one of the two pods: the other one has loaded a newer certificate.
        {f'{EXPIRY}{{gemini_grpc_tls_certificate="server"}}': f"{DAY + 1200}-60x60",
         f'2{EXPIRY}{{gemini_grpc_tls_certificate="server"}}': f"{90 * DAY}-60x60"},
        {f'{EXPIRY}{{gemini_grpc_tls_certificate="server"}}': f"{8 * DAY}-60x60"},
        not_firing_at=5,
        firing_at=30,
        found=[{"gemini_grpc_tls_certificate": "server"}],
        also_firing=["GeminiGrpcCertificateExpires"],
    ),
    Case(
        "GeminiGrpcLogLinesDropped",
        {"gemini_grpc_log_lines_dropped_total": "0+100x60"},
        {"gemini_grpc_log_lines_dropped_total": "0x10 1000x50"},
        not_firing_at=8,
        firing_at=30,
        found=[FIRST],
    ),
    Case(
        "GeminiGrpcDrainTakesLong",
        {"gemini_grpc_drain_phase": "0x5 1 2x60"},
        # A drain of ten minutes, the longest allowed, and then the drain of the next pod.
        {"gemini_grpc_drain_phase": "0x5 1 2x9 _x60", "2gemini_grpc_drain_phase": "0x16 1 2x9 _x60"},
        not_firing_at=20,
        firing_at=25,
        found=[FIRST],
    ),
    Case(
        "GeminiGrpcUnknownMembers",
        {
            'gemini_grpc_unknown_members_total{member="news"}': "1x60",
            '2gemini_grpc_unknown_members_total{member="news"}': "1+1x60",
            '2gemini_grpc_unknown_members_total{member="more"}': "1x60",
        },
        {'gemini_grpc_unknown_members_total{member="_other"}': "0x60"},
        not_firing_at=10,
        firing_at=30,
    ),
]
