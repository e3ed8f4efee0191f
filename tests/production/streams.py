"""Many streams at once over HTTP/2 towards upstream.

many: all streams begin at once, over a sandbox that allows a hundred on a connection. Each has to have its first
chunk in time, over few connections: a stream behind a full one would have none.

slow: one caller opens streams and does not read them, while another calls. No call may fail, and they have to take about
as long as without him.
"""

import argparse
import asyncio
import pathlib
import sys
import time

import tools

MODEL = "gemini-2.5-flash"
# Streams on one connection of a caller.
PER_CONNECTION = 50


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--streams", type=int, default=900, help="streams at once")
    add("--within", type=float, default=2, help="seconds in which each has to have its first chunk")
    add("--slow", type=int, default=60, help="streams that the slow caller does not read")
    add("--calls", type=int, default=300, help="calls beside them, one after the other")
    add("--slack", type=float, default=3, help="how many times the p99 of calls alone those beside a slow caller may take")
    add("--http", default="2", help="the HTTP version towards upstream")
    return parser.parse_args()


def asked(text):
    from mountsea.gemini.v1 import generative_service_pb2

    request = generative_service_pb2.GenerateContentRequest(model=MODEL)
    request.contents.add(role="user").parts.add(text=text)
    return request


def stub(address):
    """A client with a connection of its own."""
    import grpc
    from mountsea.gemini.v1 import generative_service_pb2_grpc

    options = [("grpc.use_local_subchannel_pool", 1)]
    return generative_service_pb2_grpc.GenerativeServiceStub(grpc.aio.insecure_channel(address, options=options))


def connections(pid, port):
    """How many connections of a process to a port of this machine are open."""
    inodes = {link.readlink().name for link in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and f"socket:[{row[9]}]" in inodes for row in rows)


def quantile(took, part):
    """The time in milliseconds within which that part of them was done."""
    return 1000 * sorted(took)[min(len(took) - 1, int(len(took) * part))]


async def many(args, server, port):
    """Seconds until each stream had its first chunk, and the connections towards upstream meanwhile."""
    stubs = [stub(server.address) for _ in range(-(-args.streams // PER_CONNECTION))]

    async def first(n):
        began = time.monotonic()
        call = stubs[n // PER_CONNECTION].StreamGenerateContent(asked("word " * 400))
        await call.read()
        return time.monotonic() - began, call

    begun = await asyncio.gather(*(first(n) for n in range(args.streams)))
    open_now = connections(server.pid, port)
    for _, call in begun:
        call.cancel()
    return [took for took, _ in begun], open_now


async def calls(args, server):
    """Seconds that calls take, one after the other."""
    client, took = stub(server.address), []
    for _ in range(args.calls):
        began = time.monotonic()
        await client.GenerateContent(asked("hello"))
        took.append(time.monotonic() - began)
    return took


async def slow(args, server):
    """What calls take alone, and beside a caller who does not read."""
    alone = await calls(args, server)
    # A stream of many MiB each, of which a client takes what fits into its window.
    unread = [stub(server.address).StreamGenerateContent(asked("word " * 20_000)) for _ in range(args.slow)]
    await asyncio.gather(*(call.read() for call in unread))
    # Until every window is full, all of them take from the two cores.
    await calls(args, server)
    beside = await calls(args, server)
    for call in unread:
        call.cancel()
    return alone, beside


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
                # A hundred on each, and each worker has its own.
                most = args.streams // 100 + 3
                verdict.check(f"at most {most} connections to upstream", open_now <= most, open_now)
            else:
                alone, beside = asyncio.run(slow(args, server))
                row("calls alone", alone)
                row("calls beside a slow caller", beside)
                ratio = quantile(beside, 0.99) / quantile(alone, 0.99)
                verdict.check("calls beside a slow caller take no longer", ratio < args.slack, f"p99 times {ratio:.1f}")
    tools.say("")
    table(*rows)
    return verdict.end()


if __name__ == "__main__":
    sys.exit(main())
