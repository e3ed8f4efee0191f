"""A relay of bytes between a gateway and the sandbox that notices when the gateway cancels a call."""

import asyncio
import contextlib
import queue
import threading
import urllib.parse

# A stream of this model never ends, so only the gateway can end it.
ENDLESS = b"/models/sandbox-hang-stream:"
# A program asks this one later. Until then it has not ended, so it was not its end that ended the stream.
LATER = b"/models/sandbox-blocked:"


class Relay:
    """Listens on loopback in a thread of its own. `url` is the sandbox, as reached through it."""

    def __init__(self, sandbox):
        target = urllib.parse.urlsplit(sandbox)
        self._target = (target.hostname, target.port)
        self._seen = queue.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        server = self._run(asyncio.start_server(self._connect, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]
        self.url = target._replace(netloc=f"127.0.0.1:{port}").geturl()

    def forget(self):
        """Before a program starts: what an earlier one left, because it failed, is not about this one."""
        self._seen = queue.Queue()

    def wait_for_cancel(self, seconds=30):
        """Returns when the gateway has closed the connection of an endless stream, before it sent a request for LATER."""
        assert self._next(seconds) == "cancelled", "the stream was not cancelled before the program went on"

    def wait_for_later(self, seconds=30):
        """Returns when the gateway has sent a request for LATER."""
        assert self._next(seconds) == "later"

    def _next(self, seconds):
        try:
            return self._seen.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError("the gateway neither cancelled the endless stream nor sent a later request") from None

    def stop(self):
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _connect(self, reader, writer):
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        responses = asyncio.create_task(copy(upstream_reader, writer))
        requests = Requests(reader, self._note)
        await copy(requests, upstream_writer)
        # The sandbox has not ended the stream, so it was the gateway that ended the connection.
        if requests.endless and not responses.done():
            self._note("cancelled")
        responses.cancel()
        for each in (upstream_writer, writer):
            each.close()

    def _note(self, event):
        self._seen.put(event)

    async def _close(self):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class Requests:
    """Reads what the gateway sends on one connection, and notes the models in it."""

    def __init__(self, reader, note):
        self._reader, self._note, self._tail = reader, note, b""
        self.endless = False

    async def read(self, size):
        data = await self._reader.read(size)
        # A name may begin in one read and end in the next.
        window = self._tail + data
        self.endless = self.endless or ENDLESS in window
        if LATER in window:
            self._note("later")
            window = b""
        self._tail = window[1 - len(ENDLESS) :]
        return data


async def copy(reader, writer):
    """Passes bytes on until their end."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
