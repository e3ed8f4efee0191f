"""The gateway that a team writes in Python: grpc.aio in front, httpx behind, one process per core.

gateway.py UPSTREAM PORT serves GenerativeService on 127.0.0.1:PORT and calls Gemini's REST API at
http://UPSTREAM.
"""

import asyncio
import os
import signal
import sys

import grpc
import httpx
import orjson
import uvloop
from google.ai.generativelanguage.v1beta import generative_service_v1beta_pb2_grpc as google_grpc
from google.protobuf import json_format
from mountsea.gemini.v1 import generative_service_pb2 as messages
from mountsea.gemini.v1 import generative_service_pb2_grpc as mountsea_grpc

OPTIONS = [
    # Every process has its own socket on the same port, and the kernel spreads connections over them.
    ("grpc.so_reuseport", 1),
    # Pictures are larger than the default of 4 MiB.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_concurrent_streams", 10_000),
]

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    500: grpc.StatusCode.INTERNAL,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


def encode(request):
    """The path of the model and the JSON of a request. The model is in the path and not in the body."""
    body = json_format.MessageToDict(request)
    model = body.pop("model", "")
    path = model if model.startswith("models/") else f"models/{model}"
    return f"/v1beta/{path}", orjson.dumps(body)


def decode(json):
    return json_format.ParseDict(
        orjson.loads(json), messages.GenerateContentResponse(), ignore_unknown_fields=True
    )


def error_status(response, body):
    """The gRPC code and message of an error response from upstream."""
    code = CODES.get(response.status_code, grpc.StatusCode.UNKNOWN)
    try:
        return code, orjson.loads(body)["error"]["message"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return code, f"HTTP {response.status_code} from upstream"


async def events(response):
    """The data of each server-sent event. Lines end at CR or LF only, so the text of JSON is never split."""
    rest = b""
    async for piece in response.aiter_bytes():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
    if rest.startswith(b"data:"):
        yield rest[5:].strip()


class Gateway(mountsea_grpc.GenerativeServiceServicer):
    """Both methods. When a caller cancels, grpc.aio cancels the coroutine, and httpx closes its connection."""

    def __init__(self, client):
        self.client = client

    async def GenerateContent(self, request, context):
        path, body = encode(request)
        try:
            response = await self.client.post(f"{path}:generateContent", content=body)
        except httpx.TransportError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"upstream: {error}")
        if response.status_code != 200:
            await context.abort(*error_status(response, response.content))
        return decode(response.content)

    async def StreamGenerateContent(self, request, context):
        path, body = encode(request)
        url = f"{path}:streamGenerateContent?alt=sse"
        try:
            async with self.client.stream("POST", url, content=body) as response:
                if response.status_code != 200:
                    await context.abort(*error_status(response, await response.aread()))
                async for event in events(response):
                    yield decode(event)
        except httpx.TransportError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"upstream: {error}")


async def serve(upstream, port):
    client = httpx.AsyncClient(
        base_url=f"http://{upstream}",
        headers={"content-type": "application/json", "x-goog-api-key": "key"},
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        # The caller's deadline ends a call.
        timeout=None,
        trust_env=False,
    )
    server = grpc.aio.server(options=OPTIONS)
    gateway = Gateway(client)
    mountsea_grpc.add_GenerativeServiceServicer_to_server(gateway, server)
    google_grpc.add_GenerativeServiceServicer_to_server(gateway, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM, lambda: asyncio.ensure_future(server.stop(1))
    )
    await server.wait_for_termination()
    await client.aclose()


def main():
    upstream, port = sys.argv[1], int(sys.argv[2])
    # gRPC starts no thread before its first server or channel, so that a fork here is safe.
    children = []
    for _ in range(os.cpu_count() or 1):
        pid = os.fork()
        if pid == 0:
            uvloop.run(serve(upstream, port))
            os._exit(0)
        children.append(pid)
    signal.signal(signal.SIGTERM, lambda *_: [os.kill(pid, signal.SIGTERM) for pid in children])
    for pid in children:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
