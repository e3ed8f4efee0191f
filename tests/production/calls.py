"""Makes many calls with large pictures at once, over gRPC or REST."""

import asyncio
import base64
import collections
import contextlib
import json
import os
import re
import sys
import time

import tools

OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]
METHOD = "/mountsea.gemini.v1.GenerativeService/GenerateContent"
# How long a call may take, in seconds.
TIMEOUT = 240
# How much of a request is written at once.
PIECE = 1 << 20


class Refused(Exception):
    """A call that ended with this status instead of an answer."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Grpc:
    """Calls over a few connections of HTTP/2."""

    def __init__(self, address, size, connections=10):
        import grpc

        sys.path.insert(0, str(tools.contract()))
        from mountsea.gemini.v1 import generative_service_pb2 as messages

        request = messages.GenerateContentRequest(model="gemini-large")
        parts = request.contents.add(role="user").parts
        parts.add().inline_data.mime_type = "image/png"
        parts[0].inline_data.data = os.urandom(size)
        self.message, self.error = request.SerializeToString(), grpc.aio.AioRpcError
        self.channels = [grpc.aio.insecure_channel(address, OPTIONS) for _ in range(connections)]

    async def call(self, number):
        """The length of the answer to one call."""
        try:
            # Request and response are bytes here, so nothing is serialized or parsed.
            method = self.channels[number % len(self.channels)].unary_unary(METHOD)
            return len(await method(self.message, timeout=TIMEOUT))
        except self.error as error:
            raise Refused(error.code().name, error.details()) from error

    async def close(self):
        for channel in self.channels:
            await channel.close()


class Rest:
    """Calls over HTTP/1.1, each on a connection of its own."""

    def __init__(self, address, size):
        import rest

        self.host, _, self.port = address.rpartition(":")
        picture = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(os.urandom(size)).decode()}}
        self.body = json.dumps({"contents": [{"role": "user", "parts": [picture]}]}).encode()
        target = rest.path(rest.UNARY, "gemini-large")
        self.head = rest.head(target, len(self.body), [("x-server-timeout", TIMEOUT)])

    async def call(self, _):
        """The length of the answer to one call."""
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=PIECE)
        # A call may be refused before its whole request was sent.
        sending = asyncio.create_task(self._send(writer))
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(re.search(r"content-length: (\d+)", head)[1])
            if head.startswith("http/1.1 200"):
                for rest in range(length, 0, -PIECE):
                    await reader.readexactly(min(rest, PIECE))
                return length
            error = json.loads(await reader.readexactly(length))["error"]
            raise Refused(error["status"], error["message"])
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Refused(type(error).__name__, str(error)) from error
        finally:
            sending.cancel()
            writer.close()

    async def _send(self, writer):
        with contextlib.suppress(ConnectionError):
            writer.write(self.head)
            for begin in range(0, len(self.body), PIECE):
                writer.write(self.body[begin : begin + PIECE])
                await writer.drain()

    async def close(self):
        pass


PROTOCOLS = {"gRPC": Grpc, "REST": Rest}


def large_calls(protocol, address, served, count):
    """Makes calls to which upstream responds only when all of them have arrived or were refused; counts the outcomes."""
    return asyncio.run(_large_calls(protocol, address, served, count))


async def _large_calls(protocol, address, served, count):
    from upstream import LARGE_PICTURE_BYTES

    client = PROTOCOLS[protocol](address, LARGE_PICTURE_BYTES)
    outcomes = collections.Counter({"OK": 0, "RESOURCE_EXHAUSTED": 0})
    examples = collections.Counter()
    served.gate.clear()

    async def call(number):
        try:
            outcomes["OK" if await client.call(number) > LARGE_PICTURE_BYTES else "OK_WITHOUT_PICTURE"] += 1
        except Refused as refused:
            outcomes[refused.status] += 1
            examples[f"{refused.status}: {refused}"[:200]] += 1

    calls = asyncio.gather(*map(call, range(count)))
    until, before = time.monotonic() + 60, None
    while time.monotonic() < until:
        # Waits until all calls have arrived, or until nothing has changed for 10 s because the others wait for memory.
        now = served.waiting, outcomes.total()
        if sum(now) >= count:
            break
        if now != before:
            before, until = now, time.monotonic() + 10
        await asyncio.sleep(0.1)
    served.gate.set()
    await calls
    await client.close()
    return outcomes, [f"{number} times {example}" for example, number in examples.items()]
