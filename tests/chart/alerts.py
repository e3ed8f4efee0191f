"""What each alert of helm/gemini-grpc/rules is about, as series for `promtool test rules`.

A case has two releases: `bad`, which the alert is about, and `good`, which has something that looks like it. Each has two
pods, and Prometheus knows both under one job, as where pods are found by an annotation.
"""

from dataclasses import dataclass, field

CALLS = "rpc_server_call_duration_seconds_count"
REQUESTS = "http_client_request_duration_seconds_count"
OPERATIONS = "gen_ai_client_operation_duration_seconds_count"
CHUNKS = "gen_ai_client_operation_time_to_first_chunk_seconds_bucket"
USAGE = "gemini_grpc_usage_calls_total"
RELOADING = "gemini_grpc_reload_refused"
EXPIRY = "gemini_grpc_tls_certificate_expiry_seconds"
HPA = "kube_horizontalpodautoscaler_"
DAY = 86400


@dataclass
class Case:
    """Series by metric and labels, with the values of each minute. A `2` before the name stands for the second pod."""

    alert: str
    bad: dict[str, str]
    good: dict[str, str]
    # When it is too early, and when it is time, in minutes.
    early: int
    late: int
    # The labels that tell one of its alerts from another, for each of them.
    found: list[dict[str, str]] = field(default_factory=lambda: [{}])
    # What else is true then.
    too: list[str] = field(default_factory=list)
    # How long the release has pods.
    alive: str = "1000x120"
    name: str = ""


def by_status(**rates: int) -> dict[str, str]:
    """Calls a minute by their status."""
    errors = ("UNAVAILABLE", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "DATA_LOSS", "UNIMPLEMENTED")
    own = {status: f', error_type="{status}"' if status in errors else "" for status in rates}
    return {f'{CALLS}{{rpc_status_code="{status}"{own[status]}}}': f"0+{rate}x120" for status, rate in rates.items()}


def second(series: dict[str, str]) -> dict[str, str]:
    """The same at the second pod."""
    return {f"2{name}": values for name, values in series.items()}


def first_chunks(model: str, *counts: int) -> dict[str, str]:
    """Streams by how long they waited: up to 20 s, 41 s, 82 s, and all."""
    bounds = ("20.48", "40.96", "81.92", "+Inf")
    return {
        f'{CHUNKS}{{gen_ai_request_model="{model}", le="{bound}"}}': f"0+{count}x120"
        for bound, count in zip(bounds, counts, strict=True)
    }


def autoscaler(wanted: int, least: int, most: int) -> dict[str, str]:
    sizes = {"status_desired_replicas": wanted, "spec_min_replicas": least, "spec_max_replicas": most}
    return {f"{HPA}{name}": f"{size}x120" for name, size in sizes.items()}


