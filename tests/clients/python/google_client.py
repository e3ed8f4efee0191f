"""Google's own gRPC client, synchronous and asyncio, behind one interface: `generate` and `stream`."""

import asyncio
import struct

import grpc
from google.ai import generativelanguage_v1beta as v1beta
from google.ai.generativelanguage_v1beta.services.generative_service.transports import (
    GenerativeServiceGrpcAsyncIOTransport,
    GenerativeServiceGrpcTransport,
)

TEXT_MODEL = "gemini-2.5-flash"
IMAGE_MODEL = "gemini-2.5-flash-image"
# Pictures are sent inline, and the default limit of gRPC clients, 4 MiB, is too small for them.
OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 80 << 20)]


class SyncClient:
    def __init__(self, address, **channel):
        self.channel = grpc.insecure_channel(address, options=OPTIONS, **channel)
        self.google = v1beta.GenerativeServiceClient(transport=GenerativeServiceGrpcTransport(channel=self.channel))

    def generate(self, request, **call):
        # The retries of Google's client would hide the behaviour that is tested here.
        return self.google.generate_content(request, retry=None, **call)

    def stream(self, request, **call):
        yield from self.google.stream_generate_content(request, retry=None, **call)

    def count_tokens(self, request):
        return self.google.count_tokens(request)

    def close(self):
        self.channel.close()


class AsyncClient:
    """The asyncio client on its own event loop, which runs only while a call needs it."""

    def __init__(self, address, **channel):
        self.runner = asyncio.Runner()
        self.channel, self.google = self.runner.run(self._connect(address, channel))

    async def _connect(self, address, channel):
        channel = grpc.aio.insecure_channel(address, options=OPTIONS, **channel)
        transport = GenerativeServiceGrpcAsyncIOTransport(channel=channel)
        return channel, v1beta.GenerativeServiceAsyncClient(transport=transport)

    def generate(self, request, **call):
        async def answer():
            return await self.google.generate_content(request, retry=None, **call)

        return self.runner.run(answer())

    def stream(self, request, **call):
        async def start():
            chunks = await self.google.stream_generate_content(request, retry=None, **call)
            return chunks.__aiter__()

        async def next_of(chunks):
            return await anext(chunks, None)

        chunks = self.runner.run(start())
        while (chunk := self.runner.run(next_of(chunks))) is not None:
            yield chunk

    def count_tokens(self, request):
        async def answer():
            return await self.google.count_tokens(request)

        return self.runner.run(answer())

    def close(self):
        self.runner.run(self.channel.close())
        self.runner.close()


CLIENTS = {"sync": SyncClient, "asyncio": AsyncClient}


def request(*parts, model=TEXT_MODEL, **more):
    """A request with texts and pictures of one user."""
    parts = [v1beta.Part(text=part) if isinstance(part, str) else part for part in parts]
    contents = [v1beta.Content(role="user", parts=parts)]
    return v1beta.GenerateContentRequest(model=f"models/{model}", contents=contents, **more)


def picture(data, mime_type="image/png"):
    return v1beta.Part(inline_data=v1beta.Blob(mime_type=mime_type, data=data))


def parts_of(*answers):
    """The parts of the first candidates."""
    return [part for answer in answers for candidate in answer.candidates[:1] for part in candidate.content.parts]


def text_of(*answers):
    return "".join(part.text for part in parts_of(*answers))


def picture_of(*answers):
    return next(part for part in parts_of(*answers) if part.inline_data.data and not part.thought)


def size_of(png):
    """Width and height, from the header of a PNG."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


def detail(error, kind):
    """The `google.rpc` detail of that type, as Google's client decodes it."""
    return next(detail for detail in error.details if isinstance(detail, kind))
