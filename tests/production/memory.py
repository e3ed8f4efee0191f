"""How much memory a gateway takes, whatever its callers do.

slow: a caller opens a stream of 1 GiB and hardly reads it, or not at all. The gateway's memory has to stay within
48 MiB of what it was before.

pictures: a hundred calls at once, each with a picture of 16 MiB and an answer with one of 16 MiB, inside a cgroup of
twice what the gateway may hold. Some may be refused with RESOURCE_EXHAUSTED; none may fail otherwise, and the gateway
has to live.
"""

import argparse
import pathlib
import time

import tools

WITHIN = 48 << 20


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--part", choices=["slow", "pictures", "all"], default="all")
    add("--seconds", type=float, default=10, help="how long each slow caller stays")
    add("--callers", type=int, default=1, help="how many slow callers come at once")
    add(
        "--held",
        type=int,
        action="append",
        help="MiB that the gateway may hold, 0 for its default; 512, 1024 if not given",
    )
    add("--calls", type=int, default=100, help="calls with pictures at once")
    return parser.parse_args()


def reset_peak(pid):
    """From here on VmHWM is the peak since now."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


# What a slow caller does with a connection on which the call was made; each yields as long as it has something to do.


def no_window(connection):
    """The caller never allows a byte."""
    yield from ()


def one_byte(connection):
    """The caller allows one byte, reads it, and allows the next."""
    import frames

    while True:
        kind, _, stream, payload = connection.next_frame()
        if kind == frames.DATA and payload:
            connection.push(frames.window_update(0, 1) + frames.window_update(stream, 1), reads=False)
        yield


def stops(connection):
    """The caller allows everything, reads 8 MiB, and then leaves the rest in the socket."""
    got = 0
    while got < 8 << 20:
        got += len(connection.receive())
        yield


SLOW = {no_window: 0, one_byte: 1, stops: (1 << 31) - 1}


def slow(args, verdict, table, mib):
    import threading

    import frames
    from running import gateway
    from upstream import upstream

    rows = [("caller", "stream of", "idle MiB", "peak MiB", "grown MiB", "upstream sent MiB")]
    for caller, window in SLOW.items():
        for what in ("text", "picture"):
            with upstream() as served, gateway("--upstream-url", served.url, env={"MOUNTSEA_API_KEY": "k"}) as server:
                until, stop = time.monotonic() + args.seconds, threading.Event()
                greeting = [(frames.INITIAL_WINDOW_SIZE, window), (frames.MAX_FRAME_SIZE, 1 << 20)]
                connections, running = [], []
                idle = server.status("VmRSS")
                reset_peak(server.pid)
                try:
                    for _ in range(args.callers):
                        connections.append(frames.Connection(server.address, stop))
                        connections[-1].send_preface(*greeting)
                        if window > 1:
                            connections[-1].push(frames.window_update(0, window - 65535), reads=False)
                        connections[-1].push(frames.call(1, model=f"gemini-endless-{what}"), reads=False)
                        running.append(caller(connections[-1]))
                    while time.monotonic() < until:
                        # Where nobody has anything left to do, the time is for the gateway to grow.
                        running = [one for one in running if next(one, "done") != "done"]
                        time.sleep(0 if running else 0.1)
                    peak = server.status("VmHWM")
                finally:
                    for connection in connections:
                        connection.close()
                name = caller.__name__.replace("_", " ")
                rows.append((name, what, mib(idle), mib(peak), mib(peak - idle), mib(served.written)))
                started = served.written > 0
                within = started and peak - idle <= WITHIN
                verdict.check(f"{name}, {what}: within {WITHIN >> 20} MiB", within, f"{mib(peak - idle)} MiB")
    tools.say("")
    table(*rows)


def pictures(args, held, verdict, table, mib):
    import calls
    from cgroup import limit
    from running import gateway, if_known
    from upstream import upstream

    most = 2 * held or 1 << 30
    with upstream() as served, limit(most) as limited:
        flags = ["--upstream-url", served.url, *(if_known("--max-bytes-held", held) if held else [])]
        with gateway(*flags, env={"MOUNTSEA_API_KEY": "k"}, before=limited.before) as server:
            idle = server.status("VmRSS")
            outcomes, examples = calls.large_calls(server.address, served, args.calls)
            lives = server.lives()
            peak = server.status("VmHWM") if lives else 0
            kernel = limited.peak()
            words = server.words()
            server.process.process.terminate()
            code = server.wait(60)
    name = f"{args.calls} pictures, {mib(held):g} MiB held" if held else f"{args.calls} pictures, default"
    rows = [("limit", "MiB", "idle MiB", "peak MiB", "by the kernel", *outcomes)]
    rows.append((limited.kind, mib(most), mib(idle), mib(peak), kernel and mib(kernel), *outcomes.values()))
    tools.say("")
    table(*rows)
    for example in examples:
        tools.say(f"  {example}")
    if not lives:
        tools.say(words)
    verdict.check(f"{name}: the gateway lives, and ends with 0", lives and code == 0, code)
    others = args.calls - outcomes["OK"] - outcomes["RESOURCE_EXHAUSTED"]
    verdict.check(f"{name}: some are answered", outcomes["OK"] > 0, outcomes["OK"])
    verdict.check(f"{name}: none fails otherwise", others == 0, others)
    verdict.check(f"{name}: the peak is under the limit", 0 < peak < most, f"{mib(peak)} MiB")


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
