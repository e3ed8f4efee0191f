"""How soon the request to upstream ends when a caller cancels: for 99 of 100 calls within 50 ms.

Callers cancel at random moments, ten at a time: over HTTP/2 they reset the stream, over HTTP/1.1 they close the connection.
The time is from there until upstream sees that its connection was closed. No connection may stay open, and no call may be
sent to upstream twice. `cargo bench --bench cancel` measures more phases of calls over gRPC, and deadlines.
"""

import argparse
import asyncio
import contextlib
import random
import re
import socket
import time

import tools  # First, because it makes the modules of tests/clients importable.
import frames
import rest

# The most milliseconds for 99 of 100 calls.
MAX_P99 = 50
LANES = 10
EVENT = b'data: {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}\n\n'
# What upstream sends of an answer before the call is cancelled, and the method that is called.
PHASES = {
    "before the answer": (b"", "GenerateContent", rest.UNARY),
    "in an answer": (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "GenerateContent", rest.UNARY),
    "in a stream": (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + EVENT,
        "StreamGenerateContent",
        rest.EVENTS,
    ),
}
EVENT_PAUSE = 0.002


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000, help="the number of calls for each row")
    parser.add_argument("--slack", type=float, default=1, help="multiplies the time that is allowed")
    return parser.parse_args()


class Upstream:
    """Begins to answer each call, and never ends. The name of a call's model is that of its lane."""

    def __init__(self, beginning):
        self.beginning, self.streams = beginning, beginning.endswith(EVENT)
        self.arrived = {f"lane-{lane}": asyncio.Queue() for lane in range(LANES)}
        self.closed = {lane: asyncio.Queue() for lane in self.arrived}
        self.requests = self.open = 0

    async def serve(self, reader, writer):
        self.open += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            await reader.readexactly(int(re.search(r"(?i)content-length: *(\d+)", head)[1]))
            self.requests += 1
            lane = re.search(r"/models/([^:]+):", head)[1]
            writer.write(self.beginning)
            self.arrived[lane].put_nowait(None)
            dripping = asyncio.create_task(self.drip(writer)) if self.streams else None
            with contextlib.suppress(ConnectionError):
                await reader.read(1)
            self.closed[lane].put_nowait(time.monotonic())
            if dripping:
                dripping.cancel()
        self.open -= 1
        writer.close()

    async def drip(self, writer):
        while True:
            await asyncio.sleep(EVENT_PAUSE)
            writer.write(EVENT)


async def discard(reader):
    """Reads everything, so that the windows of the kernel stay open."""
    with contextlib.suppress(ConnectionError):
        while await reader.read(1 << 16):
            pass


class Http1:
    """Makes each call on a connection of its own, and cancels it by closing that."""

    def __init__(self, address):
        self.host, _, self.port = address.rpartition(":")

    async def begin(self, model, _, method):
        # A socket, because asyncio's own connections are closed later than they are asked to.
        self.socket, loop = socket.socket(), asyncio.get_running_loop()
        self.socket.setblocking(False)
        await loop.sock_connect(self.socket, (self.host, int(self.port)))
        await loop.sock_sendall(self.socket, rest.post(rest.path(method, model)))

    def cancel(self):
        self.socket.close()

    def close(self):
        pass


class Http2:
    """Makes all calls on one connection, and cancels each by a reset of its stream."""

    def __init__(self, address):
        self.address, self.writer, self.stream = address, None, -1

    def call(self, model, rpc, method):
        return rest.call(self.stream, rest.path(method, model))

    async def begin(self, model, rpc, method):
        if not self.writer:
            host, _, port = self.address.rpartition(":")
            reader, self.writer = await asyncio.open_connection(host, port)
            self.reading = asyncio.create_task(discard(reader))
            window = (1 << 31) - 1
            settings = frames.settings((frames.INITIAL_WINDOW_SIZE, window))
            self.writer.write(frames.PREFACE + settings + frames.window_update(0, window - 65535))
        self.stream += 2
        self.writer.write(self.call(model, rpc, method))

    def cancel(self):
        self.writer.write(frames.reset(self.stream))

    def close(self):
        self.reading.cancel()
        self.writer.close()


class Grpc(Http2):
    def call(self, model, rpc, method):
        return frames.call(self.stream, rpc, model=model)


PROTOCOLS = {"gRPC": Grpc, "REST, HTTP/2": Http2, "REST, HTTP/1.1": Http1}


async def lane(client, upstream, model, calls, rpc, method):
    """The times of the calls of one lane, in milliseconds."""
    times = []
    for _ in range(calls):
        await client.begin(model, rpc, method)
        await asyncio.wait_for(upstream.arrived[model].get(), 60)
        await asyncio.sleep(random.uniform(0, 0.02))
        begun = time.monotonic()
        client.cancel()
        times.append(1000 * (await asyncio.wait_for(upstream.closed[model].get(), 60) - begun))
    client.close()
    return times


async def measure(protocol, phase, calls):
    """The times of all calls, and the upstream that they went to."""
    from running import gateway

    beginning, rpc, method = PHASES[phase]
    upstream = Upstream(beginning)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with gateway("--upstream-url", url, "--drain-delay", 0, env={"MOUNTSEA_API_KEY": "a-key"}) as running:
        lanes = [
            lane(PROTOCOLS[protocol](running.address), upstream, model, calls // LANES, rpc, method)
            for model in upstream.arrived
        ]
        times = [time for times in await asyncio.gather(*lanes) for time in times]
    server.close()
    return sorted(times), upstream


def main(args):
    from running import end_well
    from verdict import Verdict, table

    end_well()
    verdict = Verdict()
    rows = [("protocol", "cancelled", "calls", "p50 ms", "p99 ms", "max ms")]
    for protocol in PROTOCOLS:
        for phase in PHASES:
            times, upstream = asyncio.run(measure(protocol, phase, args.calls))
            p50, p99, longest = (round(times[min(int(len(times) * part), len(times) - 1)], 2) for part in (0.5, 0.99, 1))
            rows.append((protocol, phase, len(times), p50, p99, longest))
            name, most = f"{protocol}, {phase}", MAX_P99 * args.slack
            verdict.check(f"{name}: 99 % within {most:g} ms", p99 <= most, f"{p99} ms")
            seen = f"{upstream.requests} requests, {upstream.open} open"
            verdict.check(f"{name}: all are closed, none is sent again", seen == f"{len(times)} requests, 0 open", seen)
    tools.say("")
    table(*rows)
    return verdict.end()


if __name__ == "__main__":
    parsed = arguments()
    tools.enter()
    raise SystemExit(main(parsed))
