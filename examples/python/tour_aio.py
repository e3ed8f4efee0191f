"""The same with asyncio, in short: `python tour_aio.py ENDPOINT KEY [CA_FILE]`."""

import asyncio
import sys

import grpc
from mountsea import gemini
from mountsea.gemini import aio
from mountsea.gemini.v1.content_pb2 import Content, Part
from mountsea.gemini.v1.generative_service_pb2 import (
    GenerateContentRequest,
    GenerateContentResponse,
)
from mountsea.gemini.v1.generative_service_pb2_grpc import GenerativeServiceStub


def ask(text: str, model: str = "gemini-2.5-flash") -> GenerateContentRequest:
    contents = [Content(role="user", parts=[Part(text=text)])]
    return GenerateContentRequest(model=model, contents=contents)


def text_of(answer: GenerateContentResponse) -> str:
    """The text without its thoughts. A blocked prompt has no candidates."""
    parts = [part for candidate in answer.candidates for part in candidate.content.parts]
    return "".join(part.text for part in parts if not part.thought)


async def main(endpoint: str, key: str, ca: str | None = None) -> None:
    async with aio.connect(endpoint, key, ca) as channel:
        stub = GenerativeServiceStub(channel)
        requests = [ask("Why is the sky blue?"), ask("Why is the sea blue?")]
        both = [stub.GenerateContent(request, timeout=60) for request in requests]
        for answer in await asyncio.gather(*both):
            print("text:", text_of(answer))
        print("stream: ", end="")
        async for answer in stub.StreamGenerateContent(ask("Why is the sky blue?"), timeout=60):
            print(text_of(answer), end="", flush=True)
        print()
        call = stub.StreamGenerateContent(ask("hello", model="sandbox-hang-stream"))
        await call.read()
        call.cancel()  # as cancelling the task that waits for it would do
        print("cancel:", (await call.code()).name)
        try:
            await stub.GenerateContent(ask("hello", model="sandbox-hang"), timeout=0.5)
        except grpc.RpcError as error:
            print("deadline:", gemini.explain(error).code.name)
        try:
            await stub.GenerateContent(GenerateContentRequest(model="gemini-2.5-flash"), timeout=60)
        except grpc.RpcError as error:
            failure = gemini.explain(error)
            print(f"refused: {failure.code.name}, {failure.reason}, {failure.violations[0].field}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
