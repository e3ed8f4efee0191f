"""An upstream that sends exactly the bytes of a case, and records its requests and which of its calls were cancelled.

The name of the model chooses the case. These paths answer questions of tests that run in other processes:

    GET /requests/MODEL   the requests for that model so far, as a JSON list
    GET /arrived/MODEL    waits until a call of that model has come: 204, or 504 if that takes too long
    GET /cancelled/MODEL  waits until the client of a call of that model has gone: 204, or 504 if that takes too long
"""

import asyncio
import collections
import contextlib
import json
import threading
import urllib.parse

import streams

# Longer than the heartbeat that the gateway in front sends every second.
PAUSE_SECONDS = 1.5
WAIT_TIMEOUT_SECONDS = 20
# Models that begin with this name get one chunk, and then nothing until their client goes.
HANGING = "hang"
# A model whose stream breaks after a chunk with a token, and continues for a request that sends the token back.
CONTINUED = "continued"


class Upstream:
    """A server in a thread of its own. `url` is its address."""

    def __init__(self, cases):
        self.cases = cases
        self.requests = collections.defaultdict(list)
        # What has happened to calls, by the name of the event and the model.
        self._events = collections.defaultdict(asyncio.Event)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 26))
        self.url = "http://127.0.0.1:%d" % self._server.sockets[0].getsockname()[1]

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def stop(self):
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def forget(self):
        """Forgets all calls, so that the same tests can run again."""
        self._loop.call_soon_threadsafe(self._events.clear)
        self._loop.call_soon_threadsafe(self.requests.clear)

    def has_arrived(self, model):
        """Waits until a call of that model has come."""
        return self._run(self._happened("arrived", model))

    def was_cancelled(self, model):
        """Waits until the client of a call of that model has gone."""
        return self._run(self._happened("cancelled", model))

    async def _happened(self, event, model):
        try:
            return await asyncio.wait_for(self._events[event, model].wait(), WAIT_TIMEOUT_SECONDS)
        except TimeoutError:
            return False

    async def _serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._answer_one(reader, writer):
                pass
        writer.close()

    async def _answer_one(self, reader, writer):
        """Reads a request and answers it. Whether the connection can take another one."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        target = urllib.parse.urlsplit(first.split()[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path = urllib.parse.unquote(target.path)
        name, _, action = path.rpartition("/")[2].partition(":")
        if path.startswith("/requests/"):
            return _send(writer, 200, "application/json", json.dumps(self.requests[name]).encode())
        event = path.split("/")[1]
        if event in ("arrived", "cancelled"):
            return _send(writer, 204 if await self._happened(event, name) else 504, "text/plain", b"")
        text = body.decode()
        self.requests[name].append({"path": path, "query": target.query, "headers": headers, "body": text})
        self._events["arrived", name].set()
        if name.startswith(HANGING):
            return await self._hang(name, action, reader, writer)
        if name == CONTINUED:
            return await _play(streams.REST if "continuationToken" in text else streams.BEGINNING, action, writer)
        if name not in self.cases:
            return _send(writer, 404, "text/plain", b"There is no such case.")
        return await _play(self.cases[name], action, writer)

    async def _hang(self, name, action, reader, writer):
        if action == "streamGenerateContent":
            _begin(writer, 200, "text/event-stream")
            _write(writer, streams.events([streams.chunk("first")])[0])
        # A client sends nothing more; its end is the end of its call.
        assert await reader.read(1) == b""
        self._events["cancelled", name].set()
        return False


async def _play(case, action, writer):
    if action != "streamGenerateContent":
        return _send(writer, 200, "application/json", streams.one_line(streams.CHUNKS[-1]).encode())
    _begin(writer, case.status, case.kind)
    for piece in case.pieces:
        if piece == streams.PAUSE:
            await asyncio.sleep(PAUSE_SECONDS)
        elif piece == streams.BREAK:
            await writer.drain()
            return False
        else:
            _write(writer, piece)
            # Lets the loop send the piece, so that it is not joined with the next one.
            await asyncio.sleep(0)
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


def _begin(writer, status, kind):
    writer.write(f"HTTP/1.1 {status} S\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode())


def _write(writer, piece):
    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))


def _send(writer, status, kind, body):
    length = "" if status == 204 else f"content-length: {len(body)}\r\n"
    writer.write(f"HTTP/1.1 {status} S\r\ncontent-type: {kind}\r\n{length}\r\n".encode() + body)
    return True
