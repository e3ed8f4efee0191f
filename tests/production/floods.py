"""Floods of frames and of HTTP/1.1, during which all calls of an ordinary caller must be answered.

Each flood runs in its own process for some seconds. Meanwhile an ordinary caller checks health and makes a call over gRPC
and one over REST, each time on a new connection. The times are printed. Every call must be answered, and the gateway must
keep running and end with 0. The floods themselves are in tests/clients/floods.py and floods_http1.py.
"""

import argparse
import multiprocessing
import pathlib
import time

import tools


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="how long each flood runs")
    parser.add_argument("--only", action="append", default=[], help="the name of a flood; all of them by default")
    parser.add_argument("--connections", type=int, default=4, help="the number of connections that run each flood at once")
    return parser.parse_args()


def flood(name, address, connections, stop, counts):
    """The process of a flood: counts steps, and connections that the gateway closed."""
    import contextlib

    import floods
    from flooding import Flood

    kind = next(kind for kind in floods.FLOODS if kind.__name__ == name)
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(Flood(kind, address)) for _ in range(connections)]
        counts[2] = 1
        stop.wait()
    counts[0], counts[1] = (sum(getattr(one, name) for one in running) for name in ("steps", "closed"))


class OrdinaryCaller:
    """A caller that makes valid calls."""

    def __init__(self, address):
        self.address, self.times, self.errors = address, [], []

    def make_calls(self):
        import grpc
        import rest
        from google_client import SyncClient, request, text_of
        from grpc_health.v1 import health_pb2, health_pb2_grpc

        begun = time.monotonic()
        try:
            with grpc.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
            client = SyncClient(self.address)
            assert text_of(client.generate(request("hello"), timeout=30))
            client.close()
            assert rest.generate(self.address)
        except Exception as error:  # Any exception means that a call was not answered.
            self.errors.append(f"{type(error).__name__}: {error}"[:150])
        self.times.append(time.monotonic() - begun)

    def quantile(self, part):
        """The time in milliseconds within which this part of the calls ended."""
        return round(sorted(self.times)[min(int(len(self.times) * part), len(self.times) - 1)] * 1000, 1)


def main(args):
    import sys

    sys.path.insert(0, str(tools.ROOT / "tests/clients/python"))
    import floods
    from running import end_well, gateway, sandbox
    from verdict import Verdict, mib, table

    end_well()
    verdict = Verdict()
    spawn = multiprocessing.get_context("spawn")
    names = args.only or [kind.__name__ for kind in floods.FLOODS]
    rows = [("flood", "steps", "closed", "answers", "p50 ms", "p99 ms", "peak MiB", "open files")]
    with sandbox(pace=1) as upstream, gateway("--upstream-url", upstream, env={"MOUNTSEA_API_KEY": "a-key"}) as server:
        for name in [None, *names]:
            # Resets the peak of memory, so that it is that of this flood.
            pathlib.Path(f"/proc/{server.pid}/clear_refs").write_text("5")
            caller, stop, counts = OrdinaryCaller(server.address), spawn.Event(), spawn.Array("q", 3)
            process = spawn.Process(target=flood, args=(name, server.address, args.connections, stop, counts))
            try:
                if name:
                    process.start()
                    while not counts[2] and process.is_alive():
                        process.join(0.05)
                until = time.monotonic() + args.seconds
                while time.monotonic() < until and server.is_running():
                    caller.make_calls()
                files = server.files() if server.is_running() else 0
            finally:
                if name:
                    stop.set()
                    process.join(60)
                    process.kill()
            answered = len(caller.times) - len(caller.errors)
            seen = f"{answered} of {len(caller.times)}" + "".join(f"; {error}" for error in caller.errors[:1])
            ran = not name or process.exitcode == 0
            verdict.check(
                f"{name or 'no flood'}: all calls are answered", ran and not caller.errors, seen if ran else "no flood"
            )
            if not server.is_running():
                tools.say(server.last_output())
                break
            peak = mib(server.status("VmHWM"))
            times = (caller.quantile(0.5), caller.quantile(0.99))
            rows.append((name or "(none)", *counts[:2], len(caller.times), *times, peak, files))
        still_running = server.is_running()
        server.process.process.terminate()
        code = server.wait(60)
        verdict.check("the gateway keeps running, and ends with 0", still_running and code == 0, code)
    tools.say("")
    table(*rows)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
