"""google-genai for Python as the tests call it: the same functions for its synchronous and its asyncio client."""

import asyncio
import operator

from google import genai
from google.genai import types


def client_of(base_url, key="a-key", **options):
    """A client that has nothing set but a key and the base URL."""
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=base_url, **options))


class Sync:
    """The synchronous client."""

    def __init__(self, base_url, **options):
        self.client = client_of(base_url, **options)
        self.models = self.client.models
        self.generate = self.models.generate_content
        self.stream = self.models.generate_content_stream
        self.count = self.models.count_tokens
        self.embed = self.models.embed_content
        self.model = self.models.get
        self.chat = self.client.chats.create

    def call(self, name, /, **arguments):
        """The result of the method of the client with that name, such as `files.upload`."""
        return operator.attrgetter(name)(self.client)(**arguments)

    def list(self, **config):
        return list(self.models.list(config=config))

    def cancel_after_first(self, **request):
        """The first chunk of a stream that is then closed."""
        stream = self.stream(**request)
        try:
            return next(iter(stream))
        finally:
            stream.close()

    def wait_for(self, function):
        """The result of a function that waits for something outside."""
        return function()

    def close(self):
        self.client.close()


class Async:
    """The asyncio client, run to the end of each call."""

    def __init__(self, base_url, **options):
        self.runner = asyncio.Runner()
        self.client = client_of(base_url, **options).aio
        self.models = self.client.models
        self.generate = self._ended(self.models.generate_content)
        self.stream = self._read(self.models.generate_content_stream)
        self.count = self._ended(self.models.count_tokens)
        self.embed = self._ended(self.models.embed_content)
        self.model = self._ended(self.models.get)

    def _ended(self, method):
        return lambda *arguments, **named: self.runner.run(method(*arguments, **named))

    def _read(self, method):
        async def next_of(stream):
            return await anext(stream, None)

        def read(*arguments, **named):
            stream = self.runner.run(method(*arguments, **named))
            try:
                while (chunk := self.runner.run(next_of(stream))) is not None:
                    yield chunk
            finally:
                self.runner.run(stream.aclose())

        return read

    def chat(self, **settings):
        chat = self.client.chats.create(**settings)
        chat.send_message = self._ended(chat.send_message)
        chat.send_message_stream = self._read(chat.send_message_stream)
        return chat

    def call(self, name, /, **arguments):
        """The result of the method of the client with that name."""
        return self.runner.run(operator.attrgetter(name)(self.client)(**arguments))

    def list(self, **config):
        async def read():
            return [model async for model in await self.models.list(config=config)]

        return self.runner.run(read())

    def cancel_after_first(self, **request):
        """The first chunk of a stream whose task is then cancelled.

        Only that ends the call: a stream that is closed or left keeps its connection until Python collects its garbage.
        """

        async def read(first):
            async for chunk in await self.models.generate_content_stream(**request):
                if not first.done():
                    first.set_result(chunk)

        async def cancel():
            first = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(read(first))
            await first
            task.cancel()
            await asyncio.wait([task])
            return first.result()

        return self.runner.run(cancel())

    def cancel_once(self, function, **request):
        """Cancels a call whose answer is still awaited, after a function that waits for something outside."""

        async def cancel():
            task = asyncio.create_task(self.models.generate_content(**request))
            reached = await asyncio.to_thread(function)
            task.cancel()
            await asyncio.wait([task])
            return reached and task.cancelled()

        return self.runner.run(cancel())

    def wait_for(self, function):
        """The result of a function that waits for something outside, while the event loop runs."""
        return self.runner.run(asyncio.to_thread(function))

    def close(self):
        self.runner.run(self.client.aclose())
        self.runner.close()


CALLERS = {"sync": Sync, "asyncio": Async}