FIRST, SECOND = {"pod": "1"}, {"pod": "2"}
CASES = [
    Case(
        "GeminiGrpcCallsFail",
        by_status(OK=90, UNAVAILABLE=10) | second(by_status(OK=90, UNAVAILABLE=10)),
        # As many, but by fault of the caller. An unknown method is an error of a server in the conventions only.
        by_status(OK=70, INVALID_ARGUMENT=10, CANCELLED=10, UNIMPLEMENTED=10),
        early=8,
        late=30,
    ),
    Case(
        "GeminiGrpcMostCallsFail",
        by_status(OK=40, DEADLINE_EXCEEDED=30, UNKNOWN=30) | second(by_status(OK=40, DATA_LOSS=60)),
        by_status(OK=98, DATA_LOSS=2),
        early=4,
        late=8,
    ),
    Case(
        "GeminiGrpcMostCallsFail",
        by_status(OK=40, INTERNAL=60),
        by_status(OK=98, DATA_LOSS=2),
        early=4,
        late=30,
        too=["GeminiGrpcCallsFail"],
        name="for longer",
    ),
    # Half of one pod's calls are 3 % of all.
    Case(
        "GeminiGrpcPodFails",
        by_status(OK=3, INTERNAL=3) | second(by_status(OK=99, INTERNAL=1)),
        # Both fail a little; and a call that fails now and then is no pod that fails.
        by_status(OK=97, INTERNAL=3) | second(by_status(OK=97, INTERNAL=3)),
        early=8,
        late=30,
        found=[FIRST],
    ),
    Case(
        "GeminiGrpcNoPods",
        {},
        {},
        alive="1000x10 _x50",
        early=14,
        late=25,
    ),
    Case(
        "GeminiGrpcKeyRefused",
        {
            f'{USAGE}{{code="INTERNAL", caller="a", model="m"}}': "0+80x60",
            f'{USAGE}{{code="OK", caller="b", model="m"}}': "0+20x60",
            f'{OPERATIONS}{{error_type="401", gen_ai_request_model="m"}}': "0+80x60",
            f'{OPERATIONS}{{gen_ai_request_model="m"}}': "0+20x60",
        },
        # Callers whose own keys are refused, or whose requests are wrong, while upstream fails for others.
        {
            f'{USAGE}{{code="INTERNAL", caller="a", model="m"}}': "0+30x60",
            f'{USAGE}{{code="UNAUTHENTICATED", caller="b", model="m"}}': "0+40x60",
            f'{USAGE}{{code="INVALID_ARGUMENT", caller="b", model="m"}}': "0+30x60",
            f'{OPERATIONS}{{error_type="500", gen_ai_request_model="m"}}': "0+30x60",
            f'{OPERATIONS}{{error_type="401", gen_ai_request_model="m"}}': "0+40x60",
            f'{OPERATIONS}{{error_type="400", gen_ai_request_model="m"}}': "0+30x60",
        },
        early=4,
        late=20,
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
        early=8,
        late=30,
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
        early=4,
        late=20,
        found=[{"reason": reason} for reason in ("OUT_OF_FILES", "TOO_MANY_BYTES", "TOO_MANY_CALLS")],
    ),
    *(
        Case(
            f"GeminiGrpc{what}NearLimit",
            # The second pod is not.
            {used: f"{850 * unit}x60", **limit, f"2{used}": f"{100 * unit}x60", **second(limit)},
            {used: f"{100 * unit}x10 {1000 * unit}x5 {100 * unit}x45", **limit},
            early=8,
            late=30,
            found=[FIRST],
        )
        for what, used, limit, unit in (
            ("Calls", "gemini_grpc_calls_in_flight", {}, 1),
            ("Bytes", "gemini_grpc_memory_held_bytes", {"gemini_grpc_memory_limit_bytes": "1000000x60"}, 1000),
            ("Files", "gemini_grpc_files_open", {"gemini_grpc_files_limit": "1000x60"}, 1),
        )
    ),
    Case("GeminiGrpcAtMaximum", autoscaler(12, 3, 12), autoscaler(11, 3, 12), early=14, late=20),
    # It cannot have another size.
    Case("GeminiGrpcAtMaximum", autoscaler(12, 3, 12), autoscaler(12, 12, 12), early=14, late=20, name="fixed"),
    Case(
        "GeminiGrpcRetryBudgetSpent",
        {"gemini_grpc_upstream_retries_denied_total": "0+2x60"},
        {"gemini_grpc_upstream_retries_denied_total": "5x10 9x50"},
        early=8,
        late=30,
    ),
    Case(
        "GeminiGrpcSlowFirstChunk",
        first_chunks("slow", 90, 90, 100, 100) | first_chunks("fast", 98, 100, 100, 100),
        # A picture comes as a whole.
        first_chunks("gemini-image", 0, 0, 100, 100) | first_chunks("fast", 98, 100, 100, 100),
        early=10,
        late=40,
        found=[{"gen_ai_request_model": "slow"}],
    ),
    # Mended after 40 minutes, and over then.
    Case("GeminiGrpcReloadRefused", {RELOADING: "0x20 1x100"}, {RELOADING: "0x5 1x10 0x100"}, early=19, late=22),
    Case(
        "GeminiGrpcCertificateExpires",
        {f'{EXPIRY}{{gemini_grpc_tls_certificate="{name}"}}': f"{days * DAY}-60x60" for name, days in
         (("server", 30), ("upstream_client", 6.9))},
        {f'{EXPIRY}{{gemini_grpc_tls_certificate="server"}}': f"{30 * DAY}-60x60"},
        early=8,
        late=30,
        found=[{"gemini_grpc_tls_certificate": "upstream_client"}],
    ),
    Case(
        "GeminiGrpcCertificateExpiresSoon",
        # At one of two pods: the other has read a newer one.
        {f'{EXPIRY}{{gemini_grpc_tls_certificate="server"}}': f"{DAY + 1200}-60x60",
         f'2{EXPIRY}{{gemini_grpc_tls_certificate="server"}}': f"{90 * DAY}-60x60"},
        {f'{EXPIRY}{{gemini_grpc_tls_certificate="server"}}': f"{8 * DAY}-60x60"},
        early=5,
        late=30,
        found=[{"gemini_grpc_tls_certificate": "server"}],
        too=["GeminiGrpcCertificateExpires"],
    ),
    Case(
        "GeminiGrpcLogLinesDropped",
        {"gemini_grpc_log_lines_dropped_total": "0+100x60"},
        {"gemini_grpc_log_lines_dropped_total": "0x10 1000x50"},
        early=8,
        late=30,
        found=[FIRST],
    ),
    Case(
        "GeminiGrpcDrainTakesLong",
        {"gemini_grpc_drain_phase": "0x5 1 2x60"},
        # Ten minutes, all that a drain may take; and then the next pod.
        {"gemini_grpc_drain_phase": "0x5 1 2x9 _x60", "2gemini_grpc_drain_phase": "0x16 1 2x9 _x60"},
        early=20,
        late=25,
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
        early=10,
        late=30,
    ),
]
