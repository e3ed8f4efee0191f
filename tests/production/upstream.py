"""An upstream with features that the sandbox lacks: almost endless streams, large pictures, and a list of valid keys.

It runs in a thread of the script that uses it. The name of the model selects what it does.
"""

import asyncio
import base64
import collections
import contextlib
import json
import os
import re
import threading

# The size of an almost endless stream, in bytes.
ENDLESS_BYTES = 1 << 30
LARGE_PICTURE_BYTES = 16 << 20


def event(part, finished=False):
    candidate = {
        "content": {"role": "model", "parts": [part]},
        "index": 0,
        **({"finishReason": "STOP"} if finished else {}),
    }
    return json.dumps({"candidates": [candidate]}).encode()


def picture(size):
    data = base64.b64encode(os.urandom(size)).decode()
    return {"inlineData": {"mimeType": "image/png", "data": data}}


class Upstream:
    """`written` counts the bytes of responses that were sent, `waiting` the calls that wait for `gate`."""

    def __init__(self, pace=0.1):
        self.pace = pace
        self.written = self.waiting = 0
        # The valid keys; None accepts any key.
        self.valid = None
        self.keys = collections.Counter()
        self.key_seen = threading.Condition()
        self.gate = threading.Event()
        self.gate.set()
        self.text, self.picture = event({"text": "x" * (1 << 20)}), event(picture(4 << 20))
        self.large = event(picture(LARGE_PICTURE_BYTES), finished=True)

    def wait_for_calls(self, count, seconds):
        """Waits until `count` more calls have arrived, but at most `seconds`."""
        with self.key_seen:
            total = self.keys.total() + count
            self.key_seen.wait_for(lambda: self.keys.total() >= total, seconds)

    async def serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self.answer(head.decode(), reader, writer)
        writer.close()

    async def answer(self, head, reader, writer):
        length = int(re.search(r"(?i)content-length: *(\d+)", head)[1])
        model, method = re.search(r"/models/([^:]+):(\w+)", head).groups()
        key = re.search(r"(?i)authorization: Bearer (\S+)", head)[1]
        body = b""
        for rest in range(length, 0, -(1 << 20)):
            piece = await reader.readexactly(min(rest, 1 << 20))
            body = body + piece if length < 1 << 16 else b""
        with self.key_seen:
            self.keys[key] += 1
            self.key_seen.notify_all()
        if self.valid is not None and key not in self.valid:
            error = {"error": {"code": 401, "message": "the key is not valid", "status": "UNAUTHENTICATED"}}
            return await self.send_json(writer, json.dumps(error).encode(), "401 Unauthorized")
        if method == "generateContent":
            if model != "gemini-large":
                return await self.send_json(writer, event({"text": "yes"}, finished=True))
            self.waiting += 1
            while not self.gate.is_set():
                await asyncio.sleep(0.05)
            return await self.send_json(writer, self.large)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        if model.startswith("gemini-endless"):
            endless = self.text if model == "gemini-endless-text" else self.picture
            for _ in range(ENDLESS_BYTES // len(endless)):
                await self.chunk(writer, endless)
        else:
            words = re.search(rb'"enum": *\["([^"]*)"', body)
            for _ in range(len(words[1].split()) if words else 10):
                await self.chunk(writer, event({"text": "word "}))
                await asyncio.sleep(self.pace)
        await self.chunk(writer, event({"text": "end"}, finished=True))
        writer.write(b"0\r\n\r\n")

    async def chunk(self, writer, data):
        writer.write(b"%x\r\ndata: %s\r\n\r\n\r\n" % (len(data) + 10, data))
        await writer.drain()
        self.written += len(data)

    async def send_json(self, writer, data, status="200 OK"):
        writer.write(
            f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n".encode()
        )
        writer.write(data)
        await writer.drain()
        self.written += len(data)


@contextlib.contextmanager
def upstream(host="127.0.0.1", **options):
    """A running upstream with its `url`, until the `with` block ends."""
    served, loop, started = Upstream(**options), asyncio.new_event_loop(), threading.Event()

    async def run():
        server = await asyncio.start_server(served.serve, host, 0, backlog=1000)
        served.url = f"http://{host}:{server.sockets[0].getsockname()[1]}"
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await server.serve_forever()
        open_calls = asyncio.all_tasks() - {asyncio.current_task()}
        for call in open_calls:
            call.cancel()
        await asyncio.gather(*open_calls, return_exceptions=True)

    task = loop.create_task(run())
    thread = threading.Thread(target=lambda: loop.run_until_complete(task), daemon=True)
    thread.start()
    started.wait()
    try:
        yield served
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)
