"""Many concurrent streams over few HTTP/2 connections to upstream.

many: all streams begin at once, with a sandbox as upstream that allows a hundred streams on a connection. Each must get its
first chunk in time, over few connections; a stream that waits for a full connection would not.

slow: one caller opens streams and does not read them, while another caller makes calls. No call may fail, and the calls must
take about as long as without the slow caller.
"""

import argparse
import asyncio
import pathlib
import sys
import time

import tools

MODEL = "gemini-2.5-flash"
# Streams of the caller on each of its connections.
STREAMS_PER_CONNECTION = 50


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--streams", type=int, default=900, help="concurrent streams")
    add("--within", type=float, default=2, help="seconds within which each stream must get its first chunk")
    add("--slow", type=int, default=60, help="streams of the slow caller, which it does not read")
    add("--calls", type=int, default=300, help="calls of the other caller, one after the other")
    add("--slack", type=float, default=3, help="the maximum ratio of p99 with a slow caller to p99 without one")
    add("--http", default="2", help="the HTTP version for upstream")
    return parser.parse_args()


def request(text):
    from mountsea.gemini.v1 import generative_service_pb2

    message = generative_service_pb2.GenerateContentRequest(model=MODEL)
    message.contents.add(role="user").parts.add(text=text)
    return message


def stub(address):
    """A client with its own connection."""
    import grpc
    from mountsea.gemini.v1 import generative_service_pb2_grpc

    options = [("grpc.use_local_subchannel_pool", 1)]
    return generative_service_pb2_grpc.GenerativeServiceStub(grpc.aio.insecure_channel(address, options=options))


def connections(pid, port):
    """The number of open connections from a process to a port of this machine."""
    inodes = {link.readlink().name for link in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and f"socket:[{row[9]}]" in inodes for row in rows)


def quantile(took, part):
    """The time in milliseconds within which that part of them ended."""
    return 1000 * sorted(took)[min(len(took) - 1, int(len(took) * part))]


async def many(args, server, port):
    """The seconds until each stream had its first chunk, and the number of connections to upstream at that time."""
    stubs = [stub(server.address) for _ in range(-(-args.streams // STREAMS_PER_CONNECTION))]

    async def first(n):
        began = time.monotonic()
        call = stubs[n // STREAMS_PER_CONNECTION].StreamGenerateContent(request("word " * 400))
        await call.read()
        return time.monotonic() - began, call

    begun = await asyncio.gather(*(first(n) for n in range(args.streams)))
    open_now = connections(server.pid, port)
    for _, call in begun:
        call.cancel()
    return [took for took, _ in begun], open_now


async def calls(args, server):
    """The seconds that each call takes, one after the other."""
    client, took = stub(server.address), []
    for _ in range(args.calls):
        began = time.monotonic()
        await client.GenerateContent(request("hello"))
        took.append(time.monotonic() - began)
    return took


async def slow(args, server):
    """The times of calls without and with a caller that does not read."""
    alone = await calls(args, server)
    # Each stream has many MiB, of which the client receives only what fits into its window.
    unread = [stub(server.address).StreamGenerateContent(request("word " * 20_000)) for _ in range(args.slow)]
    await asyncio.gather(*(call.read() for call in unread))
    # Until all windows are full, these streams use CPU as well, so the first calls are not measured.
    await calls(args, server)
    with_slow_caller = await calls(args, server)
    for call in unread:
        call.cancel()
    return alone, with_slow_caller


def main():
    args = arguments()
    tools.enter()
    sys.path.insert(0, str(tools.contract()))
    from running import end_well, gateway, sandbox
    from verdict import Verdict, table

    end_well()
    verdict = Verdict()
    rows = [("what", "number", "p50 ms", "p99 ms", "longest ms")]

    def row(what, took):
        rows.append((what, len(took), *(round(quantile(took, part), 1) for part in (0.5, 0.99, 1))))

    for part, pace in ((many, 50), (slow, 0)):
        with sandbox(pace, "--streams", "100") as url, gateway(
            "--upstream-url", url, "--upstream-http", args.http, "--workers", "2", env={"MOUNTSEA_API_KEY": "k"}
        ) as server:
            if part is many:
                took, open_now = asyncio.run(many(args, server, int(url.split(":")[2].split("/")[0])))
                row("first chunk", took)
                late = sum(seconds > args.within for seconds in took)
                verdict.check(f"first chunks within {args.within} s", late == 0, f"{late} of {len(took)} later")
                # A hundred streams fit on each connection, and each worker has its own connections.
                max_connections = args.streams // 100 + 3
                within = open_now <= max_connections
                verdict.check(f"at most {max_connections} connections to upstream", within, open_now)
            else:
                alone, with_slow_caller = asyncio.run(slow(args, server))
                row("calls without a slow caller", alone)
                row("calls with a slow caller", with_slow_caller)
                ratio = quantile(with_slow_caller, 0.99) / quantile(alone, 0.99)
                verdict.check("calls with a slow caller take no longer", ratio < args.slack, f"p99 times {ratio:.1f}")
    tools.say("")
    table(*rows)
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
