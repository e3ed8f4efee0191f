"""Makes many calls with large pictures at once."""

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
    """Makes calls to which upstream responds only when all of them have arrived or were refused; counts the outcomes."""
    return asyncio.run(_large_calls(address, served, count, connections))


async def _large_calls(address, served, count, connections):
    import grpc
    from upstream import LARGE_PICTURE_BYTES

    message = request(LARGE_PICTURE_BYTES)
    outcomes = collections.Counter({"OK": 0, "RESOURCE_EXHAUSTED": 0})
    examples = collections.Counter()
    served.gate.clear()
    channels = [grpc.aio.insecure_channel(address, OPTIONS) for _ in range(connections)]

    async def call(number):
        try:
            # Request and response are bytes here, so nothing is serialized or parsed.
            method = channels[number % connections].unary_unary(METHOD)
            answer = await method(message, timeout=240)
            outcomes["OK" if len(answer) > LARGE_PICTURE_BYTES else "OK_WITHOUT_PICTURE"] += 1
        except grpc.aio.AioRpcError as error:
            outcomes[error.code().name] += 1
            examples[f"{error.code().name}: {error.details()}"[:200]] += 1

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
    for channel in channels:
        await channel.close()
    return outcomes, [f"{number} times {example}" for example, number in examples.items()]
