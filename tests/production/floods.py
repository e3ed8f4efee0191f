"""Floods of frames while ordinary callers go on: all of them have to be answered.

Each flood comes from a process of its own for some seconds. Meanwhile an ordinary caller asks for health and makes a
call, each time on a new connection. The times are printed; what has to hold is that every answer comes and that the
gateway lives and ends with 0. The floods themselves are in tests/clients/floods.py.
"""

import argparse
import multiprocessing
import pathlib
import time

import tools


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="how long each flood goes on")
    parser.add_argument("--only", action="append", default=[], help="the name of a flood; all of them by default")
    parser.add_argument("--connections", type=int, default=4, help="how many times each flood comes at once")
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


class Ordinary:
    """A caller as there are many."""

    def __init__(self, address):
        self.address, self.took, self.wrong = address, [], []

    def ask(self):
        import grpc
        from google_client import SyncClient, request, text_of
        from grpc_health.v1 import health_pb2, health_pb2_grpc

        begun = time.monotonic()
        try:
            with grpc.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
            client = SyncClient(self.address)
            assert text_of(client.generate(request("hello"), timeout=30))
            client.close()
        except Exception as error:  # Whatever came, it was no answer.
            self.wrong.append(f"{type(error).__name__}: {error}"[:150])
        self.took.append(time.monotonic() - begun)

    def at(self, part):
        return round(sorted(self.took)[min(int(len(self.took) * part), len(self.took) - 1)] * 1000, 1)


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
            # From here on the peak is that of this flood.
            pathlib.Path(f"/proc/{server.pid}/clear_refs").write_text("5")
            caller, stop, counts = Ordinary(server.address), spawn.Event(), spawn.Array("q", 3)
            process = spawn.Process(target=flood, args=(name, server.address, args.connections, stop, counts))
            try:
                if name:
                    process.start()
                    while not counts[2] and process.is_alive():
                        process.join(0.05)
                until = time.monotonic() + args.seconds
                while time.monotonic() < until and server.lives():
                    caller.ask()
                files = server.files() if server.lives() else 0
            finally:
                if name:
                    stop.set()
                    process.join(60)
                    process.kill()
            answered = len(caller.took) - len(caller.wrong)
            seen = f"{answered} of {len(caller.took)}" + "".join(f"; {wrong}" for wrong in caller.wrong[:1])
            ran = not name or process.exitcode == 0
            verdict.check(
                f"{name or 'no flood'}: all are answered", ran and not caller.wrong, seen if ran else "no flood"
            )
            if not server.lives():
                tools.say(server.words())
                break
            peak = mib(server.status("VmHWM"))
            rows.append((name or "(none)", *counts[:2], len(caller.took), caller.at(0.5), caller.at(0.99), peak, files))
        lives = server.lives()
        server.process.process.terminate()
        code = server.wait(60)
        verdict.check("the gateway lives, and ends with 0", lives and code == 0, code)
    tools.say("")
    table(*rows)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
