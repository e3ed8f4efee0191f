"""The memory of a gateway stays within its limits, whatever its callers do.

slow: a caller opens a stream of 1 GiB and reads it very slowly, or not at all. The gateway's memory may grow by at most
48 MiB.

pictures: a hundred calls at once, each with a picture of 16 MiB in the request and one in the response, in a cgroup of twice
the bytes that calls may use. Some calls may be refused with RESOURCE_EXHAUSTED; none may fail in another way, and the
gateway must keep running.
"""

import argparse
import pathlib
import time

import tools

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


# Kinds of slow callers: each gets a connection on which the call was made, and yields as long as it has something to do.


def no_window(connection):
    """Never allows a byte."""
    yield from ()


def one_byte(connection):
    """Allows one byte, reads it, and allows the next."""
    import frames

    while True:
        kind, _, stream, payload = connection.next_frame()
        if kind == frames.DATA and payload:
            connection.push(frames.window_update(0, 1) + frames.window_update(stream, 1), reads=False)
        yield


def stops_reading(connection):
    """Allows everything, reads 8 MiB, and then leaves the rest in the socket."""
    received = 0
    while received < 8 << 20:
        received += len(connection.receive())
        yield


# The initial window of each kind.
SLOW_CALLERS = {no_window: 0, one_byte: 1, stops_reading: (1 << 31) - 1}


def slow(args, verdict, table, mib):
    import threading

    import frames
    from running import gateway
    from upstream import upstream

    rows = [("caller", "stream of", "idle MiB", "peak MiB", "grown MiB", "upstream sent MiB")]
    for caller, window in SLOW_CALLERS.items():
        for what in ("text", "picture"):
            with upstream() as served, gateway("--upstream-url", served.url, env={"MOUNTSEA_API_KEY": "k"}) as server:
                until, stop = time.monotonic() + args.seconds, threading.Event()
                settings = [(frames.INITIAL_WINDOW_SIZE, window), (frames.MAX_FRAME_SIZE, 1 << 20)]
                connections, running = [], []
                idle = server.status("VmRSS")
                reset_peak(server.pid)
                try:
                    for _ in range(args.callers):
                        connections.append(frames.Connection(server.address, stop))
                        connections[-1].send_preface(*settings)
                        if window > 1:
                            connections[-1].push(frames.window_update(0, window - 65535), reads=False)
                        connections[-1].push(frames.call(1, model=f"gemini-endless-{what}"), reads=False)
                        running.append(caller(connections[-1]))
                    while time.monotonic() < until:
                        # When no caller has anything left to do, the gateway still has the rest of the time to grow.
                        running = [one for one in running if next(one, "done") != "done"]
                        time.sleep(0 if running else 0.1)
                    peak = server.status("VmHWM")
                finally:
                    for connection in connections:
                        connection.close()
                name = caller.__name__.replace("_", " ")
                rows.append((name, what, mib(idle), mib(peak), mib(peak - idle), mib(served.written)))
                started = served.written > 0
                within = started and peak - idle <= MAX_GROWTH
                verdict.check(f"{name}, {what}: within {MAX_GROWTH >> 20} MiB", within, f"{mib(peak - idle)} MiB")
    tools.say("")
    table(*rows)


def pictures(args, held, verdict, table, mib):
    import calls
    from cgroup import limit
    from running import gateway, if_known
    from upstream import upstream

    memory_limit = 2 * held or 1 << 30
    with upstream() as served, limit(memory_limit) as limited:
        flags = ["--upstream-url", served.url, *(if_known("--max-bytes-held", held) if held else [])]
        with gateway(*flags, env={"MOUNTSEA_API_KEY": "k"}, before=limited.before) as server:
            idle = server.status("VmRSS")
            outcomes, examples = calls.large_calls(server.address, served, args.calls)
            still_running = server.is_running()
            peak = server.status("VmHWM") if still_running else 0
            kernel = limited.peak()
            output = server.last_output()
            server.process.process.terminate()
            code = server.wait(60)
    name = f"{args.calls} pictures, {mib(held):g} MiB for calls" if held else f"{args.calls} pictures, default"
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
        for held in args.held or [512, 1024]:
            pictures(args, held << 20, verdict, table, mib)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
