"""The memory of a gateway stays within its limits, whatever its callers do.

slow: a caller opens a stream of 1 GiB, over gRPC or over REST with either version of HTTP, and reads it very slowly, or not
at all. The gateway's memory may grow by at most 48 MiB.

pictures: a hundred calls at once over gRPC, and then over REST, each with a picture of 16 MiB in the request and one in the
response, in a cgroup of twice the bytes that calls may use. Some calls may be refused with RESOURCE_EXHAUSTED; none may fail in another way, and the
gateway must keep running.
"""

import argparse
import contextlib
import itertools
import pathlib
import time

import tools  # First, because it makes the modules of tests/clients importable.
import calls
import frames
import rest

MAX_GROWTH = 48 << 20


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--part", choices=["slow", "pictures", "all"], default="all")
    add("--seconds", type=float, default=10, help="how long each slow caller stays connected")
    add("--callers", type=int, default=1, help="the number of slow callers at once")
    add(
        "--held",
        type=int,
        action="append",
        help="the limit of bytes in use by calls, in MiB, 0 for the default; 512 and 1024 if not given",
    )
    add("--calls", type=int, default=100, help="concurrent calls with pictures")
    return parser.parse_args()


def reset_peak(pid):
    """Resets VmHWM, so that it is the peak from now on."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


# What slow callers do: each function gets a connection on which the call was made, and yields as long as it has something
# to do.


def nothing(connection):
    """Never reads, and over HTTP/2 never allows, a byte."""
    yield from ()


def allows_one_byte(connection):
    """Allows one byte, reads it, and allows the next."""
    while True:
        kind, _, stream, payload = connection.next_frame()
        if kind == frames.DATA and payload:
            connection.push(frames.window_update(0, 1) + frames.window_update(stream, 1), reads=False)
        yield


def reads_one_byte(connection):
    """Reads one byte at a time."""
    while True:
        connection.receive(1)
        yield


def stops_reading(connection):
    """Allows everything, reads 8 MiB, and then leaves the rest in the socket."""
    received = 0
    while received < 8 << 20:
        received += len(connection.receive())
        yield


def http2(window, call):
    """How a call begins over HTTP/2, with this initial window."""

    def begin(connection, model):
        connection.send_preface((frames.INITIAL_WINDOW_SIZE, window), (frames.MAX_FRAME_SIZE, 1 << 20))
        if window > 1:
            connection.push(frames.window_update(0, window - 65535), reads=False)
        connection.push(call(model), reads=False)

    return begin


def http1(connection, model):
    """How a call begins over HTTP/1.1."""
    connection.push(rest.post(rest.path(model=model)), reads=False)


def grpc_call(model):
    return frames.call(1, model=model)


def rest_call(model):
    return rest.call(1, rest.path(model=model))


LARGEST_WINDOW = (1 << 31) - 1
SLOW_CALLERS = [
    ("gRPC, no window", http2(0, grpc_call), nothing),
    ("gRPC, one byte", http2(1, grpc_call), allows_one_byte),
    ("gRPC, stops reading", http2(LARGEST_WINDOW, grpc_call), stops_reading),
    ("HTTP/2, no window", http2(0, rest_call), nothing),
    ("HTTP/2, stops reading", http2(LARGEST_WINDOW, rest_call), stops_reading),
    ("HTTP/1.1, reads nothing", http1, nothing),
    ("HTTP/1.1, one byte", http1, reads_one_byte),
    ("HTTP/1.1, stops reading", http1, stops_reading),
]


def slow(args, verdict, table, mib):
    import threading

    from running import gateway
    from upstream import upstream

    rows = [("caller", "stream of", "idle MiB", "peak MiB", "grown MiB", "upstream sent MiB")]
    for name, begin, behave in SLOW_CALLERS:
        for what in ("text", "picture"):
            with contextlib.ExitStack() as stack:
                served = stack.enter_context(upstream())
                flags = ["--upstream-url", served.url, "--drain-delay", 0]
                server = stack.enter_context(gateway(*flags, env={"MOUNTSEA_API_KEY": "k"}))
                stop = threading.Event()
                connections, running = [], []
                idle = server.status("VmRSS")
                reset_peak(server.pid)
                try:
                    for _ in range(args.callers):
                        connections.append(frames.Connection(server.address, stop))
                        begin(connections[-1], f"gemini-endless-{what}")
                        running.append(behave(connections[-1]))
                    limit = time.monotonic() + 60
                    while served.keys.total() < args.callers and time.monotonic() < limit:
                        time.sleep(0.05)
                    until = time.monotonic() + args.seconds
                    while time.monotonic() < until:
                        # When no caller has anything left to do, the gateway still has the rest of the time to grow.
                        running = [one for one in running if next(one, "done") != "done"]
                        time.sleep(0 if running else 0.1)
                    peak = server.status("VmHWM")
                finally:
                    for connection in connections:
                        connection.close()
                rows.append((name, what, mib(idle), mib(peak), mib(peak - idle), mib(served.written)))
                started = served.keys.total() == args.callers
                within = started and peak - idle <= MAX_GROWTH
                verdict.check(f"{name}, {what}: within {MAX_GROWTH >> 20} MiB", within, f"{mib(peak - idle)} MiB")
    tools.say("")
    table(*rows)


def pictures(args, protocol, held, verdict, table, mib):
    from cgroup import limit
    from running import gateway, if_known
    from upstream import upstream

    memory_limit = 2 * held or 1 << 30
    with upstream() as served, limit(memory_limit) as limited:
        flags = ["--upstream-url", served.url, *(if_known("--max-bytes-held", held) if held else [])]
        with gateway(*flags, env={"MOUNTSEA_API_KEY": "k"}, before=limited.before) as server:
            idle = server.status("VmRSS")
            outcomes, examples = calls.large_calls(protocol, server.address, served, args.calls)
            still_running = server.is_running()
            peak = server.status("VmHWM") if still_running else 0
            kernel = limited.peak()
            output = server.last_output()
            server.process.process.terminate()
            code = server.wait(60)
    name = f"{args.calls} pictures over {protocol}, " + (f"{mib(held):g} MiB for calls" if held else "default")
    rows = [("limit", "MiB", "idle MiB", "peak MiB", "by the kernel", *outcomes)]
    rows.append((limited.kind, mib(memory_limit), mib(idle), mib(peak), kernel and mib(kernel), *outcomes.values()))
    tools.say("")
    table(*rows)
    for example in examples:
        tools.say(f"  {example}")
    if not still_running:
        tools.say(output)
    verdict.check(f"{name}: the gateway keeps running, and ends with 0", still_running and code == 0, code)
    others = args.calls - outcomes["OK"] - outcomes["RESOURCE_EXHAUSTED"]
    verdict.check(f"{name}: some calls are answered", outcomes["OK"] > 0, outcomes["OK"])
    verdict.check(f"{name}: no call fails in another way", others == 0, others)
    verdict.check(f"{name}: the peak is under the limit", 0 < peak < memory_limit, f"{mib(peak)} MiB")


def main(args):
    from running import end_well
    from verdict import Verdict, mib, table

    end_well()
    verdict = Verdict()
    if args.part in ("slow", "all"):
        slow(args, verdict, table, mib)
    if args.part in ("pictures", "all"):
        for protocol, held in itertools.product(calls.PROTOCOLS, args.held or [512, 1024]):
            pictures(args, protocol, held << 20, verdict, table, mib)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
