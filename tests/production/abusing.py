"""The processes of abuse.py: attackers that send hostile shapes, an ordinary caller, and an upstream."""

import asyncio
import contextlib
import itertools
import re
import threading
import time

# How long an ordinary caller waits for a response, in seconds.
CALL_TIMEOUT = 10
RESPONSE = (
    b'{"candidates": [{"content": {"parts": [{"text": "yes"}], "role": "model"}, "finishReason": "STOP"}],'
    b' "usageMetadata": {"promptTokenCount": 300, "candidatesTokenCount": 1, "totalTokenCount": 301}}'
)


def attack(address, tokens, turns, stop, results):
    """The process of the attackers: a thread for each token sends one shape after another, without pause.

    Each of `turns` is the name of a request, the file with its gzip, and whether to send it uncompressed.
    """
    threads = [
        threading.Thread(target=_attack, args=(address, token, _rotated(turns, number / len(tokens)), stop, results))
        for number, token in enumerate(tokens)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _rotated(turns, part):
    """The turns in an order that begins at this part of the list, so that each attacker begins at another place."""
    first = int(len(turns) * part)
    return turns[first:] + turns[:first]


def _attack(address, token, turns, stop, results):
    import shapes

    client = None
    for name, path, plain in itertools.cycle(turns):
        if stop.is_set():
            return
        data = path.read_bytes()
        message = shapes.decompressed(data) if plain else data
        client, status, seconds = _send(client, address, token, message, not plain)
        results.put((name, status, seconds))


def _send(client, address, token, message, compressed):
    """Sends one message, and returns the client for the next one: after an error, a new connection is needed."""
    import rawcalls

    begun = time.monotonic()
    try:
        client = client or rawcalls.Client(address, [("authorization", f"Bearer {token}")], timeout=60)
        status = client.call(rawcalls.framed(message, compressed), compressed=compressed)
    except OSError as error:
        if client:
            client.close()
        client, status = None, type(error).__name__
        time.sleep(0.05)
    return client, status, time.monotonic() - begun


def ordinary_caller(address, token, rate, stop, ready, results):
    """The process of an ordinary caller: `rate` calls of 1 KB per second, and a health check every second."""
    asyncio.run(_ordinary_caller(address, token, rate, stop, ready, results))


async def _ordinary_caller(address, token, rate, stop, ready, results):
    import grpc
    import rawcalls
    import shapes
    from calls import METHOD
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    message = shapes.part(shapes.member(2, b"Why is the sky blue, and not violet? " * 27))
    metadata = [("authorization", f"Bearer {token}")]
    assert len(rawcalls.framed(message)) > 1000

    async def record(kind, call):
        begun = time.monotonic()
        try:
            await call
            status = "OK"
        except grpc.aio.AioRpcError as error:
            status = error.code().name
        results.put((kind, status, time.monotonic() - begun))

    options = [("grpc.use_local_subchannel_pool", 1)]
    async with contextlib.AsyncExitStack() as stack:
        # Health checks have their own connection, like those of a probe.
        channel, health_channel = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, options)) for _ in range(2)
        ]
        call, health = channel.unary_unary(METHOD), health_pb2_grpc.HealthStub(health_channel)
        tasks, begun, number = set(), time.monotonic(), 0
        while not stop.is_set():
            tasks.add(asyncio.create_task(record("call", call(message, metadata=metadata, timeout=CALL_TIMEOUT))))
            if number % rate == 0:
                check = health.Check(health_pb2.HealthCheckRequest(), timeout=CALL_TIMEOUT)
                tasks.add(asyncio.create_task(record("health", check)))
            number += 1
            if number == rate:
                ready.set()
            tasks = {task for task in tasks if not task.done()}
            await asyncio.sleep(max(0, begun + number / rate - time.monotonic()))
        if tasks:
            await asyncio.wait(tasks)


def upstream(port, received):
    """The process of an upstream that reads and discards requests as fast as they arrive, and answers each."""
    asyncio.run(_upstream(port, received))


async def _upstream(port, received):
    server = await asyncio.get_running_loop().create_server(lambda: _UpstreamConnection(received), "127.0.0.1", 0)
    with port.get_lock():
        port.value = server.sockets[0].getsockname()[1]
    await server.serve_forever()


class _UpstreamConnection(asyncio.Protocol):
    """A connection to the upstream. `received` counts the requests, their bytes, and the bytes of the largest."""

    def __init__(self, received):
        self.received, self.head, self.rest = received, bytearray(), 0

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        while data:
            if not self.rest:
                self.head += data
                end = self.head.find(b"\r\n\r\n")
                if end < 0:
                    return
                self.rest = int(re.search(rb"(?i)content-length: *(\d+)", self.head)[1])
                data = bytes(self.head[end + 4 :])
                self.head.clear()
                self.received[0] += 1
                self.received[1] += self.rest
                self.received[2] = max(self.received[2], self.rest)
            here = min(self.rest, len(data))
            self.rest -= here
            data = data[here:]
            if not self.rest:
                head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(RESPONSE)
                self.transport.write(head + RESPONSE)

