"""A relay of bytes between a gateway and the sandbox that notices when the gateway cancels a call."""

import asyncio
import contextlib
import queue
import threading
import urllib.parse

# A stream of this model never ends, so only the gateway can end it.
ENDLESS = b"/models/sandbox-hang-stream:"


class Relay:
    """Listens on loopback in a thread of its own. `url` is the sandbox, as reached through it."""

    def __init__(self, sandbox):
        target = urllib.parse.urlsplit(sandbox)
        self._target = (target.hostname, target.port)
        self._cancelled = queue.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        server = self._run(asyncio.start_server(self._connect, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]
        self.url = target._replace(netloc=f"127.0.0.1:{port}").geturl()

    def wait_for_cancel(self, seconds=30):
        """Returns when the gateway has closed the connection of an endless stream. Each is reported once."""
        try:
            self._cancelled.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError("the gateway did not cancel the endless stream") from None

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
        endless = await copy(reader, upstream_writer, find=ENDLESS)
        # The sandbox has not ended the stream, so it was the gateway that ended the connection.
        if endless and not responses.done():
            self._cancelled.put(True)
        responses.cancel()
        for each in (upstream_writer, writer):
            each.close()

    async def _close(self):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def copy(reader, writer, find=None):
    """Passes bytes on until their end, and returns whether `find` was among them."""
    found, tail = False, b""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            if find:
                tail += data
                found = found or find in tail
                tail = tail[-len(find) :]
            writer.write(data)
            await writer.drain()
    return found
