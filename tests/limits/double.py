"""An upstream that counts what it gave: the calls, tokens and pictures of each caller, and the keys that it saw.

The prompt of a call is JSON that says whose it is and how it is answered: see `Wish`.
"""

import asyncio
import base64
import collections
import contextlib
import dataclasses
import json

from aiohttp import web

PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()


@dataclasses.dataclass
class Wish:
    """How a call is to be answered."""

    caller: str
    # Before the answer, or between the events of a stream, in seconds.
    pause: float = 0
    events: int = 3
    input: int = 10
    cached: int = 0
    output: int = 20
    pictures: int = 0

    def prompt(self):
        return json.dumps(dataclasses.asdict(self))

    @property
    def tokens(self):
        return self.input + self.output


@dataclasses.dataclass
class Given:
    """What a caller was given."""

    calls: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    pictures: int = 0
    in_flight: int = 0
    most_in_flight: int = 0

    @property
    def tokens(self):
        return self.input + self.output

    def begin(self):
        self.calls += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def end(self):
        self.in_flight -= 1

    def add(self, wish):
        self.input += wish.input
        self.cached += wish.cached
        self.output += wish.output
        self.pictures += wish.pictures


def response(wish, text, final=True):
    """A response, or the event of a stream; the last one has what it cost."""
    parts = [{"text": text}]
    if final:
        parts += [{"inlineData": {"mimeType": "image/png", "data": PICTURE}}] * wish.pictures
    candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
    usage = {
        "promptTokenCount": wish.input,
        "cachedContentTokenCount": wish.cached,
        "candidatesTokenCount": wish.output,
        "totalTokenCount": wish.tokens,
    }
    if not final:
        return {"candidates": [candidate]}
    return {"candidates": [candidate | {"finishReason": "STOP"}], "usageMetadata": usage}


class Double:
    """The upstream. `refuse` may return a response to a key instead of an answer."""

    def __init__(self):
        self.given = collections.defaultdict(Given)
        self.refuse = lambda key: None

    async def answer(self, request):
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if refusal := self.refuse(key):
            return refusal
        body = await request.json()
        wish = Wish(**json.loads(body["contents"][0]["parts"][0]["text"]))
        given = self.given[wish.caller]
        given.begin()
        try:
            if request.path.endswith(":streamGenerateContent"):
                return await self.stream(request, wish, given)
            await asyncio.sleep(wish.pause)
            given.add(wish)
            return web.json_response(response(wish, "yes"))
        finally:
            given.end()

    async def stream(self, request, wish, given):
        stream = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await stream.prepare(request)
        for number in range(wish.events):
            final = number == wish.events - 1
            if final:
                # Counted before it is sent: the gateway may have counted it before `write` returns.
                given.add(wish)
            await stream.write(b"data: " + json.dumps(response(wish, "yes ", final)).encode() + b"\n\n")
            if not final:
                await asyncio.sleep(wish.pause)
        await stream.write_eof()
        return stream


@contextlib.asynccontextmanager
async def upstream():
    """A `Double` with its `url`, until the `with` block ends."""
    double = Double()
    # When a client closes its connection, the handler is cancelled, so a call that was abandoned is not in flight.
    application = web.Application()
    application.router.add_post("/{path:.*}", double.answer)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1000)
    await site.start()
    double.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    try:
        yield double
    finally:
        await runner.cleanup()
