"""What is measured: each scenario is one load on a gateway, and the figure that it is for."""

import dataclasses

MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    # What the upstream double answers (src/model.rs).
    model: str
    # Flags of `gateway-bench load`.
    flags: tuple = ()
    # Calls per second, in an open loop.
    rate: int = 0
    # The CPU time that is compared, below "cpu" in the result of a load, and its unit.
    figure: str = "us_per_call"
    unit: str = "µs/call"
    # Which rows it has: those with one of these names in their `sets`.
    rows: tuple = ("all",)
    # How often each row is measured, unless --rounds says otherwise.
    rounds: int = 13
    # How often at most, while the ratio to nginx is uncertain.
    max_rounds: int = 40
    # Seconds of a measurement, as a factor on --seconds.
    longer: float = 1

    @property
    def group(self):
        """What `skips` of a peer names: a rate is one of several."""
        return self.name.partition("/")[0]

    @property
    def divisor(self):
        """From microseconds to the unit."""
        return 1000 if self.unit.startswith("ms") else 1


CHUNK = {"figure": "us_per_message", "unit": "µs/chunk"}
PICTURE = {"unit": "ms/call"}
# Open loops: a quantile needs many calls in a round.
PLANNED = {"rows": ("rate",), "rounds": 5, "max_rounds": 5, "longer": 4}
# Shares of calls depend less on the machine than times do.
SHARE = {"rows": ("spread",), "rounds": 5, "max_rounds": 5}
RATES = (100, 500, 1000, 2000)
CONNECTIONS = (1, 2, 8, 64)


def callers(number, *more):
    return ("--callers", str(number), *more)


COST = [
    Scenario("unary", "an answer of 1 KB, 32 calls at once", "bench-unary", callers(32),
             rows=("all", "telemetry")),
    Scenario("unary1", "the same, one call at a time", "bench-unary", callers(1), rows=("faces",)),
    Scenario("text64k", "an answer of 64 KiB of text", "bench-text-64KiB", callers(16), rows=("faces",)),
    Scenario("tools", "20 declared functions, 5 calls and their results in the request", "bench-tools",
             callers(16, "--tools"), rows=("faces", "peers")),
    Scenario("stream", "64 streams, a chunk every 5 ms in each", "bench-stream-50x40-5ms-ts", callers(64),
             rows=("all", "telemetry"), **CHUNK),
    Scenario("burst", "200 chunks at full speed, which may share writes", "bench-stream-200x40-0ms",
             callers(16), rows=("faces",), **CHUNK),
    Scenario("flush", "200 chunks at full speed, each written alone", "bench-stream-200x40-flush",
             callers(16), **CHUNK),
    Scenario("image-out", "a picture of 4 MiB in the answer", "bench-image-4MiB", callers(4), **PICTURE),
    Scenario("image-in", "a picture of 4 MiB in the request", "bench-echo",
             callers(4, "--image", str(4 * MIB)), **PICTURE),
    Scenario("image-out-1m", "a picture in the answer, to clients that announce HTTP/2 frames of 1 MiB",
             "bench-image-4MiB", callers(4, "--frame", str(MIB)), rows=("http2",), **PICTURE),
    Scenario("prompt-10m", "a text of 10 MB in the request", "bench-echo", callers(2, "--prompt", "10000000"),
             rows=("faces",), **PICTURE),
]
OPEN_LOOP = [
    *(
        Scenario(f"rate/{rate}", f"{rate} calls/s of 1 KB at planned times", "bench-unary", callers(256),
                 rate, **PLANNED)
        for rate in RATES
    ),
    Scenario("first-chunk", "100 streams/s at planned times, 20 chunks each", "bench-stream-20x40-5ms-ts",
             callers(256), 100, **PLANNED, **CHUNK),
]
SPREAD = [
    *(
        Scenario(f"connections/{number}", f"64 callers on {number} connections", "bench-unary",
                 callers(64, "--connections", str(number), "--spread"), **SHARE)
        for number in CONNECTIONS
    ),
    Scenario("connections/8-churned", "64 callers on 8 connections, after 1,000 were opened and closed",
             "bench-unary", callers(64, "--connections", "8", "--spread", "--churn", "1000"), **SHARE),
]
TLS = [
    Scenario("tls/unary", "an answer of 1 KB, TLS to the client and to upstream", "bench-unary", callers(32),
             rows=("tls",)),
    Scenario("tls/stream", "64 streams, a chunk every 5 ms in each, TLS on both sides",
             "bench-stream-50x40-5ms-ts", callers(64), rows=("tls",), **CHUNK),
    Scenario("tls/image-out", "a picture of 4 MiB in the answer, TLS on both sides", "bench-image-4MiB",
             callers(4), rows=("tls",), **PICTURE),
]
LOADS = COST + OPEN_LOOP + SPREAD + TLS

# Open streams with a chunk a second each. The memory is read at each step.
IDLE = Scenario("idle", "open streams with a chunk a second each", "bench-stream-100000x40-1000ms",
                rows=("idle",), figure="kib_per_stream", unit="KiB/stream")
IDLE_STEPS = (1000, 3000, 10_000)
