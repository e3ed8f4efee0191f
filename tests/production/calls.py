"""Calls with large pictures, all at once."""

import asyncio
import collections
import os
import sys
import time

import tools

OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]
METHOD = "/mountsea.gemini.v1.GenerativeService/GenerateContent"


def request(size):
    """The bytes of a request with a picture."""
    sys.path.insert(0, str(tools.contract()))
    from mountsea.gemini.v1 import generative_service_pb2 as messages

    request = messages.GenerateContentRequest(model="gemini-large")
    parts = request.contents.add(role="user").parts
    parts.add().inline_data.mime_type = "image/png"
    parts[0].inline_data.data = os.urandom(size)
    return request.SerializeToString()


def large_calls(address, served, count, connections=10):
    """Makes calls whose answers upstream keeps back until all of them are there or refused; counts the outcomes."""
    return asyncio.run(_large_calls(address, served, count, connections))


async def _large_calls(address, served, count, connections):
    import grpc
    from upstream import LARGE

    message = request(LARGE)
    outcomes = collections.Counter({"OK": 0, "RESOURCE_EXHAUSTED": 0})
    examples = collections.Counter()
    served.gate.clear()
    channels = [grpc.aio.insecure_channel(address, OPTIONS) for _ in range(connections)]

    async def call(number):
        try:
            # The message is bytes already, and so may the answer stay.
            method = channels[number % connections].unary_unary(METHOD)
            answer = await method(message, timeout=240)
            outcomes["OK" if len(answer) > LARGE else "OK_WITHOUT_PICTURE"] += 1
        except grpc.aio.AioRpcError as error:
            outcomes[error.code().name] += 1
            examples[f"{error.code().name}: {error.details()}"[:200]] += 1

    calls = asyncio.gather(*map(call, range(count)))
    until, before = time.monotonic() + 60, None
    while time.monotonic() < until:
        # All have arrived, or nothing has moved for a while because what is left waits for room.
        now = served.waiting, outcomes.total()
        if sum(now) >= count:
            break
        if now != before:
            before, until = now, time.monotonic() + 10
        await asyncio.sleep(0.1)
    served.gate.set()
    await calls
    for channel in channels:
        await channel.close()
    return outcomes, [f"{number} times {example}" for example, number in examples.items()]
